package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

func TestStatusCommand(t *testing.T) {
	walk(t, twoInstances(t), []step{
		{"status", 0, "...primary instance, unit postfix@-.service\n  state    stopped\n", ""},
		{"status", 0, "...\ninstance postfix-out, unit postfix@postfix-out.service\n  state    stopped, not enabled\n", ""},
		{"status out --json", 0, "...\"name\": \"postfix-out\"", ""},
		{"status none", 1, "", `cannot find instance "none"`},
		{"status --watch --json", 2, "...\"kind\": \"usage\"", "--watch does not go with --json"},
	})
	if _, out, _ := runOn(t, twoInstances(t), "status out"); strings.Contains(out, "primary instance") {
		t.Errorf("of one instance: %s", out)
	}
	walk(t, sysroottest.New(t, map[string]string{"etc/postfix/": ""}), []step{{"status", 0, "...there is no instance of Postfix that can be read", ""}})
}

// What a tree without programs shows; the rest is the scenario's.
func TestDoctorCommand(t *testing.T) {
	root := twoInstances(t)
	walk(t, root, []step{
		{"doctor", 1, "...advice: an outdated setting (outdated-setting)\n  seen  /etc/postfix/main.cf:6: milter_protocol = 2: ", "findings: "},
		{"doctor none", 2, "", `cannot find instance "none"`},
	})
	for _, layer := range []string{"", "+a0.1.0"} { // Debian's own layer fills a chroot in its own way; what follows has ours
		want := layer != ""
		stanza := "Package: postfix\nStatus: install ok installed\nVersion: 3.7.11-0+deb12u1" + layer + "\n\n"
		if _, err := root.MkdirAll("/var/lib/dpkg", sysroot.Attr{}); err != nil {
			t.Fatal(err)
		}
		if _, err := root.WriteFile(paths.DpkgStatus, []byte(stanza), sysroot.Attr{}); err != nil {
			t.Fatal(err)
		}
		if _, out, _ := runOn(t, root, "status --json"); strings.Contains(out, `"state": "stale"`) != want {
			t.Errorf("layer %q: %s", layer, out)
		}
		if _, out, _ := runOn(t, root, "doctor --json"); strings.Contains(out, `"chroot-stale"`) != want {
			t.Errorf("layer %q: %s", layer, out)
		}
	}
	if err := os.WriteFile(root.Dir()+"/etc/postfix/main.cf", []byte("a = b\nnonsense\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	walk(t, root, []step{
		{"doctor out --json", 1, "...\"instance\": \"postfix-out\"", "findings: "},
		{"doctor --gate", 1, "...broken: main.cf cannot be understood (main-unreadable)\n  seen  /etc/postfix/main.cf:2: ", "findings: "},
	})
	walk(t, sysroottest.New(t, map[string]string{"etc/postfix/": ""}), []step{{"doctor", 2, "", "cannot read configuration"}})
}

// A watched screen is renewed until it is interrupted, which is no failure.
func TestWatchedStatus(t *testing.T) {
	needsRoot(t)
	t.Setenv("DPKG_ROOT", twoInstances(t).Dir())
	rows := table()
	for i := range rows {
		rows[i].who.host = ""
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stdout, stderr bytes.Buffer
	enough := writer(func(data []byte) (int, error) {
		if strings.Count(stdout.String(), "primary instance") > 1 {
			cancel()
		}
		return stdout.Write(data)
	})
	time.AfterFunc(time.Minute, cancel)
	if code := executeRows(ctx, rows, []string{"postfix-maint", "status", "--watch"}, enough, &stderr); code != 0 || stderr.Len() > 0 {
		t.Errorf("exit status %d: %s", code, stderr.String())
	}
	if n := strings.Count(stdout.String(), "primary instance"); n < 2 || strings.Contains(stdout.String(), "\x1b") {
		t.Errorf("shown %d times, or with colours: %q", n, stdout.String())
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(data []byte) (int, error) { return w(data) }
