// Package systemd (ring: port) talks to systemd: jobs and unit states over D-Bus, deb-systemd-helper's record of what is
// enabled, and the local policy that says whether a service may be touched at all. It knows nothing of Postfix.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	sddbus "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

// rootSlice is a unit that every systemd has.
const rootSlice = "-.slice"

// jobMode replaces a conflicting job that waits, as systemctl(1) does by default.
const jobMode = "replace"

// Booted tells whether systemd runs the system whose tree is root, as sd_booted(3) does.
func Booted(root string) bool {
	fi, err := os.Lstat(filepath.Join("/", root, bootedDir))
	return err == nil && fi.IsDir()
}

// How long systemd may take for an answer, which it gives at once unless it is reading its units, and for that reading, as systemctl(1)
// waits. A job takes as long as its unit is allowed to: that is systemd's to end, so meanwhile it is only asked whether it still answers.
const (
	answerLimit = 30 * time.Second
	reloadLimit = 3 * time.Minute
)

// ErrSilent says that systemd did not answer: it is stopped, busy or hangs. It is not asked again over the same connection.
var ErrSilent = errors.New("systemd does not answer (\"systemctl status\" should at once)")

// Manager is a connection to the system's systemd. It must be closed, and it ends with the context it was made with.
type Manager struct {
	conn   *sddbus.Conn
	limit  time.Duration
	silent atomic.Bool
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
	return await(ctx, answerLimit, func() (*sddbus.Conn, error) { return sddbus.NewWithContext(ctx) })
}

// Open is Dial over a bus that the caller names: each call of dial must give a connection of its own, ready for use.
func Open(ctx context.Context, dial func(context.Context) (*dbus.Conn, error)) (*Manager, error) {
	return await(ctx, answerLimit, func() (*sddbus.Conn, error) {
		return sddbus.NewConnection(func() (*dbus.Conn, error) { return dial(ctx) })
	})
}

// await gives up with ctx, or after a while. A bus whose socket exists while no daemon answers on it would else keep us for ever: the
// libraries read their greetings without looking at the context.
func await(ctx context.Context, limit time.Duration, connect func() (*sddbus.Conn, error)) (*Manager, error) {
	type answer struct {
		conn *sddbus.Conn
		err  error
	}
	ch := make(chan answer, 1)
	go func() {
		var a answer
		defer func() { // nobody else can: a panic of a goroutine ends the process
			if fault := recover(); fault != nil {
				a = answer{err: fmt.Errorf("%v (this should not happen: please report it)", fault)}
			}
			ch <- a
		}()
		a.conn, a.err = connect()
	}()
	short, cancel := context.WithTimeout(ctx, limit) // not for the connection, which would end with it
	defer cancel()
	select {
	case a := <-ch:
		if a.err != nil {
			return nil, fmt.Errorf("cannot reach systemd: %w", a.err)
		}
		return &Manager{conn: a.conn, limit: answerLimit}, nil
	case <-short.Done():
		go func() {
			defer func() { _ = recover() }() // the answer is of no use any more
			if a := <-ch; a.err == nil {
				a.conn.Close()
			}
		}()
		return nil, fmt.Errorf("cannot reach systemd: %w", short.Err())
	}
}

// ask bounds the wait for one answer.
func (m *Manager) ask(ctx context.Context, limit time.Duration, call func(ctx context.Context) error) error {
	if m.silent.Load() {
		return ErrSilent
	}
	short, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := call(short)
	if err != nil && short.Err() != nil && ctx.Err() == nil {
		m.silent.Store(true)
		return ErrSilent
	}
	return err
}

// Close ends the connection.
func (m *Manager) Close() { m.conn.Close() }

// Reload makes systemd run its generators and read all unit files again.
func (m *Manager) Reload(ctx context.Context) error {
	_, err := m.State(ctx, rootSlice) // before the long wait: does it answer at all?
	if err == nil {
		err = m.ask(ctx, reloadLimit, m.conn.ReloadContext)
	}
	if err != nil {
		return fmt.Errorf("cannot make systemd read its units: %w", err)
	}
	return nil
}

// Start starts a unit and waits for the result.
func (m *Manager) Start(ctx context.Context, unit string) error {
	return m.job(ctx, "start", unit, jobMode, m.conn.StartUnitContext)
}

// Stop stops a unit and waits for the result.
func (m *Manager) Stop(ctx context.Context, unit string) error {
	return m.job(ctx, "stop", unit, jobMode, m.conn.StopUnitContext)
}

// Restart stops and starts a unit and waits for the result. A stopped unit is started.
func (m *Manager) Restart(ctx context.Context, unit string) error {
	return m.job(ctx, "restart", unit, jobMode, m.conn.RestartUnitContext)
}

