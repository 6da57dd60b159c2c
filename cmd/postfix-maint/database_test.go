package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Another program may have the database.
func TestWhyThereIsNoDatabase(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "debconf-communicate"), []byte("#!/bin/sh\necho config.dat is locked >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	var said bytes.Buffer
	db, done, err := openDatabase(t.Context(), &said)
	if err == nil {
		_, err = db.Get("postfix/mailname")
		done()
	}
	if err == nil || !strings.Contains(said.String(), "locked") {
		t.Errorf("it says %q, %v", said.String(), err)
	}
}
