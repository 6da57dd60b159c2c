package chroot

import (
	"errors"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

const (
	authMain  = "compatibility_level = 3.6\nsmtpd_sasl_auth_enable = yes\n"
	smtpdConf = "etc/postfix/sasl/smtpd.conf"
	postfixes = "root:x:0:0:root:/root:/bin/sh\npostfix:x:101:103::/var/spool/postfix:/usr/sbin/nologin\n"
	muxPath   = "var/run/saslauthd/mux"
)

// Which services authenticate how, and so what their chroot needs.
func TestLogins(t *testing.T) {
	for name, c := range map[string]struct {
		files  map[string]string
		relays []string // path and target
		sasldb bool
	}{
		"no AUTH, nothing for it": {files: map[string]string{"etc/postfix/main.cf": "compatibility_level = 3.6\n", smtpdConf: "pwcheck_method: saslauthd\n"}},
		"saslauthd":               {files: map[string]string{smtpdConf: "# as usual\nPwcheck_Method : saslauthd\n"}, relays: []string{muxPath + " /var/run/saslauthd/mux"}},
		"saslauthd with a socket of its own": {
			files:  map[string]string{smtpdConf: "pwcheck_method: saslauthd\nsaslauthd_path: /run/auth/mux\n"},
			relays: []string{"run/auth/mux /run/auth/mux"},
		},
		"without smtpd.conf it is sasldb": {sasldb: true},
		"sasldb":                          {files: map[string]string{smtpdConf: "pwcheck_method: auxprop\nauxprop_plugin: sasldb\n"}, sasldb: true},
		"another plugin than sasldb":      {files: map[string]string{smtpdConf: "pwcheck_method: auxprop\nauxprop_plugin: sql\n"}},
		"both":                            {files: map[string]string{smtpdConf: "pwcheck_method: saslauthd auxprop\n"}, sasldb: true, relays: []string{muxPath + " /var/run/saslauthd/mux"}},
		"the directory that main.cf names": {
			files: map[string]string{
				"etc/postfix/main.cf": authMain + "cyrus_sasl_config_path = /srv/sasl:/etc/postfix/sasl\n",
				"srv/sasl/smtpd.conf": "pwcheck_method: saslauthd\n", smtpdConf: "pwcheck_method: auxprop\n",
			},
			relays: []string{muxPath + " /var/run/saslauthd/mux"},
		},
		"Dovecot below the queue directory needs nothing": {files: map[string]string{
			"etc/postfix/main.cf": authMain + "smtpd_sasl_type = dovecot\nsmtpd_sasl_path = private/auth\n",
		}},
		"Dovecot over the network needs nothing": {files: map[string]string{
			"etc/postfix/main.cf": authMain + "smtpd_sasl_type = dovecot\nsmtpd_sasl_path = inet:127.0.0.1:1234\n",
		}},
		"Dovecot's own socket": {
			files: map[string]string{
				"etc/postfix/main.cf": authMain + "smtpd_sasl_type = dovecot\nsmtpd_sasl_path = unix:/run/dovecot/auth-client\n",
			},
			relays: []string{"run/dovecot/auth-client /run/dovecot/auth-client"},
		},
		"one service of master.cf alone": {
			files: map[string]string{
				"etc/postfix/main.cf":   "compatibility_level = 3.6\n",
				"etc/postfix/master.cf": chrooted + "submission inet n - y - - smtpd\n -o smtpd_sasl_auth_enable=yes -o smtpd_sasl_path=other\n",
				smtpdConf:               "pwcheck_method: auxprop\n", "etc/postfix/sasl/other.conf": "pwcheck_method: saslauthd\n",
			},
			relays: []string{muxPath + " /var/run/saslauthd/mux"},
		},
		"a service outside of the chroot": {files: map[string]string{"etc/postfix/master.cf": nothing, smtpdConf: "pwcheck_method: saslauthd\n"}},
		"saslauthd that the administrator moved into the chroot": {files: map[string]string{
			smtpdConf:               "pwcheck_method: saslauthd\n",
			"etc/default/saslauthd": "OPTIONS=\"-c -m /var/spool/postfix/var/run/saslauthd -r\"\n",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"etc/postfix/main.cf": authMain, "etc/sasldb2": "secret", "etc/passwd": postfixes}
			maps.Copy(files, c.files)
			p := plan(t, host(t, files))
			var relays []string
			for _, r := range p.Relays {
				relays = append(relays, r.Path+" "+r.Target)
			}
			if !slices.Equal(relays, c.relays) {
				t.Errorf("relays %q, want %q", relays, c.relays)
			}
			if got := slices.ContainsFunc(p.Entries, func(e Entry) bool { return e.Path == "etc/sasldb2" }); got != c.sasldb {
				t.Errorf("sasldb copied: %v, want %v", got, c.sasldb)
			}
		})
	}
}

