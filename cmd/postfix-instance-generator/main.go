//go:debug default=go1.26

// Command postfix-instance-generator tells systemd which Postfix instances this host has.
//
// systemd runs it very early at boot and on each daemon-reload, as root, one process beside many (systemd.generator(7),
// https://www.freedesktop.org/software/systemd/man/latest/systemd.generator.html). It may rely on nothing but the root file
// system: no /var, no network, no D-Bus, no logging daemon. It runs no program, imports little more than the standard library,
// never waits, and goes on after what it cannot understand; its exit status then is 1 and the kernel log says why.
//
// The instances are those that postmulti(1) sees: the primary one in /etc/postfix and those that its
// multi_instance_directories lists.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"strings"
	"syscall"

	"postfix-maint/internal/generator"
	"postfix-maint/internal/paths"
)

// maxMemory is where garbage is collected after all: on a host whose main.cf files are garbage themselves.
const maxMemory = 64 << 20

// maxReports is how many instances are named in the log, which has no room for thousands.
const maxReports = 50

func main() {
	debug.SetGCPercent(-1) // it is over before there is anything worth collecting,
	debug.SetMemoryLimit(maxMemory)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run makes the units in the first of the three directories that systemd gives, or shows them.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("postfix-instance-generator", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: postfix-instance-generator [-root DIR] NORMAL-DIR [EARLY-DIR LATE-DIR]\n"+
			"       postfix-instance-generator [-root DIR] -dryrun")
		flags.PrintDefaults()
	}
	dryrun := flags.Bool("dryrun", false, "print the units, write nothing")
	root := flags.String("root", "", "system `tree` to read instead of the running one")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if n := flags.NArg(); *dryrun && n != 0 || !*dryrun && n != 1 && n != 3 {
		flags.Usage()
		return 2
	}
	files := &generator.Files{Root: *root}
	insts, errs := files.Instances()
	if len(insts) == 0 && len(errs) == 1 && errors.Is(errs[0], fs.ErrNotExist) {
		errs = nil // not configured: nothing to complain about
	}
	units := generator.Units(generator.Input{Instances: insts, Enabled: files.Enabled()})
	logTo, level := stderr, ""
	if *dryrun {
		show(stdout, units)
	} else {
		if len(errs) > 0 {
			units = append(units, generator.File{Path: generator.Complaints, Text: list(errs, "")})
		}
		errs = append(errs, generator.Write(flags.Arg(0), units)...)
		if *root == "" {
			// In a container it may be a terminal or a named pipe.
			if kmsg, err := os.OpenFile(paths.Kmsg, os.O_WRONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0); err == nil { // else standard error has to do
				defer kmsg.Close()
				logTo, level = kmsg, "<3>" // as an error, printk's way
			}
		}
	}
	for line := range strings.Lines(list(errs, fmt.Sprintf("%spostfix-instance-generator[%d]: ", level, os.Getpid()))) {
		_, _ = io.WriteString(logTo, line) // one call for each: /dev/kmsg takes it as one message
	}
	if len(errs) > 0 {
		return 1
	}
	return 0
}

// list gives a line for each error, but not for thousands.
func list(errs []error, prefix string) string {
	var b strings.Builder
	for n, err := range errs {
		if n == maxReports {
			fmt.Fprintf(&b, "%sand %d more\n", prefix, len(errs)-n)
			break
		}
		fmt.Fprintf(&b, "%s%v\n", prefix, err)
	}
	return b.String()
}

// show prints each unit under a line with its name.
func show(w io.Writer, units []generator.File) {
	for _, u := range units {
		fmt.Fprintf(w, "# %s\n%s", u.Path, u.Text)
	}
}
