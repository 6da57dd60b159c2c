package main

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

// What the unit runs at a start, and what has to fail it.
func TestForStart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args   []string
		env    string // MAIL_CONFIG
		fails  bool   // each program that is run
		code   int
		called []string
		queue  string // where etc/hosts is then
	}{
		"a start, nothing runs":               {args: []string{"--start"}, env: "/srv/out", queue: "/srv/q"},
		"a start, files do not tell":          {args: []string{"--start"}, env: "/srv/none", code: 1, called: []string{"umbrella takeover"}},
		"a start, it cannot be ended":         {args: []string{"--start"}, env: "/srv/none", fails: true, code: 1, called: []string{"umbrella takeover"}},
		"a start with a chroot that does not": {args: []string{"--start"}, env: "/srv/bad", code: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := hosts(t)
			var called []string
			call := func(name string, args ...string) error {
				called = append(called, name[strings.LastIndex(name, "/")+1:]+" "+strings.Join(args, " "))
				if c.fails {
					return errors.New("exit status 1")
				}
				return nil
			}
			var stdout, stderr bytes.Buffer
			env := func(name string) string { return map[string]string{"MAIL_CONFIG": c.env}[name] }
			task, ok := parse(append([]string{"--root", root.Dir()}, c.args...), env, &stderr)
			if !ok {
				t.Fatal(&stderr)
			}
			code := task.forStart(call, &stdout, &stderr)
			if code != c.code || !slices.Equal(called, c.called) {
				t.Errorf("exit code %d, want %d; called %q, want %q; %s", code, c.code, called, c.called, &stderr)
			}
			if _, err := root.ReadFile(c.queue + "/etc/hosts"); c.queue != "" && err != nil {
				t.Errorf("the chroot is not up to date: %v; %s", err, &stderr)
			}
		})
	}
}
