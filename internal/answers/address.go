package answers

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// checkRelay takes what postconf(5) describes for relayhost: one or more destinations. A blank is no relay, as Debian's question says.
func checkRelay(value string) error {
	if value == "" {
		return nil
	}
	list := splitList(value)
	if len(list) == 0 {
		return fmt.Errorf("%q names no host", value)
	}
	return each(list, checkDestinationHost)
}

// SeveralRelays tells whether a relay host is a list: the next one is tried where the one before is not reached.
func SeveralRelays(relay string) bool { return len(splitList(relay)) > 1 }

// checkDestinationHost takes a domain, host, host:port, [address], [address]:port, with a service's name in place of the port.
func checkDestinationHost(value string) error {
	if strings.Contains(value, "$") {
		return nil // main.cf's own names, as in [mail.$mydomain]
	}
	host, port, err := splitPort(value)
	if err != nil {
		return err
	}
	if port != "" && !validPort(port) {
		return fmt.Errorf("%q is neither a port nor a service", port)
	}
	return checkHost(host)
}

// splitPort cuts [host]:port or host:port. The error is for brackets that do not match and for a port that is not there.
func splitPort(value string) (host, port string, err error) {
	rest, bracketed := strings.CutPrefix(value, "[")
	if !bracketed {
		host, port, found := strings.Cut(value, ":")
		if strings.Contains(port, ":") {
			return "", "", fmt.Errorf("%q: an IPv6 address stands in brackets, as in [2001:db8::1]:25", value)
		}
		if found && port == "" {
			return "", "", fmt.Errorf("%q has no port after the colon", value)
		}
		return host, port, nil
	}
	host, rest, closed := strings.Cut(rest, "]")
	port, isPort := strings.CutPrefix(rest, ":")
	switch {
	case !closed:
		return "", "", fmt.Errorf("%q has no closing bracket", value)
	case rest != "" && (!isPort || port == ""):
		return "", "", fmt.Errorf("%q has %q after the bracket, where only a colon and a port can stand", value, rest)
	}
	return host, port, nil
}

func validPort(port string) bool {
	if strings.Trim(port, "0123456789") == "" {
		n, err := strconv.Atoi(port)
		return err == nil && n > 0 && n < 65536
	}
	first := port[0] | 0x20
	return 'a' <= first && first <= 'z' && validLabel(port, true)
}

// checkHost takes a name or an address. Postfix also takes an IPv4 address without brackets here.
func checkHost(host string) error {
	address := host
	if len(host) > 5 && strings.EqualFold(host[:5], "ipv6:") {
		address = host[5:]
	}
	if ip, err := netip.ParseAddr(address); err == nil && ip.Zone() == "" {
		return nil
	}
	if strings.Contains(host, ":") {
		return fmt.Errorf("%q is not an IPv6 address", address)
	}
	return checkDomain(host, true)
}

// checkNetwork takes one member of mynetworks as Postfix's match lists do (util/match_list.c, util/cidr_match.c): it would
// answer all mail with a temporary error if it could not.
func checkNetwork(item string) error {
	pattern := strings.TrimLeft(item, "!")
	switch {
	case pattern == "":
		return errors.New("there is nothing after the '!'")
	case strings.HasPrefix(pattern, "#"):
		return fmt.Errorf("%q: a comment cannot stand behind the value", item)
	case strings.HasPrefix(pattern, "/"), strings.Contains(pattern, "$"):
		return nil
	case strings.Contains(pattern, ":") && !strings.HasPrefix(pattern, "["):
		if _, err := netip.ParseAddr(strings.Split(pattern, "/")[0]); err == nil {
			return fmt.Errorf("%q: an IPv6 address stands in brackets, as in [::1]/128", item)
		}
		return checkTable(pattern)
	case strings.Trim(pattern, "0123456789./[]abcdefABCDEF:") != "":
		return checkDomain(strings.TrimPrefix(pattern, "."), true) // a client's name
	}
	return checkCIDR(pattern)
}

func checkCIDR(pattern string) error {
	address, mask, masked := strings.Cut(pattern, "/")
	if rest, ok := strings.CutPrefix(pattern, "["); ok { // [address/len] or [address]/len
		inner, tail, closed := strings.Cut(rest, "]")
		if !closed || tail != "" && tail[0] != '/' {
			return fmt.Errorf("%q: the brackets are wrong", pattern)
		}
		address, mask, masked = strings.Cut(inner+tail, "/")
	}
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Zone() != "" {
		if name := checkDomain(address, true); !masked && name == nil {
			return nil // dead.beef is a name
		}
		return fmt.Errorf("%q is not an address", pattern)
	}
	if !masked {
		return nil
	}
	bits, err := strconv.ParseUint(mask, 10, 8)
	if err != nil || int(bits) > ip.BitLen() || strings.Trim(mask, "0123456789") != "" {
		return fmt.Errorf("%q: the mask is a number of bits from 0 to %d", pattern, ip.BitLen())
	}
	if network := maskBits(ip, int(bits)); network != ip {
		return fmt.Errorf("%q has host bits that are not zero: perhaps %s", pattern, suggest(pattern, network, bits))
	}
	return nil
}

// maskBits clears the host bits of an address. netip's own prefixes treat an IPv4 address in IPv6 form as IPv4, Postfix
// counts its 128 bits.
func maskBits(ip netip.Addr, bits int) netip.Addr {
	raw := ip.AsSlice()
	for i := range raw {
		keep := min(max(bits-8*i, 0), 8)
		raw[i] &= byte(0xff << (8 - keep))
	}
	masked, _ := netip.AddrFromSlice(raw)
	return masked
}

func suggest(pattern string, network netip.Addr, bits uint64) string {
	if strings.HasPrefix(pattern, "[") {
		return fmt.Sprintf("[%s]/%d", network, bits)
	}
	return fmt.Sprintf("%s/%d", network, bits)
}
