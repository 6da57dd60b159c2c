package main

import (
	"bufio"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postfix-maint/internal/sysroot/sysroottest"
)

func TestWrongUse(t *testing.T) {
	for _, row := range []struct {
		words []string
		code  int
		want  string
	}{
		{nil, 2, "postfix-oauth-relay serve\n postfix-oauth-relay login\n"},
		{[]string{"srve"}, 2, "usage: postfix-oauth-relay serve\n"},
		{[]string{"serve", "914"}, 2, "serve takes no arguments"},
		{[]string{"login", "x"}, 2, "login takes no arguments"},
		{[]string{"serve"}, 1, "start postfix-oauth-relay@PORT.socket"},
	} {
		var said strings.Builder
		if got := run(t.Context(), row.words, strings.NewReader(""), &said, &said); got != row.code || !strings.Contains(said.String(), row.want) {
			t.Errorf("%q: %d, %s; want %d, %s", row.words, got, said.String(), row.code, row.want)
		}
	}
}

// What is wrong with a login does not keep the port from being served: who comes hears it, for now, and nothing of the login.
func TestWithoutLogin(t *testing.T) {
	sysroottest.NeedsRoot(t) // others than Postfix and root are turned away without a word
	for name, row := range map[string]struct{ account, want string }{
		"none":    {"", "smarthost login"},
		"cut off": {`{"refresh_token": "r3fresh", "client_secr`, "login"},
	} {
		dir := t.TempDir()
		if row.account != "" {
			if err := os.WriteFile(filepath.Join(dir, credential), []byte(row.account), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		port, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		ended := make(chan int, 1)
		var said strings.Builder
		go func() {
			code := 1
			defer func() { _ = recover(); ended <- code }()
			code = relayAt(ctx, port, dir, t.TempDir(), func(line string) { said.WriteString(line + "\n") })
		}()
		answer := firstLine(ctx, t, port.Addr().String())
		if !strings.HasPrefix(answer, "4") || !strings.Contains(answer, row.want) || strings.Contains(answer, "r3fresh") {
			t.Errorf("%s: the answer is %q", name, answer)
		}
		stop()
		if code := <-ended; code != 0 || strings.Contains(said.String(), "r3fresh") {
			t.Errorf("%s: %d, %s", name, code, said.String())
		}
	}
}

// firstLine is what a server says to whoever connects, to Postfix's first word where it greets.
func firstLine(ctx context.Context, t *testing.T, address string) string {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err == nil && strings.HasPrefix(line, "2") {
		if _, err = c.Write([]byte("EHLO client.example\r\n")); err == nil {
			line, err = r.ReadString('\n')
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return line
}
