package sysroot_test

import (
	"os"
	"path/filepath"
	"testing"

	"postfix-maint/internal/sysroot/sysroottest"
)

// A tree goes as a whole: deep, with a directory that is closed, with links to what must stay.
func TestRemoveTree(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"d/1/2/3/4/5/6/7/8/9/10/11/12/token": "x", "d/1/other": "x", "kept/file": "x", "d/link": "-> ../kept", "d/1/2/up": "-> ../../../kept"})
	if os.Geteuid() == 0 { // whom modes do not stop
		if err := os.Chmod(filepath.Join(root.Dir(), "d/1/2/3"), 0o500); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := root.RemoveTree("/d"); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]bool{"/d": false, "/kept/file": true} {
		if there, err := root.Exists(name); there != want || err != nil {
			t.Errorf("%s: %v, %v", name, there, err)
		}
	}
	if err := root.RemoveTree("/none/d"); err != nil {
		t.Error(err)
	}
}
