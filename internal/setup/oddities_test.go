package setup_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/setup"
)

// Recipients of root's mail that lead back to root would have local(8) bounce all of it; everything else is taken.
func TestRootsMailDoesNotComeBackToRoot(t *testing.T) {
	for name, c := range map[string]struct {
		mailerType, mailname, aliases, to string
		want                              string // root's alias
	}{
		"postmaster":                          {to: "postmaster"},
		"in capitals":                         {to: "PostMaster"},
		"at the mail name":                    {mailname: "corp.example", to: "postmaster@corp.example"},
		"at the host's name":                  {to: "postmaster@BOX.example.test"},
		"at localhost":                        {to: "postmaster@localhost"},
		"with an extension":                   {to: "postmaster+x"},
		"beside another":                      {to: "bert, postmaster"},
		"by two aliases":                      {aliases: "postmaster: abuse\nabuse: bert, root@localhost\n", to: "postmaster"},
		"itself":                              {to: "root", want: "root: root"},
		"itself at the host's name":           {to: "root@box.example.test", want: "root: root@box.example.test"},
		"an account":                          {to: "bert", want: "root: bert"},
		"an alias that leads elsewhere":       {aliases: "postmaster: bert\n", to: "postmaster", want: "root: postmaster"},
		"aliases in a ring without root":      {aliases: "a: b\nb: a\n", to: "a", want: "root: a"},
		"another host's postmaster":           {to: "postmaster@elsewhere.example", want: "root: postmaster@elsewhere.example"},
		"a mail name that a relay has":        {mailerType: "Satellite system", mailname: "corp.example", to: "postmaster@corp.example", want: "root: postmaster@corp.example"},
		"a plain name that a relay has":       {mailerType: "Satellite system", mailname: "corp.example", to: "postmaster", want: "root: postmaster"},
		"a guess that leads back is no alias": {aliases: "anna: root\n", want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			more := map[string]string{"etc/passwd": "root:x:0:0::/root:/bin/sh\npostfix:x:123:123::/:\nanna:x:1000:1000::/home/anna:/bin/sh\n"}
			if c.aliases != "" {
				more["etc/aliases"] = c.aliases
			}
			root, given := host(t, more), map[answers.Question]string{answers.MailerType: "Internet Site"}
			for q, v := range map[answers.Question]string{answers.MailerType: c.mailerType, answers.Mailname: c.mailname, answers.RootAddress: c.to} {
				if v != "" {
					given[q] = v
				}
			}
			_, warnings := apply(t, root, given)
			refused := strings.Contains(strings.Join(warnings, "\n"), "postfix/root_address")
			want := c.want
			if want == "" && c.to != "" {
				want = "root: anna" // the guess
			}
			got := ""
			for line := range strings.Lines(read(t, root, "/etc/aliases")) {
				if strings.HasPrefix(line, "root:") {
					got = strings.TrimSpace(line)
				}
			}
			if got != want || refused != (c.want == "" && c.to != "") {
				t.Errorf("%q, want %q; warnings %q", got, want, warnings)
			}
		})
	}
}

// With messages of any size local(8) ends at once where a mailbox has a limit.
func TestALimitForMailboxesNeedsOneForMessages(t *testing.T) {
	root := host(t, nil)
	apply(t, root, map[answers.Question]string{answers.MailerType: "Internet Site"})
	edit(t, root, "mailbox_size_limit = 0\n", "mailbox_size_limit = 0\nmessage_size_limit = 0\n")
	_, warnings := apply(t, root, map[answers.Question]string{answers.MailerType: "Internet Site", answers.MailboxLimit: "51200000"})
	if got := read(t, root, "/etc/postfix/main.cf"); !strings.Contains(got, "mailbox_size_limit = 0\n") || !strings.Contains(strings.Join(warnings, "\n"), "postfix/mailbox_limit") {
		t.Errorf("warnings %q\n%s", warnings, got)
	}
}

