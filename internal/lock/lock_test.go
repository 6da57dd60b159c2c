package lock_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postfix-maint/internal/lock"
)

func TestTheSecondIsToldWhoIsAtWork(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := lock.Take(path, "apply")
	if err != nil {
		t.Fatal(err)
	}
	_, err = lock.Take(path, "adopt")
	busy := (*lock.BusyError)(nil)
	if !errors.As(err, &busy) || !strings.Contains(busy.Error(), fmt.Sprintf("process %d (apply) since ", os.Getpid())) {
		t.Errorf("the second got %v", err)
	}
	first.Release()
	again, err := lock.Take(path, "adopt")
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	again.Release()
}

func TestALinkIsNotFollowed(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/victim", []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("victim", dir+"/lock"); err != nil {
		t.Fatal(err)
	}
	if l, err := lock.Take(dir+"/lock", "apply"); err == nil {
		l.Release()
		t.Error("the lock was taken through a link")
	}
	if data, _ := os.ReadFile(dir + "/victim"); string(data) != "text" {
		t.Errorf("the file behind a link became %q", data)
	}
}
