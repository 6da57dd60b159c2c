package setup

import (
	"context"
	"slices"
	"testing"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/maincf"
)

// A change that comes with the relay restarts Postfix where it has to be, also in the run that takes up one that was killed when
// main.cf was written; where nothing is to be changed, nothing is asked for.
func TestActionForTheRelay(t *testing.T) {
	parse := func(text string) *maincf.File {
		f, err := maincf.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for name, c := range map[string]struct {
		was, is string
		due     bool
		killed  string // action of the run that is taken up, "" for none
		want    string
	}{
		"another relay":                         {"relayhost = a\n", "relayhost = b\n", true, "", "reload"},
		"another relay and other protocols":     {"relayhost = a\n", "inet_protocols = ipv4\n", true, "", "restart"},
		"a password":                            {"", "", true, "", "reload"},
		"nothing":                               {"", "", false, "", ""},
		"other words for the relay in force":    {"relayhost = a:587\n", "relayhost = a\n", false, "", ""},
		"all that a killed run left is restart": {"", "", false, "restart", "restart"},
		"a killed run before its relay":         {"", "", true, "restart", "restart"},
		"a killed run that had asked for less":  {"", "", true, "reload", "reload"},
	} {
		t.Run(name, func(t *testing.T) {
			p := &Plan{relay: setRelay, effected: answers.Answers{}, resumed: c.killed != "", journal: journal{Action: c.killed}}
			p.h.main, p.h.after = parse(c.was), parse(c.is)
			p.d.Relay = dueRelay{due: c.due}
			if err := p.relayStep(context.Background()); err != nil || p.action != c.want {
				t.Errorf("the action is %q, want %q: %v", p.action, c.want, err)
			}
		})
	}
}

// dueRelay has something to do, or not.
type dueRelay struct {
	Relay
	due bool
}

func (r dueRelay) Diff(context.Context, answers.Answers, []maincf.Edit) (string, bool, error) {
	return "", r.due, nil
}

// What a change of main.cf needs: postconf(5) says of which parameters only a new master(8) takes notice.
func TestActionForAChange(t *testing.T) {
	t.Parallel()
	parse := func(text string) *maincf.File {
		f, err := maincf.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for name, c := range map[string]struct {
		was, is *maincf.File
		want    string
	}{
		"none":                                  {parse("relayhost = a\n"), parse("relayhost = a\n"), ""},
		"a parameter":                           {parse("relayhost = a\n"), parse("relayhost = b\n"), "reload"},
		"a parameter more":                      {parse("inet_protocols = ipv4\n"), parse("inet_protocols = ipv4\nrelayhost = b\n"), "reload"},
		"the addresses":                         {parse("inet_interfaces = loopback-only\n"), parse("inet_interfaces = 192.0.2.1\n"), "restart"},
		"the protocols":                         {parse("inet_protocols = ipv4\n"), parse("inet_protocols = all\n"), "restart"},
		"the protocols' default that is stated": {parse("relayhost = a\n"), parse("relayhost = a\ninet_protocols = all\n"), "reload"},
		"main.cf is new":                        {nil, parse("relayhost = a\n"), ""},
		"main.cf is gone":                       {parse("relayhost = a\n"), nil, ""},
	} {
		if got := actionFor(c.was, c.is); got != c.want {
			t.Errorf("%s: the action is %q, want %q", name, got, c.want)
		}
	}
}

// acts is a service that notes what is done with it.
type acts struct {
	Service
	done []string
}

func (a *acts) Act(_ context.Context, action string) error {
	a.done = append(a.done, action)
	return nil
}

// What is planned for main.cf is what is done: at once while a person configures, by dpkg's trigger after an upgrade, and what a killed run
// owed by the next one.
func TestTheActionIsDone(t *testing.T) {
	t.Parallel()
	const old, now = "3.7.11-0+deb12u1+a0.1.0", "3.7.11-0+deb12u2+a0.1.0"
	for name, c := range map[string]struct {
		plan       Plan
		installing bool
		done       []string
		runs       []string
	}{
		"a reload":                      {plan: Plan{req: Request{Old: now, Reconfigure: true}, action: "reload"}, done: []string{"reload"}},
		"a restart":                     {plan: Plan{req: Request{Old: now, Reconfigure: true}, action: "restart"}, done: []string{"restart"}},
		"nothing":                       {plan: Plan{req: Request{Old: now, Reconfigure: true}}},
		"a new host":                    {plan: Plan{fresh: true}, done: []string{"start"}},
		"an installation":               {plan: Plan{action: "reload"}, installing: true, done: []string{"start"}},
		"an upgrade":                    {plan: Plan{req: Request{Old: old, Package: now}}, runs: []string{"dpkg-trigger --no-await " + Trigger}},
		"what a killed run owed":        {plan: Plan{req: Request{Old: now, Reconfigure: true}, resumed: true, journal: journal{Action: "restart"}}, done: []string{"restart"}},
		"one whose relay failed":        {plan: Plan{req: Request{Reconfigure: true}, fresh: true, resumed: true, action: "restart"}, done: []string{"restart"}},
		"less than what this one needs": {plan: Plan{req: Request{Old: now, Reconfigure: true}, action: "restart", resumed: true, journal: journal{Action: "reload"}}, done: []string{"restart"}},
	} {
		service, runner := &acts{}, &calls{}
		p := c.plan
		p.d = Deps{Service: service, Run: runner}
		p.planAction(c.installing)
		for _, change := range p.Changes {
			if err := change.do(context.Background()); err != nil || !change.after {
				t.Errorf("%s: %q before main.cf is in force, %v", name, change.What, err)
			}
		}
		if !slices.Equal(service.done, c.done) || !slices.Equal(runner.lines, c.runs) {
			t.Errorf("%s: %q is done and %q run, want %q and %q", name, service.done, runner.lines, c.done, c.runs)
		}
	}
}
