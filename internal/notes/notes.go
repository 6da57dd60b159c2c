// Package notes (ring: format) knows which settings are outdated, why, and what to write instead: the upgrade notes of Postfix's
// and Debian's documentation as a table. It never edits by itself: an edit is made where somebody asks for it by name.
package notes

import (
	"strings"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
)

// Config is one instance's configuration. Apply edits it in place.
type Config struct {
	Main   *maincf.File
	Master *mastercf.File // nil: not looked at
	Dist   *mastercf.File // the services that Postfix comes with; nil: not looked at
	NIS    bool           // the host is set up for NIS
}

// Note is one outdated setting.
type Note struct {
	Name    string `json:"name"`            // to ask for its edit by
	File    string `json:"file"`            // main.cf or master.cf
	Line    int    `json:"line,omitempty"`  // 0: the setting is missing
	Setting string `json:"setting"`         // as it stands
	Reason  string `json:"reason"`          // why it is outdated
	Offer   string `json:"offer,omitempty"` // what Apply would write; "" where only a person can decide

	edits    []maincf.Edit
	services []string // lines to add to master.cf
	chroot   [][2]string
}

// Check goes through the table.
func Check(c *Config) (notes []Note) {
	for _, rule := range rules {
		for _, n := range rule.find(c) {
			n.Name = rule.name
			if n.File == "" {
				n.File = "main.cf"
			}
			if n.Reason == "" {
				n.Reason = rule.reason
			}
			notes = append(notes, n)
		}
	}
	return notes
}

// Apply makes the edit that the note offers.
func (n Note) Apply(c *Config) error {
	if _, err := c.Main.Apply(n.edits...); err != nil {
		return err
	}
	for _, line := range n.services {
		if err := c.Master.AddService(line); err != nil {
			return err
		}
	}
	for _, s := range n.chroot {
		if _, err := c.Master.SetChroot(s[0], s[1], true); err != nil {
			return err
		}
	}
	return nil
}

// setting is a note about a parameter that main.cf sets, with the edits that are offered.
func setting(c *Config, param string, edits ...edit) Note {
	v, _ := c.Main.Get(param)
	n := Note{Line: c.Main.Line(param), Setting: param + " = " + v}
	n.offer(edits...)
	return n
}

// edit is one parameter's change; nil value means to take it out.
type edit struct {
	param string
	value *string
}

func set(param, value string) edit { return edit{param, &value} }
func unset(param string) edit      { return edit{param, nil} }

func (n *Note) offer(edits ...edit) {
	var text []string
	for _, e := range edits {
		if e.value == nil {
			text, n.edits = append(text, "without "+e.param), append(n.edits, maincf.Unset(e.param))
		} else {
			text, n.edits = append(text, e.param+" = "+*e.value), append(n.edits, maincf.Set(e.param, *e.value))
		}
	}
	n.Offer = strings.Join(text, "; ")
}

// overrides finds "-o PARAM=" in master.cf. What to write there a person has to decide.
func overrides(c *Config, param string) (notes []Note) {
	if c.Master == nil {
		return nil
	}
	for _, s := range c.Master.Services() {
		if v, ok := s.Option(param); ok {
			notes = append(notes, Note{File: "master.cf", Line: s.Line, Setting: s.Name + " " + s.Type + ": -o " + param + "=" + v})
		}
	}
	return notes
}
