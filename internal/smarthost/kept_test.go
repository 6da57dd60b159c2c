package smarthost_test

import (
	"strings"
	"testing"

	"postfix-maint/internal/smarthost"
)

// An unset leaves to an administrator's sender-dependent accounts the login and TLS that they have come to need.
func TestUnsetKeepsOtherAccounts(t *testing.T) {
	accounts := "sender_dependent_relayhost_maps = hash:/etc/postfix/relays\nsmtp_sender_dependent_authentication = yes\n"
	d, _ := lay(t, map[string]string{"etc/postfix/main.cf": strings.Replace(mainCF, "smtp_tls_security_level=may\n", "", 1)})
	set(t, d, options())
	write(t, d, "etc/postfix/main.cf", read(t, d, "/etc/postfix/main.cf")+accounts)
	write(t, d, "etc/postfix/sasl_passwd", "boss@example.org b:hand-made\n"+read(t, d, "/etc/postfix/sasl_passwd"))
	p := unset(t, d)
	for param, want := range map[string]string{
		"relayhost": "", "smtp_sasl_auth_enable": "yes", "smtp_sasl_password_maps": "hash:/etc/postfix/sasl_passwd", "smtp_tls_security_level": "may",
		"smtp_sasl_tls_security_options": "noanonymous", "smtp_tls_CAfile": "/etc/ssl/certs/ca-certificates.crt", "smtp_generic_maps": "(unset)",
	} {
		if got := value(t, d, param); got != want {
			t.Errorf("%s = %q, want %q", param, got, want)
		}
	}
	if got := read(t, d, "/etc/postfix/sasl_passwd.db"); got != "index boss@example.org b:hand-made\n" {
		t.Errorf("the passwords are %q", got)
	}
	if said := strings.Join(p.Warnings, "\n"); !strings.Contains(said, "smtp_sasl_auth_enable") || !strings.Contains(said, "stay") {
		t.Errorf("it is not said: %q", said)
	}
	if p := unset(t, d); len(p.Changes) > 0 {
		t.Errorf("a second unset changes %v", p.Changes)
	}
}

// So it is where mail finds its relay by other parameters, and where a set takes the login of the relay for all mail away.
func TestOtherAccountsAreKept(t *testing.T) {
	passwords := "smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd, hash:/etc/postfix/mine\n"
	senders := "sender_dependent_relayhost_maps = hash:/etc/postfix/relays\nsmtp_sender_dependent_authentication = yes\n"
	plain := smarthost.Options{Relay: "[relay.example.net]:25"}
	wrapped := options()
	wrapped.Relay = "[relay.example.net]:465"
	for name, c := range map[string]struct {
		main   string
		to     *smarthost.Options // of a further set; nil unsets
		want   map[string]string
		warned string
	}{
		"a transport table": {"transport_maps = hash:/etc/postfix/transport\n" + passwords, nil, map[string]string{
			"smtp_sasl_auth_enable": "yes", "smtp_sasl_password_maps": "hash:/etc/postfix/mine", "smtp_tls_security_level": "may",
			"smtp_sasl_tls_security_options": "noanonymous",
		}, "transport_maps names relays"},
		"transports by sender": {"sender_dependent_default_transport_maps = hash:/etc/postfix/transport\n" + passwords, nil, map[string]string{
			"smtp_sasl_auth_enable": "yes", "smtp_tls_CAfile": "/etc/ssl/certs/ca-certificates.crt",
		}, "stay for their logins"},
		"a transport table without passwords": {"transport_maps = hash:/etc/postfix/transport\n", nil, map[string]string{"smtp_sasl_auth_enable": "(unset)"}, ""},
		"a set without a login": {senders + passwords, &plain, map[string]string{
			"smtp_sasl_auth_enable": "yes", "smtp_sasl_password_maps": "hash:/etc/postfix/mine", "relayhost": "[relay.example.net]:25", "smtp_tls_security_level": "may",
		}, "stay for their logins"},
		"TLS from the first byte": {senders + passwords, nil, map[string]string{"smtp_sasl_auth_enable": "yes", "smtp_tls_wrappermode": "(unset)"}, "port 465"},
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := lay(t, map[string]string{"etc/postfix/main.cf": strings.Replace(mainCF, "smtp_tls_security_level=may\n", "", 1)})
			set(t, d, wrapped)
			text := read(t, d, "/etc/postfix/main.cf")
			if strings.Contains(c.main, passwords) {
				text = strings.Replace(text, "smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd\n", "", 1)
			}
			write(t, d, "etc/postfix/main.cf", text+c.main)
			var p *smarthost.Plan
			if c.to != nil {
				p = set(t, d, *c.to)
			} else {
				p = unset(t, d)
			}
			for param, want := range c.want {
				if got := value(t, d, param); got != want {
					t.Errorf("%s = %q, want %q", param, got, want)
				}
			}
			if said := strings.Join(p.Warnings, "\n"); !strings.Contains(said, c.warned) || c.warned == "" && strings.Contains(said, "names relays") {
				t.Errorf("it says %q", said)
			}
		})
	}
}

// Accounts with a table of their own, and settings that did not come from us, stay as they were.
func TestAccountsOfTheirOwnStay(t *testing.T) {
	accounts := "sender_dependent_relayhost_maps = hash:/etc/postfix/relays\nsmtp_sender_dependent_authentication = yes\n"
	d, _ := lay(t, nil)
	hand := mainCF + accounts + "smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = hash:/etc/postfix/mine\n"
	write(t, d, "etc/postfix/main.cf", hand)
	set(t, d, options())
	unset(t, d)
	for param, want := range map[string]string{"smtp_sasl_password_maps": "hash:/etc/postfix/mine", "smtp_sasl_auth_enable": "yes", "smtp_tls_security_level": "may"} {
		if got := value(t, d, param); got != want {
			t.Errorf("with a table of their own %s = %q, want %q", param, got, want)
		}
	}
}
