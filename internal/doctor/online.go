package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"postfix-maint/internal/dns"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
)

// Network is what checks ask of other hosts. Every call has a limit of its own.
type Network interface {
	Lookup(ctx context.Context, kind dns.Kind, name string) ([]string, error)
	Answers(ctx context.Context, server string) error   // a name server
	Connects(ctx context.Context, address string) error // to a port
	Outward(network string) (netip.Addr, bool)          // the address from which this host would speak; nothing is sent
	Own() []netip.Addr
	Relay(ctx context.Context, inst instance.Instance) (problem, advice string, err error) // of the relay of an instance
}

// Online is what the network says of an instance.
type Online struct {
	Greeting  string // the name with which it greets
	Line      int    // in main.cf
	Nameless  bool   // that has no address
	Nobodys   []string
	Others    []string
	Elsewhere []string
	Blocked   string
	Resolv    string // the file that names the name servers
	Servers   int    // that it names
	Silent    []string
	Relay     string
	Advice    string
}

// onlineLimit bounds all that is asked, side by side.
const onlineLimit = 20 * time.Second

// asker asks for one instance. What it cannot find out it notes.
type asker struct {
	Host
	net   Network
	inst  *Instance
	mu    *sync.Mutex
	facts *Facts
}

// online asks what every instance has to ask.
func (h Host) online(ctx context.Context, f *Facts) {
	ctx, cancel := context.WithTimeout(ctx, onlineLimit)
	defer cancel()
	net := &memo{Network: h.Net, slots: make(chan struct{}, 16)}
	var wait sync.WaitGroup
	mu := &sync.Mutex{}
	for n := range f.Instances {
		i := &f.Instances[n]
		i.Online = &Online{}
		a := asker{h, net, i, mu, f}
		if out, err := h.output(ctx, paths.Postconf, "-c", i.ConfigDir, "-hx", "smtp_helo_name"); err == nil {
			i.Online.Greeting = strings.TrimSpace(string(out))
		} else {
			a.unseen(fmt.Errorf("cannot ask for smtp_helo_name: %w", err))
		}
		jobs := []func(context.Context){a.resolvers, a.destinations, a.relay}
		if i.direct() {
			jobs = append(jobs, a.greeting, a.reverse, a.port25)
		}
		for _, do := range jobs {
			wait.Go(func() { do(ctx) })
		}
	}
	wait.Wait()
}

// unseen notes what could not be asked.
func (a asker) unseen(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if text := err.Error(); !slices.Contains(a.facts.Unseen, text) {
		a.facts.Unseen = append(a.facts.Unseen, text)
	}
}

// lookup is Lookup with nothing for what is not there; ok is false where nobody knows.
func (a asker) lookup(ctx context.Context, kind dns.Kind, name string) (found []string, ok bool) {
	found, err := a.net.Lookup(ctx, kind, name)
	if err != nil && !errors.Is(err, dns.ErrNone) {
		a.unseen(fmt.Errorf("cannot look up %s: %w", name, err))
		return nil, false
	}
	return found, true
}

// addresses are those of a name.
func (a asker) addresses(ctx context.Context, name string) (found []netip.Addr, ok bool) {
	for _, kind := range []dns.Kind{dns.A, dns.AAAA} {
		texts, known := a.lookup(ctx, kind, name)
		if !known {
			return nil, false
		}
		for _, text := range texts {
			if ip, err := netip.ParseAddr(text); err == nil {
				found = append(found, ip)
			}
		}
	}
	return found, true
}

// direct tells whether the instance talks to the mail servers of all the world itself. Where tables decide, nobody here knows.
func (i *Instance) direct() bool {
	for _, name := range []string{"relayhost", "transport_maps", "sender_dependent_relayhost_maps", "sender_dependent_default_transport_maps"} {
		if v, _ := i.param(name); v != "" {
			return false
		}
	}
	to, _ := i.param("default_transport")
	return i.Main != nil && (to == "" || to == "smtp")
}

// greeting looks for the address of the name that the instance gives to others.
func (a asker) greeting(ctx context.Context) {
	o := a.inst.Online
	for _, name := range []string{"smtp_helo_name", "myhostname"} {
		if o.Line == 0 {
			o.Line = a.inst.lineOf(name)
		}
	}
	if !strings.Contains(o.Greeting, ".") || strings.HasPrefix(o.Greeting, "[") { // that is another finding; or an address
		return
	}
	found, ok := a.addresses(ctx, o.Greeting)
	o.Nameless = ok && len(found) == 0
}

// public tells an address that others see.
func public(ip netip.Addr) bool {
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && !netip.MustParsePrefix("100.64.0.0/10").Contains(ip)
}

// reverse looks for the names of the addresses that others see. Behind a router that translates them nobody here knows which those are.
func (a asker) reverse(ctx context.Context) {
	for network, bound := range map[string]string{"udp4": "smtp_bind_address", "udp6": "smtp_bind_address6"} {
		ip, ok := a.net.Outward(network)
		if v, _ := a.inst.param(bound); v != "" {
			ip, _ = netip.ParseAddr(v)
		}
		if only, _ := a.inst.param("inet_protocols"); !ok || !ip.IsValid() || !public(ip) || only == map[string]string{"udp4": "ipv6", "udp6": "ipv4"}[network] {
			continue
		}
		names, ok := a.lookup(ctx, dns.PTR, dns.Reverse(ip))
		if !ok {
			continue
		}
		a.named(ctx, ip, names)
	}
	slices.Sort(a.inst.Online.Nobodys)
	slices.Sort(a.inst.Online.Others)
}