// Scope moves processes into a new scope of their own (systemd.scope(5)) and waits until they are there. It is forgotten with the last
// of them.
func (m *Manager) Scope(ctx context.Context, name, description string, pids []int) error {
	var all []uint32
	for _, pid := range pids {
		all = append(all, uint32(pid))
	}
	props := []sddbus.Property{
		sddbus.PropDescription(description), sddbus.PropPids(all...),
		{Name: "CollectMode", Value: dbus.MakeVariant("inactive-or-failed")},
	}
	return m.job(ctx, "make", name, jobMode, func(ctx context.Context, name, mode string, ch chan<- string) (int, error) {
		return m.conn.StartTransientUnitContext(ctx, name, mode, props, ch)
	})
}

// ReloadOrRestart makes a running unit read its configuration, by a restart if it has no other way, and waits for the
// result. A stopped unit stays stopped.
func (m *Manager) ReloadOrRestart(ctx context.Context, unit string) error {
	return m.job(ctx, "reload", unit, jobMode, m.conn.ReloadOrTryRestartUnitContext)
}

// Enable makes the links that the unit's section [Install] asks for, as "systemctl --no-reload enable" does.
func (m *Manager) Enable(ctx context.Context, unit string) error {
	return m.call(ctx, "enable", unit, func(ctx context.Context) error {
		_, _, err := m.conn.EnableUnitFilesContext(ctx, []string{unit}, false, false)
		return err
	})
}

// Disable removes all links to the unit, as "systemctl --no-reload disable" does.
func (m *Manager) Disable(ctx context.Context, unit string) error {
	return m.call(ctx, "disable", unit, func(ctx context.Context) error {
		_, err := m.conn.DisableUnitFilesContext(ctx, []string{unit}, false)
		return err
	})
}

// ResetFailed forgets that a unit failed, and how often it was started. A unit that is not in memory is an error.
func (m *Manager) ResetFailed(ctx context.Context, unit string) error {
	return m.call(ctx, "reset", unit, func(ctx context.Context) error { return m.conn.ResetFailedUnitContext(ctx, unit) })
}

func (m *Manager) call(ctx context.Context, verb, unit string, do func(ctx context.Context) error) error {
	if err := m.ask(ctx, m.limit, do); err != nil {
		return fmt.Errorf("cannot %s unit %q: %w", verb, unit, err)
	}
	return nil
}

// job queues a job and waits for its end. The channel has room for the result because go-systemd sends it while it holds
// the lock that every other job needs.
func (m *Manager) job(ctx context.Context, verb, unit, mode string,
	queue func(ctx context.Context, name, mode string, ch chan<- string) (int, error),
) error {
	ch := make(chan string, 1)
	err := m.ask(ctx, m.limit, func(ctx context.Context) error {
		_, err := queue(ctx, unit, mode, ch)
		return err
	})
	pulse := time.NewTicker(m.limit)
	defer pulse.Stop()
	for err == nil {
		select {
		case result := <-ch:
			// "skipped": the job did not apply, as a reload of what is stopped. That is what our callers asked for.
			if result == "done" || result == "skipped" {
				return nil
			}
			return &JobError{Job: verb, Unit: unit, Result: result}
		case <-pulse.C:
			_, err = m.State(ctx, unit)
		case <-ctx.Done():
			err = fmt.Errorf("no result yet: %w", ctx.Err())
		}
	}
	return fmt.Errorf("cannot %s unit %q: %w", verb, unit, err)
}

// State asks for the state of a unit.
func (m *Manager) State(ctx context.Context, unit string) (State, error) {
	var props map[string]any
	err := m.ask(ctx, m.limit, func(ctx context.Context) (err error) {
		props, err = m.conn.GetUnitPropertiesContext(ctx, unit)
		return err
	})
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
	states, err := m.States(ctx, pattern)
	for name, active := range states {
		if active == "inactive" || active == "failed" {
			delete(states, name)
		}
	}
	return slices.Sorted(maps.Keys(states)), err
}

// States gives what State has as Active for each unit in memory whose name matches the pattern; all others are inactive.
func (m *Manager) States(ctx context.Context, pattern string) (map[string]string, error) {
	var all []sddbus.UnitStatus
	err := m.ask(ctx, m.limit, func(ctx context.Context) (err error) {
		all, err = m.conn.ListUnitsContext(ctx)
		return err
	})
	states := map[string]string{}
	for _, u := range all {
		ok, bad := filepath.Match(pattern, u.Name)
		if bad != nil {
			err = bad
		}
		if ok {
			states[u.Name] = u.ActiveState
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list units %q: %w", pattern, err)
	}
	return states, nil
}
