package doctor

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
)

// healthy is a host with nothing to find.
func healthy(t *testing.T) *Facts {
	t.Helper()
	f := &Facts{Now: time.Unix(1_000_000_000, 0), Types: map[string]bool{"hash": true}, All: true}
	f.Instances = []Instance{{
		Instance: instance.Instance{Name: "-", ConfigDir: "/etc/postfix", QueueDir: "/q", Enabled: true},
		Unit:     "postfix@-.service", Load: "loaded", Active: "active", Master0: 1, OwnUnit: true, TLS: "may", Ends: time.Unix(1_100_000_000, 0), EndsFile: "/c",
		Tables: []Table{{Parameter: "alias_maps", File: "/etc/postfix/main.cf", Line: 3, Type: "hash", Path: "/etc/aliases", Text: true, Index: true, Indexed: true, Aliases: true}},
		Files:  []Named{{Parameter: "smtpd_tls_key_file", File: "/etc/postfix/main.cf", Line: 4, Path: "/k", Secret: true}},
		Free:   Space{Known: true, Bytes: 1 << 40, Inodes: 1 << 20, Need: 1 << 20},
	}}
	set(t, f, "myhostname = mx.example.com\n")
	return f
}

type breaks func(f *Facts, i *Instance)

// broken is a case of a row.
type broken struct {
	do    breaks
	place string
	words string // a part of what is to be done
}

// set gives the instance a main.cf.
func set(t *testing.T, f *Facts, text string) {
	t.Helper()
	var err error
	if f.Instances[0].Main, err = maincf.Parse([]byte(text)); err != nil {
		t.Fatal(err)
	}
	setMaster(t, f, "")
}

// setMaster gives it a master.cf: services of the network in the second and third line, the others, and from the twelfth line on more.
func setMaster(t *testing.T, f *Facts, more string) {
	t.Helper()
	text := "# services\nsmtp inet n - y - - smtpd\n2525 inet n - y - - smtpd\n"
	for _, name := range append(slices.Clone(basic), "tlsmgr") {
		if name != "qmgr" {
			text += name + " unix n - y - - " + name + "\n"
		}
	}
	var err error
	if f.Instances[0].Master, err = mastercf.Parse([]byte(text + "qmgr unix n - n - 1 qmgr\n" + more)); err != nil {
		t.Fatal(err)
	}
}

