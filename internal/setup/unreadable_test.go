package setup_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/setup"
)

// What an administrator's link leads to may not be mounted: no new file is made there, and nothing fails.
func TestWhatCantBeReadIsLeftAlone(t *testing.T) {
	for name, c := range map[string]struct{ path, link, text string }{
		"a link to nothing for main.cf":     {"etc/postfix/main.cf", "/srv/main.cf", ""},
		"a link to nothing for master.cf":   {"etc/postfix/master.cf", "/srv/master.cf", ""},
		"a link to nothing for the aliases": {"etc/aliases", "/srv/aliases", ""},
		"a directory for the aliases":       {"etc/aliases/", "", ""},
		"a null byte in the aliases":        {"etc/aliases", "", "a: b\x00c\n"},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"srv/": ""}
			if c.link == "" {
				files[c.path] = c.text
			}
			root := host(t, files)
			path := filepath.Join(root.Dir(), c.path)
			if c.link != "" {
				if err := os.Symlink(c.link, path); err != nil {
					t.Fatal(err)
				}
			}
			given := map[answers.Question]string{answers.MailerType: "Internet Site", answers.RootAddress: "anna"}
			_, warnings := apply(t, root, given)
			if said := strings.Contains(strings.Join(warnings, "\n"), "/"+strings.TrimSuffix(c.path, "/")); !said && !strings.Contains(c.path, "master") {
				t.Errorf("warnings %q", warnings)
			}
			if ok, _ := root.Exists(c.link); c.link != "" && ok {
				t.Errorf("%s was made", c.link)
			}
			if got, err := os.ReadFile(path); err == nil && string(got) != c.text {
				t.Errorf("it became %q", got)
			}
			if _, err := setup.Live(root); (err != nil) != strings.Contains(c.path, "main.cf") {
				t.Errorf("asking: %v", err)
			}
		})
	}
}

// A wish that could not be applied is applied as soon as its file is in order again.
func TestAWishOutlastsAFileThatCantBeRead(t *testing.T) {
	for file, c := range map[string]struct {
		q          answers.Question
		wish, line string
	}{
		"etc/postfix/main.cf": {answers.RelayHost, "[r.example]", "relayhost = [r.example]\n"},
		"etc/aliases":         {answers.RootAddress, "bert", "root: bert\n"},
	} {
		root := host(t, nil)
		given := map[answers.Question]string{answers.MailerType: "Internet Site", answers.RootAddress: "anna", answers.RelayHost: ""}
		apply(t, root, given)
		path := filepath.Join(root.Dir(), file)
		whole := read(t, root, "/"+file)
		if err := os.WriteFile(path, []byte(whole+"x: \x00"), 0o644); err != nil {
			t.Fatal(err)
		}
		given[c.q] = c.wish
		apply(t, root, given)
		if err := os.WriteFile(path, []byte(whole), 0o644); err != nil {
			t.Fatal(err)
		}
		apply(t, root, given)
		if got := read(t, root, "/"+file); !strings.Contains(got, c.line) {
			t.Errorf("%s became\n%s", file, got)
		}
	}
}

func TestTheAliasFileIsTheOneOfMainCF(t *testing.T) {
	for value, want := range map[string]string{
		"hash:$config_directory/aliases": "etc/postfix/aliases", "hash:${config_directory}/aliases": "etc/postfix/aliases",
		"hash:$nobody_knows/aliases": "", "hash:$home_of_lists/aliases": "srv/aliases",
	} {
		root := host(t, map[string]string{"srv/": "", "etc/postfix/main.cf": "alias_database = " + value + "\nhome_of_lists = /srv\n"})
		apply(t, root, map[answers.Question]string{answers.MailerType: "Internet Site"})
		for _, path := range []string{"aliases", "etc/aliases", "etc/postfix/aliases", "srv/aliases"} {
			if ok, _ := root.Exists("/" + path); ok != (path == want) {
				t.Errorf("%s: %s is there: %v", value, path, ok)
			}
		}
	}
}
