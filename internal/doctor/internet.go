package doctor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"postfix-maint/internal/dns"
	"postfix-maint/internal/instance"
)

// Internet is the network itself.
type Internet struct {
	Servers []string // name servers
	Try     func(ctx context.Context, inst instance.Instance) (problem, advice string, err error)
}

// connectLimit bounds a connection: nobody who answers takes as long.
const connectLimit = 5 * time.Second

// Lookup asks the host's name servers.
func (n Internet) Lookup(ctx context.Context, kind dns.Kind, name string) ([]string, error) {
	return dns.Lookup(ctx, n.Servers, kind, name)
}

// Answers asks a name server for the root's, which each one knows; a packet may get lost.
func (n Internet) Answers(ctx context.Context, server string) error {
	_, err := dns.Lookup(ctx, []string{server}, dns.NS, ".")
	if errors.Is(err, dns.ErrNone) {
		return nil
	}
	return err
}

// Connects connects, and says nothing.
func (n Internet) Connects(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{Timeout: connectLimit}).DialContext(ctx, "tcp", address)
	if err == nil {
		conn.Close()
	}
	return err
}

// Outward has the kernel choose an address: a datagram socket that is connected sends nothing by that.
func (n Internet) Outward(network string) (netip.Addr, bool) {
	to := map[string]string{"udp4": "192.0.32.8:9", "udp6": "[2001:500:88:200::8]:9"}[network]
	conn, err := net.DialTimeout(network, to, connectLimit)
	if err != nil {
		return netip.Addr{}, false
	}
	defer conn.Close()
	at, err := netip.ParseAddrPort(conn.LocalAddr().String())
	return at.Addr().Unmap(), err == nil
}

// Own are the host's addresses.
func (n Internet) Own() (all []netip.Addr) {
	found, _ := net.InterfaceAddrs() // none is no address of its own
	for _, a := range found {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			all = append(all, p.Addr().Unmap())
		}
	}
	return all
}

// Relay tries the relay of an instance.
func (n Internet) Relay(ctx context.Context, inst instance.Instance) (problem, advice string, err error) {
	return n.Try(ctx, inst)
}
