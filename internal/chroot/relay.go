package chroot

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// Relay is a socket in the chroot that leads to one of the host's: systemd listens on it and hands each connection to
// systemd-socket-proxyd(8). A mount would not do: saslauthd's unit in Debian 13 has its directory removed and made anew at every
// restart, which leaves a bind mount at the old one, and a socket needs no care of those who delete below the queue directory.
type Relay struct {
	Path   string // relative to the queue directory
	Target string // the host's socket
	Why    string

	kind   string // what answers there, in the name of the unit
	client bool   // what answers looks at its client's account: it is to see Postfix's
}

// addLogins plans what SMTP AUTH of chrooted smtpd needs: sasldb's file, and a way to the sockets of saslauthd and Dovecot.
// smtpd reads smtpd.conf and loads libsasl2's plugins with all they need before chroot(2), so no copies of those.
func (p *Plan) addLogins(conf *config) {
	var err error
	if p.mailOwner, err = conf.value("mail_owner"); err != nil {
		p.warnf("%v", err)
	}
	p.uses = p.logins(conf)
	for _, use := range p.uses {
		p.checkPackages(use)
		if !use.chrooted {
			continue
		}
		why := "SMTP AUTH of " + use.service
		if use.sasldb != "" {
			_ = p.addFile(use.sasldb, rel(use.sasldb), why, nil) // one that is not there is said by checkPackages
			for n := range p.Entries {
				if p.Entries[n].Path == rel(use.sasldb) {
					p.Entries[n].reader = p.mailOwner
				}
			}
		}
		if use.saslauthd != "" {
			p.addRelay(Relay{Path: rel(use.saslauthd), Target: use.saslauthd, Why: why, kind: "saslauthd"})
		}
		// Dovecot's other kinds, "inet:" and a path below the queue directory, need no help.
		if name := strings.TrimPrefix(use.dovecot, "unix:"); path.IsAbs(name) {
			p.addRelay(Relay{Path: rel(name), Target: path.Clean(name), Why: why, kind: "dovecot"})
		}
	}
}

func (p *Plan) addRelay(r Relay) {
	for _, other := range p.Relays {
		if other.kind == r.kind {
			if other.Path != r.Path {
				p.warnf("%s would need a second socket of %s, %q: services of one instance share one", r.Why, r.kind, r.Target)
			}
			return
		}
	}
	if top, _, _ := strings.Cut(r.Path, "/"); slices.Contains(postfixDirs, top) {
		p.warnf("cannot lead %q into the chroot: its place there belongs to Postfix", r.Target)
		return
	}
	if r.kind == "saslauthd" {
		dirs := p.saslauthdDirs()
		if slices.Contains(dirs, path.Join(p.Instance.QueueDir, path.Dir(r.Path))) {
			return // the administrator has moved the socket here
		}
	}
	p.Relays = append(p.Relays, r)
	p.Entries = append(p.Entries, Entry{Path: path.Dir(r.Path), Why: r.Why})
}

// saslauthdDirs are the directories that Debian's set-ups of saslauthd name with the option -m, one set-up a file.
func (p *Plan) saslauthdDirs() (dirs []string) {
	p.eachSaslauthd(func(vars map[string]string) {
		words := strings.Fields(vars["OPTIONS"])
		if n := slices.Index(words, "-m"); n >= 0 && n+1 < len(words) {
			dirs = append(dirs, path.Clean(words[n+1]))
		}
	})
	return dirs
}

// eachSaslauthd gives the variables of each set-up of saslauthd.
func (p *Plan) eachSaslauthd(visit func(vars map[string]string)) {
	names, _ := p.deps.Root.ReadDir(paths.DefaultsDir) // none: no saslauthd
	for _, e := range names {
		if !strings.HasPrefix(e.Name(), "saslauthd") {
			continue
		}
		name := path.Join(paths.DefaultsDir, e.Name())
		s := &shell{root: p.deps.Root, ok: true, vars: map[string]string{"IFS": " \t\n"}}
		data, err := p.deps.Root.ReadTrusted(name)
		if errors.As(err, new(*sysroot.UntrustedError)) {
			p.warnf("what %q says about saslauthd counts for nothing: %v", name, err)
		}
		s.source(name, data)
		visit(s.vars)
	}
}

// placeOption makes configure-instance tell whether nobody but root decides what a name means.
const placeOption = "--place"

// place is the name of the relay's socket on the host.
func (r Relay) place(p *Plan) string { return path.Join(p.Instance.QueueDir, r.Path) }

