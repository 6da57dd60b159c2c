package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/sysroot"
)

// What the unit runs at a start, and what has to fail it.
func TestForStart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args   []string
		env    string // MAIL_CONFIG
		code   int
		called []string
		queue  string // where etc/hosts is then
	}{
		"a start, nothing runs":               {args: []string{"--start"}, env: "/srv/out", queue: "/srv/q"},
		"a start, files do not tell":          {args: []string{"--start"}, env: "/srv/none", code: 1, called: []string{"postconf -hx queue_directory"}},
		"a start of what is not there":        {args: []string{"--start", "nobody"}, env: "/srv/none", code: 1},
		"a start with a chroot that does not": {args: []string{"--start"}, env: "/srv/bad", code: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := hosts(t)
			var called []string
			call := func(name string, args ...string) error {
				called = append(called, path.Base(name)+" "+strings.Join(args, " "))
				return nil
			}
			p := programs{
				output: func(name string, args ...string) ([]byte, error) { return []byte("/srv/q\n"), call(name, args...) },
				end:    func(int) error { return errors.New("nothing runs") },
			}
			var stdout, stderr bytes.Buffer
			env := func(name string) string { return map[string]string{"MAIL_CONFIG": c.env}[name] }
			task, ok := parse(append([]string{"--root", root.Dir()}, c.args...), env, &stderr)
			if !ok {
				t.Fatal(&stderr)
			}
			code := task.forStart(root, p, &stdout, &stderr)
			if code != c.code || !slices.Equal(called, c.called) {
				t.Errorf("exit code %d, want %d; called %q, want %q; %s", code, c.code, called, c.called, &stderr)
			}
			if _, err := root.ReadFile(c.queue + "/etc/hosts"); c.queue != "" && err != nil {
				t.Errorf("the chroot is not up to date: %v; %s", err, &stderr)
			}
		})
	}
}

// A master of the instance is ended before its unit starts, whether files tell where it works or
// Postfix does; it may refuse.
func TestEndOfMasterNeedsRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only masters that run as root count")
	}
	root := hosts(t)
	if err := os.Mkdir(filepath.Join(root.Dir(), "srv/q/pid"), 0o755); err != nil {
		t.Fatal(err)
	}
	master := filepath.Join(t.TempDir(), "master")
	text, err := os.ReadFile("/bin/sleep")
	if err = errors.Join(err, os.WriteFile(master, text, 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(master, "600")
	cmd.Dir = filepath.Join(root.Dir(), "srv/q")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	if _, err := root.WriteFile("/srv/q/pid/master.pid", fmt.Appendf(nil, "%22d\n", cmd.Process.Pid), sysroot.Attr{Mode: 0o600}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args   []string
		env    string
		queue  string // that Postfix tells
		refuse bool
		code   int
		ended  bool
		said   string
	}{
		"before a start":                     {args: []string{"--start"}, env: "/srv/out", ended: true, said: "ending the Postfix that runs outside of its unit with /srv/out\n"},
		"before a start, Postfix tells it":   {args: []string{"--start"}, env: "/srv/none", queue: "/srv/q", code: 1, ended: true, said: "with /srv/none\n"},
		"before a start, nobody tells it":    {args: []string{"--start"}, env: "/srv/none", code: 1},
		"before a start, it cannot be ended": {args: []string{"--start"}, env: "/srv/out", refuse: true, code: 1, ended: true, said: "cannot end the Postfix"},
		"of another instance":                {args: []string{"--start"}, env: "/etc/postfix"},
	} {
		t.Run(name, func(t *testing.T) {
			ended := 0
			p := programs{
				output: func(string, ...string) ([]byte, error) { return []byte(c.queue + "\n"), nil },
				end: func(pid int) error {
					ended = pid
					return map[bool]error{true: errors.New("it does not react")}[c.refuse]
				},
			}
			var stderr bytes.Buffer
			env := func(name string) string { return map[string]string{"MAIL_CONFIG": c.env}[name] }
			task, _ := parse(append([]string{"--root", root.Dir()}, c.args...), env, &stderr)
			code := task.forStart(root, p, io.Discard, &stderr)
			if want := map[bool]int{true: cmd.Process.Pid}[c.ended]; code != c.code || ended != want || !strings.Contains(stderr.String(), c.said) {
				t.Errorf("exit code %d, want %d; ended %d, want %d; %s", code, c.code, ended, want, &stderr)
			}
		})
	}
}

// What the init script and ExecCondition= go by.
func TestAnswersOfPostfix(t *testing.T) {
	t.Parallel()
	for out, want := range map[string]int{"yes\n": 0, "no\n": 1, "": 1, "fails": 1} {
		p := programs{output: func(string, ...string) ([]byte, error) {
			return []byte(out), map[bool]error{true: errors.New("exit status 1")}[out == "fails"]
		}}
		var stderr bytes.Buffer
		if got := (task{mailConfig: "/srv/x"}).allowed(p, &stderr); got != want || (want == 1) != strings.Contains(stderr.String(), "/srv/x/main.cf: not started") {
			t.Errorf("%q: exit code %d, %s", out, got, &stderr)
		}
	}
}

// TestMasterOfInstance asks for the master of an instance that does not run, and of one whose
// directory is not to be told.
func TestMasterOfInstance(t *testing.T) {
	t.Parallel()
	dir := hosts(t).Dir()
	for config, want := range map[string]int{"/srv/out": 1, "/etc/postfix": 1, "/srv/none": 3, "relative": 3} {
		env := func(name string) string { return map[string]string{"MAIL_CONFIG": config}[name] }
		if got := run([]string{"--root", dir, "--master", "-"}, env, io.Discard, io.Discard); got != want {
			t.Errorf("with %s it exits %d, want %d", config, got, want)
		}
	}
}
