package oauthrelay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"postfix-maint/internal/oauth"
)

// What either side may say before bytes are passed on: far more than RFC 5321 allows, and little memory.
const (
	maxLine    = 4096
	maxLines   = 100
	maxChatter = 50 // commands of a client that does not log in
)

// reply is an answer of the provider.
type reply struct {
	code  string
	lines []string // without the code
}

// String is the reply on one line, for people.
func (r reply) String() string {
	return oauth.Printable(r.code+" "+strings.Join(r.lines, " "), 300)
}

// text is the reply as it goes over the wire.
func (r reply) text() string {
	var b strings.Builder
	for i, line := range r.lines {
		separator := "-"
		if i == len(r.lines)-1 {
			separator = " "
		}
		b.WriteString(r.code + separator + line + "\r\n")
	}
	return b.String()
}

// readLine reads one line without its end.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", fmt.Errorf("a line has more than %d bytes", maxLine)
	case errors.Is(err, io.EOF) && len(line) > 0:
		return "", io.ErrUnexpectedEOF
	case err != nil:
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
}

// readReply reads an answer of any number of lines (RFC 5321, section 4.2.1).
func readReply(r *bufio.Reader) (reply, error) {
	var answer reply
	for range maxLines {
		line, err := readLine(r)
		if err != nil {
			return reply{}, err
		}
		if len(line) < 3 || line[0] < '2' || line[0] > '5' || strings.Trim(line[:3], "0123456789") != "" || answer.code != "" && line[:3] != answer.code {
			return reply{}, fmt.Errorf("%q is no answer of a mail server", oauth.Printable(line, 60))
		}
		answer.code = line[:3]
		if len(line) == 3 {
			answer.lines = append(answer.lines, "")
			return answer, nil
		}
		answer.lines = append(answer.lines, line[4:])
		switch line[3] {
		case ' ':
			return answer, nil
		case '-':
		default:
			return reply{}, fmt.Errorf("%q is no answer of a mail server", oauth.Printable(line, 60))
		}
	}
	return reply{}, fmt.Errorf("an answer has more than %d lines", maxLines)
}
