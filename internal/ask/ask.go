// Package ask (ring: flow) asks the questions of Debian's Postfix package: which, when, in what order, with which value
// shown, and what is said about an answer that cannot be used. It changes nothing but debconf's database.
package ask

import (
	"errors"
	"fmt"
	"io/fs"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/debconf"
	"postfix-maint/internal/merge"
)

// Frontend is the part of debconf's protocol that is needed here; *debconf.Client has it.
type Frontend interface {
	Version(version string) error
	Capb(capabilities ...string) ([]string, error)
	Title(title string) error
	Input(priority, question string) (visible bool, err error)
	Go() error
	Clear() error
	Get(question string) (string, error)
	Set(question, value string) error
	Flag(question, flag string) (bool, error)
	SetFlag(question, flag string, on bool) error
	Subst(question, key, value string) error
	Metaget(question, field string) (string, error)
}

var _ Frontend = (*debconf.Client)(nil)

// Input is what the questions start from.
type Input struct {
	Facts answers.Facts
	// Live is what the running configuration says, nil where there is none. A question that is missing in it is blank there.
	Live map[answers.Question]string
	// Base is what was applied last, nil where nothing was yet.
	Base map[answers.Question]string
	// Check tells what only this host can show about an answer to one of the questions about the relay; nil shows nothing.
	Check func(q answers.Question, a answers.Answers) error
	// Reconfigure says that dpkg-reconfigure(8) runs, which shows questions again that a person has seen.
	Reconfigure bool
}

// Run asks everything. Afterwards each question's value in the database is somebody's wish, or what is in force, or on a
// host without configuration the guess; and where it is a wish that is not in force our flag is set, for postinst
// to clear. debconf runs config twice in one installation, so a second run leaves the results of the first alone.
func Run(f Frontend, in Input) error {
	if err := f.Version("2.0"); err != nil {
		return err
	}
	if _, err := f.Capb("backup", "escape"); err != nil {
		return err
	}
	if err := f.Title("Postfix configuration"); err != nil {
		return err
	}
	first, err := answers.Load(f)
	if err != nil {
		return err
	}
	w := &walk{f: f, in: in, first: first, now: make(answers.Answers), shown: make(map[answers.Question]string), derived: make(map[answers.Question]bool)}
	if err := w.knowPassword(); err != nil {
		return err
	}
	for q, a := range first {
		w.now[q] = a
	}
	if err := w.respell(); err != nil {
		return err
	}
	if err := w.steps(); err != nil {
		return err
	}
	return w.finish()
}

// knowPassword lets the walk know of the question for the password. A value that it has already is left in the database: nothing
// here needs it, and nobody shall see it.
func (w *walk) knowPassword() error {
	seen, err := w.f.Flag(string(answers.RelayPassword), answers.SeenFlag)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	w.first[answers.RelayPassword] = answers.Answer{Answered: seen}
	return err
}

// walk is one pass through the questions.
type walk struct {
	f  Frontend
	in Input

	first answers.Answers             // the database before
	now   answers.Answers             // the database now
	shown map[answers.Question]string // what a person was shown and has answered in this run
	path  []int                       // the rows asked on the way here, for going back

	derived map[answers.Question]bool // what was shown came from the answered provider
}

// respell gives a type in quotes or other letters Debian's spelling, and a provider its name of the table, before debconf sees it: a select replaces what is not one
// of its choices by the first one, "No configuration".
func (w *walk) respell() error {
	if _, ok := w.now[answers.MailerType]; !ok {
		return fmt.Errorf("cannot ask for the mail configuration: debconf does not know %s", answers.MailerType)
	}
	for _, q := range []answers.Question{answers.MailerType, answers.RelayProvider} {
		a, ok := w.now[q]
		if !ok {
			continue // a package without our questions
		}
		raw, err := w.f.Get(string(q))
		if err == nil && raw != a.Value {
			err = w.f.Set(string(q), a.Value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// steps walks the table of questions, forth and back.
func (w *walk) steps() error {
	const patience = 20 // a terminal that has gone answers every screen with "back"
	refused := 0
	for i, rows := 0, answers.Rows(); i < len(rows); {
		if i > 0 && w.untouched() {
			return nil
		}
		result, err := w.visit(rows[i])
		switch {
		case err != nil:
			return err
		case result == answered:
			w.path = append(w.path, i)
		case result == back && len(w.path) > 0:
			i = w.path[len(w.path)-1]
			w.path = w.path[:len(w.path)-1]
			continue
		case result == back && refused < patience: // there is nothing before the first question
			refused++
			continue
		}
		i++
	}
	return nil
}

// untouched tells whether the administrator keeps the configuration in his own hands: nothing more is asked then.
func (w *walk) untouched() bool {
	t, _ := w.now.Type()
	return t == answers.NoConfiguration
}

// finish marks the wishes. Answers to questions that the final way does not pass any more, because the person went back
// and chose another type, are taken back.
func (w *walk) finish() error {
	passed := make(map[answers.Question]bool)
	for _, i := range w.path {
		passed[answers.Rows()[i].Question] = true
	}
	for _, r := range answers.Rows() {
		if _, ok := w.shown[r.Question]; ok && !passed[r.Question] {
			if err := w.takeBack(r.Question); err != nil {
				return err
			}
		}
	}
	if w.untouched() {
		return nil
	}
	if _, seen := w.shown[answers.Destinations]; seen {
		if err := w.f.SetFlag(string(answers.Destinations), answers.TypedFlag, true); err != nil {
			return err
		}
	}
	for _, r := range answers.Rows() {
		a, ok := w.now[r.Question]
		wish := ok && w.wish(r.Question)
		if r.Question == answers.RelayPassword || !ok || wish == a.Changed { // a flag that outlived its wish goes, else it would come back over a later hand edit
			continue
		}
		if err := w.f.SetFlag(string(r.Question), answers.ChangedFlag, wish); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) takeBack(q answers.Question) error {
	delete(w.shown, q)
	typed := w.now[q].Value
	w.now[q] = w.first[q]
	value := w.first[q].Value
	if !w.untouched() {
		value = w.proposal(q)
	}
	w.forget(q, typed)
	if err := w.put(q, value); err != nil {
		return err
	}
	return w.f.SetFlag(string(q), answers.SeenFlag, w.first[q].Answered)
}

// forget makes an answer of this run none; the database still holds value.
func (w *walk) forget(q answers.Question, value string) {
	w.now[q] = answers.Answer{Value: value, Answered: w.first[q].Answered, Changed: w.first[q].Changed}
}

// wish tells whether somebody asks for the value in the database while another one is in force.
func (w *walk) wish(q answers.Question) bool {
	c := w.merge(q)
	if _, shown := w.shown[q]; shown {
		c.Changed = true // by a person, a moment ago
	}
	return c.Wish()
}

// merge is the question as package merge sees it.
func (w *walk) merge(q answers.Question) merge.Case {
	a := w.now[q]
	c := merge.Case{
		Answer:   answers.Resolve(q, a.Value, w.in.Facts),
		Answered: a.Answered,
		Changed:  a.Changed,
		Same:     func(x, y string) bool { return answers.Equal(q, x, y) },
	}
	if base, ok := w.in.Base[q]; ok {
		c.Base = &base
	}
	if w.in.Live != nil {
		live := w.in.Live[q]
		c.Live = &live
	}
	return c
}

// put writes a value to the database if it is not there.
func (w *walk) put(q answers.Question, value string) error {
	a := w.now[q]
	if a.Value == value {
		return nil
	}
	a.Value = value
	w.now[q] = a
	return w.f.Set(string(q), value)
}
