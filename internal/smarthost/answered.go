package smarthost

import (
	"context"
	"fmt"
	"path"
	"strings"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/sysroot/transaction"
)

// Answered is the smarthost as the packages' questions ask for it: the set-up brings its answers into force through it.
type Answered struct {
	d        Deps
	inst     instance.Instance
	password Secret
}

// ForAnswers gives the smarthost of an instance for answers; password is the one that came with them, "" for none.
func ForAnswers(d Deps, inst instance.Instance, password Secret) *Answered {
	return &Answered{d: d, inst: inst, password: password}
}

// InForce is Live, nil where there is no main.cf.
func (r *Answered) InForce() (live map[answers.Question]string, ours bool, err error) {
	if there, err := r.there(); !there || err != nil {
		return nil, false, err
	}
	if live, ours, err = Live(r.d.Root, r.inst); err != nil && live != nil {
		err = fmt.Errorf("cannot tell which account logs in at the relay: %w", err)
	}
	return live, ours, err
}

func (r *Answered) there() (bool, error) {
	return r.d.Root.Exists(path.Join(r.inst.ConfigDir, "main.cf"))
}

// Given tells whether a password came with the answers.
func (r *Answered) Given() bool { return r.password != "" }

// Plain is the function Plain.
func (r *Answered) Plain(a answers.Answers) bool { return Plain(a) }

// Check tells which answers can't be brought into force, or what is in force beside them and stands in the way.
func (r *Answered) Check(ctx context.Context, a answers.Answers) []answers.Problem {
	problems := CheckAnswers(ctx, r.d, r.inst, a, r.password, true)
	if there, err := r.there(); len(problems) > 0 || err == nil && !there {
		return problems
	}
	if _, err := r.plan(ctx, a, nil); err != nil {
		problems = append(problems, answers.Problem{Question: answers.RelayHost, Value: a.Relay(), Text: err.Error()})
	}
	return problems
}

// plan is that of a set, without answers of an unset.
func (r *Answered) plan(ctx context.Context, a answers.Answers, others []maincf.Edit) (*Plan, error) {
	if a == nil {
		return Unset(ctx, r.d, r.inst, others...)
	}
	return SetAnswers(ctx, r.d, r.inst, a, r.password, others...)
}

// Diff is what Apply would change.
func (r *Answered) Diff(ctx context.Context, a answers.Answers, others []maincf.Edit) (diff string, due bool, err error) {
	p, err := r.plan(ctx, a, others)
	if err != nil {
		return "", false, err
	}
	var text strings.Builder
	for _, c := range p.Changes {
		text.WriteString(c.Diff)
	}
	return text.String(), len(p.Changes) > 0, nil
}

// Apply brings the answers into force with the other edits of main.cf; without answers it takes back what earlier ones did. note is Plan.Note.
func (r *Answered) Apply(
	ctx context.Context, a answers.Answers, others []maincf.Edit, note func(mainCF []byte) error, show func(transaction.Change),
) ([]string, error) {
	p, err := r.plan(ctx, a, others)
	if err != nil {
		return nil, err
	}
	p.Note = note
	err = p.Apply(ctx, show)
	return p.Warnings, err
}
