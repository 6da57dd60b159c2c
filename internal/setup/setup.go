package setup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/transaction"
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
	Relay   Relay // nil: nothing is done about a relay but relayhost
	// Probe puts a main.cf to Postfix, and gives what it says against it; nil where there is no Postfix to ask.
	Probe func(ctx context.Context, mainCF []byte) error
	// Table opens one of the tables that an answer names, in the same way.
	Table func(ctx context.Context, table string) error
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
	Notes    []string // what nobody need do anything about
	// Held is set where main.cf can't be read, and so no setting is touched, or the relay could not be set up. The wishes then stay
	// noted in the database.
	Held bool
	// Refused are the questions whose answers Postfix would not take: what is in force stays, else the guess is written. The answers
	// stay in the database as wishes.
	Refused map[answers.Question]bool
	// Waiting are the wishes that an upgrade found and left alone: they stay noted in the database.
	Waiting []answers.Question

	d         Deps
	req       Request
	h         host
	journal   journal
	resumed   bool
	fresh     bool // there was no main.cf when this run, or the one that it takes up, began
	upgrade   bool // no setting is changed
	dropped   bool // somebody edited main.cf after an interrupted run: its intent is given up
	effected  answers.Answers
	origin    bool // the mail name is written, and so becomes myorigin
	action    string
	units     string       // State.Units of what is in force at the end
	unwritten error        // a file of the settings can't be written: they are all left alone
	aside     []string     // damaged files of ours
	show      func(Change) // of Apply

	completed  string // the list of destinations with the host's own names, where it lacked them
	relay      relayAction
	relayOurs  bool              // a relay set up by an earlier run is in force
	relayEdits []maincf.Edit     // of main.cf, for Relay.Apply to make
	written    bool              // an interrupted run was through with main.cf but for the relay
	unfinished bool              // a new host has no relay yet: the next run takes this one up
	former     map[string]string // State.Former
	oldName    string            // the host's name before it was renamed, while something holds it
	aliasesDue bool              // the alias database could not be made, by this run or the one before
}

// NewPlan reads the host and decides. It writes nothing and runs programs only to look up what no file tells.
func NewPlan(ctx context.Context, d Deps, req Request) (*Plan, error) {
	p := &Plan{d: d, req: req}
	err := p.steps(ctx)
	if err != nil {
		return p, err
	}
	if path, why := p.unwritable(); why != nil {
		p = &Plan{d: d, req: req, unwritten: fmt.Errorf("%s cannot be written: %w", path, why)}
		err = p.steps(ctx)
	}
	return p, err
}

// steps plans all steps.
func (p *Plan) steps(ctx context.Context) error {
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
			return fmt.Errorf("cannot plan step %q: %w", step.name, err)
		}
		for i := before; i < len(p.Changes); i++ {
			p.Changes[i].Step = step.name
		}
	}
	return nil
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
		case c.after || errors.As(err, new(warning)):
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

// warning marks an error that must not end the run, as doc.go lists them.
type warning struct{ error }

// Unwrap gives the error itself.
func (m warning) Unwrap() error { return m.error }

// warn says something once: main.cf is planned again where Postfix refuses part of it.
func (p *Plan) warn(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(p.Warnings, text) {
		p.Warnings = append(p.Warnings, text)
	}
}

func (p *Plan) add(c Change) { p.Changes = append(p.Changes, c) }

// write plans that path holds data. Missing files get attr; existing ones keep their mode and owner. The diff is against
// the file itself, or for a new one against model, the template that it is made from. The file is the one that data was worked out from.
func (p *Plan) write(path string, data []byte, attr sysroot.Attr, model string, modelText []byte) error {
	seen := p.h.seen[path]
	if seen == nil {
		var err error
		if seen, err = p.d.Root.See(path); err != nil {
			return fmt.Errorf("cannot read %q: %w", path, err)
		}
	}
	missing, old := seen.Missing, seen.Data
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
	master, _ := p.d.Root.ReadFile(paths.MasterCF) // it may say that a parameter of main.cf is a secret
	diff := maincf.Diff(path, old, data, master)
	if fi, err := p.d.Root.Stat(path); err == nil && fi.Mode().Perm()&0o004 == 0 {
		diff = "" // what its owner hides from users must not come into logs either
	}
	attr.Seen = seen
	p.add(Change{What: what, Path: path, Diff: diff, do: func(context.Context) error {
		err := transaction.Write(p.d.Root, transaction.File{Path: path, Seen: seen, New: data, Attr: attr})
		if locked(err) && p.h.main != nil { // a mail system is there all the same
			return warning{fmt.Errorf("%w; it stays as it is", err)}
		}
		return err
	}})
	return nil
}

// programLimit is more than any of these programs needs: newaliases(1) pauses while somebody writes, and a name service may be slow.
const programLimit = 3 * time.Minute

// exec plans a run of another program.
func (p *Plan) exec(what string, after bool, name string, args ...string) {
	p.add(Change{What: what, after: after, do: func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, programLimit)
		defer cancel()
		return p.d.Run.Run(ctx, name, args...)
	}})
}
