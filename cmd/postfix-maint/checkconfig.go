package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/notes"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/transaction"
)

func fixFlags() flags {
	return flags{
		&cli.StringSliceFlag{Name: "fix", Usage: "make the edit that is offered for `NOTE`, and show it as a diff; nothing is edited without"},
		&cli.BoolFlag{Name: "dry-run", Usage: "with --fix: only show the diff"},
		wholeFlag(), jsonFlag(),
		&cli.BoolFlag{Name: detailed, Usage: "with --fix: exit status 3 where something was changed, or would be"},
	}
}

// fixOptions refuses options that do not go together.
func fixOptions(_ context.Context, c *call) error {
	names := c.StringSlice("fix")
	fix := len(names) > 0
	for _, name := range names {
		if all := notes.Names(); !slices.Contains(all, name) {
			hint := meant(name, "", all)
			if hint == "" {
				hint = ": there are " + strings.Join(all, ", ")
			}
			return refuse("there is no note %q%s", name, hint)
		}
	}
	switch {
	case !fix && c.dry():
		return refuse("--dry-run belongs to --fix: without it nothing is edited")
	case !fix && c.Bool(detailed):
		return refuse("--%s belongs to --fix: without it nothing is edited", detailed)
	}
	return nil
}

func checkConfig(ctx context.Context, c *call) (*placedNotes, error) {
	found, warnings := checkConfigs(c.root, setup.Renamed(c.root, facts(ctx, c.root, "").FQDN))
	warn(c.stderr, warnings)
	return &placedNotes{append([]placedNote{}, found...)}, nil
}

// placedNotes are all of them.
type placedNotes struct {
	Notes []placedNote `json:"notes"`
}

func printNotes(c *call, found *placedNotes) error {
	for _, n := range found.Notes {
		n.print(c.stdout)
	}
	if len(found.Notes) == 0 {
		fmt.Fprintln(c.stdout, "nothing is outdated")
	}
	return nil
}

// fixConfigs makes the edits that were asked for.
func fixConfigs(ctx context.Context, c *call) (*changes[transaction.Change], error) {
	var made []transaction.Change
	err := fixConfig(ctx, c.root, c.StringSlice("fix"), c.dry(), func(ch transaction.Change) {
		made = append(made, ch)
		if c.changed = true; !c.Bool("json") {
			fmt.Fprint(c.stdout, c.onScreen(ch.Diff))
		}
	}, c.stderr)
	if err != nil && len(made) == 0 {
		return nil, err
	}
	return changed(made, nil, nil), err
}

func printFixed(c *call, all *changes[transaction.Change]) error {
	if len(all.Changes) > 0 && !c.dry() {
		fmt.Fprintln(c.stdout, "Postfix takes it up with \"systemctl reload postfix\"")
	}
	printIfNone(c, len(all.Changes))
	return nil
}

// placedNote is a note about one instance's files.
type placedNote struct {
	Instance string `json:"instance"`
	Path     string `json:"path"`
	notes.Note
}

func (n placedNote) print(w io.Writer) {
	place := n.Path
	if n.Line > 0 {
		place = fmt.Sprintf("%s:%d", n.Path, n.Line)
	}
	fmt.Fprintf(w, "%s: %s\n    %s\n", place, n.Setting, n.Reason)
	if n.Offer != "" {
		fmt.Fprintf(w, "    instead: %s\n    \"postfix-maint check-config --fix %s\" writes that\n", n.Offer, n.Name)
	}
}

// checkConfigs looks at every instance; host is the primary one's. One that can't be read is a warning.
func checkConfigs(root *sysroot.Root, host notes.Rename) (found []placedNote, warnings []string) {
	insts, errs := instance.List(root)
	for _, err := range errs {
		if !errors.Is(err, fs.ErrNotExist) {
			warnings = append(warnings, err.Error())
		}
	}
	for _, i := range insts {
		c, err := readConfig(root, i.ConfigDir)
		if err != nil {
			warnings = append(warnings, err.Error())
			continue
		}
		if i.IsPrimary() {
			c.Host = host
		}
		for _, n := range notes.Check(c) {
			place := n.File
			if !path.IsAbs(place) {
				place = path.Join(i.ConfigDir, place)
			}
			found = append(found, placedNote{Instance: i.Name, Path: place, Note: n})
		}
	}
	return found, warnings
}

