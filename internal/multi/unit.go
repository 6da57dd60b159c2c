package multi

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
)

// umbrella stands for all instances with our units, and is the primary one with Debian 13's.
const umbrella = "postfix.service"

// service is the name by which the local policy knows Postfix, besides the unit's.
const service = "postfix"

// unit is the name by which the units that are installed know the instance. Ours and Debian 12's go by multi_instance_name;
// Debian 13's own know a directory /etc/postfix-NAME only, and by that name (README.Debian since 3.9.1-7).
func (h *Host) unit(inst instance.Instance) (string, error) {
	unit := inst.Unit()
	for _, dir := range []string{paths.Units, paths.OldUnits} {
		data, err := h.Root.ReadFile(path.Join(dir, paths.Template))
		if err != nil {
			continue
		}
		text := string(data)
		if strings.Contains(text, paths.LibexecDir) || !strings.Contains(text, paths.ConfigDir+"-%I") {
			return unit, nil
		}
		if inst.IsPrimary() {
			return umbrella, nil
		}
		for _, name := range append(inst.Aliases(), unit) {
			if paths.ConfigDir+"-"+unescapePath(part(name)) == inst.ConfigDir {
				return name, nil
			}
		}
		return "", fmt.Errorf("cannot start an instance in %q: Debian's own units know only %q; \"postfix-maint adopt\" gives others",
			inst.ConfigDir, paths.ConfigDir+"-NAME")
	}
	return unit, nil
}

// part is the instance's part of a unit name.
func part(unit string) string {
	return strings.TrimSuffix(strings.TrimPrefix(unit, "postfix@"), ".service")
}

// unescapePath is what "%I" in a unit file makes of the instance's part (systemd.unit(5)).
func unescapePath(s string) string {
	var b strings.Builder
	for n := 0; n < len(s); n++ {
		if n+4 <= len(s) && s[n:n+2] == `\x` {
			if c, err := strconv.ParseUint(s[n+2:n+4], 16, 8); err == nil {
				b.WriteByte(byte(c))
				n += 3
				continue
			}
		}
		if s[n] == '-' {
			b.WriteByte('/')
			continue
		}
		b.WriteByte(s[n])
	}
	return b.String()
}

// wanters are the units that "systemctl enable" makes want an instance's: with ours postfix.service, with Debian's the target.
var wanters = []string{umbrella, "multi-user.target"}

// enabledUnits lists the instances' units that "systemctl enable" has made links for.
func (h *Host) enabledUnits() []string {
	var units []string
	for _, w := range wanters {
		entries, err := h.Root.ReadDir(path.Join(paths.AdminUnits, w+".wants"))
		if err != nil {
			continue // nothing is enabled
		}
		for _, e := range entries {
			if p := part(e.Name()); p != "" && e.Name() == "postfix@"+p+".service" {
				units = append(units, e.Name())
			}
		}
	}
	return units
}

func (h *Host) enabledParts() []string {
	var parts []string
	for _, unit := range h.enabledUnits() {
		if p := part(unit); p != instance.Primary {
			parts = append(parts, p)
		}
	}
	return parts
}

// unitsOf lists the units that mean the instance: its own, and by its other names those that mean no other instance. Where
// two could have one, the first in the list has it, as for the generator.
func (h *Host) unitsOf(inst instance.Instance) []string {
	all, _ := instance.List(h.Root) // what is broken has no unit
	taken, before := map[string]bool{}, true
	for _, other := range all {
		if other.ConfigDir == inst.ConfigDir {
			before = false
			continue
		}
		taken[other.Unit()] = true
		for _, alias := range other.Aliases() {
			taken[alias] = taken[alias] || before
		}
	}
	units := []string{inst.Unit()}
	for _, alias := range inst.Aliases() {
		if !taken[alias] {
			units = append(units, alias)
		}
	}
	return units
}

// linked lists the enabled units that mean the instance.
func (h *Host) linked(inst instance.Instance) []string {
	mine := map[string]bool{}
	for _, unit := range h.unitsOf(inst) {
		mine[unit] = true
	}
	var units []string
	for _, unit := range h.enabledUnits() {
		if mine[unit] {
			mine[unit] = false // once
			units = append(units, unit)
		}
	}
	return units
}

// allowed asks the policy for the unit's name and for the service's.
func (h *Host) allowed(ctx context.Context, unit, action string) (bool, error) {
	for _, name := range []string{service, unit} {
		if ok, err := h.Allowed(ctx, name, action); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// start starts the unit and waits for it.
func (h *Host) start(ctx context.Context, inst instance.Instance, unit string) error {
	ok, err := h.allowed(ctx, unit, "start")
	if err != nil {
		return err
	}
	if !ok {
		h.warn("the local policy (policy-rc.d) forbids to start %s: it was not started", unit)
		return nil
	}
	if err := h.Systemd.Start(ctx, unit); err != nil {
		return errors.Join(fmt.Errorf("%w; \"journalctl -u %s\" says why", err, unit), h.refusal(ctx, inst))
	}
	return nil
}

// stop stops the unit, if it runs, and waits for it.
func (h *Host) stop(ctx context.Context, unit string) error {
	if running, err := h.active(ctx, unit); err != nil || !running {
		return err
	}
	ok, err := h.allowed(ctx, unit, "stop")
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("cannot stop unit %q: the local policy (policy-rc.d) forbids it", unit)
	}
	return h.Systemd.Stop(ctx, unit)
}

// active tells whether the unit runs, or is about to.
func (h *Host) active(ctx context.Context, unit string) (bool, error) {
	st, err := h.Systemd.State(ctx, unit)
	return err == nil && st.Active != "inactive" && st.Active != "failed", err
}

// noSystemd is the line that every command says where it leaves the units alone.
const noSystemd = "systemd does not run this system: nothing is enabled, started or stopped there; the init script goes by multi_instance_enable"

// planUnits plans to enable the unit and to make it known, as far as that is not so already. It returns the start, nil where it
// runs or has to stay as it is.
func (h *Host) planUnits(ctx context.Context, p *plan, inst instance.Instance, unit string, fresh, enabled bool) (start *Change, err error) {
	if h.Systemd == nil {
		h.warn(noSystemd)
		return nil, nil
	}
	st, err := h.Systemd.State(ctx, unit)
	if err != nil {
		return nil, err
	}
	if st.Load == "masked" {
		return nil, fmt.Errorf("cannot start instance %q: its unit %s is masked", inst.Name, unit)
	}
	link := enabled && !inst.IsPrimary() && len(h.linked(inst)) == 0
	if link {
		p.add("enable "+unit, func(ctx context.Context) error {
			return h.Systemd.Enable(context.WithoutCancel(ctx), unit)
		})
	}
	if fresh || link || st.NeedReload {
		p.add("make systemd read its units", h.Systemd.Reload)
	}
	if !enabled || st.Active == "active" || st.Active == "reloading" {
		return nil, nil
	}
	return &Change{What: "start " + unit, do: func(ctx context.Context) error { return h.start(ctx, inst, unit) }}, nil
}
