package smarthost_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/oauth"
	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/sysroot/sysroottest"
)

// units stand in for systemd: what is enabled and what is started, by name.
type units struct {
	on   map[string]string
	fail string // the call that has this in it fails
	die  string // the call that has this in it ends the run as a kill would
}

func (u *units) do(call, unit string, change func()) error {
	if u.die != "" && strings.Contains(call+" "+unit, u.die) {
		panic("killed")
	}
	if u.fail != "" && strings.Contains(call+" "+unit, u.fail) {
		return errors.New("made to fail")
	}
	change()
	return nil
}

func (u *units) Enable(_ context.Context, unit string) error {
	return u.do("enable", unit, func() { u.on["enabled "+unit] = "yes" })
}

func (u *units) Disable(_ context.Context, unit string) error {
	return u.do("disable", unit, func() { delete(u.on, "enabled "+unit) })
}

func (u *units) Start(_ context.Context, unit string) error {
	return u.do("start", unit, func() { u.on["started "+unit] = "yes" })
}

func (u *units) Stop(_ context.Context, unit string) error {
	return u.do("stop", unit, func() { delete(u.on, "started "+unit) })
}

func (u *units) Close() {}

func (u *units) String() string { return strings.Join(slices.Sorted(maps.Keys(u.on)), ", ") }

// layUnits is lay with systemd.
func layUnits(t *testing.T, more map[string]string) (smarthost.Deps, *tools, *units) {
	d, f := lay(t, more)
	u := &units{on: map[string]string{}}
	d.Units = func(context.Context) (smarthost.Units, error) { return u, nil }
	return d, f, u
}

// fresh is a login that was just made.
func fresh(user, token string) *oauth.Account {
	return &oauth.Account{
		Provider: "microsoft", Relay: "[smtp.office365.com]:587", User: user, Grant: oauth.GrantRefresh, TokenURL: "https://login.example/token",
		ClientID: "id", RefreshToken: smarthost.Secret(token), Local: smarthost.Secret("local-" + token),
	}
}

func login(user, token string) smarthost.Options {
	return smarthost.Options{OAuth: &smarthost.OAuth{Flow: oauth.FlowDevice, Account: fresh(user, token)}}
}

