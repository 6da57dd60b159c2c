package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"postfix-maint/internal/adopt"
	"postfix-maint/internal/run"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/systemd"
)

// handOver runs when Debian's own package is unpacked in the place of an adopted one, for whatever reason: "adopt --revert", an update
// that could not be adopted, apt by hand. What fails is a warning: the way back must stay open.
func handOver(ctx context.Context, c *call) error {
	root, stderr := c.root, c.stderr
	defer lockForScript(ctx, root, "postrm upgrade", stderr).Release()
	h := adopt.Host{Root: root, Say: func(line string) { fmt.Fprintf(stderr, "postfix-maint: %s\n", line) }}
	done, err := h.HandOver()
	if err != nil {
		warn(stderr, []string{err.Error()})
	}
	if !done {
		return nil
	}
	if root.IsHost() && systemd.Booted("/") { // else its postinst calls the init script of Debian's own
		if err := leaveUnits(ctx, root); err != nil {
			warn(stderr, []string{fmt.Sprintf("our units were not stopped: %v", err)})
		} else {
			// Nothing runs now. Debian's own layer fills the chroots anew when it starts; it would not know what to do with the rest.
			warn(stderr, clearChroots(root))
		}
	}
	syncSyslog(ctx, root, nil, stderr) // Debian's conffile names the socket again: two of one name take it from each other
	return nil
}

// leaveUnits stops the instances where our units run them, or Debian's could not start them, and has systemd read Debian's. The umbrella
// stays active: deb-systemd-invoke(1), by which Debian's postinst restarts it, leaves a stopped one alone that is disabled.
func leaveUnits(ctx context.Context, root *sysroot.Root) error {
	m, err := systemd.Dial(ctx)
	if err != nil {
		return err
	}
	defer m.Close()
	allowed, err := systemd.Allowed(ctx, run.Runner{}, "/", "postfix", "stop")
	if err != nil {
		return err
	}
	if !allowed {
		return errors.New("the local policy (policy-rc.d) forbids it")
	}
	_ = m.Stop(ctx, setup.TakeoverUnit) // first, or it would start what it sees end; it may not be there
	running, err := m.Units(ctx, "postfix@*.service")
	if err != nil {
		return err
	}
	var errs []error
	for _, unit := range running {
		if !adopt.Stays(root, unit) {
			errs = append(errs, m.Stop(ctx, unit))
		}
	}
	return errors.Join(append(errs, m.Reload(ctx))...)
}

// takeOver is the way in: this package takes the place of another version.
func takeOver(root *sysroot.Root, from string, stderr io.Writer) {
	h := adopt.Host{Root: root, Say: func(line string) { fmt.Fprintf(stderr, "postfix-maint: %s\n", line) }}
	if err := h.TakeOver(from); err != nil {
		warn(stderr, []string{err.Error()})
	}
}
