package setup_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/transaction"
)

// relayer stands in for the smarthost: it makes the other edits, and notes the login in main.cf.
type relayer struct {
	t     *testing.T
	root  *sysroot.Root
	fails bool
	same  bool // nothing would change
	dies  bool // when its work is done
	live  map[answers.Question]string
	calls []string
}

func (r *relayer) InForce() (map[answers.Question]string, bool, error) {
	if r.live == nil {
		return nil, false, nil
	}
	live := map[answers.Question]string{} // the caller's own
	for q, v := range r.live {
		live[q] = v
	}
	return live, r.live[answers.RelayAccount] != "", nil
}

func (r *relayer) Given() bool { return false }

func (r *relayer) Plain(a answers.Answers) bool { return a[answers.RelayAccount].Value == "" }

func (r *relayer) Check(_ context.Context, a answers.Answers) []answers.Problem {
	if a[answers.RelayAccount].Value == "bad" {
		return []answers.Problem{{Question: answers.RelayAccount, Value: "bad", Text: "it is bad"}}
	}
	return nil
}

func (r *relayer) Diff(context.Context, answers.Answers, []maincf.Edit) (string, bool, error) {
	return "a diff\n", !r.same, nil
}

func (r *relayer) Apply(
	_ context.Context, a answers.Answers, others []maincf.Edit, note func([]byte) error, _ func(transaction.Change),
) ([]string, error) {
	r.live = nil // of no interest any more
	r.calls = append(r.calls, strings.TrimSpace(a.Relay()+" "+a[answers.RelayAccount].Value))
	if r.fails {
		return nil, errors.New("made to fail")
	}
	f, err := maincf.Parse([]byte(read(r.t, r.root, "/etc/postfix/main.cf")))
	if err != nil {
		return nil, err
	}
	account := maincf.Set("account", a[answers.RelayAccount].Value)
	if a == nil {
		account = maincf.Unset("account")
	}
	if _, err := f.Apply(append(others, account)...); err != nil {
		return nil, err
	}
	if err := note(f.Bytes()); err != nil {
		return nil, err
	}
	err = os.WriteFile(filepath.Join(r.root.Dir(), "etc/postfix/main.cf"), f.Bytes(), 0o644)
	if r.dies {
		panic(errPlug)
	}
	return []string{"a warning"}, err
}

// blankRelay is a host without anything about a relay.
func blankRelay() map[answers.Question]string {
	return map[answers.Question]string{
		answers.RelayProvider: answers.OtherProvider, answers.RelayPort: "", answers.RelayTLS: answers.ByPort, answers.RelayAccount: "", answers.Rewriting: answers.NoRewriting,
		answers.SenderAddress: "", answers.SenderMap: "",
	}
}

