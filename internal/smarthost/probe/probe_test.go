package probe_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"postfix-maint/internal/smarthost/probe"
)

// relay is a mail server that says what a test wants it to say, and keeps what it hears without TLS.
type relay struct {
	cert     tls.Certificate
	wrapper  bool
	old      bool              // knows only ciphers that crypto/tls does not offer by itself, as one with DHE alone does
	banner   string            // "" is a usual one
	open     string            // extensions without TLS, divided by semicolons
	secure   string            // with TLS
	replies  map[string]string // start of a command -> reply
	mu       sync.Mutex
	overhead []string
}

func (r *relay) serve(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go r.talk(conn)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func (r *relay) talk(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	config := &tls.Config{Certificates: []tls.Certificate{r.cert}}
	if r.old {
		config.CipherSuites, config.MaxVersion = []uint16{tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA}, tls.VersionTLS12
	}
	safe := r.wrapper
	if safe {
		conn = tls.Server(conn, config)
	}
	banner := r.banner
	if banner == "" {
		banner = "220 relay ESMTP"
	}
	fmt.Fprintf(conn, "%s\r\n", banner)
	in := bufio.NewScanner(conn)
	for in.Scan() {
		line := in.Text()
		if !safe {
			r.mu.Lock()
			r.overhead = append(r.overhead, line)
			r.mu.Unlock()
		}
		reply := "235 ok"
		for start, text := range r.replies {
			if strings.HasPrefix(line, start) {
				reply = text
			}
		}
		switch {
		case strings.HasPrefix(line, "EHLO"):
			extensions := r.open
			if safe {
				extensions = r.secure
			}
			fmt.Fprintf(conn, "250-relay\r\n")
			for _, e := range strings.Split(extensions, "; ") {
				fmt.Fprintf(conn, "250-%s\r\n", e)
			}
			reply = "250 HELP"
		case line == "STARTTLS" && reply == "235 ok":
			fmt.Fprintf(conn, "220 go\r\n")
			conn = tls.Server(conn, config)
			in, safe = bufio.NewScanner(conn), true
			continue
		}
		fmt.Fprintf(conn, "%s\r\n", reply)
	}
}

// A relay with which only Postfix has a cipher in common is not to blame; it gets no login, and Postfix tries it.
func TestARelayThatTheTestCannotSpeakTo(t *testing.T) {
	issuer := newCA(t)
	for _, wrapper := range []bool{true, false} {
		r := &relay{cert: issuer.leaf(good, time.Hour, good), open: "STARTTLS", secure: "AUTH PLAIN", wrapper: wrapper, old: true}
		report := probe.Run(t.Context(), probe.Target{
			Host: "127.0.0.1", Port: r.serve(t), Network: "tcp", Level: "verify", Match: []string{good}, Roots: issuer.pool, HELO: "c", User: "u",
			Secret: "geheim", Wrapper: wrapper,
		})
		if report.Failure != nil || !strings.Contains(report.Unspoken, "DHE") || report.Mechanism != "" {
			t.Errorf("wrapper %v: %+v, %v", wrapper, report, report.Failure)
		}
	}
}

// ca issues certificates.
type ca struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newCA(t *testing.T) *ca {
	t.Helper()
	c := &ca{t: t, pool: x509.NewCertPool()}
	c.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	made := c.issue(c.cert)
	c.key = made.PrivateKey.(*ecdsa.PrivateKey)
	var err error
	if c.cert, err = x509.ParseCertificate(made.Certificate[0]); err != nil {
		t.Fatal(err)
	}
	c.pool.AddCert(c.cert)
	return c
}

func (c *ca) issue(template *x509.Certificate) tls.Certificate {
	c.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	signer := c.key
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, &key.PublicKey, signer)
	if err != nil {
		c.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (c *ca) leaf(common string, until time.Duration, names ...string) tls.Certificate {
	return c.issue(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: common}, DNSNames: names,
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(until),
	})
}

const good = "relay.example"

