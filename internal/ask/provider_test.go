package ask_test

import (
	"strings"
	"testing"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/ask"
)

// The provider is asked before the relay host, which it fills in; whoever goes back and chooses another gets that one's.
func TestTheProviderOfTheRelay(t *testing.T) {
	for name, tc := range map[string]struct {
		priority    string
		reconfigure bool
		live, given values
		user        []string
		want        values
		changed     []string
	}{
		"a provider fills in the relay host": {
			priority: "high",
			user: []string{
				"main_mailer_type=Satellite system", "mailname", "maint_relay_provider=fastmail", "relayhost", "maint_relay_account=anna@r.example",
				"maint_relay_password=pw", "maint_sender_rewriting",
			},
			want:    values{answers.RelayHost: "[smtp.fastmail.com]:465", answers.RelayProvider: "fastmail"},
			changed: strings.Fields("main_mailer_type mailname maint_relay_provider relayhost maint_relay_account maint_sender_rewriting"),
		},
		"back from everywhere, and another provider": {
			priority: "medium", given: values{answers.RootAddress: "", answers.Destinations: "", answers.Chattr: "false"},
			user: []string{
				"main_mailer_type=Satellite system", "mailname", "maint_relay_provider=fastmail", "relayhost<", "maint_relay_provider=yahoo", "relayhost", "maint_relay_account<",
				"relayhost<", "maint_relay_provider<", "mailname", "maint_relay_provider=posteo", "relayhost", "maint_relay_account=anna", "maint_relay_tls<", "maint_relay_account",
				"maint_relay_tls", "maint_relay_password<", "maint_relay_tls", "maint_relay_password=pw", "maint_sender_rewriting",
			},
			want: values{answers.RelayHost: "[posteo.de]:465", answers.RelayProvider: "posteo"},
			changed: strings.Fields("main_mailer_type mailname maint_relay_provider relayhost maint_relay_account maint_relay_tls maint_sender_rewriting " +
				"root_address destinations chattr"),
		},
		"back to no provider": {
			priority: "high",
			user: []string{
				"main_mailer_type=Satellite system", "mailname", "maint_relay_provider=fastmail", "relayhost", "maint_relay_account<", "relayhost<",
				"maint_relay_provider=other", "relayhost=[r.example]:587", "maint_relay_account",
			},
			want:    values{answers.RelayHost: "[r.example]:587", answers.RelayProvider: answers.OtherProvider},
			changed: strings.Fields("main_mailer_type mailname maint_relay_provider relayhost maint_relay_account"),
		},
		"what is typed in place of the provider's": {
			priority: "high",
			user: []string{
				"main_mailer_type=Satellite system", "mailname", "maint_relay_provider=mailgun", "relayhost=[smtp.eu.mailgun.org]:587", "maint_relay_account<", "relayhost",
				"maint_relay_account",
			},
			want:    values{answers.RelayHost: "[smtp.eu.mailgun.org]:587", answers.RelayProvider: "mailgun"},
			changed: strings.Fields("main_mailer_type mailname maint_relay_provider relayhost maint_relay_account"),
		},
		"a provider without passwords": {
			priority: "high",
			user: []string{
				"main_mailer_type=Satellite system", "mailname", "maint_relay_provider=microsoft", "maint_invalid_answer", "maint_relay_provider=other",
				"relayhost=[r.example]:587", "maint_relay_account",
			},
			want:    values{answers.RelayHost: "[r.example]:587"},
			changed: strings.Fields("main_mailer_type mailname maint_relay_provider relayhost maint_relay_account"),
		},
		"a relay host that was preseeded asks for no provider": {
			priority: "high", given: values{answers.MailerType: "Satellite system", answers.RelayHost: "[r.example]:587"},
			user:    []string{"mailname", "maint_relay_account"},
			want:    values{answers.RelayHost: "[r.example]:587", answers.RelayProvider: answers.OtherProvider},
			changed: strings.Fields("main_mailer_type mailname relayhost maint_relay_account"),
		},
		"a provider that was preseeded, by another name": {
			priority: "high", given: values{answers.MailerType: "Satellite system", answers.RelayProvider: "Gmail"},
			user:    []string{"mailname", "relayhost", "maint_relay_account"},
			want:    values{answers.RelayHost: "[smtp.gmail.com]:587", answers.RelayProvider: "google"},
			changed: strings.Fields("main_mailer_type mailname maint_relay_provider relayhost maint_relay_account"),
		},
		"another provider on a host that relays, and back to what is in force": {
			priority: "medium", reconfigure: true, live: relayLive(), given: relayLive(),
			user: append(strings.Fields("main_mailer_type mailname maint_relay_provider=yahoo relayhost maint_relay_account maint_relay_tls< "+
				"maint_relay_account< relayhost< maint_relay_provider=other relayhost maint_relay_account maint_relay_tls maint_relay_password maint_sender_rewriting maint_sender_address"), "root_address", "destinations", "chattr"),
			want: values{answers.RelayHost: "[relay.example]:587", answers.RelayProvider: answers.OtherProvider},
		},
		"another provider, and one more, on a host that relays": {
			priority: "high", reconfigure: true, live: relayLive(), given: relayLive(),
			user: strings.Fields("main_mailer_type mailname maint_relay_provider=yahoo relayhost maint_relay_account< relayhost< maint_relay_provider=posteo relayhost " +
				"maint_relay_account maint_relay_password maint_sender_rewriting maint_sender_address"),
			want:    values{answers.RelayHost: "[posteo.de]:465", answers.RelayProvider: "posteo"},
			changed: strings.Fields("maint_relay_provider relayhost"),
		},
		"another provider on a host that relays": {
			priority: "medium", reconfigure: true, live: with(relayLive(), answers.RelayTLS, answers.Unchecked), given: relayLive(),
			user: append(strings.Fields("main_mailer_type mailname maint_relay_provider=yahoo relayhost maint_relay_account< relayhost maint_relay_account=me "+
				"maint_relay_tls maint_relay_password=pw maint_sender_rewriting maint_sender_address"), "root_address", "destinations", "chattr"),
			want:    values{answers.RelayHost: "[smtp.mail.yahoo.com]:465", answers.RelayProvider: "yahoo", answers.RelayTLS: answers.ByPort},
			changed: strings.Fields("maint_relay_provider relayhost maint_relay_account maint_relay_tls"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := relayFrontend(tc.given)
			f.Priority, f.Reshow, f.User = tc.priority, tc.reconfigure, script(t, tc.user...)
			run(t, f, ask.Input{Facts: facts(), Live: tc.live, Base: tc.live, Reconfigure: tc.reconfigure, Check: noPassword(tc.live != nil)})
			checkValues(t, f, tc.want)
			check(t, "changed", flagged(f, "maint_changed"), tc.changed)
		})
	}
}
