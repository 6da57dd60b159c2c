package setup_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/sysroot"
)

// asked makes the request of a postinst in which a person has just typed these answers.
func asked(root *sysroot.Root, old string, reconfigure bool, typed map[answers.Question]string) setup.Request {
	a := answers.Answers{}
	for q, v := range typed {
		a[q] = answers.Answer{Value: v, Answered: true, Changed: true}
	}
	return setup.Request{Answers: a, Old: old, Reconfigure: reconfigure, Package: "3.7.11-0+deb12u1+maint1",
		Facts: setup.ReadFacts(context.Background(), root, "box", "3.7.11-0+deb12u1", nil)}
}

// behindMainCF is a moment after the last step, when what was applied is not noted yet.
const behindMainCF = "behind main.cf"

// runs plans and applies; where stop is a step's name the plug is pulled before it.
func runs(t *testing.T, root *sysroot.Root, req setup.Request, stop string) *setup.Plan {
	t.Helper()
	p, err := setup.NewPlan(context.Background(), setup.Deps{Root: root, Run: noRunner{}}, req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if r := recover(); r != nil && r != errPlug {
			panic(r)
		}
	}()
	if err := p.Apply(context.Background(), func(c setup.Change) {
		if stop != "" && c.Step == stop {
			panic(errPlug)
		}
	}, func() error {
		if stop == behindMainCF {
			panic(errPlug)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if stop != "" {
		t.Fatalf("the run has not come to %q", stop)
	}
	return p
}

const ours = "3.7.11-0+deb12u1+maint1"

// reconfigured is a host whose dpkg-reconfigure was interrupted right before main.cf was written.
func reconfigured(t *testing.T, typed map[answers.Question]string) *sysroot.Root {
	root := host(t, nil)
	apply(t, root, map[answers.Question]string{answers.MailerType: "Internet Site"})
	runs(t, root, asked(root, ours, true, typed), "main.cf")
	return root
}

func TestAnIntentNeverBeatsWhatCameLater(t *testing.T) {
	type q = map[answers.Question]string
	t.Run("an upgrade takes it up", func(t *testing.T) {
		root := reconfigured(t, q{answers.RelayHost: "[old.example]"})
		runs(t, root, asked(root, ours, false, nil), "")
		if got := read(t, root, "/etc/postfix/main.cf"); !strings.Contains(got, "relayhost = [old.example]\n") {
			t.Errorf("the wish is lost:\n%s", got)
		}
	})
	t.Run("a person types something newer", func(t *testing.T) {
		root := reconfigured(t, q{answers.RelayHost: "[old.example]"})
		runs(t, root, asked(root, ours, true, q{answers.RelayHost: "[new.example]"}), "")
		if got := read(t, root, "/etc/postfix/main.cf"); !strings.Contains(got, "relayhost = [new.example]\n") {
			t.Errorf("the newer wish is lost:\n%s", got)
		}
	})
	t.Run("main.cf was edited by hand", func(t *testing.T) {
		root := reconfigured(t, q{answers.RelayHost: "[old.example]"})
		edited := strings.Replace(read(t, root, "/etc/postfix/main.cf"), "relayhost =\n", "relayhost = [hand.example]\n", 1)
		if err := os.WriteFile(filepath.Join(root.Dir(), "etc/postfix/main.cf"), []byte(edited), 0o644); err != nil {
			t.Fatal(err)
		}
		req := asked(root, ours, false, q{answers.RelayHost: "[old.example]"})
		p := runs(t, root, req, "")
		if got := read(t, root, "/etc/postfix/main.cf"); got != edited || len(p.Warnings) == 0 {
			t.Errorf("main.cf became\n%s\nwarnings %q", got, p.Warnings)
		}
		req.Answers[answers.RelayHost] = answers.Answer{Value: "[old.example]", Answered: true} // postinst took the flag back
		runs(t, root, req, "")
		if got := read(t, root, "/etc/postfix/main.cf"); got != edited {
			t.Errorf("the next upgrade wrote\n%s", got)
		}
	})
}

func TestTheMailNameAndMyoriginGoTogether(t *testing.T) {
	root := host(t, map[string]string{"etc/postfix/main.cf": "myhostname = own.example.test\n"})
	typed := map[answers.Question]string{answers.MailerType: "Internet Site", answers.Mailname: "mail.example.test"}
	runs(t, root, asked(root, "3.7.11-0+deb12u1", true, typed), "main.cf")
	runs(t, root, asked(root, "3.7.11-0+deb12u1", false, nil), "")
	if got := read(t, root, "/etc/postfix/main.cf"); !strings.Contains(got, "myorigin = /etc/mailname\n") {
		t.Errorf("after the interruption main.cf says\n%s", got)
	}
}

func TestABaseFromBeforeDebiansLayerIsNone(t *testing.T) {
	root := host(t, nil)
	given := map[answers.Question]string{answers.MailerType: "Internet with smarthost", answers.RelayHost: "[ours.example]"}
	apply(t, root, given)
	edited := strings.Replace(read(t, root, "/etc/postfix/main.cf"), "[ours.example]", "[hand.example]", 1)
	if err := os.WriteFile(filepath.Join(root.Dir(), "etc/postfix/main.cf"), []byte(edited), 0o644); err != nil {
		t.Fatal(err)
	}
	req := asked(root, "3.7.11-0+deb12u2", false, map[answers.Question]string{answers.RelayHost: "[debian.example]"})
	req.Answers[answers.RelayHost] = answers.Answer{Value: "[debian.example]", Answered: true}
	runs(t, root, req, "")
	if got := read(t, root, "/etc/postfix/main.cf"); got != edited {
		t.Errorf("adopting again wrote\n%s", got)
	}
}

func TestAHostWithoutAUsableNameKeepsItsType(t *testing.T) {
	root := host(t, map[string]string{"etc/hosts": "", "etc/hostname": "10.0.0.5\n"})
	given := answers.Answers{answers.MailerType: {Value: "Internet Site", Answered: true}}
	for i, old := range []string{"", ours, ours} {
		p := runs(t, root, setup.Request{Answers: given, Old: old, Reconfigure: old != "", Package: ours,
			Facts: setup.ReadFacts(context.Background(), root, "10.0.0.5", ours, nil)}, "")
		got := read(t, root, "/etc/postfix/main.cf")
		for _, line := range []string{"inet_interfaces = all", "myhostname = localhost"} {
			if !slices.Contains(strings.Split(got, "\n"), line) {
				t.Errorf("run %d: no line %q in\n%s", i, line, got)
			}
		}
		if !strings.Contains(strings.Join(p.Warnings, "\n"), "10.0.0.5") {
			t.Errorf("run %d says %q", i, p.Warnings)
		}
	}
	named := setup.Request{Answers: given, Old: ours, Package: ours, Facts: setup.ReadFacts(context.Background(), root, "mx.example.test", ours, nil)}
	runs(t, root, named, "")
	if got := read(t, root, "/etc/postfix/main.cf"); !strings.Contains(got, "\nmyhostname = localhost\n") {
		t.Errorf("an upgrade changed the name:\n%s", got)
	}
	named.Reconfigure = true
	runs(t, root, named, "")
	if got := read(t, root, "/etc/postfix/main.cf"); !strings.Contains(got, "inet_interfaces = all") || strings.Contains(got, "\nmyhostname") {
		t.Errorf("once it has a name main.cf says\n%s", got)
	}
	edit(t, root, "biff = no\n", "biff = no\nmyhostname = localhost\n")
	runs(t, root, named, "")
	if got := read(t, root, "/etc/postfix/main.cf"); !strings.Contains(got, "\nmyhostname = localhost\n") {
		t.Errorf("a name that somebody set is gone:\n%s", got)
	}
}

func TestABadPreseedIsRememberedThroughAnInterruption(t *testing.T) {
	bad := map[answers.Question]string{answers.MailerType: "Internet Site", answers.MyNetworks: "10.0.0.1/8"}
	whole, cut := host(t, nil), host(t, nil)
	runs(t, whole, asked(whole, "", false, bad), "")
	runs(t, cut, asked(cut, "", false, bad), behindMainCF)
	p := runs(t, cut, asked(cut, "", false, bad), "")
	if !strings.Contains(strings.Join(p.Warnings, "\n"), "10.0.0.1/8") {
		t.Errorf("warnings %q", p.Warnings)
	}
	for _, path := range []string{"/etc/postfix/main.cf", "/var/lib/postfix-maint/applied.json"} {
		if got, want := read(t, cut, path), read(t, whole, path); got != want {
			t.Errorf("%s is\n%s\nafter the interruption, without one\n%s", path, got, want)
		}
	}
}
