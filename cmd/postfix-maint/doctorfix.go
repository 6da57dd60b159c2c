package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"postfix-maint/internal/doctor"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/sysroot/transaction"
	"postfix-maint/internal/systemd"
)

// repairs are the values of --fix: by itself it is for all that is safe, with an identifier for what that names. It may be given more than
// once.
type repairs struct {
	safe bool
	ids  []string
}

// IsBoolFlag lets the option stand without a value, which is "true" then (package flag).
func (*repairs) IsBoolFlag() bool { return true }

// Set adds one.
func (r *repairs) Set(text string) error {
	switch text {
	case "true":
		r.safe = true
	case "":
		return errors.New("the identifier behind it is empty: a variable that was not set?")
	default:
		r.ids = append(r.ids, strings.Split(text, ",")...)
	}
	return nil
}

// String shows all.
func (r *repairs) String() string { return strings.Join(r.values(), ",") }

func (r *repairs) values() []string {
	if r.safe {
		return append([]string{"true"}, r.ids...)
	}
	return r.ids
}

// optional tells an option whose value may be missing.
func optional(f cli.Flag) bool {
	g, generic := f.(*cli.GenericFlag)
	if !generic {
		return false
	}
	v, ok := g.Value.(interface{ IsBoolFlag() bool })
	return ok && v.IsBoolFlag()
}

// mayTake tells whether an option of a command is one.
func mayTake(c *cli.Command, name string) bool {
	return slices.ContainsFunc(c.Flags, func(f cli.Flag) bool { return optional(f) && slices.Contains(f.Names(), name) })
}

// chosenRepairs are those of a call; nil without --fix.
func chosenRepairs(c *call) *repairs {
	r, _ := c.Generic("fix").(*repairs)
	if r == nil || !r.safe && len(r.ids) == 0 {
		return nil
	}
	return r
}

func doctorFlags() flags {
	return flags{
		&cli.GenericFlag{Name: "fix", Value: &repairs{}, Usage: "mend what can be mended without harm, show each step, and look again; " +
			"with `ID` what that names, even if it reloads or restarts mail or touches what people wrote"},
		&cli.BoolFlag{Name: "dry-run", Usage: "with --fix: only show what would be done"},
		&cli.BoolFlag{Name: detailed, Usage: "with --fix: exit status 3 where something was mended and nothing is left"},
		&cli.BoolFlag{Name: "online", Usage: "ask others as well: names and mail servers in the DNS, name servers, port 25 outwards, the relay and its login; 20 seconds at most"},
		gateFlag(), jsonFlag(),
	}
}

// doctorOptions refuses options that do not go together, and identifiers that nothing mends.
func doctorOptions(_ context.Context, c *call) error {
	r := chosenRepairs(c)
	switch {
	case c.Bool("gate") && c.Bool("online"):
		return refuse("--gate is about the configuration alone, and fast: --online does not go with it")
	case r == nil && c.dry():
		return refuse("--dry-run belongs to --fix: without it nothing is mended")
	case r == nil && c.Bool(detailed):
		return refuse("--%s belongs to --fix: without it nothing is mended", detailed)
	case r == nil:
		return nil
	case c.Bool("gate"):
		return refuse("--gate only looks, before a reload: --fix does not go with it")
	}
	known := doctor.FixableIDs()
	if first := c.Args().First(); r.safe && slices.Contains(known, first) {
		return refuse("%q is no instance: --fix=%s mends that alone", first, first)
	}
	for _, id := range r.ids {
		if slices.ContainsFunc(doctor.Checks(), func(row doctor.Check) bool { return row.ID == id && row.Repair == doctor.NoRepair }) {
			return refuse("--fix: nothing of ours mends %q: \"postfix-maint doctor\" says what to do; there are repairs of %s", id, strings.Join(known, ", "))
		}
		if !slices.Contains(known, id) {
			return refuse("--fix: there is no repair %q%s; those that there are: %s", id, meant(id, "--fix=", known), strings.Join(known, ", "))
		}
	}
	return nil
}

// again is how often doctor looks again after something was started or reloaded, and how long it waits before.
const (
	again      = 6
	againAfter = 500 * time.Millisecond
)

// mend mends what was chosen of what the checks find, and looks again.
func mend(ctx context.Context, c *call) (*doctor.Report, error) {
	e := examination{c: c}
	before, err := e.look(ctx)
	if err != nil {
		return nil, err
	}
	m := mending{c: c, facts: &e.facts}
	chosen := chosenRepairs(c)
	var done []doctor.Finding
	for _, f := range before.Findings {
		if f.Chosen(chosen.safe, chosen.ids) {
			done = append(done, f)
		}
	}
	err = m.all(ctx, done)
	if c.dry() || len(m.changes) == 0 {
		before.Repairs = m.changes
		return before, errors.Join(err, verdict(before))
	}
	after, lookErr := m.lookAgain(ctx)
	if lookErr != nil {
		return nil, errors.Join(err, lookErr)
	}
	after.Mended(done)
	after.Repairs = m.changes
	return after, errors.Join(err, verdict(after))
}

// mending carries out repairs.
type mending struct {
	c       *call
	facts   *doctor.Facts
	changes []transaction.Change
	edited  []string // configurations whose main.cf or master.cf was changed
	waits   bool     // something was started or reloaded
}

