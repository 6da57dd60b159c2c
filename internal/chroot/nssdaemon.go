package chroot

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/paths"
)

// daemonSockets are the NSS modules that ask a daemon of the host, and where: so the modules of Debian 12 and 13 have it built in.
var daemonSockets = map[string]string{
	"sss": paths.SSSDSocket, "ldap": paths.NslcdSocket, "winbind": paths.WinbindSocket, "wins": paths.WinbindSocket,
	"resolve": paths.ResolveSocket, "systemd": paths.UserDB,
	"mdns": paths.AvahiSocket, "mdns4": paths.AvahiSocket, "mdns6": paths.AvahiSocket,
	"mdns_minimal": paths.AvahiSocket, "mdns4_minimal": paths.AvahiSocket, "mdns6_minimal": paths.AvahiSocket,
}

// checkModule notes what an NSS module that is in the chroot cannot do there (failure C11). It is a warning where the configuration
// has a chrooted service ask for it: a table of users that no proxymap opens, hosts that are not looked for by DNS alone. Otherwise
// only a check says it, for Debian's own nsswitch.conf names such modules.
func (p *Plan) checkModule(conf *config, l lookup) {
	socket := daemonSockets[l.module]
	if socket == "" {
		return
	}
	if there, err := p.deps.Root.Exists(path.Join(p.Instance.QueueDir, socket)); there || err != nil {
		return // the administrator has it in the chroot
	}
	why := fmt.Sprintf("only NSS module %s knows: it asks by %s, which is not in the chroot", l.module, socket)
	switch l.database {
	case "passwd", "group":
		p.noteModule(conf.asksUsers(), "chrooted services do not find users that "+why+"; look users up by proxy:unix:passwd.byname, "+
			"and let proxymap run outside of the chroot")
	case "hosts":
		p.noteModule(conf.asksHosts(), "chrooted services do not find hosts that "+why+"; let DNS or /etc/hosts know them, "+
			"or run the service outside of the chroot (\"postconf -F smtp/unix/chroot=n\")")
	}
}

func (p *Plan) noteModule(used bool, text string) {
	if used {
		p.warnf("%s", text)
	} else if !slices.Contains(p.unused, text) {
		p.unused = append(p.unused, text)
	}
}

// asksUsers tells whether a chrooted service looks users up itself.
func (c *config) asksUsers() bool {
	return c.runs("proxymap") || slices.ContainsFunc(c.tables(), func(t table) bool { return t.typ == "unix" && !t.proxied })
}

// asksHosts tells whether a chrooted client looks hosts up through the C library: smtp_host_lookup of postconf(5).
func (c *config) asksHosts() bool {
	for _, program := range []string{"smtp", "lmtp"} {
		values, err := c.values(program+"_host_lookup", program)
		if err != nil || slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, "native") }) {
			return true
		}
	}
	return false
}
