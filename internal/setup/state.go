package setup

import (
	"cmp"
	"errors"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/note"
	"postfix-maint/internal/version"
)

// State is what the last complete run applied, kept in paths.Applied as JSON: the base of the next merge. It holds no
// secret: passwords are never answers of ours once they are stored.
type State struct {
	Package string            `json:"package"` // version of Debian's package at that time
	Answers map[string]string `json:"answers"` // by debconf question
	Protos  map[string]string `json:"protos,omitempty"`
	// AliasesDue is set when the alias database could not be made: what a failed newaliases left may be newer than its text.
	AliasesDue bool `json:"aliases_due,omitempty"`
	// Former has, per parameter, what the type's value in main.cf stands in place of: the next type puts it back.
	Former map[string]string `json:"former,omitempty"`
	// Relay is relayhost as an answer wrote it, without TLS or login, which others take back. One that was set by hand, and only found, is
	// nobody's to take back.
	Relay string `json:"relay,omitempty"`
	// Host is the host's full name at that time, for as long as something still holds it.
	Host string `json:"host,omitempty"`
	// Units is the sum of what systemd has read (unitsSum), "" where nobody knows.
	Units string `json:"units,omitempty"`

	filled map[answers.Question]string // see Fill
}

// journal is the intent of a run, kept in paths.Pending from before its first change until after its last. A run that
// finds one was interrupted.
type journal struct {
	Fresh   bool                                `json:"fresh"`             // no main.cf when the run began
	Before  string                              `json:"before"`            // sum of main.cf then, "" for none
	After   string                              `json:"after"`             // and of what step "main.cf" makes of it
	Action  string                              `json:"action"`            // what the service needs at the end
	Answers map[answers.Question]answers.Answer `json:"answers"`           // those being applied
	Upgrade bool                                `json:"upgrade,omitempty"` // no setting is changed
	// Relaying is set when main.cf is as the answers want it but for the relay, which other hands write then.
	Relaying bool `json:"relaying,omitempty"`
	// Relayed is the sum of main.cf as these hands leave it.
	Relayed string `json:"relayed,omitempty"`
	// Ended is set where the run came to its end without a relay: After is main.cf as it was left then, and nobody of ours writes it since.
	Ended bool `json:"ended,omitempty"`
	// Former is State.Former before the run, and what the run adds to it.
	Former map[string]string `json:"former,omitempty"`
	// Relay is State.Relay as the run leaves it.
	Relay string `json:"relay,omitempty"`
}

// wrote tells whether main.cf of this sum is as the run found it or has left it: whatever else it says, somebody else wrote.
func (j *journal) wrote(now string) bool {
	return now == j.Before || now == j.After || j.Relaying && !j.Ended && now == j.Relayed
}

// LoadState reads what was applied last; a host where nothing was gives nil, and so does one where Debian's own layer ran
// since: configured is the version that dpkg configured last. One with a damaged file, which damaged tells of, starts anew: without a base
// an answer that somebody gave before is no wish, so nothing that is in force is overwritten for it.
func LoadState(root *sysroot.Root, configured string) (s *State, damaged []*note.DamagedError) {
	s = &State{}
	ok, bad := note.Load(root, paths.Applied, s, func() error { return said(s.Answers != nil) })
	if bad != nil {
		damaged = append(damaged, bad)
	}
	if _, bad = note.Load(root, paths.Filled, &s.filled, nil); bad != nil {
		damaged = append(damaged, bad)
	}
	if _, ours := version.Stock(configured); !ok || !ours {
		return nil, damaged
	}
	return s, damaged
}

// Intent gives the answers of a run that was begun and not ended, nil where there is none or where the note of it is damaged.
func Intent(root *sysroot.Root) answers.Answers {
	j, _, _ := loadJournal(root)
	if j.Upgrade { // nobody was asked
		return nil
	}
	return j.Answers
}

// said refuses a file that has no answers in it.
func said(answers bool) error {
	if !answers {
		return errors.New("it says nothing")
	}
	return nil
}

func loadJournal(root *sysroot.Root) (j journal, ok bool, damaged *note.DamagedError) {
	ok, damaged = note.Load(root, paths.Pending, &j, func() error { return said(j.Answers != nil) })
	if !ok {
		j = journal{}
	}
	return j, ok, damaged
}

// Fill notes which answers in the database config filled in to show what is in force, and nobody gave: if something else is in force by
// the time postinst runs, they are no wishes. That of a question whose base says so already needs no note.
func Fill(root *sysroot.Root, s *State, now answers.Answers) error {
	if s == nil { // without a base only what config flagged is a wish
		return nil
	}
	filled := map[answers.Question]string{}
	for q, a := range now {
		if base, ok := s.Answers[string(q)]; !a.Changed && (!ok || base != a.Value) {
			filled[q] = a.Value
		}
	}
	if len(filled) == 0 {
		_, err := root.Remove(paths.Filled)
		return err
	}
	return save(root, paths.Filled, filled)
}

// BaseOf is Base for these answers: one that config filled in is its own base.
func (s *State) BaseOf(given answers.Answers) map[answers.Question]string {
	base := s.Base()
	for q, a := range given {
		if v, ok := s.filledIn(q); ok && v == a.Value {
			base[q] = v
		}
	}
	return base
}

