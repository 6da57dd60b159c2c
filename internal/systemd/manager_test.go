package systemd

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	sddbus "github.com/coreos/go-systemd/v22/dbus"
	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/sysroot/sysroottest"
	"postfix-maint/internal/systemd/systemdtest"
)

// open connects to a fresh fake with these units.
func open(t *testing.T, units map[string]systemdtest.Unit) (*Manager, *systemdtest.Manager, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	fake := systemdtest.New(t, units)
	m, err := Open(ctx, fake.Dial)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m, fake, ctx
}

func TestJobs(t *testing.T) {
	t.Parallel()
	verbs := map[string]func(*Manager, context.Context, string) error{
		"start": (*Manager).Start, "stop": (*Manager).Stop, "restart": (*Manager).Restart, "reload": (*Manager).ReloadOrRestart,
		"restart alone": (*Manager).RestartAlone,
	}
	for name, c := range map[string]struct {
		verb    string
		unit    systemdtest.Unit
		call    string
		active  string // afterwards
		wantErr string
	}{
		"start is waited for":            {"start", systemdtest.Unit{Load: "loaded", Active: "inactive"}, "StartUnit a@-.service replace", "active", ""},
		"stop is waited for":             {"stop", systemdtest.Unit{Load: "loaded", Active: "active"}, "StopUnit a@-.service replace", "inactive", ""},
		"restart starts what is stopped": {"restart", systemdtest.Unit{Load: "loaded", Active: "inactive"}, "RestartUnit a@-.service replace", "active", ""},
		"a restart alone touches no other unit": {
			"restart alone", systemdtest.Unit{Load: "loaded", Active: "active"}, "RestartUnit a@-.service ignore-dependencies", "active", "",
		},
		"reload leaves it stopped": {
			"reload", systemdtest.Unit{Load: "loaded", Active: "inactive", Result: "skipped"}, "ReloadOrTryRestartUnit a@-.service replace", "failed", "",
		},
		"a failed job names unit and result": {
			"restart", systemdtest.Unit{Load: "loaded", Result: "failed"}, "RestartUnit a@-.service replace", "failed",
			`cannot restart unit "a@-.service": job result "failed"`,
		},
		"a dependency's failure is one too": {
			"start", systemdtest.Unit{Load: "loaded", Result: "dependency"}, "StartUnit a@-.service replace", "failed", `"dependency"`,
		},
		"a masked unit is refused": {
			"start", systemdtest.Unit{Load: "masked", Active: "inactive"}, "StartUnit a@-.service replace", "inactive", "masked",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, fake, ctx := open(t, map[string]systemdtest.Unit{"a@-.service": c.unit})
			err := verbs[c.verb](m, ctx, "a@-.service")
			if (err == nil) != (c.wantErr == "") || err != nil && !strings.Contains(err.Error(), c.wantErr) {
				t.Errorf("got %v, want %q", err, c.wantErr)
			}
			job := (*JobError)(nil)
			if isJob := errors.As(err, &job); isJob && (job.Unit != "a@-.service" || job.Job != c.verb) {
				t.Errorf("got %+v", job)
			} else if c.unit.Result == "failed" && !isJob {
				t.Errorf("got %T, want a *JobError", err)
			}
			if got := fake.Calls(); !slices.Equal(got, []string{c.call}) {
				t.Errorf("calls are %q, want %q", got, c.call)
			}
			if st, err := m.State(ctx, "a@-.service"); err != nil || st.Active != c.active {
				t.Errorf("state is %+v, %v; want %q", st, err, c.active)
			}
		})
	}
}

func TestJobEndsWithContext(t *testing.T) {
	t.Parallel()
	m, fake, ctx := open(t, map[string]systemdtest.Unit{"a.service": {Load: "loaded", Hang: true}, "b.service": {Load: "loaded"}})
	ctx, cancelAll := context.WithTimeout(ctx, 5*time.Second)
	defer cancelAll()
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := m.Start(short, "a.service"); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "a.service") {
		t.Errorf("got %v, want the deadline", err)
	}
	fake.Finish() // too late: nobody waits for the result any more
	if err := m.Start(ctx, "b.service"); err != nil {
		t.Errorf("the connection does not outlive a job that was given up: %v", err)
	}
}

// A systemd that is stopped (SIGSTOP, a frozen machine) costs one limit, not one for each question, and never the caller's whole time.
func TestSilentManager(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(*Manager, context.Context) error{
		"a state": func(m *Manager, ctx context.Context) error {
			_, err := m.State(ctx, "a.service")
			return err
		},
		"the list of units": func(m *Manager, ctx context.Context) error {
			_, err := m.Units(ctx, "*")
			return err
		},
		"a job that is not taken":     func(m *Manager, ctx context.Context) error { return m.Restart(ctx, "a.service") },
		"a reload that is not taken":  (*Manager).Reload,
		"a job whose end is not told": func(m *Manager, ctx context.Context) error { return m.Start(ctx, "hangs.service") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, fake, ctx := open(t, map[string]systemdtest.Unit{"a.service": {Load: "loaded"}, "hangs.service": {Load: "loaded", Hang: true}})
			m.limit = 300 * time.Millisecond
			ch := make(chan error, 1)
			if strings.Contains(name, "told") { // taken, and then it is stopped
				go func() { ch <- ask(m, ctx) }()
				for len(fake.Calls()) == 0 {
					time.Sleep(time.Millisecond)
				}
				defer fake.Freeze()()
			} else {
				defer fake.Freeze()()
				ch <- ask(m, ctx)
			}
			if err := <-ch; !errors.Is(err, ErrSilent) {
				t.Fatalf("got %v", err)
			}
			m.limit = time.Hour // the context's end would be another error
			if err := ask(m, ctx); !errors.Is(err, ErrSilent) {
				t.Errorf("asked once more: %v", err)
			}
		})
	}
}

