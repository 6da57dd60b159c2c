package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

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
	Unreach  []string `json:"unreachable"` // sentences: sockets that a chrooted service is led to and cannot reach
	// Endpoints are what the configuration leads each service to, of "chroot check" with what came of a try.
	Endpoints []chroot.Endpoint `json:"endpoints,omitzero"`
	Syslog    []string          `json:"syslog"` // files of the syslog daemon that a command wrote, would write, or finds stale: those of all chroots
	Warnings  []string          `json:"warnings"`
	Error     string            `json:"error,omitempty"`

	diff    string
	already string // why there is nothing to do
	dry     bool

	onScreen func(string) string
}

// chrootReports are those of all instances that were asked for.
type chrootReports struct {
	Instances []chrootReport `json:"instances"`
}

// changed tells whether a command changed something, or would.
func (r chrootReport) changed() bool {
	return r.diff != "" || len(r.Switched)+len(r.Updated)+len(r.Removed)+len(r.Syslog) > 0
}

// chrootAction does one command for one instance and fills in the report.
type chrootAction func(ctx context.Context, c *call, d chroot.Deps, inst instance.Instance, r *chrootReport) error

// errNotInStep is the result of a check that found something; the report has it all.
var errNotInStep = errors.New("a chroot is not in step with the host; \"postfix-maint chroot sync\" mends that")

// errUnreachable is the result of a check that found only what a refresh does not mend.
var errUnreachable = errors.New("a service cannot reach what its configuration names")

// syslogAction cares for the syslog daemon, which has one configuration for all chroots.
type syslogAction func(context.Context, *call) (files, warnings []string, err error)

// chroots is a flow for the named instance, or for all of them, and how one instance's report is shown.
func chroots(do chrootAction, syslog syslogAction, print func(io.Writer, chrootReport)) action {
	return shown(func(ctx context.Context, c *call) (*chrootReports, error) {
		insts, errs := chosen(c.root, c.Args().Slice())
		reports := []chrootReport{}
		for i, inst := range insts {
			c.waiting.say(fmt.Sprintf("%s, instance %d of %d", c.row.waits, i+1, len(insts)))
			r := chrootReport{Instance: inst.Name, Queue: inst.QueueDir, dry: c.dry(), onScreen: c.onScreen}
			if err := do(ctx, c, chrootDeps(ctx, c.root), inst, &r); err != nil {
				if !errors.Is(err, errNotInStep) && !errors.Is(err, errUnreachable) {
					r.Error = err.Error()
				}
				errs = append(errs, err)
			}
			reports = append(reports, r)
		}
		files, warnings, err := syslog(ctx, c)
		for i := range reports {
			reports[i].Syslog, reports[i].Warnings = files, append(reports[i].Warnings, warnings...)
		}
		all := chrootReports{filled(reports)}
		c.changed = c.changed || slices.ContainsFunc(all.Instances, chrootReport.changed)
		return &all, distinct(append(errs, err))
	}, printChroots(print))
}

func noSyslog(context.Context, *call) (files, warnings []string, err error) { return nil, nil, nil }

// syncAllSyslog makes the syslog daemon listen in all chroots.
func syncAllSyslog(ctx context.Context, c *call) (files, warnings []string, err error) {
	if c.dry() {
		files, warnings = syslogDue(c.root)
	} else {
		files, warnings = changeSyslog(ctx, c.root, chrootQueues(c.root), c.stderr)
	}
	return files, warnings, nil
}

// checkSyslog only looks.
func checkSyslog(_ context.Context, c *call) (files, warnings []string, err error) {
	if files, warnings = syslogDue(c.root); len(files) > 0 {
		err = errNotInStep
	}
	return files, warnings, err
}

// printChroots prints for people; what several instances share is printed once.
func printChroots(print func(io.Writer, chrootReport)) func(*call, *chrootReports) error {
	return func(c *call, reports *chrootReports) error {
		var warnings []string
		for i, r := range reports.Instances {
			if i > 0 {
				r.Syslog = nil
			}
			if len(reports.Instances) > 1 {
				fmt.Fprintf(c.stdout, "instance %s in %s:\n", r.Instance, r.Queue)
			}
			print(c.stdout, r)
			for _, text := range r.Warnings {
				if !slices.Contains(warnings, text) {
					warnings = append(warnings, text)
				}
			}
		}
		warn(c.stderr, warnings)
		return nil
	}
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
		for _, list := range []*[]string{&r.Chrooted, &r.Outside, &r.Switched, &r.Missing, &r.Stale, &r.Foreign, &r.Unreach, &r.Syslog, &r.Warnings} {
			if *list == nil {
				*list = []string{}
			}
		}
	}
	return reports
}

// take notes the result of a plan.
func (r *chrootReport) take(res chroot.Result) {
	r.Updated, r.Removed, r.Foreign, r.Missing, r.Unreach = res.Changed, res.Removed, res.Foreign, res.Missing, res.Unreachable
	r.Warnings = append(r.Warnings, res.Warnings...)
}

