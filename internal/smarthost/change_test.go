package smarthost_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/sysroot/sysroottest"
)

func no(b bool) *bool { return &b }

func TestSettings(t *testing.T) {
	for name, c := range map[string]struct {
		main string // added to main.cf
		edit func(*smarthost.Options)
		want map[string]string
	}{
		"465 is TLS from the first byte": {"", func(o *smarthost.Options) { o.Relay = "[relay.example.net]:465" }, map[string]string{"smtp_tls_wrappermode": "yes", "smtp_tls_security_level": "verify"}},
		"465 without it":                 {"", func(o *smarthost.Options) { o.Relay, o.Wrapper = "[relay.example.net]:465", no(false) }, map[string]string{"smtp_tls_wrappermode": "(unset)"}},
		"587 takes wrapper mode away":    {"smtp_tls_wrappermode = yes\n", func(*smarthost.Options) {}, map[string]string{"smtp_tls_wrappermode": "no"}},
		"25 without account is as TLS comes": {"", func(o *smarthost.Options) { o.Relay, o.User, o.Password = "relay.example.net", "", "" }, map[string]string{
			"relayhost": "relay.example.net", "smtp_tls_security_level": "may", "smtp_tls_CAfile": "(unset)", "smtp_sasl_auth_enable": "(unset)",
		}},
		"25 with an account is checked": {"", func(o *smarthost.Options) { o.Relay = "[relay.example.net]" }, map[string]string{"smtp_tls_security_level": "verify"}},
		"without brackets a login is at a host all the same": {"", func(o *smarthost.Options) { o.Relay = "relay.example.net:587" }, map[string]string{
			"relayhost": "[relay.example.net]:587", "smtp_tls_security_level": "verify",
		}},
		"without a port it is at 587":                 {"", func(o *smarthost.Options) { o.Relay = "relay.example.net" }, map[string]string{"relayhost": "[relay.example.net]:587"}},
		"or at 465, with TLS from the first byte":     {"", func(o *smarthost.Options) { o.Relay, o.Wrapper = "relay.example.net", no(true) }, map[string]string{"relayhost": "[relay.example.net]:465"}},
		"at 25 if that is said":                       {"", func(o *smarthost.Options) { o.Relay = "relay.example.net:25" }, map[string]string{"relayhost": "[relay.example.net]:25", "smtp_tls_security_level": "verify"}},
		"secure holds to the name of a mail domain":   {"", func(o *smarthost.Options) { o.Relay, o.TLS = "example.net", "secure" }, map[string]string{"relayhost": "example.net:587"}},
		"an unchecked certificate is one of the host": {"", func(o *smarthost.Options) { o.Relay, o.TLS = "example.net", "encrypt" }, map[string]string{"relayhost": "[example.net]:587"}},
		"a service's name becomes a number":           {"", func(o *smarthost.Options) { o.Relay = "[Relay.Example.net]:submissions" }, map[string]string{"relayhost": "[relay.example.net]:465"}},
		"an IPv6 address":                             {"", func(o *smarthost.Options) { o.Relay = "[IPv6:2001:db8::1]:587" }, map[string]string{"relayhost": "[2001:db8::1]:587"}},
		"blanks around the relay":                     {"", func(o *smarthost.Options) { o.Relay = " [relay.example.net]:587 " }, map[string]string{"relayhost": "[relay.example.net]:587"}},
		"a CA file of the administrator's stays":      {"smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt\n", func(*smarthost.Options) {}, map[string]string{"smtp_tls_CAfile": "/etc/ssl/certs/ca-certificates.crt"}},
		"a directory of CAs does not count in the chroot, a file does (T07)": {"smtp_tls_CApath = /etc/ssl/certs\n", func(*smarthost.Options) {}, map[string]string{
			"smtp_tls_CAfile": "/etc/ssl/certs/ca-certificates.crt", "smtp_tls_CApath": "/etc/ssl/certs",
		}},
		"weak SASL options are tightened (T03)": {"smtp_sasl_security_options =\n", func(*smarthost.Options) {}, map[string]string{
			"smtp_sasl_security_options": "noplaintext, noanonymous", "smtp_sasl_tls_security_options": "noanonymous",
		}},
		"a local only host sends again": {"default_transport = error\nrelay_transport = error\n", func(*smarthost.Options) {}, map[string]string{"default_transport": "smtp", "relay_transport": "smtp"}},
		"other tables stay, and come after ours": {"smtp_generic_maps = hash:/g, regexp:/r\nsmtp_header_checks = pcre:/h\n", func(*smarthost.Options) {}, map[string]string{
			"smtp_generic_maps": "hash:/etc/postfix/generic, hash:/g, regexp:/r", "smtp_header_checks": "pcre:/h, regexp:/etc/postfix/smtp_header_checks",
		}},
		"the type that main.cf names for the table (T04)": {"smtp_sasl_password_maps = lmdb:/etc/postfix/sasl_passwd\n", func(*smarthost.Options) {}, map[string]string{"smtp_sasl_password_maps": "lmdb:/etc/postfix/sasl_passwd"}},
		"a password that ends in a blank": {"", func(o *smarthost.Options) { o.Password = "x " }, map[string]string{
			"smtp_sasl_password_maps": "pipemap:{hash:/etc/postfix/sasl_passwd,regexp:{{/^(.*)<end>$$/ $$1},{/^(.*)$$/ $$1}}}",
		}},
		"users in a table": {"", func(o *smarthost.Options) { o.Rewrite = canonical("", "anna") }, map[string]string{"sender_canonical_maps": "hash:/etc/postfix/sender_canonical", "smtp_generic_maps": "(unset)"}},
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := lay(t, map[string]string{"etc/postfix/main.cf": mainCF + c.main})
			o := options()
			c.edit(&o)
			set(t, d, o)
			for param, want := range c.want {
				if got := value(t, d, param); got != want {
					t.Errorf("%s = %q, want %q", param, got, want)
				}
			}
			if p := set(t, d, o); len(p.Changes) != 0 {
				t.Errorf("the same again: %v", p.Changes)
			}
			unset(t, d)
			if got := read(t, d, "/etc/postfix/main.cf"); !sameLines(got, mainCF+c.main) {
				t.Errorf("unset left\n%s", got)
			}
		})
	}
}

