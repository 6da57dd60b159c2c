package main

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/multi"
	"postfix-maint/internal/paths"
)

// madeBefore tells whether the instance is there just as it is asked for, so that a second create has nothing to do. One that another command
// left half done is for that to end.
func madeBefore(c *call, req multi.Request) bool {
	inst, err := instance.Find(c.root, req.Name)
	if err != nil || inst.IsPrimary() || inst.Enabled == req.Disabled || req.From != "" {
		return false
	}
	if unfinished, err := c.root.Exists(paths.InstanceWork); err != nil || unfinished {
		return false
	}
	for asked, is := range map[string]string{
		cmp.Or(req.ConfigDir, paths.ConfigDir+"-"+strings.TrimPrefix(inst.Name, "postfix-")): inst.ConfigDir,
		cmp.Or(req.QueueDir, inst.QueueDir):                                                  inst.QueueDir, cmp.Or(req.DataDir, inst.DataDir): inst.DataDir,
	} {
		if path.Clean(asked) != is {
			return false
		}
	}
	data, err := c.root.ReadFile(path.Join(inst.ConfigDir, "main.cf"))
	if err != nil {
		return false
	}
	main, err := maincf.Parse(data)
	if err != nil {
		return false
	}
	wanted := req.Set
	if req.Group != "" {
		wanted = append(wanted[:len(wanted):len(wanted)], "multi_instance_group="+req.Group)
	}
	for _, set := range wanted {
		name, value, _ := strings.Cut(set, "=")
		if is, given := main.Get(strings.TrimSpace(name)); !given || is != strings.TrimSpace(value) {
			return false
		}
	}
	return true
}

// knownParameters refuses a name that is but a slip of the pen away from one that Postfix has, and warns of others that it does not have: they may be
// meant for a setting that names them.
func (c *call) knownParameters(ctx context.Context, set []string) error {
	if len(set) == 0 {
		return nil
	}
	out, err := c.programs.Output(ctx, paths.Postconf, "-d")
	if err != nil {
		return nil // the check of the configuration comes later anyway
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if name, _, ok := strings.Cut(line, " ="); ok {
			known[name] = true
		}
	}
	for _, s := range set {
		name, _, _ := strings.Cut(s, "=")
		name = strings.TrimSpace(name)
		if known[name] || len(known) == 0 {
			continue
		}
		for other := range known {
			if distance(name, other) <= 2 {
				return refuse("Postfix has no parameter %s; did you mean %s?", name, nearest(name, known))
			}
		}
		warn(c.stderr, []string{fmt.Sprintf("Postfix has no parameter %s: it means something only where another setting names it", name)})
	}
	return nil
}

// nearest is the known name that takes the fewest changes, of several the first by the alphabet.
func nearest(name string, known map[string]bool) (best string) {
	for other := range known {
		d, least := distance(name, other), distance(name, best)
		if best == "" || d < least || d == least && other < best {
			best = other
		}
	}
	return best
}
