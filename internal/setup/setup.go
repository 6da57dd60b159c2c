package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// Runner runs other programs; run.Runner is one.
type Runner interface {
	Output(ctx context.Context, name string, args ...string) ([]byte, error)
	Run(ctx context.Context, name string, args ...string) error
}

// Deps are the ports that the flow acts through.
type Deps struct {
	Root    *sysroot.Root
	Run     Runner
	Service Service
	Relay   *Relay // nil: nothing is done about a relay but relayhost
}

// Request is one call of the flow.
type Request struct {
	Answers answers.Answers
	Facts   answers.Facts
	Package string // version of the package being configured, "" if unknown
	Old     string // version configured before, "" on a first installation: postinst's second argument (policy 6.5)
	// Reconfigure is set where the package was not unpacked anew: dpkg-reconfigure(8) and "apply".
	Reconfigure bool
}

// Change is one thing that a run does, for the screen and for --json.
type Change struct {
	Step string `json:"step"`           // name of the step, as in README.md
	What string `json:"what"`           // one line
	Path string `json:"path,omitempty"` // the file or directory concerned
	Diff string `json:"diff,omitempty"` // unified diff, for text files

	do    func(context.Context) error
	after bool // done once main.cf is in force: what fails here is a warning
	lives bool // may start what outlives the run
}

// Plan is what a run would do. Changes are in the order of their execution.
type Plan struct {
	Changes  []Change
	Warnings []string
	// Held is set where an answer is invalid, or main.cf can't be read, and so no setting is touched. The wishes then stay noted in the
	// database.
	Held bool
	// Refused is set where an answer is invalid on a new host, which gets guesses and local mail instead. The answers stay in the
	// database then, a password as well.
	Refused bool

	d        Deps
	req      Request
	h        host
	journal  journal
	resumed  bool
	fresh    bool // there was no main.cf when this run, or the one that it takes up, began
	dropped  bool // somebody edited main.cf after an interrupted run: its intent is given up
	effected answers.Answers
	origin   bool // the mail name is written, and so becomes myorigin
	action   string
	show     func(Change) // of Apply

	relay      relayAction
	relayEdits []maincf.Edit // of main.cf, for Relay.Apply to make
	written    bool          // an interrupted run was through with main.cf but for the relay
	unfinished bool          // a new host has no relay yet: the next run takes this one up
	aliasesDue bool          // the alias database could not be made, by this run or the one before
}

// NewPlan reads the host and decides. It writes nothing and runs programs only to look up what no file tells.
func NewPlan(ctx context.Context, d Deps, req Request) (*Plan, error) {
	p := &Plan{d: d, req: req}
	for _, step := range []struct {
		name string
		plan func(context.Context) error
	}{
		{"look", p.look},
		{"accounts", p.accounts},
		{"overrides", p.overrides},
		{"directories", p.directories},
		{"map registry", p.mapRegistry},
		{"templates", p.templates},
		{"mail name", p.mailname},
		{"aliases", p.aliasFile},
		{"main.cf", p.mainCF},
		{"alias database", p.aliasDatabase},
		{"relay", p.relayStep},
		{"service", p.service},
	} {
		before := len(p.Changes)
		if err := step.plan(ctx); err != nil {
			return nil, fmt.Errorf("cannot plan step %q: %w", step.name, err)
		}
		for i := before; i < len(p.Changes); i++ {
			p.Changes[i].Step = step.name
		}
	}
	return p, nil
}

// Apply makes the plan so, telling each change through show before it is done. A failure of a change up to and including
// main.cf is the error; later ones become warnings. With nothing to change nothing is written. It calls settled once, when the
// configuration is in force and before the service is started or restarted: the talk with debconf ends there (#410871).
func (p *Plan) Apply(ctx context.Context, show func(Change), settled func() error) error {
	p.show = show
	if err := p.begin(); err != nil {
		return err
	}
	settle := sync.OnceValue(settled)
	for _, c := range p.Changes {
		if c.lives {
			if err := settle(); err != nil {
				return err
			}
		}
		show(c)
		err := c.do(ctx)
		switch {
		case err == nil:
		case c.after || errors.As(err, new(mild)):
			p.warn("%s: %v", c.Step, err)
		default:
			return fmt.Errorf("cannot complete step %q: %w", c.Step, err)
		}
	}
	if err := settle(); err != nil {
		return err
	}
	return p.end()
}

// mild marks an error that must not end the run, as doc.go lists them.
type mild struct{ error }

// Unwrap gives the error itself.
func (m mild) Unwrap() error { return m.error }

func (p *Plan) warn(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}

func (p *Plan) add(c Change) { p.Changes = append(p.Changes, c) }

// write plans that path holds data. Missing files get attr; existing ones keep their mode and owner. The diff is against
// the file itself, or for a new one against model, the template that it is made from.
func (p *Plan) write(path string, data []byte, attr sysroot.Attr, model string, modelText []byte) error {
	old, err := p.d.Root.ReadFile(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return fmt.Errorf("cannot read %q: %w", path, err)
	}
	if !missing && string(old) == string(data) {
		return nil
	}
	what := "change " + path
	switch {
	case missing && model != "":
		what, old = "create "+path+" from "+model, modelText
	case missing:
		what = "create " + path
	}
	diff := maincf.Diff(path, old, data)
	if path == paths.MainCF {
		diff = maincf.Diff(path, maincf.Mask(old), maincf.Mask(data))
	}
	if fi, err := p.d.Root.Stat(path); err == nil && fi.Mode().Perm()&0o004 == 0 {
		diff = "" // what its owner hides from users must not come into logs either
	}
	p.add(Change{What: what, Path: path, Diff: diff, do: func(context.Context) error {
		_, err := p.d.Root.WriteFile(path, data, attr)
		return err
	}})
	return nil
}

// exec plans a run of another program.
func (p *Plan) exec(what string, after bool, name string, args ...string) {
	p.add(Change{What: what, after: after, do: func(ctx context.Context) error {
		return p.d.Run.Run(ctx, name, args...)
	}})
}
