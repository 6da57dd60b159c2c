package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"postfix-maint/internal/dns"
	"postfix-maint/internal/doctor"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/lock"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/status"
	"postfix-maint/internal/systemd"
	versions "postfix-maint/internal/version"
)

// blindError says that doctor could not look.
type blindError struct{ error }

func gateFlag() cli.Flag {
	return &cli.BoolFlag{Name: "gate", Usage: "only what would keep the configuration on disk from starting, or from taking and sending mail: for before a reload"}
}

// examine goes through the checks.
func examine(ctx context.Context, c *call) (*doctor.Report, error) {
	e := examination{c: c, gate: c.Bool("gate")}
	r, err := e.look(ctx)
	if err != nil {
		return nil, err
	}
	return r, verdict(r)
}

// verdict is what a report ends in.
func verdict(r *doctor.Report) error {
	switch left := len(r.Left()); {
	case left > 0:
		return findings(left)
	case len(r.Unseen) > 0:
		return blindError{fmt.Errorf("cannot look at everything: %s", strings.Join(r.Unseen, "; "))}
	}
	return nil
}

// examination gathers what other flows know.
type examination struct {
	c     *call
	gate  bool
	facts doctor.Facts
}

// look gathers the facts and goes through the checks.
func (e *examination) look(ctx context.Context) (*doctor.Report, error) {
	if os.Geteuid() != 0 {
		return nil, blindError{rootError{errors.New("only root can look at everything: \"postfix-maint status\" shows what others may see")}}
	}
	if err := e.instances(ctx); err != nil {
		return nil, blindError{err}
	}
	h := doctor.Host{Root: e.c.root, Run: run.Runner{}, Gate: e.gate}
	if e.c.Bool("online") {
		if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil { // the relay's password gets into our memory
			return nil, blindError{err}
		}
		h.Net = e.internet()
	}
	doctor.Gather(ctx, h, &e.facts)
	r := doctor.Run(&e.facts, e.gate)
	return &r, nil
}

// internet is the network as this host sees it.
func (e *examination) internet() doctor.Network {
	resolv, _ := e.c.root.ReadFile(paths.ResolvConf) // without one it is the host's own name server (resolv.conf(5))
	return doctor.Internet{Servers: dns.Servers(resolv), Try: func(ctx context.Context, inst instance.Instance) (problem, advice string, err error) {
		r, err := smarthost.Probe(ctx, smarthost.Deps{Root: e.c.root, Run: e.c.programs}, inst)
		if r == nil || err != nil {
			return "", "", err
		}
		return r.Problem, r.Advice, nil
	}}
}

// unseen notes what could not be looked at.
func (e *examination) unseen(err error) {
	if err != nil {
		e.facts.Unseen = append(e.facts.Unseen, err.Error())
	}
}

// instances fills in all of them, or the one that is named.
func (e *examination) instances(ctx context.Context) error {
	insts, errs := chosen(e.c.root, e.c.Args().Slice())
	switch {
	case len(insts) == 0 && e.c.NArg() > 0, len(insts) == 0 && errors.Is(errors.Join(errs...), fs.ErrNotExist):
		return errors.Join(errs...)
	case len(insts) == 0: // of a main.cf that nobody understands there is one thing to say
		insts = []instance.Instance{{Name: instance.Primary, ConfigDir: paths.ConfigDir, QueueDir: paths.QueueDir, DataDir: paths.DataDir, Enabled: true}}
	default:
		for _, err := range errs {
			e.facts.Unusable = append(e.facts.Unusable, err.Error())
		}
	}
	m, err := dialFor(ctx, e.c.root)
	e.unseen(err)
	if m != nil {
		defer m.Close()
	}
	seen := status.Report{Time: time.Now()}
	if err := addInstances(ctx, e.c, m, &seen); err != nil {
		e.unseen(err)
	}
	conflicts := map[string][]string{}
	for _, i := range seen.Instances {
		conflicts[i.ConfigDir] = i.Problems
	}
	seen = status.Look(ctx, status.Input{Root: e.c.root, Report: seen, NoQueues: e.gate})
	for _, inst := range insts {
		i := doctor.Instance{Instance: inst, Unit: inst.Unit()}
		for _, s := range seen.Instances {
			if s.ConfigDir == inst.ConfigDir {
				i.Enabled, i.Missing, i.Taken, i.Corrupt = s.Enabled, s.Missing, s.Taken, s.Queue.Corrupt
				i.TLS, i.Ends, i.EndsFile = s.TLS.Level, s.TLS.Ends, s.TLS.File
				i.Conflicts = conflicts[s.ConfigDir]
				i.Waiting = doctor.Waiting{
					Deferred: s.Queue.Deferred, Held: s.Queue.Hold, Oldest: s.Queue.Oldest,
					Reason: s.Queue.Reason, Reasons: s.Queue.Reasons, Deferrals: s.Queue.Deferrals,
				}
				if s.Unit != "" {
					i.Unit = s.Unit
				}
			}
		}
		e.unit(ctx, m, &i)
		e.others(ctx, &i)
		e.facts.Instances = append(e.facts.Instances, i)
	}
	e.facts.All = e.c.NArg() == 0
	e.clock(ctx, m)
	e.outdated(ctx)
	e.work()
	return nil
}

