package umbrella

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"postfix-maint/internal/procs"
)

const (
	straysLimit = 5 * time.Minute // for what starts or ends meanwhile
	settle      = time.Second     // what a start by hand still has to do is done first, for a unit's start ends the other Postfix
	takenUp     = 2 * time.Second // a unit's start by then has ended it
)

// Search looks for masters that run outside of their units. Its functions are the system's.
type Search struct {
	Host       Host
	Dial       func(ctx context.Context) (Manager, func(), error) // only called where there is a stray
	Table      func() string                                      // a line for each instance, its unit and its queue directory
	Master     func(queue string) int
	Supervised func(pid int) bool
}

// Strays starts the unit of each instance that runs outside of it, once for each process: a unit
// may refuse. It waits before it looks, and ends when it finds no more; several may be started one
// after the other.
func (s Search) Strays(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, straysLimit)
	defer cancel()
	var seen []int
	for {
		if err := s.Host.Sleep(ctx, settle); err != nil {
			return err
		}
		strays := s.find(seen)
		if len(strays) == 0 {
			return nil
		}
		if s.Host.Systemd == nil {
			m, end, err := s.Dial(ctx)
			if err != nil {
				return err
			}
			defer end()
			s.Host.Systemd = m
		}
		var again bool
		var err error
		if seen, again, err = s.take(ctx, strays, seen); err != nil || !again {
			return err
		}
		if err := s.Host.Sleep(ctx, takenUp); err != nil {
			return err
		}
	}
}

// take starts the units of those strays that can be taken now, and adds them to what was seen.
func (s Search) take(ctx context.Context, strays []Stray, seen []int) (all []int, again bool, err error) {
	snapshot, err := s.Host.look(ctx, nil, true)
	if err != nil {
		return seen, false, err
	}
	now, again := snapshot.Adopt(strays)
	for _, stray := range now {
		seen = append(seen, stray.PID)
		fmt.Fprintf(s.Host.Stderr, "%s: started by hand, goes on as %s\n", stray.Queue, stray.Unit)
		if err := s.Host.Systemd.StartUnlessStopping(ctx, stray.Unit); err != nil {
			fmt.Fprintln(s.Host.Stderr, err)
		}
	}
	return seen, again, nil
}

// find lists the strays that are none of seen.
func (s Search) find(seen []int) (strays []Stray) {
	for line := range strings.Lines(s.Table()) {
		unit, queue, _ := strings.Cut(strings.TrimSpace(line), " ")
		pid := s.Master(queue)
		if pid != 0 && !slices.Contains(seen, pid) && !s.Supervised(pid) {
			strays = append(strays, Stray{Unit: unit, Queue: queue, PID: pid})
		}
	}
	return strays
}

// Supervised tells whether a process is in the control group of a unit of Postfix's, or gone.
func Supervised(pid int) bool {
	groups := procs.Groups(pid)
	return len(groups) == 0 || slices.ContainsFunc(groups, func(group string) bool {
		unit := path.Base(group)
		return unit == Unit || strings.HasPrefix(unit, "postfix@") && strings.HasSuffix(unit, ".service")
	})
}
