package oauthrelay

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postfix-maint/internal/oauth"
)

// ca issues certificates.
type ca struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newCA(t *testing.T) *ca {
	t.Helper()
	c := &ca{t: t, file: filepath.Join(t.TempDir(), "ca.pem"), cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	var err error
	c.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificate(rand.Reader, c.cert, c.cert, &c.key.PublicKey, c.key)
	must(t, err)
	c.cert, err = x509.ParseCertificate(der)
	must(t, err)
	must(t, os.WriteFile(c.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return c
}

func (c *ca) issue(name string) tls.Certificate {
	c.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(c.t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, c.cert, &key.PublicKey, c.key)
	must(c.t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// endpoint is a token endpoint.
type endpoint struct {
	mu       sync.Mutex
	requests []url.Values
	answer   func(n int, form url.Values) (status int, body string) // of the nth request, from 1
	delay    time.Duration
}

// issues is an endpoint that gives the tokens access-1, access-2 and so on.
func issues(lifetime int) func(int, url.Values) (int, string) {
	return func(n int, _ url.Values) (int, string) {
		return 200, fmt.Sprintf(`{"access_token":"access-%d","token_type":"Bearer","expires_in":%d}`, n, lifetime)
	}
}

func answers(status int, body string) func(int, url.Values) (int, string) {
	return func(int, url.Values) (int, string) { return status, body }
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	e.mu.Lock()
	e.requests = append(e.requests, r.PostForm)
	n := len(e.requests)
	e.mu.Unlock()
	time.Sleep(e.delay)
	status, body := e.answer(n, r.PostForm)
	w.Header().Set("Content-Type", "application/json")
	if status == 307 {
		w.Header().Set("Location", "https://login.example.test/elsewhere")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func (e *endpoint) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.requests)
}

// server is a provider's mail server. Each field changes what it does.
type server struct {
	cert     tls.Certificate
	maxTLS   uint16
	wrapper  bool
	greeting string
	plain    []string // extensions before TLS
	offers   []string // and under TLS
	inject   string   // comes with the answer to STARTTLS, before TLS
	takes    func(token string) bool
	refusal  string                               // instead of 535
	busy     string                               // to AUTH, at once
	raw      func(conn net.Conn)                  // instead of all of it
	loggedIn func(conn net.Conn, r *bufio.Reader) // after the login, instead of taking mail
	mu       sync.Mutex
	heard    []string
	open     int
	messages []string
	users    []string
}

func (s *server) hear(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, line)
}

// said tells whether any line began so.
func (s *server) said(prefix string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.heard, func(l string) bool { return strings.HasPrefix(strings.ToUpper(l), prefix) })
}

func (s *server) serve(conn net.Conn) {
	s.mu.Lock()
	s.open++
	s.mu.Unlock()
	defer conn.Close()
	if s.raw != nil {
		s.raw(conn)
		return
	}
	conf := &tls.Config{Certificates: []tls.Certificate{s.cert}, MaxVersion: s.maxTLS, MinVersion: tls.VersionTLS10}
	secure := s.wrapper
	if secure {
		conn = tls.Server(conn, conf)
	}
	r := bufio.NewReader(conn)
	say := func(line string) { _, _ = io.WriteString(conn, line+"\r\n") }
	say(s.greeting)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		s.hear(line)
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			lines := append([]string{"provider.example.test hello " + rest}, map[bool][]string{true: s.offers, false: s.plain}[secure]...)
			for i, l := range lines {
				say("250" + map[bool]string{true: " ", false: "-"}[i == len(lines)-1] + l)
			}
		case "STARTTLS":
			_, _ = io.WriteString(conn, "220 go\r\n"+s.inject)
			conn = tls.Server(conn, conf)
			r, secure = bufio.NewReader(conn), true
		case "AUTH":
			if s.auth(rest, r, say) {
				if s.loggedIn != nil {
					s.loggedIn(conn, r)
					return
				}
				s.mail(conn, r)
				return
			}
		case "QUIT":
			say("221 bye")
			return
		default:
			say("503 what")
		}
	}
}

// auth knows both mechanisms, with and without a response beside the command.
func (s *server) auth(args string, r *bufio.Reader, say func(string)) bool {
	if s.busy != "" {
		say(s.busy)
		return false
	}
	mech, coded, given := strings.Cut(args, " ")
	if !given {
		say("334 ")
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		coded = strings.TrimRight(line, "\r\n")
		s.hear(coded)
	}
	text, _ := base64.StdEncoding.DecodeString(coded)
	fields := strings.Split(string(text), "\x01")
	_, token, _ := strings.Cut(string(text), "auth=Bearer ")
	token, _, _ = strings.Cut(token, "\x01")
	s.mu.Lock()
	s.users = append(s.users, mech+" "+fields[0]+" "+token)
	s.mu.Unlock()
	if s.takes(token) {
		say("235 2.7.0 welcome, says the provider")
		return true
	}
	say("334 " + base64.StdEncoding.EncodeToString([]byte(`{"status":"401","schemes":"bearer","secret":"`+token+`"}`)))
	line, err := r.ReadString('\n')
	if err != nil {
		return false
	}
	if want := map[string]string{"XOAUTH2": "\r\n", "OAUTHBEARER": "AQ==\r\n"}[mech]; line != want {
		say("501 the error wants another answer")
		return false
	}
	say(s.refusal)
	return false
}

// mail takes it.
func (s *server) mail(conn net.Conn, r *bufio.Reader) {
	say := func(line string) { _, _ = io.WriteString(conn, line+"\r\n") }
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch verb, _, _ := strings.Cut(strings.TrimSpace(line), " "); verb {
		case "DATA":
			say("354 go")
			var text strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				text.WriteString(line)
			}
			s.mu.Lock()
			s.messages = append(s.messages, text.String())
			s.mu.Unlock()
			say("250 2.0.0 kept as number 7")
		case "QUIT":
			say("221 2.0.0 bye")
			return
		case "RCPT":
			if strings.Contains(line, "nobody@") {
				say("550-5.1.1 no such user,\r\n550 5.1.1 says the provider")
				continue
			}
			say("250 2.1.5 ok")
		default:
			say("250 2.1.0 ok")
		}
	}
}

