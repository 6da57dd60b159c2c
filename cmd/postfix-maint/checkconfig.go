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
)

func fixFlags() flags {
	return flags{
		&cli.StringSliceFlag{Name: "fix", Usage: "make the edit that is offered for `NAME`, and show it as a diff; nothing is edited without"},
		&cli.BoolFlag{Name: "dry-run", Usage: "with --fix: only show the diff"},
		jsonFlag(),
	}
}

// fixOptions refuses options that do not go together.
func fixOptions(_ context.Context, c *call) error {
	fix := len(c.StringSlice("fix")) > 0
	switch {
	case !fix && c.dry():
		return refuse("--dry-run belongs to --fix: without it nothing is edited")
	case fix && c.Bool("json"):
		return refuse("--json does not go with --fix, which shows its edits as diffs")
	}
	return nil
}

func checkConfig(ctx context.Context, c *call) (*[]placedNote, error) {
	found, warnings := checkConfigs(c.root, setup.Renamed(c.root, facts(ctx, c.root, "").FQDN))
	warn(c.stderr, warnings)
	found = append([]placedNote{}, found...)
	return &found, nil
}

func printNotes(c *call, found *[]placedNote) error {
	for _, n := range *found {
		n.print(c.stdout)
	}
	if len(*found) == 0 {
		fmt.Fprintln(c.stdout, "nothing is outdated")
	}
	return nil
}

func fixConfigs(_ context.Context, c *call) error {
	return fixConfig(c.root, c.StringSlice("fix"), c.dry(), c.stdout, c.stderr)
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
	c := &notes.Config{}
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
	return c, err
}

// fixConfig makes the edits of the given names in every instance that has such a note. All is worked out before the first byte is written:
// a name that is none stops everything, an instance that cannot be read keeps the others from nothing and ends in an error that names it.
func fixConfig(root *sysroot.Root, names []string, dry bool, stdout, stderr io.Writer) error {
	insts, broken := instance.List(root)
	known := map[string]bool{}
	var files []fixedFile
	for _, i := range insts {
		some, err := planFix(root, i.ConfigDir, names, known, stderr)
		if err != nil {
			broken = append(broken, err)
		}
		files = append(files, some...)
	}
	var unknown []string
	for _, name := range names {
		if !known[name] {
			unknown = append(unknown, fmt.Sprintf("there is no note %q about this configuration", name))
		}
	}
	if len(unknown) > 0 {
		return errors.Join(errors.New(strings.Join(unknown, "; ")+"; nothing is edited"), errors.Join(broken...))
	}
	for _, f := range files {
		fmt.Fprint(stdout, f.diff)
		if dry {
			continue
		}
		if _, err := root.WriteFile(f.path, f.data, sysroot.Attr{Mode: 0o644, Settled: true, Seen: f.seen}); err != nil {
			broken = append(broken, fmt.Errorf("cannot write %q: %w", f.path, err))
		}
	}
	if !dry && len(files) > 0 {
		fmt.Fprintln(stdout, "Postfix takes it up with \"systemctl reload postfix\"")
	}
	if len(broken) > 0 {
		return fmt.Errorf("not every instance was looked after: %w", errors.Join(broken...))
	}
	return nil
}

// fixedFile is a file as an edit makes it.
type fixedFile struct {
	path, diff string
	seen       *sysroot.Seen
	data       []byte
}

// planFix works out the edits of one instance, master.cf first: a setting may need a service, no service needs a setting. known gets the
// names that are notes here.
func planFix(root *sysroot.Root, dir string, names []string, known map[string]bool, stderr io.Writer) (files []fixedFile, err error) {
	c, err := readConfig(root, dir)
	if err != nil {
		return nil, err
	}
	seen := map[string][]byte{"main.cf": c.Main.Bytes()}
	if c.Master != nil {
		seen["master.cf"] = c.Master.Bytes()
	}
	for _, n := range notes.Check(c) {
		if !slices.Contains(names, n.Name) {
			continue
		}
		known[n.Name] = true
		if n.Offer == "" {
			warn(stderr, []string{fmt.Sprintf("%s: %s: only you can decide what to write instead: %s", dir, n.Setting, n.Reason)})
		} else if err := n.Apply(c); err != nil {
			return nil, fmt.Errorf("cannot edit %q: %w", dir, err)
		}
	}
	now := map[string][]byte{"main.cf": c.Main.Bytes()}
	if c.Master != nil {
		now["master.cf"] = c.Master.Bytes()
	}
	for _, name := range []string{"master.cf", "main.cf"} {
		if string(now[name]) == string(seen[name]) {
			continue
		}
		files = append(files, fixedFile{
			path: dir + "/" + name, seen: &sysroot.Seen{Data: seen[name]}, data: now[name],
			diff: maincf.Diff(dir+"/"+name, seen[name], now[name], now["main.cf"], now["master.cf"]),
		})
	}
	return files, nil
}
