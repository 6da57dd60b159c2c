package setup

import (
	"context"
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
