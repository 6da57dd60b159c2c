package ask_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/ask"
	"postfix-maint/internal/debconf/debconftest"
)

// relayFrontend is a frontend that has the questions about the relay as well.
func relayFrontend(given values) *debconftest.Frontend {
	t := templates()
	for _, q := range append(answers.RelayQuestions(), answers.RelayPassword) {
		t[string(q)] = debconftest.Template{Type: "string"}
	}
	t[string(answers.RelayTLS)] = debconftest.Template{Type: "select", Default: answers.ByPort, Choices: answers.TLSWays()}
	t[string(answers.RelayProvider)] = debconftest.Template{Type: "select", Default: answers.OtherProvider, Choices: answers.Providers()}
	t[string(answers.Rewriting)] = debconftest.Template{Type: "select", Default: answers.NoRewriting, Choices: answers.Rewritings()}
	t[string(answers.RelayPassword)] = debconftest.Template{Type: "password"}
	f := debconftest.New(t)
	for q, value := range given {
		f.Preseed(string(q), value)
	}
	return f
}

// relayLive is a host that relays with a login.
func relayLive() values {
	v := live()
	more := values{
		answers.RelayHost: "[relay.example]:587", answers.RelayProvider: answers.OtherProvider, answers.RelayPort: "", answers.RelayTLS: answers.ByPort, answers.RelayAccount: "anna",
		answers.Rewriting: answers.GenericMap, answers.SenderAddress: "anna@relay.example", answers.SenderMap: "",
	}
	maps.Copy(v, more)
	return v
}

