package smarthost_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/sysroot/sysroottest"
)

// anna has an account of her own.
func anna() smarthost.Account {
	return smarthost.Account{Sender: "anna@example.org", Relay: "[one.example.net]:587", User: "anna@one", Password: "first-secret"}
}

func add(t *testing.T, d smarthost.Deps, a smarthost.Account) *smarthost.Plan {
	t.Helper()
	p, err := smarthost.Add(context.Background(), d, primary, a)
	if err == nil {
		err = p.Apply(context.Background(), func(smarthost.Change) {})
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func remove(t *testing.T, d smarthost.Deps, sender string) *smarthost.Plan {
	t.Helper()
	p, err := smarthost.Remove(context.Background(), d, primary, sender)
	if err == nil {
		err = p.Apply(context.Background(), func(smarthost.Change) {})
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wantValues compares settings of main.cf.
func wantValues(t *testing.T, d smarthost.Deps, when string, want map[string]string) {
	t.Helper()
	for param, want := range want {
		if got := value(t, d, param); got != want {
			t.Errorf("%s: %s = %q, want %q", when, param, got, want)
		}
	}
}

// A sender's relay beside direct delivery: what is in force, twice the same, and back to every byte.
func TestAddTwiceAndBack(t *testing.T) {
	d, _ := lay(t, nil)
	before := sysroottest.Dump(t, d.Root.Dir(), false)
	add(t, d, anna())
	wantValues(t, d, "added", map[string]string{
		"relayhost": "", "smtp_tls_security_level": "may", "smtp_sasl_auth_enable": "yes", "smtp_sender_dependent_authentication": "yes",
		"smtp_sasl_password_maps": "hash:/etc/postfix/sender_passwd", "smtp_tls_policy_maps": "hash:/etc/postfix/smtp_tls_policy",
		"sender_dependent_relayhost_maps": "hash:/etc/postfix/sender_relayhost", "smtp_tls_CAfile": "/etc/ssl/certs/ca-certificates.crt",
		"smtp_sasl_tls_verified_security_options": "noanonymous", "smtp_sasl_tls_security_options": "(unset)",
		"sender_dependent_default_transport_maps": "(unset)", "smtp_tls_wrappermode": "(unset)",
	})
	for name, want := range map[string]string{
		"sender_relayhost.db": "\nanna@example.org [one.example.net]:587\n", "smtp_tls_policy.db": "\n[one.example.net]:587 verify\n",
		"sender_passwd.db": "\nanna@example.org anna@one:first-secret\n",
	} {
		if got := read(t, d, "/etc/postfix/"+name); !strings.Contains(got, want) {
			t.Errorf("%s:\n%s\nwant %q", name, got, want)
		}
	}
	stands := sysroottest.Dump(t, d.Root.Dir(), true)
	for p, what := range stands {
		if strings.Contains(p, "sender_passwd") && !strings.HasPrefix(what, "file 0600") {
			t.Errorf("%s: %s", p, what)
		}
		if strings.Contains(what, "first-secret") && !strings.Contains(p, "etc/postfix/sender_passwd") {
			t.Errorf("the password is in %s", p)
		}
	}
	stored := anna()
	stored.Password, stored.Sender = "", "Anna@Example.org"
	for name, a := range map[string]smarthost.Account{"the same": anna(), "with the stored password": stored} {
		if p := add(t, d, a); len(p.Changes) > 0 || len(p.Warnings) > 0 {
			t.Errorf("%s: %v, %q", name, p.Changes, p.Warnings)
		}
	}
	if got := sysroottest.Dump(t, d.Root.Dir(), true); fmt.Sprint(got) != fmt.Sprint(stands) {
		t.Error("the same again touches something")
	}
	remove(t, d, "ANNA@example.org")
	for p, what := range sysroottest.Dump(t, d.Root.Dir(), false) {
		if before[p] != what && !strings.HasPrefix(p, "var") {
			t.Errorf("after remove %s is %q, was %q", p, what, before[p])
		}
	}
	if p := remove(t, d, "anna@example.org"); len(p.Changes) > 0 || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "nothing to remove") {
		t.Errorf("a second remove: %v, %q", p.Changes, p.Warnings)
	}
}

// The relay for all mail and the senders' come and go without each other, in whatever order.
func TestSendersAndTheRelayForAllMail(t *testing.T) {
	start := "after nothing"
	for name, steps := range map[string][]string{
		"the relay first":    {"set", "add", "unset", "remove"},
		"the sender first":   {"add", "set", "remove", "unset"},
		"the sender outside": {"add", "set", "unset", "remove"},
		"the sender within":  {"set", "add", "remove", "unset"},
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := lay(t, nil)
			before := sysroottest.Dump(t, d.Root.Dir(), false)
			all, one := false, false
			for _, step := range steps {
				switch step {
				case "set":
					set(t, d, options())
				case "unset":
					unset(t, d)
				case "add":
					add(t, d, anna())
				case "remove":
					remove(t, d, "anna@example.org")
				}
				all, one = step == "set" || all && step != "unset", step == "add" || one && step != "remove"
				have := func(param, part string, want bool) {
					if got := value(t, d, param); strings.Contains(got, part) != want {
						t.Errorf("after %s: %s = %q; %q: %v", step, param, got, part, want)
					}
				}
				have("relayhost", "[relay.example.net]:587", all)
				have("smtp_sasl_password_maps", "postfix/sasl_passwd", all)
				have("smtp_tls_security_level", "verify", all)
				have("sender_dependent_relayhost_maps", "postfix/sender_relayhost", one)
				have("smtp_sasl_password_maps", "postfix/sender_passwd", one)
				have("smtp_tls_policy_maps", "postfix/smtp_tls_policy", one)
				have("smtp_sasl_auth_enable", "yes", all || one)
				have("smtp_tls_CAfile", "ca-certificates", all || one)
				if all {
					p := set(t, d, options())
					if len(p.Changes) > 0 {
						t.Errorf("after %s the same set changes %v", step, p.Changes)
					}
				}
				if one {
					if p := add(t, d, anna()); len(p.Changes) > 0 {
						t.Errorf("after %s the same add changes %v", step, p.Changes)
					}
				}
				start = step
			}
			for p, what := range sysroottest.Dump(t, d.Root.Dir(), false) {
				if before[p] != what && p != "etc/aliases.db" && p != "etc/postfix/main.cf" && !strings.HasPrefix(p, "var") {
					t.Errorf("after %s %s is %q, was %q", start, p, what, before[p])
				}
			}
			if got := read(t, d, "/etc/postfix/main.cf"); !sameLines(got, mainCF) {
				t.Errorf("after %s main.cf is\n%s", start, got)
			}
		})
	}
}

// What the administrator has in the same parameters stays, and comes after ours.
func TestAddBesideAccountsByHand(t *testing.T) {
	hand := "sender_dependent_relayhost_maps = hash:/etc/postfix/mine, pcre:/etc/postfix/more\nsmtp_sasl_password_maps = hash:/etc/postfix/mine-passwd\n" +
		"smtp_sasl_auth_enable = yes\nsmtp_sender_dependent_authentication = yes\nsmtp_tls_policy_maps = inline:{{[x]:587=encrypt}}\n"
	files := map[string]string{"etc/postfix/main.cf": mainCF + hand, "etc/postfix/mine": "carl@example.org [x]:587\n", "etc/postfix/sender_passwd": "# my own\nx y:z\n"}
	d, f := lay(t, files)
	f.found["anna@example.org hash:/etc/postfix/mine"] = "[x]:587"
	before := sysroottest.Dump(t, d.Root.Dir(), false)
	p := add(t, d, anna())
	wantValues(t, d, "added", map[string]string{
		"sender_dependent_relayhost_maps": "hash:/etc/postfix/sender_relayhost, hash:/etc/postfix/mine, pcre:/etc/postfix/more",
		"smtp_sasl_password_maps":         "hash:/etc/postfix/sender_passwd, hash:/etc/postfix/mine-passwd",
		"smtp_tls_policy_maps":            "hash:/etc/postfix/smtp_tls_policy, inline:{{[x]:587=encrypt}}",
	})
	if said := strings.Join(p.Warnings, "\n"); !strings.Contains(said, "is found before it") {
		t.Errorf("that his entry comes second is not said: %q", said)
	}
	set(t, d, options())
	remove(t, d, "anna@example.org")
	unset(t, d)
	for p, what := range sysroottest.Dump(t, d.Root.Dir(), false) {
		if before[p] != what && before[p] != "" && p != "etc/postfix/sender_passwd" && !strings.HasPrefix(p, "var") && p != "etc/aliases.db" && p != "etc/postfix/main.cf" {
			t.Errorf("%s is %q, was %q", p, what, before[p])
		}
	}
	if got := read(t, d, "/etc/postfix/sender_passwd"); got != files["etc/postfix/sender_passwd"] {
		t.Errorf("his lines in our table are %q", got)
	}
	wantValues(t, d, "in the end", map[string]string{
		"sender_dependent_relayhost_maps": "hash:/etc/postfix/mine, pcre:/etc/postfix/more", "smtp_sasl_auth_enable": "yes",
		"smtp_sasl_password_maps": "hash:/etc/postfix/mine-passwd", "smtp_tls_policy_maps": "inline:{{[x]:587=encrypt}}",
	})
}

// The way in which TLS begins belongs to a client of Postfix: where a sender's relay wants another one it gets a client of its own.
func TestASendersOwnClient(t *testing.T) {
	wrapped := options()
	wrapped.Relay = "[relay.example.net]:465"
	at := func(port string) smarthost.Account {
		a := anna()
		a.Relay = "[one.example.net]:" + port
		return a
	}
	const transports = "sender_dependent_default_transport_maps"
	for name, c := range map[string]struct {
		main  string
		all   *smarthost.Options
		a     smarthost.Account
		entry string // of the transport table; "" for none
	}{
		"465 beside direct delivery": {a: at("465"), entry: "smtp-wrapper:[one.example.net]:465"},
		"587 beside 465":             {all: &wrapped, a: at("587"), entry: "smtp-starttls:[one.example.net]:587"},
		"465 beside 465":             {all: &wrapped, a: at("465")},
		"a host that sends nothing":  {main: "default_transport = error\n", a: at("587"), entry: "smtp:[one.example.net]:587"},
		"a hub for all mail":         {main: "default_transport = smtp:[hub.example.net]:25\n", a: at("587"), entry: "smtp:[one.example.net]:587"},
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := lay(t, map[string]string{"etc/postfix/main.cf": mainCF + c.main})
			master := read(t, d, "/etc/postfix/master.cf")
			if c.all != nil {
				set(t, d, *c.all)
			}
			add(t, d, c.a)
			table := ""
			if value(t, d, transports) != "(unset)" {
				table = read(t, d, "/etc/postfix/sender_transport")
			}
			if !strings.Contains(table, c.entry) || c.entry == "" && table != "" {
				t.Errorf("the transports are %q", table)
			}
			service, _, _ := strings.Cut(c.entry, ":")
			if got := read(t, d, "/etc/postfix/master.cf"); strings.Contains(c.entry, "smtp-") != strings.Contains(got, "\n"+service+" ") ||
				strings.Contains(c.entry, "smtp-") && !strings.Contains(got, "unix  -       -       y") {
				t.Errorf("master.cf is\n%s", got)
			}
			if p := add(t, d, c.a); len(p.Changes) > 0 {
				t.Errorf("the same again changes %v", p.Changes)
			}
			remove(t, d, c.a.Sender)
			if got := read(t, d, "/etc/postfix/master.cf"); got != master || value(t, d, transports) != "(unset)" {
				t.Errorf("after remove master.cf is\n%s", got)
			}
		})
	}
	d, _ := lay(t, nil) // another port for all mail needs another client for the sender
	add(t, d, at("587"))
	set(t, d, wrapped)
	if got := read(t, d, "/etc/postfix/sender_transport"); !strings.Contains(got, "anna@example.org smtp-starttls:[one.example.net]:587") {
		t.Errorf("the transports are %q", got)
	}
	d, _ = lay(t, map[string]string{"etc/postfix/master.cf": "smtp unix - - y - - smtp\nsmtp-wrapper unix - - y - - smtp -o x=y\n"})
	if _, err := smarthost.Add(context.Background(), d, primary, at("465")); err == nil || !strings.Contains(err.Error(), "smtp-wrapper") {
		t.Errorf("another service of the name is taken for ours: %v", err)
	}
}

