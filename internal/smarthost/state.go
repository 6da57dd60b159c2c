package smarthost

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// state is what undoes our settings. It is written before main.cf is, with what holds before and after that, so that it is
// right wherever the run ends; the last write leaves what holds after. Lists of tables may hold secrets of the administrator's
// (static:USER:PASSWORD), so of them only our own element is noted.
type state struct {
	Options Options             `json:"options"`           // of the last set
	Params  map[string]override `json:"params,omitempty"`  // by parameter
	Added   map[string][]string `json:"added,omitempty"`   // by list parameter: our element
	NewList []string            `json:"newlist,omitempty"` // list parameters that main.cf did not have
	Root    *override           `json:"root,omitempty"`    // root's alias, its values divided by ", "
	// AliasMaps is the lasting value of alias_maps while main.cf names the staged alias table.
	AliasMaps *string `json:"aliasmaps,omitempty"`
	Reload    bool    `json:"reload,omitempty"` // main.cf may have changed without the daemon's knowledge

	found bool
}

// override is a setting that we changed.
type override struct {
	Was *string  `json:"was"` // nil: it was not there
	Is  []string `json:"is"`  // what we made of it; two values while a change is being made
}

// ours tells whether a value is one of those that we wrote.
func (o override) ours(value string, there bool) bool { return there && slices.Contains(o.Is, value) }

func statePath(inst instance.Instance) string {
	return paths.SmarthostState + "/" + strings.TrimSuffix(inst.Unit(), ".service") + ".json"
}

// loadState reads the state, an empty one where nothing was ever set.
func loadState(root *sysroot.Root, inst instance.Instance) (state, error) {
	var s state
	name := statePath(inst)
	there, err := root.Exists(name)
	if err != nil || !there {
		return s, err
	}
	data, err := root.ReadFile(name)
	if err != nil {
		return s, fmt.Errorf("cannot read %q: %w", name, err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("cannot understand %q (move it away to take the configuration of now for the former one): %w", name, err)
	}
	s.found = true
	return s, nil
}

func (s state) bytes() ([]byte, error) {
	data, err := json.MarshalIndent(s, "", "\t")
	return append(data, '\n'), err
}

func (s state) save(root *sysroot.Root, inst instance.Instance) error {
	data, err := s.bytes()
	if err != nil {
		return fmt.Errorf("cannot write %q: %w", statePath(inst), err)
	}
	if _, err := root.MkdirAll(paths.SmarthostState, sysroot.Attr{Mode: 0o700}); err != nil {
		return err
	}
	_, err = root.WriteFile(statePath(inst), data, sysroot.Attr{Mode: 0o600})
	return err
}

// between is the state while the change from old to s is made: true before main.cf's rename and after it.
func (s state) between(old state) state {
	b := s
	b.Reload = true
	b.Params, b.Added = map[string]override{}, map[string][]string{}
	for _, from := range []state{old, s} {
		for name, o := range from.Params {
			b.Params[name] = override{Was: o.Was, Is: union(b.Params[name].Is, o.Is)}
		}
		for name, elements := range from.Added {
			b.Added[name] = union(b.Added[name], elements)
		}
	}
	b.NewList = union(old.NewList, s.NewList)
	switch {
	case s.Root == nil:
		b.Root = old.Root
	case old.Root != nil:
		b.Root = &override{Was: s.Root.Was, Is: union(old.Root.Is, s.Root.Is)}
	}
	return b
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, v := range b {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// Last gives the options of the last "set" of an instance, without the password; false where there was none.
func Last(root *sysroot.Root, inst instance.Instance) (Options, bool, error) {
	s, err := loadState(root, inst)
	return s.Options, s.found, err
}
