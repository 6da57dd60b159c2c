package multi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
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

// planSwitch plans what "postmulti -e enable" and "disable" do. They refuse while the primary instance is disabled: once that was
// switched off, not even "enable -i -" would work.
func (h *Host) planSwitch(p *plan, c *config, value string) {
	p.add("set multi_instance_enable = "+value+" in "+mainOf(c.ConfigDir), func(context.Context) error {
		return h.edit(mainOf(c.ConfigDir), maincf.Set("multi_instance_enable", value))
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
		h.planSwitch(p, c, "yes")
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

// check asks Postfix whether its programs can use the configuration: postmap(1) evaluates all parameters that each of them evaluates when
// it starts (mail_params.c), and the table "static" needs no file. What "postfix check" looks at besides, the start does as well.
func (h *Host) check(ctx context.Context, inst instance.Instance) error {
	if h.program(ctx, paths.Postmap, "-c", inst.ConfigDir, "-q", "postmaster", "static:ok") == nil {
		return nil
	}
	return h.refusal(ctx, inst)
}

// refusal asks Postfix why it would not start; nil where it would.
func (h *Host) refusal(ctx context.Context, inst instance.Instance) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), programLimit)
	defer cancel()
	err := h.Run.OnTerminal(ctx, paths.Postfix, "-c", inst.ConfigDir, "check")
	if exit := (*run.ExitError)(nil); errors.As(err, &exit) {
		exit.Stderr = instance.Cause(exit.Stderr)
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
		h.planSwitch(p, c, "no")
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
			return h.Systemd.Disable(context.WithoutCancel(ctx), unit)
		})
	}
}
