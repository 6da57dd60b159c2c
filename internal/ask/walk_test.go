package ask_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/ask"
	"postfix-maint/internal/debconf/debconftest"
	"postfix-maint/internal/providers"
)

// Going back from a question lands at the one that was asked before it, whatever lies between.
func TestBack(t *testing.T) {
	for name, tc := range map[string]struct {
		priority string
		given    values
		asked    string
	}{
		"everything is asked": {priority: "low", asked: all},
		"with a relay": {priority: "low", given: values{answers.MailerType: "Satellite system"},
			asked: "mailname relayhost root_address destinations chattr mynetworks procmail mailbox_limit recipient_delim protocols"},
		"details are not asked": {priority: "medium", asked: "main_mailer_type mailname root_address destinations chattr"},
		"some were preseeded": {priority: "low", given: values{answers.Mailname: "a.example", answers.Chattr: "true", answers.MailboxLimit: "1"},
			asked: "main_mailer_type root_address destinations mynetworks procmail recipient_delim protocols"},
	} {
		asked := strings.Fields(tc.asked)
		for i, from := range asked {
			t.Run(name+", back from "+from, func(t *testing.T) {
				user := append(slices.Clone(asked[:i]), from+"<")
				if i > 0 {
					user = append(user, asked[i-1])
				}
				user = append(user, asked[i:]...)
				f := frontend(tc.given)
				f.Priority = tc.priority
				for j, line := range user {
					if line == "relayhost" { // the guess is blank, and blank is wrong here
						user[j] = "relayhost=[relay.example]"
					}
				}
				f.User = script(t, user...)
				run(t, f, ask.Input{Facts: facts()})
				for _, q := range asked {
					if !f.Flag("postfix/"+q, "seen") || !f.Flag("postfix/"+q, "maint_changed") {
						t.Errorf("%s does not count as answered", q)
					}
				}
			})
		}
	}
}

func TestWayBackWithOtherAnswers(t *testing.T) {
	old := live()
	old[answers.RelayHost] = "[old.example]"
	cases := map[string]struct {
		reconfigure bool
		live        values
		given       values
		priority    string
		user        []string
		want        values
		seen        string // these are, and the next are not
		unseen      string
		changed     []string
	}{
		"guesses follow a type that was changed": {
			priority: "medium",
			user: []string{
				"main_mailer_type", "mailname=corp.example", "root_address", "destinations", "chattr<", "destinations<", "root_address<",
				"mailname<", "main_mailer_type=Satellite system", "mailname", "relayhost=[r.example]", "root_address", "destinations", "chattr",
			},
			want: values{answers.Mailname: "corp.example", answers.Destinations: "$myhostname, box.example, localhost.example, localhost"},
			seen: "relayhost destinations", changed: []string{"main_mailer_type", "mailname", "relayhost", "root_address", "destinations", "chattr"},
		},
		"what was typed does not": {
			priority: "medium",
			user: []string{
				"main_mailer_type", "mailname", "root_address", "destinations=mine.example", "chattr<", "destinations<", "root_address<",
				"mailname=corp.example", "root_address", "destinations", "chattr",
			},
			want:    values{answers.Destinations: "mine.example"},
			changed: []string{"main_mailer_type", "mailname", "root_address", "destinations", "chattr"},
		},
		"a relay host is left out by another type": {
			priority: "medium",
			user: []string{
				"main_mailer_type=Satellite system", "mailname", "relayhost=[r.example]", "root_address<", "relayhost<", "mailname<",
				"main_mailer_type=Internet Site", "mailname", "root_address", "destinations", "chattr",
			},
			want: values{answers.RelayHost: ""}, seen: "main_mailer_type mailname", unseen: "relayhost",
			changed: []string{"main_mailer_type", "mailname", "root_address", "destinations", "chattr"},
		},
		"all answers are taken back with no configuration": {
			priority: "medium",
			user: []string{
				"main_mailer_type", "mailname=corp.example", "root_address=bob", "destinations<", "root_address<", "mailname<",
				"main_mailer_type=No configuration",
			},
			want: values{answers.Mailname: "/etc/mailname"}, seen: "main_mailer_type", unseen: "mailname root_address",
		},
		"a configured host: what is in force comes back, not the old answer": {
			reconfigure: true, live: live(), given: old,
			user: []string{
				"main_mailer_type", "mailname", "relayhost=[r.example]", "root_address<", "relayhost<", "mailname<",
				"main_mailer_type=Internet Site", "mailname", "root_address", "destinations", "chattr", "mynetworks", "procmail", "mailbox_limit",
				"recipient_delim", "protocols",
			},
			want: values{answers.RelayHost: "[relay.example]"}, seen: "relayhost", changed: []string{"main_mailer_type"},
		},
		"a wrong answer is not left behind": {
			priority: "high",
			user: []string{
				"main_mailer_type", "mailname=debian.org", "maint_invalid_answer", "mailname<", "main_mailer_type=No configuration",
			},
			want: values{answers.Mailname: "box.example"}, unseen: "mailname",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := frontend(tc.given)
			f.Priority, f.Reshow, f.User = tc.priority, tc.reconfigure, script(t, tc.user...)
			run(t, f, ask.Input{Facts: facts(), Live: tc.live, Reconfigure: tc.reconfigure})
			checkValues(t, f, tc.want)
			for q := range strings.FieldsSeq(tc.seen) {
				if !f.Flag("postfix/"+q, "seen") {
					t.Errorf("%s is not seen", q)
				}
			}
			for q := range strings.FieldsSeq(tc.unseen) {
				if f.Flag("postfix/"+q, "seen") {
					t.Errorf("%s counts as seen", q)
				}
			}
			check(t, "changed", flagged(f, "maint_changed"), tc.changed)
		})
	}
}

