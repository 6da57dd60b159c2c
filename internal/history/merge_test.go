package history

import (
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

// kept is what the history keeps of a change of a file.
func kept(t *testing.T, name, before, after string) File {
	t.Helper()
	root := sysroottest.New(t, map[string]string{strings.TrimPrefix(name, "/"): before})
	f, changed := NewLog(root, "test").file(sysroot.Change{Path: name, Seen: &sysroot.Seen{Data: []byte(before)}, New: []byte(after)}, nil)
	if !changed {
		t.Fatal("no change")
	}
	return f
}

func TestTakeBack(t *testing.T) {
	const mainCF, masterCF, table, aliases, mailname = "/etc/postfix/main.cf", "/etc/postfix/master.cf", "/etc/postfix/generic", "/etc/aliases", "/etc/mailname"
	for name, c := range map[string]struct {
		file, before, after, now, want string
		kept, lost                     string
	}{
		"untouched since":                          {mainCF, "# x\na = 1\nb=2", "# x\na = 3\nb=2\nc = 4\n", "# x\na = 3\nb=2\nc = 4\n", "# x\na = 1\nb=2", "", ""},
		"another parameter was edited, beside it":  {mainCF, "a = 1\nb = 2\n", "a = 3\nb = 2\n", "a = 3\nb = 9\n", "a = 1\nb = 9\n", "", ""},
		"one of two neighbours was edited":         {mainCF, "a = 1\nb = 2\n", "a = 3\nb = 4\n", "a = 3\nb = 9\n", "a = 1\nb = 9\n", "b", ""},
		"an added one was edited":                  {mainCF, "a = 1\n", "a = 1\nb = 2\n", "a = 1\nb = 9\n", "a = 1\nb = 9\n", "b", ""},
		"an added one was moved":                   {mainCF, "a = 1\n", "a = 1\nb = 2\n", "b = 2\na = 1\n", "a = 1\n", "", ""},
		"white space makes no edit":                {mainCF, "a = 1\nz = 0\n", "a = 2 3\nz = 0\n", "a=2\n   3\nz = 1\n", "a = 1\nz = 1\n", "", ""},
		"a removed one comes to its place":         {mainCF, "a = 1\n# b\nb = 2\nc = 3\n", "a = 1\n# b\nc = 3\n", "a = 1\n# b\nc = 9\n", "a = 1\n# b\nb = 2\nc = 9\n", "", ""},
		"a removed one was set by hand":            {mainCF, "a = 1\nb = 2\n", "a = 1\n", "a = 1\nb = 9\n", "a = 1\nb = 9\n", "b", ""},
		"taken back by hand":                       {mainCF, "a = 1\nb = 2\n", "a = 3\nb = 2\n", "a = 1\nb = 9\n", "a = 1\nb = 9\n", "", ""},
		"double definitions":                       {mainCF, "a = 1\nb = 2\na = 3\n", "b = 2\na = 4\n", "b = 9\na = 4\n", "a = 1\nb = 9\na = 3\n", "", ""},
		"continuation lines":                       {mainCF, "a = 1,\n # why\n 2\nb = 2\n", "a = 5\nb = 2\n", "a = 5\nb = 3\n", "a = 1,\n # why\n 2\nb = 3\n", "", ""},
		"no newline at the end, and one more line": {mainCF, "a = 1\nb = 2", "a = 1\nb = 3\n", "a = 1\nb = 3\nc = 4", "a = 1\nb = 2\nc = 4", "", ""},
		"a secret beside stays":                    {mainCF, "a = 1\nx_password = old\n", "a = 2\nx_password = old\n", "a = 2\nx_password = new\n", "a = 1\nx_password = new\n", "", ""},
		"a secret that changed":                    {mainCF, "a = 1\nx_password = old\n", "a = 2\nx_password = new\n", "a = 2\nx_password = new\n", "a = 1\nx_password = new\n", "", "x_password"},
		"a secret that was removed":                {mainCF, "a = 1\nx_password = old\n", "a = 2\n", "a = 2\n", "a = 1\n", "", "x_password"},
		"a secret by what is gone":                 {mainCF, "x_password = $d\nz = 1\n", "d = v\nz = 1\n", "d = v\nz = 1\n", "x_password = $d\nd = v\nz = 1\n", "", "d"},
		"a service":                                {masterCF, smtp("y"), smtp("n"), smtp("n") + "x unix - n n - - pipe\n", smtp("y") + "x unix - n n - - pipe\n", "", ""},
		"a service that was edited":                {masterCF, smtp("y"), smtp("n"), strings.Replace(smtp("n"), "smtpd", "postscreen", 1), strings.Replace(smtp("n"), "smtpd", "postscreen", 1), "smtp/inet", ""},
		"an alias":                                 {aliases, "root: a\n", "root: b\n", "root: b\nx: y\n", "root: a\nx: y\n", "", ""},
		"a line of a table":                        {table, "# a\nx y\n", "# a\nx y\nu v\n", "# b\nx y\nu v\n", "# b\nx y\n", "", ""},
		"a line that was edited":                   {mailname, "a.example\n", "b.example\n", "c.example\n", "c.example\n", "b.example", ""},
		"a line of a table goes on":                {table, "x y\n", "x y\nu v\n", "x y\nu v\n  w\n", "x y\nu v\n  w\n", "u v", ""},
		"the line before it does":                  {table, "x y\nu v\n", "x y\n", "x y\n  z\n", "u v\nx y\n  z\n", "", ""},
		"double definitions, moved about": {mainCF, "b = 0\na = 0\nx = 0\na = 0\na = 1\n", "a = 0\nb = 0\nx = 0\na = 0\na = 1\n",
			"c = 0\na = 0\nx = 0\na = 0\na = 1\nb = 0\n", "c = 0\na = 0\nx = 0\na = 0\na = 1\nb = 0\n", "a", ""},
		"a file that was removed": {mailname, "a.example\n", "b.example\n", "", "", "-", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := kept(t, c.file, c.before, c.after)
			if strings.Contains(string(f.Before)+string(f.After), "_password = o") || strings.Contains(string(f.After), "= new") {
				t.Errorf("a secret is kept: %q, %q", f.Before, f.After)
			}
			now := []byte(c.now)
			if c.kept == "-" {
				now, c.kept = nil, ""
				if out := f.takeBack(now, nil); out.text != nil || !slices.Equal(out.kept, []string{""}) {
					t.Errorf("takeBack = %q, %q", out.text, out.kept)
				}
				return
			}
			out := f.takeBack(now, nil)
			if string(out.text) != c.want || strings.Join(out.kept, ",") != c.kept || strings.Join(out.lost, ",") != c.lost {
				t.Errorf("takeBack = %q, kept %q, lost %q\nwant %q, %q, %q", out.text, out.kept, out.lost, c.want, c.kept, c.lost)
			}
		})
	}
}

