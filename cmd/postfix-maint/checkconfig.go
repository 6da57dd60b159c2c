package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/urfave/cli/v2"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/notes"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

func checkConfigCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name: "check-config", Usage: "find outdated settings and say what to write instead",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "fix", Usage: "make the edit that is offered for `NAME`, and show it as a diff; nothing is edited without"},
			&cli.BoolFlag{Name: "dry-run", Usage: "with --fix: only show the diff"},
			&cli.BoolFlag{Name: "json", Usage: "print for machines"},
		},
		Action: func(c *cli.Context) error {
			root, err := openRoot()
			if err != nil {
				return err
			}
			if names := c.StringSlice("fix"); len(names) > 0 {
				return fixConfig(root, names, c.Bool("dry-run"), stdout, stderr)
			}
			found, warnings := checkConfigs(root)
			warn(stderr, warnings)
			if c.Bool("json") {
				enc := json.NewEncoder(stdout)
				enc.SetIndent("", "\t")
				return enc.Encode(append([]placedNote{}, found...))
			}
			for _, n := range found {
				n.print(stdout)
			}
			if len(found) == 0 {
				fmt.Fprintln(stdout, "nothing is outdated")
			}
			return nil
		},
	}
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

// checkConfigs looks at every instance. One that can't be read is a warning.
func checkConfigs(root *sysroot.Root) (found []placedNote, warnings []string) {
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
		for _, n := range notes.Check(c) {
			found = append(found, placedNote{Instance: i.Name, Path: i.ConfigDir + "/" + n.File, Note: n})
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
	c.NIS, err = root.Exists(paths.Ypcat)
	return c, err
}

// fixConfig makes the edits of the given names in every instance that has such a note.
func fixConfig(root *sysroot.Root, names []string, dry bool, stdout, stderr io.Writer) error {
	held, err := takeLock(root, "check-config --fix")
	if err != nil {
		return err
	}
	defer held.Release()
	insts, errs := instance.List(root)
	for _, err := range errs {
		warn(stderr, []string{err.Error()})
	}
	done := map[string]bool{}
	for _, i := range insts {
		c, err := readConfig(root, i.ConfigDir)
		if err != nil {
			return err
		}
		for _, n := range notes.Check(c) {
			switch {
			case !slices.Contains(names, n.Name):
			case n.Offer == "":
				warn(stderr, []string{fmt.Sprintf("%s: %s: only you can decide what to write instead: %s", i.ConfigDir, n.Setting, n.Reason)})
				done[n.Name] = true
			default:
				if err := n.Apply(c); err != nil {
					return fmt.Errorf("cannot edit %q: %w", i.ConfigDir, err)
				}
				done[n.Name] = true
			}
		}
		if err := writeConfig(root, i.ConfigDir, c, dry, stdout); err != nil {
			return err
		}
	}
	for _, name := range names {
		if !done[name] {
			return fmt.Errorf("there is no note %q about this configuration", name)
		}
	}
	if !dry {
		fmt.Fprintln(stdout, "Postfix takes it up with \"systemctl reload postfix\"")
	}
	return nil
}

// writeConfig writes what differs from the files, master.cf first: a setting may need a service, no service needs a setting.
func writeConfig(root *sysroot.Root, dir string, c *notes.Config, dry bool, stdout io.Writer) error {
	files := map[string][]byte{"main.cf": c.Main.Bytes()}
	if c.Master != nil {
		files["master.cf"] = c.Master.Bytes()
	}
	for _, name := range []string{"master.cf", "main.cf"} {
		data, ok := files[name]
		if !ok {
			continue
		}
		path := dir + "/" + name
		old, err := root.ReadFile(path)
		if err != nil {
			return fmt.Errorf("cannot read %q: %w", path, err)
		}
		if string(old) == string(data) {
			continue
		}
		fmt.Fprint(stdout, maincf.Diff(path, maincf.Mask(old), maincf.Mask(data)))
		if dry {
			continue
		}
		if _, err := root.WriteFile(path, data, sysroot.Attr{Mode: 0o644}); err != nil {
			return fmt.Errorf("cannot write %q: %w", path, err)
		}
	}
	return nil
}
