package sysroot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Attr is the mode and owner of a file or directory. An existing file keeps its own unless Force is set, so that an
// administrator's "chmod 0640 main.cf" survives every edit of ours (Debian's postconf -e makes it 0644 again).
type Attr struct {
	Mode     fs.FileMode // permission bits, setuid, setgid and sticky; 0 means 0644, for a directory 0755; see Exact
	UID, GID int
	Force    bool
	// Seen is the file that the new content was worked out from. If it is another one right before the rename, the write ends with
	// ErrChanged and nothing is touched: what somebody did meanwhile wins. nil does not look.
	Seen *Seen
	// Settled gives the file a time stamp of some seconds ago, see settle. After is a time that the stamp must be later than, such as
	// that of the index of a table, which has to look old until it is made again.
	Settled bool
	After   time.Time
}

func (a Attr) mode(fallback fs.FileMode) fs.FileMode {
	if a.Mode == 0 {
		return fallback
	}
	return a.Mode & modeBits
}

// modeBits are the bits that chmod(2) sets.
const modeBits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

// Exact gives the mode of an existing file for Attr: a file that nobody but root may read (0000) must not become one of the default mode.
func Exact(mode fs.FileMode) fs.FileMode {
	if mode &= modeBits; mode == 0 {
		return fs.ModeIrregular // stands for no bit at all
	}
	return mode
}

// WriteFile makes p hold data. Where it already does (and with Force has the wanted attributes) nothing is touched and changed is
// false. A symbolic link is followed inside the tree and stays a link. After a crash at any point p is wholly the old or
// wholly the new file. A hard-linked file becomes a separate one.
func (r *Root) WriteFile(p string, data []byte, attr Attr) (changed bool, err error) {
	real, err := r.Resolve(p)
	if err != nil {
		return false, err
	}
	dir, err := OpenDir(filepath.Dir(real))
	if err != nil {
		return false, fmt.Errorf("cannot write %q: %w", p, err)
	}
	defer dir.Close()
	changed, err = Replace(dir, filepath.Base(real), data, attr)
	if err != nil {
		return changed, fmt.Errorf("cannot write %q: %w", p, err)
	}
	return changed, nil
}

// Replace is WriteFile for the file name directly in dir; name must be no path. A symbolic link of that name is replaced
// by a file: nothing outside dir is ever written.
func Replace(dir *os.Root, name string, data []byte, attr Attr) (changed bool, err error) {
	n, changed, err := Prepare(dir, name, data, attr)
	if err != nil || n == nil {
		return changed, err
	}
	defer n.Drop()
	if err := n.Sync(); err != nil {
		return true, err
	}
	if err := n.Put(); err != nil {
		return true, err
	}
	return true, syncDir(dir)
}

// holds tells whether the regular file name has exactly this content, reading it only where the sizes are equal. Whoever owns dir may have put
// a named pipe or a file without an end under the name since it was looked at.
func holds(dir *os.Root, name string, old fs.FileInfo, data []byte) (bool, error) {
	if old.Size() != int64(len(data)) {
		return false, nil
	}
	f, err := dir.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	have, err := readAll(f, old.Size())
	return err == nil && bytes.Equal(have, data), err
}

// setAttr works on the descriptor of the file or directory that old describes: whoever owns dir may put something else under the name.
func setAttr(dir *os.Root, name string, old fs.FileInfo, attr Attr, fallback fs.FileMode) (bool, error) {
	want := attr.mode(fallback)
	uid, gid := Owner(old)
	owner := uid != attr.UID || gid != attr.GID
	if !owner && old.Mode()&modeBits == want {
		return false, nil
	}
	f, err := dir.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !os.SameFile(fi, old) {
		return false, &fs.PathError{Op: "chown", Path: name, Err: errors.Join(err, errors.New("another took its place"))}
	}
	if owner {
		if err := f.Chown(attr.UID, attr.GID); err != nil {
			return false, err
		}
	}
	return true, f.Chmod(want) // after chown(2), which clears setuid and setgid
}

// create makes the new file for name under the name temp. It must get to the disk before its lasting name does (fsync(2), then rename(2)): a
// file system may else show an empty file after a power loss. Owner and extended attributes (ACL, SELinux label) are those of the file that
// it replaces. An open file beside an error is one that has to be removed.
func create(dir *os.Root, name, temp string, data []byte, attr Attr) (*os.File, error) {
	f, err := dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	// The lock tells Sweep of another process that this file is in use; without it the sweep is only less careful.
	_ = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if _, err := f.Write(data); err != nil {
		return f, err
	}
	if err := f.Chown(attr.UID, attr.GID); err != nil {
		return f, err
	}
	if err := f.Chmod(attr.mode(0o644)); err != nil {
		return f, err
	}
	if err := copyXattr(dir, name, f); err != nil {
		return f, err
	}
	return f, settle(dir, name, temp, attr)
}

// syncDir makes a rename or removal in dir last through a power loss.
func syncDir(dir *os.Root) error {
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) { // some file systems have no fsync of directories
		return err
	}
	return nil
}

