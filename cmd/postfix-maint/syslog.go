package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/run"
	"postfix-maint/internal/syslogd"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/systemd"
)

// syslogHost is what package syslogd works with. On a system that runs, daemons that run are restarted where the local policy lets us.
func syslogHost(root *sysroot.Root, say func(string)) syslogd.Host {
	h := syslogd.Host{Root: root}
	if !root.IsHost() {
		return h
	}
	r := run.Runner{}
	h.Run = func(ctx context.Context, name string, args ...string) error { return r.Run(ctx, name, args...) }
	h.Restart = func(ctx context.Context, service string) error {
		unit := service + ".service"
		restart := func() error { return r.Run(ctx, "invoke-rc.d", service, "restart") }
		if systemd.Booted("/") {
			m, err := systemd.Dial(ctx)
			if err != nil {
				return err
			}
			defer m.Close()
			if st, err := m.State(ctx, unit); err != nil || st.Active != "active" {
				return err
			}
			restart = func() error { return restartUnit(ctx, m, unit) }
		} else if r.Run(ctx, "invoke-rc.d", "--quiet", service, "status") != nil {
			return nil
		}
		allowed, err := systemd.Allowed(ctx, r, root.Dir(), unit, "restart")
		if err != nil {
			return err
		}
		if !allowed {
			say(fmt.Sprintf("the local policy (policy-rc.d) forbids to restart %s: its new sockets come with its next start", service))
			return nil
		}
		return restart()
	}
	return h
}

// restartUnit restarts a unit. Some instances made in a row are more restarts of the syslog daemon than systemd's limit of starts
// allows (StartLimitBurst= in systemd.unit(5)), which would leave it stopped: the count begins anew then, once. It begins anew after a
// restart of ours as well, which must not use up those that rsyslog's own trigger makes for a file in /etc/rsyslog.d.
func restartUnit(ctx context.Context, m *systemd.Manager, unit string) error {
	err := m.Restart(ctx, unit)
	if resetErr := m.ResetFailed(ctx, unit); err == nil || resetErr != nil {
		return err
	}
	return m.Restart(ctx, unit)
}

// chrootQueues are the queue directories of the instances with chrooted services. Where one cannot be read, or its queue directory is refused,
// it may run all the same, so what the syslog daemon was told before stays.
func chrootQueues(root *sysroot.Root) (queues []string) {
	insts, errs := instance.List(root)
	unknown := len(errs) > 0
	d := chroot.Deps{Root: root, Instances: insts, Shared: &chroot.Shared{}}
	for _, inst := range insts {
		switch st, err := chroot.NewStatus(d, inst); {
		case err != nil:
			unknown = true
		case len(st.Chrooted) == 0:
		case chroot.CheckQueue(d, inst) != nil:
			unknown = true // a slip: its daemons work elsewhere
		default:
			queues = append(queues, inst.QueueDir)
		}
	}
	if !unknown {
		return queues
	}
	for _, q := range (syslogd.Host{Root: root}).Named() {
		if !slices.Contains(queues, q) {
			queues = append(queues, q)
		}
	}
	return queues
}

// syncSyslog makes the syslog daemon listen in the chroots in the queue directories, and in no others. It says what it changes. What
// goes wrong is a warning: mail flows all the same.
func syncSyslog(ctx context.Context, root *sysroot.Root, queues []string, stderr io.Writer) {
	_, warnings := changeSyslog(ctx, root, queues, stderr)
	warn(stderr, warnings)
}

// changeSyslog is syncSyslog, and returns the files that it changes and what goes wrong.
func changeSyslog(ctx context.Context, root *sysroot.Root, queues []string, out io.Writer) (files, warnings []string) {
	say := func(text string) { warnings = append(warnings, text) }
	plan, err := syslogHost(root, say).NewPlan(queues)
	if err == nil {
		warnings = append(warnings, plan.Warnings...)
		for _, c := range plan.Changes {
			files = append(files, c.Path)
			fmt.Fprintf(out, "syslog: %s\n%s", c.Path, c.Diff)
		}
		err = plan.Apply(ctx)
	}
	if err != nil {
		say(err.Error())
	}
	return files, warnings
}

// syslogDue gives the files that syncSyslog would change, and what it cannot mend.
func syslogDue(root *sysroot.Root) (files, warnings []string) {
	plan, err := syslogd.Host{Root: root}.NewPlan(chrootQueues(root))
	if err != nil {
		return nil, []string{err.Error()}
	}
	for _, c := range plan.Changes {
		files = append(files, c.Path)
	}
	for _, socket := range plan.Silent() {
		warnings = append(warnings, fmt.Sprintf("the syslog daemon does not listen on %s as it is told to: does it run? Does AppArmor or SELinux forbid it?", socket))
	}
	return files, append(warnings, plan.Warnings...)
}

// sockets is the multi.Sockets of the system.
type sockets struct {
	root *sysroot.Root
	host syslogd.Host
}

// plan is for all instances, with or without this one.
func (s sockets) plan(inst instance.Instance, with bool) (*syslogd.Plan, error) {
	queues := slices.DeleteFunc(chrootQueues(s.root), func(q string) bool { return q == inst.QueueDir })
	if with {
		queues = append(queues, inst.QueueDir)
	}
	return s.host.NewPlan(queues)
}

// Due tells whether Provide would do anything.
func (s sockets) Due(inst instance.Instance) (bool, error) {
	p, err := s.plan(inst, true)
	return err == nil && len(p.Changes) > 0, err
}

// Provide makes the syslog daemon listen in the chroot of an instance.
func (s sockets) Provide(ctx context.Context, inst instance.Instance) error {
	p, err := s.plan(inst, true)
	if err != nil {
		return err
	}
	return p.Apply(ctx)
}

// Withdraw undoes Provide.
func (s sockets) Withdraw(ctx context.Context, inst instance.Instance) error {
	p, err := s.plan(inst, false)
	if err != nil {
		return err
	}
	return errors.Join(p.Apply(ctx), s.host.Leave(inst.QueueDir))
}
