package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/debconf"
	"postfix-maint/internal/debconf/debconftest"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/sysroot"
)

const configuredVersion = "3.7.11-0+deb12u1+maint1"

// machine is a host, its debconf database, and what its people want.
type machine struct {
	t    *testing.T
	root *sysroot.Root
	f    *debconftest.Frontend
	// asked are the values that were preseeded since answers were applied last.
	asked map[answers.Question]map[string]bool
	// fresh is the one of them that came last, and had never been seen before.
	fresh map[answers.Question]string
	// relay is the relay host that an answer wrote last.
	relay string
}

// params are the questions that the machine's people care about.
var params = map[answers.Question]string{
	answers.RelayHost: "relayhost", answers.MyNetworks: "mynetworks", answers.MailboxLimit: "mailbox_size_limit", answers.MailerType: "inet_interfaces",
}

func (m *machine) live() map[answers.Question]string {
	m.t.Helper()
	live, err := setup.Live(m.root)
	if err != nil {
		m.t.Fatal(err)
	}
	return live
}

func (m *machine) edit(param, value string) {
	m.t.Helper()
	text, err := m.root.ReadFile(paths.MainCF)
	if err != nil {
		m.t.Fatal(err)
	}
	f, err := maincf.Parse(text)
	if err == nil {
		_, err = f.Apply(maincf.Set(param, value))
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(m.root.Dir(), paths.MainCF), f.Bytes(), 0o644)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) preseed(q answers.Question, value string, unseen bool) {
	m.f.Preseed(string(q), value)
	if m.asked[q] == nil {
		m.asked[q] = map[string]bool{}
	}
	m.asked[q][value] = true
	delete(m.fresh, q)
	if unseen {
		m.fresh[q] = value
	}
}

// config is that of dpkg-reconfigure, with nobody at the terminal.
func (m *machine) config() {
	m.t.Helper()
	if err := m.f.Run(func(r io.Reader, w io.Writer) error {
		return askQuestions(context.Background(), m.root, debconf.New(r, w), m.live(), configuredVersion)
	}); err != nil {
		m.t.Fatal(err)
	}
}

// postinst is that of dpkg-reconfigure, or of "apply", or of an upgrade.
func (m *machine) postinst(old string, reconfigure bool) {
	m.t.Helper()
	if err := m.f.Run(func(r io.Reader, w io.Writer) error {
		db := debconf.New(r, w)
		given, err := answers.Load(db)
		if err != nil {
			return err
		}
		facts := answers.Facts{FQDN: "box.example.test", Domain: "example.test", Computed: "box.example.test", HasMainCF: true}
		plan, err := setup.NewPlan(context.Background(), setup.Deps{Root: m.root, Run: postfix{m.root}},
			setup.Request{Answers: given, Facts: facts, Package: configuredVersion, Old: old, Reconfigure: reconfigure})
		if err != nil {
			return err
		}
		return plan.Apply(context.Background(), func(setup.Change) {}, func() error { return settleAnswers(db, plan, given, false) })
	}); err != nil {
		m.t.Fatal(err)
	}
}

// unasked tells which setting has changed without anybody's wish.
func (m *machine) unasked(before map[answers.Question]string, may bool) error {
	for q, v := range m.live() {
		if answers.Equal(q, v, before[q]) {
			continue
		}
		// main.cf does not say the type: relay host and interfaces tell of it, and a satellite without a relay host looks local.
		guessed := q == answers.MailerType && (m.asked[q] != nil || m.asked[answers.RelayHost] != nil)
		// A relay that an answer wrote goes with its type; one set by hand does not.
		types := m.asked[answers.MailerType]
		gone := q == answers.RelayHost && v == "" && before[q] == m.relay && (types["Internet Site"] || types["Local only"])
		if may && (m.asked[q][v] || guessed || gone) {
			if q == answers.RelayHost {
				m.relay = v
			}
			continue
		}
		return fmt.Errorf("%s was %q and became %q; asked for: %v", q, before[q], v, m.asked[q])
	}
	return nil
}

// In whatever order programs of ours, preseeds and edits by hand or by another program come: a setting becomes only what somebody asked
// for since answers were applied last, only by dpkg-reconfigure or "apply", and what was asked for and never seen before comes into force.
func TestEveryOrderOfProgramsAndEdits(t *testing.T) {
	needsRoot(t)
	t.Setenv("DEBCONF_RECONFIGURE", "1")
	values := map[answers.Question][]string{
		answers.RelayHost: {"", "[a.example]", "[b.example]"}, answers.MyNetworks: {"127.0.0.0/8", "10.0.0.0/8", "192.0.2.0/24"},
		answers.MailboxLimit: {"0", "77000000", "99000000"}, answers.MailerType: {"Internet Site", "Local only", "Satellite system"},
	}
	hand := map[answers.Question][]string{answers.MailerType: {"all", "loopback-only"}}
	rapid.Check(t, func(rt *rapid.T) {
		m := &machine{t: t, root: unpackedHost(t, ""), f: debconftest.New(relayTemplates()),
			asked: map[answers.Question]map[string]bool{}, fresh: map[answers.Question]string{}}
		m.f.Noninteractive = true
		for q, v := range values {
			m.f.Preseed(string(q), v[0])
		}
		m.postinst("", false)
		for n := range rapid.IntRange(2, 7).Draw(rt, "steps") {
			q := rapid.SampledFrom([]answers.Question{answers.RelayHost, answers.MyNetworks, answers.MailboxLimit, answers.MailerType}).Draw(rt, "question")
			before := m.live()
			done, may := rapid.SampledFrom([]string{"edit", "preseed", "new", "config", "reconfigure", "apply", "upgrade", "postinst"}).Draw(rt, "step"), false
			switch done {
			case "edit":
				choices := append(hand[q], values[q]...)
				m.edit(params[q], choices[rapid.IntRange(0, 1).Draw(rt, "value")])
				continue
			case "preseed":
				m.preseed(q, rapid.SampledFrom(values[q]).Draw(rt, "value"), false)
			case "new":
				m.preseed(answers.RelayHost, fmt.Sprintf("[new%d.example]", n), true)
			case "config": // and then nothing: somebody presses Ctrl-C, or the upgrade is given up
				m.config()
			case "upgrade":
				m.postinst(configuredVersion, false)
			case "reconfigure":
				m.config()
				m.postinst(configuredVersion, true)
				may = true
			default: // the second half of dpkg-reconfigure, after whatever came since the first; or "apply"
				m.postinst(configuredVersion, true)
				may = true
			}
			if err := m.unasked(before, may); err != nil {
				rt.Fatalf("%s: %v", done, err)
			}
			if !may {
				continue
			}
			for q, v := range m.fresh {
				if got := m.live()[q]; got != v {
					rt.Fatalf("%s: %s is %q, asked for was %q", done, q, got, v)
				}
			}
			clear(m.asked)
			clear(m.fresh)
		}
	})
}
