package debconf

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// encode makes a command line. A value with a newline would be read as further commands, so it is escaped, or refused
// where the frontend does not unescape.
func (c *Client) encode(command string, args []string) (string, error) {
	line := command
	for i, arg := range args {
		switch {
		case i < len(args)-1 && (arg == "" || strings.ContainsAny(arg, " \t\n\\\x00")):
			return "", fmt.Errorf("%q is not one word", arg)
		case strings.Contains(arg, "\x00"):
			return "", errors.New("a value has a NUL byte")
		case c.escape:
			arg = escape(arg)
		case strings.Contains(arg, "\n"):
			return "", errors.New("a value has more than one line")
		}
		line += " " + arg
	}
	return line, nil
}

// escape hides what debconf would change: newlines and backslashes as debconf-devel(7) says, and blanks other than single
// ones between words. debconf splits the whole line at blanks and joins a value's words with one space each.
func escape(value string) string {
	var b strings.Builder
	for i := range len(value) {
		switch ch := value[i]; ch {
		case '\n':
			b.WriteString(`\n`)
		case '\\':
			b.WriteString(`\\`)
		case ' ', '\t', '\r', '\v', '\f':
			single := ch == ' ' && i > 0 && i+1 < len(value) && !blank(value[i-1])
			if !single {
				b.WriteByte('\\')
			}
			b.WriteByte(ch)
		default:
			b.WriteByte(ch)
		}
	}
	return b.String()
}

func blank(ch byte) bool { return strings.IndexByte(" \t\r\v\f\n", ch) >= 0 }

// unescape is the reverse, for replies.
func unescape(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		if text[i] == 'n' {
			b.WriteByte('\n')
		} else {
			b.WriteByte(text[i])
		}
	}
	return b.String()
}

// decode takes a reply apart: a numeric code, a blank, a text.
func decode(what, reply string) (string, error) {
	word, text, _ := strings.Cut(reply, " ")
	code, err := strconv.Atoi(word)
	if err != nil {
		return "", fmt.Errorf("cannot understand debconf's reply to %s: %.80q", what, reply)
	}
	switch code {
	case codeOK:
		return text, nil
	case codeEscaped:
		return unescape(text), nil
	}
	return "", &Error{Code: code, Text: text, Command: what}
}
