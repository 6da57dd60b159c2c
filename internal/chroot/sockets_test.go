package chroot

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/sysroot"
)

// Which sockets that the configuration names get a relay.
func TestSocketRelays(t *testing.T) {
	t.Parallel()
	const policy = "/run/policy/socket"
	for name, c := range map[string]struct {
		main, master string
		want         []string
	}{
		"none":                           {main: "smtpd_milters = inet:127.0.0.1:8891\n"},
		"a milter":                       {main: "smtpd_milters = unix:/run/m/a, { local:/run/m/b, connect_timeout=1s }\n", want: []string{"/run/m/a", "/run/m/b"}},
		"a policy service":               {main: "smtpd_recipient_restrictions = check_policy_service unix:" + policy + "\n", want: []string{policy}},
		"delivery":                       {main: "virtual_transport = lmtp:unix:/run/dovecot/lmtp\n", master: chrooted + "lmtp unix - - y - - lmtp\n", want: []string{"/run/dovecot/lmtp"}},
		"a socketmap":                    {main: "smtpd_sender_login_maps = socketmap:unix:/run/map/s:name\n", want: []string{"/run/map/s"}},
		"an option of a service":         {master: chrooted + "25 inet n - y - - smtpd\n -o smtpd_milters=unix:/run/m/a\n", want: []string{"/run/m/a"}},
		"through another one":            {main: "x = unix:/run/m/a\nsmtpd_milters = $x\n", want: []string{"/run/m/a"}},
		"twice":                          {main: "smtpd_milters = unix:/run/m/a\nnon_smtpd_milters = $smtpd_milters\n", want: []string{"/run/m/a"}},
		"below the queue":                {main: "smtpd_milters = unix:m/a, unix:/var/spool/postfix/m/a\n"},
		"not chrooted":                   {main: "smtpd_milters = unix:/run/m/a\n", master: nothing},
		"a place of Postfix's own":       {main: "smtpd_milters = unix:/private/a\n"},
		"no name for a unit":             {main: "smtpd_milters = unix:/run/%n/a\n"},
		"a database":                     {main: "smtpd_sender_login_maps = mysql:/etc/postfix/m.cf\n", want: []string{"/run/mysqld/s"}},
		"a transport's table":            {main: "transport_maps = hash:/etc/postfix/t\n", master: chrooted + "lmtp unix - - y - - lmtp\n", want: []string{"/run/dovecot/lmtp"}},
		"what a chrooted proxymap opens": {main: "virtual_alias_maps = proxy:mysql:/etc/postfix/m.cf\n", master: proxymapped, want: []string{"/run/mysqld/s"}},
		"what another one opens":         {main: "virtual_alias_maps = proxy:mysql:/etc/postfix/m.cf\n", master: chrooted + "proxymap unix - - n - - proxymap\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"etc/postfix/main.cf": level + c.main, "etc/passwd": postfixes, "etc/postfix/m.cf": "hosts = unix:/run/mysqld/s\n",
				"etc/postfix/t": "example.org lmtp:unix:/run/dovecot/lmtp\n"}
			if c.master != "" {
				files["etc/postfix/master.cf"] = c.master
			}
			var got []string
			for _, r := range plan(t, host(t, files)).Relays {
				got = append(got, r.Target)
			}
			if slices.Sort(got); !slices.Equal(got, c.want) {
				t.Errorf("relays to %q, want %q", got, c.want)
			}
		})
	}
}

