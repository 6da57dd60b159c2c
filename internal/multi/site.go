package multi

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/paths"
)

// config is an instance with its configuration.
type config struct {
	instance.Instance
	main   *maincf.File
	master *mastercf.File
	listed bool // the primary one, or in multi_instance_directories
}

// site is all that the host has of instances.
type site struct {
	primary *maincf.File
	dirs    []string // multi_instance_directories, as written
	insts   []*config
	listed  []instance.Instance // those on the list, also without a usable master.cf
	broken  []error
	names   names
	heard   map[*config]listening // what was worked out already
}

// listening is where an instance listens, or why that cannot be told.
type listening struct {
	on  []endpoint
	err error
}

// listens is config.listens, worked out once: with hundreds of instances each is compared with each.
func (s *site) listens(c *config) ([]endpoint, error) {
	l, known := s.heard[c]
	if !known {
		l.on, l.err = c.listens(s.names)
		if s.heard == nil {
			s.heard = map[*config]listening{}
		}
		s.heard[c] = l
	}
	return l.on, l.err
}

// mainOf and masterOf name an instance's two files.
func mainOf(dir string) string   { return path.Join(dir, path.Base(paths.MainCF)) }
func masterOf(dir string) string { return path.Join(dir, path.Base(paths.MasterCF)) }

func (h *Host) readConfig(inst instance.Instance, listed bool) (*config, error) {
	c := &config{Instance: inst, listed: listed}
	data, err := h.Root.ReadFile(mainOf(inst.ConfigDir))
	if err != nil {
		return nil, fmt.Errorf("cannot read configuration of instance %q: %w", inst.Name, err)
	}
	if c.main, err = maincf.Parse(data); err != nil {
		return nil, fmt.Errorf("cannot parse %q: %w", mainOf(inst.ConfigDir), err)
	}
	if data, err = h.Root.ReadFile(masterOf(inst.ConfigDir)); err != nil {
		return nil, fmt.Errorf("cannot read configuration of instance %q: %w", inst.Name, err)
	}
	if c.master, err = mastercf.Parse(data); err != nil {
		return nil, fmt.Errorf("cannot parse %q: %w", masterOf(inst.ConfigDir), err)
	}
	return c, nil
}

// value is a parameter of the instance, "" where it cannot be worked out.
func (c *config) value(name string) string {
	v, err := instance.Value(c.main, c.ConfigDir, name)
	if err != nil {
		return ""
	}
	return v
}

// readSite reads everything; what is broken comes back beside what is not.
func (h *Host) readSite() (*site, error) {
	s := &site{}
	data, err := h.Root.ReadFile(paths.MainCF)
	if err != nil {
		return nil, fmt.Errorf("cannot read the primary instance's configuration: %w", err)
	}
	if s.primary, err = maincf.Parse(data); err != nil {
		return nil, fmt.Errorf("cannot parse %q: %w", paths.MainCF, err)
	}
	list, err := instance.Value(s.primary, paths.ConfigDir, "multi_instance_directories")
	if err != nil {
		return nil, err
	}
	s.dirs = words(list)
	insts, errs := instance.List(h.Root)
	s.listed, s.broken = insts, errs
	known := map[string]bool{}
	for _, inst := range insts {
		s.load(h, inst, true)
		for _, unit := range append(inst.Aliases(), inst.Unit()) {
			known[part(unit)] = true
		}
	}
	// Debian 13 runs /etc/postfix-NAME as postfix@NAME without an entry in the list.
	for _, part := range h.enabledParts() {
		if known[part] {
			continue
		}
		inst, err := instance.Find(h.Root, part)
		if err == nil && !slices.ContainsFunc(s.insts, func(c *config) bool { return c.ConfigDir == inst.ConfigDir }) && !s.lists(inst.ConfigDir) {
			inst.Enabled = true
			s.load(h, inst, false)
		}
	}
	var text [2][]byte
	for i, name := range []string{paths.Hosts, paths.Services} {
		if text[i], err = h.Root.ReadFile(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("cannot read %q: %w", name, err)
		}
	}
	s.names = parseNames(text[0], text[1])
	return s, nil
}

func (s *site) load(h *Host, inst instance.Instance, listed bool) {
	c, err := h.readConfig(inst, listed)
	if err != nil {
		s.broken = append(s.broken, err)
		return
	}
	s.insts = append(s.insts, c)
}

// lists tells whether dir is in multi_instance_directories.
func (s *site) lists(dir string) bool {
	return slices.ContainsFunc(s.dirs, func(d string) bool { return path.Clean(d) == dir })
}

// find returns the instance that a person means: its name, its unit's, or its configuration directory.
func (s *site) find(h *Host, name string) (*config, error) {
	var inst instance.Instance
	var err error
	if path.IsAbs(name) {
		inst, err = instance.ByConfigDir(h.Root, path.Clean(name))
	} else {
		inst, err = instance.Find(h.Root, name)
	}
	if err != nil {
		return nil, err
	}
	for _, c := range s.insts {
		if c.ConfigDir == inst.ConfigDir {
			return c, nil
		}
	}
	return h.readConfig(inst, s.lists(inst.ConfigDir))
}

// conflicts says where c would listen on what another enabled instance listens on.
func (s *site) conflicts(c *config) (found []string, err error) {
	mine, err := s.listens(c)
	if err != nil {
		return nil, fmt.Errorf("cannot tell where instance %q listens: %w", c.Name, err)
	}
	for _, other := range s.insts {
		if !other.Enabled || other.ConfigDir == c.ConfigDir {
			continue
		}
		theirs, err := s.listens(other)
		if err != nil {
			continue // said where that instance itself is looked at
		}
		for _, m := range mine {
			for _, t := range theirs {
				if m.overlaps(t) {
					found = append(found, fmt.Sprintf("its service %s (%s) meets service %s (%s) of instance %s", m.service, m.written(), t.service, t.written(), other.Name))
				}
			}
		}
	}
	return found, nil
}

// mustNotMeet is the check before a start.
func (h *Host) mustNotMeet(s *site, c *config) error {
	found, err := s.conflicts(c)
	if err != nil {
		h.warn("%v; conflicts with other instances are not looked for", err)
		return nil
	}
	if len(found) > 0 {
		return fmt.Errorf("cannot start instance %q: %s", c.Name, strings.Join(found, "; "))
	}
	return nil
}

// own makes sure that none of the instance's directories is another one's as well.
func (s *site) own(inst instance.Instance) error {
	dirs := map[string]string{"configuration": inst.ConfigDir, "queue": inst.QueueDir, "data": inst.DataDir}
	for _, c := range s.insts {
		if c.ConfigDir == inst.ConfigDir {
			continue
		}
		for _, what := range []string{"configuration", "queue", "data"} {
			if slices.Contains([]string{c.ConfigDir, c.QueueDir, c.DataDir}, dirs[what]) {
				return fmt.Errorf("its %s directory %q belongs to instance %q", what, dirs[what], c.Name)
			}
		}
	}
	return nil
}
