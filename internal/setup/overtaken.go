package setup

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// Configure plans and applies, and where somebody else changed a file between the two plans anew from what is in force then: an edit by
// postconf(1) or an editor is never overwritten with what was worked out before it. plan is called at most tries times.
func Configure(ctx context.Context, plan func() (*Plan, func() error, error), show func(Change)) (p *Plan, err error) {
	const tries = 5
	for n := 1; ; n++ {
		var settled func() error
		if p, settled, err = plan(); err != nil {
			return p, err
		}
		err = p.Apply(ctx, show, settled)
		if !errors.Is(err, sysroot.ErrChanged) || n == tries || ctx.Err() != nil {
			return p, err
		}
		if err := p.overtaken(); err != nil {
			return p, err
		}
	}
}

// overtaken notes in the journal that the run goes on from the configuration as it is now. A main.cf that was not there when the run
// began is somebody else's, so what they wrote into it counts.
func (p *Plan) overtaken() error {
	main, err := readMainCF(p.d.Root)
	if err != nil && !errors.As(err, new(*brokenError)) {
		return err
	}
	p.journal.Fresh = p.journal.Fresh && main == nil && err == nil
	p.journal.Before, p.journal.After = mainSum(main), mainSum(main)
	return save(p.d.Root, paths.Pending, p.journal)
}

// unwritable finds a file of the settings that the plan would change and that can't be: all of them are left alone then, since half of the
// wishes may be worse than none. A host without main.cf has nothing that could be left alone.
func (p *Plan) unwritable() (path string, why error) {
	if p.h.main == nil || p.fresh {
		return "", nil
	}
	settings := map[string]bool{paths.MainCF: true, paths.Mailname: true, aliasPath(p.h.main): true}
	for _, c := range p.Changes {
		if why := p.writable(c.Path); settings[c.Path] && locked(why) {
			return c.Path, why
		}
	}
	if p.relay != leaveRelay {
		if why := p.writable(paths.MainCF); locked(why) {
			return paths.MainCF, why
		}
	}
	return "", nil
}

// writable asks the kernel whether a file can be replaced, writing nothing: a read-only mount and the attribute i (chattr(1)) are seen by
// access(2), and a file that something is mounted on can't be renamed over.
func (p *Plan) writable(path string) error {
	real, err := p.d.Root.Resolve(path)
	if err != nil {
		return nil
	}
	for _, at := range []string{real, filepath.Dir(real)} {
		if err := unix.Access(at, unix.W_OK); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &fs.PathError{Op: "write", Path: path, Err: err}
		}
	}
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, real, 0, unix.STATX_BASIC_STATS, &st); err == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return &fs.PathError{Op: "write", Path: path, Err: unix.EBUSY}
	}
	return nil
}

// locked tells errors that last until somebody changes a mount or an attribute from those that pass, such as a full disk.
func locked(err error) bool {
	for _, errno := range []syscall.Errno{unix.EROFS, unix.EPERM, unix.EACCES, unix.EBUSY} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
