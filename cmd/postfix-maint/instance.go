package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"postfix-maint/internal/multi"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
	"postfix-maint/internal/systemd"
)

func instanceCommand(stdout, stderr io.Writer) *cli.Command {
	dryRun := &cli.BoolFlag{Name: "dry-run", Usage: "show what would be done, and do nothing"}
	// one is a command that takes the name of an instance.
	one := func(name, usage string, flags []cli.Flag, do func(*cli.Context, *multi.Host, string) error) *cli.Command {
		return &cli.Command{
			Name: name, ArgsUsage: "NAME", Usage: usage, Flags: append(flags, dryRun),
			Action: func(c *cli.Context) error {
				args, err := operands(c)
				if err == nil && len(args) != 1 {
					err = usageError{fmt.Errorf("instance %s needs one NAME", name)}
				}
				if err != nil {
					return err
				}
				h, done, err := instances(c.Context, stdout, stderr)
				if err != nil {
					return err
				}
				defer done()
				if h.DryRun = c.Bool(dryRun.Name); !h.DryRun {
					held, err := takeLock(h.Root, "instance "+name)
					if err != nil {
						return err
					}
					defer held.Release()
				}
				return do(c, h, args[0])
			},
		}
	}
	return &cli.Command{
		Name: "instance", Usage: "make, list, enable, disable and remove Postfix instances",
		Subcommands: []*cli.Command{
			one("create", "make an instance, enable and start it", createFlags(), createInstance),
			{
				Name: "list", Usage: "show all instances",
				Flags:  []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print for machines"}},
				Action: func(c *cli.Context) error { return listInstances(c, stdout, stderr) },
			},
			one("enable", "start an instance, now and at boot", nil, func(c *cli.Context, h *multi.Host, name string) error {
				return h.Enable(c.Context, name)
			}),
			one("disable", "stop an instance, and do not start it at boot", nil, func(c *cli.Context, h *multi.Host, name string) error {
				return h.Disable(c.Context, name)
			}),
			one("remove", "stop an instance and take away what is Postfix's of it", []cli.Flag{
				&cli.BoolFlag{Name: "purge-queue", Usage: "delete the mail in its queue; without this option an instance with mail is not removed"},
			}, func(c *cli.Context, h *multi.Host, name string) error {
				return h.Remove(c.Context, name, c.Bool("purge-queue"))
			}),
		},
	}
}

// operands sets the options that stand behind an operand, where the library does not look for them, and returns the operands.
func operands(c *cli.Context) ([]string, error) {
	takesValue := map[string]bool{}
	for _, f := range c.Command.Flags {
		_, boolean := f.(*cli.BoolFlag)
		for _, name := range f.Names() {
			takesValue[name] = !boolean
		}
	}
	var plain []string
	for args := c.Args().Slice(); len(args) > 0; args = args[1:] {
		if args[0] == "--" {
			return append(plain, args[1:]...), nil
		}
		if len(args[0]) < 2 || args[0][0] != '-' { // "-" is the primary instance
			plain = append(plain, args[0])
			continue
		}
		name, value, given := strings.Cut(strings.TrimPrefix(args[0][1:], "-"), "=")
		switch needed, known := takesValue[name]; {
		case !known:
			return nil, usageError{fmt.Errorf("there is no option %s", args[0])}
		case given:
		case !needed:
			value = "true"
		case len(args) == 1:
			return nil, usageError{fmt.Errorf("option %s needs a value", args[0])}
		default:
			value, args = args[1], args[1:]
		}
		if err := c.Set(name, value); err != nil {
			return nil, usageError{fmt.Errorf("cannot use option --%s: %w", name, err)}
		}
	}
	return plain, nil
}

func createFlags() []cli.Flag {
	return []cli.Flag{
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

func createInstance(c *cli.Context, h *multi.Host, name string) error {
	return h.Create(c.Context, multi.Request{
		Name: name, ConfigDir: c.String("config-dir"), QueueDir: c.String("queue-dir"), DataDir: c.String("data-dir"),
		Group: c.String("group"), From: c.String("from"), Set: *c.Generic("set").(*settings), Disabled: c.Bool("disabled"),
	})
}

// instances builds what acts on the instances of the system.
func instances(ctx context.Context, stdout, stderr io.Writer) (*multi.Host, func(), error) {
	root, err := openRoot()
	if err != nil {
		return nil, nil, err
	}
	if !root.IsHost() {
		return nil, nil, fmt.Errorf("cannot manage the instances in %q: that system does not run", root.Dir())
	}
	r := run.Runner{Env: []string{"MAIL_CONFIG=" + paths.ConfigDir}} // an administrator's own would make postmulti(1) refuse
	h := &multi.Host{
		Root: root, Run: r,
		Allowed: func(ctx context.Context, service, action string) (bool, error) {
			return systemd.Allowed(ctx, r, root.Dir(), service, action)
		},
		Show: func(c multi.Change) { fmt.Fprintf(stdout, "%s\n%s", c.What, c.Diff) },
		Warn: func(text string) { warn(stderr, []string{text}) },
	}
	done := func() {}
	if systemd.Booted(root.Dir()) {
		m, err := systemd.Dial(ctx)
		if err != nil {
			return nil, nil, err
		}
		h.Systemd, done = m, m.Close
	}
	h.Sockets = sockets{root, syslogHost(root, h.Warn)}
	return h, done, nil
}

func listInstances(c *cli.Context, stdout, stderr io.Writer) error {
	if c.NArg() > 0 {
		return usageError{errors.New("instance list takes no argument")}
	}
	h, done, err := instances(c.Context, stdout, stderr)
	if err != nil {
		return err
	}
	defer done()
	all, errs := h.List(c.Context)
	if c.Bool("json") {
		problems := []string{}
		for _, err := range errs {
			problems = append(problems, err.Error())
		}
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "\t")
		err := enc.Encode(struct {
			Instances []multi.Status `json:"instances"`
			Problems  []string       `json:"problems"`
		}{append([]multi.Status{}, all...), problems})
		return errors.Join(err, broken(errs))
	}
	w := tabwriter.NewWriter(stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tDIRECTORY\tENABLED\tACTIVE\tLISTENS\tQUEUE\tCHROOT")
	for _, st := range all {
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
	for _, st := range all {
		for _, problem := range st.Problems {
			warn(stderr, []string{"instance " + st.Name + ": " + problem})
		}
	}
	for _, err := range errs {
		warn(stderr, []string{err.Error()})
	}
	return broken(errs)
}

// broken is the error of a list that could not show everything.
func broken(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return errors.New("not all instances could be read")
}
