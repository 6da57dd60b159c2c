package doctor

import (
	"io/fs"
	"slices"
)

// Consent is what a repair needs.
type Consent string

// The consents. Nothing that restarts or reloads mail, or that touches what an administrator wrote, is Safe.
const (
	NoRepair Consent = ""     // the row's comment says why
	Safe     Consent = "safe" // --fix is enough
	ByID     Consent = "id"   // its id has to be named: --fix=ID
)

// Deed is what one step of a repair does.
type Deed string

// The deeds.
const (
	Index  Deed = "index"  // make the index of the table Path of type Name anew
	Set    Deed = "set"    // set parameter Name in main.cf to Value
	Once   Deed = "once"   // take out the settings of parameter Name in main.cf that a later one overrides
	Offer  Deed = "offer"  // make the edit that check-config offers for note Name
	Mode   Deed = "mode"   // take the mode bits Bits from Path
	Owner  Deed = "owner"  // give directory Path to account ID
	Group  Deed = "group"  // give Path to group ID, which is Name; it runs as that with the bit ModeSetgid in Bits, else Bits are its mode
	Chroot Deed = "chroot" // bring the chroot up to date
	Ended  Deed = "ended"  // an interrupted change: whoever takes the lock for a repair ends it
	Unit   Deed = "unit"   // have systemd do Value with unit Name
)

// Act is one step of a repair: a decision, which is carried out elsewhere.
type Act struct {
	Deed  Deed
	Dir   string // configuration directory of the instance; Run fills it in
	Path  string
	Name  string
	Value string
	Bits  fs.FileMode
	ID    int // of an account or group
}

// The values of Unit.
const (
	Start   = "start"
	Restart = "restart"
	Reload  = "reload"
	Reread  = "daemon-reload"
)

// unit is a step that systemd takes.
func unit(verb, name string) []Act { return []Act{{Deed: Unit, Value: verb, Name: name}} }

// Acts are the steps of the finding's repair.
func (f Finding) Acts() []Act { return f.fix }

// Chosen tells whether a repair has the consent that it needs: of --fix alone, or of its id.
func (f Finding) Chosen(safe bool, ids []string) bool {
	return f.Fixable && (safe && f.Consent == Safe || slices.Contains(ids, f.ID))
}

// Remedy is the command that mends it, "" if none does.
func (f Finding) Remedy() string {
	switch {
	case !f.Fixable:
		return ""
	case f.Consent == Safe:
		return "postfix-maint doctor --fix"
	}
	return "postfix-maint doctor --fix=" + f.ID
}

// FixableIDs are those of the rows that have a repair.
func FixableIDs() (ids []string) {
	for _, c := range Checks() {
		if c.Repair != NoRepair {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// Left are the findings that are not mended.
func (r *Report) Left() (left []Finding) {
	for _, f := range r.Findings {
		if !f.Fixed {
			left = append(left, f)
		}
	}
	return left
}

// Mended adds those of former findings that are there no more.
func (r *Report) Mended(former []Finding) {
	for _, f := range former {
		if !slices.ContainsFunc(r.Findings, func(o Finding) bool { return o.ID == f.ID && o.Instance == f.Instance && o.Seen == f.Seen }) {
			f.Fixed = true
			r.Findings = append(r.Findings, f)
		}
	}
}
