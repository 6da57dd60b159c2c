package resolve_test

import (
	"bufio"
	"net"
	"strings"
	"testing"

	"postfix-maint/internal/smarthost/resolve"
)

// daemon answers each request with what is given, as trivial-rewrite(8) of Debian 13 did (nulls written as |).
func daemon(t *testing.T, hello, reply string) *resolve.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = theirs.Close() })
	go func() {
		out := func(text string) { _, _ = theirs.Write([]byte(strings.ReplaceAll(text, "|", "\x00"))) }
		in := bufio.NewReader(theirs)
		for first := true; ; first = false {
			for n := 0; ; n++ { // up to an empty name
				text, err := in.ReadString(0)
				if err != nil {
					return
				}
				if n%2 == 0 && text == "\x00" {
					break
				}
			}
			if first {
				out(hello)
			}
			out(reply)
		}
	}()
	return resolve.New(ours)
}

func TestWay(t *testing.T) {
	const hello = "protocol|trivial_rewrite_protocol||"
	for reply, want := range map[string]resolve.Way{
		"flags|0|transport|smtp|nexthop|example.org|recipient|a@example.org|flags|4096||":          {Transport: "smtp", NextHop: "example.org", Recipient: "a@example.org", Class: resolve.Default},
		"flags|0|transport|local|nexthop|h.example|recipient|root@localhost|flags|256||":           {Transport: "local", NextHop: "h.example", Recipient: "root@localhost", Class: resolve.Local},
		"flags|0|transport|error|nexthop|5.1.1 User unknown|recipient|a@alias.example|flags|512||": {Transport: "error", NextHop: "5.1.1 User unknown", Recipient: "a@alias.example", Class: resolve.Alias},
	} {
		for _, hello := range []string{hello, ""} {
			c := daemon(t, hello, reply)
			for range 2 {
				if got, err := c.Way("", "a"); err != nil || got != want {
					t.Errorf("%q: %+v, %v", reply, got, err)
				}
			}
		}
	}
	for reply, says := range map[string]string{
		"flags|0|transport|smtp|nexthop|x|recipient|a|flags|8||": "a table that it needs",
		"flags|0|transport|smtp|nexthop|x|recipient|a|flags|4||": "no address",
		"flags|x||":                 "cannot be read",
		strings.Repeat("a", 70_000): "64 KiB",
	} {
		if got, err := daemon(t, hello, reply).Way("", "a"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.30q: %+v, %v", reply, got, err)
		}
	}
	if _, err := daemon(t, hello, "").Way("", "a\x00"); err == nil {
		t.Error("an address with a null byte is asked for")
	}
}

func TestComplete(t *testing.T) {
	if got, err := daemon(t, "", "flags|0|address|root@h.example||").Complete("root"); err != nil || got != "root@h.example" {
		t.Errorf("%q, %v", got, err)
	}
}
