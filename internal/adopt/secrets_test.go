package adopt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The marks are those that smarthost writes: see its package table.
const (
	ourBegin = "# BEGIN postfix-maint smarthost: the lines down to END are rewritten by \"postfix-maint smarthost set\"\n"
	ourEnd   = "# END postfix-maint smarthost\n"
)

// A purge takes the relay's password away wherever "smarthost set" has put it, in each instance; what is an administrator's stays as it
// was before the first set, and is named.
func TestPurgeTakesThePasswordOfTheRelay(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile(filepath.Join(project, "internal/smarthost/table/table.go"))
	must(t, err)
	if !strings.Contains(string(source), strings.TrimSpace(ourBegin)) || !strings.Contains(string(source), strings.TrimSpace(ourEnd)) {
		t.Fatal("smarthost has other marks")
	}
	const mine = "# mine\n[other.example.net]:587 a:b\n"
	block := ourBegin + "# former: [relay.example.net]:587 old:pass\n[relay.example.net]:587 u:geheim\n" + ourEnd
	for script, main := range map[string]string{"postfix.postrm": "x = y\n", "postfix-maint.postrm": ""} {
		files := map[string]string{
			"etc/postfix/sasl_passwd": ourBegin + "[relay.example.net]:587 u:geheim\n" + ourEnd, "etc/postfix/sasl_passwd.db": "geheim",
			"etc/postfix/sasl_passwd.lmdb": "geheim", "etc/postfix/.postfix-maint/sasl_passwd": "geheim",
			"etc/postfix/.postfix-maint-tmp.sasl_passwd.XYZ": "geheim", "etc/postfix/.postfix-maint-staged.sasl_passwd.XYZ": "geheim",
			"etc/postfix/generic": "mine theirs@example.net\n", "etc/postfix/generic.db": "x",
			"etc/postfix-out/sasl_passwd": mine + block, "etc/postfix-out/sasl_passwd.db": "geheim",
			"etc/postfix-three/sasl_passwd": mine, "etc/postfix-three/sasl_passwd.db": "mine",
			"var/lib/postfix-maint/oauth/914.json": "geheim", "var/lib/private/postfix-oauth-relay/914/token.json": "geheim",
			"etc/systemd/system/sockets.target.wants/postfix-oauth-relay@914.socket": "geheim",
		}
		if main != "" {
			for _, dir := range []string{"etc/postfix", "etc/postfix-out", "etc/postfix-three"} {
				files[dir+"/main.cf"] = main
			}
		}
		h := newHost(t, files)
		out := strings.ReplaceAll(h.script(t, script, "purge"), h.root, "ROOT")
		for _, name := range h.left(t) {
			if data, err := os.ReadFile(filepath.Join(h.root, name)); err == nil && strings.Contains(string(data), "geheim") {
				t.Errorf("%s leaves the password in %s", script, name)
			}
		}
		for name, want := range map[string]string{
			"etc/postfix-out/sasl_passwd": mine + "[relay.example.net]:587 old:pass\n", "etc/postfix-three/sasl_passwd": mine,
			"etc/postfix-three/sasl_passwd.db": "mine", "etc/postfix/generic": files["etc/postfix/generic"], "etc/postfix/generic.db": "x",
		} {
			if data, err := os.ReadFile(filepath.Join(h.root, name)); err != nil || string(data) != want {
				t.Errorf("%s: %s holds %q, %v; want %q", script, name, data, err, want)
			}
		}
		if strings.Contains(out, "ROOT/etc/postfix/") || !strings.Contains(out, "ROOT/etc/postfix-out/sasl_passwd is kept") ||
			!strings.Contains(out, "ROOT/etc/postfix-three/sasl_passwd is kept") {
			t.Errorf("%s says %q", script, out)
		}
	}
}

// Under Debian's own layer what smarthost has set stays in force when our package goes: the password too, and that is said.
func TestPurgeOfOurPackageAloneKeepsAPasswordInUse(t *testing.T) {
	t.Parallel()
	text := ourBegin + "[relay.example.net]:587 u:geheim\n" + ourEnd
	h := newHost(t, map[string]string{"etc/postfix/main.cf": "x = y\n", "etc/postfix/sasl_passwd": text, "etc/postfix/sasl_passwd.db": "x"})
	out := h.script(t, "postfix-maint.postrm", "purge")
	data, err := os.ReadFile(filepath.Join(h.root, "etc/postfix/sasl_passwd"))
	if err != nil || string(data) != text || !strings.Contains(out, "/etc/postfix/sasl_passwd is kept") || strings.Contains(out, "geheim") {
		t.Errorf("the table is %q, %v; said %q", data, err, out)
	}
}

// A purge of postfix alone leaves what postfix-maint's source of apt names: apt would fail at every call.
func TestPurgeOfPostfixAloneKeepsTheArchive(t *testing.T) {
	h := newHost(t, map[string]string{
		"var/lib/postfix-maint/archive-1/Packages": "x", "var/lib/postfix-maint/archive": "-> archive-1", "var/lib/postfix-maint/drop-ins.json": "{}",
		"var/lib/postfix-maint/applied.json": "{}", "var/lib/postfix-maint/applied.json.damaged": "", "var/lib/postfix-maint/chroot/-": "{}",
	})
	h.script(t, "postfix.postrm", "purge")
	for name, stays := range map[string]bool{
		"archive/Packages": true, "drop-ins.json": true, "applied.json": false, "applied.json.damaged": false, "chroot": false,
	} {
		if _, err := os.Stat(filepath.Join(h.root, "var/lib/postfix-maint", name)); (err == nil) != stays {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What somebody cut in a table of ours is not guessed at: without the end of our block the lines behind it may be theirs.
func TestPurgeKeepsABlockWithoutAnEnd(t *testing.T) {
	h := newHost(t, map[string]string{"etc/postfix/main.cf": "x = y\n", "etc/postfix/generic": "a b\n" + ourBegin + "@x u@y\nadmins own\n"})
	h.script(t, "postfix.postrm", "purge")
	if data, err := os.ReadFile(filepath.Join(h.root, "etc/postfix/generic")); err != nil || !strings.Contains(string(data), "admins own\n") {
		t.Errorf("left: %q, %v", data, err)
	}
}

// A link in the queue directory, which may be of an account that was taken over, leads a purge nowhere.
func TestPurgeFollowsNoLink(t *testing.T) {
	h := newHost(t, map[string]string{
		"var/log/log": "the host's", "var/log/mail.log": "x", "var/spool/postfix/dev": "-> /var/log", "var/spool/postfix/pid/": "",
		"etc/postfix/sasl_passwd": "-> /srv/secret", "etc/postfix/sasl_passwd.db": "index", "srv/secret": ourBegin + "[r] a:b\n" + ourEnd,
	})
	if err := os.Remove(filepath.Join(h.root, "var/spool/postfix/dev")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(h.root, "var/log"), filepath.Join(h.root, "var/spool/postfix/dev")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(h.root, "etc/postfix/sasl_passwd")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(h.root, "srv/secret"), filepath.Join(h.root, "etc/postfix/sasl_passwd")); err != nil {
		t.Fatal(err)
	}
	said := h.script(t, "postfix.postrm", "purge")
	for name, stays := range map[string]bool{"var/log/log": true, "srv/secret": true, "etc/postfix/sasl_passwd.db": false, "var/spool/postfix/pid": false} {
		if _, err := os.Stat(filepath.Join(h.root, name)); (err == nil) != stays {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !strings.Contains(said, "srv/secret is kept") {
		t.Errorf("nobody is told of the password that stays: %q", said)
	}
}