// What the relays' policies say: each relay once, never less than its other mail has, and CAs of its own where they differ.
func TestPoliciesOfSenders(t *testing.T) {
	ca := read(t, func() smarthost.Deps { d, _ := lay(t, nil); return d }(), "/etc/ssl/certs/ca-certificates.crt")
	secure := options()
	secure.TLS = "secure"
	for name, c := range map[string]struct {
		main string
		all  *smarthost.Options
		edit func(*smarthost.Account)
		hand map[string]string
		want string // of the table; "" for none
	}{
		"the relay of all mail keeps its level": {all: &secure, edit: func(a *smarthost.Account) { a.Relay = "[relay.example.net]:587" }, want: "[relay.example.net]:587 secure\n"},
		"a level that was asked for":            {edit: func(a *smarthost.Account) { a.TLS = "secure" }, want: "[one.example.net]:587 secure\n"},
		"CAs of its own": {main: "smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt\n", edit: func(a *smarthost.Account) { a.CAFile = "/etc/mine.pem" },
			want: "[one.example.net]:587 verify tafile=/etc/mine.pem\n"},
		"a policy by hand that is enough": {main: "smtp_tls_policy_maps = hash:/p\n", hand: map[string]string{"[one.example.net]:587 hash:/p": "secure"}},
	} {
		t.Run(name, func(t *testing.T) {
			d, f := lay(t, map[string]string{"etc/postfix/main.cf": mainCF + c.main, "etc/mine.pem": ca})
			f.found = c.hand
			if c.all != nil {
				set(t, d, *c.all)
			}
			a := anna()
			if c.edit != nil {
				c.edit(&a)
			}
			add(t, d, a)
			got := ""
			if strings.Contains(value(t, d, "smtp_tls_policy_maps"), "smtp_tls_policy") {
				got = read(t, d, "/etc/postfix/smtp_tls_policy")
			}
			if !strings.Contains(got, "\n"+c.want) && c.want != "" || c.want == "" && got != "" {
				t.Errorf("the policies are %q", got)
			}
		})
	}
	d, _ := lay(t, nil) // CAs that came with the relay for all mail stay those of the sender's
	write(t, d, "etc/mine.pem", ca)
	own := options()
	own.CAFile = "/etc/mine.pem"
	set(t, d, own)
	add(t, d, anna())
	unset(t, d)
	if got := read(t, d, "/etc/postfix/smtp_tls_policy"); !strings.Contains(got, "\n[one.example.net]:587 verify tafile=/etc/mine.pem\n") || value(t, d, "smtp_tls_CAfile") != "(unset)" {
		t.Errorf("the CAs that the sender's relay was added with are gone, or hold for all mail: %q", got)
	}
}

