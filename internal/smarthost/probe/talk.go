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
	conn net.Conn
	text *textproto.Conn
	tls  bool
}

func (r *Report) talk(conn net.Conn, t Target) error {
	s := &session{conn: conn}
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

func (s *session) use(conn net.Conn) { s.conn, s.text = conn, textproto.NewConn(conn) }

// reply reads one reply of the relay; one with another code is an error with its text.
func (s *session) reply(code int) (string, error) {
	_ = s.conn.SetDeadline(time.Now().Add(patience))
	got, text, err := s.text.ReadResponse(code)
	text = strings.ReplaceAll(text, "\n", " / ")
	if p := (*textproto.Error)(nil); errors.As(err, &p) {
		return fmt.Sprintf("%d %s", p.Code, strings.ReplaceAll(p.Msg, "\n", " / ")), err
	}
	return fmt.Sprintf("%d %s", got, text), err
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
	_, text, err := s.text.ReadResponse(250)
	if err != nil {
		return nil, &Failure{NoGreeting, "the relay refuses EHLO: " + plain(err)}
	}
	return strings.Split(strings.ToUpper(text), "\n")[1:], nil
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
	conn := tls.Client(s.conn, &tls.Config{InsecureSkipVerify: true}) // judge does what is skipped here
	if err := conn.Handshake(); err != nil {
		var record tls.RecordHeaderError
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
	case !s.tls:
		return &Failure{NoStartTLS, "there is no TLS, so the login is not tried"}
	case len(r.Mechanisms) == 0:
		return &Failure{NoAuth, "the relay offers no login (AUTH) here"}
	}
	var said string
	var err error
	switch {
	case slices.Contains(r.Mechanisms, "PLAIN"):
		r.Mechanism = "PLAIN"
		said, err = s.command(235, "AUTH PLAIN "+encode("\x00"+t.User+"\x00"+t.Secret))
	case slices.Contains(r.Mechanisms, "LOGIN"):
		r.Mechanism = "LOGIN"
		said, err = s.steps("AUTH LOGIN", encode(t.User), encode(t.Secret))
	case slices.Contains(r.Mechanisms, "CRAM-MD5"):
		r.Mechanism = "CRAM-MD5"
		said, err = s.challenge(t)
	default:
		return nil // Postfix's library may know one of them
	}
	r.AuthReply = said
	if err != nil {
		return &Failure{Refused, "the relay does not accept account and password: " + said}
	}
	return nil
}

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
	said, err := s.command(334, "AUTH CRAM-MD5")
	if err != nil {
		return said, err
	}
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(strings.TrimPrefix(said, "334")))
	if err != nil {
		return said, err
	}
	sum := hmac.New(md5.New, []byte(t.Secret))
	sum.Write(text)
	return s.command(235, encode(t.User+" "+hex.EncodeToString(sum.Sum(nil))))
}
