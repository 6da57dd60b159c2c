package setup

import (
	"net/netip"
	"slices"
	"strings"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/procs"
)

// fit chooses what a running master(8) needs where a start or reload was meant. It is what runs that tells, not what main.cf was: the file
// may have been removed, or edited and never loaded, and only a new master opens other sockets.
func (p *Plan) fit(action string) string {
	if p.h.after == nil || action != "start" && action != "reload" {
		return action
	}
	pid := chroot.Master(chroot.Deps{Root: p.d.Root}, placeOf(p.h.after, "queue_directory", paths.QueueDir))
	if pid == 0 {
		return action
	}
	master, _ := p.d.Root.ReadFile(paths.MasterCF)
	if otherSockets(p.h.after, master, procs.Listening(pid)) {
		return "restart"
	}
	return "reload"
}

// otherSockets tells whether master(8) listens elsewhere than main.cf says: to the world and not to this host only, or the reverse, or at
// other addresses of a list. Services that name their address in master.cf are not compared, and may be the reason for one too many.
func otherSockets(f *maincf.File, master []byte, at []netip.AddrPort) bool {
	parsed, err := mastercf.Parse(master)
	if err != nil || len(at) == 0 {
		return false
	}
	named, plain := false, false
	for _, s := range parsed.Services() {
		if s.Type == "inet" {
			here := strings.Contains(s.Name, ":")
			named, plain = named || here, plain || !here
		}
	}
	world := slices.ContainsFunc(at, func(a netip.AddrPort) bool { return a.Addr().IsUnspecified() })
	switch interfaces := value(f, "inet_interfaces", "all"); {
	case !plain:
		return false
	case strings.EqualFold(strings.TrimSpace(interfaces), "all"):
		return !world
	case onlyLoopback(interfaces):
		return world && !named
	default:
		want, whole := addresses(interfaces, value(f, "inet_protocols", "all"))
		return whole && (world && !named || otherAddresses(want, at, named))
	}
}

// addresses reads a value of inet_interfaces that lists addresses of the protocols in use; whole is false where it names anything else,
// such as a host.
func addresses(interfaces, protocols string) (list []netip.Addr, whole bool) {
	for _, member := range maincf.SplitList(interfaces) {
		a, err := netip.ParseAddr(strings.Trim(member, "[]"))
		if err != nil {
			return nil, false
		}
		family := "ipv6"
		if a.Is4() {
			family = "ipv4"
		}
		if in := maincf.SplitList(strings.ToLower(protocols)); slices.Contains(in, family) || slices.Contains(in, "all") {
			list = append(list, a)
		}
	}
	return list, len(list) > 0
}

// otherAddresses tells whether one of these is missing, or unless services name theirs one is there too many.
func otherAddresses(want []netip.Addr, at []netip.AddrPort, named bool) bool {
	for _, a := range want {
		if !slices.ContainsFunc(at, func(have netip.AddrPort) bool { return have.Addr().Unmap() == a }) {
			return true
		}
	}
	return !named && slices.ContainsFunc(at, func(have netip.AddrPort) bool { return !slices.Contains(want, have.Addr().Unmap()) })
}
