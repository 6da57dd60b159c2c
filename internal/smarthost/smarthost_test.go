package smarthost_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
	"postfix-maint/internal/sysroot/transaction"
)

const (
	mainCF = `# mine
compatibility_level = 3.6
myhostname = mail.example.test
myorigin = /etc/mailname
mydestination = $myhostname, localhost
alias_maps = $alias_database
alias_database = hash:/etc/aliases
relayhost =
smtp_tls_security_level=may
`
	secret = "pass: wörd\"'$1"
)

var primary = instance.Instance{Name: "-", ConfigDir: "/etc/postfix", QueueDir: "/var/spool/postfix"}

// ended does what a command begins with: it ends what a killed one left.
func ended(t *testing.T, d smarthost.Deps) {
	t.Helper()
	r, err := (transaction.Host{Root: d.Root, Journal: paths.Transaction}).Recover()
	if err == nil {
		err = smarthost.Recover(t.Context(), d, primary)
	}
	if err != nil || len(r.Warnings) > 0 {
		t.Fatal(r.Warnings, err)
	}
}

// tools stands in for Postfix's programs: an index is a copy of its text.
type tools struct {
	root *sysroot.Root
	dir  string
	// config is the directory of main.cf below dir, etc/postfix where it is blank
	config string
	types  string
	found  map[string]string // answers of postmap -q: "key table" -> value
	fail   string            // the call that has this in it fails
	die    string            // the call that has this in it ends the run as a kill would
	edit   func(call string) // somebody who is at work as well
	calls  []string
}

func (f *tools) Run(ctx context.Context, name string, args ...string) error {
	_, err := f.Output(ctx, name, args...)
	return err
}

func (f *tools) Output(_ context.Context, name string, args ...string) ([]byte, error) {
	line := strings.Join(append([]string{filepath.Base(name)}, args...), " ")
	f.calls = append(f.calls, line)
	if f.edit != nil {
		f.edit(line)
	}
	if f.die != "" && strings.Contains(line, f.die) {
		panic("killed")
	}
	if f.fail != "" && strings.Contains(line, f.fail) {
		return nil, &run.ExitError{Args: args, Code: 1, Stderr: "fatal: made to fail"}
	}
	switch {
	case strings.HasSuffix(line, " -m"):
		return []byte(f.types), nil
	case strings.HasPrefix(line, "postconf"):
		return f.postconf(args[3:])
	case strings.Contains(line, " -q "):
		if strings.HasSuffix(line, "hash:/broken") {
			return nil, &run.ExitError{Args: args, Code: 1, Stderr: "fatal: open /broken.db: No such file or directory"}
		}
		value, ok := f.found[strings.Join(args[3:], " ")]
		if !ok {
			return nil, &run.ExitError{Args: args, Code: 1}
		}
		return []byte(value + "\n"), nil
	}
	typ, path, _ := strings.Cut(args[2], ":")
	data, err := os.ReadFile(filepath.Join(f.dir, path))
	if err != nil {
		return nil, err
	}
	fi, err := os.Stat(filepath.Join(f.dir, path))
	if err != nil {
		return nil, err
	}
	return nil, os.WriteFile(filepath.Join(f.dir, path)+map[string]string{"hash": ".db", "lmdb": ".lmdb"}[typ], append([]byte("index "), data...), fi.Mode())
}

func (f *tools) postconf(names []string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(f.dir, cmp.Or(f.config, "etc/postfix"), "main.cf"))
	if err != nil {
		return nil, err
	}
	file, err := maincf.Parse(data)
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	for len(names) > 1 && names[0] == "-o" {
		name, value, _ := strings.Cut(names[1], "=")
		if _, err := file.Apply(maincf.Set(name, value)); err != nil {
			return nil, err
		}
		names = names[2:]
	}
	for _, name := range names {
		value, ok := file.Get(name)
		if !ok {
			value = map[string]string{"default_database_type": "hash", "smtp_sasl_password_result_delimiter": ":"}[name]
		}
		value, err := maincf.Expand(value, file.Get)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&out, "%s = %s\n", name, value)
	}
	return []byte(out.String()), nil
}

