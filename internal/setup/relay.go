package setup

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot/transaction"
)

// Relay brings into force what a relay needs besides relayhost: TLS, a login, sender rewriting. Another flow does it; cmd wires them.
type Relay interface {
	// InForce reads, per question about the relay and for relayhost, what is in force, nil without main.cf; ours tells whether an earlier
	// Apply is. An error beside it says what of it cannot be told.
	InForce() (live map[answers.Question]string, ours bool, err error)
	// Given tells whether somebody gave a password.
	Given() bool
	// Plain tells whether the answers ask for no more than relayhost.
	Plain(a answers.Answers) bool
	// Check tells which answers can't be brought into force.
	Check(ctx context.Context, a answers.Answers) []answers.Problem
	// Diff is what Apply would change on a host that has a configuration, for the screen; due tells whether it would change anything.
	Diff(ctx context.Context, a answers.Answers, others []maincf.Edit) (diff string, due bool, err error)
	// Apply brings the answers into force, and other edits of main.cf in the same moment; without answers it takes back what
	// earlier ones did. note hears what main.cf is about to say, before anything is changed. On an error the former state is in force.
	Apply(
		ctx context.Context, a answers.Answers, others []maincf.Edit, note func(mainCF []byte) error, show func(transaction.Change),
	) (warnings []string, err error)
}

// relayAction is what a run does about the relay.
type relayAction int

const (
	leaveRelay relayAction = iota
	setRelay
	unsetRelay
)

// relayParams are written together with the rest of a relay: with TLS and login still missing, mail could go out in clear.
var relayParams = []string{"relayhost", "default_transport", "relay_transport"}

// transportParams keep a new host's mail for elsewhere waiting until its relay is set up.
var transportParams = []string{"default_transport", "relay_transport"}

// addRelayLive brings what is in force about the relay to the rest of it.
func (p *Plan) addRelayLive() error {
	if p.d.Relay == nil {
		return nil
	}
	live, ours, err := p.d.Relay.InForce()
	switch {
	case err != nil && live == nil:
		return err
	case err != nil:
		p.warn("%v", err)
	}
	p.relayOurs = ours
	if p.h.live != nil {
		maps.Copy(p.h.live, live)
	}
	return nil
}

// byProvider takes what a provider means that somebody asks for: its relay host, unless one was asked for as well, and the TLS that is usual
// there. On a new host the guess for the relay host is that already, but for the port, which comes after it.
func (p *Plan) byProvider() {
	if host := p.effected[answers.RelayHost]; p.fresh && !host.Answered && !host.Changed {
		p.effected[answers.RelayHost] = p.fallback(answers.RelayHost)
	}
	if provider := p.effected[answers.RelayProvider]; p.fresh || answers.Check(answers.RelayProvider, provider.Value, nil) != nil || !p.asked(answers.RelayProvider) {
		return
	}
	for _, q := range []answers.Question{answers.RelayTLS, answers.RelayHost, answers.RelayPort} {
		value, ok := p.effected.FromProvider(q)
		if !ok || p.asked(q) {
			continue
		}
		p.effected[q] = answers.Answer{Value: value, Answered: true, Changed: !answers.Equal(q, value, p.h.live[q])}
	}
}

// asked tells whether somebody asks for another value than that in force.
func (p *Plan) asked(q answers.Question) bool {
	_, write := p.merged(q)
	return write && (p.effected[q].Answered || p.effected[q].Changed)
}

// chooseRelay decides. Where nobody asks for more than relayhost, that is written as Debian's layer does.
func (p *Plan) chooseRelay() relayAction {
	r, t := p.d.Relay, p.mailerType()
	if r == nil || p.upgrade || t == answers.NoConfiguration {
		return leaveRelay
	}
	wished := p.asked // no upgrade gets here
	switch more := r.Given() || p.resumed && p.journal.Relaying || slices.ContainsFunc(answers.RelayQuestions(), wished); {
	case !t.Relays():
		if p.relayOurs && (p.resumed && p.journal.Relaying || wished(answers.MailerType)) {
			return unsetRelay
		}
	case p.relayOurs && (more || wished(answers.RelayHost)), more && !r.Plain(p.relayAnswers()):
		return setRelay
	}
	return leaveRelay
}

