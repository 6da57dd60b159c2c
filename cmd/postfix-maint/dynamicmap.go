package main

import (
	"context"
	"fmt"

	"postfix-maint/internal/dynamicmaps"
	"postfix-maint/internal/run"
	"postfix-maint/internal/setup"
)

// onMaps is a flow on the registry of map types.
func onMaps(do func(context.Context, *call, setup.Maps) error) action {
	return func(ctx context.Context, c *call) error {
		svc, done := service(c.root)
		defer done()
		return do(ctx, c, setup.Maps{
			Deps: setup.Deps{Root: c.root, Run: run.Runner{}, Service: svc},
			Say:  func(text string) { fmt.Fprintln(c.stdout, text) },
			Warn: func(text string) { warn(c.stderr, []string{text}) },
			Dpkg: inScript(),
		})
	}
}

// mapType refuses what is no name of a map type.
func mapType(_ context.Context, c *call) error {
	if _, err := dynamicmaps.Debian(c.Args().Get(0), c.Args().Get(1)); err != nil {
		return usageError{err}
	}
	return nil
}

func addMap(ctx context.Context, c *call, m setup.Maps) error {
	return m.Add(ctx, c.Args().Get(0), c.Args().Get(1))
}

func removeMap(_ context.Context, c *call, m setup.Maps) error { return m.Remove(c.Args().First()) }
