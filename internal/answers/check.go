package answers

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
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

// CheckAll looks at everything that somebody answered, and at what only the whole set can show: a type that needs a relay
// host without one. Guesses that nobody confirmed are not looked at, nor is a mail name without a dot a problem: like
// Debian's layer, setup just does not write it. A value that is in force already is checked too; whoever writes only
// changes passes only those.
func CheckAll(a Answers) []Problem {
	var problems []Problem
	for _, q := range Questions() {
		answer, ok := a[q]
		missingRelay := q == RelayHost && answer.Value == "" // wrong by the type, whoever chose it
		if !ok || !answer.Answered && !answer.Changed && !missingRelay {
			continue
		}
		if err := Check(q, answer.Value, a); err != nil && !errors.Is(err, errPlain) {
			problems = append(problems, Problem{Question: q, Value: answer.Value, Text: err.Error()})
		}
	}
	return problems
}

// Check tells whether Postfix, and Debian's policy for the mail name, would take a value. The other answers matter for the
// relay host, which some types need, and for a mail name on which a person insists.
func Check(q Question, value string, a Answers) error {
	value = Clean(q, value)
	if strings.ContainsAny(value, "\n\r\x00") {
		return errors.New("it has more than one line")
	}
	switch q {
	case MailerType:
		if _, ok := ParseType(value); !ok {
			return fmt.Errorf("%q is none of the types: %s", value, typeNames())
		}
	case Mailname:
		err := checkMailname(value)
		if kept := a[Mailname]; kept.Insisted && kept.Value == value && errors.Is(err, ErrRFC1035) {
			return nil
		}
		return err
	case RelayHost:
		return checkRelay(value, a)
	case RootAddress:
		return each(addresses(value), checkRecipient)
	case Destinations:
		return each(splitList(value), checkDestination)
	case MyNetworks:
		return each(splitList(value), checkNetwork)
	case Chattr, Procmail:
		if value != "" && value != "true" && value != "false" {
			return fmt.Errorf("%q is neither true nor false", value)
		}
	case MailboxLimit:
		if _, err := strconv.ParseUint(value, 10, 63); err != nil {
			return fmt.Errorf("%q is not a number of bytes (0 for no limit)", value)
		}
	case RecipientDelim:
		return checkDelimiter(value)
	case Protocols:
		if _, ok := protocols(value); !ok {
			return fmt.Errorf("%q is none of all, ipv4, ipv6", value)
		}
	default:
		return checkAboutRelay(q, value, a)
	}
	return nil
}

// each finds the first member of a list that cannot be used.
func each(list []string, check func(string) error) error {
	for _, item := range list {
		if err := check(item); err != nil {
			return err
		}
	}
	return nil
}

func typeNames() string {
	var names []string
	for _, t := range Types() {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

// reserved names are other people's: mail from here must not carry them.
func reserved(name string) bool {
	return strings.EqualFold(name, "debian.org") || strings.EqualFold(name, "ubuntu.com")
}

func checkMailname(name string) error {
	switch {
	case strings.EqualFold(name, "==default=="):
		return nil
	case reserved(name):
		return fmt.Errorf("%q is not yours to send mail from", name)
	}
	if err := checkDomain(name, false); err != nil {
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

func checkDelimiter(value string) error {
	if len([]rune(value)) > 1 {
		return fmt.Errorf("%q is more than one character", value)
	}
	if value != "" && (value < "!" || value > "~" || value == "$") {
		return fmt.Errorf("%q cannot separate parts of an address", value)
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
	if kind == "" || name == "" || strings.Trim(kind, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
		return fmt.Errorf("%q is not a table (type:name)", item)
	}
	return nil
}
