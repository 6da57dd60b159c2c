package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/ask"
	"postfix-maint/internal/debconf"
	"postfix-maint/internal/debconf/debconftest"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

// postfix stands in for Postfix's programs: a parameter that main.cf does not have is blank, an index is a copy of its text.
type postfix struct{ root *sysroot.Root }

func (p postfix) Run(ctx context.Context, name string, args ...string) error {
	_, err := p.Output(ctx, name, args...)
	return err
}

func (p postfix) Output(_ context.Context, name string, args ...string) ([]byte, error) {
	switch filepath.Base(name) {
	case "postmap", "postalias":
		table := p.root.Dir() + strings.TrimPrefix(args[len(args)-1], "hash:")
		text, err := os.ReadFile(table)
		return nil, errors.Join(err, os.WriteFile(table+".db", text, 0o600))
	case "postconf":
		if args[0] == "-d" {
			return []byte("mynetworks = x\nmyhostname = y\nmynetworks_style = z\n"), nil
		}
		if args[2] == "-m" {
			return []byte("hash regexp"), nil
		}
	default:
		return nil, nil
	}
	text, err := p.root.ReadFile(paths.MainCF)
	if err != nil {
		return nil, err
	}
	f, err := maincf.Parse(text)
	if err != nil {
		return nil, err
	}
	out := "default_database_type = hash\n"
	for _, name := range args[3:] {
		if v, ok := f.Get(name); ok {
			out += fmt.Sprintf("%s = %s\n", name, v)
		}
	}
	return []byte(out), nil
}

