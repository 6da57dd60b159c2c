package multi

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// devDir is where chrooted daemons look for the socket "log" of the syslog daemon (syslog(3)).
const devDir = "dev"

// Create makes an instance, enables and starts it. If that fails nothing is left of it.
func (h *Host) Create(ctx context.Context, req Request) error {
	name, err := fullName(req.Name)
	if err != nil {
		return err
	}
	finishes := func(j *journal) bool {
		return j.Action == "create" && j.Complete && (j.Instance.Name == name || j.Instance.Name == req.Name)
	}
	return h.command(ctx, false, finishes, func() (*plan, error) { return h.planCreate(ctx, req) })
}

// creation is a create that has been decided.
type creation struct {
	*plan
	h    *Host
	s    *site
	d    *draft
	j    *journal
	req  Request
	unit string
}

func (h *Host) planCreate(ctx context.Context, req Request) (*plan, error) {
	s, err := h.readSite()
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*plan, error) { return nil, fmt.Errorf("cannot create instance %q: %w", req.Name, err) }
	d, err := h.draft(s, req)
	if err != nil {
		return fail(err)
	}
	c := &creation{plan: &plan{}, h: h, s: s, d: d, req: req}
	if c.unit, err = h.unit(d.Instance); err != nil {
		return fail(err)
	}
	if d.Enabled {
		if err := h.mustNotMeet(s, d.config); err != nil {
			return fail(err)
		}
		c.hint()
	}
	if d.origin == found && !h.DryRun && h.Runs(d.Instance) {
		return fail(fmt.Errorf("the Postfix in %q runs: stop it first", d.ConfigDir))
	}
	if err := c.writeDown(); err != nil {
		return fail(err)
	}
	c.addInner("note what is about to be made in "+paths.InstanceWork, func(context.Context) error { return h.saveJournal(c.j) })
	c.failed = c.takeBack
	c.makeFiles()
	c.configure()
	if err := c.prepare(ctx); err != nil {
		return fail(err)
	}
	return c.plan, nil
}

// hint tells of what upstream's default would surprise with.
func (c *creation) hint() {
	interfaces := slices.ContainsFunc(c.d.shown, func(s string) bool { return strings.HasPrefix(s, "inet_interfaces =") })
	if all, err := c.s.listens(c.d.config); err == nil && len(all) == 0 && interfaces {
		c.h.warn("the instance listens on no address: master_service_disable = %s (--set master_service_disable= lets it)",
			c.d.value("master_service_disable"))
	}
}

// writeDown fills in the journal: all that the create may make or change.
func (c *creation) writeDown() error {
	d := c.d
	c.j = &journal{Action: "create", Instance: d.Instance, Started: time.Now(), Disabled: c.req.Disabled, Linked: c.h.linked(d.Instance)}
	dirs := []string{d.ConfigDir, d.DataDir}
	for _, sub := range append([]string{devDir}, queueDirs...) {
		dirs = append(dirs, path.Join(d.QueueDir, sub))
	}
	made, err := c.h.missing(dirs...)
	if err != nil {
		return err
	}
	c.j.Before = settings(paths.MainCF, c.s.primary, "multi_instance_wrapper", "multi_instance_enable", "multi_instance_directories",
		"alternate_config_directories")
	var files []string
	switch d.origin {
	case found:
		names := []string{"multi_instance_name", "multi_instance_group", "multi_instance_enable"}
		for _, text := range d.shown {
			name, _, _ := strings.Cut(text, " =")
			names = append(names, name)
		}
		data, err := c.h.Root.ReadFile(mainOf(d.ConfigDir))
		if err != nil {
			return err
		}
		f, err := maincf.Parse(data)
		if err != nil {
			return err
		}
		c.j.Before = append(c.j.Before, settings(mainOf(d.ConfigDir), f, names...)...)
	default:
		files = append(files, quickStart(d.QueueDir))
		c.j.Sums = map[string]string{}
		for _, f := range d.files {
			files = append(files, f.to)
			c.j.Sums[f.to] = sumOf(f.to, f.data)
			dirs, err := c.h.missing(path.Dir(f.to))
			if err != nil {
				return err
			}
			made = append(made, dirs...)
		}
	}
	for _, dir := range []string{paths.ConfigDir, d.ConfigDir} { // where postconf(1) writes first
		tmp := mainOf(dir) + ".tmp"
		there, err := c.h.Root.Exists(tmp)
		if err != nil {
			return err
		}
		if !there {
			files = append(files, tmp)
		}
	}
	c.j.Made = deepestFirst(append(files, made...))
	return nil
}

