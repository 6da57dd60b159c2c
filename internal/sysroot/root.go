// Package sysroot (ring: port) reads and writes files of a system tree: the running system at "/", or another tree that
// dpkg names with DPKG_ROOT (dpkg(1)) or a test lays out. It is the only code that turns a system path into a real one,
// and the only code that writes files, each of them atomically.
package sysroot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxLinks is the kernel's own limit for symbolic links in one path (path_resolution(7)).
const maxLinks = 40

// Root is a system tree. Paths given to its methods are absolute as the system itself would name them; symbolic links
// are resolved as if the tree were already "/", so an absolute link never leads out of it.
type Root struct {
	dir string
	// Recorder is told of what is changed, with the change (package transaction); nil keeps no history.
	Recorder Recorder
}

// Open returns the tree at dir; "" means the running system. The error says why dir is no directory.
func Open(dir string) (*Root, error) {
	if dir == "" {
		dir = "/"
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot use %q as system root: %w", dir, err)
	}
	abs, err = filepath.EvalSymlinks(abs)
	if err != nil {
		return nil, fmt.Errorf("cannot use %q as system root: %w", dir, err)
	}
	fi, err := os.Stat(abs)
	if err != nil {
		return nil, fmt.Errorf("cannot use %q as system root: %w", dir, err)
	}
	if !fi.IsDir() {
		return nil, fmt.Errorf("cannot use %q as system root: not a directory", dir)
	}
	return &Root{dir: abs}, nil
}

// Dir is the tree's real path, "/" for the running system.
func (r *Root) Dir() string { return r.dir }

// IsHost tells whether the tree is the running system. Services, accounts and other live state belong to it alone.
func (r *Root) IsHost() bool { return r.dir == "/" }

// Path gives the real path of p: links in its directories are resolved inside the tree, its last element is not followed.
func (r *Root) Path(p string) (string, error) { return r.resolve(p, false) }

// Resolve gives the real path of what p finally names, its last element followed as well. What does not exist is
// resolved as far as it does, so the result can be created.
func (r *Root) Resolve(p string) (string, error) { return r.resolve(p, true) }

func (r *Root) resolve(p string, last bool) (string, error) {
	if !path.IsAbs(p) {
		return "", fmt.Errorf("cannot resolve %q: not an absolute path", p)
	}
	done, rest, links := "/", strings.TrimPrefix(path.Clean(p), "/"), 0
	for rest != "" {
		elem, tail, _ := strings.Cut(rest, "/")
		next := path.Join(done, elem)
		rest = tail
		if rest == "" && !last {
			done = next
			break
		}
		target, err := os.Readlink(filepath.Join(r.dir, next))
		if err != nil { // not a link, or not there: either way it is taken literally
			done = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("cannot resolve %q: %w", p, syscall.ELOOP)
		}
		if path.IsAbs(target) {
			done = "/"
		}
		// path.Clean would fold "link/.." before the link is read, so the pieces are joined by hand.
		rest = strings.TrimPrefix(strings.Trim(target, "/")+"/"+rest, "/")
		rest = strings.TrimSuffix(rest, "/")
	}
	return filepath.Join(r.dir, done), nil
}

// real is Resolve, spared for the running system where the kernel does the same.
func (r *Root) real(p string) (string, error) {
	if r.IsHost() && path.IsAbs(p) {
		return p, nil
	}
	return r.resolve(p, true)
}

// maxRead is more than any file that is read has: a sparse file in place of a configuration must not fill the memory.
const maxRead = 256 << 20

// ReadFile returns the content of p. A missing file gives an error for which errors.Is(err, fs.ErrNotExist) holds. What is no
// regular file, or too large to be meant, is an error, and a named pipe is not waited for.
func (r *Root) ReadFile(p string) ([]byte, error) { return r.ReadAtMost(p, maxRead) }