// copyXattr gives the new file the extended attributes of the old one: ACLs and SELinux labels among them.
func copyXattr(dir *os.Root, name string, to *os.File) error {
	from, err := dir.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil // no old file, or a link: nothing to keep
	}
	defer from.Close()
	if n, err := unix.Flistxattr(int(from.Fd()), nil); err != nil || n <= 0 { // as nearly always
		return nil
	}
	names := make([]byte, 65536) // the kernel's own limit for a list of names: xattr(7)
	n, err := unix.Flistxattr(int(from.Fd()), names)
	if err != nil || n <= 0 {
		return nil
	}
	for _, attr := range strings.Split(strings.TrimRight(string(names[:n]), "\x00"), "\x00") {
		value := make([]byte, 65536)
		n, err := unix.Fgetxattr(int(from.Fd()), attr, value)
		if err != nil {
			continue
		}
		err = unix.Fsetxattr(int(to.Fd()), attr, value[:n], 0)
		if err != nil && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("cannot keep attribute %q: %w", attr, err)
		}
	}
	return nil
}

// MkdirAll makes the directory p and its missing parents (0755, root's). An existing p gets attr's mode and owner only with Force.
func (r *Root) MkdirAll(p string, attr Attr) (changed bool, err error) {
	real, err := r.Resolve(p)
	if err != nil {
		return false, err
	}
	parent := filepath.Dir(real)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return false, fmt.Errorf("cannot make directory %q: %w", p, err)
	}
	dir, err := OpenDir(parent)
	if err != nil {
		return false, fmt.Errorf("cannot make directory %q: %w", p, err)
	}
	defer dir.Close()
	changed, err = Mkdir(dir, filepath.Base(real), attr)
	if err != nil {
		return changed, fmt.Errorf("cannot make directory %q: %w", p, err)
	}
	return changed, nil
}

// Mkdir makes the directory name in dir; one that exists gets attr only with Force. What is there and no directory is an error.
// It appears with its mode and owner: a crash never leaves a directory of nobody's that a second run would take for finished.
func Mkdir(dir *os.Root, name string, attr Attr) (changed bool, err error) {
	fi, err := dir.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, makeDir(dir, name, attr)
	case err != nil:
		return false, err
	case !fi.IsDir():
		return false, &fs.PathError{Op: "mkdir", Path: name, Err: unix.ENOTDIR}
	case !attr.Force:
		return false, nil
	}
	return setAttr(dir, name, fi, attr, 0o755)
}

// makeDir makes a directory under a temporary name, as Replace makes files, and renames it.
func makeDir(dir *os.Root, name string, attr Attr) error {
	temp := tempName(name)
	if err := dir.Mkdir(temp, 0o700); err != nil {
		return err
	}
	defer dir.Remove(temp) // fails once it is renamed
	made, err := openMade(dir, temp)
	if err != nil {
		return err
	}
	defer made.Close()
	_ = unix.Flock(int(made.Fd()), unix.LOCK_EX|unix.LOCK_NB) // in use: see Sweep
	// By the descriptor: whoever owns dir may have put something else under the name by now.
	fi, err := made.Stat()
	if err != nil {
		return err
	}
	if uid, gid := Owner(fi); uid != attr.UID || gid != attr.GID {
		if err := made.Chown(attr.UID, attr.GID); err != nil {
			return err
		}
	}
	if err := made.Chmod(attr.mode(0o755)); err != nil {
		return err
	}
	if err := dir.Rename(temp, name); err != nil {
		return err
	}
	return syncDir(dir)
}

// openMade opens the directory that was just made with the mode 0700. In a dir of another account's another directory may have got its name
// meanwhile; one that is empty, this process's own and closed to everybody else is as good.
func openMade(dir *os.Root, name string) (*os.File, error) {
	f, err := dir.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil {
		if uid, _ := Owner(fi); uid != os.Geteuid() || fi.Mode().Perm()&^0o700 != 0 {
			err = errors.New("another took its place")
		} else if _, more := f.Readdirnames(1); !errors.Is(more, io.EOF) {
			err = errors.New("another that is not empty took its place")
		}
	}
	if err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "mkdir", Path: name, Err: err}
	}
	return f, nil
}

// Symlink makes p a symbolic link with the text target; one that says so already is left alone, anything else there
// (but a directory) is replaced in one rename.
func (r *Root) Symlink(target, p string) (changed bool, err error) {
	real, err := r.Path(p)
	if err != nil {
		return false, err
	}
	if have, err := os.Readlink(real); err == nil && have == target {
		return false, nil
	}
	dir, err := OpenDir(filepath.Dir(real))
	if err != nil {
		return false, fmt.Errorf("cannot link %q: %w", p, err)
	}
	defer dir.Close()
	temp := tempName(filepath.Base(real))
	defer dir.Remove(temp) // fails once it is renamed
	err = dir.Symlink(target, temp)
	if err == nil {
		err = dir.Rename(temp, filepath.Base(real))
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return false, fmt.Errorf("cannot link %q: %w", p, err)
	}
	return true, nil
}

// Remove deletes the file or empty directory p; what is not there is no error.
func (r *Root) Remove(p string) (changed bool, err error) {
	real, err := r.Path(p)
	if err != nil {
		return false, err
	}
	switch err := os.Remove(real); {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	default:
		return false, fmt.Errorf("cannot remove %q: %w", p, err)
	}
	dir, err := OpenDir(filepath.Dir(real))
	if err != nil {
		return true, nil
	}
	defer dir.Close()
	return true, syncDir(dir)
}

// Rename gives the file p another name in its directory; a file of that name is replaced.
func (r *Root) Rename(p, to string) error {
	from, err := r.Path(p)
	if err != nil {
		return err
	}
	dir, err := OpenDir(filepath.Dir(from))
	if err != nil {
		return fmt.Errorf("cannot rename %q: %w", p, err)
	}
	defer dir.Close()
	err = dir.Rename(filepath.Base(from), filepath.Base(to))
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("cannot rename %q to %q: %w", p, to, err)
	}
	return nil
}