func (s *State) filledIn(q answers.Question) (string, bool) {
	if s == nil {
		return "", false
	}
	v, ok := s.filled[q]
	return v, ok
}

// Base gives the applied answers for the questions, nil where nothing was applied yet.
func (s *State) Base() map[answers.Question]string {
	if s == nil {
		return nil
	}
	base := map[answers.Question]string{}
	for q, v := range s.Answers {
		base[answers.Question(q)] = v
	}
	return base
}

// setAside plans that a damaged file of ours gets another name, where somebody can look at it.
func (p *Plan) setAside(damaged ...*note.DamagedError) {
	for _, d := range damaged {
		p.warn("%v; it is set aside as %q, and what is in force counts", d, note.Aside(p.d.Root, d.Path))
		p.aside = append(p.aside, d.Path)
	}
}

func save(root *sysroot.Root, path string, from any) error { return note.Save(root, path, from, 0o755) }

// begin notes the intent, where there is anything to do.
func (p *Plan) begin() error {
	for _, name := range p.aside {
		if _, err := note.SetAside(p.d.Root, name); err != nil {
			return err
		}
	}
	if len(p.Changes) == 0 && !p.resumed {
		return nil
	}
	if err := p.sweep(); err != nil || p.resumed {
		return err
	}
	p.journal.Action, p.journal.Former, p.journal.Relay = p.action, p.former, p.relayNow()
	return save(p.d.Root, paths.Pending, p.journal)
}

// sweep removes the temporary files that a killed run left beside what this one writes.
func (p *Plan) sweep() error {
	swept := []string{paths.Pending}
	if p.resumed {
		swept = append(swept, paths.Applied, paths.MainCF, paths.Mailname)
		for _, c := range p.Changes {
			if c.Path != "" {
				swept = append(swept, c.Path)
			}
		}
	}
	for _, path := range swept {
		if _, err := p.d.Root.SweepTemp(path); err != nil {
			return err
		}
	}
	return nil
}

// mainSum tells one main.cf from another; "" stands for none.
func mainSum(f *maincf.File) string {
	if f == nil {
		return ""
	}
	return sum(f.Bytes())
}

// end remembers what is in force now and drops the intent: in this order, so that a crash between the two only repeats
// a run that has nothing left to do.
func (p *Plan) end() error {
	if !p.Held {
		now, err := p.applied()
		if err != nil {
			return err
		}
		if err := save(p.d.Root, paths.Applied, now); err != nil {
			return err
		}
		if _, err := p.d.Root.Remove(paths.Filled); err != nil { // it is in the base now
			return err
		}
	}
	if _, err := p.d.Root.Remove(paths.Installing); err != nil {
		return err
	}
	if !p.req.Reconfigure { // what was unpacked is configured
		if _, err := p.d.Root.Remove(paths.Unpacked); err != nil {
			return err
		}
	}
	if p.unfinished {
		main, err := readMainCF(p.d.Root)
		if err != nil {
			return nil // somebody is at work on it: their turn
		}
		p.journal.After, p.journal.Ended = mainSum(main), true
		return save(p.d.Root, paths.Pending, p.journal)
	}
	_, err := p.d.Root.Remove(paths.Pending)
	return err
}

// applied is the base for the next merge: what was answered, and where nobody answered what is in force.
func (p *Plan) applied() (State, error) {
	s := State{Package: p.req.Package, Answers: map[string]string{}, Protos: p.h.protos, AliasesDue: p.aliasesDue, Units: p.units}
	if s.Package == "" && p.h.state != nil {
		s.Package = p.h.state.Package
	}
	live := p.h.live
	if s.Host = cmp.Or(p.oldName, p.req.Facts.FQDN); p.standsIn(p.h.after) {
		s.Host = p.h.state.Host // until a better name takes its place
	}
	if p.h.after != nil {
		s.Former = p.formerNow()
		live = liveAnswers(p.h.after, p.h.mailnameAfter, p.h.aliasesAfter, p.effected[answers.Chattr].Value)
		if wrote := p.relayNow(); p.relay == leaveRelay && !p.relayOurs && answers.Equal(answers.RelayHost, live[answers.RelayHost], wrote) {
			s.Relay = wrote
		}
	}
	for q, a := range p.effected {
		s.Answers[string(q)] = a.Value
		untouched := q == answers.MailerType && p.mailerType() == answers.NoConfiguration
		if v, ok := live[q]; ok && !a.Answered && !untouched && !p.dropped {
			s.Answers[string(q)] = v
		} else if ok && q != answers.MailerType && p.mailerType() == answers.NoConfiguration && !answers.Equal(q, a.Value, v) {
			s.Answers[string(q)] = cmp.Or(p.h.base[q], v) // it was not carried out, and stays a wish
		}
	}
	waiting := p.Waiting
	if p.h.unread {
		waiting = append(waiting, answers.RootAddress)
	}
	if p.h.nameLost {
		waiting = append(waiting, answers.Mailname)
	}
	for _, q := range waiting {
		delete(s.Answers, string(q))
		if v, ok := p.h.base[q]; ok {
			s.Answers[string(q)] = v
		}
	}
	settled, err := p.Settled()
	for q, v := range settled {
		s.Answers[string(q)] = v
	}
	return s, err
}