func TestAboutTheRelay(t *testing.T) {
	quiet := "root_address destinations chattr mynetworks procmail mailbox_limit recipient_delim protocols"
	for name, tc := range map[string]struct {
		priority    string
		reconfigure bool
		live, given values
		user        []string
		want        values
		changed     []string
	}{
		"no relay, no question": {priority: "high", user: []string{"main_mailer_type", "mailname"}, changed: []string{"main_mailer_type", "mailname"}},
		"a port, a login, and this host's addresses": {
			priority: "high",
			user: []string{
				"main_mailer_type=Satellite system", "mailname", "maint_relay_provider", "relayhost=[r.example]", "maint_relay_account=anna@r.example", "maint_relay_port",
				"maint_relay_password= p w ", "maint_sender_rewriting=generic", "maint_sender_address",
			},
			want:    values{answers.RelayPort: "587", answers.RelayPassword: " p w ", answers.SenderAddress: "anna@r.example"},
			changed: strings.Fields("main_mailer_type mailname maint_relay_provider relayhost maint_relay_account maint_relay_port maint_sender_rewriting maint_sender_address"),
		},
		"a relay host with its port, and no login": {
			priority: "medium", given: values{answers.RootAddress: "", answers.Destinations: "", answers.Chattr: "false"},
			user: []string{
				"main_mailer_type=Internet with smarthost", "mailname", "maint_relay_provider", "relayhost=[r.example]:465", "maint_relay_account", "maint_relay_tls",
				"maint_sender_rewriting=users", "maint_sender_map=anna a@r.example, bert b@r.example",
			},
			want: values{answers.SenderMap: "anna a@r.example, bert b@r.example", answers.RelayTLS: answers.ByPort},
			changed: strings.Fields("main_mailer_type mailname maint_relay_provider relayhost maint_relay_account maint_relay_tls maint_sender_rewriting maint_sender_map " +
				"root_address destinations chattr"),
		},
		"wrong answers": {
			priority: "high",
			user: []string{
				"main_mailer_type=Satellite system", "mailname", "maint_relay_provider", "relayhost=[r.example]", "maint_relay_account=a:b", "maint_invalid_answer",
				"maint_relay_account=anna", "maint_relay_port=x!", "maint_invalid_answer", "maint_relay_port=465", "maint_relay_password=", "maint_invalid_answer",
				"maint_relay_password=pw", "maint_sender_rewriting=generic", "maint_sender_address=nobody", "maint_invalid_answer",
				"maint_sender_address=a@r.example",
			},
			want:    values{answers.RelayAccount: "anna", answers.SenderAddress: "a@r.example"},
			changed: strings.Fields("main_mailer_type mailname maint_relay_provider relayhost maint_relay_account maint_relay_port maint_sender_rewriting maint_sender_address"),
		},
		"no login, and the port for mail between servers": {
			priority: "high",
			user: []string{
				"main_mailer_type=Satellite system", "mailname", "maint_relay_provider", "relayhost=[r.example]", "maint_relay_account", "maint_relay_port",
			},
			want:    values{answers.RelayPort: "25"},
			changed: strings.Fields("main_mailer_type mailname maint_relay_provider relayhost maint_relay_account maint_relay_port"),
		},
		"a login where there was none": {
			priority: "high", reconfigure: true, live: with(with(with(relayLive(), answers.RelayHost, "[r.example]"), answers.RelayPort, "25"), answers.RelayAccount, ""), given: live(),
			user: []string{
				"main_mailer_type", "mailname", "maint_relay_provider", "relayhost", "maint_relay_account=anna", "maint_relay_port", "maint_relay_password=pw", "maint_sender_rewriting",
				"maint_sender_address",
			},
			want:    values{answers.RelayPort: "587"},
			changed: strings.Fields("maint_relay_account maint_relay_port"),
		},
		"another account at the port that is in force": {
			priority: "high", reconfigure: true, live: with(with(relayLive(), answers.RelayHost, "[r.example]"), answers.RelayPort, "25"), given: live(),
			user: []string{
				"main_mailer_type", "mailname", "maint_relay_provider", "relayhost", "maint_relay_account=bert", "maint_relay_port", "maint_relay_password=pw", "maint_sender_rewriting",
				"maint_sender_address",
			},
			want:    values{answers.RelayPort: "25"},
			changed: strings.Fields("maint_relay_account"),
		},
		"back over the password": {
			priority: "medium", given: values{answers.RootAddress: "", answers.Destinations: "", answers.Chattr: "false", answers.RelayTLS: "by-port"},
			user: []string{
				"main_mailer_type=Satellite system", "mailname", "maint_relay_provider", "relayhost=[r.example]:587", "maint_relay_account=anna", "maint_relay_password=pw",
				"maint_sender_rewriting<", "maint_relay_password<", "maint_relay_account=", "maint_sender_rewriting",
			},
			want:    values{answers.RelayAccount: "", answers.RelayPassword: ""},
			changed: strings.Fields("main_mailer_type mailname maint_relay_provider relayhost maint_relay_account maint_relay_tls maint_sender_rewriting root_address destinations chattr"),
		},
		"an upgrade asks nothing":                             {priority: "low", live: relayLive(), given: relayLive(), user: nil},
		"an upgrade from before these questions asks nothing": {priority: "low", live: relayLive(), given: live(), user: nil},
		"what is in force is shown and stays": {
			priority: "low", reconfigure: true, live: relayLive(), given: live(),
			user: append(strings.Fields("main_mailer_type mailname maint_relay_provider relayhost maint_relay_account maint_relay_tls maint_relay_password "+
				"maint_sender_rewriting maint_sender_address"), strings.Fields(quiet)...),
			want: values{answers.RelayAccount: "anna", answers.SenderAddress: "anna@relay.example", answers.RelayHost: "[relay.example]:587"},
		},
		"a level that no answer stands for is not shown": {
			priority: "medium", reconfigure: true, live: with(relayLive(), answers.RelayTLS, "dane"), given: live(),
			user: strings.Fields("main_mailer_type mailname maint_relay_provider relayhost maint_relay_account maint_relay_password maint_sender_rewriting " +
				"maint_sender_address root_address destinations chattr"),
			want: values{answers.RelayTLS: "dane"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := relayFrontend(tc.given)
			f.Priority, f.Reshow, f.User = tc.priority, tc.reconfigure, script(t, tc.user...)
			run(t, f, ask.Input{Facts: facts(), Live: tc.live, Reconfigure: tc.reconfigure, Check: noPassword(tc.live != nil)})
			checkValues(t, f, tc.want)
			check(t, "changed", flagged(f, "maint_changed"), tc.changed)
		})
	}
}

func with(v values, q answers.Question, value string) values {
	v[q] = value
	return v
}

// noPassword misses a password where none is stored.
func noPassword(stored bool) func(answers.Question, answers.Answers) error {
	return func(q answers.Question, a answers.Answers) error {
		if q == answers.RelayPassword && !stored && a[q].Value == "" {
			return errors.New("there is no password")
		}
		return nil
	}
}

// A password that was preseeded stays where it is until it is stored, and is not even read.
func TestPreseededPassword(t *testing.T) {
	f := relayFrontend(values{
		answers.MailerType: "Satellite system", answers.RelayHost: "[r.example]:587", answers.RelayAccount: "anna", answers.RelayPassword: "pw",
	})
	f.Noninteractive = true
	run(t, f, ask.Input{Facts: facts(), Check: noPassword(false)})
	checkValues(t, f, values{answers.RelayPassword: "pw"})
	for _, line := range f.Log {
		if words := strings.Fields(line); slices.Contains(words, string(answers.RelayPassword)) && words[0] != "FGET" && words[0] != "INPUT" {
			t.Errorf("the password's question is touched: %s", line)
		}
	}
}
