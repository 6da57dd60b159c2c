package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postfix-maint/internal/sysroot/sysroottest"
)

const snippet = "/etc/rsyslog.d/postfix-maint.conf"

// loggingHost is a host with rsyslog and two chrooted instances, as a tree.
func loggingHost(more map[string]string) map[string]string {
	const master = "smtp inet n - y - - smtpd\n"
	files := map[string]string{
		"usr/sbin/rsyslogd": "x", "etc/rsyslog.conf": "x", "etc/rsyslog.d/postfix.conf": "#\n", "dev/log": "x", "run/": "",
		"etc/postfix/main.cf":       "compatibility_level=2\nmyhostname=a.example\nmulti_instance_directories=/etc/postfix-out\nmulti_instance_enable=yes\n",
		"etc/postfix-out/main.cf":   "compatibility_level=2\nqueue_directory=/srv/out\nmulti_instance_name=postfix-out\nmulti_instance_enable=yes\n",
		"etc/postfix-out/master.cf": master, "etc/postfix/master.cf": master, "var/spool/postfix/": "", "srv/out/": "",
	}
	for name, text := range more {
		files[name] = text
	}
	return files
}

// Where an instance cannot be read, it may run all the same, and its socket stays; one that is read and has no chroot has none.
func TestWhatCannotBeReadKeepsItsSocket(t *testing.T) {
	needsRoot(t)
	const primary, further = "\"/var/spool/postfix/dev/log\"", "\"/srv/out/dev/log\""
	for name, c := range map[string]struct {
		change map[string]string
		want   []string
	}{
		"nothing":            {nil, []string{primary, further}},
		"main.cf is broken":  {map[string]string{"etc/postfix/main.cf": "no setting\n"}, []string{primary, further}},
		"another's":          {map[string]string{"etc/postfix-out/main.cf": "no setting\n"}, []string{primary, further}},
		"master.cf is gone":  {map[string]string{"etc/postfix/master.cf": ""}, []string{primary, further}},
		"a slip":             {map[string]string{"etc/postfix/main.cf": "compatibility_level=2\nqueue_directory=/etc\n"}, []string{primary, further}},
		"off":                {map[string]string{"etc/postfix/master.cf": "smtp inet n - n - - smtpd\n"}, []string{further}},
		"the other one, too": {map[string]string{"etc/postfix/master.cf": "#\n", "etc/postfix-out/master.cf": "#\n"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			root := sysroottest.New(t, loggingHost(nil))
			var said strings.Builder
			syncSyslog(t.Context(), root, chrootQueues(root), &said)
			for name, text := range c.change {
				name = filepath.Join(root.Dir(), name)
				if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				if text == "" {
					if err := os.Remove(name); err != nil {
						t.Fatal(err)
					}
				}
			}
			syncSyslog(t.Context(), root, chrootQueues(root), &said)
			text, _ := root.ReadFile(snippet)
			if got := strings.Count(string(text), "input("); got != len(c.want) {
				t.Errorf("%d sockets, want %d; it said %s", got, len(c.want), said.String())
			}
			for _, want := range c.want {
				if !strings.Contains(string(text), want) {
					t.Errorf("no %s in:\n%s", want, text)
				}
			}
		})
	}
}

// When Debian's own package takes the place of ours its conffile names the primary's socket, so ours must not, whatever runs the services.
func TestDebiansPackageFindsNoSocketOfOurs(t *testing.T) {
	needsRoot(t)
	root := sysroottest.New(t, loggingHost(map[string]string{"usr/lib/systemd/system/postfix@.service": "[Service]\nExecStart=postmulti -i %i\n"}))
	t.Setenv("DPKG_ROOT", root.Dir())
	var said strings.Builder
	syncSyslog(t.Context(), root, chrootQueues(root), &said)
	if ok, err := root.Exists(snippet); err != nil || !ok {
		t.Fatalf("%v: %s", err, said.String())
	}
	if code := execute(t.Context(), []string{"postfix-maint", "adopt", "--hand-over"}, &said, &said); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if ok, err := root.Exists(snippet); err != nil || ok {
		t.Errorf("it is still there, %v: %s", err, said.String())
	}
}
