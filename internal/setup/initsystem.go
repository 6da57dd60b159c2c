package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/systemd"
)

// Systemd is the Service on a host that systemd runs. Jobs go over D-Bus and are waited for; policy-rc.d and what the
// administrator masked or disabled are obeyed as deb-systemd-invoke(1) obeys them.
type Systemd struct {
	Run    Runner
	Record systemd.Helper // deb-systemd-helper's
	Links  SysV           // kept as well, for the day another init system runs this host
	Dial   func(ctx context.Context) (*systemd.Manager, error)

	manager *systemd.Manager
}

func (s *Systemd) dial(ctx context.Context) (*systemd.Manager, error) {
	if s.manager == nil {
		m, err := s.Dial(ctx)
		if err != nil {
			return nil, err
		}
		s.manager = m
	}
	return s.manager, nil
}

// Close ends the connection to systemd.
func (s *Systemd) Close() {
	if s.manager != nil {
		s.manager.Close()
	}
}

// EnableDue reads deb-systemd-helper's record and the init script's links.
func (s *Systemd) EnableDue(ctx context.Context) (bool, error) {
	due, err := s.Record.Due(Unit)
	if due || err != nil {
		return due, err
	}
	return s.Links.EnableDue(ctx)
}

// Enable brings the record and the links up to date.
func (s *Systemd) Enable(ctx context.Context) error {
	if _, err := s.Record.Ensure(ctx, Unit); err != nil {
		return err
	}
	if due, err := s.Links.EnableDue(ctx); err != nil || !due {
		return err
	}
	return s.Links.Enable(ctx)
}

// ReloadDue asks systemd whether a unit file is newer than what it read, or unknown to it. After unpacking it always is due:
// the generators depend on more than unit files.
func (s *Systemd) ReloadDue(ctx context.Context, unpacked bool) (bool, error) {
	if unpacked {
		return true, nil
	}
	m, err := s.dial(ctx)
	if err != nil {
		return false, err
	}
	for _, unit := range []string{Unit, PrimaryUnit} {
		st, err := m.State(ctx, unit)
		if err != nil {
			return false, err
		}
		if st.NeedReload || st.Load == "not-found" {
			return true, nil
		}
	}
	return false, nil
}

// Reload is systemd's daemon-reload, generators included.
func (s *Systemd) Reload(ctx context.Context) error {
	m, err := s.dial(ctx)
	if err != nil {
		return err
	}
	return m.Reload(ctx)
}

// Act starts the whole mail system, or reloads or restarts the primary instance if it runs.
func (s *Systemd) Act(ctx context.Context, action string) error {
	m, err := s.dial(ctx)
	if err != nil {
		return err
	}
	allowed, err := systemd.Allowed(ctx, s.Run, "/", "postfix", action)
	if err != nil || !allowed {
		return err
	}
	switch action {
	case "stop":
		_ = m.Stop(ctx, TakeoverUnit) // first, or it would see the end and start what is being removed; it may not be there
		return m.Stop(ctx, Unit)
	case "start":
		st, err := m.State(ctx, Unit)
		if err != nil || st.Load == "masked" || st.File == "disabled" {
			return err
		}
		if sound(ctx, s.Links.Check, s.Links.Root, paths.ConfigDir) {
			defer quick(s.Links.Root, paths.ConfigDir)()
		}
		return m.Start(ctx, Unit)
	}
	st, err := m.State(ctx, PrimaryUnit)
	if err != nil || st.Active != "active" {
		return err
	}
	if action == "reload" {
		return m.ReloadOrRestart(ctx, PrimaryUnit)
	}
	if err := check(ctx, s.Links.Check, s.Links.Root, paths.ConfigDir); err != nil {
		return err
	}
	defer quick(s.Links.Root, paths.ConfigDir)()
	return m.Restart(ctx, PrimaryUnit)
}

