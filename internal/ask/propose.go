package ask

import (
	"postfix-maint/internal/answers"
	"postfix-maint/internal/merge"
)

// asks tells whether a question is for this host and these answers.
func (w *walk) asks(r answers.Row) bool {
	if r.Question == answers.RelayProvider && w.first[answers.RelayHost].Answered && !w.in.Reconfigure && !w.wish(r.Question) {
		return false // somebody has named the relay host already
	}
	return r.When == nil || r.When(answers.Situation{Now: w.now, Facts: w.in.Facts, NewRelay: w.newRelay()})
}

// newRelay tells whether there is anything to ask about the relay. One that works already is left alone on an upgrade.
func (w *walk) newRelay() bool {
	t, _ := w.now.Type()
	return t.Relays() && (w.in.Live == nil || w.in.Reconfigure || w.wish(answers.MailerType) || w.wish(answers.RelayHost) || w.wish(answers.RelayProvider))
}

func (w *walk) priority(r answers.Row) string {
	if r.Login != "" && w.now[answers.RelayAccount].Value != "" {
		return r.Login
	}
	if t, _ := w.now.Type(); t == answers.LocalOnly && r.Local != "" {
		return r.Local
	}
	return r.Priority
}

// proposal is the value that a question starts with: a wish, else what is in force, else the guess. On a fresh host a
// guess that the person confirmed a moment ago is made again, for he may have gone back and changed what it depends on.
func (w *walk) proposal(q answers.Question) string {
	c := w.merge(q)
	if shown, ok := w.shown[q]; ok && answers.Equal(q, shown, c.Answer) {
		c.Answered = w.first[q].Answered
	}
	if value, ok := w.fromProvider(q, c); ok {
		return value
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

// fromProvider is what the provider that somebody asks for means for a question about the relay, unless another answer to that was given: by
// a preseed file, or by the person in this run. An answer that only confirmed what was shown follows the provider when the person goes back
// and chooses another one.
func (w *walk) fromProvider(q answers.Question, c merge.Case) (string, bool) {
	shown, ok := w.shown[q]
	confirmed := ok && answers.Equal(q, shown, c.Answer)
	value, ok := w.now.FromProvider(q)
	switch {
	case ok && w.wish(answers.RelayProvider) && (confirmed || !c.Wish()):
		w.derived[q] = true
		return value, true
	case confirmed && w.derived[q]:
		first := w.first[q]
		c.Answer, c.Answered = answers.Resolve(q, first.Value, w.in.Facts), first.Answered
		return answers.Clean(q, c.Shown(answers.Default(q, w.in.Facts, w.now))), true
	}
	return "", false
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
