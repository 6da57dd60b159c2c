package umbrella

import (
	"slices"
	"strings"

	"postfix-maint/internal/systemd"
)

// Unit stands for all instances, Pattern matches the units of all of them.
const (
	Unit    = "postfix.service"
	Pattern = "postfix@*.service"
)

// Snapshot is what systemd says of postfix.service and of instances at one moment.
type Snapshot struct {
	Stopping  bool         // the whole system is shutting down
	Own       systemd.Unit // postfix.service
	Instances []systemd.Unit
}

// Action is what the watch does with postfix.service.
type Action string

// The actions. Restart and Start make it failed where an instance is down: its start looks at them.
const (
	Nothing Action = ""
	Wait    Action = "wait"
	Start   Action = "start"
	Restart Action = "restart"
	Stop    Action = "stop"
	Forget  Action = "reset-failed"
)

// state is that of an instance, in the words of the package comment.
type state string

const (
	off  state = "off"
	up   state = "up"
	down state = "down"
	busy state = "busy"
)

// isDown tells whether an instance has failed, or waits for the next try after a failure. What is
// stopped, masked or without configuration has not failed.
func isDown(u systemd.Unit) bool {
	return u.Active == "failed" || u.Active == "activating" && strings.HasPrefix(u.Sub, "auto-restart") // and auto-restart-queued
}

// stateOf is the state of an instance. One with a job is on its way, whatever it is now: only a
// reload leaves it where it is.
func stateOf(u systemd.Unit) state {
	switch {
	case u.Job != "" && u.Job != "reload":
		return busy
	case isDown(u):
		return down
	}
	switch u.Active {
	case "activating", "deactivating":
		return busy
	case "active", "reloading", "refreshing":
		return up
	}
	return off
}

// Renew decides what makes the state of postfix.service that of its instances, however they came to
// be in theirs: by systemctl, by "postfix stop" or a signal, by themselves. A job for
// postfix.service that is under way may have looked before the last change, or stop them all: it is
// waited for.
func (s Snapshot) Renew() Action {
	is := map[state]bool{}
	for _, u := range s.Instances {
		is[stateOf(u)] = true
	}
	own := s.Own.Active
	switch {
	case s.Stopping || len(s.Instances) == 0:
		return Nothing
	case s.Own.Sub == "running": // ours runs nothing: it is Debian 13's, which has taken our place while we looked
		return Nothing
	case s.Own.Job != "" || is[busy] || own != "active" && own != "failed" && own != "inactive":
		return Wait
	case is[down] && own == "active":
		return Restart
	case is[up] && own == "inactive", is[up] && !is[down] && own == "failed":
		return Start
	case !is[up] && !is[down] && own == "active":
		return Stop
	case !is[up] && !is[down] && own == "failed":
		return Forget
	}
	return Nothing
}

// Down names the instances that cannot be used.
func (s Snapshot) Down() (names []string) {
	for _, u := range s.Instances {
		if isDown(u) {
			names = append(names, u.Name)
		}
	}
	return names
}

// Trying tells whether an instance starts at this moment, and none is known to be down. The start
// of postfix.service comes after the jobs of its instances, so that is a try after a failure.
func (s Snapshot) Trying() bool {
	return len(s.Down()) == 0 && !s.Stopping && slices.ContainsFunc(s.Instances, func(u systemd.Unit) bool { return u.Active == "activating" })
}

// Up names the instances that run.
func (s Snapshot) Up() (names []string) {
	for _, u := range s.Instances {
		if stateOf(systemd.Unit{Active: u.Active}) == up {
			names = append(names, u.Name)
		}
	}
	return names
}

// Leaving names the instances whose stop a stop of postfix.service has to wait for. In a restart
// there are none: there they are restarts. At a shutdown systemd waits for them itself.
func (s Snapshot) Leaving() (names []string) {
	for _, u := range s.Instances {
		if u.Job == "stop" && !s.Stopping {
			names = append(names, u.Name)
		}
	}
	return names
}

// Stray is a master that runs outside of its unit.
type Stray struct {
	Unit, Queue string
	PID         int
}

// Adopt says which strays are to be taken into their units now, and whether to look again for the
// sake of the others. A job to stop goes before; a job to start takes the stray over by itself.
func (s Snapshot) Adopt(strays []Stray) (now []Stray, again bool) {
	if s.Stopping {
		return nil, false
	}
	for _, stray := range strays {
		underWay := s.Own.Job == "stop" || slices.ContainsFunc(s.Instances, func(u systemd.Unit) bool {
			return u.Name == stray.Unit && u.Job != ""
		})
		if underWay {
			again = true
		} else {
			now = append(now, stray)
		}
	}
	return now, again || len(now) > 0
}