// named judges the names of an address.
func (a asker) named(ctx context.Context, ip netip.Addr, names []string) {
	o := a.inst.Online
	if len(names) == 0 {
		o.Nobodys = append(o.Nobodys, fmt.Sprintf("%s has no name", ip))
		return
	}
	for _, name := range names {
		back, ok := a.addresses(ctx, name)
		if !ok {
			return
		}
		if slices.Contains(back, ip) {
			if !slices.Contains(names, strings.ToLower(strings.TrimSuffix(o.Greeting, "."))) {
				o.Others = append(o.Others, fmt.Sprintf("%s is called %s, and the greeting says %s", ip, name, o.Greeting))
			}
			return
		}
	}
	o.Nobodys = append(o.Nobodys, fmt.Sprintf("%s is called %s, which is no name of that address", ip, names[0]))
}

// mostDomains are looked up of mydestination.
const mostDomains = 20

// destinations looks for domains that this host keeps the mail of, and whose mail others are to get.
func (a asker) destinations(ctx context.Context) {
	value, _ := a.inst.param("mydestination")
	var names []string
	for _, d := range maincf.SplitList(value) {
		if d = strings.ToLower(d); strings.Contains(d, ".") && !strings.ContainsAny(d, "/:[!") && !strings.HasPrefix(d, "localhost.") {
			names = append(names, d)
		}
	}
	own := append(slices.Clone(names), strings.ToLower(a.inst.Online.Greeting))
	for _, d := range names[:min(len(names), mostDomains)] {
		hosts, ok := a.lookup(ctx, dns.MX, d)
		if !ok || len(hosts) == 0 || hosts[0] == "" || slices.ContainsFunc(hosts, func(h string) bool { return slices.Contains(own, h) }) {
			continue
		}
		if elsewhere, ok := a.elsewhere(ctx, hosts); ok && elsewhere {
			a.inst.Online.Elsewhere = append(a.inst.Online.Elsewhere, fmt.Sprintf("%s: its mail goes to %s", d, hosts[0]))
		}
	}
}

// elsewhere tells whether none of some hosts is this one, whose addresses others may see as those of its greeting.
func (a asker) elsewhere(ctx context.Context, hosts []string) (elsewhere, ok bool) {
	ours := a.net.Own()
	if value, _ := a.inst.param("proxy_interfaces"); value != "" {
		for _, text := range maincf.SplitList(value) {
			if ip, err := netip.ParseAddr(text); err == nil {
				ours = append(ours, ip)
			}
		}
	}
	if strings.Contains(a.inst.Online.Greeting, ".") {
		seen, ok := a.addresses(ctx, a.inst.Online.Greeting)
		if !ok {
			return false, false
		}
		ours = append(ours, seen...)
	}
	for _, h := range hosts {
		found, ok := a.addresses(ctx, h)
		if !ok {
			return false, false
		}
		if slices.ContainsFunc(found, func(ip netip.Addr) bool { return slices.Contains(ours, ip) }) {
			return false, true
		}
	}
	return true, true
}

// openTo are domains whose mail servers answer everybody.
var openTo = []string{"debian.org", "gmail.com"}

// port25 tries to reach mail servers of others: no bytes are sent.
func (a asker) port25(ctx context.Context) {
	kind := dns.A
	if _, ok := a.net.Outward("udp4"); !ok {
		if kind = dns.AAAA; !func() bool { _, ok := a.net.Outward("udp6"); return ok }() {
			a.unseen(errors.New("cannot try port 25: no route leads out of this host"))
			return
		}
	}
	var tried []string
	for _, domain := range openTo {
		hosts, ok := a.lookup(ctx, dns.MX, domain)
		if !ok || len(hosts) == 0 {
			continue
		}
		found, ok := a.lookup(ctx, kind, hosts[0])
		if !ok || len(found) == 0 {
			continue
		}
		ip, err := netip.ParseAddr(found[0])
		if err != nil {
			continue
		}
		if err := a.net.Connects(ctx, netip.AddrPortFrom(ip, 25).String()); err == nil {
			return
		}
		tried = append(tried, hosts[0])
	}
	if len(tried) > 0 && ctx.Err() == nil {
		a.inst.Online.Blocked = "port 25 does not answer at " + strings.Join(tried, ", nor at ")
	}
}

// resolvers asks the name servers that the instance asks.
func (a asker) resolvers(ctx context.Context) {
	o := a.inst.Online
	o.Resolv = paths.ResolvConf
	if a.inst.Master != nil {
		level, _ := a.inst.param("compatibility_level")
		for _, s := range a.inst.Master.Services() {
			if s.Command == "smtp" && s.Chrooted(level) {
				o.Resolv = path.Join(a.inst.QueueDir, paths.ResolvConf)
			}
		}
	}
	text, err := a.Root.ReadFile(o.Resolv)
	if err != nil {
		a.unseen(err)
		return
	}
	servers := dns.Servers(text)
	o.Servers = len(servers)
	silent := make([]bool, len(servers))
	var wait sync.WaitGroup
	for n, s := range servers {
		wait.Go(func() { silent[n] = a.net.Answers(ctx, s) != nil })
	}
	wait.Wait()
	for n, s := range servers {
		if silent[n] {
			o.Silent = append(o.Silent, strings.TrimSuffix(s, ":53"))
		}
	}
}

// relay tries the relay up to the login.
func (a asker) relay(ctx context.Context) {
	var err error
	if a.inst.Online.Relay, a.inst.Online.Advice, err = a.net.Relay(ctx, a.inst.Instance); err != nil {
		a.unseen(err)
	}
}
