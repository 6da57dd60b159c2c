package umbrella_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postfix-maint/internal/systemd"
	"postfix-maint/internal/systemd/systemdtest"
	"postfix-maint/internal/umbrella"
)

// moment is what systemd says at one look, but for the names of the two instances.
type moment struct {
	own              systemd.Unit
	units            []systemd.Unit
	stopping         bool
	err, stoppingErr error
}

// fake is a systemd that goes from moment to moment with each look and stays in the last one. What
// it is asked to do it notes.
type fake struct {
	wants   []string
	stale   string // has refused its reload
	moments []moment
	looks   int
	done    []string
	job     func(verb, unit string) error
}

func (f *fake) now() moment { return f.moments[min(max(f.looks-1, 0), len(f.moments)-1)] }

func (f *fake) Look(context.Context, ...string) ([]systemd.Unit, error) {
	f.looks++
	own := f.now().own
	own.Name = umbrella.Unit
	return append([]systemd.Unit{own}, f.now().units...), f.now().err
}
func (f *fake) Wants(context.Context, string) ([]string, error) { return f.wants, nil }
func (f *fake) ReloadResult(_ context.Context, unit string) (string, error) {
	return map[bool]string{true: "exit-code", false: "success"}[unit == f.stale], nil
}
func (f *fake) Stopping(context.Context) (bool, error) { return f.now().stopping, f.now().stoppingErr }
func (f *fake) do(verb, unit string) error {
	f.done = append(f.done, strings.TrimSpace(verb+" "+unit))
	if f.job != nil {
		return f.job(verb, unit)
	}
	return nil
}
func (f *fake) StartAlone(_ context.Context, unit string) error          { return f.do("start", unit) }
func (f *fake) StopAlone(_ context.Context, unit string) error           { return f.do("stop", unit) }
func (f *fake) RestartAlone(_ context.Context, unit string) error        { return f.do("restart", unit) }
func (f *fake) ResetFailed(_ context.Context, unit string) error         { return f.do("forget", unit) }
func (f *fake) HurryStop(_ context.Context, unit string) error           { return f.do("hurry", unit) }
func (f *fake) StartUnlessStopping(_ context.Context, unit string) error { return f.do("join", unit) }

const a, b = "postfix@-.service", `postfix@b\x2d.service`

// at is a moment of postfix.service and of the two instances, each written as "ActiveState/SubState
// JOB".
func at(own, first, second string) moment {
	unit := func(name, text string) systemd.Unit {
		text, job, _ := strings.Cut(text, " ")
		active, sub, _ := strings.Cut(text, "/")
		return systemd.Unit{Name: name, Active: active, Sub: sub, Job: job}
	}
	return moment{own: unit(umbrella.Unit, own), units: []systemd.Unit{unit(a, first), unit(b, second), unit("postfix@other.service", "failed/failed")}}
}

// stopping is a moment of a shutdown.
func stopping(m moment) moment {
	m.stopping = true
	return m
}

// What systemd says of an instance.
const (
	runs, failed, retries, stopped = "active/running", "failed/failed", "activating/auto-restart", "inactive/dead"
	starts, ends                   = "activating/start", "deactivating/stop-sigterm"
)

