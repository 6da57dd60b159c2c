package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// programs are how other programs are run.
type programs struct {
	run    func(name string, args ...string) error
	become func(name string, args ...string) error // returns only if it fails
}

// own are the system's.
func own(stdout, stderr io.Writer) programs {
	return programs{
		run: func(name string, args ...string) error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, name, args...)
			cmd.Stdout, cmd.Stderr, cmd.WaitDelay = stdout, stderr, time.Second
			return cmd.Run()
		},
		become: func(name string, args ...string) error {
			return unix.Exec(name, append([]string{name}, args...), os.Environ())
		},
	}
}

// forUnit is all that the unit of an instance has to do around its start or its reload, in one program: systemd takes longer to begin
// one, for which it makes a namespace of mounts, than this one runs.
func (t task) forUnit(p programs, stdout, stderr io.Writer) int {
	root, err := sysroot.Open(t.dir)
	if err != nil {
		fmt.Fprintln(stderr, "configure-instance:", err)
		return 1
	}
	if t.start && !t.free(root) {
		// A Postfix that was started by hand keeps the unit from starting, and nobody could stop it through the unit.
		if err := p.run(paths.Umbrella, "takeover"); err != nil {
			fmt.Fprintln(stderr, "configure-instance: cannot end the Postfix that runs outside of its unit:", err)
			return 1
		}
	}
	code := t.run(stdout, stderr)
	if !t.reload {
		return code
	}
	if err := p.become(paths.Postfix, "reload"); err != nil {
		fmt.Fprintf(stderr, "configure-instance: cannot run %s: %v\n", paths.Postfix, err)
	}
	return 1
}

// free tells whether no master works in the queue directory; it is false where files do not tell which one that is.
func (t task) free(root *sysroot.Root) bool {
	insts, errs := t.instances(root)
	for _, inst := range insts {
		if chroot.Master(chroot.Deps{Root: root}, inst.QueueDir) != 0 {
			return false
		}
	}
	return len(insts) > 0 && len(errs) == 0
}
