// Package oauthrelay (ring: flow) is what stands between Postfix and a relay that wants a login by OAuth 2.0: it takes Postfix's connection,
// opens one to the relay under TLS, logs in there with a fresh access token by XOAUTH2 or OAUTHBEARER (RFC 7628), and from then on passes
// bytes through. Whatever goes wrong before that is told to Postfix as a reply that lets mail wait.
package oauthrelay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"postfix-maint/internal/oauth"
)

// Limits are how long each thing may take.
type Limits struct {
	Rest   time.Duration // without a connection: then the relay ends, and systemd starts it when it is needed
	Drain  time.Duration // of the connections that there are when the relay is told to end
	Client time.Duration // a command of the client's before its login
	Dial   time.Duration // the connection to the provider
	Begin  time.Duration // its TLS and greeting, and again the login
	Token  time.Duration // the token endpoint
	Idle   time.Duration // nothing is said by either side: more than Postfix waits (smtp_data_done_timeout, 10 minutes)
	Write  time.Duration // a side does not take what it is given
	Linger time.Duration // the other direction, when one has ended
}

// Usual are those of a host.
func Usual() Limits {
	return Limits{
		Rest: time.Minute, Drain: 30 * time.Second, Client: 2 * time.Minute, Dial: 25 * time.Second, Begin: 60 * time.Second, Token: 30 * time.Second,
		Idle: 15 * time.Minute, Write: 5 * time.Minute, Linger: time.Minute,
	}
}

// Options are a relay.
type Options struct {
	Account  oauth.Account
	Broken   error  // why there is no account: told to each client
	StateDir string // the relay's own directory, "" for none
	Users    []int  // who may connect
	Log      func(line string)
	Limits   Limits
	PeerUID  func(conn net.Conn) (int, error)
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
}

// maxConnections is how many are served at once; more wait in the kernel's queue. Postfix makes 20 to one relay unless told otherwise.
const maxConnections = 100

// maxCAs is how much is read of a file of CAs.
const maxCAs = 4 << 20

// Relay serves one account.
type Relay struct {
	opt    Options
	roots  *x509.CertPool // nil: the system's
	broken *refusal
	tokens *tokens
	kept   *kept

	mu     sync.Mutex
	status oauth.Status
	said   map[string]time.Time
	active int
	idle   time.Time // since when there is no connection
}

// New makes one.
func New(opt Options) *Relay {
	r := &Relay{opt: opt, said: map[string]time.Time{}, idle: time.Now()}
	r.kept = &kept{dir: opt.StateDir, say: r.say}
	if opt.Broken != nil {
		r.broken = refuse(oauth.ProblemRefused, "4.3.5", "%v", opt.Broken)
	}
	if err := r.trust(); err != nil {
		r.broken = refuse(oauth.ProblemCertificate, "4.3.5", "cannot read the CAs of the login in %s: %v", opt.Account.CAFile, err)
	}
	from := newSource(opt, r.kept, &tls.Config{RootCAs: r.roots, MinVersion: tls.VersionTLS12})
	r.tokens = newTokens(from.fetch, time.Now)
	return r
}

// trust has the account's CAs, where it names some, count instead of the system's: whoever names one says that this server's is that one.
func (r *Relay) trust() error {
	if r.opt.Account.CAFile == "" {
		return nil
	}
	f, err := os.Open(r.opt.Account.CAFile)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCAs))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return errors.New("no certificate is in it")
	}
	r.roots = roots
	return nil
}

// listener is what connections come from.
type listener interface {
	net.Listener
	SetDeadline(t time.Time) error
}

// Serve takes connections until there was none for a while, or ctx has ended and those that there are as well.
func (r *Relay) Serve(ctx context.Context, from listener) error {
	hard, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	stop := context.AfterFunc(ctx, func() { _ = from.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	places := make(chan struct{}, maxConnections)
	var err error
	for err == nil {
		err = r.next(ctx, hard, from, places)
	}
	drained := make(chan struct{})
	go func() {
		defer func() { _ = recover(); close(drained) }()
		for range maxConnections {
			places <- struct{}{}
		}
	}()
	select {
	case <-drained:
	case <-time.After(r.opt.Limits.Drain):
		cut()
		<-drained
	}
	if errors.Is(err, errRest) {
		return nil
	}
	return err
}

// errRest says that nobody came.
var errRest = errors.New("nobody came")

// next takes one connection.
func (r *Relay) next(ctx, hard context.Context, from listener, places chan struct{}) error {
	select {
	case places <- struct{}{}:
	case <-ctx.Done():
		return errRest
	}
	free := func() { <-places }
	if err := from.SetDeadline(time.Now().Add(r.opt.Limits.Rest)); err != nil {
		free()
		return err
	}
	if ctx.Err() != nil { // its own deadline may have been overwritten
		free()
		return errRest
	}
	conn, err := from.Accept()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil && !r.rested():
		free()
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		free()
		return errRest
	case err != nil:
		free()
		return err
	}
	r.count(1)
	go func() {
		defer func() {
			if recover() != nil {
				r.say("a connection has ended by a fault of this program")
			}
			_ = conn.Close() // whatever was said is out, or nobody listens
			r.count(-1)
			free()
		}()
		r.serve(hard, conn)
	}()
	return nil
}

func (r *Relay) count(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.active += n
	r.idle = time.Now()
}

// rested tells whether there is no connection, and was none for long enough.
func (r *Relay) rested() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.active == 0 && time.Since(r.idle) >= r.opt.Limits.Rest
}

func (r *Relay) allowed(uid int) bool { return slices.Contains(r.opt.Users, uid) }

// say logs a line, unless it did so a short time ago.
func (r *Relay) say(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if last, ok := r.said[line]; ok && now.Sub(last) < time.Minute {
		return
	}
	if len(r.said) > 100 {
		clear(r.said)
	}
	r.said[line] = now
	r.opt.Log(line)
}

// note writes how a login went for whoever asks, where that is news; nil is that it went well.
func (r *Relay) note(why *refusal) {
	s := oauth.Status{Time: time.Now()}
	if why != nil {
		s.Problem, s.Words = why.problem, why.words
		r.say(why.words)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.Problem == r.status.Problem && s.Words == r.status.Words && s.Time.Sub(r.status.Time) < time.Minute {
		return
	}
	text, err := s.Marshal()
	if err == nil {
		err = r.kept.write(oauth.StatusFile, text)
	}
	if err != nil {
		r.opt.Log("cannot write the state of the login: " + err.Error())
	}
	r.status = s
}

func itoa(n int) string { return strconv.Itoa(n) }
