package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"postfix-maint/internal/run"
	"postfix-maint/internal/setup"
)

func dynamicmapCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name: "dynamicmap", Usage: "register a map type of a library of its own (pcre, lmdb and so on), or take it out again",
		Subcommands: []*cli.Command{
			{
				Name: "add", ArgsUsage: "TYPE [BUILD-FUNCTION]", Usage: "register a map type that is not registered yet",
				Action: mapAction(2, stdout, stderr, func(ctx context.Context, m setup.Maps, args cli.Args) error {
					return m.Add(ctx, args.Get(0), args.Get(1))
				}),
			},
			{
				Name: "remove", ArgsUsage: "TYPE", Usage: "take out a map type of Debian's; another library's stays",
				Action: mapAction(1, stdout, stderr, func(_ context.Context, m setup.Maps, args cli.Args) error {
					return m.Remove(args.First())
				}),
			},
		},
	}
}

// mapAction wires a command on the registry of map types. In a maintainer script dpkg lets in one at a time: no lock is taken.
func mapAction(most int, stdout, stderr io.Writer, do func(context.Context, setup.Maps, cli.Args) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		if c.NArg() < 1 || c.NArg() > most {
			return usageError{fmt.Errorf("%s needs: %s", c.Command.HelpName, c.Command.ArgsUsage)}
		}
		root, err := openRoot()
		if err != nil {
			return err
		}
		inScript := os.Getenv("DPKG_MAINTSCRIPT_PACKAGE") != ""
		if !inScript {
			held, err := takeLock(root, "dynamicmap")
			if err != nil {
				return err
			}
			defer held.Release()
		}
		svc, done := service(root)
		defer done()
		return do(c.Context, setup.Maps{
			Deps: setup.Deps{Root: root, Run: run.Runner{}, Service: svc},
			Say:  func(text string) { fmt.Fprintln(stdout, text) },
			Warn: func(text string) { warn(stderr, []string{text}) },
			Dpkg: inScript,
		}, c.Args())
	}
}
