package setup_test

import (
	"testing"

	"postfix-maint/internal/answers"
)

// A provider that is answered means its relay host, unless one was answered as well.
func TestRelayByProvider(t *testing.T) {
	type q = map[answers.Question]string
	login := q{answers.MailerType: "Satellite system", answers.RelayHost: "[r.example]:587", answers.RelayAccount: "anna"}
	newHost := func(t *testing.T) *relayer { return &relayer{t: t, root: host(t, nil)} }

	t.Run("a provider and an account are enough", func(t *testing.T) {
		r := newHost(t)
		r.run(asked(r.root, "", false, q{answers.MailerType: "Satellite system", answers.RelayProvider: "google", answers.RelayAccount: "anna"}), nil, "")
		r.has("relayhost = [smtp.gmail.com]:587", "account = anna", "!default_transport")
	})
	t.Run("a relay host that was answered as well wins", func(t *testing.T) {
		r := newHost(t)
		r.run(asked(r.root, "", false, q{answers.MailerType: "Satellite system", answers.RelayProvider: "google", answers.RelayHost: "[r.example]:587",
			answers.RelayAccount: "anna"}), nil, "")
		r.has("relayhost = [r.example]:587", "account = anna")
	})
	t.Run("a port that was answered as well wins", func(t *testing.T) {
		r := newHost(t)
		r.run(asked(r.root, "", false, q{answers.MailerType: "Satellite system", answers.RelayProvider: "google", answers.RelayPort: "465", answers.RelayAccount: "anna"}), nil, "")
		r.has("relayhost = [smtp.gmail.com]:465")
	})
	t.Run("with a login that cannot be, or a provider without passwords, no relay is left", func(t *testing.T) {
		for _, name := range []string{"google", "microsoft", "nobody"} {
			r := newHost(t)
			p := r.run(asked(r.root, "", false, q{answers.MailerType: "Satellite system", answers.RelayProvider: name, answers.RelayAccount: "bad"}), nil, "")
			r.has("relayhost =", "default_transport = ${relayhost?{smtp}:{retry:4.3.0 no relay host is set}}", "!account")
			if len(r.calls) > 0 || len(p.Warnings) == 0 {
				t.Errorf("%s: called %q, said %q", name, r.calls, p.Warnings)
			}
		}
	})
	t.Run("a relay host that is asked for later with a provider wins", func(t *testing.T) {
		r := newHost(t)
		r.run(asked(r.root, "", false, login), nil, "")
		r.run(asked(r.root, ours, true, q{answers.RelayProvider: "mailgun", answers.RelayHost: "[smtp.eu.mailgun.org]:587"}), with(blankRelay(), "anna"), "")
		r.has("relayhost = [smtp.eu.mailgun.org]:587")
	})
	t.Run("a provider that is asked for later takes the place of what is in force", func(t *testing.T) {
		r := newHost(t)
		r.run(asked(r.root, "", false, login), nil, "")
		r.run(asked(r.root, ours, true, q{answers.RelayProvider: "yahoo", answers.RelayAccount: "bert"}), with(blankRelay(), "anna"), "")
		r.has("relayhost = [smtp.mail.yahoo.com]:465", "account = bert")
		before := read(t, r.root, "/etc/postfix/main.cf")
		live := with(blankRelay(), "bert")
		live[answers.RelayProvider], live[answers.RelayHost] = "yahoo", "[smtp.mail.yahoo.com]:465"
		r.run(asked(r.root, ours, true, q{answers.RelayProvider: "yahoo", answers.RelayAccount: "bert"}), live, "")
		if got := read(t, r.root, "/etc/postfix/main.cf"); got != before || len(r.calls) != 2 {
			t.Errorf("the same once more: called %q; main.cf is\n%s", r.calls, got)
		}
	})
}
