package main

import (
	"context"
	"fmt"
	"io"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/systemd"
)

// profile is what a choice of the sandbox came to.
type profile struct {
	strict, changed bool
	waits           bool // for a restart
}

func chooseSandbox(ctx context.Context, c *call) (*profile, error) {
	return switchSandbox(ctx, c.root, c.Args().First())
}

// switchSandbox is sandbox with what systemd has to know of it.
func switchSandbox(ctx context.Context, root *sysroot.Root, choice string) (*profile, error) {
	p, err := sandbox(root, choice)
	if err != nil || !p.changed || !root.IsHost() || !systemd.Booted("/") {
		return p, err
	}
	s := &setup.Systemd{Run: run.Runner{}, Dial: systemd.Dial}
	defer s.Close()
	err = s.Reload(ctx)
	p.waits = err == nil
	return p, err
}

func printSandbox(c *call, p *profile) error {
	p.print(c.stdout)
	return nil
}

func (p *profile) print(w io.Writer) {
	fmt.Fprintf(w, "sandbox profile: %s\n", map[bool]string{true: "strict", false: "default"}[p.strict])
	if p.waits {
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
func sandbox(root *sysroot.Root, choice string) (*profile, error) {
	p := &profile{strict: isStrict(root)}
	_, err := root.Lstat(paths.StrictDropIn)
	if foreign := err == nil && !p.strict; foreign && choice != "status" {
		return nil, fmt.Errorf("cannot choose a profile: %q is not ours; move it away first", paths.StrictDropIn)
	}
	switch choice {
	case "strict":
		if _, err := root.MkdirAll(paths.StrictDropInDir, sysroot.Attr{}); err != nil {
			return nil, err
		}
		if p.changed, err = root.Symlink(paths.StrictProfile, paths.StrictDropIn); err != nil {
			return nil, err
		}
		p.strict = true
	case "default":
		if p.strict {
			if p.changed, err = root.Remove(paths.StrictDropIn); err != nil {
				return nil, err
			}
			_, _ = root.Remove(paths.StrictDropInDir) // it stays where somebody has a drop-in there
		}
		p.strict = false
	}
	return p, nil
}
