package doctor

import (
	"io/fs"
	"time"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
)

// Facts are what the checks look at.
type Facts struct {
	Now       time.Time
	Instances []Instance
	Types     map[string]bool // map types that Postfix has; nil where it could not be asked
	Accounts  map[string]bool // of passwd(5); nil where it could not be read
	Leftovers []string        // conffiles that dpkg or ucf has put beside those in use
	Work      []string        // journals of commands that were interrupted
	Unusable  []string        // instances that cannot be used, and why
	Unseen    []string
	Online    bool // the network was asked

	All          bool   // every instance is among them
	TimeService  string // the unit that keeps the clock right, if one has run for long enough
	Synchronised bool   // the kernel says that it does
	Public       string // an address of this host that the Internet reaches
	NoMechanisms bool   // libsasl2 has none with which a relay lets in
	DropIns      []DropIn
}

// DropIn is an administrator's drop-in for a unit that runs no daemon.
type DropIn struct {
	File, Unit string
	Why        string
	To         string // the directory where it would have an effect, "" if there is none
}

// Instance is what is known of one instance. The first part is for the caller to fill in, Gather fills in the rest.
type Instance struct {
	instance.Instance
	Unit       string
	Load       string // systemd's LoadState and ActiveState; "" where systemd does not run
	Active     string
	NeedReload bool // systemd
	Missing    []string
	Taken      []string // "ADDRESS by PROGRAM"
	TLS        string   // level of the server, "" for none
	Ends       time.Time
	EndsFile   string
	Corrupt    int
	Conflicts  []string // with other instances
	Outdated   []Outdated
	Missed     []string // files that its chroot lacks, or has in an older version
	Unreach    []string // what chrooted services cannot reach
	RelayNotes []string
	RelayLogin string // what is wrong with the login by OAuth 2.0, and what to do
	RelayCure  string
	// NoLogin are senders with a relay that was added for them, and without the login that it was added with.
	NoLogin []string
	Started time.Time // when its unit was started last, or tried to
	Waiting Waiting

	Online    *Online        // nil where nobody asked
	Main      *maincf.File   // nil if it cannot be read
	Master    *mastercf.File // likewise
	MainErr   string
	MasterErr string
	Master0   int // process number of master(8), 0 if it does not run
	OwnUnit   bool
	Edited    bool     // main.cf is newer than what the running daemons have read
	Warnings  []string // of postconf(1)
	Refused   string   // what Postfix's programs end with
	Others    []Other
	Tables    []Table
	Files     []Named
	Root      []string // where root's mail leads to that is nothing
	Aliases   string   // the file that says so
	RootLine  int      // and the line of root's alias, 0 if it has none
	Free      Space
	Owners    []Owned // directories of the queue with a wrong owner

	Fatal       []Fatal // what daemons ended with
	Loops       []AliasLoop
	Ignored     []Ignored
	Certs       []Certificate
	NoOrigin    string // the file that myorigin names, if there is no name in it
	NoProgram   string // likewise mailbox_command's
	NoSpool     string // likewise the directory of the mailboxes
	SetgidGroup string
	NoSetgid    []string
	SetgidGID   int
	Groups      []Other
}

// Outdated is a note of check-config.
type Outdated struct {
	Name, File string
	Line       int
	Setting    string
	Reason     string
	Offer      string
}

// Other is a file that others than root may write.
type Other struct {
	File, At, Why string
	Bits          fs.FileMode // of its mode that are too many; 0 where it is not that
}

// Owned is a directory of another account than Postfix's, which is UID and Name.
type Owned struct {
	Dir, What, Name string
	UID             int
	Root            bool // it is root's
}

// Table is a lookup table that the configuration names.
type Table struct {
	Parameter, File string
	Line            int
	Type, Path      string
	Text            bool // the file that people write is there
	Index           bool // likewise the one that Postfix reads: for a type without index the same
	Indexed         bool // the type has one
	Old             bool // the index is older than the text
	Aliases         bool // newaliases(1) makes it
	Safe            bool // root alone decides what the text is
}

// Named is a file that a parameter names.
type Named struct {
	Parameter, File string
	Line            int
	Path            string
	Missing         bool
	Readable        bool // by everybody
	Secret          bool
}

// Space is what is free where the queue is.
type Space struct {
	Known         bool
	Bytes, Inodes uint64
	NoInodes      bool   // the file system does not count them
	Need          uint64 // bytes for one message, as smtpd(8) reckons
}

// param is a parameter's expanded value, "" where it is not set or cannot be worked out, and the line that sets it.
func (i *Instance) param(name string) (string, int) {
	if i.Main == nil {
		return "", 0
	}
	if _, set := i.Main.Get(name); !set {
		return "", 0
	}
	v, err := instance.Value(i.Main, i.ConfigDir, name)
	if err != nil {
		return "", 0
	}
	return v, i.Main.Line(name)
}

func (i *Instance) mainCF() string   { return i.ConfigDir + "/main.cf" }
func (i *Instance) masterCF() string { return i.ConfigDir + "/master.cf" }

// lineOf is the line that sets a parameter.
func (i *Instance) lineOf(name string) int {
	_, line := i.param(name)
	return line
}
