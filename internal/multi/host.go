package multi

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/systemd"
)

// Host is the running system, whose instances are managed, and what acts on it. Its methods are the commands.
type Host struct {
	Root *sysroot.Root
	// Run runs programs with MAIL_CONFIG set to the primary instance: postmulti(1) refuses any other.
	Run interface {
		Output(ctx context.Context, name string, args ...string) ([]byte, error)
		OnTerminal(ctx context.Context, name string, args ...string) error
	}
	Systemd manager // nil where systemd does not run the system
	Sockets Sockets // nil where no syslog daemon takes another socket
	// Allowed asks the local policy (policy-rc.d) whether an action with a service may be done.
	Allowed func(ctx context.Context, service, action string) (bool, error)
	// Runs tells whether an instance's master runs, whoever started it. "postfix status" would say no for any trouble with main.cf, such
	// as an address in inet_interfaces that is not up.
	Runs   func(instance.Instance) bool
	DryRun bool
	// Until, where it is set, is for a caller who has no time: List looks into no chroot after that, and counts no messages.
	Until time.Time
	Show  func(Change) // hears of each change before it is made
	Warn  func(string)
}

// manager is systemd.
type manager interface {
	Reload(ctx context.Context) error
	Start(ctx context.Context, unit string) error
	Stop(ctx context.Context, unit string) error
	State(ctx context.Context, unit string) (systemd.State, error)
	States(ctx context.Context, pattern string) (map[string]string, error)
	Enable(ctx context.Context, unit string) error
	Disable(ctx context.Context, unit string) error
	ResetFailed(ctx context.Context, unit string) error
}

// Sockets makes the syslog daemon listen inside an instance's chroot.
type Sockets interface {
	Due(inst instance.Instance) (bool, error) // whether Provide would do anything
	Provide(ctx context.Context, inst instance.Instance) error
	Withdraw(ctx context.Context, inst instance.Instance) error
}

// Change is one thing that a command does.
type Change struct {
	What string // one line
	Diff string // unified diff, for files that are there already

	Inner bool // only we need to know of it

	do func(context.Context) error
}

// plan is what a command does. failed, where it is set, hears of the first change that fails, and returns the error to report.
type plan struct {
	changes []Change
	failed  func(ctx context.Context, err error) error
}

func (p *plan) add(what string, do func(context.Context) error) {
	p.changes = append(p.changes, Change{What: what, do: do})
}

// addInner adds a step that nobody reads of.
func (p *plan) addInner(what string, do func(context.Context) error) {
	p.changes = append(p.changes, Change{What: what, do: do, Inner: true})
}

// programLimit bounds each program. It is not ended earlier, not even by an interrupt: what postmulti(1) leaves undone in
// the middle nobody knows.
const programLimit = 3 * time.Minute

// program runs a program to its end.
func (h *Host) program(ctx context.Context, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), programLimit)
	defer cancel()
	_, err := h.Run.Output(ctx, name, args...)
	return err
}

// command runs one command: what an earlier one left behind is put in order, then the command is planned and done. mends
// tells whether that has already done what this command is for.
func (h *Host) command(ctx context.Context, purge bool, mends func(*journal) bool, decide func() (*plan, error)) error {
	if !h.DryRun {
		unlock, err := h.lock()
		if err != nil {
			return err
		}
		defer unlock()
	}
	j, err := h.loadJournal()
	if err != nil {
		err = h.setAside(err)
	}
	if err == nil && j != nil {
		done := mends(j)
		j.Purge = j.Purge || done && purge // nobody asked for another instance's mail to go
		err = h.apply(ctx, h.mend(j))
		if done && !errors.Is(err, errEdited) || h.DryRun { // an edited one is an instance like others from here on
			return err
		}
		if err != nil && ctx.Err() == nil { // whatever it was about must not stand in the way of this one
			err = h.setAside(err)
		}
	}
	if err != nil {
		return err
	}
	p, err := decide()
	if err != nil {
		return err
	}
	return h.apply(ctx, p)
}

func (h *Host) apply(ctx context.Context, p *plan) error {
	for _, c := range p.changes {
		h.Show(c)
		if h.DryRun {
			continue
		}
		err := ctx.Err()
		if err == nil {
			err = c.do(ctx)
		}
		if err != nil && p.failed != nil {
			return p.failed(context.WithoutCancel(ctx), err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *Host) warn(format string, args ...any) { h.Warn(fmt.Sprintf(format, args...)) }

// lockWait is how long a command waits for another one.
const lockWait = 30 * time.Second

// lock keeps other commands away. The descriptor is not close-on-exec: while a program lives that we started, so does the lock.
func (h *Host) lock() (unlock func(), err error) {
	fail := func(err error) (func(), error) {
		return nil, fmt.Errorf("cannot lock %q: %w", paths.InstanceState, err)
	}
	if _, err := h.Root.SweepTemp(paths.InstanceState); err != nil {
		return nil, err
	}
	if _, err := h.Root.MkdirAll(paths.InstanceState, sysroot.Attr{Mode: 0o700}); err != nil {
		return nil, err
	}
	real, err := h.Root.Resolve(paths.InstanceState)
	if err != nil {
		return fail(err)
	}
	fd, err := unix.Open(real, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return fail(err)
	}
	for end := time.Now().Add(lockWait); ; time.Sleep(50 * time.Millisecond) {
		err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { unix.Close(fd) }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(end) {
			unix.Close(fd)
			if errors.Is(err, unix.EWOULDBLOCK) {
				err = errors.New("another command makes or removes an instance")
			}
			return fail(err)
		}
	}
}
