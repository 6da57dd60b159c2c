package setup_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/sysroot"
)

// configure runs postinst, with somebody else at work between each plan and its execution.
func configure(t *testing.T, root *sysroot.Root, req setup.Request, meanwhile func(step string)) (*setup.Plan, error) {
	t.Helper()
	return setup.Configure(context.Background(), func() (*setup.Plan, func() error, error) {
		p, err := setup.NewPlan(context.Background(), setup.Deps{Root: root, Run: noRunner{}}, req)
		return p, settled, err
	}, func(c setup.Change) { meanwhile(c.Step) })
}

func TestAnEditWhilePostinstRunsIsNotLost(t *testing.T) {
	wishes := map[answers.Question]string{
		answers.Mailname: "new.example", answers.RootAddress: "bert", answers.RelayHost: "[relay.example]",
	}
	for name, c := range map[string]struct{ step, path, line string }{
		"main.cf":              {"main.cf", "etc/postfix/main.cf", "mailbox_size_limit = 77\n"},
		"main.cf, early":       {"mail name", "etc/postfix/main.cf", "mailbox_size_limit = 77\n"},
		"the aliases":          {"aliases", "etc/aliases", "carla: dora\n"},
		"master.cf, a new one": {"templates", "etc/postfix/master.cf", "own unix - - y - - own\n"},
	} {
		t.Run(name, func(t *testing.T) {
			root := host(t, nil)
			apply(t, root, map[answers.Question]string{answers.MailerType: "Internet Site", answers.RootAddress: "anna"})
			if c.step == "templates" {
				_, _ = root.Remove("/etc/postfix/master.cf")
			}
			did := false
			_, err := configure(t, root, asked(root, ours, true, wishes), func(step string) {
				if step == c.step && !did {
					did = true
					had, _ := root.ReadFile("/" + c.path)
					put(t, root, c.path, string(had)+c.line)
				}
			})
			if err != nil || !did {
				t.Fatalf("%v, edited: %v", err, did)
			}
			if got := read(t, root, "/"+c.path); !strings.Contains(got, c.line) {
				t.Errorf("the edit is lost:\n%s", got)
			}
			for file, want := range map[string]string{
				"/etc/mailname": "new.example", "/etc/aliases": "root: bert\n", "/etc/postfix/main.cf": "relayhost = [relay.example]\n",
			} {
				if got := read(t, root, file); !strings.Contains(got, want) {
					t.Errorf("the wish is lost in %s:\n%s", file, got)
				}
			}
			if ok, _ := root.Exists("/var/lib/postfix-maint/pending.json"); ok {
				t.Error("the run did not end")
			}
		})
	}
	t.Run("main.cf of a new host", func(t *testing.T) {
		root := host(t, nil)
		_, err := configure(t, root, asked(root, "", false, map[answers.Question]string{answers.MailerType: "Internet Site"}), func(step string) {
			if ok, _ := root.Exists("/etc/postfix/main.cf"); step == "main.cf" && !ok {
				put(t, root, "etc/postfix/main.cf", "mynetworks = 10.0.0.0/8\n")
			}
		})
		if got := read(t, root, "/etc/postfix/main.cf"); err != nil || !strings.Contains(got, "mynetworks = 10.0.0.0/8\n") {
			t.Errorf("%v:\n%s", err, got)
		}
	})
	t.Run("somebody who never stops", func(t *testing.T) {
		root := host(t, nil)
		apply(t, root, map[answers.Question]string{answers.MailerType: "Internet Site"})
		text, edits := read(t, root, "/etc/postfix/main.cf"), 0
		_, err := configure(t, root, asked(root, ours, true, wishes), func(step string) {
			if step == "main.cf" {
				edits++
				put(t, root, "etc/postfix/main.cf", text+strings.Repeat("#", edits)+"\n")
			}
		})
		if !errors.Is(err, sysroot.ErrChanged) || edits > 10 {
			t.Errorf("%v after %d edits", err, edits)
		}
	})
}

// While a plan is made Postfix is asked about it, which takes a while.
func TestAnEditWhileThePlanIsMadeIsNotLost(t *testing.T) {
	for name, c := range map[string]struct{ path, had, line string }{
		"main.cf":                        {"etc/postfix/main.cf", "x_own = y\n", "mailbox_size_limit = 77\n"},
		"main.cf without a last newline": {"etc/postfix/main.cf", "x_own = y", "\nmailbox_size_limit = 77\n"},
		"the aliases":                    {"etc/aliases", "", "carla: dora\n"},
	} {
		t.Run(name, func(t *testing.T) {
			root := host(t, nil)
			apply(t, root, map[answers.Question]string{answers.MailerType: "Internet Site", answers.RootAddress: "anna"})
			put(t, root, c.path, read(t, root, "/"+c.path)+c.had)
			edits := 0
			probe := func(context.Context, []byte) error {
				if edits++; edits == 1 {
					put(t, root, c.path, read(t, root, "/"+c.path)+c.line)
				}
				return nil
			}
			req := asked(root, ours, true, map[answers.Question]string{
				answers.MailerType: "Internet Site", answers.RootAddress: "bert", answers.RelayHost: "[relay.example]"})
			_, err := setup.Configure(context.Background(), func() (*setup.Plan, func() error, error) {
				p, err := setup.NewPlan(context.Background(), setup.Deps{Root: root, Run: noRunner{}, Probe: probe}, req)
				return p, settled, err
			}, func(setup.Change) {})
			if err != nil || edits == 0 {
				t.Fatalf("%v after %d questions to Postfix", err, edits)
			}
			if got := read(t, root, "/"+c.path); !strings.Contains(got, c.had+c.line) {
				t.Errorf("the edit is lost:\n%s", got)
			}
			if got := read(t, root, "/etc/postfix/main.cf"); !strings.Contains(got, "relayhost = [relay.example]\n") {
				t.Errorf("the wish is lost:\n%s", got)
			}
		})
	}
}

