package main

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

// hosts is a system with two instances, the second one known to its own directory only.
func hosts(t *testing.T) *sysroot.Root {
	t.Helper()
	const master = "smtp inet n - y - - smtpd\n"
	return sysroottest.New(t, map[string]string{
		"etc/postfix/main.cf": "compatibility_level=2\nmulti_instance_directories=/srv/out\n", "etc/postfix/master.cf": master,
		"srv/out/main.cf": "compatibility_level=2\nmulti_instance_name=postfix-out\nqueue_directory=/srv/q\n", "srv/out/master.cf": master,
		"srv/bad/main.cf": "compatibility_level=2\nmyorigin=debian.org\n", "srv/bad/master.cf": master,
		"dev/log": "the socket", "etc/hosts": "127.0.0.1 localhost\n", "var/spool/postfix/": "", "srv/q/": "",
	})
}

func TestRun(t *testing.T) {
	t.Parallel()
	const first = "updated etc/hosts\n"
	for name, c := range map[string]struct {
		args   []string
		env    string // MAIL_CONFIG
		code   int
		stdout string
		stderr string // a piece of it
		queue  string // where etc/hosts is then
	}{
		"Debian 12's unit, the primary instance":     {args: []string{"-"}, stdout: first, queue: "/var/spool/postfix"},
		"Debian 12's init script":                    {args: []string{""}, stdout: first, queue: "/var/spool/postfix"},
		"Debian 12's unit, another instance":         {args: []string{"postfix-out"}, stdout: first, queue: "/srv/q"},
		"Debian 13's postfix check":                  {env: "/srv/out", stdout: first, queue: "/srv/q"},
		"Debian 13's postfix check, the primary one": {env: "/etc/postfix/", stdout: first, queue: "/var/spool/postfix"},
		"nothing said":                               {stdout: first, queue: "/var/spool/postfix"},
		"an instance goes before the environment":    {args: []string{"-"}, env: "/srv/out", stdout: first, queue: "/var/spool/postfix"},
		"only asking":                                {args: []string{"--dry-run", "-"}, stdout: "would update etc/hosts\n"},
		"an instance that is not there":              {args: []string{"nobody"}, code: 1, stderr: `cannot find instance "nobody"`},
		"an essential failure":                       {env: "/srv/bad", code: 1, stderr: `myorigin "debian.org"`},
		"all instances and one":                      {args: []string{"--all", "-"}, code: 2, stderr: "usage"},
		"directories to be mounted":                  {args: []string{"--binds", "-"}, queue: "/var/spool/postfix"},
		"two instances":                              {args: []string{"a", "b"}, code: 2, stderr: "usage"},
		"an unknown option":                          {args: []string{"--no"}, code: 2, stderr: "-no"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := hosts(t)
			env := func(name string) string {
				return map[string]string{"MAIL_CONFIG": c.env, "DPKG_ROOT": root.Dir()}[name]
			}
			var stdout, stderr bytes.Buffer
			if code := run(c.args, env, &stdout, &stderr); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if stdout.String() != c.stdout {
				t.Errorf("standard output is %q, want %q", stdout.String(), c.stdout)
			}
			// The tree has no programs, which is a warning.
			if got := stderr.String(); !strings.Contains(got, c.stderr) || c.code == 0 && strings.Count(got, "\n") != 1 {
				t.Errorf("standard error is %q, want %q in it", got, c.stderr)
			}
			for _, queue := range []string{"/var/spool/postfix", "/srv/q"} {
				if there, err := root.Exists(queue + "/etc/hosts"); err != nil || there != (queue == c.queue) {
					t.Errorf("a copy in %s is there: %v, %v", queue, there, err)
				}
			}
		})
	}
}

func TestSecondRunIsQuiet(t *testing.T) {
	t.Parallel()
	root := hosts(t)
	none := func(string) string { return "" }
	var out bytes.Buffer
	run([]string{"--root", root.Dir(), "-"}, none, &out, &bytes.Buffer{})
	before := sysroottest.Dump(t, root.Dir(), true)
	out.Reset()
	if code := run([]string{"--root", root.Dir(), "-"}, none, &out, &bytes.Buffer{}); code != 0 || out.Len() > 0 {
		t.Errorf("exit code %d, said %q", code, out.String())
	}
	if after := sysroottest.Dump(t, root.Dir(), true); !reflect.DeepEqual(before, after) {
		t.Errorf("something was touched:\n%v\n%v", before, after)
	}
}

// TestAllInstances shows that one instance in trouble does not keep the others from being refreshed.
func TestAllInstances(t *testing.T) {
	t.Parallel()
	const broken = "compatibility_level=2\nmulti_instance_directories=/srv/gone /srv/out\n"
	for option, main := range map[string]string{"--all": "", "--resolver": "", "--resolver ": broken} {
		t.Run(option+main, func(t *testing.T) {
			t.Parallel()
			root := hosts(t)
			if main != "" {
				if _, err := root.WriteFile("/etc/postfix/main.cf", []byte(main), sysroot.Attr{}); err != nil {
					t.Fatal(err)
				}
			}
			var stdout, stderr bytes.Buffer
			code := run([]string{"--root", root.Dir(), strings.TrimSpace(option)}, func(string) string { return "" }, &stdout, &stderr)
			if want := map[bool]int{true: 1}[main != ""]; code != want {
				t.Errorf("exit code %d, want %d", code, want)
			}
			if want := "updated etc/hosts\n/srv/q: updated etc/hosts\n"; stdout.String() != want {
				t.Errorf("standard output is %q, want %q", stdout.String(), want)
			}
			if main != "" != strings.Contains(stderr.String(), "/srv/gone") {
				t.Errorf("standard error is %q", stderr.String())
			}
		})
	}
	var stderr bytes.Buffer
	if code := run([]string{"--root", sysroottest.New(t, nil).Dir(), "--resolver"}, func(string) string { return "" }, &stderr, &stderr); code != 0 || stderr.Len() > 0 {
		t.Errorf("without a configuration: exit code %d, said %q", code, stderr.String())
	}
}