func stored(t *testing.T, d smarthost.Deps, port string) oauth.Account {
	t.Helper()
	a, err := oauth.Parse([]byte(read(t, d, "/var/lib/postfix-maint/oauth/"+port+".json")))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

const listening = "enabled postfix-oauth-relay@914.socket, started postfix-oauth-relay@914.socket"

func TestLoginAndBack(t *testing.T) {
	d, _, u := layUnits(t, map[string]string{"var/lib/private/": ""})
	before := sysroottest.Dump(t, d.Root.Dir(), false)
	set(t, d, login("u@example.net", "r3fresh"))
	for param, want := range map[string]string{
		"relayhost": "[127.0.0.1]:914", "smtp_tls_security_level": "may", "smtp_tls_policy_maps": "inline:{[127.0.0.1]:914=none}",
		"smtp_tls_wrappermode": "(unset)", "smtp_sasl_auth_enable": "yes", "smtp_sasl_security_options": "noanonymous",
		"smtp_sasl_password_maps": "hash:/etc/postfix/sasl_passwd", "smtp_sasl_mechanism_filter": "(unset)", "smtp_tls_CAfile": "(unset)",
	} {
		if got := value(t, d, param); got != want {
			t.Errorf("%s = %q, want %q", param, got, want)
		}
	}
	if got := read(t, d, "/etc/postfix/sasl_passwd"); !strings.Contains(got, "\n[127.0.0.1]:914 u@example.net:local-r3fresh\n") {
		t.Errorf("the passwords are %s", got)
	}
	for name, mode := range map[string]os.FileMode{"/var/lib/postfix-maint/oauth": 0o700, "/var/lib/postfix-maint/oauth/914.json": 0o600} {
		if fi, err := d.Root.Stat(name); err != nil || fi.Mode().Perm() != mode {
			t.Errorf("%s: %v", name, err)
		}
	}
	if u.String() != listening {
		t.Errorf("systemd has %s", u)
	}
	// A set of something else keeps the login, and touches neither its file nor systemd.
	last, _ := smarthost.Last(d.Root, primary)
	last.From = "u@example.net"
	u.fail = "postfix-oauth-relay"
	set(t, d, last)
	u.fail = ""
	if a := stored(t, d, "914"); a.RefreshToken != "r3fresh" || value(t, d, "relayhost") != "[127.0.0.1]:914" {
		t.Errorf("after a set: %+v", a)
	}
	if p := set(t, d, last); len(p.Changes) != 0 {
		t.Errorf("the same again: %v", p.Changes)
	}
	if err := os.MkdirAll(d.Root.Dir()+"/var/lib/private/postfix-oauth-relay/914/more/2/3/4/5/6/7/8/9/10", 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, d, "/var/lib/private/postfix-oauth-relay/914/status.json", "{}")
	write(t, d, "/var/lib/private/postfix-oauth-relay/914/more/2/3/4/5/6/7/8/9/10/token", "r3fresh")
	u.on["started postfix-oauth-relay@914.service"] = "yes"
	for _, err := range []error{
		os.Mkdir(d.Root.Dir()+"/var/lib/postfix-oauth-relay", 0o755),
		os.Symlink("../private/postfix-oauth-relay/914", d.Root.Dir()+"/var/lib/postfix-oauth-relay/914"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if p := unset(t, d); len(p.Warnings) > 0 {
		t.Errorf("unset warns %q", p.Warnings)
	}
	if u.String() != "" {
		t.Errorf("after unset systemd has %s", u)
	}
	for p, what := range sysroottest.Dump(t, d.Root.Dir(), false) {
		if before[p] != what && !strings.HasPrefix(p, "var/lib/postfix-maint") && p != "var" && p != "var/lib" || strings.Contains(p, "oauth") && p != "var/lib/postfix-maint/oauth-due" {
			t.Errorf("after unset %s is %q, was %q", p, what, before[p])
		}
	}
}

// A login again keeps port and password, and has whoever answers at the port begin anew; another account gets another port.
func TestLoginAgain(t *testing.T) {
	d, _, u := layUnits(t, nil)
	busy := 0
	d.Free = func(port int) bool { return port != busy }
	set(t, d, login("u@example.net", "first"))
	u.on["started postfix-oauth-relay@914.service"] = "yes"
	p := set(t, d, login("u@example.net", "second"))
	if a := stored(t, d, "914"); a.RefreshToken != "second" || a.Local != "local-first" || u.String() != listening {
		t.Errorf("%+v, %q, systemd has %s", a, a.Local, u)
	}
	if len(p.Changes) == 0 || value(t, d, "relayhost") != "[127.0.0.1]:914" {
		t.Errorf("changes: %v", p.Changes)
	}
	busy = 915
	set(t, d, login("v@example.net", "third"))
	if a := stored(t, d, "916"); a.User != "v@example.net" || value(t, d, "relayhost") != "[127.0.0.1]:916" ||
		u.String() != strings.ReplaceAll(listening, "914", "916") {
		t.Errorf("%+v, systemd has %s", a, u)
	}
	if there, err := d.Root.Exists("/var/lib/postfix-maint/oauth/914.json"); there || err != nil {
		t.Errorf("the former login is there: %v, %v", there, err)
	}
	o, _ := smarthost.Last(d.Root, primary)
	o = o.To("[relay.example.net]:587")
	o.User, o.Password = "u@example.net", secret
	set(t, d, o)
	if u.String() != "" || value(t, d, "smtp_tls_policy_maps") != "(unset)" || value(t, d, "smtp_tls_security_level") != "verify" ||
		value(t, d, "smtp_sasl_security_options") != "(unset)" {
		t.Errorf("after a set to another relay systemd has %s, main.cf is\n%s", u, read(t, d, "/etc/postfix/main.cf"))
	}
}

func TestLoginsThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		main   string
		change func(*smarthost.Deps, *units)
		want   string
	}{
		"no systemd":      {"", func(d *smarthost.Deps, _ *units) { d.Units = nil }, "systemd does not run this host"},
		"no port":         {"", func(d *smarthost.Deps, _ *units) { d.Free = func(int) bool { return false } }, "cannot find a port"},
		"no IPv4":         {"inet_protocols = ipv6\n", nil, "inet_protocols has no ipv4"},
		"a masked socket": {"", func(_ *smarthost.Deps, u *units) { u.fail = "start postfix" }, "made to fail"},
		"systemd is not there": {"", func(d *smarthost.Deps, _ *units) {
			d.Units = func(context.Context) (smarthost.Units, error) { return nil, errors.New("no bus") }
		}, "no bus"},
	} {
		d, _, u := layUnits(t, map[string]string{"etc/postfix/main.cf": mainCF + c.main})
		if c.change != nil {
			c.change(&d, u)
		}
		before := read(t, d, "/etc/postfix/main.cf")
		p, err := smarthost.Set(t.Context(), d, primary, login("u@example.net", "r3fresh"))
		if err == nil {
			err = p.Apply(t.Context(), func(smarthost.Change) {})
		}
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
		there, _ := d.Root.Exists("/var/lib/postfix-maint/oauth/914.json")
		if there || u.String() != "" || read(t, d, "/etc/postfix/main.cf") != before {
			t.Errorf("%s: something is left: systemd has %s", name, u)
		}
	}
}

// What belongs to TLS and to passwords is not for a relay that logs in by OAuth 2.0.
func TestOptionsBesideALogin(t *testing.T) {
	d, _, _ := layUnits(t, nil)
	set(t, d, login("u@example.net", "r3fresh"))
	yes := true
	for name, change := range map[string]func(*smarthost.Options){
		"user": func(o *smarthost.Options) { o.User = "v@example.net" }, "password": func(o *smarthost.Options) { o.Password = secret },
		"level": func(o *smarthost.Options) { o.TLS = "verify" }, "wrapper": func(o *smarthost.Options) { o.Wrapper = &yes },
		"CAs": func(o *smarthost.Options) { o.CAFile = "/etc/ca.pem" },
	} {
		o, _ := smarthost.Last(d.Root, primary)
		change(&o)
		if _, err := smarthost.Set(t.Context(), d, primary, o); err == nil || !strings.Contains(err.Error(), "OAuth 2.0") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.Remove(filepath.Join(d.Root.Dir(), "var/lib/postfix-maint/oauth/914.json")); err != nil {
		t.Fatal(err)
	}
	o, _ := smarthost.Last(d.Root, primary)
	if _, err := smarthost.Set(t.Context(), d, primary, o); err == nil || !strings.Contains(err.Error(), "log in again") {
		t.Errorf("without its file: %v", err)
	}
}

// What the OAuth relay has found last is shown, with what to do.
func TestShownLogin(t *testing.T) {
	d, _, _ := layUnits(t, map[string]string{"var/lib/private/postfix-oauth-relay/914/": ""})
	set(t, d, login("u@example.net", "r3fresh"))
	for name, c := range map[string]struct {
		status oauth.Status
		wrong  bool
		said   string
	}{
		"nothing yet": {oauth.Status{}, false, "OAuth 2.0 (device) as u@example.net at [smtp.office365.com]:587"},
		"revoked":     {oauth.Status{Problem: oauth.ProblemLoginAgain, Words: "it was revoked"}, true, "smarthost login --provider microsoft --user u@example.net"},
		"away":        {oauth.Status{Problem: oauth.ProblemDown, Words: "it is away"}, false, "it is away"},
		"in between":  {oauth.Status{Problem: oauth.ProblemCertificate, Words: "another name"}, true, "somebody may be in between"},
	} {
		text, err := c.status.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if name != "nothing yet" {
			write(t, d, "/var/lib/private/postfix-oauth-relay/914/status.json", string(text))
		}
		s, err := smarthost.Show(t.Context(), d, primary)
		if err != nil || s.Login == nil {
			t.Fatalf("%s: %+v, %v", name, s, err)
		}
		if l := smarthost.LoginInForce(d.Root, primary); l.Wrong() != s.Login.Wrong() || l.Relay != "[smtp.office365.com]:587" {
			t.Errorf("%s: status has %+v", name, l)
		}
		if got := s.Login.Wrong() != ""; got != c.wrong || !strings.Contains(s.Text(), c.said) {
			t.Errorf("%s: %v, %s", name, got, s.Text())
		}
		if name != "nothing yet" {
			if err := os.Remove(d.Root.Dir() + "/var/lib/private/postfix-oauth-relay/914/status.json"); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(t, d, "/var/lib/private/postfix-oauth-relay/914/status.json", "\x1b[2J")
	if s, err := smarthost.Show(t.Context(), d, primary); err != nil || strings.Contains(s.Text(), "\x1b") {
		t.Errorf("%v: %s", err, s.Text())
	}
	if err := os.Remove(d.Root.Dir() + "/var/lib/postfix-maint/oauth/914.json"); err != nil {
		t.Fatal(err)
	}
	if s, err := smarthost.Show(t.Context(), d, primary); err != nil || s.Login.Wrong() == "" {
		t.Errorf("without its file: %+v, %v", s.Login, err)
	}
	unset(t, d)
	if s, err := smarthost.Show(t.Context(), d, primary); err != nil || s.Login != nil || s.Login.Wrong() != "" {
		t.Errorf("after unset: %+v, %v", s.Login, err)
	}
}

// Answers that are confirmed as they are shown leave a login as it is; another relay takes it away.
func TestAnswersBesideALogin(t *testing.T) {
	d, _, u := layUnits(t, nil)
	set(t, d, login("u@example.net", "r3fresh"))
	live, _, err := smarthost.Live(d.Root, primary)
	if err != nil {
		t.Fatal(err)
	}
	a := answers.Answers{}
	for q, v := range live {
		a[q] = answers.Answer{Value: v}
	}
	p, err := smarthost.SetAnswers(t.Context(), d, primary, a, "")
	if err != nil || len(p.Changes) != 0 {
		t.Errorf("confirmed: %v, %v", p, err)
	}
	if problems := smarthost.CheckAnswers(t.Context(), d, primary, a, "", true); len(problems) > 0 {
		t.Errorf("confirmed: %v", problems)
	}
	a[answers.RelayHost], a[answers.RelayAccount] = answers.Answer{Value: "[relay.example.net]:25"}, answers.Answer{}
	if p, err = smarthost.SetAnswers(t.Context(), d, primary, a, ""); err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(t.Context(), func(smarthost.Change) {}); err != nil || u.String() != "" || value(t, d, "smtp_sasl_auth_enable") != "(unset)" {
		t.Errorf("another relay: %v, systemd has %s", err, u)
	}
}

// The secrets of a login are in its file, and what Postfix logs in with in the password table as well: nowhere else.
func TestSecretsOfALogin(t *testing.T) {
	d, f, _ := layUnits(t, nil)
	a := fresh("u@example.net", "r3fresh")
	a.ClientSecret, a.Key, a.Local = "cl1ent", "k3y", "l0cal"
	o := smarthost.Options{OAuth: &smarthost.OAuth{Flow: oauth.FlowDevice, Account: a}}
	p := set(t, d, o)
	seen, err := json.Marshal([]any{p.Changes, p.Warnings, o})
	if err != nil {
		t.Fatal(err)
	}
	everything := fmt.Sprint(string(seen), o, f.calls) + fmt.Sprintf("%+v %#v", o, *a)
	err = filepath.WalkDir(d.Root.Dir(), func(name string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && !strings.HasSuffix(name, "914.json") {
			data, readErr := os.ReadFile(name)
			if strings.Contains(name, "sasl_passwd") {
				data = []byte(strings.ReplaceAll(string(data), "l0cal", ""))
			}
			everything, err = everything+string(data), readErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"r3fresh", "cl1ent", "k3y", "l0cal"} {
		if strings.Contains(everything, s) {
			t.Errorf("%s is to be seen", s)
		}
	}
}

// A login that is killed anywhere, for all mail or for a sender, leaves the former state or the new one, systemd's units with it.
func TestKilledLogin(t *testing.T) {
	all := func(d smarthost.Deps, user, token string) (*smarthost.Plan, error) {
		return smarthost.Set(t.Context(), d, primary, login(user, token))
	}
	sender := func(d smarthost.Deps, user, token string) (*smarthost.Plan, error) {
		a := olga(token)
		a.OAuth.Account.User = user
		return smarthost.Add(t.Context(), d, primary, a)
	}
	for _, die := range []string{"enable", "start", "postmap", "stop"} {
		for name, c := range map[string]struct {
			plan  func(d smarthost.Deps, user, token string) (*smarthost.Plan, error)
			again bool
		}{"first": {all, false}, "again": {all, true}, "a sender's first": {sender, false}, "a sender's again": {sender, true}} {
			d, f, u := layUnits(t, nil)
			if c.again {
				p, err := c.plan(d, "v@example.net", "old")
				if err == nil {
					err = p.Apply(t.Context(), func(smarthost.Change) {})
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			p, err := c.plan(d, "u@example.net", "new")
			if err != nil {
				t.Fatal(err)
			}
			killed := false
			u.die, f.die = die, die
			func() {
				defer func() { killed = recover() != nil }()
				_ = p.Apply(context.Background(), func(smarthost.Change) {})
			}()
			u.die, f.die = "", ""
			ended(t, d)
			port := portInForce(t, d)
			want := ""
			if port != "" {
				stored(t, d, port)
				want = at(port)
			}
			entries, _ := d.Root.ReadDir("/var/lib/postfix-maint/oauth")
			if !killed || u.String() != want || len(entries) != map[bool]int{false: 0, true: 1}[port != ""] {
				t.Errorf("%s, killed at %s (%v): the port is %q, systemd has %s, %d logins", name, die, killed, port, u, len(entries))
			}
		}
	}
}

// portInForce is the port of the OAuth relay that all mail, or a sender's, goes to; "" where none does.
func portInForce(t *testing.T, d smarthost.Deps) string {
	t.Helper()
	relay := value(t, d, "relayhost")
	if strings.Contains(value(t, d, "sender_dependent_relayhost_maps"), "sender_relayhost") {
		_, relay, _ = strings.Cut(strings.TrimSpace(read(t, d, "/etc/postfix/sender_relayhost")), "[127.0.0.1]:")
		relay, _, _ = strings.Cut(relay, "\n")
	}
	return strings.TrimPrefix(relay, "[127.0.0.1]:")
}
