// Package systemd (ring: port) talks to systemd: jobs and unit states over D-Bus, deb-systemd-helper's record of what is
// enabled, and the local policy that says whether a service may be touched at all. It knows nothing of Postfix.
package systemd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	sddbus "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

// jobMode replaces a conflicting job that waits, as systemctl(1) does by default.
const jobMode = "replace"

// Booted tells whether systemd runs the system whose tree is root, as sd_booted(3) does.
func Booted(root string) bool {
	fi, err := os.Lstat(filepath.Join("/", root, bootedDir))
	return err == nil && fi.IsDir()
}

// Manager is a connection to the system's systemd. It must be closed, and it ends with the context it was made with.
type Manager struct {
	conn *sddbus.Conn
}

// JobError says that systemd did a job and that it ended badly.
type JobError struct {
	Job    string // "start", "restart" and so on
	Unit   string
	Result string // as in the signal JobRemoved: "failed", "dependency", "timeout", "canceled"
}

// Error names the job, the unit and the result.
func (e *JobError) Error() string {
	return fmt.Sprintf("cannot %s unit %q: job result %q", e.Job, e.Unit, e.Result)
}

// State is what systemd says about a unit. A unit that it does not know has Load "not-found".
type State struct {
	Load       string // "loaded", "not-found", "masked", "bad-setting" ...
	Active     string // "active", "reloading", "inactive", "failed", "activating", "deactivating"
	Sub        string // "running", "dead", "auto-restart" ...
	File       string // "enabled", "disabled", "masked" ...; "" without a unit file
	Fragment   string // the unit file
	NeedReload bool   // the files changed after systemd read them
}

// Dial connects to systemd: over the system bus or, where there is none (a container without D-Bus), as root over
// systemd's own socket.
func Dial(ctx context.Context) (*Manager, error) {
	return await(ctx, func() (*sddbus.Conn, error) { return sddbus.NewWithContext(ctx) })
}

// Open is Dial over a bus that the caller names: each call of dial must give a connection of its own, ready for use.
func Open(ctx context.Context, dial func(context.Context) (*dbus.Conn, error)) (*Manager, error) {
	return await(ctx, func() (*sddbus.Conn, error) {
		return sddbus.NewConnection(func() (*dbus.Conn, error) { return dial(ctx) })
	})
}

// await gives up with ctx. A bus whose socket exists while no daemon answers on it would else keep us for ever: the
// libraries read their greetings without looking at the context.
func await(ctx context.Context, connect func() (*sddbus.Conn, error)) (*Manager, error) {
	type answer struct {
		conn *sddbus.Conn
		err  error
	}
	ch := make(chan answer, 1)
	go func() {
		conn, err := connect()
		ch <- answer{conn, err}
	}()
	select {
	case a := <-ch:
		if a.err != nil {
			return nil, fmt.Errorf("cannot reach systemd: %w", a.err)
		}
		return &Manager{conn: a.conn}, nil
	case <-ctx.Done():
		go func() {
			if a := <-ch; a.err == nil {
				a.conn.Close()
			}
		}()
		return nil, fmt.Errorf("cannot reach systemd: %w", ctx.Err())
	}
}

// Close ends the connection.
func (m *Manager) Close() { m.conn.Close() }

// Reload makes systemd run its generators and read all unit files again.
func (m *Manager) Reload(ctx context.Context) error {
	if err := m.conn.ReloadContext(ctx); err != nil {
		return fmt.Errorf("cannot make systemd read its units: %w", err)
	}
	return nil
}

// Start starts a unit and waits for the result.
func (m *Manager) Start(ctx context.Context, unit string) error {
	return m.job(ctx, "start", unit, m.conn.StartUnitContext)
}

// Stop stops a unit and waits for the result.
func (m *Manager) Stop(ctx context.Context, unit string) error {
	return m.job(ctx, "stop", unit, m.conn.StopUnitContext)
}

// Restart stops and starts a unit and waits for the result. A stopped unit is started.
func (m *Manager) Restart(ctx context.Context, unit string) error {
	return m.job(ctx, "restart", unit, m.conn.RestartUnitContext)
}

// ReloadOrRestart makes a running unit read its configuration, by a restart if it has no other way, and waits for the
// result. A stopped unit stays stopped.
func (m *Manager) ReloadOrRestart(ctx context.Context, unit string) error {
	return m.job(ctx, "reload", unit, m.conn.ReloadOrTryRestartUnitContext)
}

// job queues a job and waits for its end. The channel has room for the result because go-systemd sends it while it holds
// the lock that every other job needs.
func (m *Manager) job(ctx context.Context, verb, unit string,
	queue func(ctx context.Context, name, mode string, ch chan<- string) (int, error),
) error {
	ch := make(chan string, 1)
	if _, err := queue(ctx, unit, jobMode, ch); err != nil {
		return fmt.Errorf("cannot %s unit %q: %w", verb, unit, err)
	}
	select {
	case result := <-ch:
		// "skipped": the job did not apply, as a reload of what is stopped. That is what our callers asked for.
		if result == "done" || result == "skipped" {
			return nil
		}
		return &JobError{Job: verb, Unit: unit, Result: result}
	case <-ctx.Done():
		return fmt.Errorf("cannot %s unit %q: no result yet: %w", verb, unit, ctx.Err())
	}
}

// State asks for the state of a unit.
func (m *Manager) State(ctx context.Context, unit string) (State, error) {
	props, err := m.conn.GetUnitPropertiesContext(ctx, unit)
	if err != nil {
		return State{}, fmt.Errorf("cannot ask for the state of unit %q: %w", unit, err)
	}
	text := func(name string) string {
		s, _ := props[name].(string)
		return s
	}
	reload, _ := props["NeedDaemonReload"].(bool)
	return State{
		Load: text("LoadState"), Active: text("ActiveState"), Sub: text("SubState"),
		File: text("UnitFileState"), Fragment: text("FragmentPath"), NeedReload: reload,
	}, nil
}

// Units gives the names of the units in memory whose name matches the pattern (glob(7)) and that are not stopped.
func (m *Manager) Units(ctx context.Context, pattern string) ([]string, error) {
	all, err := m.conn.ListUnitsContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot list units %q: %w", pattern, err)
	}
	var names []string
	for _, u := range all {
		ok, err := filepath.Match(pattern, u.Name)
		if err != nil {
			return nil, fmt.Errorf("cannot list units %q: %w", pattern, err)
		}
		if ok && u.ActiveState != "inactive" && u.ActiveState != "failed" {
			names = append(names, u.Name)
		}
	}
	return names, nil
}
