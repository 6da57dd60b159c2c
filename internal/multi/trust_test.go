package multi

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/sysroot"
)

// owned is the tree of a fake host with its owners.
func owned(f *fake) map[string]string {
	f.t.Helper()
	all := f.tree()
	for name := range all {
		fi, err := os.Lstat(f.path(name))
		if err != nil {
			f.t.Fatal(err)
		}
		uid, gid := sysroot.Owner(fi)
		all[name] += fmt.Sprintf(" %d:%d", uid, gid)
	}
	return all
}

// Root gives owners and modes to directories by their names: where another account makes the names, it would choose whose.
func TestCreateWhereOthersMakeNamesNeedsRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root: directories of other owners are made")
	}
	const no = ", which belongs to the account 1000, not to root (chown root)"
	there := map[string]string{
		"etc/victim/keep": "", "srv/q/": "", "srv/theirs/q/": "", "srv/theirs/etc/": "",
		"srv/linked/maildrop": "-> /etc/victim", "srv/file/hold": "", "srv/by-link": "-> /srv/theirs/q",
		"srv/found/main.cf": "queue_directory = /srv/q\ndata_directory = /srv/d\n", "srv/found/master.cf": smtpLine, "srv/open/": "",
	}
	for name, c := range map[string]struct {
		req  Request
		want string
	}{
		"a queue directory of theirs":                   {Request{QueueDir: "/srv/q"}, `"/srv/q"` + no},
		"one for a copy":                                {Request{QueueDir: "/srv/q", From: "-"}, `"/srv/q"` + no},
		"one of a configuration that is there":          {Request{ConfigDir: "/srv/found"}, `"/srv/q"` + no},
		"one that is not there, in theirs":              {Request{QueueDir: "/srv/theirs/new/q"}, `"/srv/theirs"` + no},
		"one of root's, in theirs":                      {Request{QueueDir: "/srv/theirs/q"}, `"/srv/theirs"` + no},
		"one by a link through theirs":                  {Request{QueueDir: "/srv/by-link"}, `"/srv/theirs"` + no},
		"one that everybody may write to":               {Request{QueueDir: "/srv/open"}, `"/srv/open"`},
		"a link that they left where root is owner now": {Request{QueueDir: "/srv/linked"}, `"/srv/linked/maildrop" is no directory`},
		"a file in place of a queue":                    {Request{QueueDir: "/srv/file"}, `"/srv/file/hold" is no directory`},
		"a data directory in theirs":                    {Request{DataDir: "/srv/theirs/d"}, `"/srv/theirs"` + no},
		"a configuration in theirs":                     {Request{ConfigDir: "/srv/theirs/etc"}, `"/srv/theirs"` + no},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, there)
			for _, dir := range []string{"/srv/q", "/srv/theirs", "/srv/linked/maildrop"} {
				if err := os.Lchown(f.path(dir), 1000, 1000); err != nil {
					t.Fatal(err)
				}
			}
			for _, link := range []string{"/srv/q/maildrop", "/srv/theirs/d"} {
				if err := os.Symlink("/etc/victim", f.path(link)); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(f.path("/srv/open"), 0o1777); err != nil {
				t.Fatal(err)
			}
			before := owned(f)
			c.req.Name, c.req.Set = "in", wish.Set
			if _, err := f.survive(create(c.req)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if diff := cmp.Diff(before, owned(f)); diff != "" || len(f.calls) > 0 {
				t.Errorf("it calls %q and changes\n%s", f.calls, diff)
			}
		})
	}
}

// What an instance of the same name has left is taken up: its data directory and those of its queue are Postfix's.
func TestCreateTakesUpPostfixsOwnNeedsRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root: directories of other owners are made")
	}
	f := newFake(t, map[string]string{"var/lib/postfix-in/": "", "var/spool/postfix-in/maildrop/": "", "var/spool/postfix-in/active/": "", "var/spool/postfix-in/pid/": ""})
	for _, dir := range []string{"/var/lib/postfix-in", "/var/spool/postfix-in/maildrop", "/var/spool/postfix-in/active"} {
		if err := os.Chown(f.path(dir), 101, 103); err != nil {
			t.Fatal(err)
		}
	}
	must(t, f, create(wish))
	all := owned(f)
	for name, want := range map[string]string{
		"var/lib/postfix-in": "dir 0700 0:0", "var/spool/postfix-in": "dir 0755 0:0", "var/spool/postfix-in/active": "dir 0700 0:0",
		"var/spool/postfix-in/maildrop": "dir 0730 0:0", "var/spool/postfix-in/public": "dir 0710 0:0", "var/spool/postfix-in/pid": "dir 0755 0:0",
	} {
		if all[name] != want {
			t.Errorf("%s is %s, want %s", name, all[name], want)
		}
	}
}
