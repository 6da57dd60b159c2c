package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/history"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/pattern"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/transaction"
)

// record has the history take down what a command changes of the running system. An image that is being built has no past.
func (c *call) record() {
	if c.dry() || c.root == nil || !c.root.IsHost() {
		return
	}
	c.log = history.NewLog(c.root, "postfix-maint "+c.line())
	c.log.Back, c.log.Final = opposite(c.root, append(strings.Fields(c.words), c.Args().Slice()...))
	if c.log.Final == "" {
		c.log.Final = c.lastLogin()
	}
	c.root.Recorder = c.log
}

// recordScript is record for a script of the package.
func recordScript(root *sysroot.Root, script string, args []string) *history.Log {
	if !root.IsHost() {
		return nil
	}
	by := fmt.Sprintf("postfix %s: %s", installedVersion(root), strings.TrimSpace(script+" "+strings.Join(args, " ")))
	if reconfiguring() {
		by = "dpkg-reconfigure postfix"
	}
	log := history.NewLog(root, plainly(by))
	root.Recorder = log
	return log
}

// line is the call as it was understood. Passwords come by a file or the standard input, never by an option, but "instance create --set" takes
// parameters of any kind.
func (c *call) line() string {
	words := []string{c.words}
	if name, _, ok := strings.Cut(c.words, " --"); ok {
		words[0] = name
	}
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		if !c.IsSet(name) {
			continue
		}
		var values []string
		switch f.(type) {
		case *cli.BoolFlag:
			words = append(words, "--"+name)
			continue
		case *cli.StringSliceFlag:
			values = c.StringSlice(name)
		case *cli.GenericFlag:
			switch v := c.Generic(name).(type) {
			case *settings:
				values = *v
			case *repairs:
				values = v.ids
				if v.safe {
					words = append(words, "--"+name)
				}
			}
		default:
			values = []string{fmt.Sprint(c.Value(name))}
		}
		beside := []byte(strings.Join(values, "\n")) // one may lead to another by $name
		for _, v := range values {
			words = append(words, quoted("--"+name+"="+string(maincf.Mask([]byte(v), beside))))
		}
	}
	for _, operand := range c.Args().Slice() {
		words = append(words, quoted(operand))
	}
	return plainly(strings.Join(words, " "))
}

var plainWord = pattern.New(`^[A-Za-z0-9_.,:/@%+=\[\]-]+$`)

func quoted(word string) string {
	if plainWord.Regexp().MatchString(word) {
		return word
	}
	return strconv.Quote(word)
}

// plainly bounds a line and leaves nothing in it that a terminal would obey.
func plainly(line string) string {
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, line)
	return line[:min(len(line), 500)]
}

// sayUndo tells at a command's end how its change is taken back.
func sayUndo(log *history.Log, w io.Writer) {
	if log == nil {
		return
	}
	if e, noted := log.Noted(); noted && e.Final() == "" {
		fmt.Fprintf(w, "undo with: postfix-maint undo %d\n", e.Number)
	}
}

// past is an entry for people and machines.
type past struct {
	Number    int          `json:"number"`
	When      time.Time    `json:"when"`
	By        string       `json:"by"`
	Undoes    int          `json:"undoes,omitempty"`
	TakenBack int          `json:"taken_back_by,omitempty"`
	Final     string       `json:"final,omitempty"` // why it cannot be taken back
	Files     []pastChange `json:"files"`
}

// pastChange is what became of a file.
type pastChange struct {
	Path string `json:"path"`
	What string `json:"what"`
	Diff string `json:"diff,omitempty"`
}

// entryNumber refuses what is no number of an entry.
func entryNumber(_ context.Context, c *call) error {
	if n, err := strconv.Atoi(c.Args().First()); c.NArg() > 0 && (err != nil || n < 1) {
		return refuse("%q is no number of an entry: \"postfix-maint history\" lists them", c.Args().First())
	}
	return nil
}