func TestATerminalThatHasGone(t *testing.T) {
	f := frontend(nil)
	f.Priority = "high"
	f.User = func(string, string) (string, bool) { return "", true }
	run(t, f, ask.Input{Facts: facts()})
	check(t, "seen", flagged(f, "seen"), nil)
	checkValues(t, f, values{answers.MailerType: "Internet Site", answers.Mailname: "box.example"})
}

func TestWrongInput(t *testing.T) {
	head := []string{"main_mailer_type"}
	cases := map[string]struct {
		user  []string
		kept  bool
		plain bool // the host's name
		want  values
		shown string
	}{
		"a mail name that is not ours": {
			user: []string{"mailname=debian.org", "maint_invalid_answer", "mailname=a.example"}, want: values{answers.Mailname: "a.example"},
			shown: `postfix/maint_invalid_answer problem="debian.org" is not yours to send mail from question=System mail name`,
		},
		"a mail name that breaks RFC 1035, corrected": {
			user: []string{"mailname=my_host.example", "rfc1035_violation=false", "mailname=a.example"}, want: values{answers.Mailname: "a.example"},
		},
		"a mail name that breaks RFC 1035, kept": {
			user: []string{"mailname=my_host.example", "rfc1035_violation=true"},
			want: values{answers.Mailname: "my_host.example", answers.Insist: "true"},
		},
		"a mail name that breaks RFC 1035, back from the message": {
			user: []string{"mailname=my_host.example", "rfc1035_violation<", "mailname=a.example"}, want: values{answers.Mailname: "a.example"},
		},
		"a mail name that breaks RFC 1035, after another one was kept": {
			kept: true, user: []string{"mailname=my_host.example", "rfc1035_violation", "mailname=a.example"},
			want: values{answers.Mailname: "a.example"},
		},
		"a mail name that is no name at all": {
			user: []string{"mailname=bad name!", "maint_invalid_answer", "mailname=a.example"}, want: values{answers.Mailname: "a.example"},
		},
		"two wrong ones": {
			user: []string{"mailname=ubuntu.com", "maint_invalid_answer", "mailname=12345", "maint_invalid_answer", "mailname=a.example"},
			want: values{answers.Mailname: "a.example"},
		},
		"the same wrong one twice ends it": {
			user: []string{"mailname=plain", "maint_invalid_answer", "mailname=plain"}, want: values{answers.Mailname: "plain"},
		},
		"our own guess is not complained about": {
			plain: true, user: []string{"mailname"}, want: values{answers.Mailname: "box"},
		},
		"networks with host bits": {
			user: []string{"mailname", "mynetworks=10.0.0.1/8", "maint_invalid_answer", "mynetworks=10.0.0.0/8"},
			want: values{answers.MyNetworks: "10.0.0.0/8"},
		},
		"a delimiter of two characters": {
			user: []string{"mailname", "recipient_delim=+-"}, want: values{answers.RecipientDelim: "+-"},
		},
		"a delimiter that Postfix cannot read": {
			user: []string{"mailname", "recipient_delim=$", "maint_invalid_answer", "recipient_delim=-"},
			want: values{answers.RecipientDelim: "-"},
		},
		"a limit that is no number": {
			user: []string{"mailname", "mailbox_limit=1G", "maint_invalid_answer", "mailbox_limit=1073741824"},
			want: values{answers.MailboxLimit: "1073741824"},
		},
		"no relay host, as the question allows": {
			user: []string{"main_mailer_type=Satellite system", "mailname", "relayhost="}, want: values{answers.RelayHost: ""},
		},
		"one of two relay hosts is wrong": {
			user: []string{"main_mailer_type=Satellite system", "mailname", "relayhost=a.example, 587", "maint_invalid_answer", "relayhost=a.example, b.example:587"},
			want: values{answers.RelayHost: "a.example, b.example:587"},
		},
		"back from a wrong answer": {
			user: []string{"mailname=debian.org", "maint_invalid_answer", "mailname<", "main_mailer_type", "mailname"},
			want: values{answers.Mailname: "box.example"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			user := tc.user
			if user[0] != "main_mailer_type=Satellite system" {
				user = append(slices.Clone(head), user...)
			}
			f := frontend(values{
				answers.RootAddress: "bob", answers.Destinations: "", answers.Chattr: "false", answers.Procmail: "false", answers.Protocols: "all",
			})
			for _, q := range []answers.Question{answers.MyNetworks, answers.MailboxLimit, answers.RecipientDelim} {
				asked := slices.ContainsFunc(user, func(line string) bool { return strings.HasPrefix("postfix/"+line, string(q)+"=") })
				f.SetFlag(string(q), "seen", !asked)
			}
			if tc.kept {
				f.Preseed(string(answers.Insist), "true")
			}
			in := ask.Input{Facts: facts()}
			if tc.plain {
				in.Facts.FQDN, in.Facts.Domain = "box", ""
			}
			f.User = script(t, user...)
			run(t, f, in)
			checkValues(t, f, tc.want)
			if tc.shown != "" && !slices.Contains(f.Shown, tc.shown) {
				t.Errorf("no screen %q in %q", tc.shown, f.Shown)
			}
		})
	}
}

