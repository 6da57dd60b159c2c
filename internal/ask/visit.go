package ask

import (
	"errors"
	"io/fs"
	"slices"
	"strings"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/debconf"
)

// outcome is what became of one step.
type outcome int

const (
	skipped  outcome = iota // not for this host, or debconf did not show it
	answered                // a person saw it and went on
	back                    // a person wants the question before
)

// visit brings a question's value up to date and asks it.
func (w *walk) visit(r answers.Row) (outcome, error) {
	if _, known := w.now[r.Question]; !known {
		return skipped, nil // not in this release's package
	}
	start := w.proposal(r.Question)
	if err := w.put(r.Question, start); err != nil {
		return skipped, err
	}
	if !w.asks(r) {
		return skipped, nil
	}
	shown, ok := w.showable(r.Question, start)
	if !ok {
		return skipped, nil
	}
	if err := w.put(r.Question, shown); err != nil {
		return skipped, err
	}
	retry := w.refused(r.Question)
	if retry != nil {
		if ok, err := w.askAgain(r, retry); !ok || err != nil {
			return skipped, err
		}
	}
	result, err := w.ask(r)
	if err != nil {
		return result, err
	}
	if result == answered {
		w.shown[r.Question] = shown
		return result, nil
	}
	return result, w.unanswered(r.Question, start, result == back || retry != nil)
}

// unanswered leaves a question as if it had not been shown. debconf may hold a wrong answer of a moment ago, and then it
// would count the question as seen.
func (w *walk) unanswered(q answers.Question, start string, touched bool) error {
	if _, before := w.shown[q]; touched && !before {
		w.forget(q, w.now[q].Value)
		if err := w.f.SetFlag(string(q), answers.SeenFlag, w.first[q].Answered); err != nil {
			return err
		}
	}
	return w.put(q, start)
}

// showable is the value to show for what is in force. Where main.cf has a blank that keeps Postfix from working, that is the
// guess. A value that a select cannot hold is not shown at all: confirming the screen would change it.
func (w *walk) showable(q answers.Question, value string) (shown string, ok bool) {
	inForce := w.in.Live != nil && !w.wish(q)
	if inForce && q == answers.RelayPort && w.newLogin() {
		return answers.Default(q, w.in.Facts, w.now), true
	}
	asWritten := []answers.Question{answers.Protocols, answers.MailboxLimit, answers.RelayTLS}
	if !inForce || !slices.Contains(asWritten, q) || answers.Check(q, value, nil) == nil {
		return value, true
	}
	if value == "" {
		return answers.Default(q, w.in.Facts, w.now), true
	}
	return value, q == answers.MailboxLimit
}

// newLogin tells whether there was no login at the relay, and is to be one.
func (w *walk) newLogin() bool {
	return w.now[answers.RelayAccount].Value != "" && w.in.Live[answers.RelayAccount] == ""
}

// refused is why somebody's earlier answer cannot be used.
func (w *walk) refused(q answers.Question) error {
	_, shown := w.shown[q]
	if shown || q == answers.RelayPassword || !w.now[q].Answered || !w.wish(q) {
		return nil
	}
	return w.problem(q)
}

// problem is why the value in the database cannot be used. A value that is in force is not ours to judge. And our own guess for
// a host with a plain name, which setup will leave unwritten, is no mistake of the person who confirms it.
func (w *walk) problem(q answers.Question) error {
	value := w.now[q].Value
	needed := value == "" && q == answers.RelayPassword
	if w.in.Live != nil && answers.Equal(q, value, w.in.Live[q]) && !needed {
		return nil
	}
	if q == answers.Mailname && value == answers.Default(q, w.in.Facts, w.now) {
		return nil
	}
	if err := answers.Check(q, value, w.now); err != nil || w.in.Check == nil {
		return err
	}
	return w.in.Check(q, w.now)
}

