package sysroot

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// TrustedPlace tells whether nobody but root decides what the name p means, now and later: to what a link there leads, whether a socket or
// mount point of that name is the one that root made. It need not be there. Only then may root hand the name to another program, which
// looks at it at a time of its own (systemd calls bind(2), and chown(2) after it). The error is an *UntrustedError, or of the system.
func (r *Root) TrustedPlace(p string) error {
	place := place{root: r, asked: p}
	return place.check(p)
}

type place struct {
	root  *Root
	asked string
	links int
}

// check looks at the directory of the name p, and where a link of that name leads. Nothing is folded ("link/.." is no ".").
func (w *place) check(p string) error {
	if w.links++; w.links > maxLinks {
		return &fs.PathError{Op: "look at", Path: w.asked, Err: unix.ELOOP}
	}
	p = strings.TrimRight(p, "/")
	dir := p[:strings.LastIndexByte(p, '/')+1]
	if dir == "" { // the root directory, or no absolute path: Trusted says so
		return w.root.Trusted(w.asked)
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
	err := w.root.Trusted(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return w.check(dir) // who could make it?
	}
	if untrusted := (*UntrustedError)(nil); errors.As(err, &untrusted) {
		return &UntrustedError{Path: w.asked, At: untrusted.At, Why: untrusted.Why}
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
		return &UntrustedError{Path: w.asked, At: path.Clean(dir), Why: "is for files of everybody (choose another directory)"}
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
