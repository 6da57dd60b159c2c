package main

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/procs"
	"postfix-maint/internal/sysroot"
)

// search looks for masters that run outside of their units. Its functions are the system's.
type search struct {
	table      func() string // a line for each instance, its unit and its queue directory
	master     func(queue string) int
	supervised func(pid int) bool
	start      func(unit string) error
	wait       func(time.Duration)
}

// newSearch is a search of the running system.
func newSearch(root *sysroot.Root, start func(name string, args ...string) error) search {
	return search{
		table: func() string {
			text, _ := root.ReadFile(paths.InstanceTable) // none before the first daemon-reload
			return string(text)
		},
		master:     func(queue string) int { return chroot.Master(chroot.Deps{Root: root}, queue) },
		supervised: supervised,
		start:      func(unit string) error { return start(paths.Systemctl, "--no-block", "start", "--", unit) },
		wait:       time.Sleep,
	}
}

// strays starts the unit of each instance that runs outside of it, once for each process: a unit may refuse. It waits before it looks:
// what a start by hand still has to do is done first, for a unit's start ends the other Postfix. It ends when it finds no more; several may
// be started one after the other.
func (s search) strays(stderr io.Writer) {
	var seen []int
	for found := true; found; {
		found = false
		s.wait(time.Second)
		for line := range strings.Lines(s.table()) {
			unit, queue, _ := strings.Cut(strings.TrimSpace(line), " ")
			pid := s.master(queue)
			if pid == 0 || slices.Contains(seen, pid) || s.supervised(pid) {
				continue
			}
			seen, found = append(seen, pid), true
			fmt.Fprintf(stderr, "%s: started by hand, goes on as %s\n", queue, unit)
			if err := s.start(unit); err != nil {
				fmt.Fprintln(stderr, "configure-instance:", err)
			}
		}
		if found {
			s.wait(2 * time.Second)
		}
	}
}

// supervised tells whether a process is in the control group of a unit of Postfix's, or gone.
func supervised(pid int) bool {
	groups := procs.Groups(pid)
	return len(groups) == 0 || slices.ContainsFunc(groups, func(group string) bool {
		unit := path.Base(group)
		return unit == "postfix.service" || strings.HasPrefix(unit, "postfix@") && strings.HasSuffix(unit, ".service")
	})
}
