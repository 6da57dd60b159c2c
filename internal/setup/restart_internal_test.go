package setup

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/run"
	"postfix-maint/internal/sysroot/sysroottest"
	"postfix-maint/internal/systemd"
	"postfix-maint/internal/systemd/systemdtest"
)

// postfix says of each configuration directory in it why it does not pass the check, to a terminal.
type postfix map[string]string

func (p postfix) OnTerminal(_ context.Context, name string, args ...string) error {
	if why, bad := p[args[1]]; bad {
		return &run.ExitError{Args: append([]string{name}, args...), Code: 1, Stderr: "postfix: warning: odd\npostfix: fatal: " + why}
	}
	return nil
}

// allows is a host without a local policy.
type allows struct{}

func (allows) Output(context.Context, string, ...string) ([]byte, error) { return []byte("0\n"), nil }
func (allows) Run(context.Context, string, ...string) error              { return nil }

// Every instance that runs is restarted for itself; what does not pass Postfix's check, or cannot be found, goes on as it is and is
// named, and keeps no other from its restart.
func TestRestartOfEach(t *testing.T) {
	t.Parallel()
	const one, two, hand = "postfix@postfix-one.service", "postfix@postfix-two.service", `postfix@by\x2dhand.service`
	running := systemdtest.Unit{Load: "loaded", Active: "active", Sub: "running"}
	umbrella := systemdtest.Unit{Load: "loaded", Active: "active", Sub: "exited"}
	for name, c := range map[string]struct {
		units  map[string]systemdtest.Unit
		bad    postfix
		broken string // an instance whose main.cf nobody understands
		calls  []string
		says   []string
	}{
		"all pass": {
			units: map[string]systemdtest.Unit{Unit: umbrella, PrimaryUnit: running, one: running, two: running, "postfix@one.service": umbrella},
			calls: []string{"RestartUnit postfix@-.service replace", "RestartUnit " + one + " replace", "RestartUnit " + two + " replace"},
		},
		"one does not": {
			units: map[string]systemdtest.Unit{Unit: umbrella, PrimaryUnit: running, one: running, two: running},
			bad:   postfix{"/etc/postfix-one": "unknown value"},
			calls: []string{"RestartUnit postfix@-.service replace", "RestartUnit " + two + " replace"},
			says:  []string{`"/etc/postfix-one" does not pass the check: postfix: fatal: unknown value`},
		},
		"the primary one does not": {
			units: map[string]systemdtest.Unit{Unit: umbrella, PrimaryUnit: running, one: running},
			bad:   postfix{"/etc/postfix": "unknown value"},
			calls: []string{"RestartUnit " + one + " replace"},
			says:  []string{`"/etc/postfix" does not pass the check: postfix: fatal: unknown value`},
		},
		"one cannot be read": {
			units: map[string]systemdtest.Unit{Unit: umbrella, PrimaryUnit: running, one: running, two: running}, broken: "one",
			calls: []string{"RestartUnit postfix@-.service replace", "RestartUnit " + two + " replace"},
			says:  []string{one + " is not restarted", "/etc/postfix-one"},
		},
		"two are not to be found": {
			units: map[string]systemdtest.Unit{Unit: umbrella, PrimaryUnit: running, "postfix@gone.service": running, "postfix@lost.service": running},
			calls: []string{"RestartUnit postfix@-.service replace"},
			says:  []string{"postfix@gone.service is not restarted", "postfix@lost.service is not restarted"},
		},
		"one is stopped": {
			units: map[string]systemdtest.Unit{Unit: umbrella, PrimaryUnit: running, one: {Load: "loaded", Active: "inactive"}},
			calls: []string{"RestartUnit postfix@-.service replace"},
		},
		"one that is in no list": {
			units: map[string]systemdtest.Unit{Unit: umbrella, hand: running},
			calls: []string{"RestartUnit " + hand + " replace"},
		},
		"Debian 13's own units until now": {
			units: map[string]systemdtest.Unit{Unit: running, PrimaryUnit: {Load: "loaded", Active: "inactive"}, "postfix@one.service": running, two: running},
			bad:   postfix{"/etc/postfix-two": "unknown value"},
			calls: []string{
				"RestartUnit postfix.service ignore-dependencies", "RestartUnit postfix@-.service replace", "RestartUnit postfix@one.service replace",
			},
			says: []string{"/etc/postfix-two"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			files := map[string]string{
				"etc/postfix/main.cf":         "multi_instance_directories = /etc/postfix-one /etc/postfix-two\n",
				"etc/postfix-one/main.cf":     "multi_instance_name = postfix-one\n",
				"etc/postfix-two/main.cf":     "multi_instance_name = postfix-two\n",
				"etc/postfix-by-hand/main.cf": "x = y\n",
			}
			if c.broken != "" {
				files[path.Join("etc", "postfix-"+c.broken, "main.cf")] = "\x00"
			}
			fake := systemdtest.New(t, c.units)
			s := &Systemd{
				Run: allows{}, Links: SysV{Root: sysroottest.New(t, files), Check: c.bad},
				Dial: func(ctx context.Context) (*systemd.Manager, error) { return systemd.Open(ctx, fake.Dial) },
			}
			defer s.Close()
			err := s.ActAll(ctx, "restart")
			calls := slices.DeleteFunc(fake.Calls(), func(call string) bool { return !strings.HasPrefix(call, "RestartUnit") })
			if diff := cmp.Diff(c.calls, calls); diff != "" {
				t.Error(diff)
			}
			if err == nil {
				err = errors.New("nothing")
			}
			for _, part := range c.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("it says %q, want %q in it", err, part)
				}
			}
			if strings.Contains(err.Error(), "odd") || len(c.says) == 0 && err.Error() != "nothing" {
				t.Errorf("it says %q", err)
			}
		})
	}
}

// calls notes what is run.
type calls struct{ lines []string }

func (c *calls) Output(_ context.Context, name string, args ...string) ([]byte, error) {
	c.lines = append(c.lines, strings.Join(append([]string{name}, args...), " "))
	return nil, nil
}

func (c *calls) Run(ctx context.Context, name string, args ...string) error {
	_, err := c.Output(ctx, name, args...)
	return err
}

// Whether Postfix runs is not asked of its own programs, which say no for any trouble with main.cf; and what is to be stopped is
// stopped without a question.
func TestSysVAsksNoProgramOfPostfixs(t *testing.T) {
	t.Parallel()
	for action, want := range map[string][]string{
		"reload": nil, "restart": nil, "stop": {"invoke-rc.d postfix stop"}, "start": {"invoke-rc.d postfix start"},
	} {
		ran := &calls{}
		s := SysV{Run: ran, Root: sysroottest.New(t, map[string]string{"etc/postfix/main.cf": "inet_interfaces = 10.9.9.9\n"}), Check: postfix{}}
		if err := s.Act(context.Background(), action); err != nil || !slices.Equal(ran.lines, want) {
			t.Errorf("%s runs %q, %v; want %q", action, ran.lines, err, want)
		}
	}
}
