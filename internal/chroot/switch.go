package chroot

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/transaction"
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
	reload bool          // the daemons have not been told, by this run or one that was interrupted
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
	if s.Services, err = Move(master, level, on); err != nil {
		return nil, err
	}
	s.seen, s.data = &sysroot.Seen{Data: old}, old
	if len(s.Services) > 0 {
		s.data = master.Bytes()
	}
	s.Diff = maincf.Diff(s.name, old, s.data, conf.main.Bytes())
	if s.reload, err = s.due().Is(inst.Unit()); err != nil {
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

// Move sets the column of each service that changes, see NewSwitch, and gives those as name/type; level is compatibility_level.
func Move(master *mastercf.File, level string, on bool) (moved []string, err error) {
	for _, service := range master.Services() {
		may := slices.Contains(ownPrograms, service.Command) && !slices.Contains(neverChrooted, service.Command)
		if service.Chrooted(level) == on || on && !may {
			continue
		}
		if _, err := master.SetChroot(service.Name, service.Type, on); err != nil {
			return nil, err
		}
		moved = append(moved, service.Name+"/"+service.Type)
	}
	return moved, nil
}

// due is there from before master.cf changes until the daemons know of it.
func (s *Switch) due() transaction.Due {
	return transaction.Due{Root: s.deps.Root, Dir: paths.ReloadDue}
}

// Check says what Apply would do in the queue directory.
func (s *Switch) Check() (Result, error) { return s.plan.Check() }

// Apply fills the chroot before the daemons enter it, or clears it of what is ours after they have left. reload makes a running
// instance read master.cf; a stopped one stays stopped. If somebody else has changed master.cf since it was read, all is worked out anew,
// Services and Diff too.
func (s *Switch) Apply(ctx context.Context, reload func(context.Context, instance.Instance) error) (res Result, err error) {
	var filled []string
	tried := false
	err = transaction.One(s.deps.Root, func() (_ *transaction.File, err error) {
		if tried {
			anew, err := NewSwitch(s.deps, s.Instance, s.on)
			if err != nil {
				return nil, err
			}
			*s = *anew
		}
		tried = true
		if s.on {
			res, err = s.fill()
			filled = append(filled, res.Changed...)
			slices.Sort(filled)
			filled = slices.Compact(filled)
			res.Changed = filled
		}
		if err == nil {
			err = s.mark()
		}
		// A text that stays is held against the file all the same: what was moved into the chroot meanwhile must not lose its files.
		return &transaction.File{Path: s.name, Seen: s.seen, New: s.data, Attr: sysroot.Attr{Settled: true}}, err
	})
	if err == nil && s.reload {
		if err = reload(ctx, s.Instance); err != nil {
			err = fmt.Errorf("cannot reload instance %s, which still runs as before: %w", s.Instance.Name, err)
		} else {
			err = s.due().Done(s.Instance.Unit())
		}
	}
	if err == nil && !s.on {
		return s.plan.Apply()
	}
	return res, err
}

// fill fills the chroot that services are about to enter.
func (s *Switch) fill() (Result, error) {
	res, err := s.plan.Apply()
	if err == nil && len(res.Undone) > 0 && len(s.Services) > 0 {
		err = fmt.Errorf("cannot move services of instance %s into a chroot that could not be filled", s.Instance.Name)
	}
	return res, err
}

// mark notes that the daemons have to hear of the master.cf that is about to come, if one is.
func (s *Switch) mark() error {
	if len(s.Services) == 0 {
		return nil
	}
	err := s.due().Set(s.Instance.Unit(), "the switch of the chroot")
	s.reload = s.reload || err == nil
	s.deps.Logf("writing %s", s.name)
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
	Endpoints         []Endpoint
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
	for _, e := range (&Plan{Instance: inst, deps: d}).endpoints(conf, d.Root.ReadFile) {
		st.Endpoints = append(st.Endpoints, Endpoint{Endpoint: e})
	}
	return st, nil
}