// scene is a relay with its provider.
type scene struct {
	t        *testing.T
	ca       *ca
	endpoint *endpoint
	server   *server
	account  oauth.Account
	opt      Options
	uid      atomic.Int64
	dialed   int

	mu     sync.Mutex
	logged []string
	addr   string
	names  map[string]string
}

const (
	user    = "anna@example.test"
	local   = "l0cal-secret"
	refresh = "r3fresh-secret"
)

// quick are limits for tests.
func quick() Limits {
	return Limits{
		Rest: time.Hour, Drain: 300 * time.Millisecond, Client: 5 * time.Second, Dial: 5 * time.Second, Begin: 5 * time.Second, Token: 5 * time.Second,
		Idle: 5 * time.Second, Write: 5 * time.Second, Linger: 500 * time.Millisecond,
	}
}

// newScene has a provider that works; what is wrong with it is changed before start.
func newScene(t *testing.T) *scene {
	t.Helper()
	c := newCA(t)
	s := &scene{t: t, ca: c, endpoint: &endpoint{answer: issues(3600)}, names: map[string]string{}}
	s.server = &server{
		cert: c.issue("smtp.example.test"), greeting: "220 provider ESMTP", plain: []string{"PIPELINING", "STARTTLS"},
		offers: []string{"PIPELINING", "SIZE 35882577", "8BITMIME", "AUTH LOGIN PLAIN XOAUTH2 OAUTHBEARER", "SMTPUTF8", "DSN"},
		takes:  func(token string) bool { return strings.HasPrefix(token, "access-") }, refusal: "535 5.7.3 Authentication unsuccessful",
	}
	s.account = oauth.Account{
		Provider: "microsoft", Relay: "[smtp.example.test]:587", User: user, Grant: oauth.GrantRefresh, TokenURL: "https://login.example.test/token",
		ClientID: "app", RefreshToken: refresh, Local: local, CAFile: c.file,
	}
	s.opt = Options{
		StateDir: t.TempDir(), Users: []int{0, 77}, Limits: quick(), Log: func(line string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.logged = append(s.logged, line)
		},
		PeerUID: func(net.Conn) (int, error) { return int(s.uid.Load()), nil },
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			s.mu.Lock()
			to, ok := s.names[address]
			s.dialed++
			s.mu.Unlock()
			if !ok {
				return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: address, IsNotFound: true}}
			}
			return (&net.Dialer{}).DialContext(ctx, network, to)
		},
	}
	s.uid.Store(77)
	return s
}

