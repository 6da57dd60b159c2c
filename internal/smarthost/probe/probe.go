// Package probe (ring: flow) talks to a mail relay as Postfix's client would, step by step, and says where and why it does not
// work: names, connection, TLS, certificate, login. It sends no mail, and no password over a connection without TLS.
package probe

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience bounds each step.
const patience = 10 * time.Second

// Target is the relay and what is asked of it.
type Target struct {
	Host    string // name, address or, with MX, mail domain
	Port    int
	MX      bool
	Network string // "tcp", "tcp4" or "tcp6"
	Level   string // as smtp_tls_security_level
	Wrapper bool
	Match   []string       // names that the certificate may have: NAME, .DOMAIN, "hostname"
	Roots   *x509.CertPool // CAs that are trusted
	HELO    string
	User    string
	Secret  string
	// Addresses are those of the host, where somebody has looked them up.
	Addresses []string
	Hold      string   // why the login is not to be tried, "" if it may be
	May       []string // the mechanisms among Tried that Postfix's settings let it use; nil is all of them
	Local     bool     // a relay of ours at this host, which looks whose connection it is: a login needs no TLS there
}

// Cause says what went wrong, for those who explain it.
type Cause string

// The causes, in the order in which they can be met.
const (
	NoName      Cause = "name"        // no address
	NoAnswer    Cause = "connect"     // no connection
	NoGreeting  Cause = "greeting"    // connected, but no mail server speaks
	NotTLS      Cause = "wrapper"     // TLS from the first byte was answered by something else
	NoStartTLS  Cause = "starttls"    // not offered, or refused
	Handshake   Cause = "handshake"   // TLS could not be agreed on
	Untrusted   Cause = "untrusted"   // no CA that is trusted
	Expired     Cause = "expired"     // or not valid yet
	OtherName   Cause = "mismatch"    // the certificate has other names
	NoAuth      Cause = "noauth"      // the relay offers no login
	NoMechanism Cause = "mechanism"   // none that is tried here: no failure by itself
	Refused     Cause = "credentials" // account and password
)

// Failure is where a probe ended.
type Failure struct {
	Cause Cause  `json:"cause"`
	Text  string `json:"text"` // what was seen or said
}

// Error gives the text.
func (f *Failure) Error() string { return f.Text }

// Certificate is the relay's, and what the trusted CAs and the names say to it.
type Certificate struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Names     []string  `json:"names"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Trusted   bool      `json:"trusted"`
	Matched   bool      `json:"matched"`
	Why       string    `json:"why,omitempty"` // not trusted
}

// Report is what was found, as far as the probe came.
type Report struct {
	Hosts       []string     `json:"hosts,omitempty"`     // that the domain's mail goes to
	Addresses   []string     `json:"addresses,omitempty"` // of the host
	Host        string       `json:"host,omitempty"`      // that was reached
	Address     string       `json:"address,omitempty"`
	Greeting    string       `json:"greeting,omitempty"`
	TLS         string       `json:"tls,omitempty"` // version and cipher
	Certificate *Certificate `json:"certificate,omitempty"`
	Mechanisms  []string     `json:"mechanisms,omitempty"` // offered for the login
	Mechanism   string       `json:"mechanism,omitempty"`  // tried
	AuthReply   string       `json:"auth_reply,omitempty"`
	Untried     string       `json:"untried,omitempty"`  // why no login was tried here; Postfix itself decides
	Unspoken    string       `json:"unspoken,omitempty"` // why TLS, and what comes behind it, could not be tried here; Postfix itself decides
	Failure     *Failure     `json:"failure,omitempty"`
}

// Run probes the relay.
func Run(ctx context.Context, t Target) *Report {
	r := &Report{}
	err := r.run(ctx, t)
	var f *Failure
	switch {
	case err == nil, errors.Is(err, errUnspoken):
	case errors.As(err, &f):
		r.Failure = f
	default:
		r.Failure = &Failure{NoGreeting, err.Error()}
	}
	return r
}

func (r *Report) run(ctx context.Context, t Target) error {
	hosts, err := resolve(ctx, t)
	if err != nil {
		return err
	}
	if t.MX {
		r.Hosts = hosts
	}
	conn, err := r.connect(ctx, t, hosts)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	return r.talk(conn, t)
}

// resolve gives the hosts to be tried: those of the MX records, or the host itself.
func resolve(ctx context.Context, t Target) ([]string, error) {
	if !t.MX {
		return []string{t.Host}, nil
	}
	records, err := net.DefaultResolver.LookupMX(ctx, t.Host)
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound, err == nil && len(records) == 0:
		return []string{t.Host}, nil // RFC 5321 5.1: the host of that name
	case err != nil:
		return nil, &Failure{NoName, fmt.Sprintf("the mail servers of %s can't be looked up: %v", t.Host, err)}
	}
	var hosts []string
	for _, mx := range records {
		hosts = append(hosts, strings.TrimSuffix(mx.Host, "."))
	}
	return hosts, nil
}

// connect tries every address of every host.
func (r *Report) connect(ctx context.Context, t Target, hosts []string) (net.Conn, error) {
	var last error
	for _, host := range hosts {
		addresses, err := lookup(ctx, t, host)
		if err != nil {
			last = err
			continue
		}
		r.Addresses = append(r.Addresses, addresses...)
		for _, address := range addresses {
			d := net.Dialer{Timeout: patience}
			conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(t.Port)))
			if err == nil {
				r.Host, r.Address = host, address
				return conn, nil
			}
			last = &Failure{NoAnswer, fmt.Sprintf("%s port %d: %s", address, t.Port, plain(err))}
		}
	}
	return nil, last
}

// lookup gives the addresses of a host in the families that Postfix uses.
func lookup(ctx context.Context, t Target, host string) ([]string, error) {
	if _, err := netip.ParseAddr(host); err == nil {
		return []string{host}, nil
	}
	if len(t.Addresses) > 0 {
		return t.Addresses, nil
	}
	network := strings.Replace(t.Network, "tcp", "ip", 1)
	ips, err := net.DefaultResolver.LookupNetIP(ctx, network, host)
	if err != nil {
		return nil, &Failure{NoName, fmt.Sprintf("%s has no address: %s", host, plain(err))}
	}
	var list []string
	for _, ip := range ips {
		list = append(list, ip.Unmap().String())
	}
	return list, nil
}

// plain is an error of the network without the addresses and operations that the reader has seen.
func plain(err error) string {
	var dns *net.DNSError
	var no syscall.Errno
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the DNS knows no such name"
	case errors.As(err, &dns) && dns.IsTimeout:
		return "the DNS does not answer"
	case errors.As(err, &dns):
		return dns.Err
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return "no answer in time"
	case errors.As(err, &no):
		return no.Error()
	}
	return err.Error()
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}
