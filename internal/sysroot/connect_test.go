package sysroot_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"postfix-maint/internal/sysroot"
)

// A socket is tried with an account's rights, which its directory and its own mode decide on, and this process keeps its own.
func TestConnect(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it is tried for other accounts")
	}
	const owner, group, other = 101, 103, 65534
	dir, err := os.MkdirTemp("", "s") // a socket's path has 108 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	root, err := sysroot.Open(dir)
	if err = errors.Join(err, os.Chmod(dir, 0o755), os.Mkdir(dir+"/d", 0o755), os.Chown(dir+"/d", owner, group)); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "d/s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chown(socket, owner, group); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what      string
		dir, mode os.FileMode
		as        sysroot.Account
		want      error
	}{
		{"the owner", 0o700, 0o600, sysroot.Account{UID: owner, GID: other}, nil},
		{"another", 0o755, 0o600, sysroot.Account{UID: other, GID: other}, syscall.EACCES},
		{"another, a socket for all", 0o755, 0o666, sysroot.Account{UID: other, GID: other}, nil},
		{"another, in a private directory", 0o700, 0o666, sysroot.Account{UID: other, GID: other}, syscall.EACCES},
		{"the group", 0o750, 0o660, sysroot.Account{UID: other, GID: group}, nil},
		{"one more group", 0o750, 0o660, sysroot.Account{UID: other, GID: other, Groups: []int{7, group}}, nil},
		{"root", 0o700, 0, sysroot.Account{}, nil},
	} {
		if err := errors.Join(os.Chmod(socket, c.mode), os.Chmod(dir+"/d", c.dir)); err != nil {
			t.Fatal(err)
		}
		if err := root.Connect("/d/s", c.as); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
	if err := root.Connect("/d/none", sysroot.Account{}); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("nothing there: %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if err := root.Connect("/d/s", sysroot.Account{}); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nobody listens: %v", err)
	}
	if groups, err := os.Getgroups(); err != nil || os.Geteuid() != 0 || len(groups) == 2 && groups[0] == 7 {
		t.Errorf("this process is %d, %v now: %v", os.Geteuid(), groups, err)
	}
}

// Dial reaches a socket by a path of any length, and follows no link in its place.
func TestDial(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("d", 120))
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	root, err := sysroot.Open(filepath.Dir(long))
	if err = errors.Join(err, os.Mkdir(long, 0o755), os.Link(filepath.Join(dir, "s"), long+"/s"), os.Symlink(filepath.Join(dir, "s"), long+"/link"), os.WriteFile(long+"/f", nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	name := "/" + filepath.Base(long)
	if conn, err := root.Dial(t.Context(), name+"/s"); err != nil {
		t.Error(err)
	} else if err := conn.Close(); err != nil {
		t.Error(err)
	}
	for _, other := range []string{"/link", "/f", "/none"} {
		if conn, err := root.Dial(t.Context(), name+other); err == nil {
			conn.Close()
			t.Errorf("%s is connected to", other)
		}
	}
}