// TestWatch tells stories: what systemd says from look to look, and what is done to
// postfix.service.
func TestWatch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		moments []moment
		want    string
	}{
		"nothing to say":                       {[]moment{at("active", runs, runs)}, ""},
		"one has failed":                       {[]moment{at("active", runs, failed), at("failed", runs, failed)}, "restart"},
		"one waits for its next try":           {[]moment{at("active", retries, runs), at("failed", retries, runs)}, "restart"},
		"so it does in newer versions":         {[]moment{at("active", "activating/auto-restart-queued", runs), at("failed", retries, runs)}, "restart"},
		"one has failed, said already":         {[]moment{at("failed", runs, failed)}, ""},
		"all have failed, said already":        {[]moment{at("failed", failed, failed)}, ""},
		"all run again":                        {[]moment{at("failed", runs, runs), at("active", runs, runs)}, "start"},
		"one runs again, the other is stopped": {[]moment{at("failed", runs, stopped), at("active", runs, stopped)}, "start"},
		"one was started by itself":            {[]moment{at("inactive", runs, stopped), at("active", runs, stopped)}, "start"},
		"one runs, another has failed":         {[]moment{at("inactive", runs, failed), at("failed", runs, failed)}, "start"},
		"one of them is stopped":               {[]moment{at("active", stopped, runs)}, ""},
		"all are stopped, whoever did it":      {[]moment{at("active", stopped, stopped), at("inactive", stopped, stopped)}, "stop"},
		"Debian 13's own has taken its place":  {[]moment{at("active/running", stopped, stopped)}, ""},
		"so it has while one looked":           {[]moment{at("activating/start start", stopped, stopped), at("active/running", failed, stopped)}, ""},
		"all are stopped, it had failed":       {[]moment{at("failed", stopped, stopped), at("inactive", stopped, stopped)}, "forget"},
		"stopped stays stopped":                {[]moment{at("inactive", stopped, stopped)}, ""},
		"stopped, one had failed before":       {[]moment{at("inactive", stopped, failed)}, ""},
		"a reload is no end":                   {[]moment{at("active", "reloading/reload reload", stopped)}, ""},
		"nor is a reload that waits":           {[]moment{at("active", runs+" reload", stopped)}, ""},
		"nor is one of newer versions":         {[]moment{at("active", "refreshing/refresh", stopped)}, ""},
		"what starts is waited for": {
			[]moment{at("active", starts+" start", runs), at("active", starts, runs), at("active", failed, runs), at("failed", failed, runs)}, "restart",
		},
		"what waits for its start is waited for": {[]moment{at("active", stopped+" start", stopped), at("active", runs, stopped)}, ""},
		"what ends is waited for":                {[]moment{at("active", ends, stopped), at("active", stopped, stopped), at("inactive", stopped, stopped)}, "stop"},
		"what changes meanwhile is seen": {
			[]moment{at("active", runs, failed), at("active", starts, failed), at("active", runs, failed), at("failed", runs, failed)}, "restart restart",
		},
		"it is between two states": {[]moment{at("deactivating", runs, runs), at("failed", runs, runs), at("active", runs, runs)}, "start"},
		// The job of an earlier look, which has no dependencies: an instance was down when it
		// began, and is back before it ended.
		"a job that looked too early leaves it failed": {
			[]moment{at("activating start", runs, runs), at("failed", runs, runs), at("active", runs, runs)}, "start",
		},
		"a job that found out": {[]moment{at("failed start", runs, runs), at("active", runs, runs)}, ""},
		"it was back and gone again while our own job looked": {
			[]moment{at("active", runs, failed), at("failed", runs, runs), at("active", runs, runs)}, "restart start",
		},
		// "systemctl stop postfix" while it has failed is over at once, and the instances have
		// their stops still before them.
		"a stop while one waits for its next try": {[]moment{
			at("failed stop", runs+" stop", retries+" stop"), at("failed", runs+" stop", retries+" stop"), at("failed", ends+" stop", stopped),
			at("failed", stopped, stopped), at("inactive", stopped, stopped),
		}, "forget"},
		"a stop when it is just back": {[]moment{at("failed", runs+" stop", runs+" stop"), at("failed", stopped, stopped), at("inactive", stopped, stopped)}, "forget"},
		"a stop before it was told":   {[]moment{at("active stop", runs+" stop", retries+" stop"), at("inactive", stopped, stopped)}, ""},
		"a restart of all":            {[]moment{at("active restart", runs+" restart", failed+" restart"), at("inactive start", starts+" start", runs), at("active", runs, runs)}, ""},
		"a shutdown, one has failed":  {[]moment{stopping(at("active", runs, failed))}, ""},
		"a shutdown, all are stopped": {[]moment{stopping(at("active", stopped, stopped))}, ""},
		"a shutdown, all run":         {[]moment{stopping(at("inactive", runs, runs))}, ""},
		"a shutdown begins meanwhile": {[]moment{at("active", starts, failed), stopping(at("active", ends+" stop", failed))}, ""},
		"a shutdown and its jobs":     {[]moment{stopping(at("active stop", runs+" stop", retries+" stop"))}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{wants: []string{"other.service", "postfix@.service", a, b}, moments: c.moments}
			var said strings.Builder
			slept := 0
			h := umbrella.Host{Systemd: f, Stderr: &said, Sleep: func(ctx context.Context, _ time.Duration) error {
				if _, bounded := ctx.Deadline(); !bounded {
					t.Error("a wait without an end")
				}
				if slept++; slept > 100 {
					return context.DeadlineExceeded
				}
				return nil
			}}
			err := h.Do(context.Background(), "watch")
			if got := strings.ReplaceAll(strings.Join(f.done, " "), " "+umbrella.Unit, ""); got != c.want || err != nil || said.Len() > 0 || f.looks != len(c.moments) {
				t.Errorf("did %q, want %q; %v, said %q; %d looks, want %d", got, c.want, err, &said, f.looks, len(c.moments))
			}
		})
	}
}

