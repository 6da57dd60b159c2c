package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/instance"
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

// A watch without the unit that runs it, as after a return to Debian's layer, ends by itself.
func TestWatchEndsWithItsLayer(t *testing.T) {
	t.Parallel()
	root := hosts(t)
	var out bytes.Buffer
	runs := 0
	refresh := func() error {
		runs++
		return errors.New("no space")
	}
	if code := follow(root, time.Millisecond, refresh, &out); code != 0 || runs != 1 || !strings.Contains(out.String(), "no space") {
		t.Errorf("exit code %d after %d runs, said %q", code, runs, &out)
	}
	for _, dir := range []string{"lib/systemd/system", "usr/lib/systemd/system"} {
		if !ours(sysroottest.New(t, map[string]string{dir + "/postfix-resolvconf-watch.service": ""})) {
			t.Errorf("the unit in /%s is not seen", dir)
		}
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

// TestPanic shows that a fault of ours does not keep Postfix from starting, and is said with its place.
func TestPanic(t *testing.T) {
	t.Parallel()
	root := hosts(t)
	inst, err := instance.Find(root, instance.Primary)
	if err != nil {
		t.Fatal(err)
	}
	fault := shielded("instance -", func() { _, _ = chroot.NewPlan(chroot.Deps{}, inst) }) // without a root
	if len(fault) != 1 || !strings.Contains(fault[0], "instance - stays as it is") || !strings.Contains(fault[0], "chroot.NewPlan:") {
		t.Errorf("got %q", fault)
	}
}

// TestNotDoneNeedsRoot shows that a start goes on with an old chroot, and that the runs that nobody's start depends on say by their exit
// status that they could not do their work.
func TestNotDoneNeedsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: a read-only file system is mounted")
	}
	root := hosts(t)
	none := func(string) string { return "" }
	call := func(arg string) (int, string) {
		var stderr bytes.Buffer
		return run([]string{"--root", root.Dir(), arg}, none, &bytes.Buffer{}, &stderr), stderr.String()
	}
	if code, said := call("-"); code != 0 {
		t.Fatalf("exit code %d, said %q", code, said)
	}
	queue := filepath.Join(root.Dir(), "var/spool/postfix")
	if err := unix.Mount(queue, queue, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(queue, unix.MNT_DETACH) })
	if err := unix.Mount("", queue, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := root.WriteFile("/etc/hosts", []byte("new\n"), sysroot.Attr{}); err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]int{"-": 0, "--resolver": 1, "--all": 1} {
		if code, said := call(arg); code != want || !strings.Contains(said, "read-only file system") {
			t.Errorf("%s: exit code %d, want %d; said %q", arg, code, want, said)
		}
	}
}

// TestNothingIsSaidTwice shows that of two runs at one start the second says only what is new, and a later one says all again.
func TestNothingIsSaidTwice(t *testing.T) {
	t.Parallel()
	sysroottest.NeedsRoot(t)
	root := sysroottest.New(t, map[string]string{"run/postfix-maint/": ""})
	inst := instance.Instance{Name: instance.Primary}
	first := []string{"a: b", "c"}
	for _, c := range []struct {
		again      bool
		warn, want []string
	}{
		{true, first, first}, {false, first, first}, {true, []string{"a: b", "new", "c"}, []string{"new"}}, {true, first, first},
		{false, first, first}, {false, nil, nil}, {true, first, first},
	} {
		if got := (task{again: c.again}).unsaid(root, inst, slices.Clone(c.warn)); !slices.Equal(got, c.want) {
			t.Errorf("again %v: of %q it says %q, want %q", c.again, c.warn, got, c.want)
		}
	}
}

// TestWithin runs what has no end, with a limit, in a process of its own.
func TestWithin(t *testing.T) {
	t.Parallel()
	if os.Getenv("TEST_WITHIN") != "" {
		os.Exit(run([]string{"--watch", "--within", "50ms"}, os.Getenv, io.Discard, os.Stderr))
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestWithin$")
	cmd.Env = []string{"TEST_WITHIN=1"}
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "not done within 50ms") {
		t.Errorf("%v: %s", err, out)
	}
}

// A start takes a socket that would be made by an untrusted name out of what rsyslogd is told; the hooks of the network, which are quick,
// and a question do not.
func TestWithdrawnSocketNeedsRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root: a directory of another owner is made")
	}
	const snippet = "etc/rsyslog.d/postfix-maint.conf"
	root := sysroottest.New(t, map[string]string{
		"etc/postfix/main.cf": "compatibility_level=2\n", "etc/postfix/master.cf": "smtp inet n - y - - smtpd\n", "dev/log": "x", "var/spool/postfix/": "",
		"usr/sbin/rsyslogd": "x", "etc/rsyslog.conf": "x", snippet: "input(type=\"imuxsock\" Socket=\"/var/spool/postfix/dev/log\")\n",
	})
	if err := os.Chown(filepath.Join(root.Dir(), "var/spool/postfix"), 101, 103); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		left bool
		said int
	}{{"--dry-run -", true, 0}, {"--resolver", true, 0}, {"-", false, 1}, {"-", false, 0}} {
		var stdout, stderr bytes.Buffer
		run(append([]string{"--root", root.Dir()}, strings.Fields(c.args)...), func(string) string { return "" }, &stdout, &stderr)
		if left, err := root.Exists("/" + snippet); err != nil || left != c.left || strings.Count(stderr.String(), "told to listen in the chroot: \"/var") != c.said {
			t.Errorf("%s: left %v, %v: %s", c.args, left, err, stderr.String())
		}
	}
}
