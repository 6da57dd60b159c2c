package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/systemd"
)

// profile is what a choice of the sandbox came to.
type profile struct {
	Profile string `json:"profile"`
	Waits   bool   `json:"waits_for_restart"`
	changed bool
}

// sandboxOptions refuses options that do not go together, and whoever may not choose.
func sandboxOptions(_ context.Context, c *call) error {
	status := c.Args().First() == "status"
	if status && (c.dry() || c.Bool(detailed)) {
		return refuse("--dry-run and --%s belong to default and strict: status changes nothing", detailed)
	}
	if root, err := openRoot(); !status && err == nil && root.IsHost() && !c.dry() && os.Geteuid() != 0 {
		return rootError{errors.New("only root can choose the sandbox: \"postfix-maint sandbox status\" says what is in force")}
	}
	return nil
}

func chooseSandbox(ctx context.Context, c *call) (*profile, error) {
	p, err := switchSandbox(ctx, c.root, c.Args().First(), c.dry())
	if p != nil {
		c.changed = p.changed
	}
	return p, err
}

// switchSandbox is sandbox with what systemd has to know of it.
func switchSandbox(ctx context.Context, root *sysroot.Root, choice string, dry bool) (*profile, error) {
	p, err := sandbox(root, choice, dry)
	if err != nil || !p.changed || dry || !root.IsHost() || !systemd.Booted("/") {
		return p, err
	}
	s := &setup.Systemd{Run: run.Runner{}, Dial: systemd.Dial}
	defer s.Close()
	err = s.Reload(ctx)
	p.Waits = err == nil
	return p, err
}

func printSandbox(c *call, p *profile) error {
	if c.dry() && p.changed {
		fmt.Fprintf(c.stdout, "the sandbox profile would become %s\n", p.Profile)
		return nil
	}
	p.print(c.stdout)
	return nil
}

func (p *profile) print(w io.Writer) {
	fmt.Fprintf(w, "sandbox profile: %s\n", p.Profile)
	if p.Waits {
		fmt.Fprintln(w, "a running instance takes the profile up at its next restart")
	}
}

// isStrict tells whether the strict profile was chosen here.
func isStrict(root *sysroot.Root) bool {
	target, err := root.Readlink(paths.StrictDropIn)
	return err == nil && target == paths.StrictProfile
}

// sandbox makes or removes the link to the strict drop-in (systemd.unit(5)). A file of the administrator's in its place is
// not touched.
func sandbox(root *sysroot.Root, choice string, dry bool) (*profile, error) {
	strict := isStrict(root)
	p := &profile{Profile: map[bool]string{true: "strict", false: "default"}[strict]}
	_, err := root.Lstat(paths.StrictDropIn)
	if foreign := err == nil && !strict; foreign && choice != "status" {
		return nil, fmt.Errorf("cannot choose a profile: %q is not ours; move it away first", paths.StrictDropIn)
	}
	if choice == "status" || choice == p.Profile {
		return p, nil
	}
	p.Profile, p.changed = choice, true
	switch {
	case dry:
	case choice == "strict":
		if _, err := root.MkdirAll(paths.StrictDropInDir, sysroot.Attr{}); err != nil {
			return nil, err
		}
		if _, err = root.Symlink(paths.StrictProfile, paths.StrictDropIn); err != nil {
			return nil, err
		}
	default:
		if _, err = root.Remove(paths.StrictDropIn); err != nil {
			return nil, err
		}
		_, _ = root.Remove(paths.StrictDropInDir) // it stays where somebody has a drop-in there
	}
	return p, nil
}