// readConfig reads what the notes are about.
func readConfig(root *sysroot.Root, dir string) (*notes.Config, error) {
	c := &notes.Config{TableType: setup.TableType(root)}
	for _, file := range []struct {
		path  string
		parse func([]byte) error
		need  bool
	}{
		{dir + "/main.cf", func(b []byte) (err error) { c.Main, err = maincf.Parse(b); return err }, true},
		{dir + "/master.cf", func(b []byte) (err error) { c.Master, err = mastercf.Parse(b); return err }, false},
		{paths.MasterTemplate, func(b []byte) (err error) { c.Dist, err = mastercf.Parse(b); return err }, false},
	} {
		data, err := root.ReadFile(file.path)
		if errors.Is(err, fs.ErrNotExist) && !file.need {
			continue
		}
		if err == nil {
			err = file.parse(data)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot understand %q: %w", file.path, err)
		}
	}
	var err error
	if c.NIS, err = root.Exists(paths.Ypcat); err != nil {
		return nil, err
	}
	c.KeyPair, err = setup.KeyPair(root)
	if errors.Is(err, fs.ErrPermission) { // root sees whether there is a key, and what could be said of it is for root to mend
		err = nil
	}
	return c, err
}

// fixConfig makes the edits of the given names in every instance that has such a note. All is worked out before the first byte is written:
// an instance that cannot be read keeps the others from nothing and ends in an error that names it.
func fixConfig(ctx context.Context, root *sysroot.Root, names []string, dry bool, show func(transaction.Change), stderr io.Writer) error {
	dirs, broken := fixable(root, names)
	for _, dir := range dirs {
		_, err := transactions(root).Run(ctx, func() (*transaction.Transaction, error) {
			t, changes, err := planFix(root, dir, names, stderr)
			for _, ch := range changes {
				show(ch)
			}
			if dry {
				t = nil
			}
			return t, err
		})
		if err != nil {
			broken = append(broken, fmt.Errorf("cannot edit %q: %w", dir, err))
		}
	}
	if len(broken) > 0 {
		return fmt.Errorf("not every instance was looked after: %w", errors.Join(broken...))
	}
	return nil
}

// fixable gives the directories of the instances that can be edited.
func fixable(root *sysroot.Root, names []string) (dirs []string, broken []error) {
	insts, broken := instance.List(root)
	for _, i := range insts {
		if _, _, err := planFix(root, i.ConfigDir, names, io.Discard); err != nil {
			broken = append(broken, err)
		} else {
			dirs = append(dirs, i.ConfigDir)
		}
	}
	return dirs, broken
}

// planFix plans the edits of one instance, master.cf first: a setting may need a service, no service needs a setting. nil is for nothing to
// do.
func planFix(root *sysroot.Root, dir string, names []string, stderr io.Writer) (t *transaction.Transaction, changes []transaction.Change, err error) {
	c, err := readConfig(root, dir)
	if err != nil {
		return nil, nil, err
	}
	seen := configTexts(c)
	for _, n := range notes.Check(c) {
		if !slices.Contains(names, n.Name) {
			continue
		}
		if n.Offer == "" {
			warn(stderr, []string{fmt.Sprintf("%s: %s: only you can decide what to write instead: %s", dir, n.Setting, n.Reason)})
		} else if err := n.Apply(c); err != nil {
			return nil, nil, fmt.Errorf("cannot edit %q: %w", dir, err)
		}
	}
	now := configTexts(c)
	for _, name := range []string{"master.cf", "main.cf"} {
		if string(now[name]) == string(seen[name]) {
			continue
		}
		if t == nil {
			t = &transaction.Transaction{Title: fmt.Sprintf("the outdated settings in %q", dir)}
		}
		f := path.Join(dir, name)
		t.Files = append(t.Files, transaction.File{
			Path: f, Seen: &sysroot.Seen{Data: seen[name]}, New: now[name], Attr: sysroot.Attr{Mode: 0o644, Settled: true},
		})
		diff := maincf.Diff(f, seen[name], now[name], now["main.cf"], now["master.cf"])
		changes = append(changes, transaction.Change{What: "change " + f, Path: f, Diff: diff})
	}
	return t, changes, nil
}

// configTexts are the files of a configuration that an edit may change.
func configTexts(c *notes.Config) map[string][]byte {
	texts := map[string][]byte{"main.cf": c.Main.Bytes()}
	if c.Master != nil {
		texts["master.cf"] = c.Master.Bytes()
	}
	return texts
}
