package sysroot

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// Attr is the mode and owner of a file or directory. An existing file keeps its own unless Force is set, so that an
// administrator's "chmod 0640 main.cf" survives every edit of ours (Debian's postconf -e makes it 0644 again).
type Attr struct {
	Mode     fs.FileMode // permission bits, setuid, setgid and sticky; 0 means 0644, for a directory 0755; see Exact
	UID, GID int
	Force    bool
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
	dir, err := os.OpenRoot(filepath.Dir(real))
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
	if name != filepath.Base(name) {
		return false, fmt.Errorf("%q is not the name of a file in a directory", name)
	}
	old, err := dir.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return false, err
	case old.IsDir():
		return false, &fs.PathError{Op: "write", Path: name, Err: unix.EISDIR}
	case old.Mode().IsRegular():
		if !attr.Force {
			attr.Mode = Exact(old.Mode())
			attr.UID, attr.GID = Owner(old)
		}
		if same, err := holds(dir, name, old, data); err != nil {
			return false, err
		} else if same {
			return setAttr(dir, name, old, attr, 0o644)
		}
	}
	return true, replace(dir, name, data, attr)
}

// holds tells whether the regular file name has exactly this content, reading it only where the sizes are equal.
func holds(dir *os.Root, name string, old fs.FileInfo, data []byte) (bool, error) {
	if old.Size() != int64(len(data)) {
		return false, nil
	}
	have, err := dir.ReadFile(name)
	return err == nil && bytes.Equal(have, data), err
}

func setAttr(dir *os.Root, name string, old fs.FileInfo, attr Attr, fallback fs.FileMode) (bool, error) {
	want := attr.mode(fallback)
	uid, gid := Owner(old)
	owner := uid != attr.UID || gid != attr.GID
	if owner {
		if err := dir.Lchown(name, attr.UID, attr.GID); err != nil {
			return false, err
		}
	}
	if owner || old.Mode()&modeBits != want { // chown(2) clears setuid and setgid
		return true, dir.Chmod(name, want)
	}
	return false, nil
}

// replace writes a temporary file beside the target and renames it over. renameio brings the fsync of the file and the
// clean-up; the directory's own fsync, owner and extended attributes (ACL, SELinux label) are ours.
func replace(dir *os.Root, name string, data []byte, attr Attr) error {
	t, err := renameio.NewPendingFile(name, renameio.WithRoot(dir), renameio.WithPermissions(0o600))
	if err != nil {
		return err
	}
	defer t.Cleanup()
	// The lock tells SweepTemp of another process that this file is in use; without it the sweep is only less careful.
	_ = unix.Flock(int(t.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if _, err := t.Write(data); err != nil {
		return err
	}
	if err := t.Chown(attr.UID, attr.GID); err != nil {
		return err
	}
	if err := t.Chmod(attr.mode(0o644)); err != nil {
		return err
	}
	if err := copyXattr(dir, name, t.File); err != nil {
		return err
	}
	if err := t.CloseAtomicallyReplace(); err != nil {
		return err
	}
	return syncDir(dir)
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

// SweepTemp removes what an interrupted WriteFile of p left beside it: files named "." + name + digits that no living
// process holds. It returns their number.
func (r *Root) SweepTemp(p string) (int, error) {
	real, err := r.Resolve(p)
	if err != nil {
		return 0, err
	}
	dir, err := os.OpenRoot(filepath.Dir(real))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("cannot sweep beside %q: %w", p, err)
	}
	defer dir.Close()
	return Sweep(dir, func(target string) bool { return target == filepath.Base(real) })
}

// Sweep removes temporary files of Replace in dir whose target name is accepted by mine.
func Sweep(dir *os.Root, mine func(target string) bool) (int, error) {
	d, err := dir.Open(".")
	if err != nil {
		return 0, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return 0, err
	}
	removed := 0
	for _, name := range names {
		target := strings.TrimRight(name, "0123456789")
		// renameio appends up to 19 random digits; the target's own name may end in digits too.
		for ok := strings.HasPrefix(name, ".") && len(target) < len(name); ok; {
			if mine(target[1:]) && stale(dir, name) {
				if err := dir.Remove(name); err == nil {
					removed++
				}
				break
			}
			if ok = len(target)+1 < len(name); ok {
				target = name[:len(target)+1]
			}
		}
	}
	return removed, nil
}

// stale tells whether name is an empty directory, or a regular file that no writer holds locked.
func stale(dir *os.Root, name string) bool {
	fi, err := dir.Lstat(name)
	if err == nil && fi.IsDir() {
		return true // one that is not empty is not removed
	}
	if err != nil || !fi.Mode().IsRegular() {
		return false
	}
	f, err := dir.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
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
	dir, err := os.OpenRoot(parent)
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
	temp := fmt.Sprintf(".%s%d", name, rand.Int64())
	if err := dir.Mkdir(temp, 0o700); err != nil {
		return err
	}
	defer dir.Remove(temp) // fails once it is renamed
	fi, err := dir.Lstat(temp)
	if err != nil {
		return err
	}
	if _, err := setAttr(dir, temp, fi, attr, 0o755); err != nil {
		return err
	}
	if err := dir.Rename(temp, name); err != nil {
		return err
	}
	return syncDir(dir)
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
	if err := renameio.Symlink(target, real); err != nil {
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
	dir, err := os.OpenRoot(filepath.Dir(real))
	if err != nil {
		return true, nil
	}
	defer dir.Close()
	return true, syncDir(dir)
}
