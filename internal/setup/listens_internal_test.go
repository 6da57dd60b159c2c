package setup

import (
	"net/netip"
	"testing"

	"postfix-maint/internal/maincf"
)

func TestWhatRunsDecidesOnARestart(t *testing.T) {
	const smtp, local = "smtp inet n - y - - smtpd\n", "127.0.0.1:10025 inet n - y - - smtpd\n"
	all, loopback := netip.MustParseAddrPort("0.0.0.0:25"), netip.MustParseAddrPort("127.0.0.1:25")
	const list = "inet_interfaces = 127.0.0.1, 192.0.2.1 [::1]\n"
	other := netip.MustParseAddrPort("[::ffff:192.0.2.1]:25")
	all6 := netip.MustParseAddrPort("[::]:25")
	for name, c := range map[string]struct {
		main, master string
		at           []netip.AddrPort
		want         bool
	}{
		"to all, as it says":                       {main: "inet_interfaces = all\n", master: smtp, at: []netip.AddrPort{all}},
		"to all by IPv6":                           {main: "inet_interfaces = all\n", master: smtp, at: []netip.AddrPort{all6, loopback}},
		"to all, as it says by saying nothing":     {master: smtp, at: []netip.AddrPort{all}},
		"to itself, and it says all":               {main: "inet_interfaces = all\n", master: smtp, at: []netip.AddrPort{loopback}, want: true},
		"to itself, and it says nothing":           {master: smtp, at: []netip.AddrPort{loopback}, want: true},
		"to all, and it says itself":               {main: "inet_interfaces = loopback-only\n", master: smtp, at: []netip.AddrPort{all}, want: true},
		"to all, and it says itself by an address": {main: "inet_interfaces = 127.0.0.1\n", master: smtp, at: []netip.AddrPort{all}, want: true},
		"to itself, as it says":                    {main: "inet_interfaces = loopback-only\n", master: smtp, at: []netip.AddrPort{loopback}},
		"only services that name an address":       {main: "inet_interfaces = all\n", master: local, at: []netip.AddrPort{loopback}},
		"a service that may name all":              {main: "inet_interfaces = loopback-only\n", master: smtp + "0.0.0.0:26 inet n - y - - smtpd\n", at: []netip.AddrPort{all}},
		"to all, and it lists addresses":           {main: "inet_interfaces = 192.0.2.1\n", master: smtp, at: []netip.AddrPort{all}, want: true},
		"to the addresses of the list":             {main: list, master: smtp, at: []netip.AddrPort{loopback, other, netip.MustParseAddrPort("[::1]:25")}},
		"to one of the list only":                  {main: list, master: smtp, at: []netip.AddrPort{loopback}, want: true},
		"to one that is no longer listed":          {main: "inet_interfaces = 192.0.2.1\n", master: smtp, at: []netip.AddrPort{loopback, other}, want: true},
		"to another one than listed":               {main: "inet_interfaces = 192.0.2.1\n", master: smtp, at: []netip.AddrPort{loopback}, want: true},
		"one more, which a service may name":       {main: "inet_interfaces = 192.0.2.1\n", master: smtp + local, at: []netip.AddrPort{loopback, other}},
		"the list has a protocol that is not used": {main: list + "inet_protocols = ipv4\n", master: smtp, at: []netip.AddrPort{loopback, other}},
		"a list with a name":                       {main: "inet_interfaces = $myhostname, 127.0.0.1\n", master: smtp, at: []netip.AddrPort{other}},
		"a list with all":                          {main: "inet_interfaces = 127.0.0.1, all\n", master: smtp, at: []netip.AddrPort{all}},
		"nothing is to be seen":                    {main: "inet_interfaces = all\n", master: smtp},
	} {
		f, err := maincf.Parse([]byte(c.main))
		if err != nil {
			t.Fatal(err)
		}
		if got := otherSockets(f, []byte(c.master), c.at); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
