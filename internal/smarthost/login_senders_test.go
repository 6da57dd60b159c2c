package smarthost_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"postfix-maint/internal/oauth"
	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/sysroot/sysroottest"
)

// olga logs in by OAuth 2.0, with a mailbox that has another name.
func olga(token string) smarthost.Account {
	return smarthost.Account{Sender: "Olga@example.org", OAuth: &smarthost.OAuth{Flow: oauth.FlowDevice, Account: fresh("o@example.net", token)}}
}

// at is what systemd has for these ports.
func at(ports ...string) string {
	var all []string
	for _, word := range []string{"enabled ", "started "} {
		for _, port := range ports {
			all = append(all, word+"postfix-oauth-relay@"+port+".socket")
		}
	}
	return strings.Join(all, ", ")
}

// wantLines looks for lines in files of /etc/postfix.
func wantLines(t *testing.T, d smarthost.Deps, when string, want map[string]string) {
	t.Helper()
	for name, line := range want {
		if got := read(t, d, "/etc/postfix/"+name); !strings.Contains(got, "\n"+line+"\n") {
			t.Errorf("%s: %s lacks %q:\n%s", when, name, line, got)
		}
	}
}

// A sender's login has a port, a file and a client of its own: the client alone lets a password go without TLS. All of it goes again.
func TestSendersLoginAndBack(t *testing.T) {
	d, _, u := layUnits(t, map[string]string{"var/lib/private/postfix-oauth-relay/914/": ""})
	before := sysroottest.Dump(t, d.Root.Dir(), false)
	add(t, d, olga("r3fresh"))
	wantValues(t, d, "added", map[string]string{
		"relayhost": "", "smtp_tls_security_level": "may", "smtp_sasl_auth_enable": "yes", "smtp_sender_dependent_authentication": "yes",
		"smtp_sasl_security_options": "(unset)", "smtp_sasl_tls_verified_security_options": "(unset)", "smtp_tls_CAfile": "(unset)",
		"smtp_sasl_mechanism_filter": "(unset)", "smtp_tls_policy_maps": "hash:/etc/postfix/smtp_tls_policy",
	})
	wantLines(t, d, "added", map[string]string{
		"sender_relayhost": "olga@example.org [127.0.0.1]:914", "sender_passwd": "olga@example.org o@example.net:local-r3fresh",
		"smtp_tls_policy": "[127.0.0.1]:914 none", "sender_transport": "olga@example.org smtp-oauth:[127.0.0.1]:914",
		"master.cf": "  -o smtp_sasl_security_options=noanonymous\n  -o smtp_sasl_mechanism_filter=plain",
	})
	if a := stored(t, d, "914"); a.RefreshToken != "r3fresh" || u.String() != at("914") {
		t.Errorf("%+v, systemd has %s", a, u)
	}
	u.fail = "postfix-oauth-relay" // nothing of it is touched again
	add(t, d, anna())
	if p := add(t, d, anna()); len(p.Changes) > 0 {
		t.Errorf("the same again: %v", p.Changes)
	}
	wantLines(t, d, "beside a password", map[string]string{
		"sender_passwd": "olga@example.org o@example.net:local-r3fresh\nanna@example.org anna@one:first-secret", "smtp_tls_policy": "[127.0.0.1]:914 none\n[one.example.net]:587 verify",
	})
	wantValues(t, d, "beside a password", map[string]string{
		"smtp_sasl_security_options": "(unset)", "smtp_sasl_tls_verified_security_options": "noanonymous", "smtp_tls_CAfile": "/etc/ssl/certs/ca-certificates.crt",
	})
	u.fail = ""
	remove(t, d, "anna@example.org")
	if p := remove(t, d, "olga@example.org"); len(p.Warnings) > 0 || u.String() != "" {
		t.Errorf("remove warns %q, systemd has %s", p.Warnings, u)
	}
	for p, what := range sysroottest.Dump(t, d.Root.Dir(), false) {
		if before[p] != what && !strings.HasPrefix(p, "var") || strings.Contains(p, "oauth") && p != "var/lib/postfix-maint/oauth-due" {
			t.Errorf("after remove %s is %q, was %q", p, what, before[p])
		}
	}
}

