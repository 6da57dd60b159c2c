package sysroot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrBounds is for a tree that is deeper, or has more in it, than a Walker goes through.
var ErrBounds = errors.New("out of bounds")

// walkBatch is how many names of a directory are in memory at a time.
const walkBatch = 1000

// Walker goes through a tree that others may write to, who may put anything there.
type Walker struct {
	// Visit gets what is in a directory before the directory itself: the entry, its directory, open, and the path of that below where the
	// walk began. A file that has gone away meanwhile (fs.ErrNotExist) does not matter; any other error ends the walk.
	Visit func(in *os.Root, e fs.DirEntry, at string) error
	Depth int // of directories in each other, at most
	Most  int // entries of all walks, at most
	seen  int
}

// Walk visits all below in/name. No link is followed. There is nothing to visit where nothing has that name. The error is ENOTDIR where it is no
// directory, ErrBounds, the context's, Visit's, or one of reading.
func (w *Walker) Walk(ctx context.Context, in *os.Root, name string) error {
	fi, err := in.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !fi.IsDir() {
		err = &fs.PathError{Op: "walk", Path: name, Err: syscall.ENOTDIR}
	}
	if err == nil {
		err = w.enter(ctx, in, name, name, w.Depth)
	}
	return err
}

// enter goes through the directory name of in. It is opened in its parent: a path from the top would cost as much again at each level.
func (w *Walker) enter(ctx context.Context, in *os.Root, name, at string, depth int) error {
	if depth == 0 {
		return fmt.Errorf("%w: directories lie more than %d deep in it", ErrBounds, w.Depth)
	}
	dir, err := OpenDirIn(in, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	f, err := list(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		entries, err := w.batch(ctx, f)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := w.entry(ctx, dir, walked{e, dir}, at, depth); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
}

// list opens a directory for its names. What is opened in an os.Root has each entry looked up as well, which takes longer than all the rest of
// a walk; its descriptor alone does not.
func list(dir *os.Root) (*os.File, error) {
	f, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "dup", Path: dir.Name(), Err: err}
	}
	return os.NewFile(uintptr(fd), "."), nil
}

// walked is an entry that is looked up in its directory, whatever has its name elsewhere.
type walked struct {
	os.DirEntry
	in *os.Root
}

// Info is os.DirEntry's.
func (e walked) Info() (fs.FileInfo, error) { return e.in.Lstat(e.Name()) }

// batch reads the next entries of a directory, as long as there is time and there are not too many.
func (w *Walker) batch(ctx context.Context, dir *os.File) ([]os.DirEntry, error) {
	entries, err := dir.ReadDir(walkBatch)
	if err != nil {
		return nil, err
	}
	if w.seen += len(entries); w.seen > w.Most {
		return nil, fmt.Errorf("%w: there are more than %d files", ErrBounds, w.Most)
	}
	return entries, ctx.Err()
}

func (w *Walker) entry(ctx context.Context, dir *os.Root, e os.DirEntry, at string, depth int) error {
	if e.IsDir() {
		if err := w.enter(ctx, dir, e.Name(), at+"/"+e.Name(), depth-1); err != nil {
			return err
		}
	}
	return w.Visit(dir, e, at)
}