// ReadAtMost is ReadFile with another bound.
func (r *Root) ReadAtMost(p string, most int64) ([]byte, error) {
	real, err := r.real(p)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(real, os.O_RDONLY|unix.O_NONBLOCK, 0) // opening a named pipe would wait for ever
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, most)
}

// ReadWithin is ReadAtMost for a file of a directory that another account writes to: a link there leads nowhere else.
func (r *Root) ReadWithin(dir, name string, most int64) ([]byte, error) {
	real, err := r.real(dir)
	if err != nil {
		return nil, err
	}
	in, err := OpenDir(real)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	f, err := in.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, most)
}

// readAll reads an open file, and only if it is a regular one of a size that can be meant: it is the open file that is looked at, since
// another may stand under its name by now.
func readAll(f *os.File, most int64) ([]byte, error) {
	fi, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case fi.IsDir():
		return nil, &fs.PathError{Op: "read", Path: f.Name(), Err: syscall.EISDIR}
	case !fi.Mode().IsRegular():
		return nil, &fs.PathError{Op: "read", Path: f.Name(), Err: errors.New("not a regular file")}
	case fi.Size() > most:
		return nil, &fs.PathError{Op: "read", Path: f.Name(), Err: syscall.EFBIG}
	}
	data := make([]byte, 0, fi.Size()+bytes.MinRead)
	buf := bytes.NewBuffer(data)
	if _, err := buf.ReadFrom(io.LimitReader(f, most+1)); err != nil {
		return nil, err
	}
	if int64(buf.Len()) > most { // it grew
		return nil, &fs.PathError{Op: "read", Path: f.Name(), Err: syscall.EFBIG}
	}
	return buf.Bytes(), nil
}

// ReadFrom reads what the regular file p has from an offset on, at most so many bytes, and gives the offset behind it. A file that is shorter
// by now was begun anew, so it is read from its begin.
func (r *Root) ReadFrom(p string, offset, most int64) (data []byte, next int64, err error) {
	real, err := r.real(p)
	if err != nil {
		return nil, offset, err
	}
	f, err := os.OpenFile(real, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, offset, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, offset, err
	}
	if !fi.Mode().IsRegular() {
		return nil, offset, &fs.PathError{Op: "read", Path: real, Err: errors.New("not a regular file")}
	}
	if fi.Size() < offset {
		offset = 0
	}
	data, err = io.ReadAll(io.NewSectionReader(f, offset, most))
	return data, offset + int64(len(data)), err
}

// Stat describes what p finally names.
func (r *Root) Stat(p string) (fs.FileInfo, error) {
	real, err := r.real(p)
	if err != nil {
		return nil, err
	}
	return os.Stat(real)
}

// Lstat describes p itself, a symbolic link unfollowed.
func (r *Root) Lstat(p string) (fs.FileInfo, error) {
	if r.IsHost() && path.IsAbs(p) { // the kernel does the same
		return os.Lstat(path.Clean(p))
	}
	real, err := r.Path(p)
	if err != nil {
		return nil, err
	}
	return os.Lstat(real)
}

// ReadDir lists the directory p, sorted by name.
func (r *Root) ReadDir(p string) ([]fs.DirEntry, error) {
	real, err := r.real(p)
	if err != nil {
		return nil, err
	}
	return os.ReadDir(real)
}

// Readlink gives the text of the symbolic link p.
func (r *Root) Readlink(p string) (string, error) {
	real, err := r.Path(p)
	if err != nil {
		return "", err
	}
	return os.Readlink(real)
}

// Exists tells whether p finally names something. Only "not there" counts as no: any other trouble is an error, so that
// an unreadable directory is never taken for a missing file.
func (r *Root) Exists(p string) (bool, error) {
	_, err := r.Stat(p)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return false, nil
	}
	return false, fmt.Errorf("cannot look for %q: %w", p, err)
}

// Owner gives the numeric owner and group of fi, as far as the file system knows them.
func Owner(fi fs.FileInfo) (uid, gid int) {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid), int(st.Gid)
	}
	return 0, 0
}