// A package whose templates lack our message must still work.
func TestWithoutOurTemplate(t *testing.T) {
	without := templates()
	delete(without, "postfix/maint_invalid_answer")
	f := debconftest.New(without)
	f.Priority, f.User = "high", script(t, "main_mailer_type", "mailname=debian.org", "mailname=a.example")
	run(t, f, ask.Input{Facts: facts()})
	checkValues(t, f, values{answers.Mailname: "a.example"})
}

// The questions about the relay have templates with the words that the code knows.
func TestRelayTemplates(t *testing.T) {
	text, err := os.ReadFile("../../debian/postfix.templates")
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range append(answers.RelayQuestions(), answers.RelayPassword) {
		want := "Type: string\n"
		switch q {
		case answers.RelayPassword:
			want = "Type: password\n"
		case answers.RelayProvider:
			want = "Type: select\nChoices-C: " + strings.Join(answers.Providers(), ", ") + "\n#flag:translate:1\n__Choices: " + titles() + "\nDefault: other\n"
		case answers.RelayTLS:
			want = "Type: select\nChoices-C: " + strings.Join(answers.TLSWays(), ", ") + "\n"
		case answers.Rewriting:
			want = "Type: select\nChoices-C: " + strings.Join(answers.Rewritings(), ", ") + "\n"
		}
		if want = "Template: " + string(q) + "\n" + want; !strings.Contains(string(text), want) {
			t.Errorf("debian/postfix.templates has no\n%s", want)
		}
	}
}

// What the code substitutes is what the template has.
func TestOurTemplate(t *testing.T) {
	text, err := os.ReadFile("../../debian/postfix.templates")
	if err != nil {
		t.Fatal(err)
	}
	f := frontend(nil)
	f.Priority, f.User = "high", script(t, "main_mailer_type", "mailname=debian.org", "maint_invalid_answer", "mailname=a.example")
	run(t, f, ask.Input{Facts: facts()})
	for _, line := range f.Log {
		words := strings.Fields(line)
		if words[0] != "SUBST" {
			continue
		}
		for _, want := range []string{"Template: " + words[1] + "\n", "${" + words[2] + "}"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("debian/postfix.templates has no %q", want)
			}
		}
	}
}

// Only a list of destinations that a person saw is taken as it is; one of a preseed file gets the host's own names.
func TestDestinationsThatAPersonSaw(t *testing.T) {
	for _, seen := range []bool{true, false} {
		f := frontend(values{answers.Destinations: "corp.example"})
		if seen {
			f.SetFlag(string(answers.Destinations), "seen", false)
		}
		f.Priority, f.User = "medium", func(_, shown string) (string, bool) { return shown, false }
		for range 2 { // debconf runs config twice in one installation
			run(t, f, ask.Input{Facts: facts()})
			if f.Flag(string(answers.Destinations), answers.TypedFlag) != seen {
				t.Errorf("seen by a person: %v, but the flag says %v", seen, !seen)
			}
		}
	}
}

// titles are those of the menu of providers.
func titles() string {
	all := []string{"a host of your own or another provider"}
	for _, p := range providers.All {
		all = append(all, p.Title)
	}
	return strings.Join(all, ", ")
}
