package multi

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Process is one of those that led to us, its own child first.
type Process struct {
	PID    int
	Args   []string
	Groups []string // control groups, as /proc/PID/cgroup has them
}

// Shelter moves a "postfix start" that runs us into a scope of its own. Without it the master would live in the control group of
// whatever runs the command, and be killed with that: a Type=oneshot service, an agent that is restarted (KillMode=control-group in
// systemd.kill(5)). From there postfix-takeover.path takes the master into its unit.
func Shelter(ctx context.Context, ancestors []Process, move func(ctx context.Context, scope, description string, pids []int) error) error {
	pids := toShelter(ancestors)
	if len(pids) == 0 {
		return nil
	}
	scope := fmt.Sprintf("postfix-by-hand-%d.scope", pids[len(pids)-1])
	return move(ctx, scope, "Postfix that was started by hand", pids)
}

// scripts are what runs between postfix(1), which becomes the first of them, and us.
var scripts = []string{"postfix-script", "post-install", "configure-instance.sh"}

// toShelter gives the processes of the "postfix start" among those that led to us, none where another command does, or a unit of ours:
// that keeps the master in its own group.
func toShelter(ancestors []Process) (pids []int) {
	start := false
	for _, p := range ancestors {
		if len(p.Args) < 2 || !slices.Contains(scripts, path.Base(p.Args[1])) { // [0] is the shell
			break
		}
		for _, group := range p.Groups {
			if unit := path.Base(group); unit == umbrella || strings.HasPrefix(unit, "postfix@") && strings.HasSuffix(unit, ".service") {
				return nil
			}
		}
		pids = append(pids, p.PID)
		start = path.Base(p.Args[1]) == scripts[0] && p.Args[len(p.Args)-1] == "start"
	}
	if !start {
		return nil
	}
	return pids
}
