package smarthost_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postfix-maint/internal/smarthost"
)

// CAs that another account can exchange are refused for all mail, for a sender and for a login, with nothing changed.
func TestCAsThatOthersCanExchange(t *testing.T) {
	const name = "/srv/cas/mine.pem"
	for what, c := range map[string]struct {
		do   func(dir string) error
		want string
	}{
		"a directory for everybody": {func(dir string) error { return os.Chmod(filepath.Join(dir, "srv/cas"), 0o777|os.ModeSticky) }, "files of everybody"},
		"a directory of another":    {func(dir string) error { return os.Chown(filepath.Join(dir, "srv/cas"), 1000, 1000) }, "belongs to the account 1000"},
		"a directory above":         {func(dir string) error { return os.Chown(filepath.Join(dir, "srv"), 1000, 1000) }, "belongs to the account 1000"},
		"a file for everybody":      {func(dir string) error { return os.Chmod(filepath.Join(dir, name), 0o666) }, "may be written by everybody"},
		"a link to such a place": {func(dir string) error {
			file := filepath.Join(dir, name)
			if err := os.Mkdir(filepath.Join(dir, "open"), 0o777); err != nil {
				return err
			}
			if err := os.Rename(file, filepath.Join(dir, "open/mine.pem")); err != nil {
				return err
			}
			if err := os.Chmod(filepath.Join(dir, "open"), 0o777|os.ModeSticky); err != nil {
				return err
			}
			return os.Symlink("../../open/mine.pem", file)
		}, "files of everybody"},
		"root alone": {func(string) error { return nil }, ""},
	} {
		d, _ := lay(t, map[string]string{"srv/cas/mine.pem": ""})
		write(t, d, "/srv/cas/mine.pem", read(t, d, "/etc/ssl/certs/ca-certificates.crt"))
		if err := c.do(d.Root.Dir()); err != nil {
			t.Fatal(err)
		}
		before := read(t, d, "/etc/postfix/main.cf")
		all, one := options(), anna()
		all.CAFile, one.CAFile = name, name
		_, forAll := smarthost.Set(t.Context(), d, primary, all)
		all.TLS = "encrypt" // the file counts for the next level all the same
		_, encrypted := smarthost.Set(t.Context(), d, primary, all)
		_, forOne := smarthost.Add(t.Context(), d, primary, one)
		for _, err := range []error{forAll, encrypted, forOne, smarthost.CheckCAFile(d.Root, name)} {
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%s: %v, want %q", what, err, c.want)
			}
		}
		if read(t, d, "/etc/postfix/main.cf") != before {
			t.Errorf("%s: main.cf is changed", what)
		}
	}
}

// The CAs that somebody names are that relay's: they count instead of the system's, and a sender's hold for no other mail.
func TestCAsCountAlone(t *testing.T) {
	const added = "smtp_tls_CApath = /etc/ssl/certs\ntls_append_default_CA = yes\n"
	d, _ := lay(t, map[string]string{"etc/postfix/main.cf": mainCF + added, "etc/mine.pem": ""})
	write(t, d, "/etc/mine.pem", read(t, d, "/etc/ssl/certs/ca-certificates.crt"))
	before := read(t, d, "/etc/postfix/main.cf")
	o := options()
	o.CAFile = "/etc/mine.pem"
	set(t, d, o)
	wantValues(t, d, "set", map[string]string{"smtp_tls_CAfile": "/etc/mine.pem", "smtp_tls_CApath": "", "tls_append_default_CA": "no"})
	if p := set(t, d, o); len(p.Changes) > 0 {
		t.Errorf("the same again: %v", p.Changes)
	}
	unset(t, d)
	if got := read(t, d, "/etc/postfix/main.cf"); !sameLines(got, before) {
		t.Errorf("after unset main.cf is\n%s", got)
	}
	a := anna()
	a.CAFile = "/etc/mine.pem"
	add(t, d, a)
	wantValues(t, d, "added", map[string]string{"smtp_tls_CAfile": "(unset)", "smtp_tls_CApath": "/etc/ssl/certs"})
	if got := read(t, d, "/etc/postfix/smtp_tls_policy"); !strings.Contains(got, "\n[one.example.net]:587 verify tafile=/etc/mine.pem\n") {
		t.Errorf("the policies are %q", got)
	}
}