// loadHistory reads the entries, and says what cannot be relied on.
func loadHistory(c *call) ([]history.Entry, error) {
	all, warnings, err := history.Load(c.root)
	if title, unfinished := transactions(c.root).Pending(); unfinished && c.log == nil {
		warnings = append(warnings, fmt.Sprintf("a change was interrupted (%s): the next command completes it or takes it back, with its entry", title))
	}
	warn(c.stderr, warnings)
	return all, err
}

func listHistory(_ context.Context, c *call) (*pasts, error) {
	all, err := loadHistory(c)
	if err != nil {
		return nil, err
	}
	found := []past{}
	for _, e := range all {
		found = append(found, pastOf(all, e))
	}
	return &pasts{found}, nil
}

func showHistory(_ context.Context, c *call) (*past, error) {
	all, err := loadHistory(c)
	if err != nil {
		return nil, err
	}
	e, err := entryOf(all, c.Args().First())
	if err != nil {
		return nil, err
	}
	p := pastOf(all, e)
	return &p, nil
}

// entryOf finds an entry by its number.
func entryOf(all []history.Entry, number string) (history.Entry, error) {
	n, err := strconv.Atoi(number)
	if i := slices.IndexFunc(all, func(e history.Entry) bool { return e.Number == n }); err == nil && i >= 0 {
		return all[i], nil
	}
	return history.Entry{}, fmt.Errorf("there is no entry %q; \"postfix-maint history\" lists them", number)
}

func pastOf(all []history.Entry, e history.Entry) past {
	p := past{Number: e.Number, When: e.When(), By: e.By(), Undoes: e.Undoes(), TakenBack: history.TakenBack(all, e.Number), Final: e.Final(), Files: []pastChange{}}
	for _, part := range e.Parts {
		for _, f := range part.Files {
			what := "changed"
			if f.Made {
				what = "created"
			} else if f.Gone {
				what = "removed"
			}
			switch {
			case f.Kind == history.Memory, f.Kind == history.Index && len(e.Names()) > 0:
				continue
			case f.Kind == history.Index:
				what += "; the index of a table"
			case f.Kind == history.Secret:
				what += "; it holds a secret, of which nothing is kept"
			case f.Kind == history.Large:
				what += "; too large to be kept"
			case len(f.Hidden) > 0:
				what += "; with a secret, of which nothing is kept: " + strings.Join(f.Hidden, ", ")
			}
			p.Files = append(p.Files, pastChange{f.Path, what, f.Diff()})
		}
	}
	return p
}

func (p past) head(w io.Writer) {
	fmt.Fprintf(w, "%d  %s  %s\n", p.Number, p.When.Local().Format("2006-01-02 15:04"), p.By)
	if p.TakenBack != 0 {
		fmt.Fprintf(w, "    taken back by %d\n", p.TakenBack)
	}
}

// pasts are all entries, the newest first.
type pasts struct {
	Entries []past `json:"entries"`
}

func printHistory(c *call, all *pasts) error {
	for _, p := range all.Entries {
		p.head(c.stdout)
		var names []string
		for _, f := range p.Files {
			if !slices.Contains(names, f.Path) {
				names = append(names, f.Path)
			}
		}
		if len(names) > 0 {
			fmt.Fprintf(c.stdout, "    %s\n", strings.Join(names, " "))
		}
	}
	if len(all.Entries) == 0 {
		fmt.Fprintln(c.stdout, "nothing was changed yet")
	}
	return nil
}

func printPast(c *call, p *past) error {
	p.head(c.stdout)
	for _, f := range p.Files {
		fmt.Fprintf(c.stdout, "%s: %s\n%s", f.Path, f.What, f.Diff)
	}
	if p.Final != "" {
		fmt.Fprintf(c.stdout, "it cannot be taken back: %s\n", p.Final)
	}
	return nil
}

// undo takes an entry back as a change of its own.
func undo(ctx context.Context, c *call) (*changes[transaction.Change], error) {
	all, err := loadHistory(c)
	if err != nil {
		return nil, err
	}
	number := c.Args().First()
	if number == "" {
		left := slices.DeleteFunc(slices.Clone(all), func(e history.Entry) bool { return ofNobody(c.root, e) })
		number = strconv.Itoa(history.Last(left))
		if number == "0" {
			return nil, errors.New("there is nothing to take back: no change is in the history that is not taken back already")
		}
	}
	e, err := entryOf(all, number)
	if err != nil {
		return nil, err
	}
	if c.log != nil {
		c.log.Undoes = e.Number
	}
	if e.Opposite() != nil {
		return undoBy(ctx, c, e, history.TakenBack(all, e.Number))
	}
	return undoFiles(ctx, c, e)
}

