package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"postfix-maint/internal/adopt"
	"postfix-maint/internal/lock"
	"postfix-maint/internal/run"
	"postfix-maint/internal/sysroot"
)

// nested is in the environment of programs that adopt starts: an "apt-get update" of ours runs our own hook as well.
const nested = "POSTFIX_MAINT_ADOPT"

func adoptFlags() flags {
	return flags{
		&cli.StringFlag{Name: "output", Value: ".", Usage: "write the package into `DIR`"},
		&cli.StringFlag{Name: "layer", Usage: "take the layer's files from `DIR`", DefaultText: "the installed ones"},
		&cli.StringFlag{Name: "tree", Usage: "put the layer into `DIR`, the package tree of a source package that is being built"},
		&cli.BoolFlag{Name: "install", Usage: "install the adopted package on this host, and keep adopting what apt update brings"},
		&cli.BoolFlag{Name: "revert", Usage: "take back what --install did: Debian's own package again"},
		&cli.BoolFlag{Name: "status", Usage: "say what is in force"},
		&cli.BoolFlag{Name: "refresh", Usage: "adopt what apt knows since; apt runs this after each update"},
		&cli.BoolFlag{Name: "hand-over", Hidden: true, Usage: "give the instances to Debian's own units; its maintainer script's call"},
		&cli.StringFlag{Name: "drop-ins", Usage: "with --install: `move|leave` systemd's drop-ins for units that are no daemons with this layer"},
		&cli.BoolFlag{Name: "dry-run", Usage: "with --install or --revert: show what would be done, and do nothing"},
		&cli.BoolFlag{Name: "json", Usage: "print for machines"},
		&cli.BoolFlag{Name: detailed, Usage: "with --install or --revert: exit status 3 where something was changed, or would be"},
	}
}

// adoptOptions refuses options that do not go together.
func adoptOptions(_ context.Context, c *call) error {
	var modes []string
	for _, m := range []string{"install", "revert", "status", "refresh", "hand-over"} {
		if c.Bool(m) {
			modes = append(modes, m)
		}
	}
	switch {
	case c.IsSet("drop-ins") && (!c.Bool("install") || !slices.Contains([]string{adopt.MoveDropIns, adopt.LeaveDropIns}, c.String("drop-ins"))):
		return refuse("--drop-ins takes \"move\" or \"leave\", and belongs to --install")
	case len(modes) > 1:
		return refuse("one of --%s at a time", strings.Join(modes, ", --"))
	case len(modes) > 0 && (c.NArg() > 0 || c.IsSet("output") || c.IsSet("tree")):
		return refuse("a package, --output and --tree do not go with --%s", modes[0])
	case c.IsSet("tree") && (c.NArg() > 0 || c.IsSet("output") || c.String("tree") == ""):
		return refuse("--tree takes a directory, and neither a package nor --output beside it")
	case c.dry() && (c.Bool("refresh") || c.Bool("hand-over")):
		return refuse("--dry-run does not go with --%s, which takes no notice of it", modes[0])
	case c.Bool(detailed) && !c.Bool("install") && !c.Bool("revert"):
		return refuse("--%s belongs to --install and --revert", detailed)
	case len(modes) == 0 && c.dry():
		return refuse("--dry-run belongs to --install, --revert and --status")
	}
	return nil
}

// adoptOne writes one adopted package, or changes the tree of one that is being built.
func adoptOne(ctx context.Context, c *call) (*adopt.Result, error) {
	if c.IsSet("tree") {
		res, err := adopt.Lay(c.String("tree"), c.String("layer"))
		if err != nil {
			return nil, err
		}
		return &res, nil
	}
	res, err := adopt.Run(ctx, adopt.Options{Deb: c.Args().First(), Output: c.String("output"), Layer: c.String("layer"), Runner: run.Runner{}})
	if err != nil {
		return nil, err
	}
	return &res, nil
}

func printAdopted(c *call, res *adopt.Result) error {
	for _, line := range append(res.Changes, res.Path) {
		fmt.Fprintln(c.stdout, line)
	}
	return nil
}

// adopting is a flow that changes this host, or says how it is.
func adopting(do func(adopt.Host, context.Context) (adopt.Report, error)) func(context.Context, *call) (*adopt.Report, error) {
	return func(ctx context.Context, c *call) (*adopt.Report, error) {
		return c.report(do(host(c, progress(c)), ctx))
	}
}