// A set-up of saslauthd that somebody else can write does not decide whether the chroot gets a relay.
func TestForeignSaslauthdNeedsRoot(t *testing.T) {
	needRoot(t)
	root := host(t, map[string]string{
		"etc/postfix/main.cf": authMain, smtpdConf: "pwcheck_method: saslauthd\n", "etc/passwd": postfixes,
		"etc/default/saslauthd": "START=yes\n", "etc/default/saslauthd-2": "OPTIONS='-m /var/spool/postfix/var/run/saslauthd'\n",
	})
	if p := plan(t, root); len(p.Relays) != 0 {
		t.Fatalf("relays %v beside saslauthd in the chroot", p.Relays)
	}
	if err := os.Chown(filepath.Join(root.Dir(), "etc/default/saslauthd-2"), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	p := plan(t, root)
	if len(p.Relays) != 1 || !strings.Contains(strings.Join(p.Warnings, "\n"), `"/etc/default/saslauthd-2"`) {
		t.Errorf("relays %v, warnings %q", p.Relays, p.Warnings)
	}
}

// The copy of sasldb is for Postfix alone, whoever may read the host's file.
func TestSasldbIsPrivate(t *testing.T) {
	root := host(t, map[string]string{"etc/postfix/main.cf": authMain, "etc/sasldb2": "secret", "etc/passwd": postfixes})
	if os.Geteuid() != 0 {
		t.Skip("needs root: the copy belongs to group postfix")
	}
	if err := os.Chmod(filepath.Join(root.Dir(), "etc/sasldb2"), 0o666); err != nil {
		t.Fatal(err)
	}
	apply(t, root)
	fi, err := os.Stat(filepath.Join(root.Dir(), queueDir, "etc/sasldb2"))
	if err != nil {
		t.Fatal(err)
	}
	if _, gid := sysroot.Owner(fi); fi.Mode().Perm() != 0o640 || gid != 103 {
		t.Errorf("mode %v, group %d; want 0640, 103", fi.Mode().Perm(), gid)
	}
	if again := apply(t, root); len(again.Changed) > 0 {
		t.Errorf("a second run changed %q", again.Changed)
	}
}

// manager plays systemd for transient sockets.
type manager struct {
	root  *sysroot.Root
	calls []string
	fail  bool
}

func (m *manager) run(name string, args ...string) error {
	m.calls = append(m.calls, filepath.Base(name)+" "+args[0])
	if m.fail {
		return errors.New("no")
	}
	dir := filepath.Join(m.root.Dir(), "run/systemd/transient")
	if filepath.Base(name) == "systemctl" {
		unit := filepath.Join(dir, args[1])
		return os.Remove(unit) // the socket stays, and nobody listens
	}
	var unit, socket, check string
	for _, arg := range args {
		if u, ok := strings.CutPrefix(arg, "--unit="); ok {
			unit = u + ".socket"
		}
		if s, ok := strings.CutPrefix(arg, "--socket-property=ListenStream="); ok {
			socket = s
		}
		if c, ok := strings.CutPrefix(arg, "--socket-property="); ok && strings.HasPrefix(c, "ExecStartPre=") {
			_, command, _ := strings.Cut(c, "=")
			check = "ExecStartPre=\nExecStartPre=\"" + strings.Join(strings.Fields(command), "\" \"") + "\"\n" // as systemd writes it
		}
	}
	_ = os.Remove(filepath.Join(m.root.Dir(), socket))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(m.root.Dir(), socket)})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	return errors.Join(l.Close(), os.MkdirAll(dir, 0o755),
		os.WriteFile(filepath.Join(dir, unit), []byte("[Socket]\nListenStream="+socket+"\n"+check), 0o644))
}

