package setup_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

// Some account that is not root's: the tests of this file need root, which make check has.
const mailUID = 123

// host is a Debian 12 host as it is after the packages were unpacked, in a tree of its own.
func host(t *testing.T, more map[string]string) *sysroot.Root {
	sysroottest.NeedsRoot(t)
	files := map[string]string{
		"etc/passwd":                            fmt.Sprintf("root:x:0:0::/root:/bin/sh\npostfix:x:%d:%d::/:\n", mailUID, mailUID),
		"etc/group":                             fmt.Sprintf("postfix:x:%d:\npostdrop:x:%d:\n", mailUID, mailUID),
		"etc/hosts":                             "127.0.1.1 box.example.test box\n",
		"etc/hostname":                          "box\n",
		"etc/postfix/":                          "",
		"usr/share/postfix/main.cf.debian":      "# template\nbiff = no\n",
		"usr/share/postfix/main.cf.tls":         "smtpd_tls_security_level = may\n",
		"usr/share/postfix/main.cf.dist":        "# upstream\n",
		"usr/share/postfix/master.cf.dist":      "smtp inet n - y - - smtpd\n",
		"usr/share/postfix/makedefs.out":        "",
		"usr/share/postfix/dynamicmaps.cf":      "# type\npcre postfix-pcre.so dict_pcre_open\n",
		"var/lib/dpkg/statoverride":             "root postdrop 2555 /usr/sbin/postdrop\nroot postdrop 2555 /usr/sbin/postqueue\n",
		"var/lib/postfix/":                      "",
		"var/spool/postfix/":                    "",
		"proc/sys/net/ipv4/":                    "",
		"proc/sys/net/ipv6/":                    "",
		"etc/ssl/private/ssl-cert-snakeoil.key": "",
		"etc/ssl/certs/ssl-cert-snakeoil.pem":   "",
	}
	for p, c := range more {
		files[p] = c
	}
	return sysroottest.New(t, files)
}

type noRunner struct{}

func (noRunner) Output(_ context.Context, name string, args ...string) ([]byte, error) {
	return nil, fmt.Errorf("unexpected %s %s", name, strings.Join(args, " "))
}

func (n noRunner) Run(ctx context.Context, name string, args ...string) error {
	_, err := n.Output(ctx, name, args...)
	return err
}

