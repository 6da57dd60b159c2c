package multi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/sysroot"
)

// nest makes directories in each other below dir, whose paths no system call would take. The test's own clean-up can't take them
// away either, so that is done here.
func nest(t *testing.T, dir string, depth int) {
	t.Helper()
	fds := func(do func(fd int) error) {
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
		for err == nil {
			if err = do(fd); err == nil {
				next, e := unix.Openat(fd, "d", unix.O_PATH|unix.O_DIRECTORY, 0)
				unix.Close(fd)
				fd, err = next, e
			}
		}
		unix.Close(fd)
	}
	made := 0
	fds(func(fd int) error {
		if made == depth {
			return fs.SkipAll
		}
		made++
		return unix.Mkdirat(fd, "d", 0o700)
	})
	if made != depth {
		t.Fatalf("%d directories made, want %d", made, depth)
	}
	t.Cleanup(func() { // the inner half is hung up beside the outer one until all of it is flat
		for {
			fd, err := unix.Open(filepath.Join(dir, "d"), unix.O_PATH|unix.O_DIRECTORY, 0)
			if err != nil {
				return
			}
			if err := unix.Renameat(fd, "d", unix.AT_FDCWD, filepath.Join(dir, "e")); err != nil {
				unix.Close(fd)
				_ = os.Remove(filepath.Join(dir, "d"))
				return
			}
			unix.Close(fd)
			if os.Remove(filepath.Join(dir, "d")) != nil || os.Rename(filepath.Join(dir, "e"), filepath.Join(dir, "d")) != nil {
				return
			}
		}
	})
}

// Whoever writes in a queue can make it as deep as the disk allows. It is refused after a few levels, not walked for minutes.
func TestQueueDepth(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		depth   int
		wantErr string
	}{
		"as deep as Postfix makes it": {depth: 3},
		"far deeper":                  {depth: 2_000, wantErr: "more than 20 deep"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			deferred := filepath.Join(dir, "q/deferred")
			if err := os.MkdirAll(deferred, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(deferred, "4XYZ"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			nest(t, deferred, c.depth)
			root, err := sysroot.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			q, err := countQueue(context.Background(), root, "/q", queueDirs)
			emptied := emptyQueue(context.Background(), root, "/q", queueDirs, true, true)
			left, _ := os.ReadDir(deferred)
			if c.wantErr == "" {
				if err != nil || q.Deferred != 1 || emptied != nil || len(left) > 0 {
					t.Errorf("count %+v, %v; emptied: %v, left %v", q, err, emptied, left)
				}
				return
			}
			for _, err := range []error{err, emptied} {
				if err == nil || !strings.Contains(err.Error(), c.wantErr) || !strings.Contains(err.Error(), `"/q/deferred"`) {
					t.Errorf("got %v, want %q", err, c.wantErr)
				}
			}
			if len(left) != 2 {
				t.Errorf("something was removed before it was refused: %v", left)
			}
		})
	}
}

// Who may write to a queue names what is left of it: a terminal obeys some names, and nobody reads a million.
func TestLeftoversAreQuotedAndFew(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]string{"q/a\x1b]0;x\a\nb": "", "d/": ""})
	for i := range 30 {
		f.put(f.path(fmt.Sprintf("/d/%02d", i)), nil)
	}
	left := f.host().leftovers(instance.Instance{ConfigDir: "/gone", QueueDir: "/q", DataDir: "/d"})
	if len(left) != 2 || left[1] != `/q ("a\x1b]0;x\a\nb")` {
		t.Fatalf("got %q", left)
	}
	if n := strings.Count(left[0], `"`); n != 2*20 || !strings.HasSuffix(left[0], " and more)") {
		t.Errorf("it names %d: %s", n/2, left[0])
	}
	if _, err := f.host().firstNames("/gone", 1); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what is not there has names: %v", err)
	}
}
