package umbrella

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"postfix-maint/internal/systemd"
)

// How long is waited, and how often looked meanwhile.
const (
	startLimit  = time.Minute                    // for answers alone
	stopLimit   = 4*time.Minute + 30*time.Second // within TimeoutStopSec= of postfix.service
	watchLimit  = 10 * time.Minute               // an instance may take five to start and half a one to stop
	lookEvery   = 200 * time.Millisecond
	stopEvery   = 50 * time.Millisecond // somebody waits for it
	settleLooks = 100                   // 20 s: a start takes less than one where nothing hangs
	actions     = 3                     // of one look. Each change of an instance makes a new look: what does not follow by then has other reasons
)

// Manager is what is asked of systemd; a *systemd.Manager.
type Manager interface {
	Look(ctx context.Context, patterns ...string) ([]systemd.Unit, error)
	Wants(ctx context.Context, unit string) ([]string, error)
	ReloadResult(ctx context.Context, unit string) (string, error)
	Stopping(ctx context.Context) (bool, error)
	StartAlone(ctx context.Context, unit string) error
	StopAlone(ctx context.Context, unit string) error
	RestartAlone(ctx context.Context, unit string) error
	ResetFailed(ctx context.Context, unit string) error
	HurryStop(ctx context.Context, unit string) error
	StartUnlessStopping(ctx context.Context, unit string) error
}

// Host is what the umbrella works with.
type Host struct {
	Systemd    Manager
	Complaints func() string // why instances of the host have no unit, a line each
	Stderr     io.Writer
	Sleep      func(ctx context.Context, d time.Duration) error
}

// Do does what postfix.service or one of its helpers asks for by a word:
//
//	start   succeed if no instance that belongs to the host is down
//	reload  the same, and each one that runs has taken its new configuration
//	stop    wait for the instances that are being stopped
//	watch   bring the state of postfix.service up to date with its instances
func (h Host) Do(ctx context.Context, word string) error {
	do, known := map[string]struct {
		run   func(context.Context) error
		limit time.Duration
	}{
		"start": {h.start, startLimit}, "reload": {h.reload, startLimit}, "stop": {h.stop, stopLimit}, "watch": {h.watch, watchLimit},
	}[word]
	if !known {
		return fmt.Errorf("cannot do %q for %s: it is start, reload, stop or watch", word, Unit)
	}
	ctx, cancel := context.WithTimeout(ctx, do.limit)
	defer cancel()
	return do.run(ctx)
}

// look is the snapshot of this moment, of the instances among these units or of all.
func (h Host) look(ctx context.Context, of []string, all bool) (s Snapshot, err error) {
	units, err := h.Systemd.Look(ctx, Unit, Pattern)
	if err != nil {
		return s, err
	}
	for _, u := range units {
		if u.Name == Unit {
			s.Own = u
		} else if all || slices.Contains(of, u.Name) {
			s.Instances = append(s.Instances, u)
		}
	}
	s.Stopping, err = h.Systemd.Stopping(ctx)
	return s, err
}

// own is a snapshot of the instances that belong to the host.
func (h Host) own(ctx context.Context) (s Snapshot, err error) {
	of, err := h.Systemd.Wants(ctx, Unit)
	if err != nil {
		return s, err
	}
	return h.look(ctx, of, false)
}

// start names the instances that cannot be used, so that they are in the journal also where no
// kernel log is, in a container.
func (h Host) start(ctx context.Context) error {
	fmt.Fprint(h.Stderr, h.Complaints())
	s, err := h.settled(ctx)
	if err != nil {
		return err
	}
	return report("does not run", s.Down())
}

// settled is own once no instance is at a try that systemd makes after a failure: a look in the
// middle of one sees neither the failure nor that it fails again. A try that takes longer than all
// the looks is left to the watch.
func (h Host) settled(ctx context.Context) (s Snapshot, err error) {
	for range settleLooks {
		if s, err = h.own(ctx); err != nil || !s.Trying() {
			break
		}
		if err := h.Sleep(ctx, lookEvery); err != nil {
			return s, fmt.Errorf("cannot wait for the start of an instance: %w", err)
		}
	}
	return s, err
}

func (h Host) reload(ctx context.Context) error {
	s, err := h.settled(ctx)
	if err == nil {
		err = report("does not run", s.Down())
	}
	if err != nil {
		return err
	}
	var stale []string
	for _, name := range s.Up() {
		result, err := h.Systemd.ReloadResult(ctx, name)
		if err != nil {
			return err
		}
		if result != "success" {
			stale = append(stale, name)
		}
	}
	return report("kept its old configuration", stale)
}

func report(what string, units []string) error {
	var errs []error
	for _, unit := range units {
		errs = append(errs, fmt.Errorf("%s %s; see \"systemctl status %s\"", unit, what, unit))
	}
	return errors.Join(errs...)
}

// stop waits for the instances: their own stop jobs come after ours, so "systemctl stop postfix"
// would return too early. So they are hurried.
func (h Host) stop(ctx context.Context) error {
	var hurried []string
	for {
		s, err := h.look(ctx, nil, true)
		leaving := s.Leaving()
		if err != nil || len(leaving) == 0 {
			return err
		}
		for _, name := range leaving {
			if slices.Contains(hurried, name) {
				continue
			}
			hurried = append(hurried, name)
			if err := h.Systemd.HurryStop(ctx, name); err != nil {
				fmt.Fprintln(h.Stderr, err)
			}
		}
		if err := h.Sleep(ctx, stopEvery); err != nil {
			return fmt.Errorf("cannot wait for %q: %w", leaving, err)
		}
	}
}

// watch acts until there is nothing to do. Where it has waited long enough it ends without an
// error: what it waits for makes a new look.
func (h Host) watch(ctx context.Context) error {
	of, err := h.Systemd.Wants(ctx, Unit)
	for done := 0; err == nil; {
		var s Snapshot
		if s, err = h.look(ctx, of, false); err != nil {
			break
		}
		switch action := s.Renew(); {
		case action == Nothing:
			return nil
		case action == Wait:
			err = h.Sleep(ctx, lookEvery)
		case done == actions:
			return fmt.Errorf("%s does not become what its instances are; see \"systemctl status %s\"", Unit, Unit)
		default:
			done++
			err = h.act(ctx, action)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		fmt.Fprintf(h.Stderr, "%s is not up to date: what starts or ends has taken more than %v\n", Unit, watchLimit)
		return nil
	}
	return err
}

// act does it without dependencies: the instances must not notice. The job of a start that finds
// one down fails, as it should, and one that somebody else has replaced is looked at again.
func (h Host) act(ctx context.Context, action Action) error {
	var err error
	switch action {
	case Start:
		err = h.Systemd.StartAlone(ctx, Unit)
	case Restart:
		err = h.Systemd.RestartAlone(ctx, Unit)
	case Stop:
		err = h.Systemd.StopAlone(ctx, Unit)
	case Forget:
		err = h.Systemd.ResetFailed(ctx, Unit)
	}
	if errors.As(err, new(*systemd.JobError)) {
		return nil
	}
	return err
}