// plan makes the plan that postinst would make with these answers; a value given as answer counts as preseeded.
func plan(t *testing.T, root *sysroot.Root, given map[answers.Question]string) *setup.Plan {
	t.Helper()
	a := answers.Answers{}
	for q, v := range given {
		a[q] = answers.Answer{Value: v, Answered: true}
	}
	old := "" // as dpkg: after a first complete run the version that it configured
	if ok, _ := root.Exists("/var/lib/postfix-maint/applied.json"); ok {
		old = "3.7.11-0+deb12u1+maint1"
	}
	p, err := setup.NewPlan(context.Background(), setup.Deps{Root: root, Run: noRunner{}}, setup.Request{
		Old: old, Reconfigure: old != "", // an upgrade applies no answer
		Answers: a, Facts: setup.ReadFacts(context.Background(), root, "box", "3.7.11-0+deb12u1", nil), Package: "3.7.11-0+deb12u1",
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func settled() error { return nil }

func apply(t *testing.T, root *sysroot.Root, given map[answers.Question]string) (changes []string, warnings []string) {
	t.Helper()
	p := plan(t, root, given)
	if err := p.Apply(context.Background(), func(c setup.Change) { changes = append(changes, c.What) }, settled); err != nil {
		t.Fatal(err)
	}
	return changes, p.Warnings
}

func read(t *testing.T, root *sysroot.Root, path string) string {
	t.Helper()
	data, err := root.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestFirstInstallation(t *testing.T) {
	type q = map[answers.Question]string
	for name, c := range map[string]struct {
		given  q
		want   []string // lines of main.cf
		absent []string // parameters not in it
		warns  string   // part of a warning, "" for none
	}{
		"internet site": {
			given: q{answers.MailerType: "Internet Site", answers.Mailname: "mail.example.test"},
			want: []string{"inet_interfaces = all", "myorigin = /etc/mailname", "myhostname = box.example.test", "relayhost =",
				"mydestination = $myhostname, mail.example.test, box.example.test, localhost.example.test, localhost",
				"mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128", "mailbox_size_limit = 0", "recipient_delimiter = +",
				"inet_protocols = all", "alias_maps = hash:/etc/aliases", "smtpd_tls_security_level = may"},
			absent: []string{"default_transport"},
		},
		"satellite system": {
			given: q{answers.MailerType: "Satellite system", answers.RelayHost: "[relay.example.test]"},
			want:  []string{"inet_interfaces = loopback-only", "relayhost = [relay.example.test]"},
		},
		"local only": {
			given: q{answers.MailerType: "Local only"},
			want:  []string{"inet_interfaces = loopback-only", "default_transport = error", "relay_transport = error"},
		},
		"nobody answered: it listens for this host only": {
			want: []string{"inet_interfaces = loopback-only"}, warns: "nobody chose the type",
		},
		"a relay without a relay host is not invented, and mail waits for one": {
			given: q{answers.MailerType: "Satellite system"}, warns: "postfix/relayhost",
			want: []string{"default_transport = ${relayhost?{smtp}:{retry:4.3.0 no relay host is set}}",
				"relay_transport = ${relayhost?{relay}:{retry:4.3.0 no relay host is set}}", "relayhost =", "inet_interfaces = loopback-only"},
		},
		"a blank that somebody answered is no relay host": {
			given: q{answers.MailerType: "Internet with smarthost", answers.RelayHost: ""}, warns: "directly",
			want: []string{"relayhost =", "inet_interfaces = all"}, absent: []string{"default_transport", "relay_transport"},
		},
		"networks that Postfix refuses, beside other answers": {
			given: q{answers.MailerType: "Internet Site", answers.MyNetworks: "10.0.0.1/8", answers.Mailname: "corp.example", answers.RecipientDelim: "+-"},
			want: []string{"inet_interfaces = all", "mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128", "recipient_delimiter = +-",
				"mydestination = $myhostname, corp.example, box.example.test, localhost.example.test, localhost"},
			absent: []string{"default_transport"}, warns: "perhaps 10.0.0.0/8",
		},
		"a stray quote in the destinations": {
			given: q{answers.MailerType: "Satellite system", answers.RelayHost: "r.example", answers.Destinations: `"a.example`},
			want:  []string{"relayhost = r.example", "mydestination = $myhostname, box.example.test, localhost.example.test, localhost"}, warns: "postfix/destinations",
		},
		"a wrong mail name": {
			given: q{answers.MailerType: "Internet Site", answers.Mailname: "bad name!", answers.MailboxLimit: "20000000"},
			want: []string{"inet_interfaces = all", "mailbox_size_limit = 20000000", "myorigin = /etc/mailname",
				"mydestination = $myhostname, box.example.test, localhost.example.test, localhost"}, warns: "postfix/mailname",
		},
		"a mail name with an underscore": {
			given: q{answers.MailerType: "Internet Site", answers.Mailname: "my_host.example"}, warns: "my_host.example",
			want: []string{"mydestination = $myhostname, my_host.example, box.example.test, localhost.example.test, localhost", "myorigin = /etc/mailname"},
		},
		"a wrong relay host: what is sent waits": {
			given: q{answers.MailerType: "Satellite system", answers.RelayHost: "$relayhost", answers.RootAddress: "carol"}, warns: "postfix/relayhost",
			want: []string{"relayhost =", "default_transport = ${relayhost?{smtp}:{retry:4.3.0 no relay host is set}}"},
		},
		"destinations without the host's own names, unattended": {
			given: q{answers.MailerType: "Internet Site", answers.Destinations: "corp.example"}, warns: "lacks the host's own names",
			want: []string{"mydestination = corp.example, $myhostname, localhost"},
		},
		"blank networks are Postfix's default": {
			given: q{answers.MailerType: "Internet Site", answers.MyNetworks: ""}, absent: []string{"mynetworks"},
		},
		"a relay host preseeded beside another type": {
			given: q{answers.MailerType: "Internet Site", answers.RelayHost: "[relay.example.test]:587"},
			want:  []string{"inet_interfaces = all", "relayhost = [relay.example.test]:587"},
		},
		"a type in quotes": {
			given: q{answers.MailerType: "'Internet Site'"}, want: []string{"inet_interfaces = all"},
		},
		"an unknown type": {
			given: q{answers.MailerType: "Internet", answers.MailboxLimit: "20000000"}, warns: "postfix/main_mailer_type",
			want: []string{"default_transport = error", "inet_interfaces = loopback-only", "mailbox_size_limit = 20000000"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := host(t, nil)
			_, warnings := apply(t, root, c.given)
			lines := strings.Split(read(t, root, "/etc/postfix/main.cf"), "\n")
			for i := range lines {
				lines[i] = strings.TrimSpace(lines[i])
			}
			for _, want := range c.want {
				if !slices.Contains(lines, want) {
					t.Errorf("no line %q in\n%s", want, strings.Join(lines, "\n"))
				}
			}
			for _, param := range c.absent {
				if slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, param+" ") }) {
					t.Errorf("%s is set in\n%s", param, strings.Join(lines, "\n"))
				}
			}
			if all := strings.Join(warnings, "\n"); c.warns == "" && all != "" || !strings.Contains(all, c.warns) {
				t.Errorf("warnings %q, want %q", all, c.warns)
			}
			before := sysroottest.Dump(t, root.Dir(), true)
			if changes, _ := apply(t, root, c.given); len(changes) > 0 {
				t.Errorf("the second run did: %q", changes)
			}
			for p, what := range sysroottest.Dump(t, root.Dir(), true) {
				if before[p] != what {
					t.Errorf("the second run touched %s", p)
				}
			}
		})
	}
}

func TestNoConfigurationTouchesNoSetting(t *testing.T) {
	root := host(t, nil)
	apply(t, root, map[answers.Question]string{answers.MailerType: "No configuration"})
	if got := read(t, root, "/etc/aliases"); !strings.Contains(got, "postmaster: root") { // as Debian 12's scripts
		t.Errorf("the alias file is %q", got)
	}
	if ok, _ := root.Exists("/etc/postfix/main.cf"); ok {
		t.Error("main.cf was made")
	}
	own := "myhostname = own.example\n"
	root = host(t, map[string]string{"etc/postfix/main.cf": own})
	apply(t, root, map[answers.Question]string{answers.MailerType: "No configuration", answers.RelayHost: "[x.example]"})
	if got := read(t, root, "/etc/postfix/main.cf"); got != own {
		t.Errorf("main.cf became %q", got)
	}
	if got := read(t, root, "/etc/aliases"); !strings.Contains(got, "postmaster") {
		t.Errorf("the alias file that main.cf refers to is %q", got)
	}
}

func TestHandEditsSurvive(t *testing.T) {
	root := host(t, nil)
	given := map[answers.Question]string{answers.MailerType: "Internet Site", answers.Mailname: "a.example.test"}
	apply(t, root, given)
	edited := strings.NewReplacer("relayhost =\n", "relayhost = [hand.example]\n", "inet_interfaces = all", "inet_interfaces = 127.0.0.1",
		"mailbox_size_limit = 0", "mailbox_size_limit = 7 # mine").Replace(read(t, root, "/etc/postfix/main.cf")) + "# my own remark\n"
	if err := os.WriteFile(filepath.Join(root.Dir(), "etc/postfix/main.cf"), []byte(edited), 0o644); err != nil {
		t.Fatal(err)
	}
	if changes, _ := apply(t, root, given); len(changes) > 0 {
		t.Errorf("an upgrade did %q", changes)
	}
	given[answers.RecipientDelim] = "-" // one wish since
	apply(t, root, given)
	want := strings.Replace(edited, "recipient_delimiter = +", "recipient_delimiter = -", 1)
	if got := read(t, root, "/etc/postfix/main.cf"); got != want {
		t.Errorf("main.cf became\n%s\nwant\n%s", got, want)
	}
}

func TestAnInvalidWishHoldsNoOther(t *testing.T) {
	root := host(t, nil)
	given := map[answers.Question]string{answers.MailerType: "Internet Site"}
	apply(t, root, given)
	want := strings.Replace(read(t, root, "/etc/postfix/main.cf"), "recipient_delimiter = +\n", "recipient_delimiter = -\n", 1)
	given[answers.MyNetworks], given[answers.RecipientDelim] = "10.1.2.3/8", "-"
	_, warnings := apply(t, root, given)
	if got := read(t, root, "/etc/postfix/main.cf"); got != want {
		t.Errorf("main.cf became\n%s\nwant\n%s", got, want)
	}
	if p := plan(t, root, given); !p.Refused[answers.MyNetworks] || len(p.Changes) > 0 {
		t.Errorf("the wish is forgotten, or does something: %v, %+v", p.Refused, p.Changes)
	}
	if !strings.Contains(strings.Join(warnings, "\n"), "10.1.2.3/8") {
		t.Errorf("warnings %q", warnings)
	}
	given[answers.MyNetworks], given[answers.MailboxLimit] = "10.0.0.0/8", "1000"
	if _, warnings := apply(t, root, given); !strings.Contains(strings.Join(warnings, "\n"), "message_size_limit") {
		t.Errorf("a mailbox smaller than a message: warnings %q", warnings)
	}
	given[answers.MailboxLimit] = "99000000"
	apply(t, root, given)
	if got := read(t, root, "/etc/postfix/main.cf"); !strings.Contains(got, "mynetworks = 10.0.0.0/8\n") || !strings.Contains(got, "mailbox_size_limit = 99000000\n") {
		t.Errorf("the mended wishes are not applied:\n%s", got)
	}
}

func TestNoSecretIsShown(t *testing.T) {
	root := host(t, map[string]string{"etc/postfix/main.cf": "smtp_sasl_password_maps = static:u:geheim\nrelayhost = a.example\n"})
	given := answers.Answers{answers.MailerType: {Value: "Internet with smarthost"}, answers.RelayHost: {Value: "b.example", Answered: true, Changed: true}}
	p, err := setup.NewPlan(context.Background(), setup.Deps{Root: root, Run: noRunner{}}, setup.Request{Answers: given, Reconfigure: true})
	if err != nil {
		t.Fatal(err)
	}
	shown := ""
	for _, c := range p.Changes {
		shown += c.Diff
	}
	if !strings.Contains(shown, "+relayhost = b.example") || strings.Contains(shown, "geheim") {
		t.Errorf("shown:\n%s", shown)
	}
}

func TestABrokenMainCFIsLeftAlone(t *testing.T) {
	broken := "myhostname = a\x00\n"
	root := host(t, map[string]string{"etc/postfix/main.cf": broken})
	_, warnings := apply(t, root, map[answers.Question]string{answers.MailerType: "Internet Site"})
	if got := read(t, root, "/etc/postfix/main.cf"); got != broken {
		t.Errorf("main.cf became %q", got)
	}
	if !strings.Contains(strings.Join(warnings, "\n"), "/etc/postfix/main.cf") {
		t.Errorf("warnings %q", warnings)
	}
}

var errPlug = errors.New("the plug is pulled")

// Whatever step is the last one before the plug is pulled, running again ends in the same tree as a run in one go.
func TestInterruptedAtEachStep(t *testing.T) {
	given := map[answers.Question]string{answers.MailerType: "Satellite system", answers.RelayHost: "[r.example.test]", answers.RootAddress: "carol"}
	whole := host(t, nil)
	changes, _ := apply(t, whole, given)
	want := sysroottest.Dump(t, whole.Dir(), false)
	for stop := range changes {
		t.Run(changes[stop], func(t *testing.T) {
			root := host(t, nil)
			n := 0
			func() {
				defer func() {
					if r := recover(); r != nil && r != errPlug {
						panic(r)
					}
				}()
				_ = plan(t, root, given).Apply(context.Background(), func(setup.Change) {
					if n++; n > stop {
						panic(errPlug)
					}
				}, settled)
			}()
			apply(t, root, given)
			if got := sysroottest.Dump(t, root.Dir(), false); !equal(got, want) {
				t.Errorf("after step %d of %d the tree is\n%v\nwant\n%v", stop, len(changes), got, want)
			}
		})
	}
}

func equal(a, b map[string]string) bool {
	for p := range a {
		if a[p] != b[p] {
			return false
		}
	}
	return len(a) == len(b)
}

func TestAFullDiskEndsTheRunWithTheFileNamed(t *testing.T) {
	root := host(t, nil)
	if err := os.Mkdir(filepath.Join(root.Dir(), "etc/postfix/main.cf"), 0o755); err != nil { // any error of the file system will do
		t.Fatal(err)
	}
	_, err := setup.NewPlan(context.Background(), setup.Deps{Root: root, Run: noRunner{}}, setup.Request{})
	if err == nil || !strings.Contains(err.Error(), "/etc/postfix/main.cf") {
		t.Errorf("error %v", err)
	}
	if ok, _ := root.Exists("/etc/mailname"); ok {
		t.Error("the mail name's file was made")
	}
}

func TestALostMailnameIsRestored(t *testing.T) {
	root := host(t, nil)
	given := map[answers.Question]string{answers.MailerType: "Internet Site", answers.Mailname: "a.example.test"}
	apply(t, root, given)
	for _, typ := range []string{"Internet Site", "No configuration"} {
		if _, err := root.Remove("/etc/mailname"); err != nil {
			t.Fatal(err)
		}
		_, warnings := apply(t, root, map[answers.Question]string{answers.MailerType: typ, answers.Mailname: ""})
		if got := read(t, root, "/etc/mailname"); got != "a.example.test\n" || !strings.Contains(strings.Join(warnings, "\n"), "/etc/mailname") {
			t.Errorf("%s: it became %q, warnings %q", typ, got, warnings)
		}
	}
}

func TestLeftoverOfNewaliasesGoes(t *testing.T) {
	root := host(t, map[string]string{"etc/aliases": "root: x\n", "etc/__db.aliases.db": "half", "etc/postfix/main.cf": "alias_database = hash:/etc/aliases\n"})
	apply(t, root, map[answers.Question]string{answers.MailerType: "No configuration"})
	if ok, _ := root.Exists("/etc/__db.aliases.db"); ok {
		t.Error("the file that newaliases would stumble over is still there")
	}
}

// Postfix judges gethostname(2) before it adds a domain: a host called 12345 gets a myhostname of its own, or nothing runs.
func TestANumberAsHostName(t *testing.T) {
	root := host(t, map[string]string{"etc/hosts": "127.0.0.1 localhost\n"})
	facts := setup.ReadFacts(context.Background(), root, "12345", "3.7.11-0+deb12u1", nil)
	p, err := setup.NewPlan(context.Background(), setup.Deps{Root: root, Run: noRunner{}}, setup.Request{
		Answers: answers.Answers{answers.MailerType: {Value: "Internet Site", Answered: true}}, Facts: facts,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(context.Background(), func(setup.Change) {}, settled); err != nil {
		t.Fatal(err)
	}
	if got := read(t, root, "/etc/postfix/main.cf"); !strings.Contains(got, "\nmyhostname = localhost\n") {
		t.Errorf("main.cf is\n%s", got)
	}
}
