package sysroot

import (
	"os"
	"path/filepath"
	"testing"
)

// Whoever writes to the directory can lead to files in it and to no others; what is no plain file is not read either.
func TestReadWithin(t *testing.T) {
	dir := t.TempDir()
	root, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"theirs/plain": "seen", "secret": "not theirs"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"up": "../secret", "out": filepath.Join(dir, "secret"), "in": "plain", "device": "/dev/null"} {
		if err := os.Symlink(target, filepath.Join(dir, "theirs", name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"plain": "seen", "in": "seen", "up": "", "out": "", "device": "", "none": "", ".": ""} {
		got, err := root.ReadWithin("/theirs", name, 100)
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, err := root.ReadWithin("/theirs", "plain", 3); err == nil {
		t.Errorf("more than the bound is read: %q", got)
	}
}
