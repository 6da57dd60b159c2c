package smarthost_test

import (
	"strings"
	"testing"

	"postfix-maint/internal/smarthost"
)

// Who has a relay of his own is listed, by whoever it was made, without a password; of tables that only a server reads the name alone.
func TestListOfSenders(t *testing.T) {
	const hand = "sender_dependent_relayhost_maps = hash:/etc/postfix/mine, hash:/etc/postfix/index-alone, inline:{{carl@example.org = [c]:587}, dora@example.org=[d]}, static:[s]:25, " +
		"pcre:/etc/postfix/patterns, proxy:mysql:/etc/postfix/sql, ldap:/etc/postfix/ldap\nsmtp_sasl_auth_enable = yes\n" +
		"smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd\nsmtp_sender_dependent_authentication = yes\n"
	d, _ := lay(t, map[string]string{
		"etc/postfix/main.cf": mainCF + hand, "etc/postfix/mine": "# x\nBert@example.org\n  [b]:587\n", "etc/postfix/patterns": "/^eve@/ [e]:587\n",
		"etc/postfix/sasl_passwd": "bert@example.org bert-account:" + secret + "\n",
	})
	a := anna()
	a.Relay = "[one.example.net]:465"
	add(t, d, a)
	l, err := smarthost.List(t.Context(), d, primary)
	if err != nil {
		t.Fatal(err)
	}
	const want = `anna@example.org: [one.example.net]:465, TLS from the first byte, level verify, account anna@one (smarthost add)
Bert@example.org: [b]:587, account bert-account (by hand in /etc/postfix/mine)
carl@example.org: [c]:587 (by hand in /etc/postfix/main.cf)
dora@example.org: [d] (by hand in /etc/postfix/main.cf)
*:            [s]:25 (by hand in /etc/postfix/main.cf)
/^eve@/:      [e]:587 (by hand in /etc/postfix/patterns)
not read:     hash:/etc/postfix/index-alone: ask it with "postmap -q SENDER"
not read:     proxy:mysql:/etc/postfix/sql: ask it with "postmap -q SENDER"
not read:     ldap:/etc/postfix/ldap: ask it with "postmap -q SENDER"
`
	if got := l.Text(); got != want {
		t.Errorf("the list is\n%s", got)
	}
	s, err := smarthost.Show(t.Context(), d, primary)
	if text := s.Text(); err != nil || !strings.Contains(text, "mail from:    anna@example.org: [one.example.net]:465") || strings.Contains(text, secret) {
		t.Errorf("%v:\n%s", err, text)
	}
	write(t, d, "etc/postfix/sender_passwd", "")
	if s, err = smarthost.Show(t.Context(), d, primary); err != nil || len(s.WithoutLogin()) != 1 {
		t.Errorf("that the login of anna is gone is not seen: %v, %v", s.WithoutLogin(), err)
	}
	d, _ = lay(t, nil)
	if l, err = smarthost.List(t.Context(), d, primary); err != nil || l.Text() != "senders:      none has a relay of its own\n" {
		t.Errorf("without any: %v: %s", err, l.Text())
	}
}
