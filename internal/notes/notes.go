// Package notes (ring: format) knows which settings are outdated, why, and what to write instead: the upgrade notes of Postfix's
// and Debian's documentation as a table. It never edits by itself: an edit is made where somebody asks for it by name.
package notes

import (
	"slices"
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
	// KeyPair is set where ssl-cert's key and its certificate are there.
	KeyPair bool
	// TableType is the type that this release's template of main.cf gives tables without one; "" where it names none.
	TableType string
	Host      Rename // of the primary instance's host
}

// Rename says that a host has another name than it had when it was configured. Blank names tell nothing.
type Rename struct {
	Old, New string
	Mailname string // what /etc/mailname says
}

// Doubtful tells that the new name proves nothing: a name service that is down gives no name, or one without its domain.
func (r Rename) Doubtful() bool {
	short, _, _ := strings.Cut(r.Old, ".")
	return r.New == "" || strings.EqualFold(r.New, short)
}

// Places finds the old name where a configuration still holds it: /etc/mailname, and parameters of main.cf, in this order.
func (r Rename) Places(main *maincf.File) (mailname bool, params []string) {
	if r.Old == "" || r.Doubtful() || strings.EqualFold(r.Old, r.New) {
		return false, nil
	}
	for _, name := range []string{"myhostname", "myorigin", "mydestination"} {
		v, _ := main.Get(name)
		if slices.ContainsFunc(maincf.SplitList(v), func(member string) bool { return strings.EqualFold(member, r.Old) }) {
			params = append(params, name)
		}
	}
	return strings.EqualFold(r.Mailname, r.Old), params
}

// Note is one outdated setting.
type Note struct {
	Name    string `json:"name"`            // to ask for its edit by
	File    string `json:"file"`            // main.cf or master.cf; or the path of another file
	Line    int    `json:"line,omitempty"`  // 0: the setting is missing
	Setting string `json:"setting"`         // as it stands
	Reason  string `json:"reason"`          // why it is outdated
	Offer   string `json:"offer,omitempty"` // what Apply would write; "" where only a person can decide

	edits    []maincf.Edit
	services []string // lines to add to master.cf
	chroot   [][2]string
}

// Names are those of all notes.
func Names() (all []string) {
	for _, rule := range rules {
		if !slices.Contains(all, rule.name) {
			all = append(all, rule.name)
		}
	}
	return all
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
	n := Note{Line: c.Main.Line(param), Setting: maincf.Show(param, v)}
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
			text, n.edits = append(text, maincf.Show(e.param, *e.value)), append(n.edits, maincf.Set(e.param, *e.value))
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