func TestAnAnswerBesideNoConfigurationStaysAWish(t *testing.T) {
	root := host(t, nil)
	apply(t, root, map[answers.Question]string{answers.MailerType: "Internet Site"})
	wishes := map[answers.Question]string{answers.MailerType: "No configuration", answers.MyNetworks: "10.0.0.0/8"}
	if _, err := configure(t, root, asked(root, ours, true, wishes), func(string) {}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, root, "/var/lib/postfix-maint/applied.json"); strings.Contains(got, "10.0.0.0/8") {
		t.Errorf("the answer counts as carried out, and the next run gives it up for what is in force:\n%s", got)
	}
}

func TestAnUpgradeThatIsPlannedAnewStaysOne(t *testing.T) {
	root := host(t, nil)
	apply(t, root, map[answers.Question]string{answers.MailerType: "Internet Site"})
	_, _ = root.Remove("/etc/postfix/master.cf")
	_, err := configure(t, root, asked(root, ours, false, map[answers.Question]string{answers.RelayHost: "[relay.example]"}), func(step string) {
		if ok, _ := root.Exists("/etc/postfix/master.cf"); step == "templates" && !ok {
			put(t, root, "etc/postfix/master.cf", "# mine\n")
		}
	})
	if got := read(t, root, "/etc/postfix/main.cf"); err != nil || strings.Contains(got, "relay.example") {
		t.Errorf("%v:\n%s", err, got)
	}
}

// A file that can't be written is a warning, and the wish stays; it needs root, who may mount.
func TestAWishForAFileThatCantBeWrittenNeedsRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	for name, c := range map[string]struct {
		path string // what is mounted on itself
		ro   bool
	}{
		"main.cf, read-only":   {"etc/postfix/main.cf", true},
		"main.cf, a mount":     {"etc/postfix/main.cf", false},
		"all of /etc":          {"etc", true},
		"the aliases":          {"etc/aliases", true},
		"Postfix's own folder": {"etc/postfix", true},
	} {
		t.Run(name, func(t *testing.T) {
			root := host(t, nil)
			given := map[answers.Question]string{answers.MailerType: "Internet Site", answers.RootAddress: "anna", answers.RelayHost: ""}
			apply(t, root, given)
			at := filepath.Join(root.Dir(), c.path)
			if err := unix.Mount(at, at, "", unix.MS_BIND, ""); err != nil {
				t.Fatal(err)
			}
			unmount := func() { _ = unix.Unmount(at, unix.MNT_DETACH) }
			t.Cleanup(unmount)
			if c.ro {
				if err := unix.Mount("", at, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
					t.Fatal(err)
				}
			}
			wishes := map[answers.Question]string{answers.Mailname: "new.example", answers.RootAddress: "bert", answers.RelayHost: "[relay.example]"}
			files := []string{"/etc/postfix/main.cf", "/etc/mailname", "/etc/aliases"}
			before := map[string]string{}
			for _, f := range files {
				before[f] = read(t, root, f)
			}
			for _, reconfigure := range []bool{true, false} {
				p, err := configure(t, root, asked(root, ours, reconfigure, wishes), func(string) {})
				if err != nil || len(p.Warnings) == 0 || p.Held != reconfigure {
					t.Errorf("%v, held: %v, warnings %q", err, p.Held, p.Warnings)
				}
				for _, f := range files {
					if got := read(t, root, f); got != before[f] {
						t.Errorf("%s became\n%s", f, got)
					}
				}
			}
			taken := asked(root, ours, true, nil)
			for q, v := range given {
				taken.Answers[q] = answers.Answer{Value: v, Answered: true}
			}
			if p, err := configure(t, root, taken, func(string) {}); err != nil || len(p.Warnings) > 0 {
				t.Errorf("with the wish taken back: %v, %q", err, p.Warnings)
			}
			unmount()
			if _, err := configure(t, root, asked(root, ours, true, wishes), func(string) {}); err != nil {
				t.Fatal(err)
			}
			if got := read(t, root, "/etc/postfix/main.cf"); !strings.Contains(got, "relayhost = [relay.example]\n") {
				t.Errorf("once it can be written:\n%s", got)
			}
		})
	}
}
