package ask_test

import (
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/ask"
)

func TestConfiguredHost(t *testing.T) {
	reconfigured := strings.Fields(strings.Replace(all, "mailname", "mailname relayhost", 1))
	with := func(base values, q answers.Question, value string) values {
		base[q] = value
		return base
	}
	direct := with(with(live(), answers.MailerType, "Internet Site"), answers.RelayHost, "")
	cases := map[string]struct {
		noninteractive, reconfigure bool
		given, live, base           values // given: the database, all of it seen; live() is where nothing is said
		unseen                      bool
		user                        []string
		want                        values
		shown, changed              []string // shown: these are among the screens
	}{
		"confirmed as shown": {
			reconfigure: true, given: live(), base: live(), user: reconfigured, want: live(),
		},
		"confirmed as shown, the first time after Debian's layer": {
			reconfigure: true, given: live(), user: reconfigured, want: live(),
		},
		"an upgrade asks nothing": {
			given: live(), base: live(), want: live(),
		},
		"hand edits, then confirmed as shown": {
			reconfigure: true, given: live(), base: live(),
			live:  with(with(with(live(), answers.RelayHost, "[other.example]:587"), answers.RecipientDelim, "-_"), answers.MyNetworks, "10.0.0.0/8"),
			user:  reconfigured,
			want:  values{answers.RelayHost: "[other.example]:587", answers.RecipientDelim: "-_", answers.MyNetworks: "10.0.0.0/8"},
			shown: []string{"postfix/relayhost=[other.example]:587", "postfix/recipient_delim=-_"},
		},
		"hand edits, then an upgrade": {
			given: live(), base: live(), live: with(live(), answers.RelayHost, "[other.example]"),
			want: values{answers.RelayHost: "[other.example]"},
		},
		"hand edits that differ from old answers, the first time after Debian's layer": {
			noninteractive: true, reconfigure: true, given: live(), live: with(live(), answers.Destinations, "a.example"),
			want: values{answers.Destinations: "a.example"},
		},
		"hand edits of the type": {
			reconfigure: true, given: live(), base: live(),
			live: with(with(live(), answers.MailerType, "Internet Site"), answers.RelayHost, ""),
			user: strings.Fields(all), want: values{answers.MailerType: "Internet Site", answers.RelayHost: ""},
			shown: []string{"postfix/main_mailer_type=Internet Site"},
		},
		"one answer changed": {
			reconfigure: true, given: live(), base: live(),
			user:    append(slices.Clone(reconfigured[:9]), "recipient_delim=-", "protocols"),
			want:    values{answers.RecipientDelim: "-"},
			changed: []string{"recipient_delim"},
		},
		"a hand edit, and the old value typed again": {
			reconfigure: true, given: live(), base: live(), live: with(live(), answers.RecipientDelim, "-"),
			user: append(slices.Clone(reconfigured[:9]), "recipient_delim=+", "protocols"), changed: []string{"recipient_delim"},
		},
		"the same list in other spacing": {
			reconfigure: true, given: with(live(), answers.Destinations, "$myhostname,localhost"), base: live(), user: reconfigured,
			want: values{answers.Destinations: "$myhostname,localhost"},
		},
		"a wish by set-selections, nobody there": {
			noninteractive: true, reconfigure: true, given: with(live(), answers.RelayHost, "[new.example]"), base: live(),
			want: values{answers.RelayHost: "[new.example]"}, changed: []string{"relayhost"},
		},
		"a wish by set-selections is shown": {
			reconfigure: true, given: with(live(), answers.RelayHost, "[new.example]"), base: live(), user: reconfigured,
			shown: []string{"postfix/relayhost=[new.example]"}, changed: []string{"relayhost"},
		},
		"a wish by set-selections and a hand edit elsewhere": {
			noninteractive: true, reconfigure: true, given: with(live(), answers.RelayHost, "[new.example]"), base: live(),
			live: with(live(), answers.RecipientDelim, "-"),
			want: values{answers.RelayHost: "[new.example]", answers.RecipientDelim: "-"}, changed: []string{"relayhost"},
		},
		"an unknown type by set-selections, nobody there": {
			noninteractive: true, reconfigure: true, given: with(live(), answers.MailerType, "Internet"), base: live(),
			want: values{answers.MailerType: "Internet"}, changed: []string{"main_mailer_type"},
		},
		"an unknown type, the first time after Debian's layer": {
			noninteractive: true, reconfigure: true, given: with(live(), answers.MailerType, "HP"), want: values{answers.MailerType: "HP"},
		},
		"a relay type with its relay host": {
			reconfigure: true, given: direct, base: direct, live: direct,
			user: append([]string{"main_mailer_type=Satellite system", "mailname", "relayhost=r.example"}, reconfigured[3:]...),
			want: values{answers.RelayHost: "r.example"}, changed: []string{"main_mailer_type", "relayhost"},
		},
		"another type; the relay host is not asked for and not touched": {
			reconfigure: true, given: live(), base: live(), user: append([]string{"main_mailer_type=Internet Site"}, strings.Fields(all)[1:]...),
			want: values{answers.RelayHost: "[relay.example]"}, changed: []string{"main_mailer_type"},
		},
		"a main.cf from elsewhere, first installation": {
			unseen: true, user: []string{"main_mailer_type"}, want: values{answers.MailerType: "No configuration", answers.Mailname: "/etc/mailname"},
			shown: []string{"postfix/main_mailer_type=No configuration"},
		},
		"a main.cf from elsewhere, nobody there": {
			unseen: true, noninteractive: true, want: values{answers.MailerType: "No configuration", answers.Mailname: "/etc/mailname"},
		},
		"a main.cf from elsewhere that shall be managed": {
			unseen: true,
			user:   append([]string{"main_mailer_type=Satellite system", "mailname", "relayhost=[new.example]"}, reconfigured[3:]...),
			want:   values{answers.RelayHost: "[new.example]", answers.Mailname: "corp.example"}, changed: []string{"relayhost"},
			shown: []string{"postfix/relayhost=[relay.example]"},
		},
		"nobody ever answered, and the configuration is ours": {
			unseen: true, reconfigure: true, base: live(), user: reconfigured, want: live(),
		},
		"no configuration was chosen": {
			noninteractive: true, reconfigure: true, given: with(live(), answers.MailerType, "No configuration"), base: live(),
			live: with(live(), answers.RelayHost, "[other.example]"),
			want: values{answers.MailerType: "No configuration", answers.RelayHost: "[relay.example]"},
		},
		"values in force that could not be typed": {
			reconfigure: true, given: live(), base: live(),
			live: with(with(with(live(), answers.MyNetworks, "10.0.0.1/8"), answers.Protocols, "ipv6,\n ipv4"), answers.Mailname, "my_host"),
			user: reconfigured, want: values{answers.MyNetworks: "10.0.0.1/8", answers.Protocols: "all"},
		},
		"a list on several lines": {
			reconfigure: true, given: live(), base: live(), live: with(live(), answers.MyNetworks, "10.0.0.0/8\n    192.168.0.0/16"),
			user: reconfigured, want: values{answers.MyNetworks: "10.0.0.0/8 192.168.0.0/16"},
		},
		"protocols that the menu cannot show are not asked for": {
			reconfigure: true, given: live(), base: live(), live: with(live(), answers.Protocols, "$my_protocols"),
			user: reconfigured[:10], want: values{answers.Protocols: "$my_protocols"},
		},
		"no mail name, confirmed": {
			reconfigure: true, given: with(live(), answers.Mailname, ""), base: live(), live: with(live(), answers.Mailname, ""),
			user: reconfigured, want: values{answers.Mailname: ""},
		},
		"all networking switched off, nobody there": {
			noninteractive: true, reconfigure: true, given: live(), base: live(), live: with(live(), answers.Protocols, ""),
			want: values{answers.Protocols: ""},
		},
		"all networking switched off is mended by confirming": {
			reconfigure: true, given: live(), base: live(), live: with(live(), answers.Protocols, ""),
			user: reconfigured, want: values{answers.Protocols: "all"}, changed: []string{"protocols"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := frontend(tc.given)
			f.Noninteractive, f.Reshow, f.User = tc.noninteractive, tc.reconfigure, script(t, tc.user...)
			if tc.live == nil {
				tc.live = live()
			}
			if tc.unseen != (tc.given == nil) {
				t.Fatal("a database that is not seen is an empty one")
			}
			in := ask.Input{Facts: facts(), Live: tc.live, Base: tc.base, Reconfigure: tc.reconfigure}
			run(t, f, in)
			checkValues(t, f, tc.want)
			check(t, "changed", flagged(f, "maint_changed"), tc.changed)
			for _, screen := range tc.shown {
				if !slices.Contains(f.Shown, screen) {
					t.Errorf("no screen %q in %q", screen, f.Shown)
				}
			}

			// The second run, before postinst, keeps what the first one found.
			f.User, f.Reshow, in.Reconfigure = script(t), false, false
			run(t, f, in)
			checkValues(t, f, tc.want)
			check(t, "changed after the second run", flagged(f, "maint_changed"), tc.changed)
		})
	}
}
