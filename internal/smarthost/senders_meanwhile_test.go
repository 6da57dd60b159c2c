package smarthost_test

import (
	"os"
	"strings"
	"testing"

	"postfix-maint/internal/smarthost"
)

// Who edits a file while a sender's relay is added or removed finds both changes in it.
func TestNobodysEditIsLostWithSenders(t *testing.T) {
	bert := smarthost.Account{Sender: "@example.com", Relay: "[two.example.net]:465", User: "bert@two", Password: "second-secret"}
	for file, line := range map[string]string{
		"etc/postfix/main.cf": "message_size_limit = 4711\n", "etc/postfix/master.cf": "mine unix - - y - - smtp\n",
		"etc/postfix/sender_relayhost": "carl@example.org [c]\n", "etc/postfix/sender_passwd": "carl@example.org c:d\n",
		"etc/postfix/smtp_tls_policy": "[c] verify\n", "etc/postfix/sender_transport": "carl@example.org smtp\n",
	} {
		for what, run := range map[string]func(d smarthost.Deps) (*smarthost.Plan, error){
			"add": func(d smarthost.Deps) (*smarthost.Plan, error) { return smarthost.Add(t.Context(), d, primary, bert) },
			"remove": func(d smarthost.Deps) (*smarthost.Plan, error) {
				return smarthost.Remove(t.Context(), d, primary, bert.Sender)
			},
		} {
			t.Run(what+" "+file, func(t *testing.T) {
				t.Parallel()
				n := 0
				for ; editedWithSenders(t, file, line, what, bert, run, n); n++ {
				}
				if n < 2 {
					t.Errorf("the run has called %d programs: nobody could edit anything meanwhile", n)
				}
			})
		}
	}
}

// editedWithSenders edits a file when program n is called, and tells whether it came to that.
func editedWithSenders(
	t *testing.T, file, line, what string, bert smarthost.Account, run func(d smarthost.Deps) (*smarthost.Plan, error), n int,
) (edited bool) {
	t.Helper()
	d, f := lay(t, nil)
	add(t, d, anna())
	if what == "remove" {
		add(t, d, bert)
	}
	calls := 0
	f.edit = func(string) {
		if calls++; calls-1 == n {
			f.change(t, file, line)
			edited = true
		}
	}
	p, err := run(d)
	if err == nil {
		err = p.Apply(t.Context(), func(smarthost.Change) {})
	}
	if err != nil {
		t.Fatalf("call %d: %v", n, err)
	}
	if edited && !strings.Contains(read(t, d, "/"+file), line) {
		t.Errorf("call %d: the edit is lost:\n%s", n, read(t, d, "/"+file))
	}
	for name, part := range map[string]string{
		"sender_relayhost": "@example.com [two.example.net]:465", "sender_passwd": "@example.com bert@two:second-secret",
		"smtp_tls_policy": "[two.example.net]:465 verify", "master.cf": "smtp-wrapper",
	} {
		if got := read(t, d, "/etc/postfix/"+name); strings.Contains(got, part) != (what == "add") {
			t.Errorf("call %d: %s is\n%s", n, name, got)
		}
	}
	if got := read(t, d, "/etc/postfix/main.cf"); strings.Contains(got, ".postfix-maint") || !strings.Contains(got, "hash:/etc/postfix/sender_relayhost") {
		t.Errorf("call %d: main.cf is\n%s", n, got)
	}
	return edited
}

// The login at a program of this host, to which there is no TLS, goes on beside senders with relays of their own; that at another host never
// comes to go without TLS.
func TestTheLoginAtALoopbackRelayGoesOn(t *testing.T) {
	for relay, want := range map[string]string{"[127.0.0.1]:914": "noanonymous", "[relay.example.net]:587": "noplaintext, noanonymous"} {
		d, _ := lay(t, map[string]string{"etc/postfix/main.cf": strings.Replace(mainCF, "relayhost =", "relayhost = "+relay, 1) +
			"smtp_sasl_security_options = noanonymous\nsmtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = inline:{x=y:z}\nsmtp_tls_security_level = encrypt\n"})
		add(t, d, anna())
		if got := value(t, d, "smtp_sasl_security_options"); got != want {
			t.Errorf("with the relay %s: smtp_sasl_security_options = %q, want %q", relay, got, want)
		}
		if got := value(t, d, "smtp_sasl_tls_security_options"); strings.Contains(want, "noplaintext") && got != "noanonymous" {
			t.Errorf("with the relay %s: the login by hand stops where the certificate is not checked: smtp_sasl_tls_security_options = %q", relay, got)
		}
	}
}