// Logins of senders and that for all mail have a port each, and come and go without each other.
func TestLoginsSideBySide(t *testing.T) {
	second := smarthost.Account{Sender: "@example.com", OAuth: &smarthost.OAuth{Flow: oauth.FlowDevice, Account: fresh("p@example.net", "third")}}
	for name, c := range map[string]struct {
		steps func(t *testing.T, d smarthost.Deps)
		want  string
	}{
		"all mail first": {func(t *testing.T, d smarthost.Deps) {
			set(t, d, login("u@example.net", "all"))
			add(t, d, olga("one"))
			add(t, d, second)
		}, at("914", "915", "916")},
		"all mail goes": {func(t *testing.T, d smarthost.Deps) {
			add(t, d, olga("one"))
			set(t, d, login("u@example.net", "all"))
			unset(t, d)
		}, at("914")},
		"a sender goes": {func(t *testing.T, d smarthost.Deps) {
			set(t, d, login("u@example.net", "all"))
			add(t, d, olga("one"))
			add(t, d, second)
			remove(t, d, "olga@example.org")
		}, at("914", "916")},
		"again": {func(t *testing.T, d smarthost.Deps) {
			add(t, d, olga("one"))
			if p := add(t, d, olga("two")); len(p.Changes) == 0 || len(p.Warnings) > 0 {
				t.Errorf("again: %v, %q", p.Changes, p.Warnings)
			}
			if a := stored(t, d, "914"); a.RefreshToken != "two" || a.Local != "local-one" {
				t.Errorf("again: %+v, %q", a, a.Local)
			}
		}, at("914")},
		"another mailbox": {func(t *testing.T, d smarthost.Deps) {
			add(t, d, olga("one"))
			other := olga("two")
			other.OAuth.Account.User = "other@example.net"
			if p := add(t, d, other); len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "had the relay [smtp.office365.com]:587 and the account o@example.net") {
				t.Errorf("another mailbox: %q", p.Warnings)
			}
		}, at("915")},
		"a password in its place": {func(t *testing.T, d smarthost.Deps) {
			add(t, d, olga("one"))
			a := anna()
			a.Sender = "olga@example.org"
			add(t, d, a)
			if master := read(t, d, "/etc/postfix/master.cf"); strings.Contains(master, "smtp-oauth") {
				t.Errorf("master.cf has\n%s", master)
			}
		}, ""},
	} {
		d, _, u := layUnits(t, nil)
		c.steps(t, d)
		if u.String() != c.want {
			t.Errorf("%s: systemd has %s, want %s", name, u, c.want)
		}
		entries, _ := d.Root.ReadDir("/var/lib/postfix-maint/oauth")
		if want := strings.Count(c.want, "enabled"); len(entries) != want {
			t.Errorf("%s: %d logins, want %d", name, len(entries), want)
		}
	}
}

// What cannot work is refused before anything is changed, and leaves nothing; without its file a login is still the table's.
func TestSendersLoginsThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		main, master string
		change       func(*smarthost.Deps, *units)
		want         string
	}{
		"no systemd":      {change: func(d *smarthost.Deps, _ *units) { d.Units = nil }, want: "systemd does not run this host"},
		"no IPv4":         {main: "inet_protocols = ipv6\n", want: "inet_protocols has no ipv4"},
		"a masked socket": {change: func(_ *smarthost.Deps, u *units) { u.fail = "start postfix" }, want: "made to fail"},
		"a client of theirs": {
			master: "smtp-oauth unix - - y - - smtp -o smtp_tls_security_level=none\n", want: `the service "smtp-oauth" in /etc/postfix/master.cf is not as postfix-maint makes it`,
		},
	} {
		d, _, u := layUnits(t, map[string]string{"etc/postfix/main.cf": mainCF + c.main})
		write(t, d, "/etc/postfix/master.cf", read(t, d, "/etc/postfix/master.cf")+c.master)
		if c.change != nil {
			c.change(&d, u)
		}
		before := read(t, d, "/etc/postfix/main.cf")
		p, err := smarthost.Add(t.Context(), d, primary, olga("r3fresh"))
		if err == nil {
			err = p.Apply(t.Context(), func(smarthost.Change) {})
		}
		there, _ := d.Root.Exists("/var/lib/postfix-maint/oauth/914.json")
		if err == nil || !strings.Contains(err.Error(), c.want) || there || u.String() != "" || read(t, d, "/etc/postfix/main.cf") != before {
			t.Errorf("%s: %v; want %q; systemd has %s", name, err, c.want, u)
		}
	}
}