func (m *manager) apply(t *testing.T) Result {
	t.Helper()
	inst, err := instance.Find(m.root, instance.Primary)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPlan(Deps{Root: m.root, Run: m.run}, inst)
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Apply()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (m *manager) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(m.root.Dir(), name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// shortHost is host with a short name: a socket's path has 108 bytes at most.
func shortHost(t *testing.T, files map[string]string) *sysroot.Root {
	t.Helper()
	dir, err := os.MkdirTemp("", "m")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := errors.Join(os.Chmod(dir, 0o755), os.Rename(host(t, files).Dir(), filepath.Join(dir, "r"))); err != nil { // sockets are tried as postfix
		t.Fatal(err)
	}
	root, err := sysroot.Open(filepath.Join(dir, "r"))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// A relay comes with its need, is left alone while it stands, made anew where its socket is gone, and goes with its need.
func TestRelayLife(t *testing.T) {
	root := shortHost(t, map[string]string{"etc/postfix/main.cf": authMain, smtpdConf: "pwcheck_method: saslauthd\n", "etc/passwd": postfixes, "etc/default/": ""})
	dir := filepath.Dir(root.Dir())
	m := &manager{root: root}
	expect := func(step string, r Result, changed bool, calls ...string) {
		t.Helper()
		if !slices.Equal(m.calls, calls) || slices.Contains(r.Changed, muxPath) != changed {
			t.Errorf("%s: calls %q, changed %q, warnings %q", step, m.calls, r.Changed, r.Warnings)
		}
		m.calls = nil
	}
	expect("first run", m.apply(t), true, "systemd-run --quiet")
	expect("nothing to do", m.apply(t), false)
	socket := filepath.Join(root.Dir(), queueDir, muxPath)
	if err := os.Remove(socket); err != nil {
		t.Fatal(err)
	}
	expect("its socket is gone", m.apply(t), true, "systemctl stop", "systemd-run --quiet")
	if err := os.Rename(socket, dir+"/away"); err != nil {
		t.Fatal(err)
	}
	m.write(t, queueDir+"/"+muxPath, "an administrator's")
	expect("something else in its place", m.apply(t), false, "systemctl stop")
	if err := os.Rename(dir+"/away", socket); err != nil {
		t.Fatal(err)
	}
	expect("a dead socket in its place", m.apply(t), true, "systemd-run --quiet")
	m.write(t, "etc/postfix/main.cf", "compatibility_level = 3.6\n")
	expect("not needed any more", m.apply(t), false, "systemctl stop")
	if _, err := os.Lstat(filepath.Join(root.Dir(), queueDir, "var")); err == nil {
		t.Error("the directory of the relay is left")
	}
	m.write(t, "etc/postfix/main.cf", authMain)
	expect("needed again", m.apply(t), true, "systemd-run --quiet")
	// Now the administrator makes saslauthd itself listen there.
	if err := os.Remove(socket); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m.write(t, "etc/default/saslauthd", "OPTIONS='-m /var/spool/postfix/var/run/saslauthd'\n")
	expect("saslauthd has moved in", m.apply(t), false, "systemctl stop")
	if _, err := os.Lstat(socket); err != nil {
		t.Errorf("its socket was removed: %v", err)
	}
	m.write(t, "etc/default/saslauthd", "")
	m.write(t, "etc/postfix/main.cf", authMain)
	m.fail = true
	if r := m.apply(t); !slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "cannot make a relay") }) {
		t.Errorf("a failure is not said: %q", r.Warnings)
	}
}

// A link, or anything but a socket, in the place of a relay is never passed, replaced or removed.
func TestRelayKeepsOut(t *testing.T) {
	for name, planted := range map[string]map[string]string{
		"a link on the way":          {queueDir + "/var": "-> ../../../srv", "srv/": ""},
		"a link to a directory":      {queueDir + "/var/run/saslauthd": "-> ../../../../../srv", "srv/": ""},
		"a file in its place":        {queueDir + "/" + muxPath: "mine"},
		"a directory in its place":   {queueDir + "/" + muxPath + "/": ""},
		"a link in its place":        {queueDir + "/" + muxPath: "-> /etc/passwd"},
		"a file where its path goes": {queueDir + "/var": "mine"},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"etc/postfix/main.cf": authMain, smtpdConf: "pwcheck_method: saslauthd\n", "etc/passwd": postfixes}
			maps.Copy(files, planted)
			m := &manager{root: host(t, files)}
			before := sysroottest.Dump(t, m.root.Dir(), false)
			if r := m.apply(t); m.calls != nil || slices.Contains(r.Changed, muxPath) || len(r.Warnings) == 0 {
				t.Errorf("calls %q, changed %q, warnings %q", m.calls, r.Changed, r.Warnings)
			}
			m.write(t, "etc/postfix/main.cf", "compatibility_level = 3.6\n")
			m.apply(t)
			after := sysroottest.Dump(t, m.root.Dir(), false)
			for path := range planted {
				if path = strings.TrimSuffix(path, "/"); after[path] != before[path] {
					t.Errorf("%s was %q, is %q", path, before[path], after[path])
				}
			}
		})
	}
}

