package sysroot_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

func TestSweepTempTakesOnlyOurLeftovers(t *testing.T) {
	long := strings.Repeat("n", 250)
	r := sysroottest.New(t, map[string]string{
		"etc/main.cf": "", "etc/.main.cf": "theirs", "etc/.main.cf.swp": "vi's", "etc/.main.cf1": "theirs", "etc/.main.cf20261128": "theirs",
		"etc/.postfix-maint-tmp.main.cf.AAAA":            "leftover",
		"etc/.postfix-maint-tmp.main.cf.BBBB":            "-> main.cf",
		"etc/.postfix-maint-tmp.main.cf.CCCC/":           "",
		"etc/.postfix-maint-tmp.main.cf.DDDD/x":          "in a directory",
		"etc/.postfix-maint-tmp.main.cf.HELD":            "in use",
		"etc/.postfix-maint-tmp.master.cf.AAAA":          "another's",
		"etc/.postfix-maint-tmp." + long[:200] + ".AAAA": "leftover of a long name",
	})
	held, err := os.Open(filepath.Join(r.Dir(), "etc/.postfix-maint-tmp.main.cf.HELD"))
	if err == nil {
		err = unix.Flock(int(held.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if n, err := r.SweepTemp("/etc/main.cf"); n != 3 || err != nil {
		t.Errorf("SweepTemp = %d, %v; want 3", n, err)
	}
	if n, err := r.SweepTemp("/etc/" + long); n != 1 || err != nil {
		t.Errorf("SweepTemp of a long name = %d, %v; want 1", n, err)
	}
	tree := sysroottest.Dump(t, r.Dir(), false)
	for _, p := range []string{
		"main.cf", ".main.cf", ".main.cf.swp", ".main.cf1", ".main.cf20261128", ".postfix-maint-tmp.main.cf.DDDD/x",
		".postfix-maint-tmp.main.cf.HELD", ".postfix-maint-tmp.master.cf.AAAA",
	} {
		if tree["etc/"+p] == "" {
			t.Errorf("%s was removed", p)
		}
	}
	if len(tree) != 10 {
		t.Errorf("left: %v", tree)
	}
	put := filepath.Join(r.Dir(), "etc/link")
	if err := os.Symlink("main.cf", put); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("other", filepath.Join(r.Dir(), "etc/.postfix-maint-tmp.link.AAAA")); err != nil {
		t.Fatal(err)
	}
	if n, err := r.SweepTemp("/etc/link"); n != 1 || err != nil {
		t.Errorf("SweepTemp beside a link = %d, %v; want 1", n, err)
	}
	if n, err := r.SweepTemp("/nowhere/main.cf"); n != 0 || err != nil {
		t.Errorf("a missing directory: %d, %v", n, err)
	}
	if _, err := r.WriteFile("/etc/"+long, []byte("text"), sysroot.Attr{UID: os.Getuid(), GID: os.Getgid()}); err != nil {
		t.Errorf("a long name: %v", err)
	}
}
