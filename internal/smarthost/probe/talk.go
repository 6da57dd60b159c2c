package probe

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"time"
)

// session is a conversation with the relay.
type session struct {
	target Target
	conn   net.Conn
	in     *bounded
	text   *textproto.Conn
	tls    bool
	sent   []string // that stood for the password, besides the usual forms
}

func (r *Report) talk(conn net.Conn, t Target) error {
	s := &session{target: t, conn: conn}
	if t.Wrapper {
		if err := r.secure(s, t); err != nil {
			return err
		}
	}
	s.use(s.conn)
	greeting, err := s.reply(220)
	if err != nil {
		return &Failure{NoGreeting, "the relay does not greet as a mail server does: " + plain(err)}
	}
	r.Greeting = greeting
	extensions, err := s.hello(t.HELO)
	if err != nil {
		return err
	}
	if extensions, err = r.startTLS(s, t, extensions); err != nil {
		return err
	}
	if err := r.login(s, t, extensions); err != nil {
		return err
	}
	_, _ = s.command(221, "QUIT")
	return nil
}

func (s *session) use(conn net.Conn) {
	s.conn, s.in = conn, &bounded{Conn: conn}
	s.text = textproto.NewConn(s.in)
}

// read reads one reply as it comes.
func (s *session) read(code int) (got int, text string, err error) {
	_ = s.conn.SetDeadline(time.Now().Add(patience))
	s.in.left = longest
	return s.text.ReadResponse(code)
}

// reply reads one reply of the relay, as it may be shown; one with another code is an error with its text.
func (s *session) reply(code int) (string, error) {
	got, text, err := s.read(code)
	return s.said(got, text, err), s.conceal(err)
}

func (s *session) said(got int, text string, err error) string {
	if p := (*textproto.Error)(nil); errors.As(err, &p) {
		got, text = p.Code, p.Msg
	} else if err != nil {
		return plain(s.conceal(err))
	}
	return fmt.Sprintf("%d %s", got, s.shown(text))
}

func (s *session) command(code int, line string) (string, error) {
	_ = s.conn.SetDeadline(time.Now().Add(patience))
	if err := s.text.PrintfLine("%s", line); err != nil {
		return "", err
	}
	return s.reply(code)
}

// hello gives the relay's extensions, upper case.
func (s *session) hello(name string) ([]string, error) {
	_ = s.conn.SetDeadline(time.Now().Add(patience))
	if err := s.text.PrintfLine("EHLO %s", name); err != nil {
		return nil, &Failure{NoGreeting, "the relay does not talk on: " + plain(err)}
	}
	_, text, err := s.read(250)
	if err != nil {
		return nil, &Failure{NoGreeting, "the relay refuses EHLO: " + plain(s.conceal(err))}
	}
	return cleanAll(strings.Split(strings.ToUpper(text), "\n")[1:]), nil
}

// startTLS goes over to TLS where the level asks for it or the relay offers it.
func (r *Report) startTLS(s *session, t Target, extensions []string) ([]string, error) {
	offered := slices.Contains(extensions, "STARTTLS")
	must := t.Level != "may" && t.Level != "none" && t.Level != ""
	switch {
	case s.tls, t.Level == "none", t.Level == "", t.Level == "may" && !offered:
		return extensions, nil
	case !offered:
		return nil, &Failure{NoStartTLS, "the relay does not offer STARTTLS"}
	}
	if said, err := s.command(220, "STARTTLS"); err != nil {
		if !must {
			return extensions, nil
		}
		return nil, &Failure{NoStartTLS, "the relay refuses STARTTLS: " + said}
	}
	if err := r.secure(s, t); err != nil {
		return nil, err
	}
	s.use(s.conn)
	return s.hello(t.HELO)
}

// secure makes the connection one with TLS and judges the certificate. No name is sent with the greeting: Postfix sends none.
func (r *Report) secure(s *session, t Target) error {
	_ = s.conn.SetDeadline(time.Now().Add(patience))
	conn := tls.Client(s.conn, &tls.Config{InsecureSkipVerify: true, CipherSuites: suites()}) // judge does what is skipped here
	if err := conn.Handshake(); err != nil {
		var record tls.RecordHeaderError
		if refused := (*net.OpError)(nil); errors.As(err, &refused) && refused.Op == "remote error" && refused.Err.Error() == noCommon {
			r.Unspoken = "this test and the relay have no cipher in common; Postfix knows more of them, such as those with DHE key exchange"
			return errUnspoken
		}
		if errors.As(err, &record) && t.Wrapper {
			return &Failure{NotTLS, "the relay does not speak TLS from the first byte"}
		}
		return &Failure{Handshake, "TLS can't be agreed on: " + plain(err)}
	}
	s.conn, s.tls = conn, true
	state := conn.ConnectionState()
	r.TLS = tls.VersionName(state.Version) + ", " + tls.CipherSuiteName(state.CipherSuite)
	return r.judge(state.PeerCertificates, t)
}