// A relay comes with the parameter and goes with it, beside those of other sockets, and what is the administrator's stays.
func TestSocketRelayLife(t *testing.T) {
	const a, b = "run/m/a", "run/n/b"
	root := shortHost(t, map[string]string{"etc/postfix/main.cf": level + "smtpd_milters = unix:/run/m/a unix:/run/n/b\n", "etc/passwd": postfixes})
	m := &manager{root: root}
	in := func(name string) string { return filepath.Join(root.Dir(), queueDir, name) }
	expect := func(step string, want []string, calls ...string) {
		t.Helper()
		if r := m.apply(t); !slices.Equal(m.calls, calls) || slices.Contains(r.Changed, a) != slices.Contains(want, a) || slices.Contains(r.Changed, b) != slices.Contains(want, b) {
			t.Errorf("%s: calls %q, changed %q, warnings %q", step, m.calls, r.Changed, r.Warnings)
		}
		m.calls = nil
	}
	expect("first run", []string{a, b}, "systemd-run --quiet", "systemd-run --quiet")
	expect("nothing to do", nil)
	m.check(t, `nobody listens at "/run/m/a"`, `nobody listens at "/run/n/b"`)
	m.write(t, "etc/postfix/main.cf", level+"smtpd_milters = unix:run/m/a\n")
	m.check(t, `nobody listens at "/var/spool/postfix/run/m/a", there is no such socket`) // once the relay has gone
	m.write(t, "etc/postfix/main.cf", level+"smtpd_milters = unix:/run/n/b\n")
	expect("one is not named any more", nil, "systemctl stop")
	if _, err := os.Lstat(in("run/m")); err == nil {
		t.Error("the directory of the relay is left")
	}
	m.write(t, "etc/postfix/main.cf", level)
	expect("nor the other", nil, "systemctl stop")

	// The administrator has a daemon listen in the chroot, which at first has not started.
	if err := os.MkdirAll(in("run/m"), 0o755); err != nil {
		t.Fatal(err)
	}
	m.write(t, "etc/postfix/main.cf", level+"smtpd_milters = unix:/run/m/a\n")
	expect("a directory for a daemon to come", nil)
	l, err := net.Listen("unix", in(a))
	if err = errors.Join(err, os.Chmod(in(a), 0o666)); err != nil {
		t.Fatal(err)
	}
	host := filepath.Join(root.Dir(), a)
	outside, err := net.Listen("unix", host)
	if err = errors.Join(err, os.MkdirAll(filepath.Dir(host), 0o755)); outside == nil {
		outside, err = net.Listen("unix", host)
	}
	if err != nil {
		t.Fatal(err)
	}
	expect("a daemon of the chroot", nil)
	outside.(*net.UnixListener).SetUnlinkOnClose(false)
	outside.Close()
	m.check(t)
	l.Close()
	expect("it has gone, and the host has a socket", []string{a}, "systemd-run --quiet")
	m.check(t, `nobody listens at "/run/m/a"`)
	if err := os.Remove(host); err != nil {
		t.Fatal(err)
	}
	if outside, err = net.Listen("unix", host); err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	m.check(t)
}

// check expects what the check says that services cannot reach, a part of each sentence.
func (m *manager) check(t *testing.T, want ...string) {
	t.Helper()
	inst, err := instance.Find(m.root, instance.Primary)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPlan(Deps{Root: m.root, Run: m.run}, inst)
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Inspect()
	said := strings.Join(r.Unreachable, "\n")
	if err != nil || (len(want) == 0) != (said == "") {
		t.Errorf("the check says %q, %v; want %q", said, err, want)
	}
	for _, part := range want {
		if !strings.Contains(said, part) {
			t.Errorf("the check says %q, not %q", said, part)
		}
	}
}

// A relay to a daemon's own directory, in which it could put anything, has no more rights than the daemon.
func TestRelayAccount(t *testing.T) {
	needRoot(t)
	own := func(uid int) func(dir string) error { return func(dir string) error { return os.Chown(dir, uid, -1) } }
	for name, c := range map[string]struct {
		spoil func(dir string) error
		want  sysroot.Account
	}{
		"root's":                 {own(0), sysroot.Account{}},
		"a daemon's":             {own(104), sysroot.Account{UID: 104, GID: 105, Groups: []int{105, 106}}},
		"of a dynamic user":      {own(61234), sysroot.Account{UID: 61234, GID: 65534}},
		"of everybody":           {func(dir string) error { return os.Chmod(dir, 0o777) }, sysroot.Account{UID: 101, GID: 103, Groups: []int{103}}},
		"a daemon's and another": {func(dir string) error { return errors.Join(os.Chown(dir, 104, 106), os.Chmod(dir, 0o775)) }, sysroot.Account{UID: 101, GID: 103, Groups: []int{103}}},
	} {
		root := host(t, map[string]string{"etc/passwd": postfixes + "opendkim:x:104:105::/:/\n", "etc/group": "opendkim:x:105:\nmore:x:106:a,opendkim\n", "run/m/": ""})
		if err := c.spoil(filepath.Join(root.Dir(), "run/m")); err != nil {
			t.Fatal(err)
		}
		got, err := RelayAccount(root, "/run/m/a", "postfix")
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v, %s", name, err, diff)
		}
	}
	if as, err := RelayAccount(host(t, nil), "/run/none/a", "postfix"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v, %v", as, err)
	}
}

// A unit is given the rights that its relay needs, and a database's no other than Postfix's.
func TestRelayUnits(t *testing.T) {
	root := host(t, map[string]string{
		"etc/postfix/main.cf": level + "smtpd_milters = unix:/run/m/a\nsmtpd_sender_login_maps = mysql:/etc/postfix/m.cf\n",
		"etc/postfix/m.cf":    "hosts = unix:/run/m/b\n", "etc/passwd": postfixes,
	})
	p := plan(t, root)
	for _, r := range p.Relays {
		unit := strings.Join(r.command(p), " ")
		as := "--user postfix --relay /run/m/a"
		if r.client {
			as = "--property=CapabilityBoundingSet= --property=User=postfix /usr/lib/systemd/systemd-socket-proxyd --exit-idle-time=5min /run/m/b"
		}
		if !strings.HasSuffix(unit, as) || r.client != (r.Target == "/run/m/b") {
			t.Errorf("the relay to %s is made by %q, want %q", r.Target, unit, as)
		}
	}
	if len(p.Relays) != 2 {
		t.Errorf("relays %v", p.Relays)
	}
}
