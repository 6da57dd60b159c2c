package multi

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/mastercf"
)

// endpoint is one thing that master(8) listens on for a service: a set of local addresses, and a port. Two of them cannot be
// listened on at the same time if a single address and port is in both.
type endpoint struct {
	service string       // as master.cf has it
	addrs   netip.Prefix // one address, or all of a family, or the loopback network
	host    string       // instead of addrs: a name that only the resolver knows
	port    string       // a number, or a name that /etc/services does not have
	by      string       // the setting of main.cf that it comes from
}

// Sets of addresses. IPv4 and IPv6 are apart: master(8) sets IPV6_V6ONLY (inet_listen.c).
var (
	any4      = netip.MustParsePrefix("0.0.0.0/0")
	any6      = netip.MustParsePrefix("::/0")
	loopback4 = netip.MustParsePrefix("127.0.0.0/8")
	loopback6 = netip.MustParsePrefix("::1/128")
)

// String is the address and port as people write them.
func (e endpoint) String() string {
	switch {
	case e.host != "":
		return e.host + ":" + e.port
	case e.addrs == loopback4:
		return "127.0.0.1:" + e.port
	case e.addrs.Addr().Is6():
		return "[" + e.addrs.Addr().String() + "]:" + e.port
	}
	return e.addrs.Addr().String() + ":" + e.port
}

// written is the address with the setting that it comes from.
func (e endpoint) written() string {
	if e.by == "" {
		return e.String()
	}
	return e.String() + " of " + e.by
}

// overlaps tells whether both cannot be listened on. A host name is the same as itself and lies in "all addresses"; what else
// it may be is not known here.
func (e endpoint) overlaps(o endpoint) bool {
	if e.port != o.port {
		return false
	}
	switch {
	case e.host != "" && o.host != "":
		return strings.EqualFold(e.host, o.host)
	case e.host != "":
		return o.addrs.Bits() == 0
	case o.host != "":
		return e.addrs.Bits() == 0
	}
	return e.addrs.Overlaps(o.addrs)
}

// names are what the host's files know of host and service names.
type names struct {
	hosts map[string][]netip.Addr // lower case
	ports map[string]string
}

// parseNames reads hosts(5) and services(5).
func parseNames(hosts, services []byte) names {
	n := names{hosts: map[string][]netip.Addr{}, ports: map[string]string{
		"smtp": "25", "smtps": "465", "submissions": "465", "submission": "587", "qmqp": "628", // where /etc/services is missing
	}}
	for fields := range fieldLines(hosts) {
		addr, err := netip.ParseAddr(fields[0])
		if err != nil {
			continue
		}
		for _, name := range fields[1:] {
			name = strings.ToLower(name)
			n.hosts[name] = append(n.hosts[name], addr)
		}
	}
	for fields := range fieldLines(services) {
		port, ok := strings.CutSuffix(fields[min(1, len(fields)-1)], "/tcp")
		if !ok {
			continue
		}
		for i, name := range fields {
			if i != 1 {
				n.ports[name] = port
			}
		}
	}
	return n
}

// fieldLines gives the words of each line that has any, comments left out.
func fieldLines(data []byte) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for line := range strings.Lines(string(data)) {
			line, _, _ = strings.Cut(line, "#")
			if fields := strings.Fields(line); len(fields) > 0 && !yield(fields) {
				return
			}
		}
	}
}

// port gives the number of a service, or its name where nobody knows it.
func (n names) port(service string) string {
	if p, err := strconv.ParseUint(service, 10, 16); err == nil {
		return strconv.FormatUint(p, 10)
	}
	if p, ok := n.ports[service]; ok {
		return p
	}
	return service
}

// families are the protocols of inet_protocols.
type families struct{ v4, v6 bool }

func parseFamilies(value string) (families, error) {
	var f families
	for _, word := range words(value) {
		switch word {
		case "all":
			f = families{true, true}
		case "ipv4":
			f.v4 = true
		case "ipv6":
			f.v6 = true
		default:
			return f, fmt.Errorf("%q in inet_protocols is no protocol", word)
		}
	}
	return f, nil
}

func (f families) has(a netip.Addr) bool { return a.Is4() && f.v4 || a.Is6() && f.v6 }

