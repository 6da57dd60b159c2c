package chroot

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"postfix-maint/internal/elfdep"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// Deps is what the package needs of the outside. Logf, where it is set, hears of each change before it is made. Run runs a program of
// systemd; it is nil where systemd does not run the system (sd_booted(3)), and then no relays are made.
type Deps struct {
	Root *sysroot.Root
	Logf func(format string, args ...any)
	Run  func(name string, args ...string) error
	// Instances are those of the host where they are known already; nil has them read.
	Instances []instance.Instance
	// Shared is what the plans of one run have in common; nil is that of one plan.
	Shared *Shared
}

// complete is d with nothing left nil.
func (d Deps) complete() Deps {
	if d.Logf == nil {
		d.Logf = func(string, ...any) {}
	}
	if d.Shared == nil {
		d.Shared = &Shared{}
	}
	return d
}

// Entry is one file or directory that has to be in the chroot.
type Entry struct {
	Path   string // relative to the queue directory
	Source string // the host's file; "" for a directory that only has to be there
	Why    string // for people

	convert func([]byte) []byte // what the copy holds instead of the file itself
	reader  string              // the one account that may read the copy, whoever may read the file; "" keeps owner and mode
	key     bool                // the reader owns the copy, and nobody else may read it
	certs   bool                // only the certificates in it are copied
	source  signature
}

// Plan is what the chroot of one instance has to hold.
type Plan struct {
	Instance instance.Instance
	Entries  []Entry
	Relays   []Relay
	Warnings []string
	// Off is set where the administrator switched the synchronisation off (SYNC_CHROOT): nothing is added or removed.
	Off bool

	undone    []string // what could not be looked at
	small     bool     // of a hook, which holds up others
	unused    []string // what only a check says: what NSS modules cannot do in the chroot, where nothing asks for it; keys that are in it
	uses      []login  // what smtpd services check passwords by
	mailOwner string   // the account that Postfix's daemons run as
	deps      Deps
	loader    *elfdep.Loader    // nil where the libraries could not be worked out
	held      []string          // below these nothing is removed, for what belongs there could not be worked out
	caDir     map[string]string // directories of certificates in the chroot, and the host's
	places    map[string]bool   // see planned
	placed    int
}

// essential are the files without which no chrooted service finds another host or a service's port.
var essential = map[string]bool{
	rel(paths.ResolvConf): true, rel(paths.Hosts): true, rel(paths.Services): true, rel(paths.NSSwitch): true,
}

// postfixDirs are the directories of the queue itself: extra files never go there.
var postfixDirs = strings.Fields("active bounce corrupt defer deferred flush hold incoming maildrop pid private public saved trace")

// rel gives the place of a host's path in the chroot.
func rel(p string) string { return strings.TrimPrefix(path.Clean("/"+p), "/") }

// NewPlan works out what inst's chroot needs, from its main.cf and master.cf, /etc/default/postfix and the host's files.
// It reads only.
func NewPlan(d Deps, inst instance.Instance) (*Plan, error) { return newPlan(d, inst, nil) }

// NewEmptyPlan is a plan of nothing: Apply takes away what is ours, also of an instance whose configuration is gone.
func NewEmptyPlan(d Deps, inst instance.Instance) *Plan {
	return &Plan{Instance: inst, deps: d.complete()}
}

// newPlan is NewPlan with the text of a master.cf that is not written yet.
func newPlan(d Deps, inst instance.Instance, master []byte) (*Plan, error) {
	p := &Plan{Instance: inst, deps: d.complete(), caDir: map[string]string{}}
	conf, err := readConfig(d.Root, inst, master)
	if err != nil {
		return nil, err
	}
	if err := p.checkOrigin(conf); err != nil {
		return nil, err
	}
	set, warns := readSettings(d.Root, inst)
	p.Warnings = append(p.Warnings, warns...)
	if len(warns) > 0 {
		p.held = append(p.held, ".") // an extra file that was not understood must not vanish
	}
	switch {
	case !set.sync:
		p.Off = true
		return p, nil
	case len(conf.chrooted) == 0:
		p.held = nil // whatever the settings say, nobody needs a chroot
		return p, nil
	}
	p.checkServices(conf)
	p.addHostFiles(set.files)
	p.addLibraries(conf)
	p.addCADirs(conf, set.caDirs)
	p.addPasswd(conf)
	p.addMaps(conf)
	p.addLogins(conf)
	named := p.named(conf)
	p.addSockets(named)
	p.addLateFiles(named)
	p.checkLog(conf)
	// A queue on a file system of its own may have been made without it; the syslog daemon does not make it.
	p.Entries = append(p.Entries, Entry{Path: path.Dir(rel(paths.DevLog)), Why: "directory for the syslog daemon's socket"})
	// libsasl2 looks for its plugins' directory at each start of a connection: Debian bug #426338.
	p.Entries = append(p.Entries, Entry{Path: rel(paths.SASLPlugins), Why: "directory that libsasl2 looks for"})
	return p, nil
}

func (p *Plan) warnf(format string, args ...any) {
	if w := fmt.Sprintf(format, args...); !slices.Contains(p.Warnings, w) {
		p.Warnings = append(p.Warnings, w)
	}
}

// addFile plans a copy of the host's file at to. It returns fs.ErrNotExist where the host has none; anything else is
// noted here, and an older copy stays.
func (p *Plan) addFile(source, to, why string, convert func([]byte) []byte) error {
	if top, _, _ := strings.Cut(to, "/"); slices.Contains(postfixDirs, top) || to == "" {
		p.warnf("cannot copy %q: its place in the chroot belongs to Postfix", source)
		return nil
	}
	if convert == nil && p.planned(to) {
		return nil
	}
	fi, err := p.deps.Shared.stat(p.deps.Root, source)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return fs.ErrNotExist
	}
	useless := errors.Is(err, syscall.ELOOP) // to the host's own programs as well
	if err == nil && !fi.Mode().IsRegular() {
		err, useless = errors.New("not a regular file"), true
	}
	e := Entry{Path: to, Source: source, Why: why, convert: convert, source: untrusted}
	switch {
	case err == nil:
		e.source = signatureOf(fi)
	case useless || !essential[to]: // else Apply finds out whether there is an old copy at least
		p.warnf("cannot copy %q: %v", source, err)
		p.held = append(p.held, to)
		if !useless {
			p.undone = append(p.undone, to)
		}
		return nil
	}
	p.Entries = append(p.Entries, e)
	return nil
}

// planned tells whether something is planned at a place. It looks at each entry once: a directory of CAs gives hundreds.
func (p *Plan) planned(to string) bool {
	if p.places == nil {
		p.places = map[string]bool{}
	}
	for ; p.placed < len(p.Entries); p.placed++ {
		p.places[p.Entries[p.placed].Path] = true
	}
	return p.places[to]
}

// signatureOf is the signature of a file of the host.
func signatureOf(fi fs.FileInfo) signature {
	s := signature{size: fi.Size(), mtime: fi.ModTime().UnixNano()}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		s.inode, s.ctime = int64(st.Ino), syscall.TimespecToNsec(st.Ctim)
	}
	return s
}

// holds tells whether the removal of the chroot's file at name has to wait for a better plan.
func (p *Plan) holds(name string) bool {
	for _, h := range p.held {
		if h == "." || name == h || strings.HasPrefix(name, h+"/") {
			return true
		}
	}
	return false
}