// lay makes a host with Postfix; more names further files, or other content.
func lay(t *testing.T, more map[string]string) (smarthost.Deps, *tools) {
	t.Helper()
	sysroottest.NeedsRoot(t)
	ca, err := os.ReadFile("testdata/ca.pem")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"etc/postfix/main.cf": mainCF, "etc/mailname": "example.test\n", "etc/aliases": "postmaster: root\nroot: anna\n", "etc/aliases.db": "x",
		"etc/postfix/master.cf":               "smtp unix - - y - - smtp\n",
		"etc/ssl/certs/ca-certificates.crt":   string(ca),
		"usr/lib/x86_64/sasl2/libplain.so":    "",
		"etc/postfix/example-passwd":          "other.example.net x:y\n",
		"usr/lib/postfix/unrelated/directory": "",
	}
	for name, text := range more {
		files[name] = text
		if text == "-" {
			delete(files, name)
		}
	}
	root := sysroottest.New(t, files)
	f := &tools{root: root, dir: root.Dir(), types: "hash lmdb regexp pipemap", found: map[string]string{}}
	return smarthost.Deps{Root: root, Run: f}, f
}

func options() smarthost.Options {
	return smarthost.Options{
		Relay: "[relay.example.net]:587", User: "u@example.net", Password: secret, From: "u@example.net", Root: "u@example.net",
		Rewrite: smarthost.Rewriting{Kind: "generic", Address: "u@example.net"},
	}
}

