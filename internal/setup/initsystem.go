package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

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

	manager *systemd.Manager
}

func (s *Systemd) dial(ctx context.Context) (*systemd.Manager, error) {
	if s.manager == nil {
		m, err := systemd.Dial(ctx)
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
		_ = m.Stop(ctx, takeoverUnit) // first, or it would see the end and start what is being removed; it may not be there
		return m.Stop(ctx, Unit)
	case "start":
		st, err := m.State(ctx, Unit)
		if err != nil || st.Load == "masked" || st.File == "disabled" {
			return err
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
	if err := check(ctx, s.Run); err != nil {
		return err
	}
	return m.Restart(ctx, PrimaryUnit)
}

// ActAll restarts or reloads every running instance. For a restart the running daemons are kept if the configuration does
// not pass Postfix's own check: an old daemon that delivers is better than none (S11).
func (s *Systemd) ActAll(ctx context.Context, action string) error {
	m, err := s.dial(ctx)
	if err != nil {
		return err
	}
	allowed, err := systemd.Allowed(ctx, s.Run, "/", "postfix", action)
	if err != nil || !allowed {
		return err
	}
	running, err := m.Units(ctx, "postfix@*.service")
	if err != nil {
		return err
	}
	st, err := m.State(ctx, Unit)
	if err != nil {
		return err
	}
	if st.Active == "active" && st.Sub == "running" {
		// Debian 13's scheme before the first restart under ours: postfix.service is a daemon, and its restart brings the
		// instances beside it along.
		running = []string{Unit}
	}
	do := m.ReloadOrRestart
	if action == "restart" {
		if err := check(ctx, s.Run); err != nil {
			return err
		}
		do = m.Restart
	}
	var errs []error
	for _, unit := range running { // not the umbrella: it would start what somebody stopped on purpose
		errs = append(errs, do(ctx, unit))
	}
	return errors.Join(errs...)
}

// check asks what "postfix check" says; its complaints are in the error. It is asked for the part first on which alone its verdict
// depends. The rest, most of the programs that it executes, only warns, and the start says the same to the log. That command has no
// manual, so it is never the one to refuse.
func check(ctx context.Context, r Runner) error {
	if r.Run(ctx, paths.Postfix, "check-fatal") == nil {
		return nil
	}
	if err := r.Run(ctx, paths.Postfix, "check"); err != nil {
		return fmt.Errorf("the running mail system is kept, its configuration does not pass the check (\"postfix check\" on a terminal says why): %w", err)
	}
	return nil
}

// SysV is the Service on a host without systemd: invoke-rc.d(8) knows the policy and whether there is an init system at all.
type SysV struct {
	Run  Runner
	Root *sysroot.Root
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

// Act runs the init script's action. A stopped service is only ever started.
func (s SysV) Act(ctx context.Context, action string) error {
	if action == "restart" {
		if err := check(ctx, s.Run); err != nil {
			return err
		}
	}
	if action != "start" && s.Run.Run(ctx, paths.Postfix, "status") != nil {
		return nil
	}
	return s.Run.Run(ctx, "invoke-rc.d", "postfix", action)
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
