package setup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
	"postfix-maint/internal/sysroot"
)

// target is a running unit and the configuration of its instance.
type target struct {
	unit, dir string
	err       error // why that cannot be found
}

// targets gives a unit for each instance that runs in one of units. old tells that the primary one still runs in postfix.service, as
// Debian 13's own units have it.
func targets(units []string, root instance.Reader, old bool) []target {
	all, broken := instance.List(root)
	dirs := map[string]string{PrimaryUnit: paths.ConfigDir}
	own := map[string]bool{PrimaryUnit: true}
	for _, inst := range all {
		dirs[inst.Unit()], own[inst.Unit()] = inst.ConfigDir, true
	}
	var found []target
	seen := map[string]bool{}
	if old {
		found, seen[paths.ConfigDir] = append(found, target{unit: Unit, dir: paths.ConfigDir}), true
	}
	// An instance's own unit before other names of it, which take it along.
	slices.SortFunc(units, func(a, b string) int { return cmp.Or(cmp.Compare(btoi(own[b]), btoi(own[a])), cmp.Compare(a, b)) })
	for _, unit := range units {
		t := target{unit: unit, dir: dirs[unit]}
		if t.dir == "" { // another name of one, of two the first's, as for the generator; or one that is in no list
			inst, err := instance.Find(root, strings.TrimSuffix(strings.TrimPrefix(unit, "postfix@"), ".service"))
			if t.dir = inst.ConfigDir; err != nil {
				t.err = errors.Join(append(broken, errUnknown)...)
			}
		}
		if t.err == nil && seen[t.dir] {
			continue
		}
		seen[t.dir] = true
		found = append(found, t)
	}
	return found
}

var errUnknown = errors.New("the running one is kept, its configuration is not to be found")

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Terminal runs a program whose standard error is a terminal: only there Postfix's programs say what is wrong.
type Terminal interface {
	OnTerminal(ctx context.Context, name string, args ...string) error
}

// check asks what "postfix check" says of one instance; what is fatal is in the error. It is asked for the part first on which alone
// its verdict depends, and that only where we cannot tell. The rest only warns, and the next start by hand says the same to the log. That
// command has no manual, so it is never the one to refuse. The running daemon is kept then: an old one that delivers is better than
// none (S11).
func check(ctx context.Context, t Terminal, root *sysroot.Root, dir string) error {
	if sound(ctx, t, root, dir) {
		return nil
	}
	if t.OnTerminal(ctx, paths.Postfix, "-c", dir, "check-fatal") == nil { // without -c postmulti(1) would ask all instances
		return nil
	}
	err := t.OnTerminal(ctx, paths.Postfix, "-c", dir, "check")
	if exit := (*run.ExitError)(nil); errors.As(err, &exit) && exit.Stderr != "" {
		err = errors.New(instance.Cause(exit.Stderr))
	}
	if err != nil {
		return fmt.Errorf("the Postfix that runs is kept, the configuration in %q does not pass the check: %w", dir, err)
	}
	return nil
}
