// Package systemdtest (ring: port, for tests) stands in for systemd: a fake org.freedesktop.systemd1 on a private bus. The
// bus is a real dbus-daemon, so the code under test speaks the real protocol.
package systemdtest

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	sddbus "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

const (
	busName   = "org.freedesktop.systemd1"
	path      = dbus.ObjectPath("/org/freedesktop/systemd1")
	managerIf = "org.freedesktop.systemd1.Manager"
	unitIf    = "org.freedesktop.systemd1.Unit"
	serviceIf = "org.freedesktop.systemd1.Service"
)

// Unit is what the fake knows of a unit. Jobs change Active as systemd would; Result is what each job of the unit ends
// with, "" for "done"; with Hang a job ends only at Finish.
type Unit struct {
	Load, Active, Sub, File, Fragment string
	NeedReload                        bool
	Result                            string
	Hang                              bool
	Since                             uint64 // microseconds: from when on it has its state
	Job                               string // the type of a job that somebody else has queued
	Wants                             []string
	ReloadResult                      string
}

// Manager is the fake. It is safe for use by several goroutines.
type Manager struct {
	address string
	conn    *dbus.Conn

	mu    sync.Mutex
	units map[string]Unit
	calls []string
	jobs  int
	state string   // of the whole system, "" for "running"
	hung  []func() // the ends of the jobs that hang
}

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
`

// New starts a bus with the fake on it, both gone when the test ends. It fails the test if dbus-daemon is not installed
// (Debian: package dbus).
func New(t testing.TB, units map[string]Unit) *Manager {
	t.Helper()
	m := &Manager{address: startBus(t), units: map[string]Unit{}}
	for name, u := range units {
		m.units[name] = u
	}
	conn, err := m.Dial(context.Background())
	if err != nil {
		t.Fatalf("cannot connect the fake to its bus: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	m.conn = conn
	// Units are objects below the manager's; one handler serves them all.
	if err := conn.ExportSubtreeMethodTable(m.unitMethods(), path+"/unit", "org.freedesktop.DBus.Properties"); err != nil {
		t.Fatalf("cannot export the units: %v", err)
	}
	if err := conn.ExportMethodTable(m.managerMethods(), path, managerIf); err != nil {
		t.Fatalf("cannot export the manager: %v", err)
	}
	if err := conn.ExportMethodTable(map[string]any{"Get": m.system}, path, "org.freedesktop.DBus.Properties"); err != nil {
		t.Fatalf("cannot export the manager's properties: %v", err)
	}
	if _, err := conn.RequestName(busName, 0); err != nil {
		t.Fatalf("cannot take the name %s: %v", busName, err)
	}
	return m
}

// startBus runs dbus-daemon and gives its address. The socket is not in t.TempDir, whose name may be too long for one.
func startBus(t testing.TB) string {
	t.Helper()
	program, err := exec.LookPath("dbus-daemon")
	if err != nil {
		t.Fatalf("this test needs dbus-daemon (Debian: apt-get install dbus): %v", err)
	}
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	config := filepath.Join(dir, "bus.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, busConfig, filepath.Join(dir, "bus")), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--config-file="+config, "--nofork", "--nopidfile", "--nosyslog", "--print-address")
	var stderr strings.Builder // it always says that it cannot have 65536 files
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("cannot start %s: %v", program, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n') // printed once the socket is there
	if err != nil {
		_ = cmd.Wait()
		t.Fatalf("cannot read the address of the bus: %v: %s", err, stderr.String())
	}
	return strings.TrimSpace(line)
}

// Address is the bus, as DBUS_SYSTEM_BUS_ADDRESS has it.
func (m *Manager) Address() string { return m.address }

// Dial gives a new connection to the bus, for systemd.Open.
func (m *Manager) Dial(ctx context.Context) (*dbus.Conn, error) {
	return dbus.Connect(m.address, dbus.WithContext(ctx))
}

// Set makes a unit, or makes it something else.
func (m *Manager) Set(name string, u Unit) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.units[name] = u
}

// Become sets the state of the whole system: "running", "degraded", "stopping".
func (m *Manager) Become(state string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = state
}

// Finish ends the jobs that hang.
func (m *Manager) Finish() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, end := range m.hung {
		end()
	}
	m.hung = nil
}

// Freeze makes the manager answer nothing, as one that is stopped would, until the function that it returns is called.
func (m *Manager) Freeze() (thaw func()) {
	m.mu.Lock()
	return m.mu.Unlock
}

// Calls lists what was asked of the manager so far: the method and its arguments, queries for states left out.
func (m *Manager) Calls() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.calls...)
}

func (m *Manager) managerMethods() map[string]any {
	methods := map[string]any{
		"Subscribe": func() *dbus.Error { return nil },
		"Reload": func() *dbus.Error {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.calls = append(m.calls, "Reload")
			for name, u := range m.units {
				u.NeedReload = false
				m.units[name] = u
			}
			return nil
		},
		"ListUnits":           func() ([]sddbus.UnitStatus, *dbus.Error) { return m.list(nil, []string{"*"}) },
		"ListUnitsByPatterns": m.list,
		"EnableUnitFiles": func(units []string, _, _ bool) (bool, []sddbus.EnableUnitFileChange, *dbus.Error) {
			return true, []sddbus.EnableUnitFileChange{}, m.mark("EnableUnitFiles", units, "enabled")
		},
		"DisableUnitFiles": func(units []string, _ bool) ([]sddbus.DisableUnitFileChange, *dbus.Error) {
			return []sddbus.DisableUnitFileChange{}, m.mark("DisableUnitFiles", units, "disabled")
		},
		"ResetFailedUnit": func(unit string) *dbus.Error { return m.mark("ResetFailedUnit", []string{unit}, "") },
	}
	for method, active := range map[string]string{
		"StartUnit": "active", "StopUnit": "inactive", "RestartUnit": "active", "ReloadOrTryRestartUnit": "",
	} {
		methods[method] = func(name, mode string) (dbus.ObjectPath, *dbus.Error) {
			return m.job(method, active, name, mode)
		}
	}
	return methods
}

// mark is what changes no job: file is the new state of the unit files, "" for no failure any more.
func (m *Manager) mark(method string, units []string, file string) *dbus.Error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range units {
		m.calls = append(m.calls, method+" "+name)
		u, known := m.units[name]
		switch {
		case !known:
			return dbus.NewError("org.freedesktop.systemd1.NoSuchUnit", []any{"Unit " + name + " not loaded."})
		case file != "":
			u.File = file
		case u.Active == "failed":
			u.Active = "inactive"
		}
		m.units[name] = u
	}
	return nil
}

// job does a job at once and tells its result in the signal, after the reply, as systemd does.
func (m *Manager) job(method, active, name, mode string) (dbus.ObjectPath, *dbus.Error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, strings.Join([]string{method, name, mode}, " "))
	u, known := m.units[name]
	switch {
	case !known:
		return "", dbus.NewError("org.freedesktop.systemd1.NoSuchUnit", []any{"Unit " + name + " not found."})
	case u.Load == "masked":
		return "", dbus.NewError("org.freedesktop.systemd1.UnitMasked", []any{"Unit " + name + " is masked."})
	}
	m.jobs++
	id, job := uint32(m.jobs), path+"/job/"+dbus.ObjectPath(strconv.Itoa(m.jobs))
	result := u.Result
	if result == "" {
		result = "done"
	}
	switch {
	case u.Hang:
		m.hung = append(m.hung, func() { m.conn.Emit(path, managerIf+".JobRemoved", id, job, name, result) })
		return job, nil
	case result == "done":
		if active != "" {
			u.Active = active
		}
	case method != "StopUnit":
		u.Active = "failed"
	}
	m.units[name] = u
	go m.conn.Emit(path, managerIf+".JobRemoved", id, job, name, result)
	return job, nil
}

func (m *Manager) list(_, patterns []string) ([]sddbus.UnitStatus, *dbus.Error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := []sddbus.UnitStatus{}
	for name, u := range m.units {
		if !slices.ContainsFunc(patterns, func(p string) bool { ok, _ := filepath.Match(p, name); return ok }) {
			continue
		}
		all = append(all, sddbus.UnitStatus{
			Name: name, LoadState: u.Load, ActiveState: u.Active, SubState: u.Sub, Path: path, JobPath: path, JobType: u.Job,
		})
	}
	slices.SortFunc(all, func(a, b sddbus.UnitStatus) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// system serves the one property of the manager that somebody asks for.
func (m *Manager) system(_, name string) (dbus.Variant, *dbus.Error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if name != "SystemState" {
		return dbus.Variant{}, dbus.NewError("org.freedesktop.DBus.Error.UnknownProperty", nil)
	}
	return dbus.MakeVariant(cmp.Or(m.state, "running")), nil
}

// unitMethods serves the properties of every unit; one that was never set is "not-found", as systemd says.
func (m *Manager) unitMethods() map[string]any {
	return map[string]any{
		"GetAll": func(msg dbus.Message, iface string) (map[string]dbus.Variant, *dbus.Error) {
			if iface != unitIf {
				return nil, dbus.NewError("org.freedesktop.DBus.Error.UnknownInterface", nil)
			}
			u := m.at(msg)
			return map[string]dbus.Variant{
				"LoadState": dbus.MakeVariant(u.Load), "ActiveState": dbus.MakeVariant(u.Active), "SubState": dbus.MakeVariant(u.Sub),
				"UnitFileState": dbus.MakeVariant(u.File), "FragmentPath": dbus.MakeVariant(u.Fragment),
				"NeedDaemonReload": dbus.MakeVariant(u.NeedReload),
			}, nil
		},
		"Get": func(msg dbus.Message, iface, name string) (dbus.Variant, *dbus.Error) {
			u := m.at(msg)
			enter := map[string]string{"active": "ActiveEnterTimestamp", "failed": "InactiveEnterTimestamp", "activating": "InactiveExitTimestamp"}[u.Active]
			switch {
			case iface == unitIf && name == enter:
				return dbus.MakeVariant(u.Since), nil
			case iface == unitIf && strings.HasSuffix(name, "Timestamp"):
				return dbus.MakeVariant(uint64(0)), nil
			case iface == unitIf && name == "Wants":
				return dbus.MakeVariant(append([]string{}, u.Wants...)), nil
			case iface == serviceIf && name == "ReloadResult":
				return dbus.MakeVariant(cmp.Or(u.ReloadResult, "success")), nil
			}
			return dbus.Variant{}, dbus.NewError("org.freedesktop.DBus.Error.UnknownProperty", nil)
		},
	}
}

// at is the unit that a question is about.
func (m *Manager) at(msg dbus.Message) Unit {
	object, _ := msg.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, known := range m.units {
		if path+"/unit/"+dbus.ObjectPath(sddbus.PathBusEscape(name)) == object {
			return known
		}
	}
	return Unit{Load: "not-found", Active: "inactive", Sub: "dead"}
}
