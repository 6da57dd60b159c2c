package mastercf

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const sample = `# service type  private unpriv  chroot  wakeup  maxproc command
smtp      inet  n       -       y       -       -       smtpd
#smtps    inet  n       -       y       -       -       smtpd
submission inet n -
# a comment between
   n - - smtpd
  -o syslog_name=postfix/submission
  -o { smtpd_client_restrictions = permit_mynetworks, reject }
tlsmgr    unix  -       -       -       1000?   1       tlsmgr
maildrop	unix	-	n	n	-	-	pipe flags=DRXhu user=vmail argv={/bin/x y} {a b}
`

func mustParse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestServices(t *testing.T) {
	want := []Service{
		{Name: "smtp", Type: "inet", Private: "n", Unpriv: "-", Chroot: "y", Wakeup: "-", MaxProc: "-", Command: "smtpd", Line: 2},
		{Name: "submission", Type: "inet", Private: "n", Unpriv: "-", Chroot: "n", Wakeup: "-", MaxProc: "-", Command: "smtpd", Line: 4,
			Args: []string{"-o", "syslog_name=postfix/submission", "-o", "smtpd_client_restrictions=permit_mynetworks, reject"}},
		{Name: "tlsmgr", Type: "unix", Private: "-", Unpriv: "-", Chroot: "-", Wakeup: "1000?", MaxProc: "1", Command: "tlsmgr", Line: 9},
		{Name: "maildrop", Type: "unix", Private: "-", Unpriv: "n", Chroot: "n", Wakeup: "-", MaxProc: "-", Command: "pipe", Line: 10,
			Args: []string{"flags=DRXhu", "user=vmail", "argv={/bin/x y}", "a b"}},
	}
	f := mustParse(t, sample)
	if diff := cmp.Diff(want, f.Services()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if string(f.Bytes()) != sample {
		t.Errorf("Bytes() = %q", f.Bytes())
	}
}

func TestArguments(t *testing.T) {
	for text, want := range map[string][]string{
		"":                       nil,
		"-v":                     {"-v"},
		"-o a=b":                 {"-o", "a=b"},
		"-oa=b":                  {"-o", "a=b"},
		"-osyslog_name=x":        {"-o", "syslog_name=x"}, // postconf -M cuts it at the second "o", the daemons do not
		"-vo a=b":                {"-v", "-o", "a=b"},
		"-o { a = b c }":         {"-o", "a=b c"},
		"-o {a={b c}}":           {"-o", "a={b c}"},
		"-o {a = }":              {"-o", "a="},
		"-o":                     {"-o"},
		"-o word":                {"-o", "word"},
		"x -o { a = b }":         {"x", "-o", "a = b"},
		"-- -o {a b}":            {"--", "-o", "a b"},
		"-o { a = b":             {"-o", "{ a=b"},
		"{a b}c {d}":             {"{a b}c", "d"},
		"flags=x argv=/y ${z} {": {"flags=x", "argv=/y", "${z}", "{"},
		"- -":                    {"-", "-"},
	} {
		f := mustParse(t, "a unix - - - - - b "+text+"\n")
		if diff := cmp.Diff(want, f.Services()[0].Args); diff != "" {
			t.Errorf("%q: -want +got:\n%s", text, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"seven fields":          {"# x\nsmtp inet n - y - -\n", "cannot read line 2: a service needs 8 fields, this one has 7"},
		"an unknown type":       {"smtp tcp n - y - - smtpd\n", `cannot read line 1: "tcp" is not a service type`},
		"a bad private field":   {"smtp inet x - y - - smtpd\n", `cannot read line 1: the private field is "x", not y, n or -`},
		"a bad unpriv field":    {"smtp inet n yes y - - smtpd\n", `cannot read line 1: the unpriv field is "yes", not y, n or -`},
		"a bad chroot field":    {"smtp inet n - Y - - smtpd\n", `cannot read line 1: the chroot field is "Y", not y, n or -`},
		"a bad wake-up time":    {"smtp inet n - y 1?? - smtpd\n", `cannot read line 1: "1??" is not a wake-up time`},
		"a bad process limit":   {"smtp inet n - y - -1 smtpd\n", `cannot read line 1: "-1" is not a process limit`},
		"a bad second service":  {"a unix n - y - - b\n -o x=y\n# z\nb unix\n n\n", "cannot read line 4: a service needs 8 fields, this one has 3"},
		"a null byte in a line": {"a unix n - y - - b\x00\n", "cannot read line 1: it holds a null byte"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse([]byte(c.text)); err == nil || err.Error() != c.want {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

func TestSetChroot(t *testing.T) {
	for name, c := range map[string]struct {
		service   string
		on        bool
		old, want string // what changes in sample
	}{
		"off":                         {"smtp/inet", false, "inet  n       -       y       -       -       smtpd\n#", "inet  n       -       n       -       -       smtpd\n#"},
		"on already":                  {"smtp/inet", true, "", ""},
		"the field in another line":   {"submission/inet", true, "   n - -", "   y - -"},
		"a default made explicit":     {"tlsmgr/unix", false, "-       1000?", "n       1000?"},
		"tabs stay":                   {"maildrop/unix", true, "-	n	n	-", "-	n	y	-"},
		"a default made explicit, on": {"tlsmgr/unix", true, "-       1000?", "y       1000?"},
	} {
		t.Run(name, func(t *testing.T) {
			f := mustParse(t, sample)
			n, typ, _ := strings.Cut(c.service, "/")
			want := strings.Replace(sample, c.old, c.want, 1)
			for _, wantChange := range []bool{want != sample, false} {
				changed, err := f.SetChroot(n, typ, c.on)
				if err != nil || changed != wantChange {
					t.Fatalf("changed %t, want %t, error %v", changed, wantChange, err)
				}
				if diff := cmp.Diff(want, string(f.Bytes())); diff != "" {
					t.Fatalf("-want +got:\n%s", diff)
				}
			}
			if diff := cmp.Diff(mustParse(t, want).Services(), f.Services()); diff != "" {
				t.Errorf("Services(): -want +got:\n%s", diff)
			}
		})
	}
	f := mustParse(t, sample)
	if _, err := f.SetChroot("smtp", "unix", true); err == nil || err.Error() != "cannot set chroot of smtp/unix: no such service in master.cf" {
		t.Errorf("error %v", err)
	}
}

func TestAddService(t *testing.T) {
	const line = "postlog   unix-dgram n -  n       -       1       postlogd"
	for name, c := range map[string]struct{ before, line, want string }{
		"at the end":                 {sample, line + "\n", sample + line + "\n"},
		"a missing newline mended":   {strings.TrimSuffix(sample, "\n"), line, sample + line + "\n"},
		"into an empty file":         {"", line, line + "\n"},
		"with continuation lines":    {"# x\n", line + "\n  -o a=b\n  -v", "# x\n" + line + "\n  -o a=b\n  -v\n"},
		"the same name as a comment": {"#" + line + "\n", line, "#" + line + "\n" + line + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := mustParse(t, c.before)
			before := len(f.Services())
			if err := f.AddService(c.line); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(f.Bytes())); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if all := f.Services(); len(all) != before+1 || all[before].Command != "postlogd" {
				t.Errorf("Services() = %+v", all)
			}
		})
	}
}

func TestAddServiceRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"smtp inet n - n - - smtpd":              "cannot add smtp/inet to master.cf: line 2 has it already",
		"x unix n":                               `cannot add "x unix n" to master.cf: cannot read line 1: a service needs 8 fields, this one has 3`,
		"":                                       `cannot add "" to master.cf: it is not one service`,
		"# x":                                    `cannot add "# x" to master.cf: it is not one service`,
		"  x unix - - - - - y":                   `cannot add "  x unix - - - - - y" to master.cf: it is not one service`,
		"x unix - - - - - y\nz unix - - - - - y": `cannot add "x unix - - - - - y\nz unix - - - - - y" to master.cf: it is not one service`,
		" q\nx unix - - - - - y":                 `cannot add " q\nx unix - - - - - y" to master.cf: it is not one service`,
	} {
		f := mustParse(t, sample)
		if err := f.AddService(line); err == nil || err.Error() != want || string(f.Bytes()) != sample {
			t.Errorf("AddService(%q): %v, want %s", line, err, want)
		}
	}
}

func TestChrooted(t *testing.T) {
	for _, c := range []struct {
		field, compat string
		want          bool
	}{
		{"y", "3.6", true}, {"y", "", true}, {"n", "0", false}, {"n", "", false},
		{"-", "", true}, {"-", "0", true}, {"-", "0.9", true}, {"-", "1", false}, {"-", "2", false}, {"-", "3.6", false},
		{"-", "3.10", false}, {"-", "10", false}, {"-", "x", true},
	} {
		if got := (Service{Chroot: c.field}).Chrooted(c.compat); got != c.want {
			t.Errorf("chroot %q at level %q: %t", c.field, c.compat, got)
		}
	}
}

func TestOption(t *testing.T) {
	s := mustParse(t, "a unix - - - - - b -v -o x=1 -o { y = 2 3 } -ox=4 -o z= w -o x=5\n").Services()[0]
	for name, want := range map[string]string{"x": "4", "y": "2 3", "z": ""} {
		if got, ok := s.Option(name); !ok || got != want {
			t.Errorf("Option(%q) = %q, %t, want %q", name, got, ok, want)
		}
	}
	if _, ok := s.Option("w"); ok {
		t.Error("an argument was taken for an option")
	}
}
