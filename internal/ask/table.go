package ask

import (
	"slices"

	"postfix-maint/internal/answers"
)

// step is one row of the table: a question, how important it is, and when it is asked.
type step struct {
	q        answers.Question
	priority string
	local    string // the priority for "Local only", where it is another one
	login    string // the priority with an account at the relay, where it is another one
	when     func(w *walk) bool
}

// table has the questions in their order, with Debian's priorities. It ends early where the type is "No configuration".
var table = []step{
	{q: answers.MailerType, priority: "high"},
	{q: answers.Mailname, priority: "high"},
	{q: answers.RelayHost, priority: "high", when: relays},
	{q: answers.RelayPort, priority: "high", when: func(w *walk) bool { return newRelay(w) && !answers.HasPort(w.now[answers.RelayHost].Value) }},
	{q: answers.RelayTLS, priority: "medium", when: newRelay},
	{q: answers.RelayAccount, priority: "high", when: newRelay},
	{q: answers.RelayPassword, priority: "high", when: func(w *walk) bool { return newRelay(w) && w.now[answers.RelayAccount].Value != "" }},
	{q: answers.Rewriting, priority: "medium", login: "high", when: newRelay},
	{q: answers.SenderAddress, priority: "high", when: rewrites(answers.GenericMap)},
	{q: answers.SenderMap, priority: "high", when: rewrites(answers.UserMap, answers.RegexpMap, answers.PCREMap)},
	{q: answers.RootAddress, priority: "medium"},
	{q: answers.Destinations, priority: "medium", local: "low"},
	{q: answers.Chattr, priority: "medium", when: func(w *walk) bool { return w.in.Facts.Chattr }},
	{q: answers.MyNetworks, priority: "low"},
	{q: answers.Procmail, priority: "low", when: func(w *walk) bool { return w.in.Facts.Procmail }},
	{q: answers.MailboxLimit, priority: "low"},
	{q: answers.RecipientDelim, priority: "low"},
	{q: answers.Protocols, priority: "low"},
}

func relays(w *walk) bool {
	t, _ := w.now.Type()
	return t.Relays()
}

// newRelay tells whether there is anything to ask about the relay. One that works already is left alone on an upgrade.
func newRelay(w *walk) bool {
	return relays(w) && (w.in.Live == nil || w.in.Reconfigure || w.wish(answers.MailerType) || w.wish(answers.RelayHost))
}

func rewrites(ways ...string) func(*walk) bool {
	return func(w *walk) bool { return newRelay(w) && slices.Contains(ways, w.now[answers.Rewriting].Value) }
}

func (w *walk) priority(s step) string {
	if s.login != "" && w.now[answers.RelayAccount].Value != "" {
		return s.login
	}
	if t, _ := w.now.Type(); t == answers.LocalOnly && s.local != "" {
		return s.local
	}
	return s.priority
}

// proposal is the value that a question starts with: a wish, else what is in force, else the guess. On a fresh host a
// guess that the person confirmed a moment ago is made again, for he may have gone back and changed what it depends on.
func (w *walk) proposal(q answers.Question) string {
	c := w.merge(q)
	if shown, ok := w.shown[q]; ok && answers.Equal(q, shown, c.Answer) {
		c.Answered = w.first[q].Answered
	}
	if q == answers.MailerType {
		if keep, ok := w.keptType(c.Live != nil); ok {
			return keep
		}
	}
	value := c.Shown(answers.Default(q, w.in.Facts, w.now))
	if own := w.now[q].Value; own != "" && answers.Equal(q, value, c.Answer) {
		return own // in its own spelling; but a boolean without a value would be shown as "yes"
	}
	return answers.Clean(q, value)
}

// keptType is the type where main.cf has no say. A type that nobody can understand stays for postinst to report. "No
// configuration" is a choice that no main.cf shows, so it holds until somebody chooses another; and it is the choice for a
// main.cf that came from elsewhere, as long as nobody was asked.
func (w *walk) keptType(configured bool) (keep string, ok bool) {
	a := w.now[answers.MailerType]
	t, known := w.now.Type()
	_, applied := w.in.Base[answers.MailerType]
	switch {
	case !known:
		return a.Value, true
	case configured && (t == answers.NoConfiguration || !a.Answered && !applied):
		return string(answers.NoConfiguration), true
	}
	return "", false
}