// Who logs in by OAuth 2.0 is listed with the provider's relay, and so is what to do where that does not work any more.
func TestListOfSendersLogins(t *testing.T) {
	d, _, _ := layUnits(t, map[string]string{"var/lib/private/postfix-oauth-relay/914/": ""})
	add(t, d, olga("r3fresh"))
	add(t, d, anna())
	const line = "olga@example.org: [smtp.office365.com]:587, OAuth 2.0 (device) by the port 914 of this host, account o@example.net (smarthost login)\n"
	l, err := smarthost.List(t.Context(), d, primary)
	if err != nil || !strings.HasPrefix(l.Text(), line+"anna@example.org: [one.example.net]:587") {
		t.Errorf("%v: the list is\n%s", err, l.Text())
	}
	if wrong := smarthost.WrongLogins(d.Root, primary); len(wrong) > 0 {
		t.Errorf("wrong is %+v", wrong[0])
	}
	text, err := oauth.Status{Problem: oauth.ProblemLoginAgain, Words: "it was revoked"}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	write(t, d, "/var/lib/private/postfix-oauth-relay/914/status.json", string(text))
	s, err := smarthost.Show(t.Context(), d, primary)
	if err != nil || s.WrongLogin() == nil || !strings.Contains(s.Text(), "smarthost login --provider microsoft --user o@example.net --sender olga@example.org") {
		t.Errorf("%v: show says\n%s", err, s.Text())
	}
	if wrong := smarthost.WrongLogins(d.Root, primary); len(wrong) != 1 || wrong[0].Wrong() != "it was revoked" {
		t.Errorf("wrong are %v", wrong)
	}
	// The table gets its password back from the login's file.
	write(t, d, "/etc/postfix/sender_passwd", "")
	if s, err = smarthost.Show(t.Context(), d, primary); err != nil || !strings.Contains(fmt.Sprint(s.WithoutLogin()), "olga@example.org") {
		t.Errorf("that the password of olga is gone is not seen: %v, %v", s.WithoutLogin(), err)
	}
	add(t, d, anna())
	wantLines(t, d, "after a damage", map[string]string{"sender_passwd": "olga@example.org o@example.net:local-r3fresh"})
	// Another sender can be added all the same; without the login's file too, and without both it is said what to do.
	if err := os.Remove(d.Root.Dir() + "/var/lib/postfix-maint/oauth/914.json"); err != nil {
		t.Fatal(err)
	}
	a := anna()
	a.Sender = "bert@example.org"
	add(t, d, a)
	write(t, d, "/etc/postfix/sender_passwd", "")
	if _, err := smarthost.Add(t.Context(), d, primary, a); err == nil || !strings.Contains(err.Error(), "smarthost login --sender olga@example.org") {
		t.Errorf("without its password: %v", err)
	}
}

// The secrets of a sender's login are in its file, and what Postfix logs in with in the password table as well: not in what is shown or kept.
func TestSecretsOfASendersLogin(t *testing.T) {
	d, f, _ := layUnits(t, nil)
	p := add(t, d, olga("r3fresh"))
	if all := fmt.Sprint(p.Changes, p.Warnings, f.calls, olga("r3fresh")); strings.Contains(all, "r3fresh") {
		t.Errorf("a secret is shown: %s", all)
	}
	for name, what := range sysroottest.Dump(t, d.Root.Dir(), true) {
		if strings.Contains(what, "r3fresh") && !strings.Contains(name, "sender_passwd") && !strings.HasSuffix(name, "oauth/914.json") {
			t.Errorf("a secret is in %s", name)
		}
	}
}