// A watch ends, whatever does not.
func TestWatchEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		moment moment
		job    error
		want   string // of the error, or said
		done   int
		fails  bool
	}{
		"a job that never ends":          {at("active start", runs, runs), nil, "more than", 0, false},
		"a start that never ends":        {at("active", starts, failed), nil, "more than", 0, false},
		"what refuses to become so":      {at("failed", runs, runs), &systemd.JobError{}, "does not become", 3, true},
		"what is masked":                 {at("failed", runs, runs), errors.New("masked"), "masked", 1, true},
		"a systemd that does not answer": {moment{err: systemd.ErrSilent}, nil, "does not answer", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{wants: []string{a, b}, moments: []moment{c.moment}, job: func(string, string) error { return c.job }}
			var said strings.Builder
			slept := 0
			h := umbrella.Host{Systemd: f, Stderr: &said, Sleep: func(context.Context, time.Duration) error {
				if slept++; slept > 100 {
					return context.DeadlineExceeded
				}
				return nil
			}}
			err := h.Do(context.Background(), "watch")
			if (err != nil) != c.fails || !strings.Contains(fmt.Sprint(err, &said), c.want) || len(f.done) != c.done {
				t.Errorf("%v, said %q; want %q; did %q", err, &said, c.want, f.done)
			}
		})
	}
}

