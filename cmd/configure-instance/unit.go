package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"time"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// runner runs another program to its end.
type runner func(name string, args ...string) error

// outside runs the system's programs.
func outside(stdout, stderr io.Writer) runner {
	return func(name string, args ...string) error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Stdout, cmd.Stderr, cmd.WaitDelay = stdout, stderr, time.Second
		return cmd.Run()
	}
}

// forStart is all that the unit of an instance has to do before its start, in one program: systemd takes longer to begin one, for which it
// makes a namespace of mounts, than this one runs.
func (t task) forStart(run runner, stdout, stderr io.Writer) int {
	root, err := sysroot.Open(t.dir)
	if err != nil {
		fmt.Fprintln(stderr, "configure-instance:", err)
		return 1
	}
	if !t.free(root) {
		// A Postfix that was started by hand keeps the unit from starting, and nobody could stop it through the unit.
		if err := run(paths.Umbrella, "takeover"); err != nil {
			fmt.Fprintln(stderr, "configure-instance: cannot end the Postfix that runs outside of its unit:", err)
			return 1
		}
	}
	return t.run(stdout, stderr)
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
