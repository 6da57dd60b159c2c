package multi

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/queue"
)

// Status is what "instance list" says of one instance.
type Status struct {
	Name      string       `json:"name"` // "-" is the primary one
	Unit      string       `json:"unit"`
	ConfigDir string       `json:"config_directory"`
	QueueDir  string       `json:"queue_directory"`
	DataDir   string       `json:"data_directory"`
	Group     string       `json:"group"`
	Listed    bool         `json:"listed"`  // postmulti(1) knows it
	Enabled   bool         `json:"enabled"` // started with the others
	Active    string       `json:"active"`  // systemd's word, or "running" and "stopped" where systemd does not run
	Listen    []string     `json:"listen"`  // address:port
	Queue     queue.Counts `json:"queue"`
	Chroot    Chroot       `json:"chroot"`
	Problems  []string     `json:"problems"`
}

// Chroot is the state of an instance's chroot.
type Chroot struct {
	Services int    `json:"services"` // that run chrooted
	Of       int    `json:"of"`       // all services
	State    string `json:"state"`    // "current", "stale", "off" for no chrooted service, "unknown"
	Stale    int    `json:"stale"`    // files that the next start would bring up to date
}

// List looks at all instances: those of multi_instance_directories, and those that only an enabled unit of Debian 13 knows. What
// is broken comes back beside the others.
func (h *Host) List(ctx context.Context) ([]Status, []error) {
	s, err := h.readSite()
	if err != nil {
		return nil, []error{err}
	}
	errs := s.broken
	if j, err := h.loadJournal(); err != nil {
		errs = append(errs, err)
	} else if j != nil {
		errs = append(errs, fmt.Errorf("a command that was to %s instance %q was interrupted; the next one of this kind puts that in order first",
			j.Action, j.Instance.Name))
	}
	var units map[string]string
	if h.Systemd != nil {
		if units, err = h.Systemd.States(ctx, "postfix*.service"); err != nil {
			errs = append(errs, err)
		}
	}
	d := chroot.Deps{Root: h.Root, Instances: s.listed, Shared: &chroot.Shared{}}
	for _, c := range s.insts { // what status asks for of others as well
		_, _ = s.listens(c)
	}
	all := make([]Status, len(s.insts))
	d.Shared.Together(len(all), func(n int) { all[n] = h.status(ctx, s, s.insts[n], units, d) }, func(int) {})
	return all, errs
}

// status looks at one instance; units are the states of those that systemd has in memory.
func (h *Host) status(ctx context.Context, s *site, c *config, units map[string]string, d chroot.Deps) Status {
	st := Status{
		Name: c.Name, ConfigDir: c.ConfigDir, QueueDir: c.QueueDir, DataDir: c.DataDir, Group: c.value("multi_instance_group"),
		Listed: c.listed, Enabled: c.Enabled, Listen: []string{}, Problems: []string{},
	}
	problem := func(err error) {
		if err != nil {
			st.Problems = append(st.Problems, err.Error())
		}
	}
	var err error
	st.Unit, err = h.unit(c.Instance)
	problem(err)
	st.Active = h.state(c, st.Unit, units)
	found, err := s.listens(c)
	problem(err)
	for _, e := range found {
		st.Listen = append(st.Listen, e.String())
	}
	if c.Enabled && err == nil {
		meets, err := s.conflicts(c)
		problem(err)
		st.Problems = append(st.Problems, meets...)
	}
	if h.Until.IsZero() {
		st.Queue, err = countQueue(ctx, h.Root, c.QueueDir, queueDirs)
		problem(err)
	}
	st.Chroot, err = chrootState(d, c, h.Until)
	problem(err)
	problem(s.own(c.Instance))
	return st
}

// state is "active", "inactive", "failed" and so on.
func (h *Host) state(c *config, unit string, units map[string]string) string {
	switch {
	case h.Systemd != nil && unit != "":
		return cmp.Or(units[unit], "inactive")
	case h.Runs(c.Instance):
		return "running"
	}
	return "stopped"
}

// chrootState compares a chroot with the host, unless it is later than until.
func chrootState(d chroot.Deps, c *config, until time.Time) (Chroot, error) {
	st := Chroot{State: "unknown"}
	level := c.value("compatibility_level")
	for _, service := range c.master.Services() {
		st.Of++
		if service.Chrooted(level) {
			st.Services++
		}
	}
	if st.Services == 0 {
		st.State = "off"
		return st, nil
	}
	if !until.IsZero() && time.Now().After(until) {
		return st, nil
	}
	p, err := chroot.NewPlan(d, c.Instance)
	if err != nil {
		return st, err
	}
	res, err := p.Check()
	if err != nil {
		return st, err
	}
	st.State, st.Stale = "current", len(res.Changed)+len(res.Removed)
	if st.Stale > 0 {
		st.State = "stale"
	}
	return st, nil
}