// noCommon is what crypto/tls makes of the alert handshake_failure, with which a server refuses all ciphers that it was offered (RFC 5246,
// 7.4.1.3). It has no DHE, which OpenSSL has, and so some relays that Postfix gets on with cannot be tried here.
const noCommon = "tls: handshake failure"

// errUnspoken ends a conversation that Postfix has to try itself; Report.Unspoken says why.
var errUnspoken = errors.New("TLS is left to Postfix")

// suites are those that Debian's OpenSSL offers as well: with RSA key exchange, which Go leaves out by itself, but without RC4 and 3DES.
func suites() (ids []uint16) {
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if !strings.Contains(s.Name, "RC4") && !strings.Contains(s.Name, "3DES") {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// Tried are the mechanisms that a login is tried by, the first one offered that Postfix may use.
var Tried = []string{"PLAIN", "LOGIN", "CRAM-MD5"}

// login tries account and password, never without TLS.
func (r *Report) login(s *session, t Target, extensions []string) error {
	for _, e := range extensions {
		if list, ok := strings.CutPrefix(e, "AUTH"); ok && list != "" && strings.ContainsAny(list[:1], " =") {
			r.Mechanisms = append(r.Mechanisms, strings.Fields(list[1:])...)
		}
	}
	slices.Sort(r.Mechanisms)
	r.Mechanisms = slices.Compact(r.Mechanisms)
	switch {
	case t.User == "":
		return nil
	case !s.tls && !t.Local:
		return &Failure{NoStartTLS, "there is no TLS, so the login is not tried"}
	case len(r.Mechanisms) == 0:
		return &Failure{NoAuth, "the relay offers no login (AUTH) here"}
	}
	if r.Untried = t.untried(); r.Untried != "" {
		return nil
	}
	may := func(mechanism string) bool {
		return slices.Contains(r.Mechanisms, mechanism) && (t.May == nil || slices.Contains(t.May, mechanism))
	}
	var said string
	var err error
	switch {
	case may("PLAIN"):
		r.Mechanism = "PLAIN"
		said, err = s.command(235, "AUTH PLAIN "+plainLogin(t))
	case may("LOGIN"):
		r.Mechanism = "LOGIN"
		said, err = s.steps("AUTH LOGIN", encode(t.User), encode(t.Secret))
	case may("CRAM-MD5"):
		r.Mechanism = "CRAM-MD5"
		said, err = s.challenge(t)
	case slices.ContainsFunc(Tried, func(m string) bool { return slices.Contains(r.Mechanisms, m) }):
		r.Untried = "of the logins that the relay offers Postfix may use none that can be tried here " +
			"(smtp_sasl_tls_security_options, smtp_sasl_mechanism_filter)"
		return nil
	default:
		return nil // Postfix's library may know one of them
	}
	r.AuthReply = said
	if err != nil {
		return &Failure{Refused, "the relay does not accept account and password: " + said}
	}
	return nil
}

func plainLogin(t Target) string { return encode("\x00" + t.User + "\x00" + t.Secret) }

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// steps sends lines of which each but the last is answered by 334.
func (s *session) steps(lines ...string) (said string, err error) {
	for i, line := range lines {
		code := 334
		if i == len(lines)-1 {
			code = 235
		}
		if said, err = s.command(code, line); err != nil {
			return said, err
		}
	}
	return said, nil
}

// challenge is CRAM-MD5, RFC 2195.
func (s *session) challenge(t Target) (string, error) {
	if err := s.text.PrintfLine("AUTH CRAM-MD5"); err != nil {
		return "", err
	}
	got, challenge, err := s.read(334)
	if err != nil {
		return s.said(got, challenge, err), err
	}
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(challenge))
	if err != nil {
		return s.said(got, challenge, nil), err
	}
	sum := hmac.New(md5.New, []byte(t.Secret))
	sum.Write(text)
	digest := hex.EncodeToString(sum.Sum(nil))
	s.sent = []string{digest, encode(t.User + " " + digest)}
	return s.command(235, s.sent[1])
}
