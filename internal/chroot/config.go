package chroot

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/sysroot"
)

// config is the instance's configuration as far as it decides about the chroot.
type config struct {
	inst     instance.Instance
	main     *maincf.File
	master   *mastercf.File
	services []mastercf.Service // all of master.cf
	chrooted []mastercf.Service
}

// readConfig reads main.cf and master.cf; master is the text of the latter where another one than the file's counts.
func readConfig(root *sysroot.Root, inst instance.Instance, master []byte) (*config, error) {
	c := &config{inst: inst}
	name := path.Join(inst.ConfigDir, "main.cf")
	data, err := root.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read configuration: %w", err)
	}
	if c.main, err = maincf.Parse(data); err != nil {
		return nil, fmt.Errorf("cannot parse %q: %w", name, err)
	}
	name = path.Join(inst.ConfigDir, "master.cf")
	if data = master; data == nil {
		if data, err = root.ReadFile(name); err != nil {
			return nil, fmt.Errorf("cannot read configuration: %w", err)
		}
	}
	if c.master, err = mastercf.Parse(data); err != nil {
		return nil, fmt.Errorf("cannot parse %q: %w", name, err)
	}
	compat, err := c.value("compatibility_level")
	if err != nil {
		return nil, err
	}
	c.services = c.master.Services()
	for _, s := range c.services {
		if s.Chrooted(compat) {
			c.chrooted = append(c.chrooted, s)
		}
	}
	return c, nil
}

// value is the expanded value of a parameter in main.cf.
func (c *config) value(name string) (string, error) {
	return instance.Value(c.main, c.inst.ConfigDir, name)
}

// values are the expanded values of a parameter that the chrooted services running one of the programs see: main.cf's, and
// what master.cf says with -o. Without such a service there is none. A program that is not Postfix's own may read anything.
func (c *config) values(name string, programs ...string) ([]string, error) {
	var values []string
	for _, s := range c.chrooted {
		if slices.Contains(ownPrograms, s.Command) && !slices.Contains(programs, s.Command) {
			continue
		}
		value, err := c.serviceValue(s, name)
		if err != nil {
			return values, err
		}
		if value = strings.TrimSpace(value); value != "" && !slices.Contains(values, value) {
			values = append(values, value)
		}
	}
	return values, nil
}

// serviceValue is the expanded value of a parameter that one service sees.
func (c *config) serviceValue(s mastercf.Service, name string) (string, error) {
	raw, set := s.Option(name)
	if !set {
		raw = "$" + name
	}
	value, err := instance.Expand(c.main, c.inst.ConfigDir, raw)
	if err != nil {
		return "", fmt.Errorf("cannot work out %s: %w", name, err)
	}
	return value, nil
}

// ownPrograms are Postfix's daemons, whose use of parameters is known.
var ownPrograms = strings.Fields("anvil bounce cleanup discard dnsblog error flush lmtp local nqmgr oqmgr pickup pipe postlogd " +
	"postscreen proxymap qmgr qmqpd scache showq smtp smtpd spawn tlsmgr tlsproxy trivial-rewrite verify virtual")
