package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"postfix-maint/internal/setup"
)

func commands(stdout, stderr io.Writer) []*cli.Command {
	script := func(name, usage string, do func(*cli.Context) error) *cli.Command {
		return &cli.Command{Name: name, Usage: usage, Category: "run by dpkg and debconf", SkipFlagParsing: true, HideHelp: true, Action: do}
	}
	return []*cli.Command{
		script("config", "ask the questions", func(c *cli.Context) error { return config(c.Context, c.Args().Slice(), stderr) }),
		script("postinst", "configure the package", func(c *cli.Context) error { return postinst(c.Context, c.Args().Slice(), stderr) }),
		script("prerm", "stop for a removal", func(c *cli.Context) error { return prerm(c.Context, c.Args().Slice(), stderr) }),
		applyCommand(stdout, stderr), checkConfigCommand(stdout, stderr), adoptCommand(stdout, stderr), sandboxCommand(stdout),
		chrootCommand(stdout, stderr), instanceCommand(stdout, stderr), smarthostCommand(stdout, stderr),
		dynamicmapCommand(stdout, stderr),
	}
}

func applyCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name:  "apply",
		Usage: "do the steps of the set-up with the answers in the debconf database",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "dry-run", Usage: "show what would be done, and do nothing"},
			&cli.BoolFlag{Name: "json", Usage: "print for machines"},
		},
		Action: func(c *cli.Context) error { return apply(c, stdout, stderr) },
	}
}

func apply(c *cli.Context, stdout, stderr io.Writer) error {
	root, err := openRoot()
	if err != nil {
		return err
	}
	if !c.Bool("dry-run") {
		held, err := takeLock(root, "apply")
		if err != nil {
			return err
		}
		defer held.Release()
		recoverRelay(c.Context, root, stderr)
	}
	db, closeDB, err := openDatabase(c.Context)
	if err != nil {
		return err
	}
	defer closeDB()
	svc, done := service(root)
	defer done()
	plan, settle, err := planSetup(c.Context, root, db, svc, setup.Request{Old: installedVersion(root), Reconfigure: true})
	if err != nil {
		return err
	}
	display := show(stdout)
	if c.Bool("json") {
		display = func(setup.Change) {}
	}
	if c.Bool("dry-run") {
		for _, change := range plan.Changes {
			display(change)
		}
	} else if err := plan.Apply(c.Context, display, settle); err != nil {
		warn(stderr, plan.Warnings)
		return err
	}
	if c.Bool("json") {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "\t")
		return enc.Encode(struct {
			Changes  []setup.Change `json:"changes"`
			Warnings []string       `json:"warnings"`
		}{append([]setup.Change{}, plan.Changes...), append([]string{}, plan.Warnings...)})
	}
	warn(stderr, plan.Warnings)
	if len(plan.Changes) == 0 {
		fmt.Fprintln(stdout, "nothing to do")
	}
	return nil
}