// askAgain makes debconf show a question that it holds to be answered, and says what is wrong with the answer. It is false
// where debconf shows nothing: the answer is left as it is then, for postinst to report.
func (w *walk) askAgain(r answers.Row, problem error) (bool, error) {
	name := string(r.Question)
	if !w.in.Reconfigure {
		if err := w.f.SetFlag(name, answers.SeenFlag, false); err != nil {
			return false, err
		}
	}
	visible, err := w.f.Input(w.priority(r), name)
	if err != nil {
		return false, err
	}
	if err := w.f.Clear(); err != nil {
		return false, err
	}
	if !visible {
		if w.in.Reconfigure {
			return false, nil
		}
		return false, w.f.SetFlag(name, answers.SeenFlag, true)
	}
	_, err = w.complain(r.Question, problem)
	return true, err
}

// ask shows one question until its answer can be used. Somebody who gives the same wrong answer again, after having been
// told that it is, is let through: postinst refuses what must not be written, and nobody has to kill the terminal.
func (w *walk) ask(r answers.Row) (outcome, error) {
	name := string(r.Question)
	complained := false
	for wrong := ""; ; complained = true {
		visible, err := w.f.Input(w.priority(r), name)
		if err != nil {
			return skipped, err
		}
		if !visible {
			return skipped, w.f.Clear() // never Go: it would touch the values of what it does not show
		}
		err = w.f.Go()
		if errors.Is(err, debconf.ErrBack) {
			return back, nil
		}
		if err != nil {
			return skipped, err
		}
		if err := w.take(r.Question); err != nil {
			return skipped, err
		}
		problem := w.problem(r.Question)
		if problem == nil || complained && w.now[r.Question].Value == wrong {
			return answered, nil
		}
		keep, err := w.complain(r.Question, problem)
		if err != nil || keep {
			return answered, err
		}
		wrong = w.now[r.Question].Value
	}
}

// take reads what the person answered.
func (w *walk) take(q answers.Question) error {
	raw, err := w.f.Get(string(q))
	if err != nil {
		return err
	}
	a := w.now[q]
	a.Value, a.Answered, a.Insisted = answers.Clean(q, raw), true, false
	w.now[q] = a
	if raw == a.Value {
		return nil
	}
	return w.f.Set(string(q), a.Value)
}

// invalidAnswer is our error message.
const invalidAnswer = "postfix/maint_invalid_answer"

// complain tells the person what is wrong with the answer. keep is true for a mail name on which the person insists.
func (w *walk) complain(q answers.Question, problem error) (keep bool, err error) {
	if q == answers.Mailname && errors.Is(problem, answers.ErrRFC1035) {
		return w.insist(w.now[q].Value)
	}
	title, err := w.f.Metaget(string(q), "description")
	if err != nil {
		return false, err
	}
	return false, w.show(invalidAnswer, "question", strings.TrimSuffix(title, ":"), "problem", problem.Error())
}

// insist asks whether a mail name that breaks RFC 1035 is meant.
func (w *walk) insist(value string) (keep bool, err error) {
	name := string(answers.Insist)
	if err := w.f.Set(name, "false"); err != nil {
		return false, err
	}
	if err := w.f.SetFlag(name, answers.SeenFlag, false); err != nil {
		return false, err
	}
	if err := w.show(name, "enteredstring", value); err != nil {
		return false, err
	}
	kept, err := w.f.Get(name)
	if kept != "true" || err != nil {
		return false, err
	}
	a := w.now[answers.Mailname]
	a.Insisted = true
	w.now[answers.Mailname] = a
	return true, nil
}

// show puts a message on the screen. A package of another making may lack it: then nothing is said.
func (w *walk) show(template string, substitutions ...string) error {
	for i := 0; i < len(substitutions); i += 2 {
		err := w.f.Subst(template, substitutions[i], substitutions[i+1])
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	visible, err := w.f.Input("high", template)
	if err != nil {
		return err
	}
	if !visible {
		return w.f.Clear()
	}
	if err := w.f.Go(); err != nil && !errors.Is(err, debconf.ErrBack) {
		return err
	}
	return nil
}
