//go:debug default=go1.26

// Command configure-instance brings the chroot of one Postfix instance up to date with the host:
//
//	configure-instance [--root DIR] [--dry-run] [--again] [INSTANCE]
//	configure-instance [--root DIR] [--dry-run] --all | --resolver
//	configure-instance --watch
//	configure-instance --binds [INSTANCE]
//	configure-instance --place PATH
//	configure-instance --relay PATH --user USER
//	configure-instance --master QUEUE_DIRECTORY|- | --end | --enabled
//	configure-instance --start
//	configure-instance --umbrella start|reload|stop|watch | --strays
//
// INSTANCE is the name in the unit postfix@INSTANCE.service, "-" or "" the primary one: so Debian 12's units and init
// script call it. Without one, the variable MAIL_CONFIG names the configuration directory, as it does where Debian 13's
// "postfix check" calls it; without that too, it is the primary instance. The dpkg trigger runs --all: every instance; the hooks of
// the network run --resolver: the files of name lookup of every instance. --watch does that whenever one of these files changes. There, a host without a configuration has nothing to do.
//
// The init script runs --binds, which lists instead of what was changed the directories of the host's sockets that chrooted services
// need, a line "DIRECTORY PLACE" each: to be bind-mounted there, where no systemd makes a relay.
//
// systemd runs --place before it makes a socket: it exits 1 and says why if anybody but root decides what that name means.
// It starts a relay to one of the host's sockets as --relay, which becomes systemd-socket-proxyd(8) with the rights of root, of the account that
// owns the directory of PATH, or of USER if there are more accounts that decide what PATH means.
// The init script asks --master for the number of the master process, which a file of the queue directory only claims; it exits 1 if none runs
// there. "-" is the queue directory of the instance; it exits 3 if nobody can tell that. --end ends that process. --enabled exits 1 if
// multi_instance_enable does not let the instance run.
// --umbrella is what postfix.service does to stand for its instances, --strays starts the unit of each instance that runs outside of it: see
// package umbrella.
//
// The units run --start, which first ends a Postfix that runs outside of its unit.
//
// A start and a reload take a socket out of what the syslog daemon is told, where a directory on the way has changed hands.
//
// What was changed goes to standard output, a line each; what went wrong to standard error. It exits 1 only for what keeps
// chrooted services from working: see package chroot. With --within TIME it ends then at the latest, as if it was killed, and exits 1.
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
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/syslogd"
	"postfix-maint/internal/sysroot"
)