// A directory, say, in the place of the mail name's file keeps no package from being configured.
func TestAMailNameThatCantBeReadIsLeftAlone(t *testing.T) {
	for name, main := range map[string]string{"without a configuration": "", "with one": "myhostname = a.example\n", "that needs it": "myorigin = /etc/mailname\n"} {
		files := map[string]string{"etc/mailname/": ""}
		if main != "" {
			files["etc/postfix/main.cf"] = main
		}
		for _, old := range []string{"", ours} {
			root := host(t, files)
			p := runs(t, root, asked(root, old, false, map[answers.Question]string{answers.MailerType: "Internet Site", answers.Mailname: "corp.example"}), "")
			if fi, err := root.Stat("/etc/mailname"); err != nil || !fi.IsDir() || !strings.Contains(strings.Join(p.Warnings, "\n"), "/etc/mailname") {
				t.Errorf("%s, over %q: %v, warnings %q", name, old, err, p.Warnings)
			}
			if main == "" && old == "" && strings.Contains(read(t, root, "/etc/postfix/main.cf"), "\nmyorigin") {
				t.Errorf("%s: Postfix is told to read it", name)
			}
			if old == "" { // the wish is not forgotten
				if err := os.Remove(filepath.Join(root.Dir(), "etc/mailname")); err != nil {
					t.Fatal(err)
				}
				if !slices.Contains(p.Waiting, answers.Mailname) {
					t.Errorf("%s: waiting %q", name, p.Waiting)
				}
				runs(t, root, asked(root, ours, true, map[answers.Question]string{answers.Mailname: "corp.example"}), "")
				if got := read(t, root, "/etc/mailname"); got != "corp.example\n" {
					t.Errorf("%s: then it became %q", name, got)
				}
			}
		}
	}
}

// A relay host that somebody set stays when a type without one is chosen, and that is said.
func TestARelayHostThatStaysIsNamed(t *testing.T) {
	root := host(t, nil)
	apply(t, root, map[answers.Question]string{answers.MailerType: "Internet Site"})
	edit(t, root, "relayhost =", "relayhost = [r.example]")
	p := reconfigure(t, root, setup.Deps{}, answers.Answers{answers.MailerType: {Value: "Internet Site", Answered: true, Changed: true}})
	if said := strings.Join(p.Notes, "\n"); !strings.Contains(said, "[r.example]") || len(p.Warnings) > 0 || !strings.Contains(read(t, root, "/etc/postfix/main.cf"), "relayhost = [r.example]") {
		t.Errorf("notes %q, warnings %q", p.Notes, p.Warnings)
	}
}

// A relay that an answer wrote goes with its type; one that was set by hand stays, even if a run has found and confirmed it since.
func TestOnlyAnAnswersRelayGoesWithItsType(t *testing.T) {
	given := func(typ, relay string) answers.Answers {
		return answers.Answers{answers.MailerType: {Value: typ, Answered: true}, answers.RelayHost: {Value: relay, Answered: true}}
	}
	for name, byHand := range map[string]string{"an answer's": "", "by hand": "[hand.example]"} {
		root, want := host(t, nil), "relayhost =\n"
		first := asked(root, "", false, map[answers.Question]string{answers.MailerType: "Satellite system", answers.RelayHost: "[a.example]"})
		runs(t, root, first, behindMainCF) // killed, and taken up again
		runs(t, root, first, "")
		found := "[a.example]"
		if byHand != "" {
			edit(t, root, "relayhost = [a.example]", "relayhost = "+byHand)
			found, want = byHand, "relayhost = "+byHand+"\n"
		}
		reconfigure(t, root, setup.Deps{}, given("Satellite system", found))
		reconfigure(t, root, setup.Deps{}, given("Internet Site", found))
		if got := read(t, root, "/etc/postfix/main.cf"); !strings.Contains(got, want) {
			t.Errorf("%s: no %q in\n%s", name, want, got)
		}
	}
}

// Networks without a network mean what a blank means.
func TestNetworksWithoutAny(t *testing.T) {
	root := host(t, nil)
	apply(t, root, map[answers.Question]string{answers.MailerType: "Internet Site", answers.MyNetworks: ","})
	if got := read(t, root, "/etc/postfix/main.cf"); strings.Contains(got, "mynetworks =") {
		t.Errorf("it says\n%s", got)
	}
	p, err := setup.NewPlan(context.Background(), setup.Deps{Root: root, Run: noRunner{}}, asked(root, ours, false, nil))
	if err != nil || len(p.Warnings) > 0 {
		t.Errorf("an upgrade: %v, warnings %q", err, p.Warnings)
	}
}