// A relay's place is handed to systemd, and both its names by the init script to mount(8): so nobody but root may decide what these mean. One
// that runs is ended when that changes.
func TestRelayPlaceNeedsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: directories of other owners are made")
	}
	const auth = "/var/run/saslauthd"
	for name, c := range map[string]struct {
		dir  string // relative to the host
		mode os.FileMode
		uid  int
	}{
		"the queue directory is another's":          {queueDir, 0o755, 101},
		"a directory of ours in it is another's":    {queueDir + auth, 0o755, 101},
		"one on the way":                            {queueDir + "/var", 0o755, 101},
		"all may write there":                       {queueDir + auth, 0o777, 0},
		"all may, with the sticky bit":              {queueDir + auth, 0o777 | os.ModeSticky, 0},
		"the host's socket is in another's":         {auth[1:], 0o755, 101},
		"the host's socket is in one like /tmp":     {auth[1:], 0o777 | os.ModeSticky, 0},
		"the host's will be, once the directory is": {"var/run", 0o755, 101},
	} {
		t.Run(name, func(t *testing.T) {
			root := shortHost(t, map[string]string{
				"etc/postfix/main.cf": authMain, smtpdConf: "pwcheck_method: saslauthd\n", "etc/passwd": postfixes, "var/run/": "",
			})
			m := &manager{root: root}
			if c.dir != "var/run" {
				if err := os.MkdirAll(filepath.Join(root.Dir(), auth), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if r := m.apply(t); !slices.Contains(r.Changed, muxPath) {
				t.Fatalf("no relay at first: %q", r.Warnings)
			}
			at := filepath.Join(root.Dir(), c.dir)
			if err := errors.Join(os.Chown(at, c.uid, -1), os.Chmod(at, c.mode)); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(c.dir, queueDir) {
				// The relay runs as whoever decides there, so it stays; a mount would be root's.
				m.calls = nil
				m.apply(t)
				if binds, _ := plan(t, root).Binds(); m.calls != nil || len(binds) > 0 {
					t.Errorf("calls %q, to be mounted: %q", m.calls, binds)
				}
				return
			}
			refused := func(warnings []string) bool {
				return slices.ContainsFunc(warnings, func(w string) bool {
					return strings.Contains(w, `"/`+c.dir+`"`) && (strings.Contains(w, "(chown root)") || strings.Contains(w, "(chmod o-w)") || strings.Contains(w, "(choose another directory)"))
				})
			}
			for step, calls := range []string{"systemctl stop", ""} {
				m.calls = nil
				if r := m.apply(t); strings.Join(m.calls, ",") != calls || !refused(r.Warnings) {
					t.Errorf("run %d: calls %q, warnings %q", step, m.calls, r.Warnings)
				}
			}
			if binds, warnings := plan(t, root).Binds(); len(binds) > 0 || !refused(warnings) {
				t.Errorf("to be mounted: %q, warnings %q", binds, warnings)
			}
		})
	}
}

// A name is handed on only where a unit can hold it as it is.
func TestRelayNames(t *testing.T) {
	for _, name := range []string{"/run/a b/mux", "/run/a%n/mux", "/run/$HOME/mux", "/run/a\nb/mux", `/run/a"/mux`} {
		root := host(t, map[string]string{
			"etc/postfix/main.cf": authMain + "smtpd_sasl_type = dovecot\nsmtpd_sasl_path = " + strings.ReplaceAll(strings.ReplaceAll(name, "$", "$$"), "\n", "\n ") + "\n", "etc/passwd": postfixes,
		})
		m := &manager{root: root}
		if r := m.apply(t); m.calls != nil || len(r.Warnings) == 0 {
			t.Errorf("%q: calls %q, warnings %q", name, m.calls, r.Warnings)
		}
	}
}
