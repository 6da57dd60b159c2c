package umbrella_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"postfix-maint/internal/systemd"
	"postfix-maint/internal/umbrella"
)

// TestStrays has two masters run outside of their units; the unit of one does not take it. A third
// one is started meanwhile, and a stop of the fourth one's unit is under way at the first look.
func TestStrays(t *testing.T) {
	t.Parallel()
	table := "postfix@-.service /none\n" + `postfix@a\x2b.service /a b` + "\npostfix@in.service /in\npostfix@bad.service /bad\npostfix@late.service /late\n"
	masters := map[string]int{"/a b": 10, "/in": 11, "/bad": 12, "/late": 14}
	var waited time.Duration
	var said strings.Builder
	fake := &fake{moments: []moment{{units: []systemd.Unit{{Name: "postfix@late.service", Job: "stop"}}}, {}}}
	fake.job = func(verb, unit string) error {
		switch unit {
		case "postfix@bad.service":
			return errors.New("refused")
		case "postfix@late.service":
			masters["/late"] = 20
		default:
			masters["/a b"], masters["/none"] = 20, 13
		}
		return nil
	}
	ended := 0
	err := umbrella.Search{
		Host:       umbrella.Host{Stderr: &said, Sleep: func(_ context.Context, d time.Duration) error { waited += d; return nil }},
		Dial:       func(context.Context) (umbrella.Manager, func(), error) { return fake, func() { ended++ }, nil },
		Table:      func() string { return table },
		Master:     func(queue string) int { return masters[queue] },
		Supervised: func(pid int) bool { return pid == 11 || pid == 20 },
	}.Strays(context.Background())
	want := []string{`join postfix@a\x2b.service`, "join postfix@bad.service", "join postfix@-.service", "join postfix@late.service"}
	if err != nil || !slices.Equal(fake.done, want) {
		t.Errorf("%v: did %q, want %q", err, fake.done, want)
	}
	if want := 7 * time.Second; waited != want || ended != 1 { // 1 and 2, twice, and 1
		t.Errorf("waited %v, want %v; closed %d times", waited, want, ended)
	}
	if got := said.String(); !strings.Contains(got, `/a b: started by hand, goes on as postfix@a\x2b.service`) || !strings.Contains(got, "refused") {
		t.Errorf("said %q", got)
	}
}

// Without a stray systemd is not asked; at a shutdown there is one look; and there is an end to
// each wait.
func TestStraysEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		masters int
		moment  moment
		err     string
	}{
		"none":              {0, moment{stopping: true}, ""},
		"at a shutdown":     {5, moment{stopping: true}, ""},
		"a stop for ever":   {5, moment{own: systemd.Unit{Active: "active", Job: "stop"}}, "deadline"},
		"no answer":         {5, moment{err: systemd.ErrSilent}, "does not answer"},
		"a start for ever":  {5, moment{units: []systemd.Unit{{Name: "postfix@-.service", Active: "activating", Job: "start"}}}, "deadline"},
		"no look at a list": {5, moment{stoppingErr: systemd.ErrSilent}, "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, slept := &fake{moments: []moment{c.moment}}, 0
			err := umbrella.Search{
				Host: umbrella.Host{Stderr: new(strings.Builder), Sleep: func(ctx context.Context, _ time.Duration) error {
					if _, bounded := ctx.Deadline(); !bounded {
						t.Error("a wait without an end")
					}
					if slept++; slept == 100 {
						return context.DeadlineExceeded
					}
					return nil
				}},
				Dial: func(context.Context) (umbrella.Manager, func(), error) {
					if c.masters == 0 {
						t.Error("systemd is asked")
					}
					return fake, func() {}, nil
				},
				Table:      func() string { return "postfix@-.service /q\n" },
				Master:     func(string) int { return c.masters },
				Supervised: func(int) bool { return false },
			}.Strays(context.Background())
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || len(fake.done) > 0 {
				t.Errorf("%v, want %q; did %q", err, c.err, fake.done)
			}
		})
	}
}

func TestSupervised(t *testing.T) {
	t.Parallel()
	if umbrella.Supervised(os.Getpid()) {
		t.Error("this process is no unit of Postfix's")
	}
	if !umbrella.Supervised(1 << 22) { // more than any process has
		t.Error("a process that is gone is looked for")
	}
}
