package setup

import (
	"context"
	"errors"
	"fmt"
	"path"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/version"
)

// FlushTrigger asks, at the end of a dpkg run, for another try of all deferred mail.
const FlushTrigger = "postfix-maint-flush"

// crosses tells whether an upgrade leads to another release of Postfix, as from 3.7 to 3.10. The daemons of two releases do not
// understand each other: from the moment that dpkg unpacks the new ones, the old master starts them, and they defer mail.
func crosses(old, now string) bool {
	return old != "" && now != "" && version.Release(old) != version.Release(now)
}

// crossing restarts at the earliest moment that dpkg allows: the package is being configured, so all that it depends on is. (Earlier, the
// libraries that the new programs need may not be there.) What was deferred in between is tried again. Where modules of map types are
// installed their packages are configured after this one: then dpkg's triggers do both once more, at the end of its run.
func (p *Plan) crossing() {
	p.add(Change{What: fmt.Sprintf("restart Postfix: its daemons come from two releases since %s was unpacked over %s", p.req.Package, p.req.Old), after: true, lives: true,
		do: func(ctx context.Context) error { return p.d.Service.ActAll(ctx, "restart") }})
	p.add(Change{What: "try deferred mail again: daemons of two releases defer what they cannot agree on", after: true, lives: true,
		do: func(ctx context.Context) error { return Flush(ctx, p.d.Root, p.d.Run) }})
	if p.hasModules() {
		p.action = "trigger"
		p.exec("try deferred mail again at the end of this dpkg run", true, "dpkg-trigger", "--no-await", FlushTrigger)
	}
}

// hasModules tells whether a package of a map type is installed: it has /usr/lib/postfix/postfix-TYPE.so, and Postfix itself none.
func (p *Plan) hasModules() bool {
	entries, _ := p.d.Root.ReadDir(paths.LibDir)
	for _, e := range entries {
		if ok, _ := path.Match("postfix-*.so", e.Name()); ok {
			return true
		}
	}
	return false
}

// Flush has the mail in the queues of all enabled instances tried at once, each for itself. One that does not run will do so by itself
// when it starts.
func Flush(ctx context.Context, root *sysroot.Root, r Runner) error {
	insts, _ := instance.List(root) // one that cannot be read has no queue that we know of
	var errs []error
	for _, inst := range insts {
		if !inst.Enabled || chroot.Master(chroot.Deps{Root: root}, inst.QueueDir) == 0 {
			continue
		}
		if err := r.Run(ctx, paths.Postqueue, "-c", inst.ConfigDir, "-f"); err != nil {
			errs = append(errs, fmt.Errorf("cannot have the deferred mail of %q tried again: %w", inst.ConfigDir, err))
		}
	}
	return errors.Join(errs...)
}
