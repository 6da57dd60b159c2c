package setup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// State is what the last complete run applied, kept in paths.Applied as JSON: the base of the next merge. It holds no
// secret: passwords are never answers of ours once they are stored.
type State struct {
	Package string            `json:"package"` // version of Debian's package at that time
	Answers map[string]string `json:"answers"` // by debconf question
	Protos  map[string]string `json:"protos,omitempty"`
	// AliasesDue is set when the alias database could not be made: what a failed newaliases left may be newer than its text.
	AliasesDue bool `json:"aliases_due,omitempty"`
}

// journal is the intent of a run, kept in paths.Pending from before its first change until after its last. A run that
// finds one was interrupted.
type journal struct {
	Fresh   bool                                `json:"fresh"`   // no main.cf when the run began
	Before  string                              `json:"before"`  // sum of main.cf then, "" for none
	After   string                              `json:"after"`   // and of what step "main.cf" makes of it
	Action  string                              `json:"action"`  // what the service needs at the end
	Answers map[answers.Question]answers.Answer `json:"answers"` // those being applied
	// Relaying is set when main.cf is as the answers want it but for the relay, which other hands write then.
	Relaying bool `json:"relaying,omitempty"`
}

// LoadState reads what was applied last; a host where nothing was gives nil, and so does one where Debian's own layer ran
// since: configured is the version that dpkg configured last. A file that can't be understood is an error that names it:
// guessing would lose hand edits.
func LoadState(root *sysroot.Root, configured string) (*State, error) {
	s := &State{}
	ok, err := load(root, paths.Applied, s)
	if err != nil || !ok || !strings.Contains(configured, "+maint") {
		return nil, err
	}
	return s, nil
}

// Intent gives the answers of a run that was begun and not ended, nil where there is none.
func Intent(root *sysroot.Root) (answers.Answers, error) {
	j := journal{}
	_, err := load(root, paths.Pending, &j)
	return j.Answers, err
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

func load(root *sysroot.Root, path string, into any) (bool, error) {
	data, err := root.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot read %q: %w", path, err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return false, fmt.Errorf("cannot understand %q (move it away to start anew from the running configuration): %w", path, err)
	}
	return true, nil
}

func save(root *sysroot.Root, path string, from any) error {
	data, err := json.MarshalIndent(from, "", "\t")
	if err != nil {
		return fmt.Errorf("cannot write %q: %w", path, err)
	}
	if _, err := root.MkdirAll(paths.StateDir, sysroot.Attr{Mode: 0o755}); err != nil {
		return err
	}
	_, err = root.WriteFile(path, append(data, '\n'), sysroot.Attr{Mode: 0o600})
	return err
}

// begin notes the intent, where there is anything to do.
func (p *Plan) begin() error {
	if len(p.Changes) == 0 && !p.resumed {
		return nil
	}
	if err := p.sweep(); err != nil || p.resumed {
		return err
	}
	p.journal.Action = p.action
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
	}
	if _, err := p.d.Root.Remove(paths.Installing); err != nil {
		return err
	}
	if p.unfinished {
		return nil
	}
	_, err := p.d.Root.Remove(paths.Pending)
	return err
}

// applied is the base for the next merge: what was answered, and where nobody answered what is in force.
func (p *Plan) applied() (State, error) {
	s := State{Package: p.req.Package, Answers: map[string]string{}, Protos: p.h.protos, AliasesDue: p.aliasesDue}
	if s.Package == "" && p.h.state != nil {
		s.Package = p.h.state.Package
	}
	live := p.h.live
	if p.h.after != nil {
		live = liveAnswers(p.h.after, p.h.mailnameAfter, p.h.aliasesAfter, p.effected[answers.Chattr].Value)
	}
	for q, a := range p.effected {
		s.Answers[string(q)] = a.Value
		untouched := q == answers.MailerType && p.mailerType() == answers.NoConfiguration
		if v, ok := live[q]; ok && !a.Answered && !untouched && !p.dropped {
			s.Answers[string(q)] = v
		}
	}
	if root := answers.RootAddress; p.h.unread { // the wish about it waits
		if delete(s.Answers, string(root)); p.h.state.Base()[root] != "" {
			s.Answers[string(root)] = p.h.state.Base()[root]
		}
	}
	settled, err := p.Settled()
	for q, v := range settled {
		s.Answers[string(q)] = v
	}
	return s, err
}