// unit asks systemd.
func (e *examination) unit(ctx context.Context, m *systemd.Manager, i *doctor.Instance) {
	if m == nil {
		return
	}
	st, err := m.State(ctx, i.Unit)
	e.unseen(err)
	i.Load, i.Active, i.NeedReload = st.Load, st.Active, st.NeedReload
	if i.Load != "" && i.Load != "not-found" {
		i.Started, err = m.Since(ctx, i.Unit, "activating") // when it left the state in which it did nothing
		e.unseen(err)
	}
}

// settling is what a service may take to set the clock right after it was started.
const settling = 15 * time.Minute

// clock asks systemd for what keeps the clock right.
func (e *examination) clock(ctx context.Context, m *systemd.Manager) {
	if m == nil || e.gate {
		return
	}
	units, err := m.Look(ctx, doctor.TimeServices...)
	e.unseen(err)
	for _, u := range units {
		if u.Active != "active" {
			continue
		}
		if since, err := m.Since(ctx, u.Name, u.Active); err == nil && !since.IsZero() && time.Since(since) > settling {
			e.facts.TimeService = u.Name
		}
	}
}

// others asks the flows of the chroot and of the relay.
func (e *examination) others(ctx context.Context, i *doctor.Instance) {
	if e.gate {
		return
	}
	var r chrootReport
	err := checkChroot(ctx, e.c, chrootDeps(ctx, e.c.root), i.Instance, &r)
	if errors.Is(err, errNotInStep) || errors.Is(err, errUnreachable) {
		i.Missed, i.Unreach = slices.Concat(r.Missing, r.Stale), r.Unreach
	}
	if i.IsPrimary() {
		files, _ := syslogDue(e.c.root)
		i.Missed = append(i.Missed, files...)
	}
	if versions.Layer(installedVersion(e.c.root)) == "" {
		i.Missed = nil // Debian's own layer fills a chroot in its own way
	}
	d := smarthost.Deps{Root: e.c.root, Run: e.c.programs}
	if st, err := smarthost.Show(ctx, d, i.Instance); err == nil {
		i.RelayNotes, i.NoLogin = st.Notes, st.WithoutLogin()
		if l := st.WrongLogin(); l != nil {
			i.RelayLogin, i.RelayCure = l.Wrong(), l.Cure()
		}
	}
}

// usual are notes about what Debian's own configuration and Postfix's prototypes, which a new instance has, say: they could be better, and
// nothing is wrong with them. check-config alone tells them.
var usual = []string{"smtp-ca-path", "server-tls", "nis-aliases"}

// outdated takes the notes of check-config over.
func (e *examination) outdated(ctx context.Context) {
	if e.gate {
		return
	}
	found, _ := checkConfigs(e.c.root, setup.Renamed(e.c.root, facts(ctx, e.c.root, "").FQDN))
	for _, n := range found {
		if slices.Contains(usual, n.Name) {
			continue
		}
		for k := range e.facts.Instances {
			if i := &e.facts.Instances[k]; i.Name == n.Instance {
				i.Outdated = append(i.Outdated, doctor.Outdated{Name: n.Name, File: n.Path, Line: n.Line, Setting: n.Setting, Reason: n.Reason, Offer: n.Offer})
			}
		}
	}
}

// work lists the journals that are there while no command is at work.
func (e *examination) work() {
	for _, name := range []string{paths.Transaction, paths.InstanceWork} {
		if there, _ := e.c.root.Exists(name); there {
			e.facts.Work = append(e.facts.Work, name)
		}
	}
	if len(e.facts.Work) == 0 || e.c.locks && !e.c.dry() { // with the lock, nobody else is at work
		return
	}
	path, err := e.c.root.Path(paths.LockFile)
	if err != nil {
		return
	}
	held, err := lock.Brief(path, 0)
	if errors.Is(err, unix.EWOULDBLOCK) { // its command is at work
		e.facts.Work = nil
	}
	held.Release()
}
