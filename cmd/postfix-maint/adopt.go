package main

import (
	"context"
	"encoding/json"
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

func adoptCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name: "adopt", ArgsUsage: "[DEB]",
		Usage: "write Debian's package postfix out again with this layer; without DEB the version that apt would install is fetched",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "output", Value: ".", Usage: "write the package into `DIR`"},
			&cli.StringFlag{Name: "layer", Usage: "take the layer's files from `DIR`", DefaultText: "the installed ones"},
			&cli.BoolFlag{Name: "install", Usage: "install the adopted package on this host, and keep adopting what apt update brings"},
			&cli.BoolFlag{Name: "revert", Usage: "take back what --install did: Debian's own package again"},
			&cli.BoolFlag{Name: "status", Usage: "say what is in force"},
			&cli.BoolFlag{Name: "refresh", Usage: "adopt what apt knows since; apt runs this after each update"},
			&cli.BoolFlag{Name: "dry-run", Usage: "with --install or --revert: show what would be done, and do nothing"},
			&cli.BoolFlag{Name: "json", Usage: "with --install, --revert or --status: print for machines"},
		},
		Action: func(c *cli.Context) error {
			var modes []string
			for _, m := range []string{"install", "revert", "status", "refresh"} {
				if c.Bool(m) {
					modes = append(modes, m)
				}
			}
			switch {
			case len(modes) > 1:
				return fmt.Errorf("adopt takes one of --%s at a time", strings.Join(modes, ", --"))
			case c.NArg() > 1 || len(modes) > 0 && c.NArg() > 0:
				return usageError{errors.New("adopt takes one package at a time, and none with --install, --revert, --status and --refresh")}
			case len(modes) == 1:
				return adoptHost(c, modes[0], stdout, stderr)
			case c.Bool("dry-run") || c.Bool("json"):
				return fmt.Errorf("--dry-run and --json belong to --install, --revert and --status")
			}
			return adoptOne(c, stdout)
		},
	}
}

// adoptOne writes one adopted package.
func adoptOne(c *cli.Context, stdout io.Writer) error {
	res, err := adopt.Run(c.Context, adopt.Options{Deb: c.Args().First(), Output: c.String("output"), Layer: c.String("layer"), Runner: run.Runner{}})
	if err != nil {
		return err
	}
	for _, line := range res.Changes {
		fmt.Fprintln(stdout, line)
	}
	fmt.Fprintln(stdout, res.Path)
	return nil
}

// adoptHost changes this host, or says how it is.
func adoptHost(c *cli.Context, mode string, stdout, stderr io.Writer) error {
	root, err := openRoot()
	if err != nil {
		return err
	}
	if !root.IsHost() {
		return fmt.Errorf("cannot adopt below DPKG_ROOT: apt works on the running system")
	}
	if mode == "refresh" && os.Getenv(nested) != "" {
		return nil
	}
	if mode != "status" && !c.Bool("dry-run") {
		if os.Geteuid() != 0 {
			return fmt.Errorf("cannot change this host's packages: only root can")
		}
		held, err := takeLock(root, "adopt --"+mode)
		if busy := (*lock.BusyError)(nil); errors.As(err, &busy) && mode == "refresh" {
			fmt.Fprintf(stderr, "postfix-maint: no look for a newer Postfix to adopt this time: %v\n", busy)
			return nil
		} else if err != nil {
			return err
		}
		defer held.Release()
	}
	words := stdout
	if c.Bool("json") || mode == "refresh" { // the output is somebody else's
		words = stderr
	}
	h := host(c, root, words)
	if mode == "refresh" {
		h.Say = alsoLogged(c.Context, h)
	}
	do := map[string]func(context.Context) (adopt.Report, error){
		"install": h.Install, "revert": h.Revert, "status": h.Status, "refresh": h.Refresh,
	}[mode]
	if mode == "revert" {
		if err := leaveStrict(c.Context, root, h, words); err != nil {
			return err
		}
	}
	report, err := do(c.Context)
	switch {
	case err != nil:
		return err
	case c.Bool("json"):
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "\t")
		return enc.Encode(report)
	case mode == "refresh":
	case mode == "status":
		showAdoption(stdout, report)
	case len(report.Changes) == 0:
		fmt.Fprintln(stdout, "nothing to do")
	}
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
	return switchSandbox(ctx, root, "default", words)
}

// host is this host, as adopt sees it; what it does and what apt says go to w.
func host(c *cli.Context, root *sysroot.Root, w io.Writer) adopt.Host {
	r := run.Runner{Env: []string{nested + "=1"}}
	return adopt.Host{
		Root: root, Layer: c.String("layer"), Runner: r, DryRun: c.Bool("dry-run"),
		Attach: func(ctx context.Context, name string, args ...string) error {
			return r.Attached(ctx, os.Stdin, w, os.Stderr, name, args...)
		},
		Say: func(line string) { fmt.Fprintf(w, "postfix-maint: %s\n", line) },
	}
}

// showAdoption prints what is in force for people.
func showAdoption(w io.Writer, r adopt.Report) {
	whose := map[bool]string{true: "this layer's", false: "Debian's own"}[r.Adopted]
	if r.Installed == "" {
		fmt.Fprintln(w, "postfix: not installed")
	} else {
		fmt.Fprintf(w, "postfix: %s, %s\n", r.Installed, whose)
	}
	fmt.Fprintf(w, "newer versions are adopted: %s\n", map[bool]string{true: "yes, after each apt-get update", false: "no"}[r.InForce])
	if len(r.Ready) > 0 {
		fmt.Fprintf(w, "ready for apt: %s\n", strings.Join(r.Ready, ", "))
	}
	for _, version := range slices.Sorted(maps.Keys(r.Refused)) {
		fmt.Fprintf(w, "cannot be adopted: %s: %s\n", version, strings.Join(r.Refused[version], "; "))
	}
}
