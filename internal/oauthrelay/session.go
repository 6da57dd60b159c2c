package oauthrelay

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net"
	"strings"
	"time"
)

// session is one connection of Postfix's, until bytes are passed on.
type session struct {
	relay *Relay
	conn  net.Conn
	r     *bufio.Reader
	helo  string
	up    *provider // nil before EHLO
}

// serve talks with a client until it ends. Whoever is not Postfix hears nothing, and the provider hears nothing of it.
func (r *Relay) serve(ctx context.Context, conn net.Conn) {
	uid, err := r.opt.PeerUID(conn)
	switch {
	case err != nil:
		r.say("a connection was closed at once: cannot tell whose it is: " + err.Error())
		return
	case !r.allowed(uid):
		r.say("a connection was closed at once: only Postfix may use this port, and it is of the user " + itoa(uid))
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // whoever waits for it notices
	defer stop()
	s := &session{relay: r, conn: conn, r: bufio.NewReaderSize(conn, maxLine)}
	defer func() {
		if s.up != nil {
			s.up.close()
		}
	}()
	if s.talk(ctx) {
		pass(end{s.conn, s.r}, end{s.up.conn, s.up.r}, r.opt.Limits)
	}
}

// talk goes on until the client has logged in, or has gone. Whatever it refuses it refuses for now: a client that reads main.cf between two
// settings of it, with this port and without the login, must not return mail.
func (s *session) talk(ctx context.Context) (loggedIn bool) {
	if !s.say("220 postfix-oauth-relay ESMTP") {
		return false
	}
	for range maxChatter {
		s.deadline()
		line, err := readLine(s.r)
		if err != nil {
			return false
		}
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			if !s.ehlo(ctx, rest) {
				return false
			}
		case "AUTH":
			if done, goOn := s.auth(ctx, rest); done || !goOn {
				return done
			}
		case "NOOP", "RSET":
			s.say("250 2.0.0 Ok")
		case "QUIT":
			s.say("221 2.0.0 Bye")
			return false
		case "HELO":
			s.say("450 4.5.1 Say EHLO: a login is needed here")
		default:
			s.say("450 4.7.0 A login is needed here")
		}
	}
	s.say("421 4.7.0 Too many commands without a login")
	return false
}

// ehlo connects to the provider, and gives what it offers.
func (s *session) ehlo(ctx context.Context, name string) (goOn bool) {
	if name = strings.TrimSpace(name); name == "" || len(name) > 255 || strings.Trim(name, printable) != "" {
		return s.say("501 5.5.4 EHLO needs a name")
	}
	if s.up != nil {
		s.up.close()
		s.up = nil
	}
	if s.relay.broken != nil {
		return s.refuse("421", s.relay.broken)
	}
	up, err := s.relay.connect(ctx, name)
	if err != nil {
		return s.refuse("421", err)
	}
	s.up, s.helo = up, name
	return s.say(strings.TrimSuffix(up.hello.offer().text(), "\r\n"))
}

// printable are the characters that a name in EHLO can have: those of a host name or an address.
const printable = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:[]"

// auth checks the client's login, and logs in at the provider.
func (s *session) auth(ctx context.Context, args string) (done, goOn bool) {
	if s.up == nil {
		return false, s.say("503 5.5.1 Say EHLO first")
	}
	mech, coded, given := strings.Cut(strings.TrimSpace(args), " ")
	if !strings.EqualFold(mech, "PLAIN") {
		return false, s.say("454 4.5.4 Only AUTH PLAIN")
	}
	if !given {
		if !s.say("334 ") {
			return false, false
		}
		var err error
		if coded, err = readLine(s.r); err != nil {
			return false, false
		}
	}
	if plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(coded)); err != nil || !s.relay.knows(plain) {
		s.relay.say("a login with another name or password than \"smarthost login\" has given to Postfix was refused")
		return false, s.say("454 4.7.8 Wrong name or password for postfix-oauth-relay")
	}
	answer, err := s.login(ctx)
	if err != nil {
		if s.up != nil {
			s.up.close()
		}
		s.up = nil // it has to be EHLO again: the provider may have seen a login fail
		return false, s.refuse("454", err)
	}
	s.relay.note(nil)
	return s.say(strings.TrimSuffix(answer.text(), "\r\n")), false
}

// knows compares a PLAIN response (RFC 4616) with the login that was made for Postfix, in a time that does not depend on where it differs.
func (r *Relay) knows(plain []byte) bool {
	as, rest, ok := bytes.Cut(plain, []byte{0})
	if !ok || len(as) > 0 && string(as) != r.opt.Account.User {
		return false
	}
	have, want := sha256.Sum256(rest), sha256.Sum256([]byte(r.opt.Account.User+"\x00"+string(r.opt.Account.Local)))
	return subtle.ConstantTimeCompare(have[:], want[:]) == 1
}

// refuse says why mail has to wait. After 421 the connection ends.
func (s *session) refuse(code string, err error) (goOn bool) {
	why := asRefusal(err)
	s.relay.note(why)
	return s.say(code+" "+why.enhanced+" "+why.words) && code != "421"
}

// say sends a line, or some.
func (s *session) say(line string) bool {
	s.deadline()
	_, err := s.conn.Write([]byte(line + "\r\n"))
	return err == nil
}

func (s *session) deadline() {
	_ = s.conn.SetDeadline(time.Now().Add(s.relay.opt.Limits.Client)) // fails for a closed connection alone, and so does what follows
}
