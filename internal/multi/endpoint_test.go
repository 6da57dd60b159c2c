package multi

import (
	"strings"
	"testing"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
)

// hosts and services as the tests' host has them.
const (
	hostsFile    = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n10.0.0.1 mail.example.test Mail # this one\nnonsense x\n"
	servicesFile = "smtp\t25/tcp\tmail\n# comment\nsubmission 587/tcp\nsmtp 25/udp\nbsmtp\t2500/tcp\nlonely\n"
)

func parsed(t *testing.T, name, main, master string) *config {
	t.Helper()
	c := &config{Instance: instance.Instance{Name: name, ConfigDir: "/etc/" + name, Enabled: true}}
	var err error
	if c.main, err = maincf.Parse([]byte(main)); err != nil {
		t.Fatal(err)
	}
	if c.master, err = mastercf.Parse([]byte(master)); err != nil {
		t.Fatal(err)
	}
	return c
}

// inet is a line of master.cf.
func inet(name string) string { return name + " inet n - y - - smtpd\n" }

func TestListens(t *testing.T) {
	t.Parallel()
	const smtp = "smtp inet n - y - - smtpd\nsmtp unix - - y - - smtp\n"
	for name, c := range map[string]struct {
		main, master string
		want         string
		wantErr      string
	}{
		"Postfix's defaults are all addresses":         {"", smtp, "0.0.0.0:25 [::]:25", ""},
		"one protocol":                                 {"inet_protocols = ipv4", smtp, "0.0.0.0:25", ""},
		"a list of protocols":                          {"inet_protocols = ipv6, ipv4", smtp, "0.0.0.0:25 [::]:25", ""},
		"all in capitals":                              {"inet_interfaces = ALL", smtp, "0.0.0.0:25 [::]:25", ""},
		"loopback-only is a network":                   {"inet_interfaces = loopback-only", smtp, "127.0.0.1:25 [::1]:25", ""},
		"addresses, one of a protocol that is off":     {"inet_interfaces = 10.0.0.2,[2001:db8::1]\ninet_protocols=ipv4", smtp, "10.0.0.2:25", ""},
		"an IPv6 address in each form":                 {"inet_interfaces = 2001:db8::1 [IPv6:2001:db8::2]", smtp, "[2001:db8::1]:25 [2001:db8::2]:25", ""},
		"an IPv4 address in IPv6 clothes":              {"inet_interfaces = ::ffff:10.0.0.2", smtp, "10.0.0.2:25", ""},
		"names of the hosts file in any case":          {"inet_interfaces = localhost MAIL", smtp, "127.0.0.1:25 [::1]:25 10.0.0.1:25", ""},
		"a name that only the resolver knows":          {"inet_interfaces = mx.example.org", smtp, "mx.example.org:25", ""},
		"a parameter in it":                            {"inet_interfaces = $myhostname, localhost\nmyhostname = mail.example.test", smtp, "10.0.0.1:25 127.0.0.1:25 [::1]:25", ""},
		"no interface":                                 {"inet_interfaces =", smtp, "", ""},
		"a service with its own address":               {"inet_interfaces = 10.0.0.2", inet("127.0.0.1:10025") + inet("[::1]:mail") + inet(":bsmtp"), "127.0.0.1:10025 [::1]:25 10.0.0.2:2500", ""},
		"a service on all addresses by itself":         {"inet_interfaces = loopback-only", inet("[::]:25") + inet("0.0.0.0:025"), "[::]:25 0.0.0.0:25", ""},
		"names of ports, also without /etc/services":   {"inet_protocols=ipv4", inet("smtps") + inet("submissions") + inet("unheard"), "0.0.0.0:465 0.0.0.0:465 0.0.0.0:unheard", ""},
		"all inet services off":                        {"master_service_disable = inet", smtp, "", ""},
		"one service off":                              {"master_service_disable = smtp/inet", smtp + inet("submission"), "0.0.0.0:587 [::]:587", ""},
		"the older form, and an exception":             {"master_service_disable = !submission.inet, INET", smtp + inet("submission"), "0.0.0.0:587 [::]:587", ""},
		"other services off":                           {"master_service_disable = unix 10025.inet", smtp, "0.0.0.0:25 [::]:25", ""},
		"a name that Postfix finds out":                {"inet_interfaces = $myhostname", smtp, "", "$myhostname"},
		"what Postfix finds out for nothing is no bar": {"inet_interfaces = $myhostname\nmaster_service_disable=inet", smtp, "", ""},
		"no such protocol":                             {"inet_protocols = ipx", smtp, "", `"ipx"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parsed(t, "x", c.main, c.master).listens(parseNames([]byte(hostsFile), []byte(servicesFile)))
			if err == nil && c.wantErr != "" || err != nil && (c.wantErr == "" || !strings.Contains(err.Error(), c.wantErr)) {
				t.Fatalf("error %v, want %q in it", err, c.wantErr)
			}
			var text []string
			for _, e := range got {
				text = append(text, e.String())
			}
			if s := strings.Join(text, " "); s != c.want {
				t.Errorf("listens on %q, want %q", s, c.want)
			}
		})
	}
}

func TestOverlaps(t *testing.T) {
	t.Parallel()
	// The inet_interfaces of two instances with the same service, and whether both can run.
	for name, c := range map[string]struct {
		a, b string
		want bool
	}{
		"all and all":                           {"all", "all", true},
		"all and one address":                   {"all", "10.0.0.2", true},
		"all and an IPv6 address":               {"all", "2001:db8::1", true},
		"two addresses":                         {"10.0.0.2", "10.0.0.3", false},
		"one of several":                        {"10.0.0.2 10.0.0.3", "10.0.0.3", true},
		"all IPv4 beside an IPv6 address":       {"0.0.0.0", "2001:db8::1", false},
		"all IPv4 beside all IPv6":              {"0.0.0.0", "::", false},
		"loopback and an address of its net":    {"loopback-only", "127.0.0.2", true},
		"loopback and another address":          {"loopback-only", "10.0.0.2", false},
		"loopback and all":                      {"loopback-only", "all", true},
		"two addresses of the loopback net":     {"127.0.0.1", "127.0.0.2", false},
		"an address by its name":                {"mail.example.test", "10.0.0.1", true},
		"an unknown name and all":               {"mx.example.org", "all", true},
		"an unknown name and itself":            {"mx.example.org", "MX.example.org", true},
		"an unknown name and an address":        {"mx.example.org", "10.0.0.2", false},
		"an unknown name and another one":       {"mx.example.org", "my.example.org", false},
		"the same address written in two forms": {"2001:db8::1", "[2001:0db8:0:0::1]", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &site{names: parseNames([]byte(hostsFile), []byte(servicesFile))}
			a := parsed(t, "a", "inet_interfaces = "+c.a, inet("smtp"))
			b := parsed(t, "b", "inet_interfaces = "+c.b, inet("25"))
			s.insts = []*config{a, b}
			for _, one := range s.insts { // it is mutual
				found, err := s.conflicts(one)
				if err != nil || (len(found) > 0) != c.want {
					t.Errorf("conflicts of %s: %q, %v", one.Name, found, err)
				}
			}
			b.Enabled = false
			if found, _ := s.conflicts(a); len(found) > 0 {
				t.Errorf("an instance that is not enabled: %q", found)
			}
			b.Enabled = true
			b.master, s.heard = parsed(t, "b", "", inet("26")).master, nil
			if found, _ := s.conflicts(a); len(found) > 0 {
				t.Errorf("another port: %q", found)
			}
		})
	}
}

func TestConflictsNameBothSides(t *testing.T) {
	t.Parallel()
	s := &site{names: parseNames(nil, nil), insts: []*config{
		parsed(t, "postfix-in", "inet_interfaces=10.0.0.1", inet("smtp")), parsed(t, "postfix-out", "inet_interfaces=10.0.0.1", inet("10.0.0.1:25")),
	}}
	found, err := s.conflicts(s.insts[1])
	want := "its service 10.0.0.1:25 (10.0.0.1:25) meets service smtp (10.0.0.1:25 of inet_interfaces = 10.0.0.1) of instance postfix-in"
	if err != nil || len(found) != 1 || found[0] != want {
		t.Errorf("got %q, %v", found, err)
	}
}
