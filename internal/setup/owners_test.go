package setup_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/sysroot"
)

// A queue that was restored from another host, or lies on a volume.
func TestAQueueWithoutAnOwnerGoesBackNeedsRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	const lost, alice = 4321, 1000
	root := host(t, nil)
	passwd := read(t, root, "/etc/passwd")
	put(t, root, "etc/passwd", passwd+"alice:x:1000:1000::/home/alice:/bin/sh\n")
	given := map[answers.Question]string{answers.MailerType: "Internet Site"}
	apply(t, root, given)
	at := func(name string) string { return filepath.Join(root.Dir(), "var/spool/postfix", name) }
	secret := filepath.Join(root.Dir(), "etc/elsewhere")
	for name, uid := range map[string]int{
		"active": lost, "active/A": lost, "deferred": lost, "deferred/B/C": lost, "hold": alice, "maildrop": lost, "maildrop/D": 1234, "active/mixed": 1234,
	} {
		if filepath.Dir(name) != "." {
			if err := os.MkdirAll(filepath.Dir(at(name)), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at(name), []byte("mail"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Lchown(at(name), uid, lost); err != nil {
			t.Fatal(err)
		}
	}
	put(t, root, "etc/elsewhere", "")
	for _, err := range []error{
		os.Chown(at("deferred/B"), lost, lost), os.Chown(secret, lost, lost), os.Link(secret, at("active/E")), os.Symlink("../../../../etc", at("active/etc")),
		os.Chown(filepath.Join(root.Dir(), "var/lib/postfix"), lost, lost),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	_, warnings := apply(t, root, given)
	if said := strings.Join(warnings, "\n"); !strings.Contains(said, "/var/spool/postfix/hold (alice)") || strings.Contains(said, "/active") {
		t.Errorf("warnings %q", said)
	}
	for name, want := range map[string]int{
		"active": mailUID, "active/A": mailUID, "deferred": mailUID, "deferred/B": mailUID, "deferred/B/C": mailUID, "hold": alice, "maildrop": mailUID,
		"maildrop/D": 1234, "active/mixed": 1234, "active/E": lost, "../../../etc": 0, "../../lib/postfix": mailUID,
	} {
		if uid := owner(t, at(name)); uid != want {
			t.Errorf("%s is owned by %d, want %d", name, uid, want)
		}
	}
	if fi, err := os.Lstat(at("maildrop")); err != nil || sysroot.Exact(fi.Mode()) != 0o730|os.ModeSticky {
		t.Errorf("maildrop: %v, %v", fi.Mode(), err)
	}
	if changes, _ := apply(t, root, given); len(changes) > 0 {
		t.Errorf("the next run did: %q", changes)
	}
}

func owner(t *testing.T, path string) int {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return int(st.Uid)
}

func TestAGroupThatIsANumberGoesBackNeedsRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	root := host(t, nil)
	given := map[answers.Question]string{answers.MailerType: "Internet Site"}
	apply(t, root, given)
	public := filepath.Join(root.Dir(), "var/spool/postfix/public")
	if err := os.Chown(public, mailUID, 4321); err != nil {
		t.Fatal(err)
	}
	apply(t, root, given)
	fi, err := os.Lstat(public)
	if err != nil {
		t.Fatal(err)
	}
	if _, gid := sysroot.Owner(fi); gid != mailUID || fi.Mode()&os.ModeSetgid == 0 {
		t.Errorf("group %d, mode %v", gid, fi.Mode())
	}
}

// A main.cf that is there before the package says where queue and data are.
func TestTheQueueIsWhereMainCFSaysNeedsRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	for name, c := range map[string]struct {
		main, made, not string
		prepare         func(dir string) error
		warns           string
	}{
		"another one":             {main: "queue_directory = /srv/queue\n", made: "srv/queue/maildrop", not: "var/spool/postfix/maildrop"},
		"by another parameter":    {main: "top = /srv\nqueue_directory = $top/deep/queue\n", made: "srv/deep/queue/maildrop"},
		"another data directory":  {main: "data_directory = /srv/data\n", made: "srv/data", not: "srv/data/maildrop"},
		"the host itself":         {main: "queue_directory = /\n", not: "maildrop", warns: "queue_directory = /"},
		"the host's data":         {main: "data_directory = /var/lib\n", not: "var/lib/maildrop", warns: "data_directory = /var/lib"},
		"the configuration":       {main: "queue_directory = /etc/postfix\n", not: "etc/postfix/maildrop", warns: "queue_directory = "},
		"below another account's": {main: "queue_directory = /srv/queue\n", not: "srv/queue", warns: "queue_directory = ", prepare: func(dir string) error { return os.Chown(dir+"/srv", 1000, 1000) }},
		"another account's own": {main: "queue_directory = /srv/queue\n", not: "srv/queue/maildrop", warns: "queue_directory = ", prepare: func(dir string) error {
			if err := os.Mkdir(dir+"/srv/queue", 0o755); err != nil {
				return err
			}
			return os.Chown(dir+"/srv/queue", 1000, 1000)
		}},
		"through a link of another account's": {main: "queue_directory = /srv/link/queue\n", not: "etc/queue", warns: "queue_directory = ", prepare: func(dir string) error {
			if err := os.Symlink("/etc", dir+"/srv/link"); err != nil {
				return err
			}
			return os.Lchown(dir+"/srv/link", 1000, 1000)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			root := host(t, map[string]string{"srv/": "", "var/lib/": "", "etc/postfix/main.cf": c.main})
			if err := os.Chmod(filepath.Join(root.Dir(), ".."), 0o755); err != nil { // the way to the tree is none of another account's
				t.Fatal(err)
			}
			if c.prepare != nil {
				if err := c.prepare(root.Dir()); err != nil {
					t.Fatal(err)
				}
			}
			lib := owner(t, filepath.Join(root.Dir(), "var/lib"))
			_, warnings := apply(t, root, map[answers.Question]string{answers.MailerType: "Internet Site"})
			if said := strings.Join(warnings, "\n"); !strings.Contains(said, c.warns) || c.warns == "" && said != "" {
				t.Errorf("warnings %q, want %q", said, c.warns)
			}
			if ok, err := root.Exists("/" + c.made); c.made != "" && !ok {
				t.Errorf("%s was not made: %v", c.made, err)
			}
			if ok, _ := root.Exists("/" + c.not); c.not != "" && ok {
				t.Errorf("%s was made", c.not)
			}
			if owner(t, filepath.Join(root.Dir(), "var/lib")) != lib {
				t.Error("/var/lib changed its owner")
			}
		})
	}
}

func TestAnEmptyMapRegistryIsNone(t *testing.T) {
	for name, c := range map[string]struct{ have, want string }{
		"empty":       {"", "pcre\tpostfix-pcre.so"},
		"white space": {"\n \n", "pcre\tpostfix-pcre.so"},
		"a remark":    {"# none of them, please\n", "# none of them, please\n"},
	} {
		root := host(t, map[string]string{"etc/postfix/dynamicmaps.cf": c.have, "usr/lib/postfix/postfix-pcre.so": "",
			"usr/share/postfix/dynamicmaps.cf": "# type\npcre\tpostfix-pcre.so\tdict_pcre_open\n"})
		apply(t, root, map[answers.Question]string{answers.MailerType: "Internet Site"})
		if got := read(t, root, "/etc/postfix/dynamicmaps.cf"); !strings.Contains(got, c.want) || c.have == c.want && got != c.want {
			t.Errorf("%s: it says %q", name, got)
		}
	}
}
