// Command configure-instance brings the chroot of one Postfix instance up to date with the host:
//
//	configure-instance [--root DIR] [--dry-run] [INSTANCE]
//	configure-instance [--root DIR] [--dry-run] --all | --resolver
//	configure-instance --binds [INSTANCE]
//
// INSTANCE is the name in the unit postfix@INSTANCE.service, "-" or "" the primary one: so Debian 12's units and init
// script call it. Without one, the variable MAIL_CONFIG names the configuration directory, as it does where Debian 13's
// "postfix check" calls it; without that too, it is the primary instance. The dpkg trigger runs --all: every instance; the hooks of
// the network run --resolver: the files of name lookup of every instance. There, a host without a configuration has nothing to do.
//
// The init script runs --binds, which lists instead of what was changed the directories of the host's sockets that chrooted services
// need, a line "DIRECTORY PLACE" each: to be bind-mounted there, where no systemd makes a relay.
//
// What was changed goes to standard output, a line each; what went wrong to standard error. It exits 1 only for what keeps
// chrooted services from working: see package chroot.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"
	"time"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

func main() {
	os.Exit(run(os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is the program without its process; it returns the exit code.
func run(args []string, env func(string) string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("configure-instance", flag.ContinueOnError)
	flags.SetOutput(stderr)
	t := task{mailConfig: env("MAIL_CONFIG")}
	flags.StringVar(&t.dir, "root", env("DPKG_ROOT"), "work on the system below this directory")
	flags.BoolVar(&t.dry, "dry-run", false, "only say what would be done")
	flags.BoolVar(&t.all, "all", false, "all instances")
	flags.BoolVar(&t.resolver, "resolver", false, "only the files of name lookup, of all instances")
	flags.BoolVar(&t.binds, "binds", false, "list the directories to be mounted in the chroot where systemd does not run")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: configure-instance [--root DIR] [--dry-run] [--binds] [--all | --resolver | INSTANCE]")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return 2
	}
	t.names = flags.Args()
	t.all = t.all || t.resolver
	if len(t.names) > 1 || t.all && len(t.names) > 0 {
		flags.Usage()
		return 2
	}
	root, err := sysroot.Open(t.dir)
	if err != nil {
		fmt.Fprintln(stderr, "configure-instance:", err)
		return 1
	}
	insts, errs := t.instances(root)
	for _, inst := range insts {
		result, err := t.configure(root, inst, stdout)
		prefix := ""
		if t.all && !inst.IsPrimary() {
			prefix = inst.QueueDir + ": "
		}
		verbs := map[bool][2]string{false: {"updated", "removed"}, true: {"would update", "would remove"}}[t.dry]
		if !t.binds {
			report(stdout, prefix+verbs[0], result.Changed, t.dry)
			report(stdout, prefix+verbs[1], result.Removed, t.dry)
		}
		if t.resolver && !t.dry {
			result.Warnings = append(result.Warnings, retire(root, inst, stdout)...)
		}
		for _, w := range result.Warnings {
			fmt.Fprintln(stderr, "configure-instance: warning:", w)
		}
		errs = append(errs, err)
	}
	code := 0
	for _, err := range errs {
		if err != nil {
			fmt.Fprintln(stderr, "configure-instance:", err)
			code = 1
		}
	}
	return code
}

// report prints what was done: a line for each file, but one line for a directory with many of them, unless all is asked for. A
// first start copies hundreds of certificates, and this goes to the journal.
func report(w io.Writer, verb string, names []string, all bool) {
	const many = 8
	in := map[string]int{}
	for _, name := range names {
		in[path.Dir(name)]++
	}
	for _, name := range names {
		dir := path.Dir(name)
		switch n := in[dir]; {
		case all || 0 < n && n <= many:
			fmt.Fprintln(w, verb, name)
		case n > many:
			fmt.Fprintf(w, "%s %d files in %s\n", verb, n, dir)
			in[dir] = 0
		}
	}
}

// task is what is asked for.
type task struct {
	dir, mailConfig string
	names           []string

	dry, all, resolver, binds bool
}

// instances are those that the task is about.
func (t task) instances(root *sysroot.Root) ([]instance.Instance, []error) {
	if t.all {
		insts, errs := instance.List(root)
		if len(insts) == 0 && len(errs) == 1 && errors.Is(errs[0], fs.ErrNotExist) {
			return nil, nil
		}
		return insts, errs
	}
	var inst instance.Instance
	var err error
	switch {
	case len(t.names) > 0:
		inst, err = instance.Find(root, t.names[0])
	case t.mailConfig != "":
		inst, err = instance.ByConfigDir(root, t.mailConfig)
	default:
		inst, err = instance.Find(root, instance.Primary)
	}
	if err != nil {
		return nil, []error{err}
	}
	return []instance.Instance{inst}, nil
}

// configure brings one instance up to date.
func (t task) configure(root *sysroot.Root, inst instance.Instance, stdout io.Writer) (chroot.Result, error) {
	newPlan := chroot.NewPlan
	if t.resolver {
		newPlan = chroot.NewResolverPlan
	}
	plan, err := newPlan(chroot.Deps{Root: root, Run: systemd(root)}, inst)
	if err != nil {
		return chroot.Result{}, err
	}
	if t.binds && systemd(root) == nil {
		for _, r := range plan.Relays {
			fmt.Fprintln(stdout, path.Dir(r.Target), path.Join(inst.QueueDir, path.Dir(r.Path)))
		}
	}
	if t.dry {
		return plan.Check()
	}
	return plan.Apply()
}

// systemd runs a program of systemd's; it is nil where that does not run the system: sd_booted(3).
func systemd(root *sysroot.Root) func(name string, args ...string) error {
	if booted, err := root.Exists(paths.SystemdBooted); !root.IsHost() || err != nil || !booted {
		return nil
	}
	return func(name string, args ...string) error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", path.Base(name), err, bytes.TrimSpace(out))
		}
		return nil
	}
}

// retire ends processes that have not noticed the change.
func retire(root *sysroot.Root, inst instance.Instance, stdout io.Writer) (warnings []string) {
	ended, warnings := chroot.RetireIdle(chroot.Deps{Root: root}, inst)
	if len(ended) > 0 {
		fmt.Fprintf(stdout, "ended idle processes that would have asked the old name servers: %s\n", strings.Join(ended, " "))
	}
	return warnings
}
