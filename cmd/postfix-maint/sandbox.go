package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/systemd"
)

func sandboxCommand(stdout io.Writer) *cli.Command {
	return &cli.Command{
		Name: "sandbox", ArgsUsage: "default|strict|status",
		Usage: "choose how tightly systemd confines the daemons: strict also reaches programs run for users from ~/.forward, aliases and pipe(8)",
		Action: func(c *cli.Context) error {
			root, err := openRoot()
			if err != nil {
				return err
			}
			profile := c.Args().First()
			if c.NArg() != 1 {
				return usageError{errors.New("sandbox needs one of: default, strict, status")}
			}
			return switchSandbox(c.Context, root, profile, stdout)
		},
	}
}

// switchSandbox is sandbox with what systemd has to know of it.
func switchSandbox(ctx context.Context, root *sysroot.Root, profile string, stdout io.Writer) error {
	changed, err := sandbox(root, profile, stdout)
	if err != nil || !changed || !root.IsHost() || !systemd.Booted("/") {
		return err
	}
	s := &setup.Systemd{Run: run.Runner{}}
	defer s.Close()
	if err := s.Reload(ctx); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "a running instance takes the profile up at its next restart")
	return nil
}

// isStrict tells whether the strict profile was chosen here.
func isStrict(root *sysroot.Root) bool {
	target, err := root.Readlink(paths.StrictDropIn)
	return err == nil && target == paths.StrictProfile
}

// sandbox makes or removes the link to the strict drop-in (systemd.unit(5)). A file of the administrator's in its place is
// not touched.
func sandbox(root *sysroot.Root, profile string, stdout io.Writer) (changed bool, err error) {
	strict := isStrict(root)
	_, statErr := root.Lstat(paths.StrictDropIn)
	if foreign := statErr == nil && !strict; foreign && profile != "status" {
		return false, fmt.Errorf("cannot choose a profile: %q is not ours; move it away first", paths.StrictDropIn)
	}
	switch profile {
	case "status":
	case "strict":
		if _, err := root.MkdirAll(paths.StrictDropInDir, sysroot.Attr{}); err != nil {
			return false, err
		}
		if changed, err = root.Symlink(paths.StrictProfile, paths.StrictDropIn); err != nil {
			return false, err
		}
		strict = true
	case "default":
		if strict {
			if changed, err = root.Remove(paths.StrictDropIn); err != nil {
				return false, err
			}
		}
		strict = false
	default:
		return false, fmt.Errorf("unknown sandbox profile %q: use default, strict or status", profile)
	}
	name := map[bool]string{true: "strict", false: "default"}[strict]
	fmt.Fprintf(stdout, "sandbox profile: %s\n", name)
	return changed, nil
}
