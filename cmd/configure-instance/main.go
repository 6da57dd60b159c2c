// Command configure-instance brings the chroot of one Postfix instance up to date with the host:
//
//	configure-instance [--root DIR] [--dry-run] [INSTANCE]
//
// INSTANCE is the name in the unit postfix@INSTANCE.service, "-" or "" the primary one: so Debian 12's units and init
// script call it. Without one, the variable MAIL_CONFIG names the configuration directory, as it does where Debian 13's
// "postfix check" calls it; without that too, it is the primary instance.
//
// What was changed goes to standard output, a line each; what went wrong to standard error. It exits 1 only for what keeps
// chrooted services from working: see package chroot.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/sysroot"
)

func main() {
	os.Exit(run(os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is the program without its process; it returns the exit code.
func run(args []string, env func(string) string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("configure-instance", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dir := flags.String("root", env("DPKG_ROOT"), "work on the system below this directory")
	dry := flags.Bool("dry-run", false, "only say what would be done")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: configure-instance [--root DIR] [--dry-run] [INSTANCE]")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() > 1 {
		flags.Usage()
		return 2
	}
	result, err := configure(*dir, *dry, flags.Args(), env("MAIL_CONFIG"))
	verbs := map[bool][2]string{false: {"updated", "removed"}, true: {"would update", "would remove"}}[*dry]
	report(stdout, verbs[0], result.Changed, *dry)
	report(stdout, verbs[1], result.Removed, *dry)
	for _, w := range result.Warnings {
		fmt.Fprintln(stderr, "configure-instance: warning:", w)
	}
	if err != nil {
		fmt.Fprintln(stderr, "configure-instance:", err)
		return 1
	}
	return 0
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

func configure(dir string, dry bool, names []string, mailConfig string) (chroot.Result, error) {
	root, err := sysroot.Open(dir)
	if err != nil {
		return chroot.Result{}, err
	}
	var inst instance.Instance
	switch {
	case len(names) > 0:
		inst, err = instance.Find(root, names[0])
	case mailConfig != "":
		inst, err = instance.ByConfigDir(root, mailConfig)
	default:
		inst, err = instance.Find(root, instance.Primary)
	}
	if err != nil {
		return chroot.Result{}, err
	}
	plan, err := chroot.NewPlan(chroot.Deps{Root: root}, inst)
	if err != nil {
		return chroot.Result{}, err
	}
	if dry {
		return plan.Check()
	}
	return plan.Apply()
}
