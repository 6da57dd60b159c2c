package chroot

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/inventory"
	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// socketKind begins the kind of a relay to a socket that main.cf or master.cf names; SASL has its own kinds.
const socketKind = "socket-"

// loginKinds are the kinds of SMTP AUTH.
var loginKinds = []string{"saslauthd", "dovecot"}

// relayed are the uses that get a relay.
var relayed = []inventory.Use{
	inventory.Milter, inventory.Policy, inventory.Delivery, inventory.Filter, inventory.Socketmap, inventory.Database, inventory.Memcache,
}

// addSockets plans relays to the host's sockets that the configuration leads chrooted services to. One that could not be safe is left to
// "chroot check": the administrator may have an arrangement of his own.
func (p *Plan) addSockets(named []inventory.Endpoint) {
	for _, e := range named {
		if !slices.Contains(relayed, e.Use) || !e.Outside(p.Instance.QueueDir) {
			continue
		}
		r := socketRelay(e)
		if slices.ContainsFunc(p.Relays, func(o Relay) bool { return o.Path == r.Path }) || r.safe(p) != nil {
			continue
		}
		p.addRelay(r)
	}
}

func socketRelay(e inventory.Endpoint) Relay {
	kind := fmt.Sprintf("%s%x", socketKind, sha256.Sum256([]byte(e.Socket)))[:len(socketKind)+12]
	return Relay{
		Path: rel(e.Socket), Target: e.Socket, Why: fmt.Sprintf("the %s of %s", e.Use, e.Service), kind: kind,
		// MariaDB's unix_socket, PostgreSQL's peer and OpenLDAP's EXTERNAL let in by the client's account.
		client: e.Use == inventory.Database,
	}
}

// named is the inventory, of which a plan obeys only what root alone can write.
func (p *Plan) named(conf *config) []inventory.Endpoint {
	if !conf.namesSockets() {
		return nil
	}
	return p.endpoints(conf, p.deps.Root.ReadTrusted)
}

// leading are parts of values that can lead to a socket: by themselves, by the file of a table, by what a table gives.
var leading = []string{"unix:", "local:", "mysql:", "pgsql:", "ldap:", "memcache:", "_access"}

// leadingNames are ends of names of parameters whose tables or values do.
var leadingNames = []string{"transport_maps", "_checks", "_tls_policy_maps", "_tls_trust_anchor_file"}

// namesSockets tells whether the configuration can lead to a socket, or to a file that is opened late, at all: most can not, and cost nothing then.
func (c *config) namesSockets() bool {
	names := func(text string) bool {
		return slices.ContainsFunc(leading, func(part string) bool { return strings.Contains(text, part) })
	}
	return slices.ContainsFunc(c.main.Names(), func(name string) bool {
		value, _ := c.main.Get(name)
		return names(value) || name == "smtpd_milter_maps" ||
			slices.ContainsFunc(leadingNames, func(end string) bool { return strings.HasSuffix(name, end) })
	}) || slices.ContainsFunc(c.chrooted, func(s mastercf.Service) bool { return slices.ContainsFunc(s.Args, names) })
}

// occupied tells whether the place of a relay that does not run belongs to somebody else: a socket that is served, or a directory not of
// our making while the host has no such socket, where a daemon that starts later will listen.
func (a *applier) occupied(r Relay) bool {
	if !strings.HasPrefix(r.kind, socketKind) {
		return false
	}
	if a.kindAt(r.Path) == unix.S_IFSOCK && !a.dead(r.Path) {
		return true
	}
	_, err := a.q.open(path.Dir(r.Path))
	return err == nil && !slices.Contains(a.k.Dirs, path.Dir(r.Path)) && !a.hostHas(r.Target)
}

// hostHas tells whether the host has a socket of this name.
func (p *Plan) hostHas(name string) bool {
	fi, err := p.deps.Root.Stat(name)
	return err == nil && fi.Mode()&fs.ModeSocket != 0
}

// leads tells whether a relay of ours stands at its place, or will: the administrator's own daemon there has none.
func (a *applier) leads(r Relay) bool {
	at := func(o Relay) bool { return o.Path == r.Path }
	n := slices.IndexFunc(a.Relays, at)
	return slices.ContainsFunc(a.relays, at) ||
		n >= 0 && slices.Contains(a.deps.Shared.socketUnits(a.deps.Root)[stateName(a.Instance)], a.Relays[n].kind)
}

// relayKinds are the kinds of relay that the plan has or that run for the instance.
func (a *applier) relayKinds() []string {
	kinds := slices.Clone(loginKinds)
	for _, r := range a.Relays {
		kinds = append(kinds, r.kind)
	}
	kinds = append(kinds, a.deps.Shared.socketUnits(a.deps.Root)[stateName(a.Instance)]...)
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// socketUnits gives the kinds of the relays that run, by instance.
func (s *Shared) socketUnits(root *sysroot.Root) map[string][]string {
	units, _ := s.relays.once("", func() (map[string][]string, error) {
		all := map[string][]string{}
		entries, err := root.ReadDir(paths.TransientUnits) // none: no systemd
		for _, e := range entries {
			name, ok := strings.CutSuffix(e.Name(), ".socket")
			kind, inst, at := strings.Cut(strings.TrimPrefix(name, "postfix-"), "@")
			ours := strings.HasPrefix(name, "postfix-"+socketKind) || strings.HasPrefix(name, "postfix-") && slices.Contains(loginKinds, kind)
			if ok && at && ours {
				all[inst] = append(all[inst], kind)
			}
		}
		return all, err
	})
	return units
}
