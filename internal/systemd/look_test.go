package systemd

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/systemd/systemdtest"
)

func TestLook(t *testing.T) {
	t.Parallel()
	m, fake, ctx := open(t, map[string]systemdtest.Unit{
		"postfix@-.service": {Active: "activating", Sub: "auto-restart", Job: "stop", ReloadResult: "exit-code"},
		"postfix.service":   {Active: "active", Sub: "exited", Wants: []string{"postfix@-.service", "other.service"}},
		"other.service":     {Active: "active", Sub: "running"},
	})
	got, err := m.Look(ctx, "postfix.service", "postfix@*.service")
	want := []Unit{{"postfix.service", "active", "exited", ""}, {"postfix@-.service", "activating", "auto-restart", "stop"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	names, err := m.Wants(ctx, "postfix.service")
	if !slices.Equal(names, []string{"postfix@-.service", "other.service"}) || err != nil {
		t.Errorf("it wants %q, %v", names, err)
	}
	for unit, want := range map[string]string{"postfix@-.service": "exit-code", "none.service": "success"} {
		if result, err := m.ReloadResult(ctx, unit); result != want || err != nil {
			t.Errorf("the reload of %s: %q, %v; want %q", unit, result, err, want)
		}
	}
	for state, want := range map[string]bool{"running": false, "degraded": false, "stopping": true} {
		fake.Become(state)
		if stopping, err := m.Stopping(ctx); stopping != want || err != nil {
			t.Errorf("%s: stopping is %v, %v", state, stopping, err)
		}
	}
}

// What is asked for in a way of its own, and what is not waited for.
func TestJobModes(t *testing.T) {
	t.Parallel()
	m, fake, ctx := open(t, map[string]systemdtest.Unit{"a.service": {Load: "loaded"}, "hangs.service": {Load: "loaded", Hang: true}})
	for _, do := range []func(*Manager, context.Context, string) error{(*Manager).StartAlone, (*Manager).StopAlone, (*Manager).RestartAlone} {
		if err := do(m, ctx, "a.service"); err != nil {
			t.Error(err)
		}
	}
	for _, do := range []func(*Manager, context.Context, string) error{(*Manager).HurryStop, (*Manager).StartUnlessStopping} {
		if err := do(m, ctx, "hangs.service"); err != nil {
			t.Error(err)
		}
		if err := do(m, ctx, "none.service"); err == nil || !strings.Contains(err.Error(), "none.service") {
			t.Errorf("an unknown unit: %v", err)
		}
	}
	want := []string{
		"StartUnit a.service ignore-dependencies", "StopUnit a.service ignore-dependencies", "RestartUnit a.service ignore-dependencies",
		"StopUnit hangs.service ignore-dependencies", "StopUnit none.service ignore-dependencies",
		"StartUnit hangs.service fail", "StartUnit none.service fail",
	}
	if diff := cmp.Diff(want, fake.Calls()); diff != "" {
		t.Error(diff)
	}
}
