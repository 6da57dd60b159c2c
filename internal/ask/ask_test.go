package ask_test

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/ask"
	"postfix-maint/internal/debconf"
	"postfix-maint/internal/debconf/debconftest"
)

// templates are those of Debian 12, as far as they matter, and ours.
func templates() map[string]debconftest.Template {
	t := map[string]debconftest.Template{
		"main_mailer_type": {Type: "select", Default: "Internet Site", Choices: []string{
			"No configuration", "Internet Site", "Internet with smarthost", "Satellite system", "Local only"}},
		"mailname":             {Type: "string", Default: "/etc/mailname", Description: "System mail name:"},
		"relayhost":            {Type: "string", Description: "SMTP relay host (blank for none):"},
		"root_address":         {Type: "string"},
		"destinations":         {Type: "string"},
		"chattr":               {Type: "boolean", Default: "false"},
		"mynetworks":           {Type: "string", Default: networks, Description: "Local networks:"},
		"procmail":             {Type: "boolean"},
		"mailbox_limit":        {Type: "string", Default: "0"},
		"recipient_delim":      {Type: "string", Default: "+"},
		"protocols":            {Type: "select", Choices: []string{"all", "ipv6", "ipv4"}},
		"rfc1035_violation":    {Type: "boolean", Default: "false"},
		"maint_invalid_answer": {Type: "error"},
	}
	full := make(map[string]debconftest.Template)
	for name, tpl := range t {
		full["postfix/"+name] = tpl
	}
	return full
}

const networks = "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128"

type values map[answers.Question]string

// A host with a configuration: what is in force, and what it was made from.
func live() values {
	return values{
		answers.MailerType: "Satellite system", answers.Mailname: "corp.example", answers.RelayHost: "[relay.example]",
		answers.RootAddress: "alice", answers.Destinations: "$myhostname, localhost", answers.Chattr: "false",
		answers.MyNetworks: networks, answers.Procmail: "false", answers.MailboxLimit: "0", answers.RecipientDelim: "+",
		answers.Protocols: "all",
	}
}

func facts() answers.Facts {
	return answers.Facts{FQDN: "box.example", Domain: "example", Chattr: true, Procmail: true, FirstUser: "alice"}
}

// frontend holds the answers given, all of them seen.
func frontend(given values) *debconftest.Frontend {
	f := debconftest.New(templates())
	for q, value := range given {
		f.Preseed(string(q), value)
	}
	return f
}

// script makes a person who expects exactly these questions: "question", confirmed as shown; "question=answer"; or
// "question<" for back. The names are without "postfix/".
func script(t *testing.T, lines ...string) debconftest.User {
	t.Cleanup(func() {
		if len(lines) > 0 {
			t.Errorf("never asked: %q", lines)
		}
	})
	return func(question, shown string) (string, bool) {
		question = strings.TrimPrefix(question, "postfix/")
		if len(lines) == 0 {
			t.Errorf("asked after the end of the script: %s", question)
			return shown, false
		}
		line := lines[0]
		lines = lines[1:]
		if name, ok := strings.CutSuffix(line, "<"); ok && name == question {
			return "", true
		}
		name, answer, given := strings.Cut(line, "=")
		if name != question {
			t.Errorf("asked %s, want %s", question, line)
		}
		if !given {
			answer = shown
		}
		return answer, false
	}
}

func run(t *testing.T, f *debconftest.Frontend, in ask.Input) {
	t.Helper()
	in.Facts.HasMainCF = in.Live != nil
	f.Shown, f.Log = nil, nil
	err := f.Run(func(r io.Reader, w io.Writer) error { return ask.Run(debconf.New(r, w), in) })
	if err != nil {
		t.Fatal(err)
	}
}

// flagged lists the questions that have a flag, without "postfix/".
func flagged(f *debconftest.Frontend, flag string) (names []string) {
	for _, q := range answers.Questions() {
		if f.Flag(string(q), flag) {
			names = append(names, strings.TrimPrefix(string(q), "postfix/"))
		}
	}
	return names
}

func check(t *testing.T, what string, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s:\n%s", what, diff)
	}
}

