package sysroot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// New is a file that is written beside the one that it is to replace and has still to get to the disk: Sync, or SyncAll for many, then Put.
// A disk takes many files at once in the time of one: what waits for each alone waits for hundreds of commits of the file system's journal.
type New struct {
	dir        *os.Root
	name, temp string
	file       *os.File
	attr       Attr
}

// Prepare is Replace but for the last steps. n is nil where they are not needed: the file is as it should be by now, and changed tells
// whether it was before. Whoever gets a New calls Drop in the end.
func Prepare(dir *os.Root, name string, data []byte, attr Attr) (n *New, changed bool, err error) {
	if name != filepath.Base(name) {
		return nil, false, fmt.Errorf("%q is not the name of a file in a directory", name)
	}
	if err := attr.Seen.check(dir, name); err != nil { // before anything is made beside it
		return nil, false, err
	}
	old, err := dir.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, false, err
	case old.IsDir():
		return nil, false, &fs.PathError{Op: "write", Path: name, Err: unix.EISDIR}
	case old.Mode().IsRegular():
		if !attr.Force {
			attr.Mode = Exact(old.Mode())
			attr.UID, attr.GID = Owner(old)
		}
		if same, err := holds(dir, name, old, data); err != nil {
			return nil, false, err
		} else if same {
			changed, err := setAttr(dir, name, old, attr, 0o644)
			return nil, changed, err
		}
	}
	n = &New{dir: dir, name: name, temp: tempName(name), attr: attr}
	if n.file, err = create(dir, name, n.temp, data, attr); err != nil {
		n.Drop()
		return nil, true, err
	}
	return n, true, nil
}

// Sync has the content get to the disk.
func (n *New) Sync() error { return n.file.Sync() }

// Put gives the file its name, which is all or nothing in the eyes of whoever reads it. Whether that outlasts a power loss is open until the
// directory is synced, or the file system's journal is written: either the old or the new file is there then.
func (n *New) Put() error {
	if err := n.attr.Seen.check(n.dir, n.name); err != nil {
		return err
	}
	if err := n.dir.Rename(n.temp, n.name); err != nil {
		return err
	}
	n.temp = ""
	return nil
}

// Drop ends the work on the file: one that is not in its place is removed.
func (n *New) Drop() {
	if n.file == nil {
		return
	}
	if n.temp != "" {
		_ = n.dir.Remove(n.temp)
	}
	n.Close()
}

// Close ends it without a removal: whoever is killed removes nothing.
func (n *New) Close() { _ = n.file.Close() }

// atOnce is how many files of one call are synced at a time.
const atOnce = 8

// SyncAll has the content of all get to the disk; errors are in the order of the files.
func SyncAll(files []*os.File) []error {
	errs := make([]error, len(files))
	var others sync.WaitGroup
	each := func(from int) {
		for n := from; n < len(files); n += atOnce {
			errs[n] = files[n].Sync()
		}
	}
	for from := 1; from < min(atOnce, len(files)); from++ {
		others.Go(func() { each(from) })
	}
	each(0)
	others.Wait()
	return errs
}

// File is the open file, for SyncAll.
func (n *New) File() *os.File { return n.file }

// Append adds data to the end of the file p, in one call, and gives what has to be synced for that to last, open: the file, and if there was
// none before its directory. After a power loss p may end anywhere within data, or in zeros.
func (r *Root) Append(p string, data []byte, attr Attr) (open []*os.File, err error) {
	fail := func(err error) ([]*os.File, error) { return nil, fmt.Errorf("cannot write %q: %w", p, err) }
	real, err := r.Resolve(p)
	if err != nil {
		return nil, err
	}
	dir, err := OpenDir(filepath.Dir(real))
	if err != nil {
		return fail(err)
	}
	defer dir.Close()
	const flags = os.O_WRONLY | os.O_APPEND | unix.O_NOFOLLOW | unix.O_NONBLOCK
	f, err := dir.OpenFile(filepath.Base(real), flags, 0)
	if made := errors.Is(err, fs.ErrNotExist); made {
		if f, err = dir.OpenFile(filepath.Base(real), flags|os.O_CREATE, attr.mode(0o644)); err == nil {
			if d, err := dir.Open("."); err == nil {
				open = append(open, d)
			}
		}
	}
	if err != nil {
		return fail(err)
	}
	open = append(open, f)
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err == nil {
		var n int
		if n, err = f.Write(data); err == nil && n < len(data) {
			err = io.ErrShortWrite
		}
		if err != nil { // a disk that is full takes some of it
			_ = f.Truncate(fi.Size())
		}
	}
	if err != nil {
		CloseAll(open)
		return fail(err)
	}
	return open, nil
}

// CloseAll closes what nobody has to wait for.
func CloseAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