// TestOwn is what postfix.service itself runs.
func TestOwn(t *testing.T) {
	t.Parallel()
	hurry := func(units ...string) string { return "hurry " + strings.Join(units, " hurry ") }
	for name, c := range map[string]struct {
		word    string
		moments []moment
		stale   string
		want    string
		err     string
	}{
		"start: all run":                                 {word: "start", moments: []moment{at("activating start", runs, runs)}},
		"start: one has failed":                          {word: "start", moments: []moment{at("activating start", runs, failed)}, err: b + " does not run"},
		"start: one waits for its next try":              {word: "start", moments: []moment{at("activating start", retries, runs)}, err: a + " does not run"},
		"start: the next try is due":                     {word: "start", moments: []moment{at("activating start", retries+" restart", runs)}, err: a + " does not run"},
		"start: a try fails":                             {word: "start", moments: []moment{at("activating start", starts, runs), at("activating start", starts, runs), at("activating start", retries, runs)}, err: a + " does not run"},
		"start: a try is good":                           {word: "start", moments: []moment{at("activating start", starts, runs), at("activating start", runs, runs)}},
		"start: a try takes its time":                    {word: "start", moments: []moment{at("activating start", starts, runs)}},
		"start: one of two that try has failed":          {word: "start", moments: []moment{at("activating start", starts, failed)}, err: b + " does not run"},
		"reload: a try fails":                            {word: "reload", moments: []moment{at("reloading reload", starts, runs), at("reloading reload", failed, runs)}, err: a + " does not run"},
		"start: one is stopped, that is no failure":      {word: "start", moments: []moment{at("activating start", stopped, runs)}},
		"start: an old refusal to reload does not count": {word: "start", moments: []moment{at("activating start", runs, runs)}, stale: a},
		"reload: all did":                                {word: "reload", moments: []moment{at("reloading reload", runs, runs)}},
		"reload: one refused":                            {word: "reload", moments: []moment{at("reloading reload", runs, runs)}, stale: a, err: a + " kept its old configuration"},
		"reload: one that is stopped had refused":        {word: "reload", moments: []moment{at("reloading reload", stopped, runs)}, stale: a},
		"reload: one has failed":                         {word: "reload", moments: []moment{at("reloading reload", runs, failed)}, err: b + " does not run"},
		"stop: all are hurried and waited for": {
			word: "stop", want: hurry(a, b),
			moments: []moment{at("deactivating stop", runs+" stop", retries+" stop"), at("deactivating stop", ends+" stop", stopped), at("deactivating stop", stopped, stopped)},
		},
		"stop: a stop that comes later": {
			word: "stop", want: hurry(a, b),
			moments: []moment{at("deactivating stop", runs+" stop", starts+" start"), at("deactivating stop", stopped, runs+" stop"), at("deactivating stop", stopped, stopped)},
		},
		"stop: one alone is stopped while postfix.service tells of another": {
			word: "stop", want: hurry(a), moments: []moment{at("deactivating restart", runs+" stop", runs), at("deactivating restart", stopped, runs)},
		},
		"stop: a restart is no stop":         {word: "stop", moments: []moment{at("deactivating restart", runs+" restart", runs+" restart")}},
		"stop: for the truth, it stops none": {word: "stop", moments: []moment{at("deactivating stop", runs, stopped)}},
		"stop: a shutdown waits by itself":   {word: "stop", moments: []moment{stopping(at("deactivating stop", runs+" stop", runs+" stop"))}},
		"stop: a shutdown that begins meanwhile": {
			word: "stop", want: hurry(a), moments: []moment{at("deactivating stop", runs+" stop", stopped), stopping(at("deactivating stop", ends+" stop", stopped))},
		},
		"stop: one that does not end":    {word: "stop", want: hurry(a), moments: []moment{at("deactivating stop", ends+" stop", stopped)}, err: "cannot wait"},
		"stop: systemd does not answer":  {word: "stop", moments: []moment{{err: systemd.ErrSilent}}, err: "does not answer"},
		"start: systemd does not answer": {word: "start", moments: []moment{{err: systemd.ErrSilent}}, err: "does not answer"},
		"nonsense":                       {word: "go", moments: []moment{{}}, err: `cannot do "go"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{wants: []string{"other.service", a, b}, stale: c.stale, moments: c.moments}
			var said strings.Builder
			slept := 0
			h := umbrella.Host{Systemd: f, Stderr: &said, Complaints: func() string { return "a complaint\n" }, Sleep: func(context.Context, time.Duration) error {
				if slept++; slept > 100 {
					return context.DeadlineExceeded
				}
				return nil
			}}
			err := h.Do(context.Background(), c.word)
			if got := strings.Join(f.done, " "); got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("did %q, want %q; %v, want %q", got, c.want, err, c.err)
			}
			if want := map[bool]string{true: "a complaint\n"}[c.word == "start"]; said.String() != want {
				t.Errorf("said %q, want %q", &said, want)
			}
		})
	}
}

// Over the bus: a job of the watch touches no instance, and a failed one does not end it.
func TestWatchOverTheBus(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	bus := systemdtest.New(t, map[string]systemdtest.Unit{
		umbrella.Unit: {Load: "loaded", Active: "active", Sub: "exited", Wants: []string{a, b}, Result: "failed"},
		a:             {Load: "loaded", Active: "active", Sub: "running"}, b: {Load: "loaded", Active: "failed", Sub: "failed"},
	})
	m, err := systemd.Open(ctx, bus.Dial)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	h := umbrella.Host{Systemd: m, Stderr: new(strings.Builder), Sleep: func(context.Context, time.Duration) error { return context.DeadlineExceeded }}
	for range 2 { // the second time it has failed already
		if err := h.Do(ctx, "watch"); err != nil {
			t.Error(err)
		}
	}
	if got, want := bus.Calls(), []string{"RestartUnit postfix.service ignore-dependencies"}; !slices.Equal(got, want) {
		t.Errorf("calls are %q, want %q", got, want)
	}
}
