package sysroot

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// walkTree makes files and directories ("/" at the end), links ("NAME -> TARGET") and a named pipe.
func walkTree(t *testing.T, names ...string) *os.Root {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		name, target, link := strings.Cut(name, " -> ")
		full := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(full), 0o755)
		switch {
		case err != nil:
		case link:
			err = os.Symlink(target, full)
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(full, 0o755)
		case strings.HasSuffix(name, "|"):
			err = syscall.Mkfifo(full, 0o600)
		default:
			err = os.WriteFile(full, nil, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	in, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	return in
}

func TestWalk(t *testing.T) {
	in := walkTree(t, "q/a", "q/d/b", "q/d/e/c", "q/empty/", "q/link -> ../secret", "q/p|", "secret/s", "file", "elsewhere -> secret")
	failure := errors.New("of the visitor")
	for _, c := range []struct {
		name, dir string
		depth     int
		most      int
		over      bool
		visit     error
		want      string
		err       error
	}{
		{name: "what is in a directory comes before it", dir: "q", depth: 3, most: 8, want: "q/a q/d/b q/d/e/c q/d/e q/d q/empty q/link q/p|"},
		{name: "too deep", dir: "q", depth: 2, most: 100, err: ErrBounds},
		{name: "too many", dir: "q", depth: 3, most: 7, err: ErrBounds},
		{name: "no time", dir: "q", depth: 3, most: 100, over: true, err: context.Canceled},
		{name: "nothing there", dir: "none", depth: 3, most: 100},
		{name: "a file", dir: "file", depth: 3, most: 100, err: syscall.ENOTDIR},
		{name: "a link", dir: "elsewhere", depth: 3, most: 100, err: syscall.ENOTDIR},
		{name: "gone meanwhile", dir: "secret", depth: 3, most: 100, visit: fs.ErrNotExist, want: "secret/s"},
		{name: "refused", dir: "secret", depth: 3, most: 100, visit: failure, want: "secret/s", err: failure},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.over {
				cancel()
			}
			var seen []string
			w := Walker{Depth: c.depth, Most: c.most, Visit: func(_ *os.Root, e fs.DirEntry, at string) error {
				seen = append(seen, at+"/"+e.Name())
				return c.visit
			}}
			if err := w.Walk(ctx, in, c.dir); !errors.Is(err, c.err) || err != nil && c.err == nil {
				t.Errorf("error %v, want %v", err, c.err)
			}
			if c.name == "what is in a directory comes before it" {
				if before := func(x, y string) bool { return slices.Index(seen, x) < slices.Index(seen, y) }; !before("q/d/e/c", "q/d/e") || !before("q/d/e", "q/d") {
					t.Errorf("a directory comes before what is in it: %v", seen)
				}
			}
			want := strings.Fields(c.want)
			slices.Sort(want)
			slices.Sort(seen)
			if c.err == nil && !slices.Equal(seen, want) {
				t.Errorf("visited %v, want %v", seen, want)
			}
		})
	}
}

// The bound holds for all walks together.
func TestWalksTogether(t *testing.T) {
	in := walkTree(t, "a/1", "b/2")
	w := Walker{Depth: 1, Most: 1, Visit: func(*os.Root, fs.DirEntry, string) error { return nil }}
	if err := w.Walk(t.Context(), in, "a"); err != nil {
		t.Error(err)
	}
	if err := w.Walk(t.Context(), in, "b"); !errors.Is(err, ErrBounds) {
		t.Errorf("got %v for one file too many", err)
	}
}

// An entry is looked up in its own directory, whatever has its name where the process is.
func TestWalkedEntries(t *testing.T) {
	in := walkTree(t, "q/d/b")
	t.Chdir(t.TempDir())
	if err := os.WriteFile("b", []byte("longer"), 0o600); err != nil {
		t.Fatal(err)
	}
	seen := 0
	w := Walker{Depth: 3, Most: 10, Visit: func(_ *os.Root, e fs.DirEntry, _ string) error {
		if fi, err := e.Info(); e.Name() == "b" && (err != nil || fi.Size() != 0) {
			t.Errorf("%v, %v", fi, err)
		}
		seen++
		return nil
	}}
	if err := w.Walk(t.Context(), in, "q"); err != nil || seen != 2 {
		t.Errorf("%d, %v", seen, err)
	}
}
