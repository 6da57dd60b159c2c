// Command provider is a mail provider for the scenarios: an OAuth 2.0 server (go-oauth2), a mail server that knows XOAUTH2 and OAUTHBEARER
// only (go-smtp), and a port by which a test looks at both and changes them. It trusts everybody who asks for a login: nothing of it is
// for anything but tests.
//
//	/authorize /token /device/code   under TLS; who asks for a code is taken as logged in
//	POST /approve?user_code=CODE     control: somebody has typed the code in
//	POST /issue                      control: gives a refresh token
//	POST /revoke  /expire            control: all refresh tokens, all access tokens
//	POST /restart?down=2s            control: cuts all connections of both servers, and listens again after that
//	POST /set?lifetime=3s&rotate=1   control: of the access tokens; whether a refresh token is replaced when it is used
//	POST /count?n=400                control: messages and logins since it was asked last, when there are so many
//	GET  /state                      control: what was asked for how often, and the messages by their Message-ID
package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// state is what a test asks for.
type state struct {
	mu       sync.Mutex
	Refresh  int            `json:"refresh"`  // requests with a refresh token, refused ones as well
	Tokens   int            `json:"tokens"`   // access tokens that were given
	Refused  int            `json:"refused"`  // requests for one that were refused
	Connects int            `json:"connects"` // to the mail server
	Auth     int            `json:"auth"`     // logins that were tried there, under TLS or not
	Failed   int            `json:"failed"`   // and refused
	Mechs    map[string]int `json:"mechs"`
	Messages map[string]int `json:"messages"`
	Bytes    int64          `json:"bytes"`
	Given    []string       `json:"given"`  // every token
	Access   []string       `json:"access"` // those that log in at the mail server

	lately tally
	open   int // connections
}

func (s *state) change(f func(s *state)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

// tally is what came since somebody has asked.
type tally struct {
	Messages, Logins, Most int // Most: connections at once
	Last                   time.Time
}

// count shows it, and begins anew when there are enough messages.
func (s *state) count(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = json.NewEncoder(w).Encode(s.lately)
	if n, err := strconv.Atoi(r.FormValue("n")); err == nil && s.lately.Messages >= n {
		s.lately = tally{Most: s.open}
	}
}

func (s *state) show(w http.ResponseWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = json.NewEncoder(w).Encode(s)
}

func main() {
	cert := flag.String("cert", "", "key and certificate, PEM")
	oauthAt := flag.String("oauth", ":443", "address of the OAuth 2.0 server")
	smtpAt := flag.String("smtp", ":587", "address of the mail server with STARTTLS")
	smtpsAt := flag.String("smtps", ":465", "address of the mail server with TLS at once")
	controlAt := flag.String("control", ":8080", "address of the control")
	client := flag.String("client", "app", "name of the application without a secret")
	private := flag.String("private", "daemon", "name of the application with one")
	secretFile := flag.String("secret-file", "", "its secret")
	user := flag.String("user", "anna@example.test", "who logs in")
	robotKey := flag.String("robot-key", "", "public key of the service account, PEM")
	lifetime := flag.Duration("lifetime", time.Hour, "of access tokens")
	rotate := flag.Bool("rotate", false, "replace a refresh token when it is used")
	open := flag.Bool("open", false, "take mail without a login as well, to measure what one costs")
	passwordFile := flag.String("password-file", "", "take PLAIN with its password as well, and look at no line for a login: to measure")
	flag.Parse()
	pair, err := tls.LoadX509KeyPair(*cert, *cert)
	if err != nil {
		log.Fatal(err)
	}
	conf := &tls.Config{Certificates: []tls.Certificate{pair}}
	st := &state{Mechs: map[string]int{}, Messages: map[string]int{}}
	tokens, err := newAuthority(st, *user, *lifetime, *rotate)
	if err != nil {
		log.Fatal(err)
	}
	if err := tokens.applications(*client, *private, read(*secretFile), read(*robotKey)); err != nil {
		log.Fatal(err)
	}
	servers := &servers{conf: conf, oauth: *oauthAt, smtp: *smtpAt, smtps: *smtpsAt, handler: tokens.handler(), backend: &mailbox{state: st, tokens: tokens, open: *open, password: strings.TrimSpace(read(*passwordFile))}}
	if err := servers.start(); err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(*controlAt, control(st, tokens, servers)))
}

func read(name string) string {
	if name == "" {
		return ""
	}
	text, err := os.ReadFile(name)
	if err != nil {
		log.Fatal(err)
	}
	return string(text)
}

// control is the port of the tests.
func control(st *state, tokens *authority, servers *servers) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) { st.show(w) })
	mux.HandleFunc("POST /count", st.count)
	mux.HandleFunc("POST /approve", func(w http.ResponseWriter, r *http.Request) { done(w, tokens.approve(r.FormValue("user_code"))) })
	mux.HandleFunc("POST /issue", func(w http.ResponseWriter, r *http.Request) {
		given, err := tokens.issue(r.Context())
		if err != nil {
			done(w, err)
			return
		}
		_ = json.NewEncoder(w).Encode(given)
	})
	mux.HandleFunc("POST /revoke", func(w http.ResponseWriter, _ *http.Request) { tokens.revoke() })
	mux.HandleFunc("POST /expire", func(w http.ResponseWriter, _ *http.Request) { tokens.expire() })
	mux.HandleFunc("POST /set", func(w http.ResponseWriter, r *http.Request) {
		if d, err := time.ParseDuration(r.FormValue("lifetime")); err == nil {
			tokens.set(func(t *authority) { t.lifetime = d })
		}
		if v := r.FormValue("rotate"); v != "" {
			tokens.set(func(t *authority) { t.rotate = v == "1" })
		}
	})
	mux.HandleFunc("POST /restart", func(w http.ResponseWriter, r *http.Request) {
		down, _ := time.ParseDuration(r.FormValue("down"))
		servers.stop()
		time.Sleep(down)
		done(w, servers.start())
	})
	return mux
}

func done(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
	}
}