// report gives nothing to show of what failed.
func (c *call) report(r adopt.Report, err error) (*adopt.Report, error) {
	c.changed = c.changed || len(r.Changes) > 0
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// progress is where words go while work is done: with JSON the output is for the machine alone.
func progress(c *call) io.Writer {
	if c.Bool("json") {
		return c.stderr
	}
	return c.stdout
}

func revert(ctx context.Context, c *call) (*adopt.Report, error) {
	h := host(c, progress(c))
	if err := leaveStrict(ctx, c.root, h, progress(c)); err != nil {
		return nil, err
	}
	return c.report(h.Revert(ctx))
}

// refresh runs after each update of apt's, whose output is not ours.
func refresh(ctx context.Context, c *call) (*adopt.Report, error) {
	if os.Getenv(nested) != "" {
		return nil, nil
	}
	held, err := c.lock(ctx)
	if busy := (*lock.BusyError)(nil); errors.As(err, &busy) {
		fmt.Fprintf(c.stderr, "postfix-maint: no look for a newer Postfix to adopt this time: %v\n", busy)
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer held.Release()
	h := host(c, c.stderr)
	h.Say = alsoLogged(ctx, h)
	return c.report(h.Refresh(ctx))
}

func printAdoption(c *call, r *adopt.Report) error {
	printIfNone(c, len(r.Changes))
	return nil
}

// alsoLogged says to the system's log as well what h says: apt may run unseen.
func alsoLogged(ctx context.Context, h adopt.Host) func(string) {
	return func(line string) {
		h.Say(line)
		_ = h.Runner.(run.Runner).Run(ctx, "logger", "-t", "postfix-maint", "-p", "mail.notice", "--", line)
	}
}

// leaveStrict takes the strict profile back: it is made for our units, and would hold for Debian's as well.
func leaveStrict(ctx context.Context, root *sysroot.Root, h adopt.Host, words io.Writer) error {
	switch {
	case !isStrict(root):
		return nil
	case h.DryRun:
		h.Say("the sandbox profile would become default")
		return nil
	}
	p, err := switchSandbox(ctx, root, "default", false)
	if p != nil {
		p.print(words)
	}
	return err
}

// host is this host, as adopt sees it; what it does and what apt says go to w.
func host(c *call, w io.Writer) adopt.Host {
	r := run.Runner{Env: []string{nested + "=1"}}
	return adopt.Host{
		Root: c.root, Layer: c.String("layer"), Runner: r, DryRun: c.dry(), DropIns: c.String("drop-ins"),
		Attach: func(ctx context.Context, name string, args ...string) error {
			if name == "apt-get" && isTerminal(w) && os.Getenv("TERM") != "dumb" && os.Getenv("TERM") != "" {
				args = append([]string{"-o", "Dpkg::Progress-Fancy=1"}, args...) // as "apt install" shows how far it is (apt.conf(5))
			}
			return c.waiting.aside(func() error { return r.Attached(ctx, os.Stdin, w, os.Stderr, name, args...) })
		},
		Say: func(line string) {
			_ = c.waiting.aside(func() error {
				_, err := fmt.Fprintf(w, "postfix-maint: %s\n", line)
				return err
			})
		},
	}
}

// printAdoptionStatus prints what is in force.
func printAdoptionStatus(c *call, r *adopt.Report) error {
	w := c.stdout
	whose := map[bool]string{true: "this layer's", false: "Debian's own"}[r.Adopted]
	if r.Installed == "" {
		fmt.Fprintln(w, "postfix: not installed")
	} else {
		fmt.Fprintf(w, "postfix: %s, %s\n", r.Installed, whose)
	}
	if r.Held {
		fmt.Fprintln(w, "on hold: apt changes nothing of it before \"apt-mark unhold postfix\"")
	}
	fmt.Fprintf(w, "newer versions are adopted: %s\n", map[bool]string{true: "yes, after each apt-get update", false: "no"}[r.InForce])
	for _, i := range r.Instances {
		fmt.Fprintf(w, "instance %s: %s, %s\n", i.Name, i.Unit, i.State)
	}
	if len(r.Ready) > 0 {
		fmt.Fprintf(w, "ready for apt: %s\n", strings.Join(r.Ready, ", "))
	}
	for _, version := range slices.Sorted(maps.Keys(r.Refused)) {
		fmt.Fprintf(w, "cannot be adopted: %s: %s\n", version, strings.Join(r.Refused[version], "; "))
	}
	return nil
}
