package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/debconf"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/sysroot"
)

// primaryInstance is the primary instance, also before it has a configuration.
func primaryInstance(root *sysroot.Root) (instance.Instance, error) {
	inst, err := instance.Find(root, instance.Primary)
	if errors.Is(err, fs.ErrNotExist) {
		return instance.Instance{Name: instance.Primary, ConfigDir: paths.ConfigDir, QueueDir: paths.QueueDir, Enabled: true}, nil
	}
	return inst, err
}

// relayPassword reads the password that somebody gave for the relay, "" if nobody did.
func relayPassword(db *debconf.Client) (smarthost.Secret, error) {
	text, err := db.Get(string(answers.RelayPassword))
	if errors.Is(err, fs.ErrNotExist) { // a package without our questions
		return "", nil
	}
	if text != "" { // it is in our memory from here on: no core dump may hold it
		err = errors.Join(err, unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
	}
	return smarthost.Secret(text), err
}

// relay lets setup do with the smarthost of the primary instance what the answers say; nil where main.cf can't be understood: setup says
// so, and leaves it alone.
func relay(d smarthost.Deps, password smarthost.Secret) setup.Relay {
	inst, err := primaryInstance(d.Root)
	switch {
	case err != nil:
		return nil
	case !d.Root.IsHost():
		return belowRoot{smarthost.ForAnswers(d, inst, password)}
	}
	return smarthost.ForAnswers(d, inst, password)
}

// belowRoot is the relay below DPKG_ROOT.
type belowRoot struct{ setup.Relay }

// Check refuses all.
func (belowRoot) Check(_ context.Context, a answers.Answers) []answers.Problem {
	return []answers.Problem{{Question: answers.RelayHost, Value: a[answers.RelayHost].Value,
		Text: "a relay with TLS or a login is set up where Postfix's own programs run: run dpkg-reconfigure on the booted host"}}
}

// recoverRelay ends what a killed run left of the primary instance's smarthost: no password may lie around, whatever the answers
// say now.
func recoverRelay(ctx context.Context, root *sysroot.Root, stderr io.Writer) {
	inst, err := primaryInstance(root)
	if err != nil {
		return // main.cf can't be understood: setup says so
	}
	if err := smarthost.Recover(ctx, smarthost.Deps{Root: root, Run: run.Runner{}, Units: loginUnits(root)}, inst); err != nil {
		warn(stderr, []string{fmt.Sprintf("cannot clear away what an interrupted change of the smarthost left: %v", err)})
	}
}

// checkRelayAnswer judges an answer while questions are asked. Before Postfix is there, packages may be on their way.
func checkRelayAnswer(ctx context.Context, root *sysroot.Root) func(answers.Question, answers.Answers) error {
	inst, err := primaryInstance(root)
	if err != nil {
		return nil
	}
	return func(q answers.Question, a answers.Answers) error {
		if !slices.Contains(append(answers.RelayQuestions(), answers.RelayPassword), q) {
			return nil
		}
		given := smarthost.Secret(a[answers.RelayPassword].Value)
		for _, p := range smarthost.CheckAnswers(ctx, smarthost.Deps{Root: root, Run: run.Runner{}}, inst, a, given, reconfiguring()) {
			if p.Question == q {
				return errors.New(p.Text)
			}
		}
		return nil
	}
}