func main() {
	debug.SetGCPercent(400) // a run is short, and its heap some megabytes
	os.Exit(run(os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// parse reads the arguments; ok is false for a call that is not understood.
func parse(args []string, env func(string) string, stderr io.Writer) (t task, ok bool) {
	flags := flag.NewFlagSet("configure-instance", flag.ContinueOnError)
	flags.SetOutput(stderr)
	t = task{mailConfig: env("MAIL_CONFIG"), shared: &chroot.Shared{}}
	flags.StringVar(&t.dir, "root", env("DPKG_ROOT"), "work on the system below this directory")
	flags.BoolVar(&t.dry, "dry-run", false, "only say what would be done")
	flags.BoolVar(&t.all, "all", false, "all instances")
	flags.BoolVar(&t.resolver, "resolver", false, "only the files of name lookup, of all instances")
	flags.BoolVar(&t.again, "again", false, "do not say once more what the run before has said")
	flags.BoolVar(&t.binds, "binds", false, "list the directories to be mounted in the chroot where systemd does not run")
	flags.BoolVar(&t.watch, "watch", false, "run --resolver whenever one of the files of name lookup changes, until ended")
	flags.StringVar(&t.place, "place", "", "only tell whether nobody but root decides what this path means")
	flags.StringVar(&t.relay, "relay", "", "become the relay from systemd's socket to this one")
	flags.StringVar(&t.user, "user", "", "of the relay, where not one account alone decides what its path means")
	flags.StringVar(&t.master, "master", "", "only print the number of the master process that works in this queue directory, - for the instance's")
	flags.DurationVar(&t.within, "within", 0, "end after so long at the latest, with exit status 1")
	flags.BoolVar(&t.strays, "strays", false, "only start the unit of each instance that runs outside of it")
	flags.StringVar(&t.umbrella, "umbrella", "", "for postfix.service: start, reload, stop or watch")
	flags.BoolVar(&t.end, "end", false, "only end the master process of the instance")
	flags.BoolVar(&t.enabled, "enabled", false, "only tell whether multi_instance_enable lets the instance run")
	flags.BoolVar(&t.start, "start", false, "for the unit: first end what runs outside of it")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: configure-instance [--root DIR] [--dry-run] [--again] [--binds] [--within TIME] [--all | --resolver | --watch | --place PATH | --relay PATH --user USER | --master DIR | --end | --enabled | --umbrella WORD | --strays | --start | INSTANCE]")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return t, false
	}
	t.names = flags.Args()
	t.all = t.all || t.resolver || t.watch
	if len(t.names) > 1 || t.all && len(t.names) > 0 {
		flags.Usage()
		return t, false
	}
	return t, true
}

// run is the program without its process; it returns the exit code.
func run(args []string, env func(string) string, stdout, stderr io.Writer) int {
	t, ok := parse(args, env, stderr)
	if !ok {
		return 2
	}
	if t.within > 0 {
		time.AfterFunc(t.within, func() {
			fmt.Fprintln(stderr, "configure-instance: not done within", t.within)
			os.Exit(1)
		})
	}
	root, err := sysroot.Open(t.dir)
	if err != nil {
		fmt.Fprintln(stderr, "configure-instance:", err)
		return 1
	}
	p := own(root)
	switch {
	case t.start:
		return t.forStart(root, p, stdout, stderr)
	case t.umbrella != "" || t.strays:
		return t.stand(root, stderr)
	case t.end:
		if err := t.endMaster(root, p, stderr); err != nil {
			fmt.Fprintln(stderr, "configure-instance:", err)
			return 1
		}
		return 0
	case t.enabled:
		return t.allowed(p, stderr)
	case t.watch && len(t.names) == 0:
		return follow(root, lookEvery, func() error { return refresh(stdout, stderr) }, stderr)
	case t.relay != "":
		return t.passOn(root, stderr)
	case t.place != "" || t.master != "":
		return t.answer(root, p, stdout, stderr)
	}
	return t.run(root, stdout, stderr)
}

// run brings the chroots up to date that the task is about, and returns the exit code.
func (t task) run(root *sysroot.Root, stdout, stderr io.Writer) int {
	var insts []instance.Instance
	var errs []error
	for _, w := range shielded("every instance", func() { insts, errs = t.instances(root) }) {
		fmt.Fprintln(stderr, "configure-instance: warning:", w)
	}
	if t.all {
		t.insts = insts
	}
	errs = append(errs, t.each(root, insts, stdout, stderr)...)
	if !t.dry && !t.resolver && !t.binds {
		withdraw(root, stderr)
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

// answer only tells something about a name.
func (t task) answer(root *sysroot.Root, p programs, stdout, stderr io.Writer) int {
	if t.master != "" {
		pid, err := 0, error(nil)
		if t.master == "-" {
			pid, err = t.masterOf(root, p)
		} else {
			pid = chroot.Master(chroot.Deps{Root: root}, t.master)
		}
		if err != nil {
			fmt.Fprintln(stderr, "configure-instance:", err)
			return 3
		}
		if pid == 0 {
			return 1
		}
		fmt.Fprintln(stdout, pid)
		return 0
	}
	if err := root.TrustedPlace(t.place); err != nil {
		fmt.Fprintln(stderr, "configure-instance:", err)
		return 1
	}
	return 0
}

// each brings instances up to date, several at once; what they have to say comes one after the other.
func (t task) each(root *sysroot.Root, insts []instance.Instance, stdout, stderr io.Writer) []error {
	said, errs := make([]struct{ out, err bytes.Buffer }, len(insts)), make([]error, len(insts))
	t.shared.Together(len(insts), func(n int) {
		errs[n] = t.one(root, insts[n], &said[n].out, &said[n].err)
	}, func(n int) {
		_, _ = said[n].out.WriteTo(stdout)
		_, _ = said[n].err.WriteTo(stderr)
	})
	return errs
}

// one brings one instance up to date and prints what was done.
func (t task) one(root *sysroot.Root, inst instance.Instance, stdout, stderr io.Writer) error {
	var result chroot.Result
	var err error
	fault := shielded("instance "+inst.Name, func() { result, err = t.configure(root, inst, stdout) })
	result.Warnings = append(result.Warnings, fault...)
	prefix := ""
	if t.all && !inst.IsPrimary() {
		prefix = inst.QueueDir + ": "
	}
	verbs, list := [2]string{"updated", "removed"}, chroot.Summary // for the journal
	if t.dry {
		verbs, list = [2]string{"would update", "would remove"}, func(names []string) []string { return names }
	}
	if !t.binds {
		for _, line := range list(result.Changed) {
			fmt.Fprintln(stdout, prefix+verbs[0], line)
		}
		for _, line := range list(result.Removed) {
			fmt.Fprintln(stdout, prefix+verbs[1], line)
		}
	}
	if t.resolver && !t.dry {
		fault := shielded("instance "+inst.Name, func() { result.Warnings = append(result.Warnings, retire(root, inst, stdout)...) })
		result.Warnings = append(result.Warnings, fault...)
	}
	if root.IsHost() && !t.all && !t.dry && !t.binds {
		result.Warnings = t.unsaid(root, inst, result.Warnings)
	}
	for _, w := range result.Warnings {
		fmt.Fprintln(stderr, "configure-instance: warning:", w)
	}
	if n := len(result.Undone); err == nil && n > 0 && t.all { // a start goes on
		err = fmt.Errorf("the chroot of instance %s is not up to date: files that could not be brought up to date: %d", inst.Name, n)
	}
	return err
}

// unsaid drops what the run before this one has said: at a start the unit runs this program, and then "postfix start" does. What was said
// counts once, so that a later start by hand says it again.
func (t task) unsaid(root *sysroot.Root, inst instance.Instance, warnings []string) []string {
	name := path.Join(paths.ChrootLocks, inst.Unit()+".said")
	if t.again {
		said, _ := root.ReadFile(name) // none: there was no run before
		_, _ = root.Remove(name)
		return slices.DeleteFunc(warnings, func(w string) bool { return strings.Contains("\n"+string(said), "\n"+w+"\n") })
	}
	if len(warnings) == 0 {
		_, _ = root.Remove(name)
	} else {
		_, _ = root.WriteFile(name, []byte(strings.Join(warnings, "\n")+"\n"), sysroot.Attr{Mode: 0o600})
	}
	return warnings
}

// withdraw takes what the syslog daemon must not make by its name any longer out of what it is told. "chroot sync" puts it back.
func withdraw(root *sysroot.Root, stderr io.Writer) {
	var said []string
	fault := shielded("the syslog daemon", func() {
		var err error
		if said, err = (syslogd.Host{Root: root}).Withdraw(context.Background()); err != nil {
			said = append(said, err.Error())
		}
	})
	for _, w := range append(said, fault...) {
		fmt.Fprintln(stderr, "configure-instance: warning:", w)
	}
}

// task is what is asked for.
type task struct {
	dir, mailConfig string
	names           []string
	place, master   string
	umbrella        string
	relay, user     string
	within          time.Duration
	insts           []instance.Instance // with all, those of the host
	shared          *chroot.Shared

	dry, all, resolver, binds, again, watch, strays, start, end, enabled bool
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

// shielded does one thing for what; a panic of ours is a warning: an old chroot is better than no mail.
func shielded(what string, do func()) (warnings []string) {
	defer func() {
		if fault := recover(); fault != nil {
			warnings = []string{fmt.Sprintf("the chroot of %s stays as it is, please report this: %v in %s", what, fault, ourFrames())}
		}
	}()
	do()
	return nil
}

// ourFrames are the functions of ours that a panic came through, the innermost first.
func ourFrames() string {
	pcs := make([]uintptr, 50)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs)])
	var names []string
	for {
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, "postfix-maint/internal/") {
			names = append(names, fmt.Sprintf("%s:%d", path.Base(f.Function), f.Line))
		}
		if !more {
			return strings.Join(names, " ")
		}
	}
}

// configure brings one instance up to date.
func (t task) configure(root *sysroot.Root, inst instance.Instance, stdout io.Writer) (chroot.Result, error) {
	newPlan := chroot.NewPlan
	if t.resolver {
		newPlan = chroot.NewResolverPlan
	}
	plan, err := newPlan(chroot.Deps{Root: root, Run: systemd(root), Instances: t.insts, Shared: t.shared}, inst)
	if err != nil {
		return chroot.Result{}, err
	}
	if t.dry {
		return plan.Check()
	}
	result, err := plan.Apply()
	if t.binds && systemd(root) == nil {
		binds, warnings := plan.Binds() // of what is there now
		for _, b := range binds {
			fmt.Fprintln(stdout, b[0], b[1])
		}
		result.Warnings = append(result.Warnings, warnings...)
	}
	return result, err
}

// systemd runs a program of systemd's; it is nil where that does not run the system: sd_booted(3).
func systemd(root *sysroot.Root) func(name string, args ...string) error {
	if booted, err := root.Exists(paths.SystemdBooted); !root.IsHost() || err != nil || !booted {
		return nil
	}
	return func(name string, args ...string) error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.WaitDelay = time.Second
		out, err := cmd.CombinedOutput()
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