// words splits a list at commas and white space, as master(8) does with those of this file: braces mean nothing.
func words(value string) []string {
	return strings.FieldsFunc(value, func(c rune) bool { return strings.ContainsRune(", \t\r\n", c) })
}

// addresses are what a host name or address of the configuration means: inet_addr_host in Postfix's sources.
func (n names) addresses(host string, f families) []endpoint {
	bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if len(bare) > 5 && strings.EqualFold(bare[:5], "ipv6:") {
		bare = bare[5:]
	}
	list := n.hosts[strings.ToLower(bare)]
	if addr, err := netip.ParseAddr(bare); err == nil {
		list = []netip.Addr{addr}
	} else if len(list) == 0 {
		return []endpoint{{host: bare}}
	}
	var all []endpoint
	for _, addr := range list {
		addr = addr.Unmap()
		if !f.has(addr) {
			continue
		}
		addrs := netip.PrefixFrom(addr.WithZone(""), addr.BitLen())
		if addr.IsUnspecified() {
			addrs = netip.PrefixFrom(addr, 0)
		}
		all = append(all, endpoint{addrs: addrs})
	}
	return all
}

// interfaces are the addresses of inet_interfaces.
func (n names) interfaces(value string, f families) []endpoint {
	pair := func(v4, v6 netip.Prefix) (all []endpoint) {
		if f.v4 {
			all = append(all, endpoint{addrs: v4})
		}
		if f.v6 {
			all = append(all, endpoint{addrs: v6})
		}
		return all
	}
	switch value = strings.TrimSpace(value); {
	case strings.EqualFold(value, "all"):
		return pair(any4, any6)
	case value == "loopback-only":
		return pair(loopback4, loopback6)
	}
	var all []endpoint
	for _, host := range words(value) {
		all = append(all, n.addresses(host, f)...)
	}
	return all
}

// listens works out what master(8) will listen on. What depends on something that Postfix finds out by itself, such as
// $myhostname without a setting, is an error.
func (c *config) listens(n names) ([]endpoint, error) {
	value := func(name, fallback string) (string, error) {
		if _, set := c.main.Get(name); !set {
			return fallback, nil
		}
		return instance.Value(c.main, c.ConfigDir, name)
	}
	disabled, err := value("master_service_disable", "")
	if err != nil {
		return nil, err
	}
	protocols, err := value("inet_protocols", "all")
	if err != nil {
		return nil, err
	}
	family, err := parseFamilies(protocols)
	if err != nil {
		return nil, err
	}
	var all []endpoint
	for _, s := range c.master.Services() {
		if s.Type != "inet" || serviceMatch(disabled, s) {
			continue
		}
		host, port := hostPort(s.Name)
		found, by := n.addresses(host, family), ""
		if host == "" {
			interfaces, err := value("inet_interfaces", "all")
			if err != nil {
				return nil, err
			}
			found, by = n.interfaces(interfaces, family), "inet_interfaces = "+interfaces
		}
		for _, e := range found {
			e.service, e.port, e.by = s.Name, n.port(port), by
			all = append(all, e)
		}
	}
	return all, nil
}

// hostPort takes the name of an inet service apart: port, host:port, [host]:port (host_port.c).
func hostPort(name string) (host, port string) {
	if rest, ok := strings.CutPrefix(name, "["); ok {
		host, rest, _ = strings.Cut(rest, "]")
		return host, strings.TrimPrefix(rest, ":")
	}
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return "", name
}

// serviceMatch tells whether a list of patterns has the service: "type", "name/type", the older "name.type", each with any
// number of "!" before it; the first that fits decides (match_service.c).
func serviceMatch(patterns string, s mastercf.Service) bool {
	for _, p := range words(patterns) {
		yes := true
		for ; strings.HasPrefix(p, "!"); p = p[1:] {
			yes = !yes
		}
		if i := strings.LastIndexByte(p, '.'); i >= 0 && !strings.Contains(p, "/") {
			p = p[:i] + "/" + p[i+1:]
		}
		against := s.Type
		if strings.Contains(p, "/") {
			against = s.Name + "/" + s.Type
		}
		if strings.EqualFold(p, against) {
			return yes
		}
	}
	return false
}