// makeFiles plans the configuration's files and the entry in the list. What was there or is copied goes through postmulti(1): that gives
// owners and modes to whatever it finds.
func (c *creation) makeFiles() {
	h, d := c.h, c.d
	if d.origin != prototype && !c.s.initialised() {
		c.postmulti("init")
	}
	args := []string{"-I", d.Name}
	if !d.naming {
		args = nil
	}
	if c.req.Group != "" {
		args = append(args, "-G", c.req.Group)
	}
	if d.origin != found {
		for _, dir := range []string{d.ConfigDir, d.QueueDir, d.DataDir} {
			c.add("make directory "+dir, func(context.Context) error {
				attr := sysroot.Attr{} // the owners follow
				if dir == d.DataDir {
					attr.Mode = 0o700
				}
				_, err := h.Root.MkdirAll(dir, attr)
				return err
			})
		}
		for _, f := range d.files {
			what := "write " + f.to + ", from " + f.from
			c.changes = append(c.changes, Change{What: what, Diff: f.diff, do: func(context.Context) error { return h.write(f) }})
		}
	}
	switch d.origin {
	case prototype:
		c.add("make the directories of its queue", func(ctx context.Context) error { return h.makeQueue(ctx, d) })
		c.planJoin()
	case copied:
		c.postmulti("import", append(args, "config_directory="+d.ConfigDir)...)
	case found:
		c.postmulti("import", append(args, "config_directory="+d.ConfigDir)...)
	}
	// "init" enables the primary instance, which an administrator may have disabled among others.
	if enable := c.j.value(paths.MainCF, "multi_instance_enable"); d.origin != prototype && len(c.s.dirs) > 0 && enable != nil && strings.EqualFold(*enable, "no") {
		c.add("leave the primary instance disabled", func(context.Context) error {
			return h.edit(paths.MainCF, maincf.Set("multi_instance_enable", *enable))
		})
	}
}

func (c *creation) postmulti(action string, args ...string) {
	c.add(postmultiLine(action, args...), func(ctx context.Context) error {
		return c.h.postmulti(ctx, c.s, c.d.ConfigDir, action, args...)
	})
}

// configure plans what the administrator asked for.
func (c *creation) configure() {
	if c.d.origin == prototype {
		return // in its main.cf from the first
	}
	if c.d.origin != copied && len(c.d.changes) > 0 {
		c.add("set in "+mainOf(c.d.ConfigDir)+": "+strings.Join(c.d.shown, "; "), func(context.Context) error {
			return c.h.edit(mainOf(c.d.ConfigDir), c.d.changes...)
		})
	}
	if c.d.Enabled {
		c.h.planSwitch(c.plan, c.d.config, "yes")
	} else if c.d.origin == found {
		c.h.planSwitch(c.plan, c.d.config, "no")
	}
}

// prepare plans all that a start needs, the start, and the end of the journal.
func (c *creation) prepare(ctx context.Context) error {
	h, d := c.h, c.d
	if h.Sockets != nil {
		c.add("let the syslog daemon listen in "+path.Join(d.QueueDir, devDir), func(ctx context.Context) error {
			return h.Sockets.Provide(ctx, d.Instance)
		})
	}
	c.add("check the configuration", func(ctx context.Context) error { return h.check(ctx, d.Instance) })
	c.add("bring the chroot up to date", func(context.Context) error { return h.refresh(d.Instance) })
	start, err := h.planUnits(ctx, c.plan, d.Instance, c.unit, true, d.Enabled)
	if err != nil {
		return err
	}
	if start != nil { // a create that is killed from here on goes forward, not back
		c.addInner("note that only the start is missing", func(context.Context) error {
			c.j.Complete = true
			return h.saveJournal(c.j)
		})
		c.changes = append(c.changes, c.quick(*start))
	}
	c.addInner("remove the note", func(context.Context) error { return h.dropJournal() })
	return nil
}

// quick makes the start of what has just been made leave out Postfix's own look at it, nine of ten programs: postfix-script does so where
// this file of its command "quick-stop" is, and removes it. A queue that was there before may hold anything.
func (c *creation) quick(start Change) Change {
	if c.d.origin != prototype || !c.j.made(c.d.QueueDir) {
		return start
	}
	return Change{What: start.What, do: func(ctx context.Context) error {
		flag := quickStart(c.d.QueueDir)
		_, err := c.h.Root.WriteFile(flag, []byte{}, sysroot.Attr{})
		if err == nil {
			err = start.do(ctx)
		}
		_, left := c.h.Root.Remove(flag) // of a start that the local policy forbids, or that did not get that far
		return errors.Join(err, left)
	}}
}

// quickStart is the file by which postfix-script knows that its checks are not needed.
func quickStart(queue string) string { return path.Join(queue, "quick-start") }

// takeBack ends a create that failed.
func (c *creation) takeBack(ctx context.Context, cause error) error {
	cause = fmt.Errorf("cannot create instance %q: %w", c.d.Name, cause)
	if err := c.h.takeBack(ctx, c.j); err != nil {
		return errors.Join(cause, fmt.Errorf("and cannot take back all that was made: %w", err))
	}
	return fmt.Errorf("%w; what was made has been taken back", cause)
}