// start starts all three; what is there to end ends with the test.
func (s *scene) start() *Relay {
	s.t.Helper()
	web := httptest.NewUnstartedServer(s.endpoint)
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.TLS = &tls.Config{Certificates: []tls.Certificate{s.ca.issue("login.example.test")}}
	web.StartTLS()
	s.t.Cleanup(web.Close)
	mail, err := net.Listen("tcp", "127.0.0.1:0")
	must(s.t, err)
	s.t.Cleanup(func() { _ = mail.Close() })
	go func() {
		for {
			conn, err := mail.Accept()
			if err != nil {
				return
			}
			go s.server.serve(conn)
		}
	}()
	for name, to := range map[string]string{"login.example.test:443": web.Listener.Addr().String(), "smtp.example.test:587": mail.Addr().String()} {
		if _, set := s.names[name]; !set {
			s.names[name] = to
		}
	}
	relay, _, _ := s.serve(s.t.Context())
	return relay
}

// serve starts the relay alone; what it gives ends it, and waits for that.
func (s *scene) serve(ctx context.Context) (relay *Relay, end func(), ended chan error) {
	s.t.Helper()
	s.opt.Account = s.account
	relay = New(s.opt)
	port, err := net.Listen("tcp", "127.0.0.1:0")
	must(s.t, err)
	s.addr = port.Addr().String()
	ctx, cancel := context.WithCancel(ctx)
	ended = make(chan error, 1)
	done := make(chan struct{})
	go func() {
		ended <- relay.Serve(ctx, port.(*net.TCPListener))
		close(done)
	}()
	end = func() {
		cancel()
		<-done
		_ = port.Close()
	}
	s.t.Cleanup(end)
	return relay, end, ended
}

// log is what the relay has logged.
func (s *scene) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.logged, "\n")
}

func (s *scene) status() oauth.Status {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.opt.StateDir, oauth.StatusFile))
	if errors.Is(err, os.ErrNotExist) {
		return oauth.Status{Problem: "none was written"}
	}
	must(s.t, err)
	status, err := oauth.ParseStatus(text)
	must(s.t, err)
	return status
}

// silent fails where something that nobody may see was logged, written for root or said to Postfix.
func (s *scene) silent(said ...string) {
	s.t.Helper()
	status, err := json.Marshal(s.status())
	must(s.t, err)
	for _, text := range append(said, s.log(), string(status)) {
		for _, secret := range []string{local, refresh, "access-", "b0dy-secret", base64.StdEncoding.EncodeToString([]byte("secret"))} {
			if strings.Contains(text, secret) {
				s.t.Errorf("%q has %q", text, secret)
			}
		}
	}
}

// client is Postfix.
type client struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func (s *scene) connect() *client {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	must(s.t, err)
	s.t.Cleanup(func() { _ = conn.Close() })
	must(s.t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	return &client{s.t, conn, bufio.NewReader(conn)}
}

// say sends a line and gives the answer, all its lines.
func (c *client) say(line string) string {
	c.t.Helper()
	_, err := io.WriteString(c.conn, line+"\r\n")
	must(c.t, err)
	return c.answer()
}

func (c *client) answer() string {
	c.t.Helper()
	var all strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return all.String() + "<" + err.Error() + ">"
		}
		all.WriteString(line)
		if len(line) < 4 || line[3] != '-' {
			return all.String()
		}
	}
}

func plainAuth(name, password string) string {
	return "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+name+"\x00"+password))
}

// login gives the last answer on the way to a login.
func (s *scene) login() (*client, string) {
	s.t.Helper()
	c := s.connect()
	c.answer()
	if hello := c.say("EHLO mail.example.test"); !strings.HasPrefix(hello, "250") {
		return c, hello
	}
	return c, c.say(plainAuth(user, local))
}