// What cannot be, or could give a password away, is refused with nothing changed.
func TestAddRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		main, master string
		edit         func(*smarthost.Account)
		hand         map[string]string
		want         string
	}{
		"no sender":             {edit: func(a *smarthost.Account) { a.Sender = "anna" }, want: "is no sender"},
		"no account":            {edit: func(a *smarthost.Account) { a.User, a.Password = "", "" }, want: "needs the account"},
		"no password":           {edit: func(a *smarthost.Account) { a.Password = "" }, want: "there is no password"},
		"no TLS":                {edit: func(a *smarthost.Account) { a.TLS = "none" }, want: "sent in clear"},
		"an unchecked relay":    {edit: func(a *smarthost.Account) { a.TLS = "encrypt" }, want: "use verify or secure"},
		"CAs for root alone":    {edit: func(a *smarthost.Account) { a.CAFile = "/etc/closed.pem" }, want: "chmod o+r"},
		"this host":             {edit: func(a *smarthost.Account) { a.Relay = "[mail.example.test]:25" }, want: "that is this host"},
		"a weak policy by hand": {main: "smtp_tls_policy_maps = hash:/p\n", hand: map[string]string{"[one.example.net]:587 hash:/p": "may"}, want: "take that entry out first"},
		"an account for everybody in the domain": {main: "smtp_sasl_password_maps = pcre:/p\n", edit: func(a *smarthost.Account) { a.Sender = "@example.org" },
			hand: map[string]string{"postfix-maint-asks@example.org pcre:/p": "x:first"}, want: "every address of the domain"},
		"another policy in master.cf": {master: "smtp unix - - y - - smtp -o smtp_tls_policy_maps=hash:/x\n", want: "take it out first"},
		"a name that the DNS chooses": {main: "smtp_cname_overrides_servername = yes\nsmtp_tls_verify_cert_match = hostname\n", want: "the DNS chooses"},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"etc/postfix/main.cf": mainCF + c.main}
			if c.master != "" {
				files["etc/postfix/master.cf"] = c.master
			}
			d, f := lay(t, files)
			f.found = c.hand
			if err := os.WriteFile(d.Root.Dir()+"/etc/closed.pem", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			before := sysroottest.Dump(t, d.Root.Dir(), true)
			a := anna()
			if c.edit != nil {
				c.edit(&a)
			}
			_, err := smarthost.Add(context.Background(), d, primary, a)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "first-secret") {
				t.Errorf("it says %v, want %q", err, c.want)
			}
			if after := sysroottest.Dump(t, d.Root.Dir(), true); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Error("something was changed")
			}
		})
	}
}

