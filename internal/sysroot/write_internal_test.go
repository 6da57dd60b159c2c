package sysroot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// In a directory of another account's something else may get the name of the directory that was just made; it must not be given away.
func TestOpenMade(t *testing.T) {
	for name, c := range map[string]struct {
		make func(at string) error
		good bool
	}{
		"the one that was made":     {func(at string) error { return os.Mkdir(at, 0o700) }, true},
		"a link to a directory":     {func(at string) error { return os.Symlink("other", at) }, false},
		"a file":                    {func(at string) error { return os.WriteFile(at, nil, 0o700) }, false},
		"one that others may enter": {func(at string) error { return os.Mkdir(at, 0o755) }, false},
		"one that is in use":        {func(at string) error { return os.MkdirAll(filepath.Join(at, "sub"), 0o700) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			at := t.TempDir()
			if err := os.Mkdir(filepath.Join(at, "other"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := c.make(filepath.Join(at, "temp")); err != nil {
				t.Fatal(err)
			}
			dir, err := os.OpenRoot(at)
			if err != nil {
				t.Fatal(err)
			}
			defer dir.Close()
			f, err := openMade(dir, "temp")
			if err == nil {
				f.Close()
			}
			if (err == nil) != c.good {
				t.Errorf("openMade: %v", err)
			}
		})
	}
}

// Mode and owner go to what was looked at, not to what has its name by then.
func TestSetAttr(t *testing.T) {
	for name, swap := range map[string]func(at string) error{
		"a link":            func(at string) error { return os.Symlink("other", at) },
		"another directory": func(at string) error { return os.Rename(filepath.Join(filepath.Dir(at), "other"), at) },
	} {
		t.Run(name, func(t *testing.T) {
			at := t.TempDir()
			for _, name := range []string{"other", "dir"} {
				if err := os.Mkdir(filepath.Join(at, name), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			dir, err := os.OpenRoot(at)
			if err != nil {
				t.Fatal(err)
			}
			defer dir.Close()
			old, err := dir.Lstat("dir")
			if err != nil {
				t.Fatal(err)
			}
			attr := Attr{Mode: 0o755, UID: os.Geteuid(), GID: os.Getegid()}
			if changed, err := setAttr(dir, "dir", old, attr, 0o755); !changed || err != nil {
				t.Errorf("the directory itself: %v, %v", changed, err)
			}
			if err := os.Rename(filepath.Join(at, "dir"), filepath.Join(at, "away")); err != nil {
				t.Fatal(err)
			}
			if err := swap(filepath.Join(at, "dir")); err != nil {
				t.Fatal(err)
			}
			attr.Mode = 0o777
			if _, err := setAttr(dir, "dir", old, attr, 0o755); err == nil {
				t.Error("something else was taken for it")
			}
			for _, name := range []string{"other", "dir", "away"} {
				if fi, err := os.Stat(filepath.Join(at, name)); err == nil && fi.Mode().Perm() == 0o777 {
					t.Errorf("%s got the mode", name)
				}
			}
		})
	}
}

// Whoever owns a directory can put something else under the name of a file between the look at it and its reading.
func TestHoldsWaitsForNobody(t *testing.T) {
	for name, put := range map[string]func(at string) error{
		"a named pipe":       func(at string) error { return unix.Mkfifo(at, 0o600) },
		"a file without end": func(at string) error { return errors.Join(os.WriteFile(at, nil, 0o600), os.Truncate(at, 1<<40)) },
	} {
		t.Run(name, func(t *testing.T) {
			at := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(at, []byte("text"), 0o600); err != nil {
				t.Fatal(err)
			}
			old, err := os.Lstat(at)
			if err := errors.Join(err, os.Remove(at), put(at)); err != nil {
				t.Fatal(err)
			}
			dir, err := os.OpenRoot(filepath.Dir(at))
			if err != nil {
				t.Fatal(err)
			}
			defer dir.Close()
			done := make(chan bool, 1)
			go func() {
				defer func() { _ = recover() }()
				same, _ := holds(dir, "file", old, []byte("text"))
				done <- same
			}()
			select {
			case same := <-done:
				if same {
					t.Error("it holds the text")
				}
			case <-time.After(time.Minute):
				t.Fatal("it waits")
			}
		})
	}
}

// A file that says what it should gets the owner and mode that it should have, setuid among them: chown(2) clears that.
func TestSetAttrOfAnotherOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	at := t.TempDir()
	dir, err := os.OpenRoot(at)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	file := filepath.Join(at, "program")
	if err := errors.Join(os.WriteFile(file, []byte("text"), 0o700), os.Chown(file, 123, 124)); err != nil {
		t.Fatal(err)
	}
	attr := Attr{Mode: Exact(fs.ModeSetgid | 0o755), UID: 0, GID: 125, Force: true}
	for _, want := range []bool{true, false} {
		if n, changed, err := Prepare(dir, "program", []byte("text"), attr); n != nil || changed != want || err != nil {
			t.Errorf("Prepare = %v, %v, %v", n, changed, err)
		}
	}
	fi, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if uid, gid := Owner(fi); uid != 0 || gid != 125 || fi.Mode() != fs.ModeSetgid|0o755 {
		t.Errorf("it is of %d:%d with mode %v", uid, gid, fi.Mode())
	}
}
