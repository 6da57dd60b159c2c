package chroot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// neverChrooted are the programs that never run chrooted: they run other programs, deliver to users' mailboxes, open tables for the
// others, or write the log. qmgr(8) is among them because Debian's master.cf has it so.
var neverChrooted = strings.Fields("local pipe proxymap spawn virtual postlogd qmgr nqmgr oqmgr")

// Switch moves the services of one instance into the chroot or out of it.
type Switch struct {
	Instance instance.Instance
	Services []string // that change, as name/type
	Diff     string   // of master.cf, unified

	deps   Deps
	on     bool
	name   string        // of master.cf
	seen   *sysroot.Seen // what it was worked out from
	data   []byte        // the new text
	plan   *Plan         // of the chroot as it will be
	reload bool          // an interrupted run has not told the daemons
}

// NewSwitch reads master.cf and works out its new text. On concerns Postfix's own programs but those in neverChrooted, off every service.
// A service that is where it should be is left alone, whether its column says so or the default does (#995129): so "-" becomes "y"
// only where it means n.
func NewSwitch(d Deps, inst instance.Instance, on bool) (*Switch, error) {
	d = d.complete()
	if err := CheckQueue(d, inst); err != nil {
		return nil, err
	}
	s := &Switch{Instance: inst, deps: d, on: on, name: path.Join(inst.ConfigDir, "master.cf")}
	conf, err := readConfig(d.Root, inst, nil)
	if err != nil {
		return nil, err
	}
	level, err := conf.value("compatibility_level")
	if err != nil {
		return nil, err
	}
	old, err := d.Root.ReadFile(s.name)
	if err != nil {
		return nil, fmt.Errorf("cannot read configuration: %w", err)
	}
	master, err := mastercf.Parse(old)
	if err != nil {
		return nil, fmt.Errorf("cannot parse %q: %w", s.name, err)
	}
	for _, service := range master.Services() {
		may := slices.Contains(ownPrograms, service.Command) && !slices.Contains(neverChrooted, service.Command)
		if service.Chrooted(level) == on || on && !may {
			continue
		}
		if _, err := master.SetChroot(service.Name, service.Type, on); err != nil {
			return nil, err
		}
		s.Services = append(s.Services, service.Name+"/"+service.Type)
	}
	s.seen, s.data = &sysroot.Seen{Data: old}, old
	if len(s.Services) > 0 {
		s.data = master.Bytes()
	}
	s.Diff = maincf.Diff(s.name, old, s.data, conf.main.Bytes())
	if s.reload, err = d.Root.Exists(s.marker()); err != nil {
		return nil, err
	}
	if s.plan, err = newPlan(d, inst, s.data); err != nil {
		return nil, err
	}
	if !on {
		s.plan = clearing(d, inst)
	}
	return s, nil
}

// marker is there from before master.cf changes until the daemons know of it.
func (s *Switch) marker() string { return path.Join(paths.ChrootSwitch, stateName(s.Instance)) }

// Check says what Apply would do in the queue directory.
func (s *Switch) Check() (Result, error) { return s.plan.Check() }

// Apply fills the chroot before the daemons enter it, or clears it of what is ours after they have left. reload makes a running
// instance read master.cf; a stopped one stays stopped. If somebody else has changed master.cf since it was read, all is worked out anew,
// Services and Diff too.
func (s *Switch) Apply(ctx context.Context, reload func(context.Context, instance.Instance) error) (res Result, err error) {
	const tries = 4
	var filled []string
	for n := 1; ; n++ {
		res, err = s.apply(ctx, reload)
		filled = append(filled, res.Changed...)
		slices.Sort(filled)
		filled = slices.Compact(filled)
		res.Changed = filled
		if !errors.Is(err, sysroot.ErrChanged) || n == tries || ctx.Err() != nil {
			return res, err
		}
		anew, err := NewSwitch(s.deps, s.Instance, s.on)
		if err != nil {
			return res, err
		}
		*s = *anew
	}
}

func (s *Switch) apply(ctx context.Context, reload func(context.Context, instance.Instance) error) (Result, error) {
	var res Result
	for _, name := range []string{s.name, s.marker()} { // what a run that was killed left
		if _, err := s.deps.Root.SweepTemp(name); err != nil {
			return res, err
		}
	}
	if s.on {
		var err error
		if res, err = s.plan.Apply(); err != nil {
			return res, err
		}
		if len(res.Undone) > 0 && len(s.Services) > 0 {
			return res, fmt.Errorf("cannot move services of instance %s into a chroot that could not be filled", s.Instance.Name)
		}
	}
	if err := s.write(); err != nil {
		return res, err
	}
	if s.reload {
		if err := reload(ctx, s.Instance); err != nil {
			return res, fmt.Errorf("cannot reload instance %s, which still runs as before: %w", s.Instance.Name, err)
		}
		if _, err := s.deps.Root.Remove(s.marker()); err != nil {
			return res, err
		}
	}
	if !s.on {
		return s.plan.Apply()
	}
	return res, nil
}

// write replaces master.cf, noting before that the daemons have to hear of it. Where nothing changes it only makes sure of that: a service
// that was moved into the chroot meanwhile must not lose its files.
func (s *Switch) write() error {
	attr := sysroot.Attr{UID: os.Geteuid(), GID: os.Getegid()}
	master := attr
	master.Seen, master.Settled = s.seen, true
	if len(s.Services) == 0 {
		_, err := s.deps.Root.WriteFile(s.name, s.data, master)
		return err
	}
	if err := makeDir(s.deps.Root, paths.ChrootSwitch, attr); err != nil {
		return err
	}
	if _, err := s.deps.Root.WriteFile(s.marker(), nil, attr); err != nil {
		return err
	}
	s.reload = true
	s.deps.Logf("writing %s", s.name)
	_, err := s.deps.Root.WriteFile(s.name, s.data, master)
	return err
}

// clearing is the plan of a chroot that holds nothing of ours, whatever the configuration says.
func clearing(d Deps, inst instance.Instance) *Plan { return &Plan{Instance: inst, deps: d.complete()} }

// Clear takes out of an instance's queue directory what we put there. It needs no configuration that can be read.
func Clear(d Deps, inst instance.Instance) (Result, error) { return clearing(d, inst).Apply() }

// Status is where the services of an instance run.
type Status struct {
	Chrooted, Outside []string // as name/type, in the order of master.cf
	Synced            bool     // false where SYNC_CHROOT in /etc/default/postfix is empty
}

// NewStatus reads it from the instance's configuration.
func NewStatus(d Deps, inst instance.Instance) (Status, error) {
	var st Status
	conf, err := readConfig(d.Root, inst, nil)
	if err != nil {
		return st, err
	}
	set, _ := readSettings(d.Root, inst)
	st.Synced = set.sync
	for _, s := range conf.services {
		list := &st.Outside
		if slices.ContainsFunc(conf.chrooted, func(c mastercf.Service) bool { return c.Line == s.Line }) {
			list = &st.Chrooted
		}
		*list = append(*list, s.Name+"/"+s.Type)
	}
	return st, nil
}