// Each row finds what is broken, at its place, and no other row says anything.
func TestChecks(t *testing.T) {

	table := func(change func(t *Table)) breaks { return func(_ *Facts, i *Instance) { change(&i.Tables[0]) } }
	text := func(text string) breaks { return func(f *Facts, _ *Instance) { set(t, f, text) } }
	warns := func(text string) breaks { return func(_ *Facts, i *Instance) { i.Warnings = []string{text} } }
	cases := map[string]broken{
		"unit-failed":  {func(_ *Facts, i *Instance) { i.Active, i.Master0 = "failed", 0 }, "", "systemctl restart postfix@-.service"},
		"unit-masked":  {func(_ *Facts, i *Instance) { i.Load, i.Active, i.Master0 = "masked", "inactive", 0 }, "", "unmask"},
		"not-running":  {func(_ *Facts, i *Instance) { i.Active, i.Master0 = "inactive", 0 }, "", "systemctl start"},
		"outside-unit": {func(_ *Facts, i *Instance) { i.Active, i.OwnUnit = "inactive", false }, "", "stop"},
		"port-taken": {func(_ *Facts, i *Instance) {
			i.Missing, i.Taken = []string{"0.0.0.0:25"}, []string{"0.0.0.0:25 by /usr/sbin/exim4"}
		}, master + ":2", "stop"},
		"not-listening":     {func(_ *Facts, i *Instance) { i.Missing = []string{"0.0.0.0:2525"} }, master + ":3", "restart"},
		"units-changed":     {func(_ *Facts, i *Instance) { i.NeedReload = true }, "", "daemon-reload"},
		"instance-conflict": {func(_ *Facts, i *Instance) { i.Conflicts = []string{"its service"} }, main, "another address"},
		"instance-unusable": {func(f *Facts, _ *Instance) {
			f.Unusable = []string{"cannot"}
			set(t, f, "x = y\nmulti_instance_directories = /z\n")
		}, main + ":2", "take it out"},
		"main-unreadable":    {func(_ *Facts, i *Instance) { i.Main, i.MainErr, i.Refused = nil, "cannot read line 7: no", "no" }, main + ":7", "line"},
		"master-unreadable":  {func(_ *Facts, i *Instance) { i.Master, i.MasterErr, i.Refused = nil, "cannot read line 8: no", "no" }, master + ":8", "line"},
		"postfix-refuses":    {func(_ *Facts, i *Instance) { i.Refused = "bad value: myhostname" }, main + ":1", "put right"},
		"parameter-unused":   {warns("/etc/postfix/main.cf: unused parameter: myhostname=x"), main + ":1", "correct"},
		"parameter-twice":    {warns("/etc/postfix/main.cf, line 9: overriding earlier entry: a=b"), main + ":9", "take out"},
		"not-reloaded":       {func(_ *Facts, i *Instance) { i.Edited = true }, main, "reload postfix@-.service"},
		"writable-by-others": {func(_ *Facts, i *Instance) { i.Others = []Other{{master, "/etc", "chmod it", 0o002}} }, master, "chmod it"},
		"outdated-setting": {func(_ *Facts, i *Instance) {
			i.Outdated = []Outdated{{Name: "n", File: main, Line: 5, Setting: "s", Reason: "r", Offer: "o"}}
		}, main + ":5", "--fix n"},
		"name-not-full":      {text("a = b\nmyhostname = box.localdomain\n"), main + ":2", "full name"},
		"table-type-missing": {table(func(t *Table) { t.Type, t.Indexed = "pcre", false }), main + ":3", "apt install postfix-pcre"},
		"table-missing":      {table(func(t *Table) { t.Text, t.Index = false, false }), main + ":3", "make the file"},
		"index-missing":      {table(func(t *Table) { t.Index, t.Aliases = false, false }), main + ":3", "postalias hash:/etc/aliases"},
		"index-old":          {table(func(t *Table) { t.Old = true }), main + ":3", "newaliases"},
		"root-mail":          {func(_ *Facts, i *Instance) { i.Root, i.Aliases = []string{"joe"}, "/etc/aliases" }, "/etc/aliases", "newaliases"},
		"chroot-stale":       {func(_ *Facts, i *Instance) { i.Missed = []string{"etc/a", "b", "c", "d", "e", "f", "g"} }, "/q", "chroot sync"},
		"chroot-unreachable": {func(_ *Facts, i *Instance) { i.Unreach = []string{`smtp cannot reach "/x"`} }, "", "chroot check"},
		"certificate-ended":  {func(f *Facts, i *Instance) { i.Ends = f.Now }, "/c", "renew"},
		"certificate-ends":   {func(f *Facts, i *Instance) { i.Ends = f.Now.Add(13 * 24 * time.Hour) }, "/c", "renew"},
		"file-missing":       {func(_ *Facts, i *Instance) { i.Files[0].Missing = true }, main + ":4", "put the file"},
		"secret-readable":    {func(_ *Facts, i *Instance) { i.Files[0].Readable = true }, main + ":4", "chmod o= /k"},
		"login-without-tls":  {text("smtpd_sasl_auth_enable = yes\n"), main + ":1", "smtpd_tls_auth_only"},
		"relay-login-without-tls": {text("relayhost = [r]\nsmtp_sasl_auth_enable = yes\nsmtp_sasl_security_options = noanonymous\nsmtp_tls_security_level = may\n" +
			"smtp_sasl_password_maps = static:x\n"),
			main + ":2", "--tls verify"},
		"sender-login-missing": {func(f *Facts, i *Instance) {
			set(t, f, "smtp_sasl_password_maps = hash:/x\n")
			i.NoLogin = []string{"me@example.org"}
		}, main + ":1", "--sender me@example.org"},
		"relay-login": {func(f *Facts, i *Instance) {
			set(t, f, "relayhost = [127.0.0.1]:914\nsmtp_sasl_auth_enable = yes\nsmtp_sasl_security_options = noanonymous\nsmtp_tls_security_level = may\n"+
				"smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd\n")
			i.RelayLogin, i.RelayCure = "the login was revoked", "log in again"
		}, main + ":1", "log in again"},
		"relay-name":        {func(f *Facts, i *Instance) { set(t, f, "relayhost = r\n"); i.RelayNotes = []string{"write it"} }, main + ":1", "as it says"},
		"disk-full":         {func(_ *Facts, i *Instance) { i.Free.Bytes = 5 }, "/q", "make room"},
		"inodes-full":       {func(_ *Facts, i *Instance) { i.Free.Inodes = 5 }, "/q", "remove"},
		"queue-owner":       {func(_ *Facts, i *Instance) { i.Owners = []Owned{{Dir: "/q/active", What: "/q/active belongs to 0"}} }, "/q", "set-permissions"},
		"corrupt-mail":      {func(_ *Facts, i *Instance) { i.Corrupt = 1 }, "/q/corrupt", "postcat"},
		"work-interrupted":  {func(f *Facts, _ *Instance) { f.Work = []string{"/w"} }, "/w", "ends it"},
		"conffile-question": {func(f *Facts, _ *Instance) { f.Leftovers = []string{"/etc/postfix/main.cf.dpkg-dist"} }, "/etc/postfix/main.cf.dpkg-dist", "take over"},
	}
	maps.Copy(cases, laterCases(t))
	maps.Copy(cases, onlineCases())
	ids := map[string]bool{}
	for _, c := range Checks() {
		if ids[c.ID] || c.Why == "" || c.Do == "" || c.Title == "" || rank(c.Bad) < 0 {
			t.Errorf("%s stands there twice, or not whole", c.ID)
		}
		ids[c.ID] = true
		tc, there := cases[c.ID]
		if !there {
			t.Errorf("%s has no case", c.ID)
			continue
		}
		f := healthy(t)
		tc.do(f, &f.Instances[0])
		r := Run(f, false)
		if len(r.Findings) != 1 || r.Findings[0].ID != c.ID || r.Findings[0].Place() != tc.place || !strings.Contains(r.Findings[0].Do, tc.words) {
			t.Errorf("%s: found %+v, want it at %q", c.ID, r.Findings, tc.place)
		}
		if r = Run(f, true); (len(r.Findings) == 1) != c.Gate {
			t.Errorf("%s: the gate finds %+v", c.ID, r.Findings)
		}
		text := Run(f, false).Text()
		for line := range strings.Lines(text) {
			if utf8.RuneCountInString(line) > width+1 {
				t.Errorf("%s: too wide: %q", c.ID, line)
			}
		}
		if !strings.Contains(text, "("+c.ID+")") {
			t.Errorf("%s: %s", c.ID, text)
		}
	}
	for id := range cases {
		if !ids[id] {
			t.Errorf("a case of no row: %s", id)
		}
	}
}