// configureOnce runs config and postinst as dpkg or dpkg-reconfigure does.
func configureOnce(t *testing.T, root *sysroot.Root, f *debconftest.Frontend, old string) {
	t.Helper()
	ctx := context.Background()
	inst, err := primaryInstance(root)
	if err != nil {
		t.Fatal(err)
	}
	live, err := setup.Live(root)
	if err != nil {
		t.Fatal(err)
	}
	about, _, err := smarthost.Live(root, inst)
	if err != nil {
		t.Fatal(err)
	}
	if live != nil {
		maps.Copy(live, about)
	}
	state, damaged := setup.LoadState(root, old)
	if len(damaged) > 0 {
		t.Fatal(damaged)
	}
	facts := answers.Facts{FQDN: "box.example.test", Domain: "example.test", Computed: "box.example.test", HasMainCF: live != nil}
	if err := f.Run(func(r io.Reader, w io.Writer) error {
		return ask.Run(debconf.New(r, w), ask.Input{Facts: facts, Live: live, Base: state.Base(), Reconfigure: old != ""})
	}); err != nil {
		t.Fatal(err)
	}
	if err := f.Run(func(r io.Reader, w io.Writer) error {
		db := debconf.New(r, w)
		given, err := answers.Load(db)
		if err != nil {
			return err
		}
		password, err := relayPassword(db)
		if err != nil {
			return err
		}
		inst, err := primaryInstance(root)
		if err != nil {
			return err
		}
		about := smarthost.ForAnswers(smarthost.Deps{Root: root, Run: postfix{root}}, inst, password)
		plan, err := setup.NewPlan(ctx, setup.Deps{Root: root, Run: postfix{root}, Relay: about},
			setup.Request{Answers: given, Facts: facts, Package: "3.7.11-0+deb12u1+maint1", Old: old, Reconfigure: old != ""})
		if err != nil {
			return err
		}
		err = plan.Apply(ctx, func(c setup.Change) {
			if old != "" {
				t.Errorf("%s: %s", c.Step, c.What)
			}
		}, func() error { return settleAnswers(db, plan, given, password != "") })
		if plan.Held {
			t.Errorf("nothing was set: %q", plan.Warnings)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// relayTemplates are the questions of the package, as far as they matter here.
func relayTemplates() map[string]debconftest.Template {
	t := map[string]debconftest.Template{}
	for _, q := range append(answers.Questions(), answers.RelayPassword) {
		t[string(q)] = debconftest.Template{Type: "string"}
	}
	types := []string{}
	for _, typ := range answers.Types() {
		types = append(types, string(typ))
	}
	t[string(answers.MailerType)] = debconftest.Template{Type: "select", Default: string(answers.InternetSite), Choices: types}
	t[string(answers.RelayTLS)] = debconftest.Template{Type: "select", Default: answers.ByPort, Choices: answers.TLSWays()}
	t[string(answers.Rewriting)] = debconftest.Template{Type: "select", Default: answers.NoRewriting, Choices: answers.Rewritings()}
	return t
}

// dpkg-reconfigure changes no byte and no answer where nobody asks for anything, from the first time on.
func TestReconfigureSettles(t *testing.T) {
	needsRoot(t)
	type given = map[answers.Question]string
	login := given{answers.RelayAccount: "anna@r.example", answers.RelayPassword: "geheim"}
	for name, relay := range map[string]given{
		"no relay":                             {answers.MailerType: "Internet Site"},
		"no port":                              {answers.RelayHost: "[r.example]"},
		"25":                                   {answers.RelayHost: "[r.example]:25"},
		"587":                                  {answers.RelayHost: "[r.example]:587"},
		"465":                                  {answers.RelayHost: "[r.example]:465"},
		"its port is an answer of its own":     {answers.RelayHost: "[r.example]", answers.RelayPort: "587"},
		"25, and TLS by the port is an answer": {answers.RelayHost: "[r.example]:25", answers.RelayTLS: answers.ByPort},
		"587, and what that port means is chosen": {answers.RelayHost: "[r.example]:587", answers.RelayTLS: answers.StartTLS},
		"answers about a relay without one":       {answers.MailerType: "Internet Site", answers.RelayAccount: "anna"},
	} {
		for _, main := range []string{"", "smtp_tls_security_level=may\n"} {
			for with, more := range map[string]given{"": {}, " with a login": login} {
				if relay[answers.MailerType] != "" && len(more) > 0 {
					continue
				}
				t.Run(name+with+" "+main, func(t *testing.T) {
					f := debconftest.New(relayTemplates())
					f.Noninteractive = true
					settles(t, f, unpackedHost(t, main), func() {
						f.Preseed(string(answers.MailerType), "Satellite system")
						for _, some := range []given{relay, more} {
							for q, v := range some {
								f.Preseed(string(q), v)
							}
						}
					})
					if got := f.Value(string(answers.RelayTLS)); relay[answers.RelayTLS] == answers.ByPort && got != answers.ByPort {
						t.Errorf("the answer about TLS became %q", got)
					}
				})
			}
		}
	}
}

// unpackedHost is a host on which Postfix is unpacked, with more in the template of main.cf.
func unpackedHost(t *testing.T, main string) *sysroot.Root {
	t.Helper()
	ca, err := os.ReadFile("../../internal/smarthost/testdata/ca.pem")
	if err != nil {
		t.Fatal(err)
	}
	return sysroottest.New(t, map[string]string{
		"usr/share/postfix/main.cf.debian": "compatibility_level = 3.6\n" + main, "usr/share/postfix/main.cf.dist": "#\n",
		"usr/share/postfix/master.cf.dist": "smtp unix - - y - - smtp\n", "etc/postfix/": "", "etc/aliases": "postmaster: root\n", "etc/aliases.db": "",
		"usr/lib/x86_64/sasl2/libplain.so": "", "etc/ssl/certs/ca-certificates.crt": string(ca), "var/spool/": "",
		"etc/passwd": "root:x:0:0::/root:/bin/sh\npostfix:x:100:100::/:/bin/false\n", "etc/group": "root:x:0:\npostfix:x:100:\npostdrop:x:101:\n",
		"etc/hostname": "box.example.test\n", "var/lib/dpkg/statoverride": "root postdrop 2555 /usr/sbin/postdrop\nroot postdrop 2555 /usr/sbin/postqueue\n",
	})
}

// Below DPKG_ROOT a relay that needs more than relayhost is refused with the reason: Postfix's programs can't run there. Mail
// stays local, and the answers stay for dpkg-reconfigure.
func TestRelayBelowRoot(t *testing.T) {
	needsRoot(t)
	for name, more := range map[string]map[answers.Question]string{
		"TLS":     {answers.RelayTLS: answers.StartTLS},
		"a login": {answers.RelayAccount: "anna", answers.RelayPassword: "geheim"},
	} {
		t.Run(name, func(t *testing.T) {
			f, root := debconftest.New(relayTemplates()), unpackedHost(t, "")
			f.Preseed(string(answers.MailerType), "Satellite system")
			f.Preseed(string(answers.RelayHost), "[r.example]:587")
			for q, v := range more {
				f.Preseed(string(q), v)
			}
			if err := f.Run(func(r io.Reader, w io.Writer) error {
				plan, settle, err := planSetup(context.Background(), root, debconf.New(r, w), nil, setup.Request{})
				if err != nil {
					return err
				}
				err = plan.Apply(context.Background(), func(setup.Change) {}, settle)
				if said := strings.Join(plan.Warnings, "\n"); !strings.Contains(said, "run dpkg-reconfigure on the booted host") || strings.Contains(said, "geheim") {
					t.Errorf("it says %s", said)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			main, err := root.ReadFile(paths.MainCF)
			if text := string(main); err != nil || !strings.Contains(text, "\ndefault_transport = ${relayhost?{smtp}:{retry:4.3.0 no relay host is set}}\n") || strings.Contains(text, "r.example") {
				t.Errorf("main.cf is %s, %v", text, err)
			}
			if there, err := root.Exists("/etc/postfix/sasl_passwd"); there || err != nil {
				t.Errorf("there is a table of passwords: %v", err)
			}
			more[answers.RelayHost] = "[r.example]:587"
			for q, v := range more {
				if f.Value(string(q)) != v {
					t.Errorf("the answer to %s is lost", q)
				}
			}
		})
	}
}

// settles configures a first time and then three times again, the last time with the same answers preseeded once more.
func settles(t *testing.T, f *debconftest.Frontend, root *sysroot.Root, preseed func()) {
	database := func() map[string]string {
		all := map[string]string{}
		for _, q := range append(answers.Questions(), answers.RelayPassword) {
			all[string(q)] = fmt.Sprintf("%q %v %v", f.Value(string(q)), f.Flag(string(q), answers.SeenFlag), f.Flag(string(q), answers.ChangedFlag))
		}
		return all
	}
	preseed()
	configureOnce(t, root, f, "")
	files, db := sysroottest.Dump(t, root.Dir(), true), database()
	f.Reshow = true
	for i := range 3 {
		if i == 2 {
			preseed()
		}
		configureOnce(t, root, f, "3.7.11-0+deb12u1+maint1")
		if diff := cmp.Diff(db, database()); diff != "" {
			t.Errorf("run %d changed the answers:\n%s", i, diff)
		}
		if diff := cmp.Diff(files, sysroottest.Dump(t, root.Dir(), true)); diff != "" {
			t.Errorf("run %d changed files:\n%s", i, diff)
		}
	}
}

// A table of passwords or a state that cannot be read ends neither config nor postinst.
func TestWhatCannotBeReadStopsNoPackage(t *testing.T) {
	needsRoot(t)
	for name, want := range map[string]string{
		"/etc/postfix/sasl_passwd":                        "cannot tell which account logs in at the relay",
		"/var/lib/postfix-maint/smarthost/postfix@-.json": "",
	} {
		f, root := debconftest.New(relayTemplates()), unpackedHost(t, "")
		main := "compatibility_level = 3.6\nrelayhost = [r.example]:587\nsmtp_sasl_auth_enable = yes\n"
		if _, err := root.WriteFile(paths.MainCF, []byte(main), sysroot.Attr{Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := root.MkdirAll(name, sysroot.Attr{Mode: 0o755}); err != nil {
			t.Fatal(err)
		}
		if err := f.Run(func(r io.Reader, w io.Writer) error {
			live, err := setup.Live(root)
			if err != nil {
				return err
			}
			return askQuestions(context.Background(), root, debconf.New(r, w), live, configuredVersion)
		}); err != nil {
			t.Errorf("%s: config: %v", name, err)
		}
		if err := f.Run(func(r io.Reader, w io.Writer) error {
			plan, _, err := planSetup(context.Background(), root, debconf.New(r, w), nil, setup.Request{Old: configuredVersion})
			if err == nil && !strings.Contains(strings.Join(plan.Warnings, "\n"), want) {
				t.Errorf("%s: it warns: %q", name, plan.Warnings)
			}
			return err
		}); err != nil {
			t.Errorf("%s: postinst: %v", name, err)
		}
	}
}