// lookAgain goes through the checks anew. What was started or reloaded may take a moment until it listens, or has read its files.
func (m *mending) lookAgain(ctx context.Context) (*doctor.Report, error) {
	for n := 1; ; n++ {
		e := examination{c: m.c}
		r, err := e.look(ctx)
		if err != nil || len(r.Findings) == 0 || !m.waits || n == again {
			return r, err
		}
		select {
		case <-ctx.Done():
			return r, nil
		case <-time.After(againAfter):
		}
	}
}

// show tells of a step before it is taken.
func (m *mending) show(ch transaction.Change) {
	m.changes = append(m.changes, ch)
	m.c.did(ch.What, ch.Diff)
}

// all takes the steps: those about files, the reload of what they changed, then those of systemd. One that fails keeps the others from nothing.
func (m *mending) all(ctx context.Context, findings []doctor.Finding) (err error) {
	var taken []doctor.Act
	for _, late := range []bool{false, true} {
		for _, f := range findings {
			for _, a := range f.Acts() {
				if (a.Deed == doctor.Unit) != late || slices.Contains(taken, a) {
					continue
				}
				taken = append(taken, a)
				if e := m.act(ctx, a); e != nil {
					err = errors.Join(err, fmt.Errorf("cannot mend %s: %w", f.ID, e))
				}
			}
		}
		if !late {
			err = errors.Join(err, m.reload(ctx))
		}
	}
	return err
}

// act takes one step.
func (m *mending) act(ctx context.Context, a doctor.Act) error {
	n := len(m.changes)
	err := m.step(ctx, a)
	if err == nil && len(m.changes) > n && slices.Contains([]doctor.Deed{doctor.Set, doctor.Once, doctor.Offer}, a.Deed) && !slices.Contains(m.edited, a.Dir) {
		m.edited = append(m.edited, a.Dir)
	}
	return err
}

func (m *mending) step(ctx context.Context, a doctor.Act) error {
	c := m.c
	switch a.Deed {
	case doctor.Ended:
		m.show(transaction.Change{What: "end the interrupted change of " + a.Path, Path: a.Path})
		return nil // who took the lock has
	case doctor.Offer:
		return m.offer(ctx, a)
	case doctor.Chroot:
		return m.chroot(ctx, a)
	case doctor.Unit:
		return m.unit(ctx, a)
	}
	return doctor.Mender{Root: c.root, Files: transactions(c.root), Run: c.programs.Run, Show: m.show, Dry: c.dry()}.Mend(ctx, a)
}

// offer makes an edit that check-config offers.
func (m *mending) offer(ctx context.Context, a doctor.Act) error {
	warnings, err := transactions(m.c.root).Run(ctx, func() (*transaction.Transaction, error) {
		t, changes, err := planFix(m.c.root, a.Dir, []string{a.Name}, m.c.stderr)
		for _, ch := range changes {
			m.show(ch)
		}
		if m.c.dry() {
			t = nil
		}
		return t, err
	})
	warn(m.c.stderr, warnings)
	return err
}

// instance is the one of a configuration directory.
func (m *mending) instance(dir string) (instance.Instance, error) {
	for _, i := range m.facts.Instances {
		if i.ConfigDir == dir {
			return i.Instance, nil
		}
	}
	return instance.Instance{}, fmt.Errorf("there is no instance of %q", dir)
}

// chroot does what "chroot sync" does.
func (m *mending) chroot(ctx context.Context, a doctor.Act) error {
	inst, err := m.instance(a.Dir)
	if err != nil {
		return err
	}
	m.show(transaction.Change{What: "bring the chroot in " + inst.QueueDir + " up to date", Path: inst.QueueDir})
	if m.c.dry() {
		return nil
	}
	r := chrootReport{}
	err = syncChroot(ctx, m.c, chrootDeps(ctx, m.c.root), inst, &r)
	warn(m.c.stderr, r.Warnings)
	if inst.IsPrimary() {
		_, warnings, e := syncAllSyslog(ctx, m.c)
		warn(m.c.stderr, warnings)
		err = errors.Join(err, e)
	}
	return err
}

// reload brings edits into force, unless the file had others in it that nobody has loaded: whoever makes those decides when.
func (m *mending) reload(ctx context.Context) (err error) {
	for _, i := range m.facts.Instances {
		switch {
		case !slices.Contains(m.edited, i.ConfigDir) || i.Master0 == 0:
		case i.Edited:
			note(m.c.stderr, []string{fmt.Sprintf("%s/main.cf has edits of somebody else that are not loaded: \"postfix-maint doctor --fix=not-reloaded\" loads all", i.ConfigDir)})
		default:
			err = errors.Join(err, m.unit(ctx, doctor.Act{Deed: doctor.Unit, Dir: i.ConfigDir, Name: i.Unit, Value: doctor.Reload}))
		}
	}
	return err
}

// unit has systemd do something.
func (m *mending) unit(ctx context.Context, a doctor.Act) error {
	m.show(transaction.Change{What: strings.TrimSpace("systemctl " + a.Value + " " + a.Name)})
	if m.c.dry() {
		return nil
	}
	m.waits = true
	if a.Value == doctor.Reload {
		inst, err := m.instance(a.Dir)
		if err != nil {
			return err
		}
		return reloadInstance(ctx, inst)
	}
	s, err := systemd.Dial(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	switch a.Value {
	case doctor.Start:
		return s.Start(ctx, a.Name)
	case doctor.Restart:
		if err := s.ResetFailed(ctx, a.Name); err != nil {
			return err
		}
		return s.Restart(ctx, a.Name)
	}
	return s.Reload(ctx)
}
