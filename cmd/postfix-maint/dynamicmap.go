package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"postfix-maint/internal/dynamicmaps"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/sysroot/transaction"
)

// mapFlags are those of a change that has no diff to fold.
func mapFlags() flags { return flags{dryRunFlag(), jsonFlag(), detailedFlag()} }

// onMaps is a flow on the registry of map types.
func onMaps(do func(context.Context, *call, setup.Maps) error) func(context.Context, *call) (*changes[transaction.Change], error) {
	return func(ctx context.Context, c *call) (*changes[transaction.Change], error) {
		svc, done := service(c.root)
		defer done()
		var made []transaction.Change
		var warnings []string
		err := do(ctx, c, setup.Maps{
			Deps: setup.Deps{Root: c.root, Run: run.Runner{}, Service: svc},
			Say: func(text string) {
				made = append(made, transaction.Change{What: text})
				c.did(text, "")
			},
			Warn: func(text string) {
				warnings = append(warnings, text)
				warn(c.stderr, []string{text})
			},
			Dpkg: inScript(),
			Dry:  c.dry(),
		})
		if err != nil && len(made) == 0 {
			return nil, err
		}
		return changed(made, warnings, nil), err
	}
}

// mapType refuses what is no name of a map type.
func mapType(_ context.Context, c *call) error {
	if _, err := dynamicmaps.Debian(c.Args().Get(0), c.Args().Get(1)); err != nil {
		return usageError{err}
	}
	return nil
}

// addMap registers a type. In a maintainer script the library is there; an administrator may have forgotten the package.
func addMap(ctx context.Context, c *call, m setup.Maps) error {
	library := path.Join(paths.LibDir, "postfix-"+c.Args().First()+".so")
	if _, err := c.root.Stat(library); errors.Is(err, fs.ErrNotExist) && !inScript() {
		return fmt.Errorf("cannot register map type %q: there is no %s; Debian's packages are called postfix-%s and the like",
			c.Args().First(), library, c.Args().First())
	}
	return m.Add(ctx, c.Args().Get(0), c.Args().Get(1))
}

func removeMap(_ context.Context, c *call, m setup.Maps) error { return m.Remove(c.Args().First()) }