func (r *relayer) run(req setup.Request, live map[answers.Question]string, stop string) (p *setup.Plan) {
	r.t.Helper()
	r.live = live
	p, err := setup.NewPlan(context.Background(), setup.Deps{Root: r.root, Run: noRunner{}, Relay: r}, req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() {
		if e := recover(); e != nil && e != errPlug {
			panic(e)
		}
	}()
	if err := p.Apply(context.Background(), func(c setup.Change) {
		if stop != "" && c.Step == stop {
			panic(errPlug)
		}
	}, func() error { return nil }); err != nil {
		r.t.Fatal(err)
	}
	return p
}

func (r *relayer) has(lines ...string) {
	r.t.Helper()
	got := read(r.t, r.root, "/etc/postfix/main.cf")
	for _, line := range lines {
		without, no := strings.CutPrefix(line, "!")
		if slices.ContainsFunc(strings.Split(got, "\n"), func(l string) bool { return strings.HasPrefix(l+" ", without+" ") }) == no {
			r.t.Errorf("not as in %q:\n%s", line, got)
		}
	}
}

func TestRelay(t *testing.T) {
	type q = map[answers.Question]string
	satellite := q{answers.MailerType: "Satellite system", answers.RelayHost: "[r.example]:587"}
	login := q{answers.MailerType: "Satellite system", answers.RelayHost: "[r.example]:587", answers.RelayAccount: "anna"}
	bad := q{answers.MailerType: "Satellite system", answers.RelayHost: "[r.example]:587", answers.RelayAccount: "bad"}
	newHost := func(t *testing.T) *relayer { return &relayer{t: t, root: host(t, nil)} }

	t.Run("nothing but a relay host is asked for", func(t *testing.T) {
		r := newHost(t)
		r.run(asked(r.root, "", false, satellite), nil, "")
		r.has("relayhost = [r.example]:587", "!account")
		if len(r.calls) > 0 {
			t.Errorf("called: %q", r.calls)
		}
	})
	t.Run("a login on a new host", func(t *testing.T) {
		r := newHost(t)
		p := r.run(asked(r.root, "", false, login), nil, "")
		r.has("relayhost = [r.example]:587", "account = anna", "!default_transport")
		if !slices.Contains(p.Warnings, "a warning") || p.Held {
			t.Errorf("%q, held %v", p.Warnings, p.Held)
		}
	})
	t.Run("a login that cannot be, on a new host", func(t *testing.T) {
		r := newHost(t)
		p := r.run(asked(r.root, "", false, bad), nil, "")
		r.has("relayhost =", "default_transport = ${relayhost?{smtp}:{retry:4.3.0 no relay host is set}}", "!account")
		if len(r.calls) > 0 || !strings.Contains(strings.Join(p.Warnings, "\n"), "it is bad") {
			t.Errorf("called %q, said %q", r.calls, p.Warnings)
		}
	})
	t.Run("a relay that fails on a new host", func(t *testing.T) {
		r := newHost(t)
		r.fails = true
		p := r.run(asked(r.root, "", false, login), nil, "")
		r.has("!relayhost = [r.example]:587", "default_transport = ${relayhost?{smtp}:{retry:4.3.0 no relay host is set}}")
		if !p.Held || !strings.Contains(strings.Join(p.Warnings, "\n"), "made to fail") {
			t.Errorf("held %v, said %q", p.Held, p.Warnings)
		}
	})
	t.Run("a relay that failed on a new host is done later as if it never had", func(t *testing.T) {
		whole := newHost(t)
		whole.run(asked(whole.root, "", false, login), nil, "")
		for _, reconfigure := range []bool{false, true} {
			r := newHost(t)
			r.fails = true
			r.run(asked(r.root, "", false, login), nil, "")
			r.fails = false
			r.run(asked(r.root, ours, reconfigure, login), blankRelay(), "")
			for _, path := range []string{"/etc/postfix/main.cf", "/var/lib/postfix-maint/applied.json"} {
				if got, want := read(t, r.root, path), read(t, whole.root, path); got != want {
					t.Errorf("%s is\n%s\nafter the failure, without one\n%s", path, got, want)
				}
			}
			if there, err := r.root.Exists("/var/lib/postfix-maint/pending.json"); there || err != nil {
				t.Errorf("the intent is still there: %v", err)
			}
		}
	})
	t.Run("a relay that fails leaves a configuration as it was, with all that was to come with it", func(t *testing.T) {
		r := newHost(t)
		r.run(asked(r.root, "", false, q{answers.MailerType: "Internet Site"}), nil, "")
		before := read(t, r.root, "/etc/postfix/main.cf")
		wish := q{answers.MyNetworks: "127.0.0.0/8, 10.0.0.0/8"}
		for question, value := range login {
			wish[question] = value
		}
		r.fails = true
		p := r.run(asked(r.root, ours, true, wish), blankRelay(), "")
		if got := read(t, r.root, "/etc/postfix/main.cf"); got != before || !p.Held {
			t.Errorf("held %v, main.cf is\n%s", p.Held, got)
		}
		r.fails = false
		r.run(asked(r.root, ours, true, wish), blankRelay(), "")
		r.has("mynetworks = 127.0.0.0/8, 10.0.0.0/8", "relayhost = [r.example]:587", "account = anna", "inet_interfaces = loopback-only")
	})
	t.Run("main.cf has no relay before the login", func(t *testing.T) {
		r := newHost(t)
		r.run(asked(r.root, "", false, login), nil, "relay")
		r.has("!relayhost = [r.example]:587")
		r.run(asked(r.root, "", false, nil), blankRelay(), "")
		r.has("relayhost = [r.example]:587", "account = anna")
	})
	t.Run("an interruption behind it", func(t *testing.T) {
		whole, cut := newHost(t), newHost(t)
		whole.run(asked(whole.root, "", false, login), nil, "")
		cut.dies = true
		cut.run(asked(cut.root, "", false, login), nil, "")
		cut.dies = false
		if p := cut.run(asked(cut.root, "", false, nil), with(blankRelay(), "anna"), ""); strings.Contains(strings.Join(p.Warnings, "\n"), "edited") {
			t.Errorf("warnings %q", p.Warnings)
		}
		for _, path := range []string{"/etc/postfix/main.cf", "/var/lib/postfix-maint/applied.json"} {
			if got, want := read(t, cut.root, path), read(t, whole.root, path); got != want {
				t.Errorf("%s is\n%s\nafter the interruption, without one\n%s", path, got, want)
			}
		}
	})
	t.Run("an edit after an interruption behind it", func(t *testing.T) {
		for _, old := range []string{"", ours} {
			r := newHost(t)
			if old != "" {
				r.run(asked(r.root, "", false, q{answers.MailerType: "Internet Site"}), nil, "")
			}
			r.dies = true
			r.run(asked(r.root, old, old != "", login), blankRelay(), "")
			r.dies = false
			edited := strings.Replace(read(t, r.root, "/etc/postfix/main.cf"), "relayhost = [r.example]:587", "relayhost = [by.hand]", 1)
			if err := os.WriteFile(filepath.Join(r.root.Dir(), "etc/postfix/main.cf"), []byte(edited), 0o644); err != nil {
				t.Fatal(err)
			}
			live := with(blankRelay(), "anna")
			live[answers.RelayHost] = "[by.hand]"
			req := asked(r.root, ours, false, nil)
			for question, value := range login {
				req.Answers[question] = answers.Answer{Value: value, Answered: true}
			}
			p := r.run(req, live, "")
			if got := read(t, r.root, "/etc/postfix/main.cf"); got != edited || !strings.Contains(strings.Join(p.Warnings, "\n"), "edited") {
				t.Errorf("from %q: said %q; main.cf is\n%s", old, p.Warnings, got)
			}
		}
	})
	t.Run("other words for what is in force", func(t *testing.T) {
		r := newHost(t)
		r.run(asked(r.root, "", false, login), nil, "")
		r.same = true
		p := r.run(asked(r.root, ours, true, q{answers.RelayHost: "[r.example]", answers.RelayPort: "587"}), with(blankRelay(), "anna"), "")
		if len(p.Changes) > 0 || len(r.calls) != 1 {
			t.Errorf("changes %+v, called %q", p.Changes, r.calls)
		}
	})
	t.Run("another relay host keeps the login", func(t *testing.T) {
		r := newHost(t)
		r.run(asked(r.root, "", false, login), nil, "")
		r.run(asked(r.root, ours, true, q{answers.RelayHost: "[s.example]:587"}), with(blankRelay(), "anna"), "")
		r.has("relayhost = [s.example]:587", "account = anna")
	})
	t.Run("another type takes it back", func(t *testing.T) {
		r := newHost(t)
		r.run(asked(r.root, "", false, login), nil, "")
		r.run(asked(r.root, ours, true, q{answers.MailerType: "Internet Site"}), with(blankRelay(), "anna"), "")
		r.has("!account", "!relayhost = [r.example]:587", "inet_interfaces = all")
		if !slices.Equal(r.calls, []string{"[r.example]:587 anna", ""}) {
			t.Errorf("called %q", r.calls)
		}
	})
	t.Run("an upgrade leaves it alone", func(t *testing.T) {
		r := newHost(t)
		r.run(asked(r.root, "", false, login), nil, "")
		before, req := read(t, r.root, "/etc/postfix/main.cf"), asked(r.root, ours, false, nil)
		for question, value := range login {
			req.Answers[question] = answers.Answer{Value: value, Answered: true}
		}
		r.run(req, with(blankRelay(), "anna"), "")
		if got := read(t, r.root, "/etc/postfix/main.cf"); got != before || len(r.calls) != 1 {
			t.Errorf("called %q; main.cf is\n%s", r.calls, got)
		}
	})
}

func with(live map[answers.Question]string, account string) map[answers.Question]string {
	live[answers.RelayAccount] = account
	return live
}

// An upgrade completes a relay whose set-up failed, but not over the relay host that somebody wrote since.
func TestAFailedRelayIsNotSetUpOverAnEdit(t *testing.T) {
	type q = map[answers.Question]string
	r := &relayer{t: t, root: host(t, nil), fails: true}
	r.run(asked(r.root, "", false, q{answers.MailerType: "Satellite system", answers.RelayHost: "[r.example]:587", answers.RelayAccount: "anna"}), nil, "")
	edit(t, r.root, "biff = no\n", "biff = no\nrelayhost = [hand.example]:25\n")
	r.fails = false
	p := r.run(asked(r.root, ours, false, q{}), blankRelay(), "")
	if got := read(t, r.root, "/etc/postfix/main.cf"); !strings.Contains(got, "relayhost = [hand.example]:25\n") {
		t.Errorf("the edit is lost: %s", got)
	}
	if text := strings.Join(p.Warnings, "\n"); !strings.Contains(text, "was edited after a configuration was interrupted") {
		t.Errorf("nobody is told: %q", text)
	}
}