func checkValues(t *testing.T, f *debconftest.Frontend, want values) {
	t.Helper()
	for q, value := range want {
		if got := f.Value(string(q)); got != value {
			t.Errorf("%s is %q, want %q", q, got, value)
		}
	}
}

const all = "main_mailer_type mailname root_address destinations chattr mynetworks procmail mailbox_limit recipient_delim protocols"

func TestFreshHost(t *testing.T) {
	cases := map[string]struct {
		priority       string
		noninteractive bool
		given          values
		facts          func(f *answers.Facts)
		user           []string
		want           values
		seen, changed  []string
	}{
		"nobody is there": {
			priority: "low", noninteractive: true,
			want: values{
				answers.MailerType: "Internet Site", answers.Mailname: "box.example", answers.RelayHost: "", answers.RootAddress: "alice",
				answers.Destinations: "$myhostname, box.example, localhost.example, localhost", answers.MyNetworks: networks,
				answers.Procmail: "true", answers.MailboxLimit: "0", answers.RecipientDelim: "+", answers.Protocols: "all",
			},
		},
		"the usual two screens": {
			priority: "high", user: []string{"main_mailer_type", "mailname=corp.example"},
			want: values{answers.Destinations: "$myhostname, corp.example, box.example, localhost.example, localhost"},
			seen: []string{"main_mailer_type", "mailname"}, changed: []string{"main_mailer_type", "mailname"},
		},
		"everything confirmed": {
			priority: "low", user: strings.Fields(all),
			want: values{answers.Mailname: "box.example", answers.RelayHost: ""},
			seen: strings.Fields(all), changed: strings.Fields(all),
		},
		"no procmail, and a release without the question about the queue": {
			priority: "low", user: strings.Fields(strings.NewReplacer("chattr ", "", "procmail ", "").Replace(all)),
			facts:   func(f *answers.Facts) { f.Procmail, f.Chattr = false, false },
			want:    values{answers.Procmail: "false"},
			seen:    strings.Fields(strings.NewReplacer("chattr ", "", "procmail ", "").Replace(all)),
			changed: strings.Fields(strings.NewReplacer("chattr ", "", "procmail ", "").Replace(all)),
		},
		"a relay is asked for where one is needed": {
			priority: "medium",
			user: []string{
				"main_mailer_type=Satellite system", "mailname=corp.example", "relayhost= [relay.example]:587 ", "root_address",
				"destinations", "chattr",
			},
			want: values{
				answers.RelayHost: "[relay.example]:587", answers.Destinations: "$myhostname, box.example, localhost.example, localhost",
			},
			seen:    []string{"main_mailer_type", "mailname", "relayhost", "root_address", "destinations", "chattr"},
			changed: []string{"main_mailer_type", "mailname", "relayhost", "root_address", "destinations", "chattr"},
		},
		"the destinations of a local host are a detail": {
			priority: "medium", user: []string{"main_mailer_type=Local only", "mailname", "root_address", "chattr"},
			seen: []string{"main_mailer_type", "mailname", "root_address", "chattr"}, changed: []string{"main_mailer_type", "mailname", "root_address", "chattr"},
		},
		"no configuration is wanted": {
			priority: "low", user: []string{"main_mailer_type=No configuration"},
			want: values{answers.MailerType: "No configuration", answers.Mailname: "/etc/mailname"},
			seen: []string{"main_mailer_type"},
		},
		"preseeded, nobody there": {
			priority: "high", noninteractive: true,
			given: values{
				answers.MailerType: "Satellite system", answers.Mailname: "corp.example", answers.RelayHost: "relay.example",
				answers.Destinations: "only.example",
			},
			want:    values{answers.Destinations: "only.example", answers.RelayHost: "relay.example", answers.Mailname: "corp.example"},
			seen:    []string{"main_mailer_type", "mailname", "relayhost", "destinations"},
			changed: []string{"main_mailer_type", "mailname", "relayhost", "destinations"},
		},
		"preseeded, somebody there": {
			priority: "low",
			given:    values{answers.MailerType: "Satellite system", answers.RelayHost: "relay.example", answers.Destinations: "only.example"},
			user:     []string{"mailname", "root_address=NONE", "chattr", "mynetworks", "procmail", "mailbox_limit", "recipient_delim", "protocols"},
			want:     values{answers.Destinations: "only.example", answers.RelayHost: "relay.example", answers.RootAddress: "NONE"},
			seen:     strings.Fields(strings.Replace(all, "mailname", "mailname relayhost", 1)),
			changed:  strings.Fields(strings.Replace(all, "mailname", "mailname relayhost", 1)),
		},
		"a type in quotes": {
			priority: "high", noninteractive: true, given: values{answers.MailerType: "'No configuration'"},
			want: values{answers.MailerType: "No configuration", answers.Mailname: "/etc/mailname"}, seen: []string{"main_mailer_type"},
		},
		"an unknown type is left to be reported": {
			priority: "high", noninteractive: true, given: values{answers.MailerType: "Internet"},
			want: values{answers.MailerType: "Internet"}, seen: []string{"main_mailer_type"}, changed: []string{"main_mailer_type"},
		},
		"an unknown type is asked for": {
			priority: "high", given: values{answers.MailerType: "Internet"},
			user: []string{"maint_invalid_answer", "main_mailer_type=Internet Site", "mailname"},
			want: values{answers.MailerType: "Internet Site"}, seen: []string{"main_mailer_type", "mailname"},
			changed: []string{"main_mailer_type", "mailname"},
		},
		"a wrong preseeded value is left to be reported": {
			priority: "low", noninteractive: true, given: values{answers.Mailname: "bad name!", answers.MyNetworks: "10.0.0.1/8"},
			want: values{answers.Mailname: "bad name!", answers.MyNetworks: "10.0.0.1/8"},
			seen: []string{"mailname", "mynetworks"}, changed: []string{"mailname", "mynetworks"},
		},
		"a wrong preseeded value is asked for, and no other": {
			priority: "medium", given: values{answers.MailerType: "Local only", answers.Mailname: "debian.org", answers.MyNetworks: "10.0.0.1/8",
				answers.RootAddress: "bob"},
			user:    []string{"maint_invalid_answer", "mailname=corp.example", "chattr"},
			want:    values{answers.Mailname: "corp.example", answers.MyNetworks: "10.0.0.1/8", answers.RootAddress: "bob"},
			seen:    []string{"main_mailer_type", "mailname", "root_address", "chattr", "mynetworks"},
			changed: []string{"main_mailer_type", "mailname", "root_address", "chattr", "mynetworks"},
		},
		"a relay type without a relay host, nobody there": {
			priority: "low", noninteractive: true, given: values{answers.MailerType: "Satellite system"},
			want: values{answers.RelayHost: ""}, seen: []string{"main_mailer_type"}, changed: []string{"main_mailer_type"},
		},
		"Debian's word for the host's name stays": {
			priority: "high", noninteractive: true, given: values{answers.Mailname: "==default=="},
			want: values{answers.Mailname: "==default==", answers.Destinations: "$myhostname, box.example, localhost.example, localhost"},
			seen: []string{"mailname"}, changed: []string{"mailname"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := frontend(tc.given)
			f.Priority, f.Noninteractive, f.User = tc.priority, tc.noninteractive, script(t, tc.user...)
			in := ask.Input{Facts: facts()}
			if tc.facts != nil {
				tc.facts(&in.Facts)
			}
			run(t, f, in)
			checkValues(t, f, tc.want)
			check(t, "seen", flagged(f, "seen"), tc.seen)
			check(t, "changed", flagged(f, "maint_changed"), tc.changed)

			// debconf runs config once more before postinst: nothing is asked, nothing is lost.
			before := make(values)
			for _, q := range answers.Questions() {
				before[q] = f.Value(string(q))
			}
			f.User = script(t)
			f.Noninteractive = true // a preseeded value that is wrong would be complained about again
			run(t, f, in)
			checkValues(t, f, before)
			check(t, "seen after the second run", flagged(f, "seen"), tc.seen)
			check(t, "changed after the second run", flagged(f, "maint_changed"), tc.changed)
			if slices.ContainsFunc(f.Log, func(line string) bool { return strings.HasPrefix(line, "SET ") }) {
				t.Errorf("the second run sets values:\n%s", strings.Join(f.Log, "\n"))
			}
		})
	}
}
