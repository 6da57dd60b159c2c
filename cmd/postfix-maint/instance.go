package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/multi"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
	"postfix-maint/internal/sysroot/transaction"
	"postfix-maint/internal/systemd"
)

// onInstance is a flow that changes an instance.
func onInstance(do func(context.Context, *call, *multi.Host) error) func(context.Context, *call) (*changes[transaction.Change], error) {
	return func(ctx context.Context, c *call) (*changes[transaction.Change], error) {
		h, done, err := instances(ctx, c)
		if err != nil {
			return nil, err
		}
		defer done()
		var made []transaction.Change
		var warnings []string
		h.DryRun = c.dry()
		h.Show = func(ch multi.Change) {
			if ch.Inner {
				return
			}
			made = append(made, transaction.Change{What: ch.What, Diff: ch.Diff})
			c.did(ch.What, ch.Diff)
		}
		if tell := h.Warn; c.Bool("json") {
			h.Warn = func(text string) { warnings = append(warnings, text); tell(text) }
		}
		if err := do(ctx, c, h); err != nil && len(made) == 0 {
			return nil, err
		} else {
			return changed(made, warnings, nil), err
		}
	}
}

// printMade says that nothing was to be done; all else was said when it was done.
func printMade(c *call, all *changes[transaction.Change]) error {
	if !inScript() {
		printIfNone(c, len(all.Changes))
	}
	return nil
}

// byName needs no more than the instance's name.
func byName(do func(*multi.Host, context.Context, string) error) func(context.Context, *call, *multi.Host) error {
	return func(ctx context.Context, c *call, h *multi.Host) error { return do(h, ctx, c.Args().First()) }
}

func purgeQueueFlag() cli.Flag {
	return &cli.BoolFlag{Name: "purge-queue", Usage: "delete the mail in its queue; without this option an instance with mail is not removed"}
}

func removeInstance(ctx context.Context, c *call, h *multi.Host) error {
	return h.Remove(ctx, c.Args().First(), c.Bool("purge-queue"))
}

func createFlags() flags {
	return flags{
		&cli.StringFlag{Name: "config-dir", Usage: "configuration `DIR`", DefaultText: paths.ConfigDir + "-NAME"},
		&cli.StringFlag{Name: "queue-dir", Usage: "queue `DIR`", DefaultText: paths.QueueDir + "-NAME"},
		&cli.StringFlag{Name: "data-dir", Usage: "data `DIR`", DefaultText: paths.DataDir + "-NAME"},
		&cli.StringFlag{Name: "group", Usage: "put it into the `GROUP` (postmulti -g)"},
		&cli.StringFlag{Name: "from", Usage: "take the configuration of `INSTANCE`, \"-\" for the primary one", DefaultText: "Postfix's prototypes"},
		&cli.GenericFlag{Name: "set", Usage: "set a parameter in main.cf, `NAME=VALUE`; may be given more than once", Value: new(settings)},
		&cli.BoolFlag{Name: "disabled", Usage: "neither enable nor start it"},
	}
}

// settings are the values of an option that may be given more than once. The library's own kind splits each at commas.
type settings []string

// Set adds one.
func (s *settings) Set(text string) error {
	*s = append(*s, text)
	return nil
}

// String shows all.
func (s *settings) String() string { return strings.Join(*s, " ") }

// createOptions refuses what cannot be.
func createOptions(_ context.Context, c *call) error {
	if err := multi.CheckRequest(request(c)); err != nil {
		return usageError{err}
	}
	return nil
}

func request(c *call) multi.Request {
	return multi.Request{
		Name: c.Args().First(), ConfigDir: c.String("config-dir"), QueueDir: c.String("queue-dir"), DataDir: c.String("data-dir"),
		Group: c.String("group"), From: c.String("from"), Set: *c.Generic("set").(*settings), Disabled: c.Bool("disabled"),
	}
}

func createInstance(ctx context.Context, c *call, h *multi.Host) error {
	req := request(c)
	if madeBefore(c, req) {
		return nil
	}
	if err := c.knownParameters(ctx, req.Set); err != nil {
		return err
	}
	return h.Create(ctx, req)
}

// instances builds what acts on the instances of the system.
func instances(ctx context.Context, c *call) (*multi.Host, func(), error) {
	root := c.root
	r := run.Runner{Env: []string{"MAIL_CONFIG=" + paths.ConfigDir}} // an administrator's own would make postmulti(1) refuse
	h := &multi.Host{
		Root: root, Run: r,
		Allowed: func(ctx context.Context, service, action string) (bool, error) {
			return systemd.Allowed(ctx, r, root.Dir(), service, action)
		},
		Runs: func(inst instance.Instance) bool { return chroot.Master(chroot.Deps{Root: root}, inst.QueueDir) > 0 },
		Show: func(ch multi.Change) { c.did(ch.What, ch.Diff) },
		Warn: func(text string) { warn(c.stderr, []string{text}) },
	}
	done := func() {}
	if systemd.Booted(root.Dir()) {
		m, err := systemd.Dial(context.WithoutCancel(ctx)) // what an interrupted command takes back needs it
		if err != nil {
			return nil, nil, err
		}
		h.Systemd, done = m, m.Close
	}
	h.Sockets = sockets{root, syslogHost(root, h.Warn)}
	return h, done, nil
}

// instanceList is what is known of all instances.
type instanceList struct {
	Instances []multi.Status `json:"instances"`
	Problems  []string       `json:"problems"`
}

func listInstances(ctx context.Context, c *call) (*instanceList, error) {
	h, done, err := instances(ctx, c)
	if err != nil {
		return nil, err
	}
	defer done()
	all, errs := h.List(ctx)
	problems := []string{}
	for _, err := range errs {
		problems = append(problems, err.Error())
	}
	return &instanceList{append([]multi.Status{}, all...), problems}, broken(errs)
}

func printInstances(c *call, list *instanceList) error {
	w := tabwriter.NewWriter(c.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tDIRECTORY\tENABLED\tACTIVE\tLISTENS\tQUEUE\tCHROOT")
	for _, st := range list.Instances {
		enabled := map[bool]string{true: "yes", false: "no"}[st.Enabled]
		listen := strings.Join(st.Listen, " ")
		if listen == "" {
			listen = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", st.Name, st.ConfigDir, enabled, st.Active, listen, st.Queue.Total(), st.Chroot.State)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, st := range list.Instances {
		for _, problem := range st.Problems {
			warn(c.stderr, []string{"instance " + st.Name + ": " + problem})
		}
	}
	warn(c.stderr, list.Problems)
	return nil
}

// broken is the error of a list that could not show everything.
func broken(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return errors.New("not all instances could be read")
}
