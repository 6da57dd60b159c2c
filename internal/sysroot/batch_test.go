package sysroot_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

func TestManyFilesAtOnce(t *testing.T) {
	at := t.TempDir()
	dir, err := os.OpenRoot(at)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	attr := sysroot.Attr{Mode: 0o640, UID: os.Getuid(), GID: os.Getgid(), Force: true}
	var made []*sysroot.New
	var files []*os.File
	var names []string
	for i := range 20 {
		n, changed, err := sysroot.Prepare(dir, fmt.Sprintf("f%02d", i), []byte("new"), attr)
		if err != nil || !changed {
			t.Fatal(changed, err)
		}
		made, files = append(made, n), append(files, n.File())
	}
	files = append(files, nil) // one that is not open
	for n, err := range sysroot.SyncAll(files) {
		if (err != nil) != (n == 20) {
			t.Errorf("sync of file %d: %v", n, err)
		}
	}
	for n, m := range made {
		if n < 15 {
			if err := m.Put(); err != nil {
				t.Error(err)
			}
			names = append(names, fmt.Sprintf("f%02d", n))
		}
		m.Drop()
	}
	entries, err := os.ReadDir(at)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if err != nil || !slices.Equal(got, names) {
		t.Errorf("there is %q, %v", got, err)
	}
	n, changed, err := sysroot.Prepare(dir, "f00", []byte("new"), attr)
	if n != nil || changed || err != nil {
		t.Errorf("of a file that is right: %v, %v, %v", n, changed, err)
	}
	attr.Mode = 0o600
	if n, changed, err = sysroot.Prepare(dir, "f00", []byte("new"), attr); n != nil || !changed || err != nil {
		t.Errorf("of a file of another mode: %v, %v, %v", n, changed, err)
	}
}

func TestAppend(t *testing.T) {
	root := sysroottest.New(t, nil)
	real := filepath.Join(root.Dir(), "log")
	for n, open := range []int{2, 1} { // with a new file the directory has to be synced
		files, err := root.Append("/log", []byte("line\n"), sysroot.Attr{Mode: 0o600})
		if err != nil || len(files) != open {
			t.Fatal(len(files), err)
		}
		for _, err := range sysroot.SyncAll(files) {
			if err != nil {
				t.Error(err)
			}
		}
		sysroot.CloseAll(files)
		if data, err := os.ReadFile(real); err != nil || string(data) != strings.Repeat("line\n", n+1) {
			t.Errorf("it holds %q, %v", data, err)
		}
	}
	if fi, err := os.Stat(real); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	if err := os.Mkdir(filepath.Join(root.Dir(), "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := root.Append("/dir", []byte("line\n"), sysroot.Attr{}); err == nil {
		t.Error("a directory took it")
	}
}