// Settled gives, when Apply is through with main.cf, the answers that stand for what is in force now, where they are not those that were
// given: debconf's database has to hold them, and so has the base of the next merge, or a run that is repeated would find a wish in the
// difference. Port and relay host, say, are one parameter, and a list of destinations was completed. It is empty where no answer is
// looked at, or the wishes are kept for the next run.
func (p *Plan) Settled() (map[answers.Question]string, error) {
	if p.Held || p.upgrade || p.dropped || p.mailerType() == answers.NoConfiguration {
		return nil, nil
	}
	now, err := map[answers.Question]string{}, error(nil)
	if p.d.Relay != nil {
		if now, _, err = p.d.Relay.InForce(); now != nil {
			err = nil // what cannot be told was said before
		}
		maps.DeleteFunc(now, func(q answers.Question, v string) bool { return answers.Equal(q, v, p.effected[q].Value) })
	}
	if p.completed != "" && now != nil {
		now[answers.Destinations] = p.completed
	}
	return now, err
}

// relayAnswers are the wishes about the relay, and what is in force for the rest.
func (p *Plan) relayAnswers() answers.Answers {
	a := answers.Answers{}
	for _, q := range append(answers.RelayQuestions(), answers.MailerType, answers.RelayHost) {
		a[q] = p.effected[q]
		if _, write := p.wish(q); !write {
			a[q] = answers.Answer{Value: p.h.live[q]}
		}
	}
	return a
}

// relayProblems are those of the answers about the relay, where they are to be brought into force.
func (p *Plan) relayProblems(ctx context.Context) []answers.Problem {
	if p.relay != setRelay {
		return nil
	}
	return p.d.Relay.Check(ctx, p.relayAnswers())
}

// holdRelay gives the edits that are made before the relay is set up, and keeps back those that come into force with it: on a new
// host relayhost and the transports, with mail for elsewhere waiting until then; on one that has a configuration all, as one change.
func (p *Plan) holdRelay(edits []maincf.Edit) (now []maincf.Edit) {
	switch {
	case p.relay == leaveRelay:
		return edits
	case !p.fresh:
		p.relayEdits = edits
		return nil
	}
	for _, e := range edits {
		if slices.Contains(relayParams, e.Name()) {
			p.relayEdits = append(p.relayEdits, e)
		} else {
			now = append(now, e)
		}
	}
	for _, name := range transportParams {
		now = append(now, maincf.Set(name, answers.Waiting()[name]))
		p.relayEdits = append(p.relayEdits, maincf.Unset(name))
	}
	return now
}

// relayStep plans the change. A failure leaves a host that had a configuration with its former main.cf; on a new one mail for elsewhere waits.
// The wishes are kept for the next run then, which takes a new host up as if this one had been interrupted.
func (p *Plan) relayStep(ctx context.Context) error {
	if p.relay == leaveRelay {
		return nil
	}
	a, what := p.relayAnswers(), "set up the relay "
	if p.relay == unsetRelay {
		a, what = nil, "take back the settings for the relay "
	}
	diff, show := "", p.tellRelay
	if !p.fresh {
		due, err := false, error(nil)
		if diff, due, err = p.d.Relay.Diff(ctx, a, p.relayEdits); err != nil {
			return err
		}
		if !due && !p.resumed { // other answers that mean what is in force, as the relay host and its port in two
			p.relay = leaveRelay
			return nil
		}
		show = func(transaction.Change) {} // it is all in the diff
	}
	p.action = cmp.Or(actionFor(p.h.main, p.h.after), p.action, p.journal.Action, "reload")
	p.add(Change{What: what + p.relayAnswers().Relay(), Diff: diff, do: func(ctx context.Context) error {
		p.journal.Relaying, p.journal.Ended = true, false
		if err := save(p.d.Root, paths.Pending, p.journal); err != nil {
			return err
		}
		warnings, err := p.d.Relay.Apply(ctx, a, p.relayEdits, func(mainCF []byte) error {
			p.journal.Relayed = sum(mainCF)
			return save(p.d.Root, paths.Pending, p.journal)
		}, show)
		p.Warnings = append(p.Warnings, warnings...)
		if err == nil {
			return nil
		}
		p.Held = true
		if p.fresh {
			p.unfinished = true
			p.warn("until then mail for elsewhere waits in the queue")
		}
		return warning{fmt.Errorf("%w; mend the answers with \"dpkg-reconfigure postfix\"", err)}
	}})
	return nil
}

// tellRelay tells a change that was not to be foreseen.
func (p *Plan) tellRelay(c transaction.Change) {
	p.show(Change{Step: "relay", What: c.What, Path: c.Path, Diff: c.Diff})
}
