package smarthost

import (
	"slices"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/note"
)

// state is what undoes our settings. It changes in one transaction with main.cf. Lists of tables may hold secrets of the administrator's
// (static:USER:PASSWORD), so of them only our own element is noted.
type state struct {
	Options Options `json:"options"` // of the last set; without a relay there was none, or it was taken back
	layer
	Root    *override `json:"root,omitempty"`    // root's alias, its values divided by ", "
	Senders *senders  `json:"senders,omitempty"` // the accounts of single senders

	found   bool
	damaged bool // the file is there, but cannot be understood: the configuration of now counts as the former one
}

// layer undoes a part of our settings in main.cf. That of the senders lies on that of the relay: it is put in last, and taken out first.
type layer struct {
	Params  map[string]override `json:"params,omitempty"`  // by parameter
	Added   map[string][]string `json:"added,omitempty"`   // by list parameter: our element
	NewList []string            `json:"newlist,omitempty"` // list parameters that main.cf did not have
}

// senders are the accounts of single senders, and what undoes them.
type senders struct {
	Accounts []Account `json:"accounts"`
	layer
	Services []string `json:"services,omitempty"` // that we added to master.cf
	Idle     []string `json:"idle,omitempty"`     // tables with lines of an administrator's that main.cf did not name before us
}

// relayed tells whether a relay for all mail was set.
func (s state) relayed() bool { return s.Options.Relay != "" }

// accounts are those of single senders.
func (s state) accounts() []Account {
	if s.Senders == nil {
		return nil
	}
	return s.Senders.Accounts
}

// ports are those of the logins by OAuth 2.0: for all mail, and for these accounts.
func (s state) ports(accounts []Account) (ports []int) {
	if s.Options.OAuth != nil {
		ports = append(ports, s.Options.OAuth.Port)
	}
	for _, a := range accounts {
		if a.OAuth != nil {
			ports = append(ports, a.OAuth.Port)
		}
	}
	return ports
}

// upper is the layer of the senders.
func (s state) upper() layer {
	if s.Senders == nil {
		return layer{}
	}
	return s.Senders.layer
}

// override is a setting that we changed.
type override struct {
	Was *string  `json:"was"` // nil: it was not there
	Is  []string `json:"is"`  // what we made of it; two values where a former release was killed
}

// ours tells whether a value is one of those that we wrote.
func (o override) ours(value string, there bool) bool { return there && slices.Contains(o.Is, value) }

func statePath(inst instance.Instance) string {
	return paths.SmarthostState + "/" + strings.TrimSuffix(inst.Unit(), ".service") + ".json"
}

// loadState reads the state, an empty one where nothing was ever set.
func loadState(root *sysroot.Root, inst instance.Instance) state {
	var s state
	there, damaged := note.Load(root, statePath(inst), &s, nil)
	if damaged != nil { // a directory in its place, say: the packages are to be configured all the same
		return state{damaged: true}
	}
	s.found = there
	return s
}

// setAside moves a state that cannot be understood out of the way.
func setAside(root *sysroot.Root, inst instance.Instance) (err error) {
	if loadState(root, inst).damaged {
		_, err = note.SetAside(root, statePath(inst))
	}
	return err
}

// Last gives the options of the last "set" of an instance, without the password; false where there was none.
func Last(root *sysroot.Root, inst instance.Instance) (Options, bool) {
	s := loadState(root, inst)
	return s.Options, s.relayed()
}