func TestRun(t *testing.T) {
	issuer, other := newCA(t), newCA(t)
	fine := issuer.leaf(good, time.Hour, good)
	for name, c := range map[string]struct {
		relay     *relay
		edit      func(*probe.Target)
		cause     probe.Cause // "" is success
		mechanism string
	}{
		"STARTTLS and PLAIN":          {relay: &relay{cert: fine, open: "STARTTLS", secure: "AUTH PLAIN LOGIN"}, mechanism: "PLAIN"},
		"the old form of AUTH":        {relay: &relay{cert: fine, open: "STARTTLS", secure: "AUTH=PLAIN"}, mechanism: "PLAIN"},
		"no STARTTLS":                 {relay: &relay{cert: fine, open: "AUTH PLAIN"}, cause: probe.NoStartTLS},
		"STARTTLS refused":            {relay: &relay{cert: fine, open: "STARTTLS; AUTH PLAIN", replies: map[string]string{"STARTTLS": "454 later"}}, cause: probe.NoStartTLS},
		"an unknown CA":               {relay: &relay{cert: other.leaf(good, time.Hour, good), open: "STARTTLS", secure: "AUTH PLAIN"}, cause: probe.Untrusted},
		"an expired certificate":      {relay: &relay{cert: issuer.leaf(good, -time.Hour, good), open: "STARTTLS", secure: "AUTH PLAIN"}, cause: probe.Expired},
		"another name":                {relay: &relay{cert: issuer.leaf(good, time.Hour, "other.example"), open: "STARTTLS", secure: "AUTH PLAIN"}, cause: probe.OtherName},
		"a name in the subject alone": {relay: &relay{cert: issuer.leaf(good, time.Hour), open: "STARTTLS", secure: "AUTH PLAIN"}, mechanism: "PLAIN"},
		"a name below the domain":     {relay: &relay{cert: issuer.leaf(good, time.Hour, "a.b.example"), open: "STARTTLS", secure: "AUTH PLAIN"}, edit: func(x *probe.Target) { x.Match = []string{".b.example"} }, mechanism: "PLAIN"},
		"a wildcard for one label":    {relay: &relay{cert: issuer.leaf(good, time.Hour, "*.b.example"), open: "STARTTLS", secure: "AUTH PLAIN"}, edit: func(x *probe.Target) { x.Match = []string{"a.b.example"} }, mechanism: "PLAIN"},
		"a wildcard for two labels":   {relay: &relay{cert: issuer.leaf(good, time.Hour, "*.example"), open: "STARTTLS", secure: "AUTH PLAIN"}, edit: func(x *probe.Target) { x.Match = []string{"a.b.example"} }, cause: probe.OtherName},
		"any certificate at encrypt":  {relay: &relay{cert: other.leaf("x", -time.Hour, "x"), open: "STARTTLS", secure: "AUTH PLAIN"}, edit: func(x *probe.Target) { x.Level = "encrypt" }, mechanism: "PLAIN"},
		"a login without TLS":         {relay: &relay{cert: fine, open: "AUTH PLAIN"}, edit: func(x *probe.Target) { x.Level = "may" }, cause: probe.NoStartTLS},
		"no login needed, no TLS":     {relay: &relay{cert: fine}, edit: func(x *probe.Target) { x.Level, x.User = "may", "" }},
		"LOGIN":                       {relay: &relay{cert: fine, open: "STARTTLS", secure: "AUTH LOGIN", replies: map[string]string{"AUTH LOGIN": "334 x", "dQ==": "334 y"}}, mechanism: "LOGIN"},
		"CRAM-MD5":                    {relay: &relay{cert: fine, open: "STARTTLS", secure: "AUTH CRAM-MD5", replies: map[string]string{"AUTH": "334 eA=="}}, mechanism: "CRAM-MD5"},
		"a mechanism of others":       {relay: &relay{cert: fine, open: "STARTTLS", secure: "AUTH GSSAPI"}},
		"a wrong password":            {relay: &relay{cert: fine, open: "STARTTLS", secure: "AUTH PLAIN", replies: map[string]string{"AUTH": "535 no"}}, cause: probe.Refused, mechanism: "PLAIN"},
		"no AUTH":                     {relay: &relay{cert: fine, open: "STARTTLS", secure: "8BITMIME"}, cause: probe.NoAuth},
		"a busy relay":                {relay: &relay{cert: fine, banner: "421 busy"}, cause: probe.NoGreeting},
		"TLS from the first byte":     {relay: &relay{cert: fine, wrapper: true, secure: "AUTH PLAIN"}, edit: func(x *probe.Target) { x.Wrapper = true }, mechanism: "PLAIN"},
		"wrapper mode at a plain one": {relay: &relay{cert: fine}, edit: func(x *probe.Target) { x.Wrapper = true }, cause: probe.NotTLS},
		"nobody there":                {relay: &relay{}, edit: func(x *probe.Target) { x.Port = 1 }, cause: probe.NoAnswer},
		"a name that can't be":        {relay: &relay{}, edit: func(x *probe.Target) { x.Host = "no-such-name.invalid" }, cause: probe.NoName},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := probe.Target{
				Host: "127.0.0.1", Port: c.relay.serve(t), Network: "tcp", Level: "verify", Match: []string{good}, Roots: issuer.pool,
				HELO: "client.example", User: "u", Secret: "geheim",
			}
			if c.edit != nil {
				c.edit(&target)
			}
			r := probe.Run(context.Background(), target)
			got := probe.Cause("")
			if r.Failure != nil {
				got = r.Failure.Cause
			}
			if got != c.cause || r.Mechanism != c.mechanism {
				t.Errorf("%q by %q, want %q by %q: %+v %v", got, r.Mechanism, c.cause, c.mechanism, r, r.Failure)
			}
			c.relay.mu.Lock()
			defer c.relay.mu.Unlock()
			if heard := strings.Join(c.relay.overhead, "\n"); strings.Contains(heard, "AUTH") || strings.Contains(heard, "MAIL") {
				t.Errorf("said without TLS:\n%s", heard)
			}
		})
	}
}