func smtp(chroot string) string {
	return "# service\nsmtp inet n - " + chroot + " - - smtpd\npickup unix n - y 60 1 pickup\n"
}

func TestTakeBackOfWholeFiles(t *testing.T) {
	for name, c := range map[string]struct {
		f         File
		now, want string // "" is no file
		stays     bool
	}{
		"made and untouched":    {File{Path: "/x", Made: true, After: []byte("a\n")}, "a\n", "", false},
		"made and edited":       {File{Path: "/x", Made: true, After: []byte("a\n")}, "b\n", "b\n", true},
		"made and removed":      {File{Path: "/x", Made: true, After: []byte("a\n")}, "", "", false},
		"removed":               {File{Path: "/x", Gone: true, Before: []byte("a\n")}, "", "a\n", false},
		"removed and made anew": {File{Path: "/x", Gone: true, Before: []byte("a\n")}, "b\n", "b\n", true},
		"removed and back":      {File{Path: "/x", Gone: true, Before: []byte("a\n")}, "a\n", "a\n", false},
	} {
		out := c.f.takeBack(text([]byte(c.now), c.now == ""), nil)
		if (out.text == nil) != (c.want == "") || string(out.text) != c.want || (len(out.kept) > 0) != c.stays {
			t.Errorf("%s: takeBack = %q, %q", name, out.text, out.kept)
		}
	}
}