// safe tells whether the relay's names can be handed to systemd: a unit can hold them, and the place in the chroot is root's alone. Whoever
// owned a directory on the way there could put something else in the place of the socket between bind(2) and chown(2), which would
// then be theirs. The host's socket may be anybody's: the relay runs as who decides what that name means (configure-instance --relay).
func (r Relay) safe(p *Plan) error {
	for _, name := range []string{r.place(p), r.Target} {
		if strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c == 0x7f || strings.ContainsRune("\"'\\$%;", c) }) {
			return fmt.Errorf("%q has letters that a unit cannot hold", name)
		}
	}
	return p.deps.Root.TrustedPlace(r.place(p))
}

// Binds gives the directories to be mounted in the chroot where systemd does not run, "from" and "to" one after the other, and says what
// cannot be mounted. The plan must have been applied.
func (p *Plan) Binds() (binds [][2]string, warnings []string) {
	for _, r := range p.Relays {
		if strings.HasPrefix(r.kind, socketKind) {
			continue // its directory may hold more than the socket
		}
		to := path.Dir(r.place(p))
		err := r.safe(p)
		for _, check := range []func() error{
			func() error { return p.deps.Root.TrustedPlace(r.Target) }, func() error { return p.deps.Root.Trusted(to) },
		} {
			if err == nil {
				err = check()
			}
		}
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("%s will not work: %v", r.Why, err))
			continue
		}
		binds = append(binds, [2]string{path.Dir(r.Target), to})
	}
	return binds, warnings
}

// unit is the name of the relay's units without their suffix.
func (r Relay) unit(p *Plan) string { return "postfix-" + r.kind + "@" + stateName(p.Instance) }

// command is the call that makes the relay. It is a transient unit, for what it says depends on the instance's configuration, not on
// the host's; systemd forgets it when it stops, which it does with the instance.
func (r Relay) command(p *Plan) []string {
	unit := r.unit(p)
	args := []string{
		paths.SystemdRun, "--quiet", "--collect", "--unit=" + unit,
		"--description=Relay to " + r.Target + " for the chroot of Postfix instance " + p.Instance.Name,
		"--socket-property=ListenStream=" + r.place(p),
		// systemd makes the socket by its name and then gives it away by its name, now and whenever the instance is restarted.
		"--socket-property=ExecStartPre=" + paths.ConfigureInstance + " " + placeOption + " " + r.place(p),
		// smtpd runs as this user, so it needs no membership in group sasl. Its clients get no further than to a password check.
		"--socket-property=SocketUser=" + p.mailOwner, "--socket-property=SocketMode=0600",
		"--socket-property=PartOf=" + p.Instance.Unit(),
		"--property=PartOf=" + unit + ".socket",
		// One that turns away because no daemon runs may be started anew for each connection.
		"--property=StartLimitIntervalSec=0",
	}
	for _, property := range strings.Fields(relaySandbox) {
		args = append(args, "--property="+property)
	}
	if r.client {
		return append(args, "--property=CapabilityBoundingSet=", "--property=User="+p.mailOwner, paths.SocketProxy, "--exit-idle-time=5min", r.Target)
	}
	// To reach a socket in a directory that only a group may enter, and to become the account that the directory belongs to.
	return append(args, "--property=CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_SETUID CAP_SETGID",
		paths.ConfigureInstance, "--user", p.mailOwner, "--relay", r.Target)
}

// relaySandbox leaves the relay with what it needs.
const relaySandbox = `NoNewPrivileges=yes PrivateNetwork=yes PrivateDevices=yes
	ProtectSystem=strict ProtectHome=yes ProtectKernelTunables=yes ProtectKernelModules=yes ProtectControlGroups=yes
	RestrictAddressFamilies=AF_UNIX RestrictNamespaces=yes LockPersonality=yes MemoryDenyWriteExecute=yes
	SystemCallArchitectures=native SystemCallFilter=@system-service`

// decideRelays compares the relays that run with those planned.
func (a *applier) decideRelays() {
	for _, kind := range a.relayKinds() {
		n := slices.IndexFunc(a.Relays, func(r Relay) bool { return r.kind == kind && len(a.Entries) > 0 })
		if a.deps.Run == nil || n < 0 && a.holds(".") { // no systemd, or a plan that does not know
			continue
		}
		unit := Relay{kind: kind}.unit(a.Plan) + ".socket"
		text, err := readSmall(a.deps.Root, path.Join(paths.TransientUnits, unit))
		_, listens, _ := strings.Cut(string(text), "\nListenStream=")
		listens, _, _ = strings.Cut(listens, "\n")
		wanted := n >= 0 && !(err != nil && a.occupied(a.Relays[n])) && a.mayListen(a.Relays[n])
		if err == nil && (!wanted || !strings.Contains(string(text), placeOption+`"`) || listens != a.Relays[n].place(a.Plan) ||
			a.kindAt(a.Relays[n].Path) != unix.S_IFSOCK) {
			a.ended = append(a.ended, unit)
			a.sockets = append(a.sockets, strings.TrimPrefix(listens, a.Instance.QueueDir+"/"))
			err = fs.ErrNotExist
		}
		if wanted && err != nil {
			a.relays = append(a.relays, a.Relays[n])
		}
	}
	a.deadSockets()
}

