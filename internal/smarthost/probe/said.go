package probe

import (
	"cmp"
	"errors"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"unicode"
)

// longest bounds one reply: no mail server needs as much, and a false one must not fill the memory.
const longest = 64 << 10

var errLong = errors.New("the reply has more than 64 KiB")

// bounded reads no more than what is left for the reply.
type bounded struct {
	net.Conn
	left int
}

// Read is io.Reader's.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errLong
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// Clean is a text of others as it may be shown: without what would be a command to a terminal.
func Clean(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\t':
			return ' '
		case unicode.IsControl(c), unicode.Is(unicode.Cf, c):
			return '?'
		}
		return c
	}, strings.ToValidUTF8(text, "?"))
}

func cleanAll(texts []string) []string {
	for i, text := range texts {
		texts[i] = Clean(text)
	}
	return texts
}

// Conceal cleans what a relay said, and puts stars for the password and for what is sent for it: some relays repeat that.
func (t Target) Conceal(text string, more ...string) string {
	hidden := append([]string{t.Secret}, more...)
	if t.Secret != "" {
		hidden = append(hidden, plainLogin(t), encode(t.Secret), encode(t.User))
	}
	slices.SortFunc(hidden, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, h := range hidden {
		for _, form := range []string{h, strings.TrimRight(h, "=")} {
			if form != "" {
				text = strings.ReplaceAll(text, form, "***")
			}
		}
	}
	return Clean(text)
}

// conceal does the same for an error that has words of the relay's in it; those of this host's stay.
func (s *session) conceal(err error) error {
	var protocol textproto.ProtocolError
	var said *textproto.Error
	switch {
	case errors.As(err, &said):
		return &textproto.Error{Code: said.Code, Msg: s.shown(said.Msg)}
	case errors.As(err, &protocol):
		return textproto.ProtocolError(s.shown(string(protocol)))
	}
	return err
}

// shown is a reply on one line.
func (s *session) shown(text string) string {
	return s.target.Conceal(strings.ReplaceAll(text, "\n", " / "), s.sent...)
}

// untried tells why the login is left to Postfix, "" if it is tried. The password goes only where Postfix would send it as well, and no
// more is checked here than chain, time and name.
func (t Target) untried() string {
	switch {
	case t.Hold != "":
		return t.Hold
	case t.Local:
	case !slices.Contains([]string{"may", "encrypt", "verify", "secure"}, t.Level):
		return "what the TLS level " + cmp.Or(Clean(t.Level), "none") + " asks of the relay is not checked here"
	case t.MX && (t.Level != "secure" || slices.Contains(t.Match, "hostname")):
		return "the relay is written without brackets, so the DNS chooses the host that would get the password: write [" + t.Host + "]"
	}
	return ""
}