func TestHealthy(t *testing.T) {
	r := Run(healthy(t), false)
	if got := r.Text(); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, "healthy: nothing found by ") || !strings.HasSuffix(got, " checks of 1 instance\n") {
		t.Errorf("it says %q", got)
	}
	r.Unseen = []string{"a"}
	if got := r.Text(); strings.Contains(got, "healthy") {
		t.Errorf("not all was seen, and it says %q", got)
	}
	for what, change := range map[string]func(f *Facts, i *Instance){
		"no systemd":           func(_ *Facts, i *Instance) { i.Load, i.Active, i.OwnUnit = "", "", false },
		"disabled and stopped": func(_ *Facts, i *Instance) { i.Enabled, i.Active, i.Master0 = false, "inactive", 0 },
		"stopped, so not listening": func(_ *Facts, i *Instance) {
			i.Enabled, i.Active, i.Master0, i.Missing = false, "inactive", 0, []string{"0.0.0.0:25"}
		},
		"no TLS, an old file":      func(_ *Facts, i *Instance) { i.TLS, i.Ends = "", time.Unix(1, 0) },
		"a relay":                  func(f *Facts, _ *Instance) { set(t, f, "relayhost = r\nmyhostname = box\n") },
		"nothing goes out":         func(f *Facts, _ *Instance) { set(t, f, "default_transport = error\nmyhostname = box\n") },
		"login with TLS":           func(f *Facts, _ *Instance) { set(t, f, "smtpd_sasl_auth_enable = yes\nsmtpd_tls_auth_only = yes\n") },
		"a file system like btrfs": func(_ *Facts, i *Instance) { i.Free.Inodes, i.Free.NoInodes = 0, true },
		"postmap knows no types":   func(f *Facts, i *Instance) { f.Types = nil },
		"a public certificate":     func(_ *Facts, i *Instance) { i.Files[0].Secret, i.Files[0].Readable = false, true },
	} {
		f := healthy(t)
		change(f, &f.Instances[0])
		if r := Run(f, false); len(r.Findings) > 0 {
			t.Errorf("%s: %+v", what, r.Findings)
		}
	}
}
