package sysroot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// UntrustedError says that somebody else than root decides what a path names or holds, so that root must neither obey it nor hand its
// name to another program.
type UntrustedError struct {
	Path string // as it was asked for
	At   string // the file, directory or link on the way that is not root's alone
	Why  string // what is wrong with it, and the remedy
}

// Error names both and the remedy.
func (e *UntrustedError) Error() string {
	if e.At == e.Path {
		return fmt.Sprintf("%q %s", e.Path, e.Why)
	}
	return fmt.Sprintf("%q is reached by %q, which %s", e.Path, e.At, e.Why)
}

// ReadTrusted is ReadFile for a file that steers what root does. Each directory and link on the way, and the file, must be root's (or this
// process's own) and not be writable by others; else the error is an *UntrustedError. What is checked is what is read.
func (r *Root) ReadTrusted(p string) ([]byte, error) {
	fd, err := r.walk(p, os.Geteuid())
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	// An O_PATH descriptor cannot be read; opened anew by its own name in /proc it is the same file whatever its path says by now.
	f, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: p, Err: err}
	}
	defer f.Close()
	return readAll(f, maxRead)
}

// Trusted tells whether p, a file or directory, and each directory and link on the way to it are root's (or this process's own) and not
// writable by others: nobody else can make the name mean something else afterwards, so it may be handed to another program. The
// error is an *UntrustedError, or says what is not there.
func (r *Root) Trusted(p string) error { return r.trusted(p, os.Geteuid()) }

// trusted is Trusted with another account's names taken for as good as root's.
func (r *Root) trusted(p string, self int) error {
	fd, err := r.walk(p, self)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// walk opens p with O_PATH, one name after the other, each looked at by its descriptor. What is the account's counts as root's.
func (r *Root) walk(p string, self int) (int, error) {
	if !path.IsAbs(p) {
		return -1, fmt.Errorf("cannot open %q: not an absolute path", p)
	}
	top, err := unix.Open(r.dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: r.dir, Err: err}
	}
	w := walker{path: p, self: self, fds: []int{top}, names: []string{"/"}}
	defer w.close()
	if err := w.check(top); err != nil {
		return -1, err
	}
	// Cleaned by hand: path.Clean would fold "link/.." before the link is read.
	return w.follow(strings.Split(p, "/"))
}

// walker is a walk through a tree: the directories that are open, from the top down to where it is.
type walker struct {
	path  string
	self  int
	fds   []int
	names []string
	links int
}

func (w *walker) close() {
	for _, fd := range w.fds {
		unix.Close(fd)
	}
}

func (w *walker) fail(err error) (int, error) {
	return -1, &fs.PathError{Op: "open", Path: w.path, Err: err}
}

// follow walks on by names, links among them, and gives the descriptor of the last one.
func (w *walker) follow(rest []string) (int, error) {
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			w.up()
			continue
		}
		here := w.fds[len(w.fds)-1]
		fd, err := unix.Openat(here, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return w.fail(err)
		}
		w.fds, w.names = append(w.fds, fd), append(w.names, path.Join(w.names[len(w.names)-1], name))
		if err := w.check(fd); err != nil {
			return -1, err
		}
		target, linked := readLink(fd)
		if !linked {
			continue
		}
		if w.links++; w.links > maxLinks {
			return w.fail(unix.ELOOP)
		}
		w.up()
		if path.IsAbs(target) {
			for len(w.fds) > 1 {
				w.up()
			}
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return unix.FcntlInt(uintptr(w.fds[len(w.fds)-1]), unix.F_DUPFD_CLOEXEC, 0)
}

// up leaves the deepest directory or link; the top's parent is the top.
func (w *walker) up() {
	if n := len(w.fds) - 1; n > 0 {
		unix.Close(w.fds[n])
		w.fds, w.names = w.fds[:n], w.names[:n]
	}
}

// readLink reads the link that an O_PATH descriptor stands for.
func readLink(fd int) (string, bool) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return "", false
	}
	return string(buf[:n]), true
}

// check looks at what a descriptor stands for.
func (w *walker) check(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_, err = w.fail(err)
		return err
	}
	why := untrusted(st, w.self)
	if why == "" {
		why = listed(fd, st)
	}
	if why != "" {
		return &UntrustedError{Path: w.path, At: w.names[len(w.names)-1], Why: why}
	}
	return nil
}

// untrusted says what is wrong with the owner and mode of something on the way, "" if nothing is. In a directory with the sticky bit nobody
// can rename or remove what is another's, and what others put there is looked at next.
func untrusted(st unix.Stat_t, self int) string {
	const others, group = 0o002, 0o020
	kind := st.Mode & unix.S_IFMT
	sticky := kind == unix.S_IFDIR && st.Mode&unix.S_ISVTX != 0
	switch {
	case st.Uid != 0 && int(st.Uid) != self:
		return fmt.Sprintf("belongs to the account %d, not to root (chown root)", st.Uid)
	case kind == unix.S_IFLNK || sticky: // everybody may write a link's mode, nobody the link
		return ""
	case st.Mode&others != 0:
		return "may be written by everybody (chmod o-w)"
	case st.Mode&group != 0 && st.Gid != 0:
		return fmt.Sprintf("may be written by the group %d (chmod g-w)", st.Gid)
	}
	return ""
}

// listed says whether an access control list may let others write: with one, the group's bits of the mode are what it allows to anybody that
// it names (acl(5)), so that the group itself says nothing.
func listed(fd int, st unix.Stat_t) string {
	if kind := st.Mode & unix.S_IFMT; kind == unix.S_IFLNK || kind == unix.S_IFDIR && st.Mode&unix.S_ISVTX != 0 || st.Mode&0o020 == 0 {
		return ""
	}
	// An O_PATH descriptor has no fgetxattr(2).
	return listedAt(fmt.Sprintf("/proc/self/fd/%d", fd))
}

// listedAt is listed for what has a bit for the group.
func listedAt(name string) string {
	_, err := unix.Getxattr(name, "system.posix_acl_access", nil)
	switch {
	case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP):
		return ""
	case err != nil:
		return fmt.Sprintf("may be written by others, for its access control list cannot be read: %v (chmod g-w)", err)
	}
	return "may be written by those whom its access control list names (chmod g-w, or setfacl -b)"
}
