package dns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// errBroken says that an answer cannot be read.
var errBroken = errors.New("its answer cannot be read")

// The results of a server (RFC 1035 4.1.1).
const (
	noError = 0
	noName  = 3
)

// record is one that was asked for; preference is that of an MX.
type record struct {
	preference uint16
	value      string
}

// records reads the answer to a question: what it says of that, behind aliases as well.
func records(answer, q []byte, kind Kind, server string) ([]record, error) {
	switch code := answer[3] & 0x0f; code {
	case noError:
	case noName:
		return nil, ErrNone
	default:
		return nil, fmt.Errorf("name server %s refuses or fails (code %d)", server, code)
	}
	var found []record
	at := len(q)
	for range binary.BigEndian.Uint16(answer[6:]) {
		r, got, next, err := read(answer, at)
		if err != nil {
			return nil, fmt.Errorf("name server %s: %w", server, err)
		}
		if at = next; got == kind {
			found = append(found, r)
		}
	}
	if len(found) == 0 {
		return nil, ErrNone
	}
	slices.SortStableFunc(found, func(a, b record) int { return int(a.preference) - int(b.preference) })
	return found, nil
}

func values(found []record) (all []string) {
	for _, r := range found {
		all = append(all, r.value)
	}
	return all
}

// read reads the record at a place, and tells where the next one is.
func read(m []byte, at int) (r record, kind Kind, next int, err error) {
	const fixed = 10 // type, class, time to live, length
	_, at, err = name(m, at)
	if err != nil || at+fixed > len(m) {
		return r, 0, 0, errBroken
	}
	kind = Kind(binary.BigEndian.Uint16(m[at:]))
	start := at + fixed
	next = start + int(binary.BigEndian.Uint16(m[at+8:]))
	if next > len(m) {
		return r, 0, 0, errBroken
	}
	switch kind {
	case A, AAAA:
		a, ok := netip.AddrFromSlice(m[start:next])
		if !ok {
			return r, 0, 0, errBroken
		}
		r.value = a.String()
	case MX:
		if next-start < 3 {
			return r, 0, 0, errBroken
		}
		r.preference = binary.BigEndian.Uint16(m[start:])
		r.value, _, err = name(m, start+2)
	case PTR, NS:
		r.value, _, err = name(m, start)
	}
	return r, kind, next, err
}

// name reads a name that may go on elsewhere (RFC 1035 4.1.4), and tells where what follows it is. A name of 255 bytes has no more labels than
// that, so that one which leads in a circle ends.
func name(m []byte, at int) (text string, next int, err error) {
	const pointer, longest = 0xc0, 255
	var labels []string
	size, jumps := 0, 0
	for {
		if at >= len(m) {
			return "", 0, errBroken
		}
		n := int(m[at])
		switch {
		case n == 0:
			if next == 0 {
				next = at + 1
			}
			return plain(strings.Join(labels, ".")), next, nil
		case n&pointer == pointer:
			if at+1 >= len(m) || jumps == longest {
				return "", 0, errBroken
			}
			if next == 0 {
				next = at + 2
			}
			at = (n&^pointer)<<8 | int(m[at+1])
			jumps++
		case n&pointer != 0 || at+1+n > len(m) || size+1+n > longest:
			return "", 0, errBroken
		default:
			labels, size, at = append(labels, string(m[at+1:at+1+n])), size+1+n, at+1+n
		}
	}
}

// plain is a name as it may be shown.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, strings.ToLower(name))
}