// Whose password is lost stands in nobody's way: neither another sender, nor the way back, nor the sender itself.
func TestALostPasswordHoldsNothingUp(t *testing.T) {
	bert := smarthost.Account{Sender: "@example.com", Relay: "[two.example.net]:587", User: "bert@two", Password: "second-secret"}
	d, _ := lay(t, nil)
	before := value(t, d, "smtp_sasl_auth_enable")
	set(t, d, smarthost.Options{Relay: "[relay.example.net]:587", User: "u", Password: "third-secret"})
	add(t, d, anna())
	add(t, d, bert)
	for _, name := range []string{"/etc/postfix/sender_passwd", "/etc/postfix/sender_passwd.db"} {
		if _, err := d.Root.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	p := remove(t, d, "anna@example.org")
	if got := strings.Join(p.Warnings, "\n"); !strings.Contains(got, "bert@two") || strings.Contains(got, "anna@one") {
		t.Errorf("the warnings are %q", got)
	}
	if got := read(t, d, "/etc/postfix/sender_relayhost"); !strings.Contains(got, "@example.com [two.example.net]:587") || strings.Contains(got, "anna@") {
		t.Errorf("sender_relayhost is\n%s", got)
	}
	p, err := smarthost.Unset(t.Context(), d, primary)
	if err == nil {
		err = p.Apply(t.Context(), func(smarthost.Change) {})
	}
	if err != nil {
		t.Fatal(err)
	}
	remove(t, d, "@example.com")
	if got := value(t, d, "smtp_sasl_auth_enable"); got != before {
		t.Errorf("smtp_sasl_auth_enable = %q, want %q", got, before)
	}
}

// Lines of an administrator's in tables of ours stay in force when the last sender goes, with what their logins need; then it is all theirs.
func TestLinesBesideOursStayInForce(t *testing.T) {
	d, _ := lay(t, nil)
	add(t, d, anna())
	for name, line := range map[string]string{"sender_relayhost": "carl@example.org [c]\n", "sender_passwd": "carl@example.org c:carls\n"} {
		if err := os.WriteFile(d.Root.Dir()+"/etc/postfix/"+name, append([]byte(line), read(t, d, "/etc/postfix/"+name)...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{
		"sender_dependent_relayhost_maps": "hash:/etc/postfix/sender_relayhost", "smtp_sasl_password_maps": "hash:/etc/postfix/sender_passwd",
		"smtp_sender_dependent_authentication": "yes", "smtp_sasl_auth_enable": "yes", "smtp_sasl_tls_verified_security_options": "noanonymous",
		"smtp_tls_policy_maps": "(unset)",
	}
	p := remove(t, d, "anna@example.org")
	if got := strings.Join(p.Warnings, "\n"); !strings.Contains(got, "sender_relayhost has lines") || strings.Contains(got, "smtp_tls_policy has lines") || strings.Contains(got, "carls") {
		t.Errorf("the warnings are %q", got)
	}
	wantValues(t, d, "removed", want)
	for name, line := range map[string]string{"sender_relayhost": "carl@example.org [c]\n", "sender_passwd": "carl@example.org c:carls\n"} {
		if got := read(t, d, "/etc/postfix/"+name); got != line || read(t, d, "/etc/postfix/"+name+".db") != "index "+line {
			t.Errorf("%s is %q, its index %q", name, got, read(t, d, "/etc/postfix/"+name+".db"))
		}
	}
	add(t, d, anna()) // what is the administrator's by now stays, as often as ours come and go
	set(t, d, options())
	remove(t, d, "anna@example.org")
	unset(t, d)
	wantValues(t, d, "in the end", want)
	if p := remove(t, d, "anna@example.org"); len(p.Changes) > 0 {
		t.Errorf("a second remove changes %v", p.Changes)
	}
}
