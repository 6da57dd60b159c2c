package status

import (
	"net"
	"net/netip"
	"slices"

	"postfix-maint/internal/procs"
)

// local is what this host has of addresses.
type local struct {
	v6    bool // the kernel knows IPv6
	addrs map[netip.Addr]bool
}

// localAddresses asks the kernel. Without IPv6 nobody listens there, whatever inet_protocols says: Postfix goes on with IPv4.
func localAddresses() local {
	l := local{addrs: map[netip.Addr]bool{}}
	all, err := net.InterfaceAddrs()
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			l.addrs[p.Addr().Unmap().WithZone("")] = true
			l.v6 = l.v6 || p.Addr().Is6() && !p.Addr().Is4In6()
		}
	}
	l.v6 = l.v6 || err != nil
	return l
}

// compare fills in where an instance listens, of what its master holds, or with owned false of what anybody holds.
func compare(i *Instance, held []procs.Listener, here local, owned bool) {
	var at []string
	for _, l := range held {
		at = append(at, l.At.String())
	}
	for _, want := range i.Expected {
		_, ok := holds(held, want)
		switch {
		case ok:
			i.Listening = append(i.Listening, want)
		case here.expects(want):
			i.Missing = append(i.Missing, want)
		}
	}
	if !owned {
		return
	}
	for n, have := range at {
		if !slices.ContainsFunc(i.Expected, func(want string) bool { return covers(want, held[n].At) }) && !slices.Contains(i.Extra, have) {
			i.Extra = append(i.Extra, have)
		}
	}
}

// holds tells whether one of the sockets is what a service is to listen on.
func holds(held []procs.Listener, want string) (procs.Listener, bool) {
	n := slices.IndexFunc(held, func(l procs.Listener) bool { return covers(want, l.At) })
	if n < 0 {
		return procs.Listener{}, false
	}
	return held[n], true
}

// covers tells whether a socket is one of those that an entry of the configuration stands for. Of a host name only the port is known,
// and 127.0.0.1 stands for the loopback network as well.
func covers(want string, have netip.AddrPort) bool {
	at, err := netip.ParseAddrPort(want)
	if err != nil {
		_, port, err := net.SplitHostPort(want)
		return err == nil && port == portOf(have)
	}
	addr := have.Addr().Unmap().WithZone("")
	return at.Port() == have.Port() && (at.Addr() == addr || at.Addr().IsLoopback() && at.Addr().Is4() && addr.Is4() && addr.IsLoopback())
}

func portOf(a netip.AddrPort) string {
	_, port, _ := net.SplitHostPort(a.String())
	return port
}

// expects tells whether an address can be listened on here at all: "loopback-only" and "all" mean the addresses that there are.
func (l local) expects(want string) bool {
	at, err := netip.ParseAddrPort(want)
	switch {
	case err != nil: // a name that only the resolver knows
		return false
	case at.Addr().Is4():
		return true
	case at.Addr().IsUnspecified():
		return l.v6
	}
	return !at.Addr().IsLoopback() || l.addrs[at.Addr()]
}