func set(t *testing.T, d smarthost.Deps, o smarthost.Options) *smarthost.Plan {
	t.Helper()
	p, err := smarthost.Set(context.Background(), d, primary, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(context.Background(), func(smarthost.Change) {}); err != nil {
		t.Fatal(err)
	}
	return p
}

func unset(t *testing.T, d smarthost.Deps) *smarthost.Plan {
	t.Helper()
	p, err := smarthost.Unset(context.Background(), d, primary)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(context.Background(), func(smarthost.Change) {}); err != nil {
		t.Fatal(err)
	}
	return p
}

func read(t *testing.T, d smarthost.Deps, name string) string {
	t.Helper()
	data, err := d.Root.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func value(t *testing.T, d smarthost.Deps, param string) string {
	t.Helper()
	f, err := maincf.Parse([]byte(read(t, d, "/etc/postfix/main.cf")))
	if err != nil {
		t.Fatal(err)
	}
	v, ok := f.Get(param)
	if !ok {
		return "(unset)"
	}
	return v
}

func TestSetTwiceAndBack(t *testing.T) {
	d, _ := lay(t, nil)
	before := sysroottest.Dump(t, d.Root.Dir(), false)
	set(t, d, options())
	for param, want := range map[string]string{
		"relayhost": "[relay.example.net]:587", "smtp_tls_security_level": "verify", "smtp_tls_wrappermode": "(unset)",
		"smtp_tls_CAfile": "/etc/ssl/certs/ca-certificates.crt", "smtp_sasl_auth_enable": "yes",
		"smtp_sasl_tls_security_options": "noanonymous", "smtp_sasl_security_options": "(unset)",
		"smtp_sasl_password_maps": "hash:/etc/postfix/sasl_passwd", "smtp_generic_maps": "hash:/etc/postfix/generic",
		"smtp_header_checks": "regexp:/etc/postfix/smtp_header_checks", "alias_maps": "$alias_database",
	} {
		if got := value(t, d, param); got != want {
			t.Errorf("%s = %q, want %q", param, got, want)
		}
	}
	for name, want := range map[string]string{
		"/etc/postfix/sasl_passwd.db": "\n[relay.example.net]:587 u@example.net:" + secret + "\n",
		"/etc/postfix/generic.db":     "\n@example.test u@example.net\n@mail.example.test u@example.net\n@localhost u@example.net\n",
		"/etc/aliases.db":             "\nroot: u@example.net\n",
	} {
		if got := read(t, d, name); !strings.HasPrefix(got, "index ") || !strings.Contains(got, want) {
			t.Errorf("%s:\n%s\nwant %q", name, got, want)
		}
	}
	stands := sysroottest.Dump(t, d.Root.Dir(), true)
	o := options()
	o.Password = ""
	for name, o := range map[string]smarthost.Options{"the same options": options(), "the stored password": o} {
		if p := set(t, d, o); len(p.Changes) != 0 {
			t.Errorf("%s: %v", name, p.Changes)
		}
	}
	for p, what := range sysroottest.Dump(t, d.Root.Dir(), true) {
		if stands[p] != what {
			t.Errorf("%s was touched: %q, before %q", p, what, stands[p])
		}
	}
	unset(t, d)
	for p, what := range sysroottest.Dump(t, d.Root.Dir(), false) {
		if before[p] != what && p != "etc/aliases.db" && !strings.HasPrefix(p, "var") {
			t.Errorf("after unset %s is %q, was %q", p, what, before[p])
		}
	}
	if got := read(t, d, "/etc/aliases.db"); got != "index postmaster: root\nroot: anna\n" {
		t.Errorf("the index of the aliases is %q", got)
	}
	stands = sysroottest.Dump(t, d.Root.Dir(), true)
	if p := unset(t, d); len(p.Changes) > 0 || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "nothing to take back") {
		t.Errorf("a second unset changes %v and warns %q", p.Changes, p.Warnings)
	}
	if after := sysroottest.Dump(t, d.Root.Dir(), true); fmt.Sprint(stands) != fmt.Sprint(after) {
		t.Errorf("a second unset touched something: %v", after)
	}
}

// The password is in the table and its index, and nowhere else: no file, call, change, warning, JSON.
func TestSecretStaysInItsTable(t *testing.T) {
	d, f := lay(t, map[string]string{
		"etc/postfix/sasl_passwd": "relay.example.net u@example.net:former-secret\nkeep.example z:kept-secret\n",
		"etc/postfix/main.cf":     mainCF + "smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd static:a:main-secret\n",
	})
	f.found["relay.example.net static:a:main-secret"] = "a:main-secret"
	o := options()
	o.Password += " "
	p := set(t, d, o)
	o.Password = "other secret"
	seen, err := json.Marshal([]any{p.Changes, p.Warnings, set(t, d, o).Changes, unset(t, d).Changes, o})
	if err != nil {
		t.Fatal(err)
	}
	set(t, d, options())
	status, err := smarthost.Show(context.Background(), d, primary)
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{"wörd", "former-secret", "kept-secret", "main-secret", "other secret"}
	everything := fmt.Sprintf("%s %v %+v %#v %s", seen, status, o, o, status.Text())
	for _, call := range f.calls {
		everything += call
	}
	everything = strings.ReplaceAll(everything, "postmap -c /etc/postfix -q relay.example.net static:a:main-secret", "") // postmap's own way to ask
	for _, s := range secrets {
		if strings.Contains(everything, s) {
			t.Errorf("%q is to be seen in %s", s, everything)
		}
	}
	err = filepath.WalkDir(d.Root.Dir(), func(name string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(name)
		for _, s := range secrets {
			if base := filepath.Base(name); strings.Contains(string(data), s) && base != "sasl_passwd" && base != "sasl_passwd.db" &&
				(base != "main.cf" || s != "main-secret") {
				t.Errorf("%s holds %q", name, s)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/etc/postfix/sasl_passwd", "/etc/postfix/sasl_passwd.db"} {
		if fi, err := d.Root.Stat(name); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, fi.Mode(), err)
		}
	}
}

// refusal is a case of TestSetRefusesBeforeAnythingIsChanged.
type refusal struct {
	files map[string]string
	found map[string]string
	edit  func(*smarthost.Options)
	want  string
}

// policyCase has a policy beside a login.
func policyCase(maps, key, value string) refusal {
	return refusal{
		files: map[string]string{"etc/postfix/main.cf": mainCF + "two = hash:/p, regexp:/r\nsmtp_tls_policy_maps = " + maps + "\n"},
		found: map[string]string{key: value}, want: "password",
	}
}

func TestSetRefusesBeforeAnythingIsChanged(t *testing.T) {
	for name, c := range map[string]refusal{
		"a password in clear":                      {edit: func(o *smarthost.Options) { o.TLS = "may" }, want: "in clear"},
		"an unknown level":                         {edit: func(o *smarthost.Options) { o.TLS = "strict" }, want: "no TLS level"},
		"no relay":                                 {edit: func(o *smarthost.Options) { o.Relay = "" }, want: "needs a relay"},
		"a colon in the account":                   {edit: func(o *smarthost.Options) { o.User = "a:b" }, want: "colon"},
		"a line end in the password":               {edit: func(o *smarthost.Options) { o.Password = "a\nb" }, want: "line end"},
		"a password that is not UTF-8":             {edit: func(o *smarthost.Options) { o.Password = "a\xff" }, want: "UTF-8"},
		"no password":                              {edit: func(o *smarthost.Options) { o.Password = "" }, want: "there is no password"},
		"no SASL plug-ins (T01)":                   {files: map[string]string{"usr/lib/x86_64/sasl2/libplain.so": "-"}, want: "libsasl2-modules"},
		"no CAs":                                   {files: map[string]string{"etc/ssl/certs/ca-certificates.crt": "-"}, want: "ca-certificates"},
		"no CA in the file":                        {edit: func(o *smarthost.Options) { o.CAFile = "/etc/aliases" }, want: "no certificate"},
		"a table type whose package is missing":    {edit: func(o *smarthost.Options) { o.Rewrite = canonical("pcre", "/a/") }, want: "postfix-pcre"},
		"a TLS policy that opens the connection":   {files: map[string]string{"etc/postfix/main.cf": mainCF + "smtp_tls_policy_maps = hash:/p\n"}, found: map[string]string{"[relay.example.net]:587 hash:/p": "may"}, want: "in clear"},
		"one with commas":                          policyCase("hash:/p", "[relay.example.net]:587 hash:/p", "may,protocols=TLSv1.2"),
		"one with tabs":                            policyCase("hash:/p", "[relay.example.net]:587 hash:/p", "None\tprotocols=TLSv1.2"),
		"one that gives less than is asked for":    policyCase("hash:/p", "[relay.example.net]:587 hash:/p", "encrypt"),
		"one that nobody understands":              policyCase("hash:/p", "[relay.example.net]:587 hash:/p", "strict"),
		"one with another name in the certificate": policyCase("hash:/p", "[relay.example.net]:587 hash:/p", "secure match=other.example.org"),
		"one without a cipher":                     policyCase("hash:/p", "[relay.example.net]:587 hash:/p", "verify ciphers=null"),
		"one by a name that stands for several":    policyCase("$two", "[relay.example.net]:587 regexp:/r", "dane"),
		"one that DNS can lower":                   policyCase("inline:{{a=b}, {c=d}}", "[relay.example.net]:587 inline:{{a=b}, {c=d}}", "dane"),
		"a table of policies that cannot be asked": policyCase("hash:/broken", "", ""),
		"a service with policies of its own":       {files: map[string]string{"etc/postfix/master.cf": "smtp unix - - y - - smtp\nrelay unix - - y - - smtp -o smtp_tls_policy_maps=hash:/p\n"}, want: "stranger"},
		"a service with less than is asked for":    {files: map[string]string{"etc/postfix/master.cf": "relay unix - - y - - smtp -o smtp_tls_security_level=encrypt\n"}, want: "in clear"},
		"the name in the certificate is the DNS's": {files: map[string]string{"etc/postfix/main.cf": mainCF + "smtp_tls_verify_cert_match = hostname\nsmtp_cname_overrides_servername = yes\n"}, want: "the DNS chooses"},
		"so it is at level secure":                 {files: map[string]string{"etc/postfix/main.cf": mainCF + "smtp_tls_secure_cert_match = nexthop, hostname\n"}, edit: func(o *smarthost.Options) { o.Relay, o.TLS = "relay.example.net", "secure" }, want: "the DNS chooses"},
		"three words for root":                     {edit: func(o *smarthost.Options) { o.Root = "not an address" }, want: "neither a mail address"},
		"a command for root":                       {edit: func(o *smarthost.Options) { o.Root = "anna, |/bin/sh" }, want: "neither a mail address"},
		"a From: that is no address":               {edit: func(o *smarthost.Options) { o.From = "a b@example.net" }, want: "not a mail address"},
		"a service that opens the connection":      {files: map[string]string{"etc/postfix/master.cf": "smtp unix - - y - - smtp -o smtp_tls_security_level=may\n"}, want: "in clear"},
		"a password table that postmap would log":  {files: map[string]string{"etc/postfix/sasl_passwd": "\"x geheim\n"}, want: "line 1"},
		"another's password at a level without TLS": {
			files: map[string]string{"etc/postfix/main.cf": mainCF + "smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = hash:/q\n"},
			found: map[string]string{"relay.example.net hash:/q": "a:b"},
			edit:  func(o *smarthost.Options) { o.User, o.Password, o.TLS = "", "", "may" }, want: "in clear",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, f := lay(t, c.files)
			for k, v := range c.found {
				f.found[k] = v
			}
			before := sysroottest.Dump(t, d.Root.Dir(), true)
			o := options()
			if c.edit != nil {
				c.edit(&o)
			}
			_, err := smarthost.Set(context.Background(), d, primary, o)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "geheim") {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if after := sysroottest.Dump(t, d.Root.Dir(), true); fmt.Sprint(before) != fmt.Sprint(after) {
				t.Errorf("something was changed: %v", after)
			}
		})
	}
}

func canonical(typ, sender string) smarthost.Rewriting {
	return smarthost.Rewriting{Kind: "canonical", Type: typ, Rules: []smarthost.Rule{{Sender: sender, Address: "x@example.net"}}}
}

// A set that replaces another and is killed before its moment leaves the way back to the very first state.
func TestKilledBeforeTheMoment(t *testing.T) {
	d, f := lay(t, nil)
	set(t, d, options())
	o := options()
	o.Relay, o.TLS, o.Root, o.Rewrite.Address = "[other.example.net]:465", "secure", "x@y.example", "x@y.example"
	p, err := smarthost.Set(context.Background(), d, primary, o)
	if err != nil {
		t.Fatal(err)
	}
	f.die = "postalias"
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the kill did not happen")
			}
		}()
		_ = p.Apply(context.Background(), func(smarthost.Change) {})
	}()
	f.die = ""
	if got := value(t, d, "relayhost"); got != "[relay.example.net]:587" {
		t.Errorf("relayhost = %q after the kill", got)
	}
	ended(t, d)
	set(t, d, o)
	if got := value(t, d, "relayhost"); got != "[other.example.net]:465" {
		t.Errorf("relayhost = %q after the second try", got)
	}
	unset(t, d)
	if got := read(t, d, "/etc/postfix/main.cf"); !sameLines(got, mainCF) {
		t.Errorf("unset left\n%s", got)
	}
	if got := read(t, d, "/etc/aliases"); got != "postmaster: root\nroot: anna\n" {
		t.Errorf("the aliases are %q", got)
	}
}

