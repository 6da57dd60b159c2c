package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/run"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/systemd"
)

// chrootReport is what a command says of one instance.
type chrootReport struct {
	Instance string   `json:"instance"`
	Queue    string   `json:"queue_directory"`
	Chrooted []string `json:"chrooted"`          // services, as name/type
	Outside  []string `json:"outside"`           // the others
	Synced   bool     `json:"synchronised"`      // false: SYNC_CHROOT is empty
	Switched []string `json:"switched"`          // services whose column in master.cf changed
	Updated  []string `json:"updated,omitempty"` // files that a command wrote, or would write
	Removed  []string `json:"removed,omitempty"`
	Missing  []string `json:"missing"`
	Stale    []string `json:"stale"`
	Foreign  []string `json:"foreign"`
	Syslog   []string `json:"syslog"` // files of the syslog daemon that a command wrote, would write, or finds stale: those of all chroots
	Warnings []string `json:"warnings"`
	Error    string   `json:"error,omitempty"`

	diff string
	dry  bool
}

// chrootAction does one command for one instance and fills in the report.
type chrootAction func(c *cli.Context, d chroot.Deps, inst instance.Instance, r *chrootReport) error

func chrootCommand(stdout, stderr io.Writer) *cli.Command {
	asJSON := &cli.BoolFlag{Name: "json", Usage: "print for machines"}
	dry := &cli.BoolFlag{Name: "dry-run", Usage: "show what would be done, and do nothing"}
	sub := func(name, usage string, do chrootAction, print func(io.Writer, chrootReport), flags ...cli.Flag) *cli.Command {
		return &cli.Command{
			Name: name, ArgsUsage: "[INSTANCE]", Usage: usage, Flags: append(flags, asJSON),
			Action: func(c *cli.Context) error { return runChroot(c, do, print, stdout, stderr) },
		}
	}
	return &cli.Command{
		Name: "chroot", Usage: "run the services chrooted or not, and keep the chroot right",
		Subcommands: []*cli.Command{
			sub("on", "run Postfix's services chrooted", switchTo(true), printChange, dry),
			sub("off", "run no service chrooted, and take our files out of the queue directory", switchTo(false), printChange, dry),
			sub("status", "say which services run chrooted", statusChroot, printStatus),
			sub("sync", "bring the chroot up to date", syncChroot, printChange, dry),
			sub("check", "list what is missing, stale or foreign; exit status 1 if anything is missing or stale, not for warnings", checkChroot, printCheck),
		},
	}
}

// errNotInStep is the result of a check that found something; the report has it all.
var errNotInStep = errors.New("a chroot is not in step with the host; \"postfix-maint chroot sync\" mends that")

// runChroot does one command for the named instance, or for all of them.
func runChroot(c *cli.Context, do chrootAction, print func(io.Writer, chrootReport), stdout, stderr io.Writer) error {
	names, err := operands(c)
	if err == nil && len(names) > 1 {
		err = usageError{fmt.Errorf("chroot %s takes one INSTANCE", c.Command.Name)}
	}
	if err != nil {
		return err
	}
	root, err := openRoot()
	if err != nil {
		return err
	}
	if c.Command.Name != "status" && c.Command.Name != "check" && !c.Bool("dry-run") {
		held, err := takeLock(root, "chroot "+c.Command.Name)
		if err != nil {
			return err
		}
		defer held.Release()
	}
	insts, errs := chosen(root, names)
	reports := []chrootReport{}
	for _, inst := range insts {
		r := chrootReport{Instance: inst.Name, Queue: inst.QueueDir, dry: c.Bool("dry-run")}
		if err := do(c, chrootDeps(c.Context, root), inst, &r); err != nil {
			if !errors.Is(err, errNotInStep) {
				r.Error = err.Error()
			}
			errs = append(errs, err)
		}
		reports = append(reports, r)
	}
	if c.Command.Name != "status" {
		files, warnings := careForSyslog(c, root, stderr)
		for i := range reports {
			reports[i].Syslog, reports[i].Warnings = files, append(reports[i].Warnings, warnings...)
		}
		if c.Command.Name == "check" && len(files) > 0 {
			errs = append(errs, errNotInStep)
		}
	}
	if c.Bool("json") {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "\t")
		errs = append(errs, enc.Encode(filled(reports)))
		return distinct(errs)
	}
	printAll(reports, print, stdout, stderr)
	return distinct(errs)
}

// careForSyslog makes the syslog daemon listen in all chroots, or only looks, as the command says.
func careForSyslog(c *cli.Context, root *sysroot.Root, stderr io.Writer) (files, warnings []string) {
	if c.Command.Name == "check" || c.Bool("dry-run") {
		return syslogDue(root)
	}
	return changeSyslog(c.Context, root, chrootQueues(root), stderr)
}

// printAll prints for people; what several instances share is printed once.
func printAll(reports []chrootReport, print func(io.Writer, chrootReport), stdout, stderr io.Writer) {
	var warnings []string
	for i, r := range reports {
		if i > 0 {
			r.Syslog = nil
		}
		if len(reports) > 1 {
			fmt.Fprintf(stdout, "instance %s in %s:\n", r.Instance, r.Queue)
		}
		print(stdout, r)
		for _, text := range r.Warnings {
			if !slices.Contains(warnings, text) {
				warnings = append(warnings, text)
			}
		}
	}
	warn(stderr, warnings)
}

