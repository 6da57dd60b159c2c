// Package dns (ring: port) asks name servers one question each: as Postfix's daemons do, it looks into no hosts file, which Go's own resolver
// does first and where Debian writes the host's own name. What comes back is anybody's, and bounded.
package dns

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Kind is the type of a record (RFC 1035 3.2.2, RFC 3596).
type Kind uint16

// The kinds that are asked for.
const (
	A    Kind = 1
	NS   Kind = 2
	PTR  Kind = 12
	MX   Kind = 15
	AAAA Kind = 28
)

// ErrNone says that there is no such record.
var ErrNone = errors.New("there is no such record")

// patience bounds one try.
const patience = 2 * time.Second

// most is how many name servers are asked (resolv.conf(5), MAXNS).
const most = 3

// Servers are the name servers of a resolv.conf(5) with their ports.
func Servers(text []byte) (all []string) {
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "nameserver" || len(all) == most {
			continue
		}
		if a, err := netip.ParseAddr(f[1]); err == nil {
			all = append(all, netip.AddrPortFrom(a, 53).String())
		}
	}
	if all == nil {
		all = []string{"127.0.0.1:53"}
	}
	return all
}

// Lookup asks the servers one after the other, each twice, until one knows: addresses of A and AAAA, names of the others without the dot at
// their end, those of MX by preference. What is not there is ErrNone.
func Lookup(ctx context.Context, servers []string, kind Kind, name string) ([]string, error) {
	found, err := lookup(ctx, servers, kind, name)
	return values(found), err
}

// Exchanger is a mail server of a domain, and where it stands among those (RFC 5321 5.1).
type Exchanger struct {
	Preference uint16 `json:"preference"`
	Host       string `json:"host"` // "" says that the domain takes no mail (RFC 7505)
}

// Exchangers asks for the mail servers of a domain as Lookup does, the most preferred ones first.
func Exchangers(ctx context.Context, servers []string, domain string) (all []Exchanger, err error) {
	found, err := lookup(ctx, servers, MX, domain)
	for _, r := range found {
		all = append(all, Exchanger{r.preference, r.value})
	}
	return all, err
}

func lookup(ctx context.Context, servers []string, kind Kind, name string) (found []record, err error) {
	for range 2 {
		for _, s := range servers {
			if found, err = ask(ctx, s, kind, name); err == nil || errors.Is(err, ErrNone) || ctx.Err() != nil {
				return found, err
			}
		}
	}
	return nil, err
}

// Ask asks one server, by TCP if the answer is too long.
func Ask(ctx context.Context, server string, kind Kind, name string) ([]string, error) {
	found, err := ask(ctx, server, kind, name)
	return values(found), err
}

func ask(ctx context.Context, server string, kind Kind, name string) ([]record, error) {
	q, err := question(kind, name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer, err := exchange(ctx, "udp", server, q)
	if err == nil && answer[2]&truncated != 0 {
		answer, err = exchange(ctx, "tcp", server, q)
	}
	if err != nil {
		return nil, fmt.Errorf("name server %s does not answer: %w", server, err)
	}
	return records(answer, q, kind, server)
}

// Reverse is the name under which an address has its own.
func Reverse(a netip.Addr) string {
	var labels []string
	b := a.Unmap().AsSlice()
	for i := len(b) - 1; i >= 0; i-- {
		if len(b) == 4 {
			labels = append(labels, fmt.Sprint(b[i]))
		} else {
			labels = append(labels, fmt.Sprintf("%x.%x", b[i]&15, b[i]>>4))
		}
	}
	return strings.Join(labels, ".") + map[bool]string{true: ".in-addr.arpa", false: ".ip6.arpa"}[len(b) == 4]
}

// Bits of the header's third byte.
const (
	response, truncated = 0x80, 0x02
	headLen             = 12
)

// question makes a message (RFC 1035 4.1).
func question(kind Kind, name string) ([]byte, error) {
	q := make([]byte, headLen, 64)
	_, _ = rand.Read(q[:2]) // never fails
	q[2], q[5] = 0x01, 1    // with recursion; one question
	for _, label := range strings.Split(strings.TrimSuffix(name, "."), ".") {
		if name == "." {
			break
		}
		if label == "" || len(label) > 63 || len(q) > 250 {
			return nil, fmt.Errorf("cannot look up %q: it is no name", name)
		}
		q = append(append(q, byte(len(label))), label...)
	}
	q = append(q, 0)
	q = binary.BigEndian.AppendUint16(q, uint16(kind))
	return append(q, 0, 1), nil
}

// exchange sends a question and gives the answer to it, at least as long as the question.
func exchange(ctx context.Context, network, server string, q []byte) ([]byte, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if end, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(end)
	}
	if network == "tcp" {
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(q))), q...)); err != nil {
			return nil, err
		}
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return nil, err
		}
		answer := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, answer); err != nil {
			return nil, err
		}
		if !belongs(answer, q) {
			return nil, errors.New("it answers something else")
		}
		return answer, nil
	}
	if _, err := conn.Write(q); err != nil {
		return nil, err
	}
	answer := make([]byte, 4096)
	for { // whoever guesses an address may send anything: the right answer is waited for
		n, err := conn.Read(answer)
		if err != nil {
			return nil, err
		}
		if belongs(answer[:n], q) {
			return answer[:n], nil
		}
	}
}

// belongs tells the answer to a question: the same number, and the same question in it.
func belongs(answer, q []byte) bool {
	return len(answer) >= len(q) && string(answer[:2]) == string(q[:2]) && answer[2]&response != 0 &&
		binary.BigEndian.Uint16(answer[4:]) == 1 && strings.EqualFold(string(answer[headLen:len(q)]), string(q[headLen:]))
}
