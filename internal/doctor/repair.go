package doctor

import "io/fs"

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
	Owner  Deed = "owner"  // give directory Path to account UID
	Unit   Deed = "unit"   // have systemd do Value with unit Name
	Chroot Deed = "chroot" // bring the chroot up to date
)

// Act is one step of a repair: a decision, which is carried out elsewhere.
type Act struct {
	Deed     Deed
	Instance string // whose it is; Run fills it in
	Path     string
	Name     string
	Value    string
	Bits     fs.FileMode
	UID      int
}
