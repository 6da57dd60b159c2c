package smarthost_test

import (
	"strings"
	"testing"
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
	d, _ = lay(t, nil) // accounts with a table of their own, and settings that did not come from us
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
