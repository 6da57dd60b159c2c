package sysroot_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

// ends fails where do waits for somebody.
func ends(t *testing.T, what string, do func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		defer func() { _ = recover() }()
		done <- do()
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Errorf("%s: a named pipe is a directory", what)
		}
	case <-time.After(time.Minute):
		t.Fatalf("%s waits for whoever writes into a named pipe", what)
	}
}

func TestANamedPipeInThePlaceOfADirectory(t *testing.T) {
	r := sysroottest.New(t, map[string]string{"dir/": ""})
	top, err := os.OpenRoot(r.Dir())
	if err != nil {
		t.Fatal(err)
	}
	defer top.Close()
	for name, opened := range map[string]func() (*os.Root, error){
		"OpenDir":   func() (*os.Root, error) { return sysroot.OpenDir(filepath.Join(r.Dir(), "dir")) },
		"OpenDirIn": func() (*os.Root, error) { return sysroot.OpenDirIn(top, "dir") },
	} {
		if d, err := opened(); err != nil {
			t.Errorf("%s of a directory: %v", name, err)
		} else {
			d.Close()
		}
	}
	if err := unix.Mkfifo(filepath.Join(r.Dir(), "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	nothing := func(_ any, err error) error { return err }
	for what, do := range map[string]func() error{
		"OpenDir":   func() error { return nothing(sysroot.OpenDir(filepath.Join(r.Dir(), "pipe"))) },
		"OpenDirIn": func() error { return nothing(sysroot.OpenDirIn(top, "pipe")) },
		"WriteFile": func() error { return nothing(r.WriteFile("/pipe/file", []byte("x"), sysroot.Attr{})) },
		"MkdirAll":  func() error { return nothing(r.MkdirAll("/pipe/dir", sysroot.Attr{})) },
		"SweepTemp": func() error { return nothing(r.SweepTemp("/pipe/file")) },
		"Symlink":   func() error { return nothing(r.Symlink("x", "/pipe/link")) },
		"Rename":    func() error { return r.Rename("/pipe/file", "/pipe/other") },
	} {
		ends(t, what, do)
	}
}

// Whoever owns the directory above exchanges it for a named pipe at any moment, also right before it is opened.
func TestOpenDirInWhileItIsExchanged(t *testing.T) {
	r := sysroottest.New(t, map[string]string{"dir/": ""})
	top, err := os.OpenRoot(r.Dir())
	if err != nil {
		t.Fatal(err)
	}
	defer top.Close()
	dir, pipe := filepath.Join(r.Dir(), "dir"), filepath.Join(r.Dir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	defer func() { close(stop); <-stopped }()
	go func() {
		defer close(stopped)
		defer func() { _ = recover() }()
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, dir, unix.AT_FDCWD, pipe, unix.RENAME_EXCHANGE)
			}
		}
	}()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }()
		for range 50000 {
			if d, err := sysroot.OpenDirIn(top, "dir"); err == nil {
				d.Close()
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it waits for whoever writes into a named pipe")
	}
}
