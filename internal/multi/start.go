package multi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
)

// Enable lets an instance be started with the others, now and at boot, and starts it.
func (h *Host) Enable(ctx context.Context, name string) error {
	return h.command(ctx, false, never, func() (*plan, error) {
		p, err := h.planEnable(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("cannot enable instance %q: %w", name, err)
		}
		return p, nil
	})
}

// never is for commands that no interrupted one can have been about.
func never(*journal) bool { return false }

func (h *Host) planEnable(ctx context.Context, name string) (*plan, error) {
	s, err := h.readSite()
	if err != nil {
		return nil, err
	}
	c, err := s.find(h, name)
	if err != nil {
		return nil, err
	}
	unit, err := h.unit(c.Instance)
	if err != nil {
		return nil, err
	}
	c.Enabled = true
	if err := h.mustNotMeet(s, c); err != nil {
		return nil, err
	}
	p := &plan{}
	switched := c.listed && !strings.EqualFold(c.value("multi_instance_enable"), "yes") && (!c.IsPrimary() || len(s.dirs) > 0)
	if switched {
		p.add(postmultiLine("enable", "-i", s.selector(c)), func(ctx context.Context) error {
			return h.postmulti(ctx, s, c.ConfigDir, "enable", "-i", s.selector(c))
		})
	}
	if !c.IsPrimary() && h.Sockets != nil { // the package has one for the primary instance
		due, err := h.Sockets.Due(c.Instance)
		if err != nil {
			return nil, err
		}
		if due {
			p.add("let the syslog daemon listen in the chroot", func(ctx context.Context) error { return h.Sockets.Provide(ctx, c.Instance) })
		}
	}
	start, err := h.planUnits(ctx, p, c.Instance, unit, switched, true)
	if start != nil {
		p.add("check the configuration", func(ctx context.Context) error { return h.check(ctx, c.Instance) })
		p.add("bring the chroot up to date", func(context.Context) error { return h.refresh(c.Instance) })
		p.changes = append(p.changes, *start)
	}
	return p, err
}

// check asks Postfix whether it would start with the configuration.
func (h *Host) check(ctx context.Context, inst instance.Instance) error {
	err := h.program(ctx, paths.Postfix, "-c", inst.ConfigDir, "check")
	if exit := (*run.ExitError)(nil); errors.As(err, &exit) && exit.Stderr == "" {
		// Unless it has a terminal it complains to the log alone. script(1) gives it one.
		line := fmt.Sprintf("%s -c '%s' check", paths.Postfix, inst.ConfigDir)
		said, _ := h.Run.Output(ctx, "script", "--quiet", "--return", "--command", line, "/dev/null")
		exit.Stderr = strings.TrimSpace(strings.ReplaceAll(string(said), "\r\n", "\n"))
	}
	if err != nil {
		return fmt.Errorf("its configuration does not pass the check: %w", silent(err))
	}
	return nil
}

// refresh brings the chroot in step with the host, as each start does.
func (h *Host) refresh(inst instance.Instance) error {
	p, err := chroot.NewPlan(chroot.Deps{Root: h.Root}, inst)
	if err != nil {
		return err
	}
	res, err := p.Apply()
	for _, w := range res.Warnings {
		h.warn("chroot: %s", w)
	}
	return err
}

// Disable stops an instance and keeps it from being started with the others.
func (h *Host) Disable(ctx context.Context, name string) error {
	return h.command(ctx, false, never, func() (*plan, error) {
		p, err := h.planDisable(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("cannot disable instance %q: %w", name, err)
		}
		return p, nil
	})
}

func (h *Host) planDisable(ctx context.Context, name string) (*plan, error) {
	s, err := h.readSite()
	if err != nil {
		return nil, err
	}
	c, err := s.find(h, name)
	if err != nil {
		return nil, err
	}
	if c.IsPrimary() && len(s.dirs) == 0 {
		return nil, errors.New("it is the only one, so multi_instance_enable means nothing; \"systemctl disable --now postfix\" stops the mail system")
	}
	p := &plan{}
	// First, for "postmulti -p stop", by which Debian 12's unit stops, passes over an instance that is disabled.
	if err := h.planStop(ctx, p, c.Instance); err != nil {
		return nil, err
	}
	if c.listed && !strings.EqualFold(c.value("multi_instance_enable"), "no") {
		p.add(postmultiLine("disable", "-i", s.selector(c)), func(ctx context.Context) error {
			return h.postmulti(ctx, s, c.ConfigDir, "disable", "-i", s.selector(c))
		})
	}
	h.planUnlink(p, c.Instance)
	if len(p.changes) > 0 && h.Systemd != nil {
		p.add("make systemd read its units", h.Systemd.Reload)
	}
	return p, nil
}

// planStop plans to stop the instance, by whatever unit it runs in.
func (h *Host) planStop(ctx context.Context, p *plan, inst instance.Instance) error {
	if h.Systemd == nil {
		h.warn(noSystemd)
		return nil
	}
	units := h.unitsOf(inst)
	if unit, err := h.unit(inst); err == nil && !slices.Contains(units, unit) {
		units = append(units, unit)
	}
	for _, unit := range units {
		running, err := h.active(ctx, unit)
		if err != nil {
			return err
		}
		if running {
			p.add("stop "+unit, func(ctx context.Context) error { return h.stop(ctx, unit) })
		}
	}
	return nil
}

// planUnlink plans to disable the units of the instance.
func (h *Host) planUnlink(p *plan, inst instance.Instance) {
	if h.Systemd == nil {
		return
	}
	for _, unit := range h.linked(inst) {
		p.add("disable "+unit, func(ctx context.Context) error {
			return h.program(ctx, "systemctl", "--no-reload", "disable", unit)
		})
	}
}