// While systemd answers, a job takes its time.
func TestJobOutlivesLimit(t *testing.T) {
	t.Parallel()
	m, fake, ctx := open(t, map[string]systemdtest.Unit{"a.service": {Load: "loaded", Hang: true}})
	m.limit = 2 * time.Second
	time.AfterFunc(3*m.limit/2, fake.Finish)
	if err := m.Start(ctx, "a.service"); err != nil {
		t.Error(err)
	}
}

// A bus on whose socket nobody answers is given up.
func TestSilentBus(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	defer close(stop)
	_, err := await(context.Background(), time.Millisecond, func() (*sddbus.Conn, error) {
		<-stop
		return nil, errors.New("stopped")
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// Many jobs at once: each result must come to the one who asked.
func TestJobsAtOnce(t *testing.T) {
	t.Parallel()
	m, _, ctx := open(t, map[string]systemdtest.Unit{"good.service": {Load: "loaded"}, "bad.service": {Load: "loaded", Result: "failed"}})
	type answer struct {
		unit string
		err  error
	}
	ch := make(chan answer)
	for n := range 20 {
		unit := []string{"good.service", "bad.service"}[n%2]
		go func() { ch <- answer{unit, m.Restart(ctx, unit)} }()
	}
	for range 20 {
		if a := <-ch; (a.err == nil) != (a.unit == "good.service") {
			t.Errorf("%s: %v", a.unit, a.err)
		}
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	m, fake, ctx := open(t, map[string]systemdtest.Unit{"postfix@x-y.service": {
		Load: "loaded", Active: "activating", Sub: "auto-restart", File: "enabled", Fragment: "/f", NeedReload: true,
	}})
	want := State{Load: "loaded", Active: "activating", Sub: "auto-restart", File: "enabled", Fragment: "/f", NeedReload: true}
	if got, err := m.State(ctx, "postfix@x-y.service"); err != nil || got != want {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	if got, err := m.State(ctx, "none.service"); err != nil || got.Load != "not-found" {
		t.Errorf("an unknown unit: got %+v, %v", got, err)
	}
	if err := m.Reload(ctx); err != nil {
		t.Error(err)
	}
	if got, err := m.State(ctx, "postfix@x-y.service"); err != nil || got.NeedReload {
		t.Errorf("after a reload: got %+v, %v", got, err)
	}
	if diff := cmp.Diff([]string{"Reload"}, fake.Calls()); diff != "" {
		t.Error(diff)
	}
}

func TestUnitFiles(t *testing.T) {
	t.Parallel()
	m, fake, ctx := open(t, map[string]systemdtest.Unit{"a@b.service": {Load: "loaded", Active: "failed"}})
	state := func() State {
		t.Helper()
		st, err := m.State(ctx, "a@b.service")
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	if err := m.Enable(ctx, "a@b.service"); err != nil || state().File != "enabled" {
		t.Errorf("enabled: %v, %+v", err, state())
	}
	if err := m.ResetFailed(ctx, "a@b.service"); err != nil || state().Active != "inactive" {
		t.Errorf("reset: %v, %+v", err, state())
	}
	if err := m.Disable(ctx, "a@b.service"); err != nil || state().File != "disabled" {
		t.Errorf("disabled: %v, %+v", err, state())
	}
	if err := m.Enable(ctx, "x.service"); err == nil || !strings.Contains(err.Error(), `cannot enable unit "x.service"`) {
		t.Errorf("an unknown unit: %v", err)
	}
	want := []string{"EnableUnitFiles a@b.service", "ResetFailedUnit a@b.service", "DisableUnitFiles a@b.service", "EnableUnitFiles x.service"}
	if diff := cmp.Diff(want, fake.Calls()); diff != "" {
		t.Error(diff)
	}
}

func TestUnits(t *testing.T) {
	t.Parallel()
	m, _, ctx := open(t, map[string]systemdtest.Unit{
		"postfix@-.service": {Active: "active"}, "postfix@a.service": {Active: "inactive"}, "postfix@b.service": {Active: "failed"},
		"postfix@c.service": {Active: "activating"}, "postfix.service": {Active: "active"},
	})
	got, err := m.Units(ctx, "postfix@*.service")
	slices.Sort(got)
	if diff := cmp.Diff([]string{"postfix@-.service", "postfix@c.service"}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, err := m.Units(ctx, "["); err == nil {
		t.Error("a bad pattern is taken")
	}
}

// Dial takes the system bus that the environment names.
func TestDial(t *testing.T) {
	fake := systemdtest.New(t, map[string]systemdtest.Unit{"a.service": {Load: "loaded", Active: "active"}})
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", fake.Address())
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	m, err := Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if st, err := m.State(ctx, "a.service"); err != nil || st.Active != "active" {
		t.Errorf("got %+v, %v", st, err)
	}
}

// A bus that takes connections and never says a word (its socket unit is up, its daemon is not) must not keep us.
func TestDialSilentBus(t *testing.T) {
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "bus"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+l.Addr().String())
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if m, err := Dial(ctx); err == nil {
		m.Close()
		t.Error("a silent bus gave a connection")
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("gave up after %v", d)
	}
}

func TestBooted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path string
		want bool
	}{
		"systemd runs":            {"run/systemd/system/", true},
		"another init":            {"run/", false},
		"a file is no sign of it": {"run/systemd/system", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := sysroottest.New(t, map[string]string{c.path: ""}).Dir()
			if got := Booted(root); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
