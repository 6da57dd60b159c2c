package smarthost_test

import (
	"strings"
	"testing"

	"postfix-maint/internal/smarthost"
)

// A login that somebody made by hand at a relay without brackets is shown, and what is wrong with it.
func TestALoginAtAMailDomainIsTold(t *testing.T) {
	login := "smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd\n"
	for relay, want := range map[string]string{
		"relay.example.net:587": "write it as [relay.example.net]:587", "relay.example.net": "write it as [relay.example.net],", "[relay.example.net]:587": "",
	} {
		for level, told := range map[string]bool{"may": true, "verify": true, "secure": false} {
			d, _ := lay(t, map[string]string{
				"etc/postfix/main.cf":     strings.NewReplacer("relayhost =", "relayhost = "+relay, "level=may", "level="+level).Replace(mainCF) + login,
				"etc/postfix/sasl_passwd": relay + " a:b\n",
			})
			s, err := smarthost.Show(t.Context(), d, primary)
			if text := s.Text(); err != nil || strings.Contains(text, "note:") != (told && want != "") || told && !strings.Contains(text, want) {
				t.Errorf("%s at %s: %v\n%s", relay, level, err, text)
			}
		}
	}
}
