package setup

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
	"postfix-maint/internal/sysroot/sysroottest"
)

// asked notes what Postfix is asked; what is in it fails.
type asked struct {
	fails []string
	calls []string
}

func (a *asked) OnTerminal(_ context.Context, name string, args ...string) error {
	call := filepath.Base(name) + " " + args[len(args)-1]
	a.calls = append(a.calls, call)
	if slices.Contains(a.fails, call) {
		return &run.ExitError{Args: []string{name}, Code: 1, Stderr: "postfix: fatal: no"}
	}
	return nil
}

// sane is an instance that has all that Postfix's check looks for.
var sane = map[string]string{
	"etc/postfix/main.cf":   "compatibility_level = 3.6\nmyhostname = a.example\nhtml_directory = no\nmailq_path = /usr/bin/mailq\n",
	"etc/postfix/master.cf": "smtp inet n - n - - smtpd\n",
	"etc/postfix/postfix-files": "# comment\n$config_directory:d:root:-:755:u\n$data_directory:d:$mail_owner:-:700:uc\n" +
		"$queue_directory/hold:d:$mail_owner:-:700:ucr\n$daemon_directory/nothing:f:root:-:755\n",
	"etc/postfix/postfix-files.d/more": "$queue_directory/more:d:$mail_owner:-:700:uc\n",
	"usr/lib/postfix/sbin/master":      "", "usr/sbin/": "", "var/lib/postfix/": "",
	"var/spool/postfix/hold/": "", "var/spool/postfix/more/": "",
}

// Postfix's own check is made where its answer cannot be told, and nowhere else: it decides then.
func TestPostfixsCheckIsAskedOnlyWhereItsAnswerIsOpen(t *testing.T) {
	t.Parallel()
	const known = "postsuper /etc/postfix"
	for name, c := range map[string]struct {
		over  map[string]string // files that are otherwise; "-" is not there
		fails []string
		calls []string
		bad   bool
	}{
		"all in order":                            {calls: []string{known}},
		"the queue or main.cf is not":             {fails: []string{known}, calls: []string{known, "postfix check-fatal"}},
		"nothing is":                              {fails: []string{known, "postfix check-fatal", "postfix check"}, calls: []string{known, "postfix check-fatal", "postfix check"}, bad: true},
		"a directory to be made":                  {over: map[string]string{"var/spool/postfix/hold/": "-"}},
		"a directory to be made of a module":      {over: map[string]string{"var/spool/postfix/more/": "-"}},
		"a file in its place":                     {over: map[string]string{"var/spool/postfix/hold/": "-", "var/spool/postfix/hold": "x"}},
		"no list of them":                         {over: map[string]string{"etc/postfix/postfix-files": "-"}},
		"no master.cf":                            {over: map[string]string{"etc/postfix/master.cf": "-"}},
		"no master":                               {over: map[string]string{"usr/lib/postfix/sbin/master": "-", "usr/lib/postfix/sbin/": ""}},
		"no main.cf":                              {over: map[string]string{"etc/postfix/main.cf": "-"}},
		"a path that does not begin with a slash": {over: map[string]string{"etc/postfix/main.cf": "mailq_path = mailq\n"}},
		"a blank path":                            {over: map[string]string{"etc/postfix/main.cf": "html_directory =\n"}},
		"no manual pages":                         {over: map[string]string{"etc/postfix/main.cf": "manpage_directory = no\n"}},
		"no such directory":                       {over: map[string]string{"etc/postfix/main.cf": "meta_directory = /srv\n"}},
		"a log of its own":                        {over: map[string]string{"etc/postfix/main.cf": "maillog_file = /var/log/mail\n"}},
		"somebody else's domain":                  {over: map[string]string{"etc/postfix/main.cf": "myorigin = debian.org\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := maps.Clone(sane)
			maps.Copy(files, c.over)
			maps.DeleteFunc(files, func(_, text string) bool { return text == "-" })
			if c.calls == nil {
				c.calls = []string{"postfix check-fatal"}
			}
			ask := &asked{fails: c.fails}
			if err := check(context.Background(), ask, sysroottest.New(t, files), paths.ConfigDir); (err != nil) != c.bad {
				t.Error(err)
			}
			if !slices.Equal(ask.calls, c.calls) {
				t.Errorf("Postfix is asked %q, want %q", ask.calls, c.calls)
			}
		})
	}
}

// A start without a second check is only asked of Postfix where nobody but root could ask for one, and for no other start.
func TestQuickStart(t *testing.T) {
	t.Parallel()
	sysroottest.NeedsRoot(t)
	root := sysroottest.New(t, sane)
	queue := filepath.Join(root.Dir(), paths.QueueDir)
	for mode, want := range map[os.FileMode]string{0o755: "quick-start", 0o777: ""} {
		if err := os.Chmod(queue, mode); err != nil {
			t.Fatal(err)
		}
		done := quick(root, paths.ConfigDir)
		if found, _ := filepath.Glob(queue + "/quick-start"); (want != "") != (len(found) == 1) {
			t.Errorf("in a queue of mode %o there is %q, want %q", mode, found, want)
		}
		done()
		if names, _ := os.ReadDir(queue); len(names) != 2 {
			t.Errorf("left in the queue: %v", names)
		}
	}
}
