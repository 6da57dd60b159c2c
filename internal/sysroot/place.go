package sysroot

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// TrustedPlace tells whether nobody but root decides what the name p means, now and later: to what a link there leads, whether a socket or
// mount point of that name is the one that root made. It need not be there. Only then may root hand the name to another program, which
// looks at it at a time of its own (systemd calls bind(2), and chown(2) after it). The error is an *UntrustedError, or of the system.
func (r *Root) TrustedPlace(p string) error {
	place := place{root: r, path: p, self: os.Geteuid()}
	return place.check(p)
}

// PlaceOwner gives the one account that beside root decides what the name p means, 0 if root alone does. A process that uses the name and
// has no more rights than that account can be led nowhere that the account could not go by itself. The error is an *UntrustedError
// where others decide as well, and of the system where the directory of p is not there: nobody knows then whose it will be.
func (r *Root) PlaceOwner(p string) (uid int, err error) {
	look := place{root: r, path: p, self: os.Geteuid(), there: true}
	err = look.check(p)
	untrusted := (*UntrustedError)(nil)
	if !errors.As(err, &untrusted) {
		return 0, err
	}
	fi, e := r.Lstat(untrusted.At)
	if e != nil {
		return 0, e
	}
	if uid, _ = Owner(fi); uid == 0 {
		return 0, err // a group, or everybody
	}
	look.self, look.links = uid, 0
	return uid, look.check(p)
}

type place struct {
	root  *Root
	path  string
	self  int  // whose names are as good as root's
	there bool // the directory must be
	links int
}

// check looks at the directory of the name p, and where a link of that name leads. Nothing is folded ("link/.." is no ".").
func (w *place) check(p string) error {
	if w.links++; w.links > maxLinks {
		return &fs.PathError{Op: "look at", Path: w.path, Err: unix.ELOOP}
	}
	p = strings.TrimRight(p, "/")
	dir := p[:strings.LastIndexByte(p, '/')+1]
	if dir == "" { // the root directory, or no absolute path: Trusted says so
		return w.root.trusted(w.path, w.self)
	}
	if err := w.dir(dir); err != nil {
		return err
	}
	target, err := w.root.Readlink(p)
	if err != nil {
		return nil // no link, or nothing: by its directory nobody else can put one there
	}
	if !path.IsAbs(target) {
		target = dir + target
	}
	return w.check(target)
}

// dir is for a directory in which nobody else may make names.
func (w *place) dir(dir string) error {
	err := w.root.trusted(dir, w.self)
	if errors.Is(err, fs.ErrNotExist) && !w.there {
		return w.check(dir) // who could make it?
	}
	if untrusted := (*UntrustedError)(nil); errors.As(err, &untrusted) {
		return &UntrustedError{Path: w.path, At: untrusted.At, Why: untrusted.Why}
	}
	if err != nil {
		return err
	}
	fi, err := w.root.Stat(dir)
	if err != nil {
		return err
	}
	_, gid := Owner(fi)
	shared := func() bool { return gid != 0 || w.root.others(dir) != "" }
	if mode := fi.Mode().Perm(); mode&0o002 != 0 || mode&0o020 != 0 && shared() { // with the sticky bit, or it were not trusted
		return &UntrustedError{Path: w.path, At: path.Clean(dir), Why: "is for files of everybody (choose another directory)"}
	}
	return nil
}

// others says whether an access control list lets others write to a directory that is trusted, so that its name leads to nothing else.
func (r *Root) others(dir string) string {
	real, err := r.real(dir)
	if err != nil {
		return err.Error()
	}
	return listedAt(real)
}