// ActAll restarts or reloads every running instance, each for itself: one that is broken is no reason to leave the others on old
// libraries. Not by the umbrella, which would start what somebody stopped on purpose.
func (s *Systemd) ActAll(ctx context.Context, action string) error {
	m, err := s.dial(ctx)
	if err != nil {
		return err
	}
	allowed, err := systemd.Allowed(ctx, s.Run, "/", "postfix", action)
	if err != nil || !allowed {
		return err
	}
	units, err := m.Units(ctx, "postfix@*.service")
	if err != nil {
		return err
	}
	st, err := m.State(ctx, Unit)
	if err != nil {
		return err
	}
	old := st.Active == "active" && st.Sub == "running"
	found := targets(units, s.Links.Root, old)
	var errs []error
	for _, t := range found {
		switch {
		case action == "restart" && t.err != nil:
			err = fmt.Errorf("%s is not restarted: %w", t.unit, t.err)
		case action == "restart":
			err = check(ctx, s.Links.Check, s.Links.Root, t.dir)
		}
		if err != nil {
			errs, err = append(errs, err), nil
			continue
		}
		if t.unit == Unit && action == "restart" { // Debian 13's way, in which it is a daemon; its restart would bring broken ones beside it along
			errs = append(errs, m.RestartAlone(ctx, Unit))
			t.unit = PrimaryUnit
		}
		if action == "restart" {
			done := quick(s.Links.Root, t.dir)
			errs = append(errs, m.Restart(ctx, t.unit))
			done()
			continue
		}
		errs = append(errs, m.ReloadOrRestart(ctx, t.unit))
	}
	if old && action == "restart" { // Debian 13's layer runs no instance but the primary one: the others begin with ours
		errs = append(errs, m.Start(ctx, Unit))
	}
	return errors.Join(errs...)
}

// SysV is the Service on a host without systemd: invoke-rc.d(8) knows the policy and whether there is an init system at all.
type SysV struct {
	Run   Runner
	Root  *sysroot.Root
	Check Terminal
}

// EnableDue tells whether the init script has neither a start nor a kill link in the usual run level.
func (s SysV) EnableDue(context.Context) (bool, error) {
	links, err := s.Root.ReadDir(paths.RunLevelDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("cannot read %q: %w", paths.RunLevelDir, err)
	}
	for _, l := range links {
		if len(l.Name()) > 3 && l.Name()[3:] == "postfix" { // S01postfix, K01postfix
			return false, nil
		}
	}
	return true, nil
}

// Enable makes them; links that an administrator changed are kept by update-rc.d(8). It leaves a service alone that has any
// link, so where it fails half-way its work is undone: the next run finds it due again.
func (s SysV) Enable(ctx context.Context) error {
	err := s.Run.Run(ctx, "update-rc.d", "postfix", "defaults")
	if err != nil {
		err = errors.Join(err, s.Run.Run(ctx, "update-rc.d", "-f", "postfix", "remove"))
	}
	return err
}

// ReloadDue is never: there are no units.
func (SysV) ReloadDue(context.Context, bool) (bool, error) { return false, nil }

// Reload does nothing.
func (SysV) Reload(context.Context) error { return nil }

// Act runs the init script's action. A stopped service is only ever started. The script checks each instance before it restarts it;
// here it is told in what way one does not pass.
func (s SysV) Act(ctx context.Context, action string) error {
	all, _ := instance.List(s.Root) // one that cannot be read is named by the script
	all = slices.DeleteFunc(all, func(i instance.Instance) bool { return chroot.Master(chroot.Deps{Root: s.Root}, i.QueueDir) == 0 })
	if len(all) == 0 && action != "start" && action != "stop" {
		return nil
	}
	var errs []error
	for _, inst := range all {
		if action == "restart" {
			errs = append(errs, check(ctx, s.Check, s.Root, inst.ConfigDir))
		}
	}
	return errors.Join(append(errs, s.Run.Run(ctx, "invoke-rc.d", "postfix", action))...)
}

// ActAll is Act: the init script goes through the enabled instances.
func (s SysV) ActAll(ctx context.Context, action string) error { return s.Act(ctx, action) }

// Offline is the Service where systemd does not run now but may run the system one day: a build root, an image, a host with
// another init system. Its record is kept as on a running one, else Postfix would not start at the first boot.
type Offline struct {
	SysV
	Record systemd.Helper
	Image  bool // nothing can be started: the tree is not the running system
}

// EnableDue reads deb-systemd-helper's record and the init script's links.
func (o Offline) EnableDue(ctx context.Context) (bool, error) {
	due, err := o.Record.Due(Unit)
	if due || err != nil {
		return due, err
	}
	return o.SysV.EnableDue(ctx)
}

// Enable brings the record and the links up to date.
func (o Offline) Enable(ctx context.Context) error {
	if _, err := o.Record.Ensure(ctx, Unit); err != nil {
		return err
	}
	if due, err := o.SysV.EnableDue(ctx); err != nil || !due {
		return err
	}
	return o.SysV.Enable(ctx)
}

// Act is the init script's, but not in an image.
func (o Offline) Act(ctx context.Context, action string) error {
	if o.Image {
		return nil
	}
	return o.SysV.Act(ctx, action)
}

// ActAll is Act.
func (o Offline) ActAll(ctx context.Context, action string) error { return o.Act(ctx, action) }
