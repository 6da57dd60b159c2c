package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"postfix-maint/internal/doctor"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

// --fix by itself is for all that is safe, with an identifier for that; nothing else is understood, and it ends in 2 before anything is done.
func TestFixIsUnderstood(t *testing.T) {
	for args, want := range map[string]struct {
		code int
		ran  string
		said string
	}{
		"":                                {0, "doctor", ""},
		"--fix":                           {0, "doctor --fix", ""},
		"x --fix":                         {0, "doctor --fix", ""},
		"--fix x":                         {0, "doctor --fix", ""},
		"--fix=index-old":                 {0, "doctor --fix", ""},
		"--fix=index-old --fix":           {0, "doctor --fix", ""},
		"--fix=index-old,chroot-stale":    {0, "doctor --fix", ""},
		"--fix --dry-run":                 {0, "doctor --fix", ""},
		"--dry-run":                       {2, "", "--dry-run belongs to --fix"},
		"--detailed-exitcode":             {2, "", "--detailed-exitcode belongs to --fix"},
		"--fix --detailed-exitcode":       {0, "doctor --fix", ""},
		"--online --gate":                 {2, "", "--online does not go with it"},
		"--online --fix":                  {0, "doctor --fix", ""},
		"--online":                        {0, "doctor", ""},
		"--fix --gate":                    {2, "", "--fix does not go with it"},
		"--fix=index-odl":                 {2, "", "there is no repair \"index-odl\"; did you mean --fix=index-old?; those that there are: "},
		"--fix=nonsense":                  {2, "", "those that there are: unit-failed, "},
		"--fix=index-old,":                {2, "", "there is no repair \"\""},
		"--fix=":                          {2, "", "empty"},
		"--fix=disk-full":                 {2, "", "nothing of ours mends \"disk-full\""},
		"--fix index-old":                 {2, "", "--fix=index-old mends that alone"},
		"--fix=index-old index-old --fix": {2, "", "is no instance"},
	} {
		rows := table()
		ran := ""
		for i := range rows {
			rows[i].who, rows[i].locks = anybody, false
			if rows[i].do != nil {
				rows[i].do = func(_ context.Context, c *call) error { ran = c.words; return nil }
			}
		}
		var errs strings.Builder
		code := executeRows(t.Context(), rows, append([]string{"postfix-maint", "doctor"}, strings.Fields(args)...), os.Stdout, &errs)
		if code != want.code || ran != want.ran || !strings.Contains(errs.String(), want.said) || (errs.Len() == 0) != (code == 0) {
			t.Errorf("doctor %s: %d, ran %q, said %q", args, code, ran, errs.String())
		}
	}
}

// brokenHost has what can be mended without a running system.
func brokenHost(t *testing.T) *sysroot.Root {
	services := masterCF
	for _, name := range strings.Fields("cleanup qmgr rewrite bounce defer error retry tlsmgr") {
		services += name + " unix n - n - - " + name + "\n"
	}
	root := sysroottest.New(t, map[string]string{
		"etc/postfix/main.cf": "compatibility_level = 3.6\nmyhostname = a.example\n# kept\nmydestination = one\nmydestination = two\n" +
			"milter_protocol = 2\nsmtpd_tls_security_level = may\nsmtpd_sasl_auth_enable = yes\nalias_maps = hash:/etc/aliases\n" +
			"alias_database = hash:/etc/aliases\nvirtual_alias_maps = hash:/etc/postfix/virtual\n",
		"etc/postfix/master.cf": services, "etc/postfix/virtual": "a b\n", "etc/aliases": "root: postmaster\n",
		"etc/passwd": "root:x:0:0::/root:/bin/sh\npostfix:x:101:101::/:/bin/false\n", "etc/hosts": "127.0.0.1 localhost\n",
		"var/spool/postfix/active/": "", "dev/log": "", "run/": "", "var/mail/": "",
	})
	return root
}

