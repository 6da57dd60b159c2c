package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path"
	"time"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/watch"
)

const (
	lookEvery    = 30 * time.Second // for what no event tells of
	refreshLimit = 2 * time.Minute
	refreshAgain = 10 * time.Minute // after a run that failed, without any change: a disk may have room again
)

// follow keeps the chroots of all instances in step with the files of name lookup until it is ended. What happens from here on is seen, so
// the first refresh comes after that. Each refresh is a process of its own: so it is today's program after an upgrade. Where Debian's
// layer has come back, which has no such watch, this one ends.
func follow(root *sysroot.Root, every time.Duration, refresh func() error, stderr io.Writer) int {
	w := watch.New(chroot.LookupFiles()...)
	defer w.Close()
	for {
		err := refresh()
		if err != nil {
			fmt.Fprintln(stderr, "configure-instance: cannot refresh the chroots:", err)
		}
		for tried, changed := time.Now(), false; !changed; {
			changed = w.Wait(every) || err != nil && time.Since(tried) > refreshAgain
			if !ours(root) { // not before the wait: the path unit starts this anew as long as systemd has not read that it is gone
				return 0
			}
		}
	}
}

// ours tells whether the layer is there that this watch belongs to.
func ours(root *sysroot.Root) bool {
	for _, dir := range []string{paths.Units, paths.OldUnits} {
		if there, err := root.Exists(path.Join(dir, paths.WatchUnit)); there || err != nil {
			return true
		}
	}
	return false
}

// refresh is one run.
func refresh(stdout, stderr io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), refreshLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, paths.ConfigureInstance, "--resolver")
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = time.Second
	return cmd.Run()
}