// chrootDeps is what package chroot works with.
func chrootDeps(ctx context.Context, root *sysroot.Root) chroot.Deps {
	d := chroot.Deps{Root: root}
	if root.IsHost() && systemd.Booted(root.Dir()) {
		d.Run = func(name string, args ...string) error { return run.Runner{}.Run(ctx, name, args...) }
	}
	return d
}

// chosen gives the instance that is named, or all of the host.
func chosen(root *sysroot.Root, names []string) ([]instance.Instance, []error) {
	if len(names) == 0 {
		return instance.List(root)
	}
	inst, err := instance.Find(root, names[0])
	if err != nil {
		return nil, []error{err}
	}
	return []instance.Instance{inst}, nil
}

// distinct joins errors, each text once.
func distinct(errs []error) error {
	var some []error
	for _, err := range errs {
		if err != nil && !slices.ContainsFunc(some, func(e error) bool { return e.Error() == err.Error() }) {
			some = append(some, err)
		}
	}
	return errors.Join(some...)
}

// filled makes empty lists of those that are nil, for JSON.
func filled(reports []chrootReport) []chrootReport {
	for i := range reports {
		r := &reports[i]
		for _, list := range []*[]string{&r.Chrooted, &r.Outside, &r.Switched, &r.Missing, &r.Stale, &r.Foreign, &r.Syslog, &r.Warnings} {
			if *list == nil {
				*list = []string{}
			}
		}
	}
	return reports
}

// take notes the result of a plan.
func (r *chrootReport) take(res chroot.Result) {
	r.Updated, r.Removed, r.Foreign, r.Missing = res.Changed, res.Removed, res.Foreign, res.Missing
	r.Warnings = append(r.Warnings, res.Warnings...)
}

func switchTo(on bool) chrootAction {
	return func(c *cli.Context, d chroot.Deps, inst instance.Instance, r *chrootReport) error {
		s, err := chroot.NewSwitch(d, inst, on)
		if err != nil {
			return err
		}
		r.Switched, r.diff = s.Services, s.Diff
		var res chroot.Result
		if c.Bool("dry-run") {
			res, err = s.Check()
		} else {
			res, err = s.Apply(c.Context, reloadInstance)
		}
		r.take(res)
		return errors.Join(err, r.services(d, inst))
	}
}

func syncChroot(c *cli.Context, d chroot.Deps, inst instance.Instance, r *chrootReport) error {
	plan, err := chroot.NewPlan(d, inst)
	if err != nil {
		return err
	}
	r.Synced = !plan.Off
	do := plan.Apply
	if c.Bool("dry-run") {
		do = plan.Check
	}
	res, err := do()
	r.take(res)
	return errors.Join(err, r.services(d, inst))
}

func checkChroot(_ *cli.Context, d chroot.Deps, inst instance.Instance, r *chrootReport) error {
	plan, err := chroot.NewPlan(d, inst)
	if err != nil {
		return err
	}
	res, err := plan.Inspect()
	r.take(res)
	for _, name := range slices.Concat(res.Changed, res.Removed) {
		if !slices.Contains(res.Missing, name) {
			r.Stale = append(r.Stale, name)
		}
	}
	r.Updated, r.Removed = nil, nil
	if err == nil && len(r.Missing)+len(r.Stale) > 0 {
		err = errNotInStep
	}
	return errors.Join(err, r.services(d, inst))
}

func statusChroot(_ *cli.Context, d chroot.Deps, inst instance.Instance, r *chrootReport) error {
	return r.services(d, inst)
}

// services notes which services run where.
func (r *chrootReport) services(d chroot.Deps, inst instance.Instance) error {
	st, err := chroot.NewStatus(d, inst)
	r.Chrooted, r.Outside, r.Synced = st.Chrooted, st.Outside, st.Synced
	return err
}

func printChange(w io.Writer, r chrootReport) {
	fmt.Fprint(w, r.diff)
	updated, removed := "updated", "removed"
	if r.dry {
		updated, removed = "would update", "would remove"
	}
	for _, name := range slices.Concat(r.Updated, r.Syslog) {
		fmt.Fprintln(w, updated, name)
	}
	for _, name := range r.Removed {
		fmt.Fprintln(w, removed, name)
	}
	if r.diff == "" && len(r.Updated)+len(r.Removed)+len(r.Syslog) == 0 && r.Error == "" {
		fmt.Fprintln(w, "nothing to do")
	}
}

func printStatus(w io.Writer, r chrootReport) {
	list := func(what string, names []string) {
		if len(names) > 0 {
			fmt.Fprintf(w, "%-9s %s\n", what, strings.Join(names, " "))
		}
	}
	word := map[bool]string{true: "off", false: "on"}[len(r.Chrooted) == 0]
	if !r.Synced {
		word += ", not kept up to date (SYNC_CHROOT is empty)"
	}
	fmt.Fprintf(w, "chroot    %s, %s\n", word, r.Queue)
	list("chrooted", r.Chrooted)
	list("outside", r.Outside)
}

func printCheck(w io.Writer, r chrootReport) {
	for _, group := range []struct {
		word  string
		names []string
	}{{"missing", r.Missing}, {"stale", slices.Concat(r.Stale, r.Syslog)}, {"foreign", r.Foreign}} {
		for _, name := range group.names {
			fmt.Fprintln(w, group.word, name)
		}
	}
}
