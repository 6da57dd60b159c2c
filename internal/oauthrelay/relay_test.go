package oauthrelay

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"postfix-maint/internal/oauth"
)

func TestAMessageGoesThrough(t *testing.T) {
	long := strings.Repeat("x", 3000)
	for name, change := range map[string]func(s *scene){
		"OAUTHBEARER first": func(*scene) {},
		"XOAUTH2":           func(s *scene) { s.server.offers = []string{"8BITMIME", "AUTH XOAUTH2"} },
		"TLS at once":       func(s *scene) { s.account.Wrapper, s.server.wrapper = true, true },
		"a long token": func(s *scene) {
			s.endpoint.answer = answers(200, `{"access_token":"access-`+long+`","expires_in":3600}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			change(s)
			s.start()
			c, said := s.login()
			if said != "235 2.7.0 welcome, says the provider\r\n" {
				t.Fatalf("login: %s; %s", said, s.log())
			}
			text := "Subject: x\r\n\r\n..a dot\r\n\x80\xff 8 bits\r\n" + strings.Repeat("0123456789\r\n", 20000)
			if got := c.say("MAIL FROM:<a@example.test> SIZE=100\r\nRCPT TO:<nobody@example.test>\r\nRCPT TO:<b@example.test>\r\nDATA"); got != "250 2.1.0 ok\r\n" {
				t.Errorf("MAIL: %s", got)
			}
			if got := c.answer(); got != "550-5.1.1 no such user,\r\n550 5.1.1 says the provider\r\n" {
				t.Errorf("the provider's words are changed: %q", got)
			}
			c.answer()
			c.answer()
			if got := c.say(text + "."); got != "250 2.0.0 kept as number 7\r\n" {
				t.Errorf("DATA: %s", got)
			}
			if got := c.say("QUIT"); got != "221 2.0.0 bye\r\n" {
				t.Errorf("QUIT: %s", got)
			}
			if s.server.said("AUTH OAUTHBEARER ") && name == "a long token" {
				t.Error("a command has more than 512 bytes")
			}
			if s.server.messages[0] != text {
				t.Error("the message is not the one that was sent")
			}
			if st := s.status(); st.Problem != oauth.ProblemNone {
				t.Errorf("%+v", st)
			}
			s.silent(said)
		})
	}
}

func TestWhatIsOffered(t *testing.T) {
	s := newScene(t)
	s.start()
	c := s.connect()
	c.answer()
	want := "250-provider.example.test hello mail.example.test\r\n250-PIPELINING\r\n250-SIZE 35882577\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 AUTH PLAIN\r\n"
	if got := c.say("EHLO mail.example.test"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for line, want := range map[string]string{
		"MAIL FROM:<>": "450 ", "HELO x": "450 ", "NOOP": "250 ", "RSET": "250 ", "EHLO": "501 ", "EHLO a\x00b": "501 ", "AUTH LOGIN": "454 ", "AUTH": "454 ",
		"AUTH PLAIN ***": "454 ", "": "450 ", "STARTTLS": "450 ",
	} {
		if got := c.say(line); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %q", line, got)
		}
	}
	if got := c.say("AUTH PLAIN"); got != "334 \r\n" {
		t.Error(got)
	}
	_, coded, _ := strings.Cut(plainAuth(user, local), "PLAIN ")
	if got := c.say(coded); !strings.HasPrefix(got, "235 ") {
		t.Error(got)
	}
	c = s.connect()
	c.answer()
	if got := c.say(plainAuth(user, local)); !strings.HasPrefix(got, "503 ") {
		t.Error(got)
	}
	if got := c.say("QUIT"); !strings.HasPrefix(got, "221 ") {
		t.Error(got)
	}
}

// The CAs that a login names count instead of the system's, where the system of this test has any.
func TestCAsOfALoginCountAlone(t *testing.T) {
	s := newScene(t)
	text, err := os.ReadFile(s.account.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	alone := x509.NewCertPool()
	alone.AppendCertsFromPEM(text)
	s.opt.Account = s.account
	if r := New(s.opt); !alone.Equal(r.roots) {
		t.Error("others count as well")
	}
}

// What goes wrong lets mail wait, says what to do, and shows nothing to nobody.
func TestRefusals(t *testing.T) {
	const noAuth = true
	for name, c := range map[string]struct {
		change  func(s *scene)
		reply   string // the answer that ends the way to a login begins so
		words   string // and has this
		problem string
		silent  bool // the provider sees no login
	}{
		"no such host":        {func(s *scene) { s.account.Relay = "[gone.example.test]:587" }, "421 4.4.3", "cannot find the address of gone.example.test:587: no such host", oauth.ProblemDown, noAuth},
		"nobody listens":      {func(s *scene) { s.names["smtp.example.test:587"] = "127.0.0.1:1" }, "421 4.4.1", "connection refused", oauth.ProblemDown, noAuth},
		"another name":        {func(s *scene) { s.server.cert = s.ca.issue("other.example.test") }, "421 4.7.5", "not smtp.example.test", oauth.ProblemCertificate, noAuth},
		"another CA":          {func(s *scene) { s.server.cert = newCA(s.t).issue("smtp.example.test") }, "421 4.7.5", "unknown authority", oauth.ProblemCertificate, noAuth},
		"the system's CAs":    {func(s *scene) { s.account.CAFile = "" }, "421 4.7.5", "unknown authority", oauth.ProblemCertificate, noAuth},
		"no file of CAs":      {func(s *scene) { s.account.CAFile = "/nowhere" }, "421 4.3.5", "cannot read the CAs", oauth.ProblemCertificate, noAuth},
		"a file without CAs":  {func(s *scene) { s.account.CAFile = os.DevNull }, "421 4.3.5", "no certificate is in it", oauth.ProblemCertificate, noAuth},
		"old TLS":             {func(s *scene) { s.server.maxTLS = tls.VersionTLS11 }, "421 4.7.5", "protocol version", oauth.ProblemCertificate, noAuth},
		"no STARTTLS":         {func(s *scene) { s.server.plain = s.server.offers }, "421 4.7.4", "offers no STARTTLS", oauth.ProblemCertificate, noAuth},
		"injected before TLS": {func(s *scene) { s.server.inject = "250 AUTH PLAIN\r\n" }, "421 4.7.5", "somebody may be on the way", oauth.ProblemCertificate, noAuth},
		"not now":             {func(s *scene) { s.server.greeting = "554 go away" }, "421 4.3.2", "it greets with 554 go away", oauth.ProblemDown, noAuth},
		"no OAuth":            {func(s *scene) { s.server.offers = []string{"AUTH LOGIN PLAIN"} }, "454 4.7.0", "offers no login by OAuth 2.0, but AUTH LOGIN PLAIN", oauth.ProblemRefused, noAuth},
		"no AUTH":             {func(s *scene) { s.server.offers = []string{"8BITMIME"} }, "454 4.7.0", "offers no login by OAuth 2.0", oauth.ProblemRefused, noAuth},
		"no relay":            {func(s *scene) { s.account.Relay = "smtp.example.test" }, "421 4.3.5", "cannot read the relay", oauth.ProblemRefused, noAuth},
		"no account":          {func(s *scene) { s.opt.Broken = errors.New("cannot read the login: none") }, "421 4.3.5", "cannot read the login: none", oauth.ProblemRefused, noAuth},
		"login revoked": {func(s *scene) {
			s.endpoint.answer = answers(400, `{"error":"invalid_grant","error_description":"b0dy-secret"}`)
		}, "454 4.7.8", "log in again: postfix-maint smarthost login --provider microsoft", oauth.ProblemLoginAgain, noAuth},
		"application refused": {func(s *scene) {
			s.endpoint.answer = answers(401, `{"error":"invalid_client","error_description":"b0dy-secret"}`)
		}, "454 4.7.8", "login.example.test refuses the application that logs in anna@example.test (invalid_client)", oauth.ProblemRefused, noAuth},
		"an error that is none":  {func(s *scene) { s.endpoint.answer = answers(400, `{"error":"b0dy-secret b0dy-secret"}`) }, "454 4.7.0", "gives no access token: it answers 400", oauth.ProblemRefused, noAuth},
		"no JSON":                {func(s *scene) { s.endpoint.answer = answers(400, `b0dy-secret`) }, "454 4.7.0", "gives no access token: it answers 400", oauth.ProblemRefused, noAuth},
		"no token":               {func(s *scene) { s.endpoint.answer = answers(200, `{"b0dy-secret":1}`) }, "454 4.7.0", "answers with no access token", oauth.ProblemDown, noAuth},
		"half a token":           {func(s *scene) { s.endpoint.answer = answers(200, `{"access_token":"b0dy-secret`) }, "454 4.7.0", "answers with no access token", oauth.ProblemDown, noAuth},
		"token endpoint is down": {func(s *scene) { s.endpoint.answer = answers(503, `b0dy-secret`) }, "454 4.7.0", "just now: it answers 503", oauth.ProblemDown, noAuth},
		"moved elsewhere":        {func(s *scene) { s.endpoint.answer = answers(307, ``) }, "454 4.7.0", "it answers 307", oauth.ProblemRefused, noAuth},
		"endpoint unknown":       {func(s *scene) { s.account.TokenURL = "https://gone.example.test/token" }, "454 4.4.3", "cannot find the address of gone.example.test", oauth.ProblemDown, noAuth},
		"endpoint's certificate": {func(s *scene) {
			s.account.TokenURL = "https://wrong.example.test/token"
			s.names["wrong.example.test:443"] = "later"
		}, "454 4.7.5", "cannot trust wrong.example.test", oauth.ProblemCertificate, noAuth},
		"endpoint without TLS": {func(s *scene) { s.account.TokenURL = "http://login.example.test/token" }, "454 4.3.5", "no https address", oauth.ProblemRefused, noAuth},
		"login refused":        {func(s *scene) { s.server.takes = func(string) bool { return false } }, "454 4.7.8", "smtp.example.test:587 refuses the login of anna@example.test: 535 5.7.3 Authentication unsuccessful", oauth.ProblemRefused, false},
		"login not now": {func(s *scene) {
			s.server.busy = "454 4.7.0 later"
		}, "454 4.7.0", "takes no login just now: 454 4.7.0 later", oauth.ProblemDown, false},
		"refused by another code": {func(s *scene) {
			s.server.takes, s.server.refusal = func(string) bool { return false }, "454 4.7.0 no"
		}, "454 4.7.8", "refuses the login of anna@example.test: 454 4.7.0 no", oauth.ProblemRefused, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			c.change(s)
			s.start()
			s.mu.Lock()
			if s.names["wrong.example.test:443"] != "" {
				s.names["wrong.example.test:443"] = s.names["login.example.test:443"]
			}
			s.mu.Unlock()
			_, said := s.login()
			if !strings.HasPrefix(said, c.reply) || !strings.Contains(said, c.words) {
				t.Errorf("said: %s", said)
			}
			if st := s.status(); st.Problem != c.problem || !strings.Contains(st.Words, c.words) {
				t.Errorf("status: %+v", st)
			}
			if name == "moved elsewhere" && s.endpoint.count() != 1 {
				t.Error("the refresh token went elsewhere")
			}
			if c.silent && (s.server.said("AUTH") || len(s.server.users) > 0) {
				t.Errorf("the provider saw a login: %q", s.server.heard)
			}
			if !strings.Contains(s.log(), c.words) {
				t.Errorf("log: %s", s.log())
			}
			s.silent(said)
		})
	}
}

// Whoever is not Postfix hears not a word, and neither does the provider; nor does it of a wrong password.
func TestOnlyPostfixMayUseIt(t *testing.T) {
	s := newScene(t)
	s.start()
	for _, uid := range []int{1000, 65534} {
		s.uid.Store(int64(uid))
		c := s.connect()
		_, _ = io.WriteString(c.conn, "EHLO x\r\n"+plainAuth(user, local)+"\r\n")
		if heard, _ := io.ReadAll(c.conn); len(heard) > 0 {
			t.Errorf("user %d hears %q", uid, heard)
		}
	}
	if !strings.Contains(s.log(), "only Postfix may use this port, and it is of the user 65534") {
		t.Error(s.log())
	}
	s.mu.Lock()
	dialed := s.dialed
	s.mu.Unlock()
	if dialed != 0 {
		t.Error("the provider was asked")
	}
	s.uid.Store(77)
	for _, login := range []string{
		plainAuth(user, "wrong"), plainAuth("other", local), plainAuth(user, ""), plainAuth(user, local+"x"), "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte(user+local)),
		"AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("root\x00"+user+"\x00"+local)), "AUTH PLAIN =",
	} {
		c := s.connect()
		c.answer()
		c.say("EHLO x")
		if got := c.say(login); !strings.HasPrefix(got, "454 ") {
			t.Errorf("%s: %s", login, got)
		}
	}
	if s.endpoint.count() != 0 || s.server.said("AUTH") {
		t.Error("a wrong password got a token")
	}
	s.silent()
}

func TestOneTokenForAll(t *testing.T) {
	s := newScene(t)
	s.endpoint.delay = 100 * time.Millisecond
	s.start()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, said := s.login(); !strings.HasPrefix(said, "235 ") {
				t.Error(said)
			}
		})
	}
	all.Wait()
	if n := s.endpoint.count(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// A token that is refused before its time is replaced once, for all connections: a provider that takes none sees no storm.
func TestRefusedTokens(t *testing.T) {
	s := newScene(t)
	s.server.takes = func(token string) bool { return token == "access-2" }
	s.start()
	if _, said := s.login(); !strings.HasPrefix(said, "235 ") {
		t.Errorf("%s; %s", said, s.log())
	}
	if _, said := s.login(); !strings.HasPrefix(said, "235 ") || s.endpoint.count() != 2 {
		t.Errorf("%s, %d requests", said, s.endpoint.count())
	}
	s.server.takes = func(string) bool { return false }
	for range 10 {
		if _, said := s.login(); !strings.HasPrefix(said, "454 4.7.8 smtp") {
			t.Error(said)
		}
	}
	if n := s.endpoint.count(); n != 2 {
		t.Errorf("%d requests", n)
	}
}

func TestARevokedLoginIsAskedForOnceAMinute(t *testing.T) {
	s := newScene(t)
	s.endpoint.answer = answers(400, `{"error":"invalid_grant"}`)
	s.start()
	c, _ := s.login()
	for range 10 {
		if got := c.say(plainAuth(user, local)); !strings.HasPrefix(got, "503 ") { // EHLO again
			t.Error(got)
		}
		if got := c.say("EHLO x"); !strings.HasPrefix(got, "250") {
			t.Error(got)
		}
		if got := c.say(plainAuth(user, local)); !strings.HasPrefix(got, "454 4.7.8") {
			t.Error(got)
		}
	}
	if n := s.endpoint.count(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// A refresh token that was replaced is used from then on, also after a start, until somebody logs in again.
func TestTheNewestRefreshTokenIsUsed(t *testing.T) {
	s := newScene(t)
	s.endpoint.answer = func(n int, _ url.Values) (int, string) {
		return 200, fmt.Sprintf(`{"access_token":"access-%d","expires_in":0,"refresh_token":"r3fresh-secret-%d"}`, n, n)
	}
	s.start()
	used := func(want string) {
		t.Helper()
		if _, said := s.login(); !strings.HasPrefix(said, "235 ") {
			t.Errorf("%s; %s", said, s.log())
		}
		if got := s.endpoint.requests[len(s.endpoint.requests)-1].Get("refresh_token"); got != want {
			t.Errorf("%s is used, want %s", got, want)
		}
	}
	used(refresh)
	fi, err := os.Stat(filepath.Join(s.opt.StateDir, tokenFile))
	must(t, err)
	if fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", fi.Mode())
	}
	s.serve(t.Context())
	used(refresh + "-1")
	s.account.RefreshToken = "r3fresh-secret-new"
	s.serve(t.Context())
	used("r3fresh-secret-new")
	s.serve(t.Context())
	used("r3fresh-secret-3")
	for _, damaged := range []string{"", "{", `{"format":9}`, `{"format":1,"from":"x","refresh_token":"y"}`} {
		must(t, os.WriteFile(filepath.Join(s.opt.StateDir, tokenFile), []byte(damaged), 0o600))
		s.serve(t.Context())
		used("r3fresh-secret-new")
	}
	must(t, os.Remove(filepath.Join(s.opt.StateDir, tokenFile)))
	must(t, os.Mkdir(filepath.Join(s.opt.StateDir, tokenFile), 0o700)) // cannot be written
	s.serve(t.Context())
	used("r3fresh-secret-new")
	if !strings.Contains(s.log(), "cannot keep the new refresh token") {
		t.Error(s.log())
	}
	s.silent()
}

// Neither side can make the relay hang, grow, panic or forget a connection.
func TestBrokenSides(t *testing.T) {
	endless := func(what string) func(net.Conn) {
		return func(conn net.Conn) {
			for {
				if _, err := io.WriteString(conn, what); err != nil {
					return
				}
			}
		}
	}
	once := func(what string) func(net.Conn) {
		return func(conn net.Conn) {
			_, _ = io.WriteString(conn, what)
			_, _ = io.Copy(io.Discard, conn)
		}
	}
	for name, raw := range map[string]func(net.Conn){
		"closes": func(net.Conn) {}, "silent": once(""), "half a line": once("220 wai"), "endless line": endless("220-xxxxxxxxxxxxxx"), "endless answer": endless("220-x\r\n"),
		"no answer": once("hello\r\n"), "no code": once("22\r\n"), "zeros": endless("\x00"), "two codes": once("220-a\r\n250 b\r\n"), "binary": once("\x16\x03\x01\x02\x00\xff\xff\n"),
		"closes half": func(conn net.Conn) {
			_, _ = io.WriteString(conn, "220 a")
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
		},
		"reset":  func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) },
		"no TLS": once("220 a\r\n250-a\r\n250 STARTTLS\r\n220 go\r\n"),
		"bad TLS": func(conn net.Conn) {
			r := bufio.NewReader(conn)
			for _, say := range []string{"220 a\r\n", "250-a\r\n250 STARTTLS\r\n", "220 go\r\n"} {
				_, _ = io.WriteString(conn, say)
				_, _ = r.ReadString('\n')
			}
			_, _ = io.WriteString(conn, "\xff\xff\xff\xff\xff\xff\xff\xff")
			_, _ = io.Copy(io.Discard, conn)
		},
	} {
		t.Run("provider "+name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.server.raw, s.opt.Limits.Begin = raw, 500*time.Millisecond
			s.start()
			if _, said := s.login(); !strings.HasPrefix(said, "421 4.") {
				t.Error(said)
			}
		})
	}
	for name, say := range map[string]string{
		"huge line": strings.Repeat("x", 100000), "endless": strings.Repeat("NOOP\r\n", 1000), "zeros": strings.Repeat("\x00", 9000), "half a line": "EHLO",
		"line feeds": strings.Repeat("\n", 1000), "huge login": "EHLO x\r\nAUTH PLAIN " + strings.Repeat("A", 90000) + "\r\n", "cancelled": "EHLO x\r\nAUTH PLAIN\r\n*\r\n", "silent": "",
	} {
		t.Run("client "+name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.opt.Limits.Client = 300 * time.Millisecond
			s.start()
			c := s.connect()
			_, _ = io.WriteString(c.conn, say)
			heard, err := io.ReadAll(c.conn)
			if len(heard) > 100000 || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%d bytes, %v", len(heard), err)
			}
		})
	}
}

