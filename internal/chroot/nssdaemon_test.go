package chroot

import (
	"testing"

	"postfix-maint/internal/elfdep/elfdeptest"
)

// What a module that asks a daemon cannot do is said at each start where something asks for it, and by a check always.
func TestDaemonModules(t *testing.T) {
	t.Parallel()
	const users, hosts = "users that only NSS module ", "hosts that only NSS module "
	for name, c := range map[string]struct {
		conf, master, there string
		start, check        []string
	}{
		"asked for by nobody": {check: []string{users + "sss", users + "systemd", hosts + "resolve"}},
		"a table of users": {
			conf:  "smtpd_sender_login_maps = unix:passwd.byname\n",
			start: []string{users + "sss", users + "systemd"}, check: []string{users + "sss", users + "systemd", hosts + "resolve"},
		},
		"a chrooted proxymap": {
			master: chrooted + "proxymap unix - - y - - proxymap\n",
			start:  []string{users + "sss", users + "systemd"}, check: []string{users + "sss", users + "systemd", hosts + "resolve"},
		},
		"hosts not by DNS alone, and a socket that is there": {
			conf: "smtp_host_lookup = dns, native\n", there: queueDir + "/run/systemd/userdb",
			start: []string{hosts + "resolve"}, check: []string{hosts + "resolve", users + "sss"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{
				"etc/nsswitch.conf":   "passwd: files one sss systemd\ngroup: files systemd\nhosts: files resolve two winbind\n",
				"etc/postfix/main.cf": "compatibility_level = 2\nmyhostname = a.example\n" + c.conf,
			}
			for _, module := range []string{"resolve", "sss", "systemd"} {
				files[multi+"libnss_"+module+".so.2"] = string(elfdeptest.Object{}.Bytes())
			}
			if c.master != "" {
				files["etc/postfix/master.cf"] = c.master
			}
			if c.there != "" {
				files[c.there] = "the socket"
			}
			root := host(t, files)
			warned(t, apply(t, root), c.start...)
			found, err := plan(t, root).Inspect()
			if err != nil {
				t.Fatal(err)
			}
			warned(t, found, c.check...)
		})
	}
}
