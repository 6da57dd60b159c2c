package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestServers(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                  {"127.0.0.1:53"},
		"search x\n#nameserver 192.0.2.9\n": {"127.0.0.1:53"},
		"nameserver 192.0.2.1\nnameserver\t2001:db8::1 # two\nnameserver nonsense\nnameserver fe80::1%eth0\nnameserver 192.0.2.4\n": {
			"192.0.2.1:53", "[2001:db8::1]:53", "[fe80::1%eth0]:53"},
	} {
		if got := Servers([]byte(text)); !slices.Equal(got, want) {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestReverse(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1": "1.2.0.192.in-addr.arpa", "::ffff:192.0.2.1": "1.2.0.192.in-addr.arpa",
		"2001:db8::12": "2.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
	} {
		if got := Reverse(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %q", address, got)
		}
	}
}

// rr is a record of an answer whose name is the question's.
func rr(kind Kind, data ...byte) []byte {
	b := append([]byte{0xc0, headLen}, byte(kind>>8), byte(kind), 0, 1, 0, 0, 0, 9)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(data))), data...)
}

// reply makes an answer.
func reply(q []byte, code byte, rrs ...[]byte) []byte {
	m := slices.Clone(q)
	m[2] |= response
	m[3] = code
	m[7] = byte(len(rrs))
	return append(m, slices.Concat(rrs...)...)
}

// server answers each question by UDP and TCP.
func server(t *testing.T, udp, tcp func(q []byte) [][]byte) string {
	t.Helper()
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", p.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(); l.Close() })
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := p.ReadFrom(b)
			if err != nil {
				return
			}
			for _, m := range udp(b[:n]) {
				_, _ = p.WriteTo(m, from)
			}
		}
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 512)
			if _, err := io.ReadFull(c, b[:2]); err == nil {
				q := b[2 : 2+binary.BigEndian.Uint16(b)]
				_, _ = io.ReadFull(c, q)
				for _, m := range tcp(q) {
					_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...))
				}
			}
			c.Close()
		}
	}()
	return p.LocalAddr().String()
}

func silent([]byte) [][]byte { return nil }

func TestAsk(t *testing.T) {
	one := func(code byte, rrs ...[]byte) func(q []byte) [][]byte {
		return func(q []byte) [][]byte { return [][]byte{reply(q, code, rrs...)} }
	}
	host := []byte("\x01m\xc0\x0c") // m.NAME
	for what, c := range map[string]struct {
		kind Kind
		udp  func(q []byte) [][]byte
		tcp  func(q []byte) [][]byte
		want []string
		err  string
	}{
		"an address":      {A, one(0, rr(A, 192, 0, 2, 1)), silent, []string{"192.0.2.1"}, ""},
		"behind an alias": {A, one(0, rr(5, host...), rr(A, 192, 0, 2, 1)), silent, []string{"192.0.2.1"}, ""},
		"by preference": {MX, one(0, rr(MX, append([]byte{0, 20}, host...)...), rr(MX, 0, 10, 2, 'A', 0x1b, 0)), silent,
			[]string{"a?", "m.box.example"}, ""},
		"a name":       {PTR, one(0, rr(PTR, host...)), silent, []string{"m.box.example"}, ""},
		"no name":      {A, one(3), silent, nil, ErrNone.Error()},
		"another kind": {AAAA, one(0, rr(A, 1, 2, 3, 4)), silent, nil, ErrNone.Error()},
		"it fails":     {A, one(2), silent, nil, "name server SERVER refuses or fails (code 2)"},
		"a circle":     {PTR, one(0, rr(PTR, 0xc0, 41)), silent, nil, "name server SERVER: its answer cannot be read"},
		"too short":    {A, one(0, rr(A, 1, 2, 3)), silent, nil, "name server SERVER: its answer cannot be read"},
		"cut off":      {A, one(0, rr(A, 1, 2, 3, 4)[:8]), silent, nil, "name server SERVER: its answer cannot be read"},
		"too long":     {A, func(q []byte) [][]byte { m := reply(q, 0); m[2] |= truncated; return [][]byte{m} }, one(0, rr(A, 192, 0, 2, 7)), []string{"192.0.2.7"}, ""},
		"others first": {A, func(q []byte) [][]byte {
			other := reply(q, 3)
			other[0]++
			return [][]byte{nil, other, q, reply(q, 0, rr(A, 192, 0, 2, 1))}
		}, silent, []string{"192.0.2.1"}, ""},
	} {
		s := server(t, c.udp, c.tcp)
		got, err := Ask(t.Context(), s, c.kind, "box.example.")
		said := ""
		if err != nil {
			said = err.Error()
		}
		if want := replaced(c.err, s); !slices.Equal(got, c.want) || said != want {
			t.Errorf("%s: %q, %q, want %q", what, got, said, want)
		}
	}
}

func replaced(text, server string) string {
	if i := slices.Index([]byte(text), 'S'); i >= 0 && len(text) > i+6 && text[i:i+6] == "SERVER" {
		return text[:i] + server + text[i+6:]
	}
	return text
}

func TestLookup(t *testing.T) {
	fails := server(t, func(q []byte) [][]byte { return [][]byte{reply(q, 5)} }, silent)
	knows := server(t, func(q []byte) [][]byte { return [][]byte{reply(q, 0, rr(A, 192, 0, 2, 1))} }, silent)
	if got, err := Lookup(t.Context(), []string{fails, knows}, A, "x.example"); err != nil || len(got) != 1 {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := Lookup(t.Context(), []string{fails}, A, "x.example"); err == nil || errors.Is(err, ErrNone) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := Lookup(ctx, []string{server(t, silent, silent), fails}, NS, "."); err == nil || time.Since(start) > time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	for _, name := range []string{"", "a..b", ".", fmt.Sprintf("%064d", 1), fmt.Sprintf("%060d.%060d.%060d.%060d.%060d", 1, 1, 1, 1, 1)} {
		if _, err := question(A, name); (err == nil) != (name == ".") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// Whatever a server says, it is read or refused.
func FuzzRecords(f *testing.F) {
	q, err := question(MX, "box.example")
	if err != nil {
		f.Fatal(err)
	}
	for _, m := range [][]byte{rr(MX, 0, 1, 0xc0, headLen), rr(A, 1, 2, 3, 4), rr(PTR, 0xc0, 41), rr(NS, 0)} {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, kind := range []Kind{A, NS, PTR, MX, AAAA} {
			m := append(reply(q, 0), body...)
			m[7] = 3
			if found, err := records(m, q, kind, "s"); (err == nil) != (len(found) > 0) {
				t.Errorf("%v, %v", found, err)
			}
		}
	})
}

// The mail servers of a domain come with their preference; a domain that takes no mail says so (RFC 7505).
func TestExchangers(t *testing.T) {
	s := server(t, func(q []byte) [][]byte {
		return [][]byte{reply(q, 0, rr(MX, 0, 20, 1, 'b', 0), rr(MX, 0, 0, 0), rr(MX, 1, 0, 1, 'a', 0))}
	}, nil)
	got, err := Exchangers(t.Context(), []string{s}, "box.example")
	if want := []Exchanger{{0, ""}, {20, "b"}, {256, "a"}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}