// undoFiles takes back what the history knows of an entry's files.
func undoFiles(ctx context.Context, c *call, e history.Entry) (*changes[transaction.Change], error) {
	var u *history.Undo
	warnings, err := transactions(c.root).Run(ctx, func() (t *transaction.Transaction, err error) {
		if u, err = history.PlanUndo(c.root, e); err != nil {
			return nil, err
		}
		for _, ch := range u.Changes {
			c.did(ch.What, ch.Diff)
		}
		if c.dry() {
			return nil, nil
		}
		t, err = u.Transaction(func(ctx context.Context, program string, args ...string) error {
			return c.programs.Run(ctx, program, args...)
		})
		if err != nil || t == nil {
			return nil, err
		}
		return t, undoFollows(c, u, t)
	})
	if err != nil {
		return nil, err
	}
	if u.Syslog && len(u.Changes) == 0 {
		u.Warnings = append(u.Warnings, `the files of the syslog daemon follow the chroots: "postfix-maint chroot on" or "off" changes both`)
	}
	return changed(u.Changes, slices.Concat(u.Warnings, warnings), nil), nil
}

// undoFollows adds what comes after an undo: chroots as master.cf wants them, the instances concerned reload, the syslog daemon listens.
func undoFollows(c *call, u *history.Undo, t *transaction.Transaction) error {
	insts, _ := instance.List(c.root)
	for _, inst := range insts {
		concerned, master := concerns(u.Paths(), inst)
		if !concerned {
			continue
		}
		if err := reloads(c.root).Join(t, inst.Unit(), t.Title); err != nil {
			return err
		}
		t.After = append(t.After, transaction.Step{What: "reload instance " + inst.Name, Do: func(ctx context.Context) error {
			return reloadRefilled(ctx, c.root, inst, master)
		}})
		if master || u.Syslog {
			u.Syslog = true
		}
	}
	if u.Syslog {
		t.After = append(t.After, transaction.Step{What: "tell the syslog daemon", Do: func(ctx context.Context) error {
			syncSyslog(ctx, c.root, chrootQueues(c.root), c.stderr)
			return nil
		}})
	}
	return nil
}

// concerns tells whether files are of an instance's configuration, and whether its master.cf is one of them.
func concerns(names []string, inst instance.Instance) (concerned, master bool) {
	for _, name := range names {
		below := strings.HasPrefix(name, inst.ConfigDir+"/")
		concerned = concerned || below || inst.IsPrimary() && !strings.HasPrefix(name, paths.ConfigDir)
		master = master || name == path.Join(inst.ConfigDir, "master.cf")
	}
	return concerned, master
}

// reloadRefilled reloads an instance, with its chroot as a changed master.cf wants it.
func reloadRefilled(ctx context.Context, root *sysroot.Root, inst instance.Instance, master bool) error {
	var before, after error
	if master {
		before = refill(ctx, root, inst, true)
	}
	err := reloadInstance(ctx, inst)
	if err == nil {
		err = reloads(root).Done(inst.Unit())
	}
	if master {
		after = refill(ctx, root, inst, false)
	}
	return errors.Join(before, err, after)
}

// refill fills a chroot before services enter it, or clears it when the last one has left.
func refill(ctx context.Context, root *sysroot.Root, inst instance.Instance, fill bool) error {
	deps := chrootDeps(ctx, root)
	st, err := chroot.NewStatus(deps, inst)
	if err != nil || fill != (len(st.Chrooted) > 0) {
		return err
	}
	if !fill {
		_, err = chroot.Clear(deps, inst)
		return err
	}
	plan, err := chroot.NewPlan(deps, inst)
	if err == nil {
		_, err = plan.Apply()
	}
	return err
}
