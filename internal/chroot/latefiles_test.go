package chroot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postfix-maint/internal/sysroot"
)

// Trust anchors are copied without keys, and a key that a client library opens late for Postfix's account alone.
func TestLateFiles(t *testing.T) {
	needRoot(t)
	const key = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"
	files := map[string]string{
		"etc/postfix/main.cf": level + "smtp_tls_trust_anchor_file = /etc/a.pem\nsmtp_tls_policy_maps = texthash:/etc/postfix/p\nrelay_recipient_maps = mysql:/etc/postfix/m.cf\n",
		"etc/postfix/p":       "x secure tafile=/etc/b.pem tafile=/etc/none.pem\n", "etc/postfix/m.cf": "hosts = inet:db\ntls_key_file = /etc/key.pem\n",
		"etc/a.pem": key + pemCA + key, "etc/b.pem": pemCA, "etc/key.pem": key, "etc/passwd": postfixes,
	}
	root := host(t, files)
	in := func(name string) string { return filepath.Join(root.Dir(), queueDir, name) }
	apply(t, root)
	for name, want := range map[string]string{"etc/a.pem": pemCA, "etc/b.pem": pemCA, "etc/key.pem": key} {
		if data, err := os.ReadFile(in(name)); err != nil || string(data) != want {
			t.Errorf("%s is %q, %v", name, data, err)
		}
	}
	private := func(step string) {
		t.Helper()
		fi, err := os.Stat(in("etc/key.pem"))
		if err != nil {
			t.Fatal(err)
		}
		if uid, _ := sysroot.Owner(fi); fi.Mode().Perm() != 0o600 || uid != 101 {
			t.Errorf("%s: the key has the mode %v and owner %d", step, fi.Mode().Perm(), uid)
		}
	}
	private("at first")
	if r := apply(t, root); len(r.Changed) > 0 {
		t.Errorf("a second run changed %q", r.Changed)
	}
	if err := os.Chmod(in("etc/key.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	apply(t, root)
	private("after somebody has opened it")
	r, err := plan(t, root).Inspect()
	if err != nil || len(r.Unreachable) != 1 || !strings.Contains(r.Unreachable[0], `the trust anchor "/etc/none.pem" (smtp_tls_policy_maps, /etc/postfix/p:1): there is no such file`) {
		t.Errorf("the check says %q, %v", r.Unreachable, err)
	}
	warned(t, r, `the private key "/etc/key.pem" is copied into the chroot, with the mode 0600 for account postfix: smtp/inet opens it when it connects (tls_key_file, /etc/postfix/m.cf:2)`)
	put(t, root, "etc/postfix/main.cf", level)
	apply(t, root)
	if _, err := os.Lstat(in("etc/key.pem")); err == nil {
		t.Error("the key has stayed")
	}
}

// What is copied for Postfix's account is what root put there, in place or by a link: whoever decided where a link leads could name any file.
// A file that was copied before, as it is on the host, becomes that account's.
func TestKeysThatOthersName(t *testing.T) {
	needRoot(t)
	const extra = "etc/default/postfix"
	root := host(t, map[string]string{
		"etc/postfix/main.cf": level, "etc/postfix/m.cf": "hosts = inet:db\ntls_key_file = /etc/key.pem\ntls_cert_file = /etc/cert.pem\n",
		"home/anna/secret": "x", "srv/secret": "x", "etc/passwd": postfixes, extra: "chroot_extra_files=/etc/own.pem\n", "etc/own.pem": "x",
	})
	in := func(name string) string { return filepath.Join(root.Dir(), name) }
	for _, err := range []error{
		os.Chown(in("home/anna"), 1000, 1000), os.Chmod(in("etc/own.pem"), 0o600), os.Symlink("/srv/secret", in("home/anna/key")),
		os.Symlink("/home/anna/key", in("etc/key.pem")), os.Chmod(in("srv/secret"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(in("etc/own.pem"), old, old); err != nil {
		t.Fatal(err)
	}
	time.Sleep(60 * time.Millisecond) // what was changed just now is looked at again
	apply(t, root)
	put(t, root, "etc/postfix/main.cf", level+"relay_recipient_maps = mysql:/etc/postfix/m.cf\n")
	r, err := plan(t, root).Apply()
	if _, there := os.Lstat(in(queueDir + "/etc/key.pem")); there == nil || err != nil || !strings.Contains(strings.Join(r.Warnings, "\n"), `"/home/anna"`) {
		t.Errorf("the key that anna names is there: %v; %v, %q", there == nil, err, r.Warnings)
	}
	put(t, root, "etc/postfix/m.cf", "hosts = inet:db\ntls_key_file = /etc/own.pem\n")
	apply(t, root)
	fi, err := os.Stat(in(queueDir + "/etc/own.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if uid, _ := sysroot.Owner(fi); uid != 101 {
		t.Errorf("the key belongs to the account %d", uid)
	}
}

// A database file that others write is not right as a copy, and one with a write-ahead log not in any chroot.
func TestWrittenDatabases(t *testing.T) {
	needRoot(t)
	header := func(version byte) string {
		return "SQLite format 3\x00\x10\x00" + strings.Repeat(string(version), 2) + "x"
	}
	for name, c := range map[string]struct {
		direct  bool // smtpd opens it
		content string
		beside  string
		uid     int
		said    string
		warns   bool
	}{
		"as root left it":                {content: header(1)},
		"no such version":                {content: "x"},
		"another account's":              {content: header(1), uid: 33, warns: true},
		"another's, open before":         {content: header(1), uid: 33, direct: true},
		"being written":                  {content: header(1), beside: "-journal", warns: true},
		"a write-ahead log":              {content: header(2), said: "it has a write-ahead log beside it"},
		"one there":                      {content: header(1), beside: "-wal", said: "it has a write-ahead log beside it"},
		"a write-ahead log, open before": {content: header(2), direct: true, said: "it has a write-ahead log beside it"},
	} {
		t.Run(name, func(t *testing.T) {
			main, master := "relay_recipient_maps = proxy:sqlite:/etc/postfix/sql\n", proxymapped
			if c.direct {
				main, master = "relay_recipient_maps = sqlite:/etc/postfix/sql\n", chrooted
			}
			files := map[string]string{"etc/postfix/main.cf": level + main, "etc/postfix/master.cf": master, "etc/postfix/sql": "dbpath = /srv/t.db\n",
				"srv/t.db": c.content, "etc/passwd": postfixes}
			if c.beside != "" {
				files["srv/t.db"+c.beside] = "x"
			}
			root := host(t, files)
			if err := os.Chown(filepath.Join(root.Dir(), "srv/t.db"), c.uid, -1); err != nil {
				t.Fatal(err)
			}
			apply(t, root)
			r, err := plan(t, root).Inspect()
			said, warnings := strings.Join(r.Unreachable, "\n"), strings.Join(r.Warnings, "\n")
			if err != nil || (c.said == "") != (said == "") || !strings.Contains(said, c.said) {
				t.Errorf("said %q, %v, want %q", said, err, c.said)
			}
			if got := strings.Contains(warnings, `looks into a copy of the database "/srv/t.db"`); got != c.warns {
				t.Errorf("warned: %v, want %v: %s", got, c.warns, warnings)
			}
		})
	}
}