// Another relay for a sender replaces the one it had, says so, and gets no password that was another host's.
func TestAddReplaces(t *testing.T) {
	d, _ := lay(t, nil)
	add(t, d, anna())
	other := anna()
	other.Relay, other.Password = "[two.example.net]:587", ""
	if _, err := smarthost.Add(context.Background(), d, primary, other); err == nil || !strings.Contains(err.Error(), "there is no password") {
		t.Errorf("another host gets the stored password: %v", err)
	}
	other.Password = "two "
	if p := add(t, d, other); len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "they are replaced") {
		t.Errorf("it says %q", p.Warnings)
	}
	if got := read(t, d, "/etc/postfix/sender_relayhost"); strings.Contains(got, "one.example.net") || !strings.Contains(got, "two.example.net") {
		t.Errorf("the relays are %q", got)
	}
	if got := value(t, d, "smtp_sasl_password_maps"); !strings.HasPrefix(got, "pipemap:{hash:/etc/postfix/sender_passwd,") {
		t.Errorf("a password that ends in a blank is read from %q", got)
	}
	other.Password = ""
	if p := add(t, d, other); len(p.Changes) > 0 {
		t.Errorf("the stored password is another one: %v", p.Changes)
	}
}

// An address of this host keeps its name at its own relay, whatever the relay for all mail makes of those of this host.
func TestSendersKeepTheirAddress(t *testing.T) {
	d, _ := lay(t, nil)
	set(t, d, options())
	a := anna()
	a.Sender = "anna@mail.example.test"
	add(t, d, a)
	wantValues(t, d, "added", map[string]string{"smtp_generic_maps": "hash:/etc/postfix/sender_generic, hash:/etc/postfix/generic"})
	unset(t, d)
	wantValues(t, d, "unset", map[string]string{"smtp_generic_maps": "(unset)"})
}
