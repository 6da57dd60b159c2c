package smarthost_test

import (
	"context"
	"errors"
	"testing"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/smarthost"
)

// A reload that failed is due until it is done, by a set as by an unset; where nothing changes none is made.
func TestAReloadIsDueUntilItIsDone(t *testing.T) {
	for name, change := range map[string]func(*testing.T, smarthost.Deps) *smarthost.Plan{
		"set":   func(t *testing.T, d smarthost.Deps) *smarthost.Plan { return set(t, d, options()) },
		"unset": unset,
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := lay(t, nil)
			if name == "unset" {
				set(t, d, options())
			}
			for n, run := range []struct {
				fails   error
				reloads int
			}{{errors.New("no"), 1}, {errors.New("no"), 1}, {nil, 1}, {nil, 0}} {
				reloads := 0
				d.Reload = func(context.Context, instance.Instance) error {
					reloads++
					return run.fails
				}
				p := change(t, d)
				if reloads != run.reloads || run.fails != nil && len(p.Warnings) == 0 {
					t.Errorf("run %d: %d reloads, %q", n, reloads, p.Warnings)
				}
			}
		})
	}
}
