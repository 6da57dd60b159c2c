package setup_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/sysroot"
)

// edit changes main.cf as "postconf -e" would.
func edit(t *testing.T, root *sysroot.Root, old, now string) {
	t.Helper()
	text := read(t, root, "/etc/postfix/main.cf")
	if !strings.Contains(text, old) {
		t.Fatalf("no %q in\n%s", old, text)
	}
	put(t, root, "/etc/postfix/main.cf", strings.Replace(text, old, now, 1))
}

// states tells what main.cf says for the parameters, "-" for nothing.
func states(t *testing.T, root *sysroot.Root, params ...string) string {
	t.Helper()
	var got []string
	for _, param := range params {
		v := "-"
		for line := range strings.Lines(read(t, root, "/etc/postfix/main.cf")) {
			if name, value, ok := strings.Cut(line, "="); ok && strings.TrimSpace(name) == param {
				v = strings.TrimSpace(value)
			}
		}
		got = append(got, v)
	}
	return strings.Join(got, " | ")
}

// What a type wrote is taken back to what was there before it, if it is still what the type wrote.
func TestAnotherTypeGivesBackWhatTheFormerReplaced(t *testing.T) {
	const own = "default_transport = lmtp:unix:/x\nrelay_transport = uucp\ninet_interfaces = 192.0.2.1\n"
	waits := answers.Waiting()["default_transport"] + " | " + answers.Waiting()["relay_transport"]
	for name, c := range map[string]struct {
		main  string
		steps []any // answers for the type, or a pair of texts to edit main.cf with
		want  string
	}{
		"from local only, nothing was chosen":         {"", []any{"Local only", "Internet Site"}, "- | - | all"},
		"local only":                                  {own, []any{"Local only"}, "error | error | loopback-only"},
		"an administrator's choice before":            {own, []any{"Local only", "Internet Site"}, "lmtp:unix:/x | uucp | 192.0.2.1"},
		"the same by way of a satellite":              {own, []any{"Local only", "Satellite system", "Internet Site"}, "lmtp:unix:/x | uucp | 192.0.2.1"},
		"waiting for a relay host":                    {own, []any{"Satellite system"}, waits + " | loopback-only"},
		"a choice made meanwhile":                     {"", []any{"Local only", [2]string{"relay_transport = error", "relay_transport = smtp:[a]"}, "Internet Site"}, "- | smtp:[a] | all"},
		"a choice of addresses stays":                 {own, []any{"Internet with smarthost"}, waits + " | 192.0.2.1"},
		"error transports of Debian's layer":          {"default_transport = error\nrelay_transport = error\ninet_interfaces = loopback-only\n", []any{"Internet Site"}, "- | - | all"},
		"a relay host named by hand ends the waiting": {"", []any{"Satellite system", [2]string{"biff = no\n", "relayhost = r.example\n"}, ""}, "- | - | loopback-only"},
	} {
		t.Run(name, func(t *testing.T) {
			root := host(t, map[string]string{"etc/postfix/main.cf": "biff = no\n" + c.main})
			for _, step := range c.steps {
				if texts, ok := step.([2]string); ok {
					edit(t, root, texts[0], texts[1])
					continue
				}
				given := answers.Answers{answers.MailerType: {Value: "Internet Site"}}
				if typ := step.(string); typ != "" {
					given[answers.MailerType] = answers.Answer{Value: typ, Answered: true, Changed: true}
				}
				if typ := step.(string); typ == "" {
					given[answers.MailerType] = answers.Answer{Value: "Satellite system", Answered: true}
				}
				reconfigure(t, root, setup.Deps{}, given)
			}
			if got := states(t, root, "default_transport", "relay_transport", "inet_interfaces"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// reconfigure is a run of dpkg-reconfigure.
func reconfigure(t *testing.T, root *sysroot.Root, d setup.Deps, given answers.Answers) *setup.Plan {
	t.Helper()
	d.Root, d.Run = root, noRunner{}
	p, err := setup.NewPlan(context.Background(), d, setup.Request{
		Answers: given, Facts: setup.ReadFacts(context.Background(), root, "box", "3.7.11-0+deb12u1", nil),
		Package: "3.7.11-0+deb12u1+maint1", Old: "3.7.11-0+deb12u1+maint1", Reconfigure: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(context.Background(), func(setup.Change) {}, settled); err != nil {
		t.Fatal(err)
	}
	return p
}

// Whatever step is killed, what an administrator had is not forgotten.
func TestAKilledChangeOfTypeForgetsNothing(t *testing.T) {
	const own = "default_transport = lmtp:unix:/x\nbiff = no\n"
	as := func(typ string) answers.Answers {
		return answers.Answers{answers.MailerType: {Value: typ, Answered: true, Changed: true}}
	}
	for _, killed := range []string{"Local only", "Internet Site"} {
		for stop := range 3 {
			root := host(t, map[string]string{"etc/postfix/main.cf": own})
			for _, typ := range []string{"Local only", "Internet Site"} {
				if typ == killed {
					kill(t, root, as(typ), stop)
				}
				reconfigure(t, root, setup.Deps{}, as(typ))
			}
			if got := states(t, root, "default_transport", "relay_transport"); got != "lmtp:unix:/x | -" {
				t.Errorf("killed at %q, step %d: %s", killed, stop, got)
			}
		}
	}
}

func kill(t *testing.T, root *sysroot.Root, given answers.Answers, stop int) {
	t.Helper()
	p, err := setup.NewPlan(context.Background(), setup.Deps{Root: root, Run: noRunner{}}, setup.Request{Answers: given, Reconfigure: true, Old: "3.7+maint1"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.Changes { // before the first change, after main.cf's, and wherever else
		if p.Changes[i].Path == "/etc/postfix/main.cf" {
			stop += i
			break
		}
	}
	defer func() {
		if r := recover(); r != nil && r != errPlug {
			panic(r)
		}
	}()
	n := 0
	_ = p.Apply(context.Background(), func(setup.Change) {
		if n++; n > stop {
			panic(errPlug)
		}
	}, func() error { panic(errPlug) })
}

// What Postfix itself refuses is one answer's fault: the others come into force.
func TestPostfixIsAskedBefore(t *testing.T) {
	given := answers.Answers{
		answers.MailerType: {Value: "Internet Site", Answered: true}, answers.RecipientDelim: {Value: "-", Answered: true},
		answers.Destinations: {Value: "$relay_domains, localhost", Answered: true, Typed: true}, answers.MailboxLimit: {Value: "77000000", Answered: true},
	}
	for name, c := range map[string]struct {
		refuses string
		want    string // mydestination, recipient_delimiter, mailbox_size_limit
		refused []answers.Question
	}{
		"nothing":         {"no such text", "$relay_domains, localhost | - | 77000000", nil},
		"a loop":          {"mydestination = $relay_domains", "$myhostname, box.example.test, localhost.example.test, localhost | - | 77000000", []answers.Question{answers.Destinations}},
		"all it is given": {"mynetworks", "$relay_domains, localhost | - | 77000000", nil}, // nothing can be told then
	} {
		t.Run(name, func(t *testing.T) {
			root := host(t, nil)
			probe := func(_ context.Context, mainCF []byte) error {
				if strings.Contains(string(mainCF), "myorigin = /") {
					t.Error("Postfix is asked about a file that is not there yet")
				}
				if strings.Contains(string(mainCF), c.refuses) {
					return errors.New("Postfix says: macro processing error")
				}
				return nil
			}
			p := reconfigure(t, root, setup.Deps{Probe: probe}, given)
			if got := states(t, root, "mydestination", "recipient_delimiter", "mailbox_size_limit"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			for _, q := range answers.Questions() {
				if p.Refused[q] != slices.Contains(c.refused, q) {
					t.Errorf("%s is refused: %v", q, p.Refused[q])
				}
			}
			if said := strings.Join(p.Warnings, "\n"); len(c.refused) > 0 != strings.Contains(said, "macro processing error") {
				t.Errorf("warnings: %s", said)
			}
		})
	}
}

// A table or file that Postfix can't open would end its daemons.
func TestTablesOfAnswersAreOpenedBefore(t *testing.T) {
	root := host(t, nil)
	p := reconfigure(t, root, setup.Deps{Table: func(_ context.Context, table string) error {
		if table != "hash:/etc/nets" {
			t.Errorf("asked for %q", table)
		}
		return errors.New("Postfix says: open database /etc/nets.db: No such file or directory")
	}}, answers.Answers{answers.MailerType: {Value: "Internet Site", Answered: true}, answers.MyNetworks: {Value: "[::1]/128 !hash:/etc/nets", Answered: true}})
	if !p.Refused[answers.MyNetworks] || states(t, root, "inet_interfaces") != "all" {
		t.Errorf("refused: %v, warnings %q", p.Refused, p.Warnings)
	}
}

func TestAMailnameThatAPersonWroteStays(t *testing.T) {
	for name, c := range map[string]struct{ file, origin, dest string }{
		"an underscore":       {"my_host.example\n", "/etc/mailname", "$myhostname, my_host.example, box.example.test, localhost.example.test, localhost"},
		"a name without dot":  {"debian\n", "-", "$myhostname, box.example.test, localhost.example.test, localhost"},
		"a blank in the name": {"a b\n", "-", "$myhostname, box.example.test, localhost.example.test, localhost"},
	} {
		t.Run(name, func(t *testing.T) {
			root := host(t, map[string]string{"etc/mailname": c.file})
			_, warnings := apply(t, root, map[answers.Question]string{answers.MailerType: "Internet Site"})
			if got := read(t, root, "/etc/mailname"); got != c.file || !strings.Contains(strings.Join(warnings, "\n"), "mail name") {
				t.Errorf("it became %q, warnings %q", got, warnings)
			}
			if got := states(t, root, "myorigin", "mydestination"); got != c.origin+" | "+c.dest {
				t.Error(got)
			}
		})
	}
}

// The kernel's name in a chroot is the builder's; the image's own counts, and one without a domain is written nowhere (M04).
func TestAnImageIsNamedByItsOwnFile(t *testing.T) {
	for name, c := range map[string]struct {
		hostname, hosts string
		kernel          string
		want            string // myhostname, mydestination
		mailname        bool
	}{
		"a full name":           {"# by hand\n\nimg.example.org\n", "", "", "- | $myhostname, img.example.org, localhost.example.org, localhost", true},
		"a plain name":          {"img\n", "", "", "- | $myhostname, localhost.localdomain, localhost", false},
		"a name from its hosts": {"img\n", "127.0.1.1 img.example.org img\n", "", "img.example.org | $myhostname, img.example.org, localhost.example.org, localhost", true},
		"no name":               {"# none\n", "", "", "- | $myhostname, localhost.localdomain, localhost", false},
		"booted, a plain name":  {"", "", "vm", "- | $myhostname, localhost.localdomain, localhost", false},
	} {
		t.Run(name, func(t *testing.T) {
			root := host(t, map[string]string{"etc/hostname": c.hostname, "etc/hosts": c.hosts, "etc/resolv.conf": "nameserver 192.0.2.1\n"})
			if c.kernel == "" {
				put(t, root, "etc/resolv.conf", "search builder.example\n")
			}
			p, err := setup.NewPlan(context.Background(), setup.Deps{Root: root, Run: noRunner{}}, setup.Request{
				Answers: answers.Answers{answers.MailerType: {Value: "Internet Site", Answered: true}},
				Facts:   setup.ReadFacts(context.Background(), root, c.kernel, "3.7.11-0+deb12u1", nil),
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Apply(context.Background(), func(setup.Change) {}, settled); err != nil {
				t.Fatal(err)
			}
			if got := states(t, root, "myhostname", "mydestination"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if there, _ := root.Exists("/etc/mailname"); there != c.mailname {
				t.Errorf("/etc/mailname is there: %v", there)
			}
		})
	}
}

func TestTLSOfTheClientNeedsNoKey(t *testing.T) {
	const template = "# TLS\nsmtpd_tls_cert_file=/c\nsmtpd_tls_key_file=/k\nsmtpd_tls_security_level=may\n\nsmtp_tls_CApath=/etc/ssl/certs\nsmtp_tls_security_level=may\n"
	for name, c := range map[string]struct {
		key, cert bool
		server    string
	}{"both": {true, true, "may"}, "no certificate": {true, false, "-"}, "no key": {false, true, "-"}, "neither": {false, false, "-"}} {
		t.Run(name, func(t *testing.T) {
			root := host(t, map[string]string{"usr/share/postfix/main.cf.tls": template})
			for path, keep := range map[string]bool{"/etc/ssl/private/ssl-cert-snakeoil.key": c.key, "/etc/ssl/certs/ssl-cert-snakeoil.pem": c.cert} {
				if _, err := root.Remove(path); !keep && err != nil {
					t.Fatal(err)
				}
				if keep {
					put(t, root, path, "")
				}
			}
			given := map[answers.Question]string{answers.MailerType: "Internet Site"}
			apply(t, root, given)
			if got := states(t, root, "smtp_tls_security_level", "smtp_tls_CApath", "smtpd_tls_security_level"); got != "may | /etc/ssl/certs | "+c.server {
				t.Error(got)
			}
			put(t, root, "/etc/ssl/private/ssl-cert-snakeoil.key", "")
			put(t, root, "/etc/ssl/certs/ssl-cert-snakeoil.pem", "")
			p := reconfigure(t, root, setup.Deps{}, answers.Answers{})
			if said := strings.Join(p.Notes, "\n"); strings.Contains(said, "check-config --fix server-tls") != (c.server == "-") || len(p.Changes) > 0 {
				t.Errorf("notes %q, changes %+v", said, p.Changes)
			}
		})
	}
}

func TestARenamedHostIsTold(t *testing.T) {
	root := host(t, nil)
	apply(t, root, map[answers.Question]string{answers.MailerType: "Internet Site"})
	put(t, root, "/etc/hosts", "127.0.1.1 new.example.org box\n")
	for range 2 {
		p := reconfigure(t, root, setup.Deps{}, answers.Answers{})
		said := strings.Join(p.Notes, "\n")
		for _, place := range []string{"/etc/mailname", "myhostname in", "mydestination in", "box.example.test"} {
			if !strings.Contains(said, place) {
				t.Errorf("no %q in %q", place, said)
			}
		}
	}
	put(t, root, "/etc/mailname", "new.example.org\n")
	edit(t, root, "myhostname = box.example.test", "myhostname = new.example.org")
	edit(t, root, "box.example.test, ", "")
	for _, name := range []string{"new.example.org", "third.example.org"} { // the old name is forgotten where nothing holds it
		put(t, root, "/etc/hosts", "127.0.1.1 "+name+" box\n")
		p := reconfigure(t, root, setup.Deps{}, answers.Answers{})
		if said := strings.Join(p.Notes, "\n"); strings.Contains(said, "box.example.test") || strings.Contains(said, "renamed") != (name[0] == 't') {
			t.Errorf("%s: %q", name, said)
		}
	}
}

func TestRootsMailIsNeverPostfixs(t *testing.T) {
	root := host(t, map[string]string{"etc/passwd": "root:x:0:0::/root:/bin/sh\npostfix:x:1000:1000::/:\ncarol:x:1001:1001::/:/bin/sh\n"})
	if f := setup.ReadFacts(context.Background(), root, "box", "", nil); f.FirstUser != "carol" {
		t.Errorf("root's mail goes to %q", f.FirstUser)
	}
	root = host(t, map[string]string{"etc/passwd": "mailer:x:1000:1000::/:\ncarol:x:1001:1001::/:/bin/sh\n", "etc/postfix/main.cf": "mail_owner = mailer\n"})
	if f := setup.ReadFacts(context.Background(), root, "box", "", nil); f.FirstUser != "carol" {
		t.Errorf("with another mail_owner root's mail goes to %q", f.FirstUser)
	}
}