// What a kill leaves goes with Recover, whatever is wished afterwards: no password lies around, and main.cf names lasting tables.
func TestRecover(t *testing.T) {
	const stage = "/etc/postfix/.postfix-maint"
	for name, leave := range map[string]func(t *testing.T, d smarthost.Deps) (main string){
		"after the moment": func(t *testing.T, d smarthost.Deps) string { // killed while it swept
			write(t, d, stage+"/sasl_passwd.db", secret)
			return read(t, d, "/etc/postfix/main.cf")
		},
		"at the first time": func(t *testing.T, d smarthost.Deps) string {
			if err := os.Mkdir(d.Root.Dir()+"/var/lib/postfix-maint/.postfix-maint-tmp.smarthost.AAAA", 0o700); err != nil {
				t.Fatal(err)
			}
			return read(t, d, "/etc/postfix/main.cf")
		},
		"at the end": func(t *testing.T, d smarthost.Deps) string {
			write(t, d, "/var/lib/postfix-maint/smarthost/.postfix-maint-tmp.postfix@-.json.AAAA", "{}")
			if err := os.Remove(d.Root.Dir() + stage); err != nil {
				t.Fatal(err)
			}
			return read(t, d, "/etc/postfix/main.cf")
		},
		"with the main.cf of a detour": func(t *testing.T, d smarthost.Deps) string { // which somebody had read, and wrote afterwards
			lasting := read(t, d, "/etc/postfix/main.cf")
			write(t, d, "/etc/postfix/main.cf", strings.ReplaceAll(lasting, "/etc/postfix/sasl_passwd", stage+"/sasl_passwd"))
			write(t, d, stage+"/sasl_passwd", secret)
			return lasting
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := lay(t, nil)
			set(t, d, options())
			before := sysroottest.Dump(t, d.Root.Dir(), false)
			if err := os.Mkdir(d.Root.Dir()+stage, 0o700); err != nil {
				t.Fatal(err)
			}
			main := leave(t, d)
			ended(t, d)
			if diff := gocmp.Diff(before, sysroottest.Dump(t, d.Root.Dir(), false)); diff != "" {
				t.Errorf("left:\n%s", diff)
			}
			if got := read(t, d, "/etc/postfix/main.cf"); got != main {
				t.Errorf("main.cf is\n%s", got)
			}
		})
	}
}

