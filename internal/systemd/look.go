package systemd

import (
	"context"
	"fmt"

	sddbus "github.com/coreos/go-systemd/v22/dbus"
)

// Unit is what "systemctl list-units" and "systemctl list-jobs" tell about a unit in memory.
type Unit struct {
	Name, Active, Sub string
	Job               string // the job for it that waits or runs: "start", "stop", "restart", "reload" ...; "" without one
}

// DialDirect is Dial for what systemd itself runs, as root: over systemd's own socket, as
// systemctl(1) does. The bus may be down before us at a shutdown, and its socket then takes
// connections that nobody answers. Where that socket is not there, the bus is taken.
func DialDirect(ctx context.Context) (*Manager, error) {
	return await(ctx, answerLimit, func() (*sddbus.Conn, error) {
		conn, err := sddbus.NewSystemdConnectionContext(ctx)
		if err != nil {
			return sddbus.NewWithContext(ctx)
		}
		return conn, nil
	})
}

// Look gives the units in memory whose names match one of the patterns (glob(7)), all as they are
// at one moment.
func (m *Manager) Look(ctx context.Context, patterns ...string) ([]Unit, error) {
	var all []sddbus.UnitStatus
	err := m.ask(ctx, m.limit, func(ctx context.Context) (err error) {
		all, err = m.conn.ListUnitsByPatternsContext(ctx, []string{}, patterns)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot list units %q: %w", patterns, err)
	}
	var units []Unit
	for _, u := range all {
		units = append(units, Unit{Name: u.Name, Active: u.ActiveState, Sub: u.SubState, Job: u.JobType})
	}
	return units, nil
}

// Wants gives the names of the units that a unit wants, whether they exist or not.
func (m *Manager) Wants(ctx context.Context, unit string) (names []string, err error) {
	err = m.property(ctx, "Wants", unit, &names, m.conn.GetUnitPropertyContext)
	return names, err
}

// ReloadResult gives how the last reload of a service ended, "success" or what kept it.
func (m *Manager) ReloadResult(ctx context.Context, unit string) (result string, err error) {
	err = m.property(ctx, "ReloadResult", unit, &result, m.conn.GetServicePropertyContext)
	return result, err
}

// Stopping tells whether the whole system is shutting down.
func (m *Manager) Stopping(ctx context.Context) (bool, error) {
	state := ""
	err := m.property(ctx, "SystemState", "systemd", &state, func(ctx context.Context, _, _ string) (*sddbus.Property, error) {
		return m.conn.SystemStateContext(ctx)
	})
	return state == "stopping", err
}

func (m *Manager) property(ctx context.Context, name, of string, to any,
	get func(ctx context.Context, of, name string) (*sddbus.Property, error),
) error {
	var p *sddbus.Property
	err := m.ask(ctx, m.limit, func(ctx context.Context) (err error) {
		p, err = get(ctx, of, name)
		return err
	})
	if err == nil {
		err = p.Value.Store(to)
	}
	if err != nil {
		return fmt.Errorf("cannot ask for %s of %q: %w", name, of, err)
	}
	return nil
}

// Job modes of systemctl(1): without a job for another unit, and after no other unit's job; not
// against a job that waits.
const (
	aloneMode = "ignore-dependencies"
	failMode  = "fail"
)

// StartAlone is Start without a job for any other unit, whatever the dependencies say.
func (m *Manager) StartAlone(ctx context.Context, unit string) error {
	return m.job(ctx, "start", unit, aloneMode, m.conn.StartUnitContext)
}

// StopAlone is Stop without a job for any other unit, whatever the dependencies say.
func (m *Manager) StopAlone(ctx context.Context, unit string) error {
	return m.job(ctx, "stop", unit, aloneMode, m.conn.StopUnitContext)
}

// RestartAlone is Restart without a job for any other unit, whatever the dependencies say.
func (m *Manager) RestartAlone(ctx context.Context, unit string) error {
	return m.job(ctx, "restart", unit, aloneMode, m.conn.RestartUnitContext)
}

// HurryStop has a unit stopped now, whatever its stop would have to come after, and does not wait
// for it.
func (m *Manager) HurryStop(ctx context.Context, unit string) error {
	return m.call(ctx, "stop", unit, func(ctx context.Context) error {
		_, err := m.conn.StopUnitContext(ctx, unit, aloneMode, nil)
		return err
	})
}

// StartUnlessStopping begins to start a unit and does not wait for it. It is an error if that, or
// what the unit needs, has a job to stop.
func (m *Manager) StartUnlessStopping(ctx context.Context, unit string) error {
	return m.call(ctx, "start", unit, func(ctx context.Context) error {
		_, err := m.conn.StartUnitContext(ctx, unit, failMode, nil)
		return err
	})
}
