package systemd

import (
	"context"
	"fmt"
	"time"
)

// since are the properties that have the moment at which a unit got into a state (org.freedesktop.systemd1(5)).
var since = map[string]string{
	"active": "ActiveEnterTimestamp", "reloading": "ActiveEnterTimestamp", "inactive": "InactiveEnterTimestamp", "failed": "InactiveEnterTimestamp",
	"activating": "InactiveExitTimestamp", "deactivating": "ActiveExitTimestamp",
}

// Since tells from when on a unit has had its state, which is one of State.Active. The zero time is for a unit that never had another one
// since the boot.
func (m *Manager) Since(ctx context.Context, unit, active string) (time.Time, error) {
	name, known := since[active]
	if !known {
		return time.Time{}, nil
	}
	var micros uint64
	err := m.ask(ctx, m.limit, func(ctx context.Context) error {
		p, err := m.conn.GetUnitPropertyContext(ctx, unit, name)
		if err == nil {
			micros, _ = p.Value.Value().(uint64)
		}
		return err
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("cannot ask since when unit %q is %s: %w", unit, active, err)
	}
	if micros == 0 {
		return time.Time{}, nil
	}
	return time.UnixMicro(int64(micros)), nil
}
