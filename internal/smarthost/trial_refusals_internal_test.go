package smarthost

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"postfix-maint/internal/providers"
	"postfix-maint/internal/smarthost/probe"
)

// provided is a provider's server: the TLS and the logins of its row, and its words for a login that it refuses.
type provided struct {
	cert   tls.Certificate
	row    providers.Provider
	reply  string // to the end of AUTH
	logins []string
}

// serve answers one client, and gives the port.
func (s provided) serve(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		defer func() { _ = recover() }()
		if conn, err := l.Accept(); err == nil {
			s.talk(conn)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func (s provided) talk(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	config := &tls.Config{Certificates: []tls.Certificate{s.cert}}
	safe := s.row.Wrapper
	if safe {
		conn = tls.Server(conn, config)
	}
	fmt.Fprintf(conn, "220 provider ESMTP\r\n")
	in := bufio.NewScanner(conn)
	for in.Scan() {
		line := in.Text()
		word, _, _ := strings.Cut(line, " ")
		switch {
		case word == "EHLO" && safe:
			fmt.Fprintf(conn, "250-provider\r\n250 AUTH %s\r\n", strings.Join(s.logins, " "))
		case word == "EHLO":
			fmt.Fprintf(conn, "250-provider\r\n250 STARTTLS\r\n")
		case word == "STARTTLS":
			fmt.Fprintf(conn, "220 go\r\n")
			conn = tls.Server(conn, config)
			in, safe = bufio.NewScanner(conn), true
		case line == "AUTH LOGIN":
			fmt.Fprintf(conn, "334 VXNlcm5hbWU6\r\n")
		case word == "QUIT":
			return
		case word == "AUTH" || strings.HasSuffix(line, "="):
			if line == "dXNlcg==" {
				fmt.Fprintf(conn, "334 UGFzc3dvcmQ6\r\n")
				continue
			}
			fmt.Fprintf(conn, "%s\r\n", s.reply)
		default:
			fmt.Fprintf(conn, "%s\r\n", s.reply)
		}
	}
}

// named is a certificate for the names, which is its own CA.
func named(t *testing.T, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// What providers say to a login that they refuse, at a server with the row's TLS and logins: the advice says what to do there.
func TestRefusedLogins(t *testing.T) {
	for name, c := range map[string]struct{ reply, advice string }{
		"google":     {"534-5.7.9 Application-specific password required. For more information, go to\r\n534 5.7.9  https://support.google.com/mail/?p=InvalidSecondFactor 5b1f - gsmtp", "app password"},
		"microsoft":  {"535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information.", "Authenticated SMTP"},
		"outlook":    {"535 5.7.139 Authentication unsuccessful, basic authentication is disabled.", `smarthost login --provider outlook`},
		"yahoo":      {"535 5.7.0 (#AUTH005) Too many bad auth attempts.", "Account Security"},
		"icloud":     {"535 5.7.0 Error: authentication failed", "app-specific"},
		"fastmail":   {"535 5.7.0 Incorrect username or password", "app passwords alone"},
		"zoho":       {"535 Authentication Failed", "--region"},
		"gmx":        {"535 Authentication credentials invalid", "POP3 and IMAP"},
		"web-de":     {"535 Authentication credentials invalid", "POP3 and IMAP"},
		"amazon-ses": {"535 Authentication Credentials Invalid", "no access key"},
		"sendgrid":   {"535 Authentication failed: Bad username / password", "the word apikey"},
		"sparkpost":  {"535 5.7.8 Sorry", "SMTP_Injection"},
		"postmark":   {"535 5.7.8 Error: authentication failed", "both the server's API token"},
		"brevo":      {"535 5.7.8 Authentication failed", "no API key"},
		"posteo":     {"535 5.7.8 Error: authentication failed", "made for programs"}, // no row: what is said of every relay
	} {
		row, ok := providers.Find(name)
		if !ok {
			t.Fatalf("no %s", name)
		}
		logins := slices.DeleteFunc(slices.Clone(row.Logins), func(m string) bool { return m == "CRAM-MD5" })
		if !row.Passwords() {
			logins = append(logins, "LOGIN") // as some tenants still have it
		}
		r, err := parseRelay(row.Relays()[0])
		if err != nil {
			t.Fatal(err)
		}
		cert, pool := named(t, r.host)
		s := provided{cert: cert, row: row, reply: c.reply, logins: logins}
		res := &Result{Relay: r.dest, Wrapper: row.Wrapper}
		res.Sender = "root@box.example"
		res.Probe = probe.Run(t.Context(), probe.Target{
			Host: "127.0.0.1", Port: s.serve(t), Network: "tcp", Wrapper: row.Wrapper, Level: "verify", Match: []string{r.host}, Roots: pool, HELO: "c",
			User: "user", Secret: "geheim", May: []string{"PLAIN", "LOGIN"},
		})
		f := res.Probe.Failure
		if f == nil || f.Cause != probe.Refused || res.Probe.Mechanism == "" {
			t.Errorf("%s: %+v, %v", name, res.Probe, f)
			continue
		}
		if got := (&host{}).advise(f.Cause, r, res); !strings.Contains(got, c.advice) || strings.Contains(got, "{") || strings.Contains(got, "geheim") {
			t.Errorf("%s: %q, want %q", name, got, c.advice)
		}
	}
}

// What Postfix passes on of a provider's words to the message itself.
func TestRefusedMessages(t *testing.T) {
	for _, c := range []struct{ relay, reply, advice string }{
		{"[email-smtp.eu-central-1.amazonaws.com]:587", "host email-smtp.eu-central-1.amazonaws.com[192.0.2.1] said: 554 Message rejected: Email address is not verified. The following identities failed the check in region EU-CENTRAL-1: root@box.example (in reply to end of DATA command)", "verify it in the SES console"},
		{"[smtp.sendgrid.net]:587", "host smtp.sendgrid.net[192.0.2.1] said: 550 The from address does not match a verified Sender Identity. Mail cannot be sent until this error is resolved. (in reply to end of DATA command)", "root@box.example, or its domain, is not verified"},
		{"[smtp.zoho.eu]:465", "host smtp.zoho.eu[192.0.2.1] said: 553 Relaying disallowed as root@box.example (in reply to end of DATA command)", "root@box.example is not one that the account may use"},
		{"[mail.gmx.net]:465", "host mail.gmx.net[192.0.2.1] said: 550-Requested action not taken: mailbox unavailable 550 Sender address is not allowed. (in reply to MAIL FROM command)", "may use"},
		{"[smtp.office365.com]:587", "host smtp.office365.com[192.0.2.1] said: 554 5.2.252 SendAsDenied; a@x not allowed to send as b@x (in reply to end of DATA command)", "may use"},
		{"[smtp.office365.com]:587", "host smtp.office365.com[192.0.2.1] refused to talk to me: 432 4.3.2 Concurrent connections limit exceeded", ""},
		{"[smtp.office365.com]:587", "host smtp.office365.com[192.0.2.1] said: 432 4.3.2 Concurrent connections limit exceeded", "three connections"},
		{"[smtp.gmail.com]:587", "SASL authentication failed; server smtp.gmail.com[192.0.2.1] said: 534-5.7.9 Application-specific password required. For more information, go to?534 5.7.9", "app password"},
		{"[smtp.gmail.com]:587", "host smtp.gmail.com[192.0.2.1] said: 550 5.4.5 Daily user sending limit exceeded (in reply to end of DATA command)", "tomorrow"},
		{"[smtp-relay.gmail.com]:587", "host smtp-relay.gmail.com[192.0.2.1] said: 550-5.7.1 Invalid credentials for relay [198.51.100.7]. (in reply to RCPT TO command)", "admin console"},
		{"[smtp.mail.me.com]:587", "host smtp.mail.me.com[192.0.2.1] said: 550 5.7.0 From address is not one of your addresses. (in reply to end of DATA command)", "may use"},
		{"[smtp.sparkpostmail.com]:587", "host smtp.sparkpostmail.com[192.0.2.1] said: 550 5.7.1 Unconfigured Sending Domain <box.example> (in reply to end of DATA command)", "not verified"},
		{"[relay.example.net]:587", "host relay.example.net[192.0.2.1] said: 554 Message rejected: Email address is not verified (in reply to end of DATA command)", "From: header"},
		{"[smtp.gmail.com]:587", "SASL authentication failed; cannot authenticate to server: no mechanism available", "libsasl2-modules"},
	} {
		res := &Result{Relay: c.relay, Probe: &probe.Report{}}
		res.Reply, res.Sender = c.reply, "root@box.example"
		got := (&host{effective: map[string]string{}}).adviseReply(res)
		if !strings.Contains(got, c.advice) || strings.Contains(got, "{") {
			t.Errorf("%s: %q is advised with %q, want %q", c.relay, c.reply, got, c.advice)
		}
	}
}

// Each row is of a provider that there is, with a code that a reply can have.
func TestRefusalsAreWhole(t *testing.T) {
	for i, r := range refusals {
		if _, ok := providers.Find(r.provider); !ok || r.advice == "" || r.text != strings.ToLower(r.text) {
			t.Errorf("%+v", r)
		}
		if m := replyCode.FindStringSubmatch(r.code + " x"); m == nil || strings.TrimSpace(m[1]+" "+m[3]) != r.code {
			t.Errorf("%s: %q is no code", r.provider, r.code)
		}
		if i > 0 && refusals[i-1].provider > r.provider {
			t.Errorf("%s is out of order", r.provider)
		}
	}
}