func read(t *testing.T, root *sysroot.Root, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root.Dir(), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Looking and a dry run write nothing; what is mended is what was chosen, and is not found again.
func TestDoctorMends(t *testing.T) {
	needsRoot(t)
	root := brokenHost(t)
	t.Setenv("DPKG_ROOT", root.Dir())
	main := read(t, root, "etc/postfix/main.cf")
	made := func() (n int) {
		for _, name := range []string{"etc/aliases.db", "etc/postfix/virtual.db"} {
			if there, _ := root.Exists("/" + name); there {
				n++
			}
		}
		return n
	}
	ask := func(args string, want, not []string) {
		t.Helper()
		code, out, errs := runOn(t, root, args)
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%s: nothing of %q in\n%s%s", args, w, out, errs)
			}
		}
		for _, w := range not {
			if strings.Contains(out, w) {
				t.Errorf("%s: %q is in\n%s%s", args, w, out, errs)
			}
		}
		if code != 1 || !strings.Contains(errs, "findings: ") {
			t.Errorf("%s: %d, %s", args, code, errs)
		}
	}
	steps := []string{"make /etc/aliases.db anew: postalias hash:/etc/aliases\n", "make /etc/postfix/virtual.db anew: postmap hash:/etc/postfix/virtual\n",
		"chown postfix /var/spool/postfix/active (it was root's)\n"}
	ask("doctor", []string{"(index-missing)", "fix   \"postfix-maint doctor --fix\"\n"}, append(steps, "mended"))
	ask("doctor --fix --dry-run", append(steps, "(index-missing)"), []string{"mended", "@@"})
	if now := read(t, root, "etc/postfix/main.cf"); now != main || made() != 0 {
		t.Errorf("%d indexes, main.cf:\n%s", made(), now)
	}
	ask("doctor --fix", append(steps, "mended: index-missing: a lookup table has no index\n", "mended: queue-owner: a directory of the queue has a wrong owner\n",
		"(outdated-setting)"), []string{"has none", "@@"})
	if now := read(t, root, "etc/postfix/main.cf"); now != main || made() != 2 {
		t.Errorf("%d indexes, main.cf:\n%s", made(), now)
	}
	ask("doctor --fix --json", []string{"\"fixable_by\": \"id\""}, []string{"\"fixed\": true", "repairs"})
	ask("doctor --fix=outdated-setting", []string{"-milter_protocol = 2\n", "mended: outdated-setting: an outdated setting\n", "(login-without-tls)"},
		[]string{"smtpd_tls_auth_only = yes"})
	code, out, errs := runOn(t, root, "doctor --json --fix=login-without-tls")
	if code != 2 || !strings.Contains(out, "\"fixed\": true") || !strings.Contains(out, "+smtpd_tls_auth_only = yes") || !strings.Contains(errs, "cannot look at everything") {
		t.Errorf("%d: %s%s", code, out, errs) // there is no Postfix to ask
	}
	want := strings.Replace(main, "milter_protocol = 2\n", "", 1) + "smtpd_tls_auth_only = yes\n"
	if now := read(t, root, "etc/postfix/main.cf"); now != want {
		t.Errorf("main.cf is now:\n%s", now)
	}
}

// An edit is loaded, but never together with those of somebody else.
func TestMendingLoads(t *testing.T) {
	for what, c := range map[string]struct {
		i     doctor.Instance
		dirs  []string
		shown string
		said  bool
	}{
		"its own":               {doctor.Instance{Master0: 1}, []string{"/c"}, "systemctl reload u", false},
		"with somebody else's":  {doctor.Instance{Master0: 1, Edited: true}, []string{"/c"}, "", true},
		"nothing runs":          {doctor.Instance{}, []string{"/c"}, "", false},
		"of another instance":   {doctor.Instance{Master0: 1}, []string{"/d"}, "", false},
		"nothing was edited":    {doctor.Instance{Master0: 1}, nil, "", false},
		"others' edits, no own": {doctor.Instance{Master0: 1, Edited: true}, nil, "", false},
	} {
		c.i.ConfigDir, c.i.Unit = "/c", "u"
		var stdout, stderr strings.Builder
		set := flag.NewFlagSet("", flag.ContinueOnError)
		set.Bool("dry-run", true, "")
		m := mending{c: &call{Context: cli.NewContext(nil, set, nil), stdout: &stdout, stderr: &stderr}, facts: &doctor.Facts{Instances: []doctor.Instance{c.i}}, edited: c.dirs}
		if err := m.reload(t.Context()); err != nil || strings.TrimSpace(stdout.String()) != c.shown || strings.Contains(stderr.String(), "--fix=not-reloaded") != c.said {
			t.Errorf("%s: %v, %q, %q", what, err, stdout.String(), stderr.String())
		}
	}
}