// sameLines compares without the order of the lines and the blanks in them: what was unset and set again stands at the end.
func sameLines(a, b string) bool {
	count := map[string]int{}
	for line := range strings.Lines(a) {
		count[strings.Join(strings.Fields(strings.Replace(line, "=", " = ", 1)), " ")]++
	}
	for line := range strings.Lines(b) {
		count[strings.Join(strings.Fields(strings.Replace(line, "=", " = ", 1)), " ")]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// The client looks for the bare host first: where that is found, in our table or another, ours must be found there as well.
func TestTheKeyThatIsFoundFirst(t *testing.T) {
	for name, c := range map[string]struct {
		table, main string
		found       map[string]string
		want        string
	}{
		"only ours":                   {want: "[relay.example.net]:587 "},
		"the host in our table":       {table: "Relay.example.net a:b\n", want: "relay.example.net "},
		"the host in another table":   {main: "smtp_sasl_password_maps = hash:/q\n", found: map[string]string{"relay.example.net hash:/q": "a:b"}, want: "relay.example.net "},
		"the same key in our table":   {table: "[RELAY.example.net]:587 a:b\n", want: "[relay.example.net]:587 "},
		"another relay in our table":  {table: "[relay.example.net]:465 a:b\n", want: "[relay.example.net]:587 "},
		"another relay, another file": {main: "smtp_sasl_password_maps = hash:/q\n", want: "[relay.example.net]:587 "},
	} {
		t.Run(name, func(t *testing.T) {
			d, f := lay(t, map[string]string{"etc/postfix/sasl_passwd": c.table, "etc/postfix/main.cf": mainCF + c.main})
			f.found = c.found
			set(t, d, options())
			text := read(t, d, "/etc/postfix/sasl_passwd")
			if !strings.Contains(text, "\n"+c.want+"u@example.net:"+secret+"\n") {
				t.Errorf("no entry for %q:\n%s", c.want, text)
			}
			for line := range strings.Lines(text) {
				if strings.HasPrefix(strings.ToLower(line), "relay.example.net a:") || strings.HasPrefix(strings.ToLower(line), "[relay.example.net]:587 a:") {
					t.Errorf("%q is still found first", line)
				}
			}
			unset(t, d)
			if c.table == "" {
				return
			}
			if got := read(t, d, "/etc/postfix/sasl_passwd"); got != c.table {
				t.Errorf("unset left %q, it was %q", got, c.table)
			}
		})
	}
}

func TestHandEditsStay(t *testing.T) {
	d, _ := lay(t, nil)
	set(t, d, options())
	text := strings.Replace(read(t, d, "/etc/postfix/main.cf"), "smtp_tls_security_level=verify", "smtp_tls_security_level=secure", 1)
	text += "smtp_sasl_mechanism_filter = plain\n"
	write(t, d, "etc/postfix/main.cf", text)
	write(t, d, "etc/postfix/generic", "mine x@y\n"+read(t, d, "/etc/postfix/generic"))
	write(t, d, "etc/aliases", read(t, d, "/etc/aliases")+"bert: anna\n")
	p := unset(t, d)
	if got := value(t, d, "smtp_tls_security_level"); got != "secure" || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "smtp_tls_security_level") {
		t.Errorf("the level is %q, warnings %q", got, p.Warnings)
	}
	for name, want := range map[string]string{
		"/etc/postfix/generic": "mine x@y\n", "/etc/aliases": "postmaster: root\nroot: anna\nbert: anna\n",
	} {
		if got := read(t, d, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if value(t, d, "smtp_sasl_mechanism_filter") != "plain" || value(t, d, "relayhost") != "" {
		t.Errorf("main.cf:\n%s", read(t, d, "/etc/postfix/main.cf"))
	}
}

func write(t *testing.T, d smarthost.Deps, name, text string) {
	t.Helper()
	if err := os.WriteFile(d.Root.Dir()+"/"+name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The same set again writes nothing, wherever the administrator wrote lines of his own meanwhile.
func TestHandEditsStayWhereTheyAre(t *testing.T) {
	d, _ := lay(t, nil)
	set(t, d, options())
	text := strings.NewReplacer("# mine", "smtp_helo_timeout = 10s\n# mine", "smtp_generic_maps = ", "smtp_generic_maps =\n   ").
		Replace(read(t, d, "/etc/postfix/main.cf"))
	write(t, d, "etc/postfix/main.cf", text+"smtp_connect_timeout = 10s\n")
	table := "[other.example.net]:587 x:y\n" + read(t, d, "/etc/postfix/sasl_passwd") + "[third.example.net]:587 x:y\n"
	write(t, d, "etc/postfix/sasl_passwd", table)
	write(t, d, "etc/postfix/sasl_passwd.db", "index "+table)
	if p := set(t, d, options()); len(p.Changes) > 0 {
		t.Errorf("the same set again: %+v", p.Changes)
	}
	o := options()
	o.Relay = "[relay.example.net]:465"
	set(t, d, o)
	if got := read(t, d, "/etc/postfix/main.cf"); !strings.HasSuffix(got, "\nsmtp_connect_timeout = 10s\nsmtp_tls_wrappermode = yes\n") {
		t.Errorf("another port moves more than itself:\n%s", got)
	}
}

// The type of the tables stays where another one becomes usual; where it is gone, no index of it is left with the password.
func TestTheTypeOfTheTables(t *testing.T) {
	for _, password := range []smarthost.Secret{secret, secret + " "} {
		d, f := lay(t, nil)
		o := options()
		o.Password = password
		set(t, d, o)
		write(t, d, "etc/postfix/main.cf", read(t, d, "/etc/postfix/main.cf")+"default_database_type = lmdb\n")
		if p := set(t, d, o); len(p.Changes) > 0 {
			t.Errorf("another usual type changes %+v", p.Changes)
		}
		f.types = "lmdb regexp pipemap"
		write(t, d, "etc/postfix/main.cf", strings.ReplaceAll(read(t, d, "/etc/postfix/main.cf"), "hash:/etc/aliases", "lmdb:/etc/aliases"))
		set(t, d, o)
		if got := value(t, d, "smtp_sasl_password_maps"); !strings.Contains(got, "lmdb:/etc/postfix/sasl_passwd") {
			t.Errorf("without the type hash the table is %q", got)
		}
		state := "var/lib/postfix-maint/smarthost/postfix@-.json" // as it is where the run is killed right before it clears up
		write(t, d, state, strings.Replace(read(t, d, "/"+state), `"smtp_sasl_password_maps": [`, `"smtp_sasl_password_maps": ["hash:/etc/postfix/sasl_passwd",`, 1))
		write(t, d, "etc/postfix/sasl_passwd.db", "index "+secret)
		set(t, d, o)
		for name, want := range map[string]bool{"sasl_passwd.db": false, "sasl_passwd.lmdb": true, "generic.db": false} {
			if there, err := d.Root.Exists("/etc/postfix/" + name); there != want || err != nil {
				t.Errorf("%s is there: %v, %v", name, there, err)
			}
		}
	}
}

// A level that nobody chose is not kept by a later set: with a login another one is usual.
func TestALoginComesLater(t *testing.T) {
	d, _ := lay(t, nil)
	set(t, d, smarthost.Options{Relay: "[relay.example.net]:25"})
	if got := value(t, d, "smtp_tls_security_level"); got != "may" {
		t.Errorf("without a login the level is %q", got)
	}
	last, _ := smarthost.Last(d.Root, primary)
	last.User, last.Password = "u", secret
	set(t, d, last)
	if got := value(t, d, "smtp_tls_security_level"); got != "verify" {
		t.Errorf("with a login the level is %q", got)
	}
}

func TestAnotherRelayNeedsAnotherPassword(t *testing.T) {
	d, _ := lay(t, nil)
	set(t, d, options())
	last, ok := smarthost.Last(d.Root, primary)
	if !ok || last.Password != "" || last.TLS != "" {
		t.Fatalf("Last = %+v, %t", last, ok)
	}
	if o := last.To("[relay.example.net]:465"); o.User == "" || o.TLS != "" || o.Wrapper != nil {
		t.Errorf("another port: %+v", o)
	}
	if o := last.To("[evil.example.net]:587"); o.User != "" {
		t.Errorf("another host gets the account: %+v", o)
	}
	set(t, d, last.To("[relay.example.net]:465"))
	if got := read(t, d, "/etc/postfix/sasl_passwd"); !strings.Contains(got, "\n[relay.example.net]:465 u@example.net:"+secret+"\n") {
		t.Errorf("another port of the host does not keep the password:\n%s", got)
	}
	o := last
	o.Relay = "[evil.example.net]:587"
	if _, err := smarthost.Set(context.Background(), d, primary, o); err == nil {
		t.Error("another host gets the stored password")
	}
}

func TestAnEditedTableIsIndexedAgain(t *testing.T) {
	d, _ := lay(t, nil)
	set(t, d, options())
	if err := os.Remove(d.Root.Dir() + "/etc/postfix/sasl_passwd.db"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(d.Root.Dir()+"/etc/postfix/sasl_passwd", 0o644); err != nil {
		t.Fatal(err)
	}
	set(t, d, options())
	for name, what := range sysroottest.Dump(t, d.Root.Dir(), false) {
		if strings.Contains(name, "sasl_passwd") && !strings.HasPrefix(what, "file 0600") {
			t.Errorf("%s: %s", name, what)
		}
	}
	if !strings.HasPrefix(read(t, d, "/etc/postfix/sasl_passwd.db"), "index ") {
		t.Error("there is no index")
	}
}

func TestParseRules(t *testing.T) {
	for name, c := range map[string]struct {
		typ, text string
		want      []smarthost.Rule // nil: refused
	}{
		"a plain table":               {"", "# c\nanna a@b.c\nbert@x\tb@b.c\n", []smarthost.Rule{{Sender: "anna", Address: "a@b.c"}, {Sender: "bert@x", Address: "b@b.c"}}},
		"patterns with blanks":        {"regexp", `/^a b\/c/i  x@$1` + "\n", []smarthost.Rule{{Sender: `/^a b\/c/i`, Address: "x@$1"}}},
		"another delimiter, inverted": {"pcre", "!#a/b# x@y\n", []smarthost.Rule{{Sender: "!#a/b#", Address: "x@y"}}},
		"a sender alone":              {"", "anna\n", nil},
		"a pattern without an end":    {"pcre", "/a x@y\n", nil},
		"conditions":                  {"regexp", "if /a/\n/b/ c@d\nendif\n", nil},
	} {
		r, err := smarthost.ParseRules(c.typ, []byte(c.text))
		if (err != nil) != (c.want == nil) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, want := range c.want {
			if r.Rules[i] != want {
				t.Errorf("%s: %+v, want %+v", name, r.Rules[i], want)
			}
		}
	}
}

// Each instance has tables, settings and a former state of its own.
func TestAnotherInstance(t *testing.T) {
	d, _ := lay(t, map[string]string{"etc/postfix-out/main.cf": mainCF, "etc/postfix-out/master.cf": "smtp unix - - y - - smtp\n"})
	d.Run.(*tools).config = "etc/postfix-out"
	before := sysroottest.Dump(t, d.Root.Dir(), false)
	out := instance.Instance{Name: "postfix-out", ConfigDir: "/etc/postfix-out", QueueDir: "/var/spool/postfix-out"}
	o := options()
	o.Root = ""
	p, err := smarthost.Set(context.Background(), d, out, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(context.Background(), func(smarthost.Change) {}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, d, "/etc/postfix-out/main.cf"); !strings.Contains(got, "smtp_sasl_password_maps = hash:/etc/postfix-out/sasl_passwd\n") {
		t.Errorf("its main.cf is\n%s", got)
	}
	for p, what := range sysroottest.Dump(t, d.Root.Dir(), false) {
		if before[p] != what && !strings.HasPrefix(p, "etc/postfix-out/") && !strings.HasPrefix(p, "var") {
			t.Errorf("%s became %q, was %q", p, what, before[p])
		}
	}
	if p, err := smarthost.Unset(context.Background(), d, primary); err != nil || len(p.Changes) > 0 {
		t.Errorf("the primary instance has something to take back: %v", err)
	}
	if _, err := smarthost.Unset(context.Background(), d, out); err != nil {
		t.Error(err)
	}
}