// A failure after tables were put in their places takes them away again.
func TestAFailureTakesTablesBack(t *testing.T) {
	d, _ := lay(t, map[string]string{"etc/postfix/sasl_passwd": "keep.example a:b\n", "etc/postfix/generic.db/": ""})
	before := sysroottest.Dump(t, d.Root.Dir(), false)
	p, err := smarthost.Set(context.Background(), d, primary, options())
	if err != nil {
		t.Fatal(err)
	}
	if err = p.Apply(context.Background(), func(smarthost.Change) {}); err == nil {
		t.Fatal("an index that is a directory is no error")
	}
	for name, what := range sysroottest.Dump(t, d.Root.Dir(), false) {
		if before[name] != what && !strings.HasPrefix(name, "var") {
			t.Errorf("%s is %q, was %q", name, what, before[name])
		}
	}
}

// Whatever program fails, the former settings stay in force, and nothing is left behind.
func TestAFailureLeavesTheFormerState(t *testing.T) {
	for _, fail := range []string{"hash:/etc/postfix/.postfix-maint/sasl_passwd", "hash:/etc/postfix/.postfix-maint/generic", "regexp:", "postalias"} {
		t.Run(fail, func(t *testing.T) {
			d, f := lay(t, map[string]string{"etc/postfix/sasl_passwd": "keep.example a:b\n"})
			before := sysroottest.Dump(t, d.Root.Dir(), false)
			p, err := smarthost.Set(context.Background(), d, primary, options())
			if err != nil {
				t.Fatal(err)
			}
			f.fail = fail
			err = p.Apply(context.Background(), func(smarthost.Change) {})
			if exit := (*run.ExitError)(nil); !errors.As(err, &exit) {
				t.Fatalf("the failure gives %v", err)
			}
			for name, what := range sysroottest.Dump(t, d.Root.Dir(), false) {
				if before[name] != what && !strings.HasPrefix(name, "var") {
					t.Errorf("%s is %q, was %q", name, what, before[name])
				}
			}
		})
	}
}
