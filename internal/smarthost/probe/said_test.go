package probe_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	"postfix-maint/internal/smarthost/probe"
)

// Somebody in between with a certificate of their own gets no password at a level of which Postfix would give them none.
func TestNoPasswordWhereTheProbeChecksLessThanPostfix(t *testing.T) {
	stranger := newCA(t)
	for level, hold := range map[string]string{"fingerprint": "", "dane-only": "", "dane": "", "secure,": "", "": "", "encrypt": "because"} {
		r := &relay{cert: stranger.leaf("x", 3600e9, "x.example"), wrapper: true, secure: "AUTH PLAIN"}
		got := probe.Run(context.Background(), probe.Target{
			Host: "127.0.0.1", Port: r.serve(t), Network: "tcp", Level: level, Wrapper: true, HELO: "h", Match: []string{good},
			Roots: x509.NewCertPool(), User: "u", Secret: "geheim", Hold: hold,
		})
		if got.Mechanism != "" || got.AuthReply != "" || got.Untried == "" || !strings.Contains(got.Untried, hold) || got.Failure != nil {
			t.Errorf("level %q, hold %q: %+v, failure %v", level, hold, got, got.Failure)
		}
	}
}

// A mechanism that Postfix may not use is not used by the test either, whatever the relay offers.
func TestOnlyLoginsThatPostfixMayUse(t *testing.T) {
	issuer := newCA(t)
	for offered, c := range map[string]struct {
		may  []string
		want string
	}{
		"PLAIN LOGIN":          {[]string{"CRAM-MD5"}, ""},
		"PLAIN LOGIN CRAM-MD5": {[]string{"CRAM-MD5"}, "CRAM-MD5"},
		"LOGIN PLAIN":          {[]string{"LOGIN"}, "LOGIN"},
		"PLAIN":                {[]string{}, ""},
	} {
		r := &relay{cert: issuer.leaf(good, 3600e9, good), open: "STARTTLS", secure: "AUTH " + offered, replies: map[string]string{"AUTH CRAM-MD5": "334 Z2VoZWlt", "AUTH LOGIN": "334 x"}}
		got := probe.Run(context.Background(), probe.Target{
			Host: "127.0.0.1", Port: r.serve(t), Network: "tcp", Level: "secure", HELO: "h", Match: []string{good}, Roots: issuer.pool, User: "u", Secret: "geheim", May: c.may,
		})
		if got.Mechanism != c.want || (got.Untried == "") != (c.want != "") {
			t.Errorf("of %s, %s may be used: %+v", offered, c.may, got)
		}
	}
}

// What a relay repeats of the login is shown with stars, and commands no terminal.
func TestARelayThatRepeatsThePassword(t *testing.T) {
	issuer := newCA(t)
	plain := base64.StdEncoding.EncodeToString([]byte("\x00u\x00geheim"))
	word := base64.StdEncoding.EncodeToString([]byte("geheim"))
	for mechanism, replies := range map[string]map[string]string{
		"PLAIN":    {"AUTH": "535-no: " + plain + " \x1b]0;x\x07\r\n535 geheim \u009b " + strings.TrimRight(plain, "=")},
		"LOGIN":    {"AUTH": "334 x", "dQ==": "334 y", word: "535 no " + word + " \x1b[2J geheim"},
		"CRAM-MD5": {"AUTH": "334 Z2VoZWlt", "dSA": "535 geheim"},
	} {
		r := &relay{cert: issuer.leaf(good, 3600e9, good), open: "STARTTLS", secure: "AUTH " + mechanism, replies: replies, banner: "220 \x1b[31mgeheim"}
		got := probe.Run(context.Background(), probe.Target{
			Host: "127.0.0.1", Port: r.serve(t), Network: "tcp", Level: "secure", HELO: "h", Match: []string{good}, Roots: issuer.pool, User: "u", Secret: "geheim",
		})
		kept, err := json.Marshal(got)
		if err != nil || got.Failure == nil || got.Failure.Cause != probe.Refused || got.Mechanism != mechanism {
			t.Fatalf("%v: %s", err, kept)
		}
		for _, never := range []string{"geheim", plain[:len(plain)-2], word, `\u001b`, `\u0007`, "\u009b", "dSA"} {
			if bytes.Contains(kept, []byte(never)) {
				t.Errorf("%s: %q is in %s", mechanism, never, kept)
			}
		}
		if !strings.Contains(got.AuthReply, "***") || !strings.Contains(got.Failure.Text, "***") {
			t.Errorf("%s: the reply is %q", mechanism, got.AuthReply)
		}
	}
}

// A reply without an end is an error, whether in one line or in many, and nothing of it is kept.
func TestAReplyWithoutAnEnd(t *testing.T) {
	for _, piece := range []string{strings.Repeat("x", 1<<12), "220-" + strings.Repeat("x", 100) + "\r\n"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan int, 1)
		go func() {
			n := 0
			defer func() { done <- n }()
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			for first := "220-"; n < 64<<20; first = "" {
				wrote, err := fmt.Fprint(conn, first+piece)
				if n += wrote; err != nil {
					return
				}
			}
		}()
		got := probe.Run(context.Background(), probe.Target{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Network: "tcp", Level: "secure", HELO: "h"})
		if f := got.Failure; f == nil || f.Cause != probe.NoGreeting || !strings.Contains(f.Text, "64 KiB") || len(f.Text) > 1000 || got.Greeting != "" {
			t.Errorf("%.200v", f)
		}
		if n := <-done; n >= 64<<20 {
			t.Errorf("%d bytes were taken", n)
		}
		_ = l.Close()
	}
}