func TestOneSideEnds(t *testing.T) {
	s := newScene(t)
	s.server.loggedIn = func(conn net.Conn, r *bufio.Reader) {
		all, _ := io.ReadAll(r) // to the end of what comes in,
		_, _ = fmt.Fprintf(conn, "%d bytes\r\n", len(all))
	}
	s.start()
	c, _ := s.login()
	_, _ = io.WriteString(c.conn, strings.Repeat("x", 70000))
	must(t, c.conn.(*net.TCPConn).CloseWrite())
	if got, _ := io.ReadAll(c.r); string(got) != "70000 bytes\r\n" {
		t.Errorf("after the client's end: %q", got)
	}
	s.server.loggedIn = func(conn net.Conn, _ *bufio.Reader) { _, _ = io.WriteString(conn, "421 enough\r\n") }
	c, _ = s.login()
	if got, err := io.ReadAll(c.r); string(got) != "421 enough\r\n" || err != nil {
		t.Errorf("after the provider's end: %q %v", got, err)
	}
	s.server.loggedIn = func(conn net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r); time.Sleep(time.Hour) }
	c, _ = s.login()
	must(t, c.conn.(*net.TCPConn).CloseWrite())
	if got, err := io.ReadAll(c.r); len(got) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a provider that does not end is waited for: %q %v", got, err)
	}
}

