// Package sysroottest (ring: port, for tests) lays out file trees and compares them.
package sysroottest

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"postfix-maint/internal/sysroot"
)

// New makes a tree below t.TempDir: path to content; a path that ends in "/" is a directory, content "-> X" a symbolic link.
func New(t testing.TB, files map[string]string) *sysroot.Root {
	t.Helper()
	dir := t.TempDir()
	for p, content := range files {
		real := filepath.Join(dir, p)
		if err := os.MkdirAll(filepath.Dir(real), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case p[len(p)-1] == '/':
			err = os.MkdirAll(real, 0o755)
		case len(content) > 3 && content[:3] == "-> ":
			err = os.Symlink(content[3:], real)
		default:
			err = os.WriteFile(real, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	r, err := sysroot.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Dump maps every path below dir to what it is: "dir 0755", "file 0644 <start of sha256>", "symlink target" or the file
// type; with times also its modification time in nanoseconds, to show that nothing was touched.
func Dump(t testing.TB, dir string, times bool) map[string]string {
	t.Helper()
	tree := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		var what string
		switch mode := fi.Mode(); {
		case mode.IsDir():
			what = fmt.Sprintf("dir %04o", mode.Perm())
		case mode.IsRegular():
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			what = fmt.Sprintf("file %04o %x", mode.Perm(), sha256.Sum256(data))[:26]
		case mode&fs.ModeSymlink != 0:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			what = "symlink " + target
		default:
			what = mode.Type().String()
		}
		if times {
			what += fmt.Sprintf(" %d", fi.ModTime().UnixNano())
		}
		rel, _ := filepath.Rel(dir, p)
		tree[rel] = what
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// NeedsRoot skips a test that gives files their owners, where a build runs as an ordinary user.
func NeedsRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: files and directories get their owners")
	}
}
