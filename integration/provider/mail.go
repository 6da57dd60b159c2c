package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/mail"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

const xoauth2 = "XOAUTH2"

// mailbox takes mail from whoever has logged in, and keeps its Message-ID.
type mailbox struct {
	state    *state
	tokens   *authority
	open     bool   // to everybody
	password string // of a login without a token, "" for none

	// A message that was counted gets its answer before a connection is cut: else its sender has to send it once more.
	ends   sync.RWMutex
	ending bool
}

// NewSession is a connection.
func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) {
	m.state.change(func(s *state) {
		s.Connects++
		s.open++
		s.lately.Most = max(s.lately.Most, s.open)
	})
	return &session{mailbox: m}, nil
}

type session struct {
	*mailbox
	user string
}

// AuthMechanisms are those that large providers have left.
func (s *session) AuthMechanisms() []string {
	if s.password != "" {
		return []string{xoauth2, sasl.OAuthBearer, sasl.Plain}
	}
	return []string{xoauth2, sasl.OAuthBearer}
}

// Auth begins a login.
func (s *session) Auth(mech string) (sasl.Server, error) {
	s.state.change(func(st *state) { st.Mechs[mech]++; st.lately.Logins++ })
	if mech == sasl.Plain {
		return sasl.NewPlainServer(func(_, user, password string) error {
			if s.password == "" || password != s.password {
				return smtp.ErrAuthFailed
			}
			s.user = user
			return nil
		}), nil
	}
	if mech == xoauth2 {
		return &older{check: s.check}, nil
	}
	return refusing{sasl.NewOAuthBearerServer(func(o sasl.OAuthBearerOptions) *sasl.OAuthBearerError {
		if !s.check(o.Username, o.Token) {
			return &sasl.OAuthBearerError{Status: "invalid_token", Schemes: "bearer"}
		}
		return nil
	})}, nil
}

// refusing gives the reply that providers give.
type refusing struct{ sasl.Server }

// Next is the one of package sasl.
func (r refusing) Next(response []byte) (challenge []byte, done bool, err error) {
	if challenge, done, err = r.Server.Next(response); err != nil {
		err = smtp.ErrAuthFailed
	}
	return challenge, done, err
}

func (s *session) check(user, token string) bool {
	if !s.tokens.good(context.Background(), user, token) {
		s.state.change(func(st *state) { st.Failed++ })
		return false
	}
	s.user = user
	return true
}

// older is XOAUTH2: "user=...", "auth=Bearer ..." and an empty field, each ended by 0x01.
type older struct {
	check  func(user, token string) bool
	failed bool
}

// Next takes the response, or the empty one after an error.
func (o *older) Next(response []byte) (challenge []byte, done bool, err error) {
	if o.failed {
		return nil, true, smtp.ErrAuthFailed
	}
	if response == nil {
		return []byte{}, false, nil
	}
	fields := strings.Split(string(response), "\x01")
	if len(fields) != 4 || !strings.HasPrefix(fields[0], "user=") || !strings.HasPrefix(fields[1], "auth=Bearer ") {
		return nil, true, errors.New("malformed")
	}
	if o.check(fields[0][len("user="):], fields[1][len("auth=Bearer "):]) {
		return nil, true, nil
	}
	o.failed = true
	challenge, err = json.Marshal(map[string]string{"status": "400", "schemes": "Bearer"})
	return challenge, false, err
}

// Mail wants a login.
func (s *session) Mail(string, *smtp.MailOptions) error {
	if s.user == "" && !s.open {
		return smtp.ErrAuthRequired
	}
	return nil
}

// Rcpt takes anybody but nobody.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "The provider knows no such user"}
	}
	return nil
}

// Data counts the message.
func (s *session) Data(r io.Reader) error {
	text := bufio.NewReader(r)
	m, err := mail.ReadMessage(text)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, m.Body)
	if err != nil {
		return err
	}
	s.ends.RLock()
	defer s.ends.RUnlock()
	if s.ending {
		return errors.New("not now")
	}
	s.state.change(func(st *state) {
		st.Messages[m.Header.Get("Message-Id")]++
		st.Bytes += n
		st.lately.Messages++
		st.lately.Last = time.Now()
	})
	return nil
}

// Reset forgets nothing: there is nothing.
func (s *session) Reset() {}

// Logout ends a connection.
func (s *session) Logout() error {
	s.state.change(func(st *state) { st.open-- })
	return nil
}

// tries counts what looks like a login in what a client says, also where TLS has not begun or fails.
type tries struct{ state *state }

// Write is called with what either side says.
func (t tries) Write(said []byte) (int, error) {
	for line := range strings.Lines(string(said)) {
		if strings.HasPrefix(strings.ToUpper(line), "AUTH ") {
			t.state.change(func(s *state) { s.Auth++ })
		}
	}
	return len(said), nil
}

// servers are all that a client sees.
type servers struct {
	conf               *tls.Config
	oauth, smtp, smtps string
	handler            http.Handler
	backend            *mailbox

	web  *http.Server
	mail *smtp.Server
}

func (s *servers) start() error {
	s.backend.ends.Lock()
	s.backend.ending = false
	s.backend.ends.Unlock()
	s.mail = smtp.NewServer(s.backend)
	s.mail.Domain, s.mail.TLSConfig, s.mail.EnableSMTPUTF8, s.mail.EnableDSN = "provider.example.test", s.conf, true, true
	s.mail.MaxMessageBytes, s.mail.ReadTimeout, s.mail.WriteTimeout = 100<<20, 5*time.Minute, 5*time.Minute
	if s.backend.password == "" {
		s.mail.Debug = tries{s.backend.state}
	}
	s.web = &http.Server{Handler: s.handler, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	var all []net.Listener
	for _, at := range []string{s.oauth, s.smtp, s.smtps} {
		l, err := net.Listen("tcp", at)
		if err != nil {
			return err
		}
		all = append(all, l)
	}
	web, plain, wrapped := s.web, s.mail, s.mail
	go func() { _ = web.Serve(tls.NewListener(all[0], s.conf)) }()
	go func() { _ = plain.Serve(all[1]) }()
	go func() { _ = wrapped.Serve(tls.NewListener(all[2], s.conf)) }()
	return nil
}

// stop cuts every connection.
func (s *servers) stop() {
	s.backend.ends.Lock()
	s.backend.ending = true
	s.backend.ends.Unlock()
	time.Sleep(300 * time.Millisecond)
	_ = s.web.Close()
	_ = s.mail.Close()
}