// undone is the error of a run that could not do all its work; the warnings say why.
func undone(inst instance.Instance, res chroot.Result) error {
	if len(res.Undone) == 0 {
		return nil
	}
	return fmt.Errorf("the chroot of instance %s is not up to date: %d files could not be brought up to date", inst.Name, len(res.Undone))
}

func switchTo(on bool) chrootAction {
	return func(ctx context.Context, c *call, d chroot.Deps, inst instance.Instance, r *chrootReport) error {
		s, err := chroot.NewSwitch(d, inst, on)
		if err != nil {
			return err
		}
		var res chroot.Result
		if c.dry() {
			res, err = s.Check()
		} else {
			res, err = s.Apply(ctx, reloadInstance)
		}
		r.Switched, r.diff = s.Services, s.Diff // as it was planned last
		r.take(res)
		if err == nil {
			err = undone(inst, res)
		}
		if !on {
			r.already = ": no service runs chrooted"
		}
		return errors.Join(err, r.services(d, inst))
	}
}

func syncChroot(_ context.Context, c *call, d chroot.Deps, inst instance.Instance, r *chrootReport) error {
	plan, err := chroot.NewPlan(d, inst)
	if err != nil {
		return err
	}
	r.Synced = !plan.Off
	do := plan.Apply
	if c.dry() {
		do = plan.Check
	}
	res, err := do()
	r.take(res)
	if err == nil {
		err = undone(inst, res)
	}
	return errors.Join(err, r.services(d, inst))
}

func checkChroot(_ context.Context, _ *call, d chroot.Deps, inst instance.Instance, r *chrootReport) error {
	plan, err := chroot.NewPlan(d, inst)
	if err != nil {
		return err
	}
	res, err := plan.Inspect()
	r.take(res)
	r.Endpoints = append([]chroot.Endpoint{}, res.Endpoints...)
	for _, name := range slices.Concat(res.Changed, res.Removed) {
		if !slices.Contains(res.Missing, name) {
			r.Stale = append(r.Stale, name)
		}
	}
	r.Updated, r.Removed = nil, nil
	if err == nil {
		err = undone(inst, res)
	}
	switch {
	case err != nil:
	case len(r.Missing)+len(r.Stale) > 0:
		err = errNotInStep
	case len(r.Unreach) > 0:
		err = errUnreachable
	}
	return errors.Join(err, r.services(d, inst))
}

func statusChroot(_ context.Context, _ *call, d chroot.Deps, inst instance.Instance, r *chrootReport) error {
	st, err := chroot.NewStatus(d, inst)
	r.Endpoints = append([]chroot.Endpoint{}, st.Endpoints...)
	return errors.Join(err, r.services(d, inst))
}

// services notes which services run where.
func (r *chrootReport) services(d chroot.Deps, inst instance.Instance) error {
	st, err := chroot.NewStatus(d, inst)
	r.Chrooted, r.Outside, r.Synced = st.Chrooted, st.Outside, st.Synced
	return err
}

func printChange(w io.Writer, r chrootReport) {
	fmt.Fprint(w, r.onScreen(r.diff))
	updated, removed := "updated", "removed"
	if r.dry {
		updated, removed = "would update", "would remove"
	}
	for _, line := range chroot.Summary(slices.Concat(r.Updated, r.Syslog)) {
		fmt.Fprintln(w, updated, line)
	}
	for _, line := range chroot.Summary(r.Removed) {
		fmt.Fprintln(w, removed, line)
	}
	if !r.changed() && r.Error == "" {
		fmt.Fprintln(w, "nothing to do"+r.already)
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
	for _, e := range r.Endpoints {
		fmt.Fprintf(w, "reaches   %s: %s\n", e.Service, e.Names())
	}
}

func printCheck(w io.Writer, r chrootReport) {
	for _, group := range []struct {
		word  string
		names []string
	}{{"missing", r.Missing}, {"stale", slices.Concat(r.Stale, r.Syslog)}, {"not ours", r.Foreign}} {
		for _, line := range chroot.Summary(group.names) {
			fmt.Fprintln(w, group.word, line)
		}
	}
	if len(r.Foreign) > 0 {
		fmt.Fprintf(w, "what is not ours was left there by Debian's layer or by somebody; if nobody needs it: \"rm -r %s/NAME\"\n", r.Queue)
	}
	for _, line := range reachable(r.Endpoints) {
		fmt.Fprintln(w, line)
	}
	for _, text := range r.Unreach {
		fmt.Fprintln(w, text)
	}
}

// reachable names each endpoint that answers once, with the services that are led to it.
func reachable(all []chroot.Endpoint) (lines []string) {
	services := map[string][]string{}
	var order []string
	for _, e := range all {
		if e.State != chroot.Reachable {
			continue
		}
		name := string(e.Use) + " " + chroot.Plain(e.Socket+e.Address+e.Path)
		if services[name] == nil {
			order = append(order, name)
		}
		if !slices.Contains(services[name], e.Service) {
			services[name] = append(services[name], e.Service)
		}
	}
	for _, name := range order {
		lines = append(lines, "reachable "+name+" from "+strings.Join(services[name], " "))
	}
	return lines
}
