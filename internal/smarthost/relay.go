package smarthost

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"postfix-maint/internal/answers"
)

// The ports of RFC 8314 and RFC 5321.
const (
	portSMTP        = 25
	portSubmissions = 465
	portSubmission  = 587
)

// services are the names that people write for these ports. They are written to main.cf as numbers: the client looks a name up
// in /etc/services of its chroot.
var services = map[string]int{
	"smtp": portSMTP, "submissions": portSubmissions, "smtps": portSubmissions, "ssmtp": portSubmissions, "submission": portSubmission,
}

// relay is a relayhost taken apart.
type relay struct {
	host    string // name or address, without brackets and "IPv6:"
	port    int
	named   bool   // the port is
	literal bool   // in brackets: the host itself, no MX lookup
	dest    string // as it stands in main.cf, and the key of the password table
}

// parseRelay reads HOST, HOST:PORT, [HOST] or [HOST]:PORT as host_port(3) of Postfix does. An address always goes in brackets.
func parseRelay(text string) (relay, error) {
	fail := func(err error) (relay, error) {
		return relay{}, fmt.Errorf("cannot use %q as relay: %w", text, err)
	}
	if text = answers.Clean(answers.RelayHost, text); text == "" {
		return relay{}, fmt.Errorf("a smarthost needs a relay, as in [smtp.example.com]:587")
	}
	if err := answers.Check(answers.RelayHost, text, nil); err != nil {
		return fail(err)
	}
	if answers.SeveralRelays(text) {
		return fail(fmt.Errorf("TLS and a login are set up for one relay, this is more than one host"))
	}
	var host, port string
	r := relay{port: portSMTP}
	if rest, ok := strings.CutPrefix(text, "["); ok {
		r.literal = true
		host, port, _ = strings.Cut(rest, "]")
		port = strings.TrimPrefix(port, ":")
	} else {
		host, port, _ = strings.Cut(text, ":")
	}
	if strings.Contains(text, "$") {
		return fail(fmt.Errorf("a name of main.cf cannot be the key of a password: write the host out"))
	}
	if len(host) > 5 && strings.EqualFold(host[:5], "ipv6:") {
		host = host[5:]
	}
	if port != "" {
		n, known := services[strings.ToLower(port)]
		if !known {
			var err error
			if n, err = strconv.Atoi(port); err != nil {
				return fail(fmt.Errorf("port %q is no number", port))
			}
		}
		r.port, r.named = n, true
	}
	r.literal = r.literal || net.ParseIP(host) != nil
	r.host = strings.ToLower(host)
	return r.write(), nil
}

// write fills in how the relay is written.
func (r relay) write() relay {
	r.dest = r.host
	if r.literal {
		r.dest = "[" + r.host + "]"
	}
	if r.named {
		r.dest += ":" + strconv.Itoa(r.port)
	}
	return r
}

// relay is the one that is meant. With a login it is a host: without brackets whoever answers the question for MX records chooses the host
// that gets the password, and with the level verify the name that its certificate must have (postconf(5), smtp_tls_verify_cert_match). Only
// secure holds to the name as it is written. No port means that for submission then (RFC 6409, RFC 8314), never 25.
func (o Options) relay() (relay, error) {
	r, err := parseRelay(o.Relay)
	if err != nil || o.User == "" {
		return r, err
	}
	if !r.named {
		r.port, r.named = portSubmission, true
		if o.Wrapper != nil && *o.Wrapper {
			r.port = portSubmissions
		}
	}
	r.literal = r.literal || o.TLS != "secure"
	return r.write(), nil
}

// address tells whether the host is an IP address.
func (r relay) address() bool { return net.ParseIP(r.host) != nil }
