package setup

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/sysroot/sysroottest"
	"postfix-maint/internal/systemd"
	"postfix-maint/internal/systemd/systemdtest"
)

// dialed is the Service on a host whose systemd is the fake.
func dialed(t *testing.T, units map[string]systemdtest.Unit) (*Systemd, *systemdtest.Manager, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	fake := systemdtest.New(t, units)
	s := &Systemd{
		Run: allows{}, Links: SysV{Root: sysroottest.New(t, map[string]string{"etc/postfix/main.cf": ""}), Check: postfix{"/etc/postfix-bad": "no"}},
		Dial: func(ctx context.Context) (*systemd.Manager, error) { return systemd.Open(ctx, fake.Dial) },
	}
	t.Cleanup(s.Close)
	return s, fake, ctx
}

// The one action of a run: what an administrator masked, disabled or stopped stays so, and a stop tells the watch first.
func TestSystemdAct(t *testing.T) {
	t.Parallel()
	running, stopped := systemdtest.Unit{Load: "loaded", Active: "active"}, systemdtest.Unit{Load: "loaded", Active: "inactive"}
	for name, c := range map[string]struct {
		action  string
		units   map[string]systemdtest.Unit
		calls   []string
		wantErr string
	}{
		"a start":                        {"start", map[string]systemdtest.Unit{Unit: stopped}, []string{"StartUnit postfix.service replace"}, ""},
		"a start that fails":             {"start", map[string]systemdtest.Unit{Unit: {Load: "loaded", Result: "failed"}}, []string{"StartUnit postfix.service replace"}, "failed"},
		"a start of what is masked":      {"start", map[string]systemdtest.Unit{Unit: {Load: "masked", File: "masked"}}, nil, ""},
		"a start of what is disabled":    {"start", map[string]systemdtest.Unit{Unit: {Load: "loaded", File: "disabled"}}, nil, ""},
		"a stop":                         {"stop", map[string]systemdtest.Unit{Unit: running, TakeoverUnit: running}, []string{"StopUnit postfix-takeover.path replace", "StopUnit postfix.service replace"}, ""},
		"a stop without the watch":       {"stop", map[string]systemdtest.Unit{Unit: running}, []string{"StopUnit postfix-takeover.path replace", "StopUnit postfix.service replace"}, ""},
		"a reload":                       {"reload", map[string]systemdtest.Unit{PrimaryUnit: running}, []string{"ReloadOrTryRestartUnit postfix@-.service replace"}, ""},
		"a reload of what is stopped":    {"reload", map[string]systemdtest.Unit{PrimaryUnit: stopped}, nil, ""},
		"a restart":                      {"restart", map[string]systemdtest.Unit{PrimaryUnit: running}, []string{"RestartUnit postfix@-.service replace"}, ""},
		"a restart of what is stopped":   {"restart", map[string]systemdtest.Unit{PrimaryUnit: stopped}, nil, ""},
		"a restart of what is not there": {"restart", nil, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, fake, ctx := dialed(t, c.units)
			err := s.Act(ctx, c.action)
			if (err != nil) != (c.wantErr != "") || err != nil && !strings.Contains(err.Error(), c.wantErr) {
				t.Errorf("got %v, want %q", err, c.wantErr)
			}
			if diff := cmp.Diff(c.calls, fake.Calls()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Units are read again after unpacking, and where systemd does not know them as they are.
func TestReloadDue(t *testing.T) {
	t.Parallel()
	known := systemdtest.Unit{Load: "loaded"}
	for name, c := range map[string]struct {
		units    map[string]systemdtest.Unit
		unpacked bool
		want     bool
	}{
		"all is known":       {units: map[string]systemdtest.Unit{Unit: known, PrimaryUnit: known}},
		"after unpacking":    {units: map[string]systemdtest.Unit{Unit: known, PrimaryUnit: known}, unpacked: true, want: true},
		"a file has changed": {units: map[string]systemdtest.Unit{Unit: known, PrimaryUnit: {Load: "loaded", NeedReload: true}}, want: true},
		"a unit is unknown":  {units: map[string]systemdtest.Unit{Unit: known}, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, fake, ctx := dialed(t, c.units)
			if due, err := s.ReloadDue(ctx, c.unpacked); due != c.want || err != nil {
				t.Errorf("due: %t, %v; want %t", due, err, c.want)
			}
			if err := s.Reload(ctx); err != nil || !slices.Equal(fake.Calls(), []string{"Reload"}) {
				t.Errorf("a reload: %v, %q", err, fake.Calls())
			}
		})
	}
}

// A systemd that can't be reached is an error of each question, and nothing is done on a guess.
func TestSystemdUnreachable(t *testing.T) {
	t.Parallel()
	gone := errors.New("no bus")
	s := &Systemd{Run: allows{}, Dial: func(context.Context) (*systemd.Manager, error) { return nil, gone }}
	ctx := context.Background()
	_, due := s.ReloadDue(ctx, false)
	for what, err := range map[string]error{"ReloadDue": due, "Reload": s.Reload(ctx), "Act": s.Act(ctx, "start"), "ActAll": s.ActAll(ctx, "restart")} {
		if !errors.Is(err, gone) {
			t.Errorf("%s: %v", what, err)
		}
	}
	s.Close()
}

// failing notes what is run, and fails at one program's first argument.
type failing struct {
	calls
	at string
}

func (f *failing) Run(ctx context.Context, name string, args ...string) error {
	_, _ = f.Output(ctx, name, args...)
	if args[len(args)-1] == f.at {
		return errors.New("failed")
	}
	return nil
}

// The init script's links: made where there is none, left alone where an administrator has any, and none are left of a failure.
func TestSysVLinks(t *testing.T) {
	t.Parallel()
	const defaults, undo = "update-rc.d postfix defaults", "update-rc.d -f postfix remove"
	for name, c := range map[string]struct {
		links string // a file in the directory of links
		at    string // what fails
		due   bool
		runs  []string
	}{
		"none":                            {links: "S01cron", due: true, runs: []string{defaults}},
		"one that starts it":              {links: "S03postfix"},
		"one that an administrator wants": {links: "K01postfix"},
		"another service's":               {links: "S01postfix-policyd", due: true, runs: []string{defaults}},
		"a failure":                       {links: "S01cron", at: "defaults", due: true, runs: []string{defaults, undo}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ran := &failing{at: c.at}
			s := SysV{Run: ran, Root: sysroottest.New(t, map[string]string{"etc/rc2.d/" + c.links: ""})}
			ctx := context.Background()
			due, err := s.EnableDue(ctx)
			if due != c.due || err != nil {
				t.Errorf("due: %t, %v; want %t", due, err, c.due)
			}
			if due {
				err = s.Enable(ctx)
			}
			if (err != nil) != (c.at != "") || !slices.Equal(ran.lines, c.runs) {
				t.Errorf("%v, runs %q; want %q", err, ran.lines, c.runs)
			}
		})
	}
}

// In an image nothing is started; where only systemd is missing the init script is.
func TestOfflineAct(t *testing.T) {
	t.Parallel()
	for image, want := range map[bool][]string{true: nil, false: {"invoke-rc.d postfix start"}} {
		ran := &calls{}
		o := Offline{SysV: SysV{Run: ran, Root: sysroottest.New(t, nil), Check: postfix{}}, Image: image}
		if err := o.ActAll(context.Background(), "start"); err != nil || !slices.Equal(ran.lines, want) {
			t.Errorf("image %t: %v, runs %q; want %q", image, err, ran.lines, want)
		}
		if due, err := o.ReloadDue(context.Background(), true); due || err != nil || o.Reload(context.Background()) != nil {
			t.Errorf("image %t: units are to be read", image)
		}
	}
}
