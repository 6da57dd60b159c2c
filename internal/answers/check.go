package answers

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"

	"postfix-maint/internal/maincf"
)

// ErrRFC1035 marks the error of a mail name that breaks the rules of RFC 1035, but on which a person may insist.
var ErrRFC1035 = errors.New("RFC 1035 names have labels of 1 to 63 letters, digits and inner hyphens, separated by dots")

// errPlain marks the error of a mail name without a dot.
var errPlain = errors.New("it has no dot")

// Problem is an answer that cannot be used.
type Problem struct {
	Question Question
	Value    string
	Text     string // for people, without the question's name
}

// CheckAll looks at everything that somebody answered, and finds what Postfix would refuse. Guesses that nobody confirmed are not
// looked at, nor is a mail name a problem that only breaks RFC 1035, or has no dot: setup writes the one as Debian's layer does, and
// leaves the other unwritten. A value that is in force already is checked too; whoever writes only changes passes only those.
func CheckAll(a Answers) []Problem {
	var problems []Problem
	for _, q := range Questions() {
		answer, ok := a[q]
		if !ok || !answer.Answered && !answer.Changed {
			continue
		}
		if err := Check(q, answer.Value, a); err != nil && !errors.Is(err, errPlain) && (q != Mailname || CheckOrigin(answer.Value) != nil) {
			problems = append(problems, Problem{Question: q, Value: answer.Value, Text: err.Error()})
		}
	}
	return problems
}

// Check tells whether Postfix, and Debian's policy for the mail name, would take a value. The other answers matter for what refers
// to them, and for a mail name on which a person insists.
func Check(q Question, value string, a Answers) error {
	value = Clean(q, value)
	switch {
	case strings.ContainsAny(value, "\n\r"):
		return errors.New("it has more than one line")
	case strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }):
		return fmt.Errorf("%q holds a control character", value)
	}
	if err := checkMacros(q, value, a); err != nil {
		return err
	}
	if check := row(q).check; check != nil {
		return check(value, a)
	}
	return nil
}

// checkMacros refuses a value that Postfix could not expand: a broken macro, or one that leads back to the value. Each of its
// programs ends at once with such a main.cf ("macro processing error"). What the other parameters hold is for Postfix to judge.
func checkMacros(q Question, value string, a Answers) error {
	own := row(q).Param
	if own == "" || !strings.Contains(value, "$") {
		return nil
	}
	_, err := maincf.Expand(value, func(name string) (string, bool) {
		if name == own {
			return value, true
		}
		for _, r := range Rows() {
			if answer, ok := a[r.Question]; ok && r.Param == name {
				return answer.Value, true
			}
		}
		return "", false
	})
	if err != nil {
		return fmt.Errorf("%w; a dollar of its own is written $$", err)
	}
	return nil
}

// reserved names are other people's: mail from here must not carry them.
func reserved(name string) bool {
	return strings.EqualFold(name, "debian.org") || strings.EqualFold(name, "ubuntu.com")
}

func checkMailname(name string) error {
	if strings.EqualFold(name, "==default==") {
		return nil
	}
	return checkOrigin(name, false)
}

// CheckOrigin tells whether name can be the domain of senders: what Postfix takes for myorigin, and other mail systems for a sender.
// Postfix, like Debian's layer, also takes underscores (valid_hostname.c).
func CheckOrigin(name string) error { return checkOrigin(name, true) }

func checkOrigin(name string, underscore bool) error {
	if reserved(name) {
		return fmt.Errorf("%q is not yours to send mail from", name)
	}
	if err := checkDomain(name, underscore); err != nil {
		return err
	}
	if !strings.Contains(name, ".") {
		return fmt.Errorf("%q is not a full domain name: %w", name, errPlain)
	}
	return nil
}

// checkDomain checks a domain name label by label. Postfix itself also takes underscores; a mail name with one is a matter
// of insisting.
func checkDomain(name string, underscore bool) error {
	switch {
	case strings.Trim(name, ".") == "":
		return errors.New("the name is blank")
	case strings.HasSuffix(name, "."):
		return fmt.Errorf("%q ends in a dot: write %q", name, strings.TrimRight(name, "."))
	case strings.Trim(name, "0123456789.") == "":
		return fmt.Errorf("%q is a number, not a name", name)
	case len(name)+2 > 255: // a length byte before the first label, and the root's
		return fmt.Errorf("%.40q... is longer than the 253 characters that DNS can hold", name)
	case strings.ContainsAny(name, " \t/@:,;[]\"'\\"):
		return fmt.Errorf("%q is not one domain name", name)
	}
	for label := range strings.SplitSeq(name, ".") {
		if !validLabel(label, underscore) {
			return fmt.Errorf("the part %.80q of %.80q is wrong: %w", label, name, ErrRFC1035)
		}
	}
	return nil
}

func validLabel(label string, underscore bool) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for _, r := range label {
		letter := 'a' <= r|0x20 && r|0x20 <= 'z'
		if !letter && !('0' <= r && r <= '9') && r != '-' && !(underscore && r == '_') {
			return false
		}
	}
	return true
}

// checkDelimiter takes a set of characters, any of which separates (postconf(5), since Postfix 2.11).
func checkDelimiter(value string) error {
	for _, r := range value {
		if r < '!' || r > '~' || r == '$' {
			return fmt.Errorf("%q cannot separate parts of an address: write one or more of the characters + - = . and so on", r)
		}
	}
	return nil
}

// checkRecipient takes an account of this host or an address. The other things that aliases(5) takes are refused: as
// root's alias they would run or write as root.
func checkRecipient(address string) error {
	local, domain, remote := strings.Cut(address, "@")
	if local == "" || strings.ContainsAny(local, "|/:;\"'<>()[]\\`") {
		return fmt.Errorf("%q is neither an account nor a mail address", address)
	}
	if !remote {
		return nil
	}
	if literal, ok := strings.CutPrefix(domain, "["); ok {
		literal = strings.TrimPrefix(strings.TrimSuffix(literal, "]"), "IPv6:")
		if _, err := netip.ParseAddr(literal); err == nil {
			return nil
		}
	}
	if err := checkDomain(domain, true); err != nil {
		return fmt.Errorf("%q is not a mail address: %w", address, err)
	}
	return nil
}

// checkDestination takes what mydestination takes: domains, $names, files, tables.
func checkDestination(item string) error {
	pattern := strings.TrimLeft(item, "!")
	switch {
	case pattern == "":
		return errors.New("there is nothing after the '!'")
	case strings.HasPrefix(pattern, "/"), strings.Contains(pattern, "$"):
		return nil
	case strings.Contains(pattern, ":"):
		return checkTable(pattern)
	}
	return checkDomain(pattern, true)
}

// checkTable takes type:name, see DATABASE_README.
func checkTable(item string) error {
	kind, name, _ := strings.Cut(item, ":")
	if kind == "" || kind[0] == '-' || name == "" || strings.Trim(kind, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
		return fmt.Errorf("%q is not a table (type:name)", item)
	}
	return nil
}