// A side that is silent while the other talks is no reason to end.
func TestALongMessageIsNoSilence(t *testing.T) {
	s := newScene(t)
	s.opt.Limits.Idle = 400 * time.Millisecond
	s.start()
	c, _ := s.login()
	c.say("DATA")
	for range 10 {
		_, _ = io.WriteString(c.conn, "slow\r\n")
		time.Sleep(100 * time.Millisecond)
	}
	if got := c.say("."); !strings.HasPrefix(got, "250 ") {
		t.Errorf("a slow message: %q", got)
	}
	start := time.Now()
	if got := c.answer(); !strings.Contains(got, "EOF") || time.Since(start) > 3*time.Second {
		t.Errorf("a silence: %q after %v", got, time.Since(start))
	}
}

func TestItEndsByItself(t *testing.T) {
	s := newScene(t)
	s.opt.Limits.Rest = 300 * time.Millisecond
	s.start()
	_, _, ended := s.serve(t.Context())
	c, said := s.login()
	select {
	case err := <-ended:
		t.Fatalf("it ended under a connection: %v; %s", err, said)
	case <-time.After(time.Second):
	}
	c.say("QUIT")
	start := time.Now()
	select {
	case err := <-ended:
		if rested := time.Since(start); err != nil || rested < 250*time.Millisecond {
			t.Errorf("after %v: %v", rested, err)
		}
	case <-time.After(5 * time.Second):
		t.Error("it does not end")
	}
}

// Told to end, it takes nobody else, and lets those end that are there, for a while.
func TestItIsToldToEnd(t *testing.T) {
	s := newScene(t)
	s.start()
	ctx, cancel := context.WithCancel(t.Context())
	_, _, ended := s.serve(ctx)
	c, _ := s.login()
	early := s.connect() // has not logged in
	early.answer()
	cancel()
	if got := c.say("MAIL FROM:<>"); !strings.HasPrefix(got, "250 ") {
		t.Errorf("a connection was cut: %q", got)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(3 * time.Second): // a client that says nothing has five
		t.Error("it does not end")
	}
	if got := c.answer(); !strings.HasPrefix(got, "<") {
		t.Errorf("%q", got)
	}
}

func TestNothingIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("work", func(t *testing.T) {
		s := newScene(t)
		s.start()
		for range 30 {
			c, said := s.login()
			if !strings.HasPrefix(said, "235 ") {
				t.Error(said)
			}
			_ = c.conn.Close()
		}
	})
	for range 100 {
		if runtime.NumGoroutine() <= before+2 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	stacks := make([]byte, 1<<20)
	t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
}
