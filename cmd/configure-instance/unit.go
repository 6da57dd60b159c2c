package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/procs"
	"postfix-maint/internal/sysroot"
)

// programs are how other programs are run, and ended.
type programs struct {
	output func(name string, args ...string) ([]byte, error)
	end    func(pid int) error
}

// endWithin is what Postfix's own "postfix stop" gives a master to end, before it is killed.
const endWithin = 5 * time.Second

var errOtherSystem = errors.New("only the running system's Postfix can be asked")

// own are the system's. A program that tells something about the instance gets its directory from
// MAIL_CONFIG, as we do.
func own(root *sysroot.Root) programs {
	return programs{
		output: func(name string, args ...string) ([]byte, error) {
			if !root.IsHost() {
				return nil, errOtherSystem
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, name, args...)
			cmd.WaitDelay = time.Second
			return cmd.Output()
		},
		end: func(pid int) error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			return procs.EndGroup(ctx, pid, endWithin)
		},
	}
}

// forStart is all that the unit of an instance has to do before its start, in one program: systemd
// takes longer to begin one, for which it makes a namespace of mounts, than this one runs.
func (t task) forStart(root *sysroot.Root, p programs, stdout, stderr io.Writer) int {
	// A Postfix that was started by hand keeps the unit from starting, and nobody could stop it
	// through the unit.
	if err := t.endMaster(root, p, stderr); err != nil {
		fmt.Fprintln(stderr, "configure-instance: cannot end the Postfix that runs outside of its unit:", err)
		return 1
	}
	return t.run(root, stdout, stderr)
}

// endMaster ends the master of the instance, if one runs, and says so. Not by "postfix stop", which
// refuses if main.cf has become invalid.
func (t task) endMaster(root *sysroot.Root, p programs, stderr io.Writer) error {
	pid, err := t.masterOf(root, p)
	if err != nil || pid == 0 { // nobody can tell where it would work: "postfix start" will say why
		return nil
	}
	if t.start {
		fmt.Fprintf(stderr, "ending the Postfix that runs outside of its unit with %s\n", t.mailConfig)
	}
	return p.end(pid)
}

// masterOf gives the number of the instance's master, 0 if none runs. Postfix is only asked for the
// queue directory where files do not tell it.
func (t task) masterOf(root *sysroot.Root, p programs) (int, error) {
	queue := ""
	insts, errs := t.instances(root)
	if len(insts) > 0 {
		queue = insts[0].QueueDir
	} else {
		if len(t.names) > 0 {
			return 0, errors.Join(errs...)
		}
		out, err := p.output(paths.Postconf, "-hx", "queue_directory")
		if queue = strings.TrimSpace(string(out)); err != nil || queue == "" {
			return 0, errors.Join(append(errs, err)...)
		}
	}
	return chroot.Master(chroot.Deps{Root: root}, queue), nil
}

// allowed tells whether multi_instance_enable lets the instance run: "postmulti -p start" skips
// what is not enabled.
func (t task) allowed(p programs, stderr io.Writer) int {
	out, err := p.output(paths.Postconf, "-hx", "multi_instance_enable")
	if err == nil && strings.TrimSpace(string(out)) == "yes" {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "configure-instance: cannot ask postconf(1):", err)
	}
	fmt.Fprintf(stderr, "multi_instance_enable is not yes in %s/main.cf: not started\n", t.mailConfig)
	return 1
}