// deadSockets finds what relays that ended with their instance left in directories of ours.
func (a *applier) deadSockets() {
	if a.holds(".") {
		return
	}
	for _, dir := range a.k.Dirs {
		d, err := a.q.open(dir)
		if err != nil {
			continue
		}
		names, _ := d.names() // an unreadable one is for leaveDirs to report
		for _, name := range names {
			p := path.Join(dir, name)
			if a.wanted[p] { // was looked at: a directory of certificates has hundreds
				continue
			}
			planned := slices.ContainsFunc(a.Relays, func(r Relay) bool { return r.Path == p && len(a.Entries) > 0 })
			if !planned && !slices.Contains(a.sockets, p) && a.dead(p) {
				a.sockets = append(a.sockets, p)
			}
		}
	}
}

// dead tells whether p is a socket that nobody listens on.
func (a *applier) dead(p string) bool {
	d, err := a.q.open(path.Dir(p))
	if err != nil || a.kindAt(p) != unix.S_IFSOCK {
		return false
	}
	socket, err := unix.Openat(int(d.file.Fd()), path.Base(p), unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(socket)
	return refuses(socket)
}

// refuses tells whether nobody listens on the socket of a descriptor.
func refuses(socket int) bool {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	// By its descriptor: it is that socket whatever has its name by now, and the path is short enough for an address.
	err = unix.Connect(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d", socket)})
	return errors.Is(err, unix.ECONNREFUSED)
}

// kindAt is the kind of what is at name, 0 for nothing.
func (a *applier) kindAt(name string) uint16 {
	st, err := a.q.look(name)
	if err != nil {
		return 0
	}
	return st.kind()
}

// mounted tells whether something is mounted at name.
func (a *applier) mounted(name string) bool {
	_, err := a.q.look(name)
	block := (*blocked)(nil)
	return errors.As(err, &block) && block.path == name
}

// mayListen tells whether the place of a relay's socket is free. What holds it may be what the administrator mounted or made there.
func (a *applier) mayListen(r Relay) bool {
	st, err := a.q.look(r.Path)
	block := (*blocked)(nil)
	switch {
	case errors.As(err, &block):
		a.warn("%v in the queue directory %q: no relay is made to %q", block, a.Instance.QueueDir, r.Target)
	case err == nil && st.kind() != unix.S_IFSOCK:
		a.warn("%q in the queue directory %q is no socket: no relay is made to %q", r.Path, a.Instance.QueueDir, r.Target)
	default:
		if err := r.safe(a.Plan); err != nil {
			a.warn("no relay is made to %q, so %s will not work: %v", r.Target, r.Why, err)
			return false
		}
		return true
	}
	return false
}

// endRelays stops those not planned. What somebody else has put in the place of a socket stays.
func (a *applier) endRelays() {
	for _, unit := range a.ended {
		a.deps.Logf("stopping %s", unit)
		if err := a.deps.Run(paths.Systemctl, "stop", unit); err != nil {
			a.warn("cannot stop %s: %v", unit, err)
		}
	}
	for _, p := range a.sockets {
		if d, err := a.q.open(path.Dir(p)); err == nil && a.dead(p) {
			a.deps.Logf("removing %s", p)
			if err := d.root.Remove(path.Base(p)); err != nil {
				a.warn("cannot remove %q: %v", p, err)
			}
		}
	}
}

// makeRelays starts the planned ones. Failures are warnings: without a relay mail waits or nobody can log in, and the rest works.
func (a *applier) makeRelays() {
	for _, r := range a.relays {
		command := r.command(a.Plan)
		a.deps.Logf("starting %s.socket", r.unit(a.Plan))
		if err := a.deps.Run(command[0], command[1:]...); err != nil {
			a.warn("cannot make a relay to %q: %v", r.Target, err)
			continue
		}
		a.result.Changed = append(a.result.Changed, r.Path)
	}
}
