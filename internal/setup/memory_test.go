package setup_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/sysroot"
)

// damage is every way in which a file of ours may be found that it was not left in.
var damage = map[string]func(path string) error{
	"empty":         func(path string) error { return os.WriteFile(path, nil, 0o600) },
	"zeros":         func(path string) error { return os.WriteFile(path, make([]byte, 512), 0o600) },
	"cut off":       func(path string) error { return os.WriteFile(path, []byte(`{"answers": {"postfix/ma`), 0o600) },
	"another type":  func(path string) error { return os.WriteFile(path, []byte(`["answers"]`), 0o600) },
	"nothing in it": func(path string) error { return os.WriteFile(path, []byte(`null`), 0o600) },
	"a wrong value": func(path string) error {
		return os.WriteFile(path, []byte(`{"answers": {"postfix/mailname": 7}}`), 0o600)
	},
	"a directory":     func(path string) error { return os.MkdirAll(path+"/in it", 0o700) },
	"a link to none":  func(path string) error { return os.Symlink("/nowhere", path) },
	"a link in a row": func(path string) error { return os.Symlink(filepath.Base(path), path) },
	"huge": func(path string) error {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return err
		}
		return os.Truncate(path, 1<<40)
	},
}

func TestDamagedMemoryNeverEndsARun(t *testing.T) {
	for _, file := range []string{"applied.json", "pending.json", "filled.json"} {
		for name, spoil := range damage {
			if name == "nothing in it" && file == "filled.json" {
				continue // that is what it says where nothing was filled in
			}
			for _, reconfigure := range []bool{false, true} {
				t.Run(file+" "+name, func(t *testing.T) {
					root := host(t, nil)
					given := map[answers.Question]string{answers.MailerType: "Internet Site", answers.RelayHost: ""}
					apply(t, root, given)
					edited := strings.Replace(read(t, root, "/etc/postfix/main.cf"), "mailbox_size_limit = 0", "mailbox_size_limit = 77", 1)
					put(t, root, "etc/postfix/main.cf", edited)
					path := filepath.Join(root.Dir(), "var/lib/postfix-maint", file)
					_ = os.Remove(path)
					if err := spoil(path); err != nil {
						t.Fatal(err)
					}
					req := asked(root, ours, reconfigure, nil)
					for q, v := range given {
						req.Answers[q] = answers.Answer{Value: v, Answered: true}
					}
					req.Answers[answers.MailboxLimit] = answers.Answer{Value: "0", Answered: true}
					p := runs(t, root, req, "")
					if said := strings.Join(p.Warnings, "\n"); !strings.Contains(said, file+".damaged") {
						t.Errorf("warnings %q", said)
					}
					if _, err := os.Lstat(path + ".damaged"); err != nil {
						t.Error(err)
					}
					if got := read(t, root, "/etc/postfix/main.cf"); got != edited {
						t.Errorf("main.cf became\n%s", got)
					}
					if again := runs(t, root, req, ""); len(again.Changes)+len(again.Warnings) > 0 {
						t.Errorf("the next run: %v %q", again.Changes, again.Warnings)
					}
				})
			}
		}
	}
}

func put(t *testing.T, root *sysroot.Root, path, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root.Dir(), path), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// An upgrade tells of the wishes since the installation, and leaves them for dpkg-reconfigure and "apply".
func TestAnUpgradeChangesNoSetting(t *testing.T) {
	wishes := map[answers.Question]string{
		answers.MailerType: "Satellite system", answers.RelayHost: "[relay.example]", answers.Mailname: "other.example",
		answers.Destinations: "other.example", answers.RootAddress: "bert", answers.Chattr: "true",
	}
	for name, since := range map[string]answers.Answer{
		"preseeded":      {Answered: true},
		"asked for":      {Answered: true, Changed: true},
		"nothing at all": {},
	} {
		t.Run(name, func(t *testing.T) {
			root := host(t, nil)
			given := map[answers.Question]string{answers.MailerType: "Internet Site", answers.RootAddress: "anna", answers.RelayHost: ""}
			apply(t, root, given)
			req := asked(root, ours, false, nil)
			for q, v := range given {
				req.Answers[q] = answers.Answer{Value: v, Answered: true}
			}
			if since.Answered {
				for q, v := range wishes {
					req.Answers[q] = answers.Answer{Value: v, Answered: true, Changed: since.Changed}
				}
			}
			files := []string{"/etc/postfix/main.cf", "/etc/mailname", "/etc/aliases"}
			before := map[string]string{}
			for _, f := range files {
				before[f] = read(t, root, f)
			}
			for range 2 {
				p := runs(t, root, req, "")
				for _, f := range files {
					if got := read(t, root, f); got != before[f] {
						t.Errorf("%s became\n%s", f, got)
					}
				}
				if said := strings.Join(p.Warnings, "\n"); since.Answered != strings.Contains(said, "postfix/relayhost") {
					t.Errorf("warnings %q", said)
				}
			}
			req.Reconfigure = true
			runs(t, root, req, "")
			if got := read(t, root, "/etc/postfix/main.cf"); since.Answered != strings.Contains(got, "relayhost = [relay.example]\n") {
				t.Errorf("after dpkg-reconfigure:\n%s", got)
			}
		})
	}
}

func TestAnUpgradeMakesNoMainCF(t *testing.T) {
	root := host(t, nil)
	given := map[answers.Question]string{answers.MailerType: "Internet Site"}
	apply(t, root, given)
	if _, err := root.Remove("/etc/postfix/main.cf"); err != nil {
		t.Fatal(err)
	}
	req := asked(root, ours, false, given)
	p := runs(t, root, req, "")
	if ok, _ := root.Exists("/etc/postfix/main.cf"); ok || !strings.Contains(strings.Join(p.Warnings, "\n"), "/etc/postfix/main.cf") {
		t.Errorf("it is there: %v; warnings %q", ok, p.Warnings)
	}
	put(t, root, "var/lib/postfix-maint/installing", "") // it was removed, and is installed again
	if runs(t, root, req, ""); !strings.Contains(read(t, root, "/etc/postfix/main.cf"), "inet_interfaces = all") {
		t.Error("an installation makes none")
	}
}

// What config filled in to show it is nobody's wish, however the configuration looks when postinst, or the next run of all, comes to it.
func TestWhatConfigFilledInIsNoWish(t *testing.T) {
	root := host(t, nil)
	given := map[answers.Question]string{answers.MailerType: "Internet Site", answers.RelayHost: ""}
	apply(t, root, given)
	state, _ := setup.LoadState(root, ours)
	req := asked(root, ours, true, nil)
	req.Answers[answers.MailerType] = answers.Answer{Value: "Local only", Answered: true} // as main.cf was for a while
	req.Answers[answers.RelayHost] = answers.Answer{Value: "[then.example]", Answered: true}
	if err := setup.Fill(root, state, req.Answers); err != nil {
		t.Fatal(err)
	}
	before := read(t, root, "/etc/postfix/main.cf")
	runs(t, root, req, "")
	if got := read(t, root, "/etc/postfix/main.cf"); got != before {
		t.Errorf("main.cf became\n%s", got)
	}
	if ok, _ := root.Exists("/var/lib/postfix-maint/filled.json"); ok {
		t.Error("the note of it stays")
	}
}
