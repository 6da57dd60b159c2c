// Package answers (ring: format) holds the questions that Debian's Postfix package asks, and ours about the relay: their names,
// which are a public preseed interface, what their values mean, which values Postfix would take, and the guess for a host that
// has none yet.
package answers

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"postfix-maint/internal/paths"
)

// Question is the name of a debconf question, Debian's own or, with "maint_" in it, ours.
type Question string

// The questions whose answers end in a setting.
const (
	MailerType     Question = "postfix/main_mailer_type"
	Mailname       Question = "postfix/mailname"
	RelayHost      Question = "postfix/relayhost"
	RootAddress    Question = "postfix/root_address"
	Destinations   Question = "postfix/destinations"
	Chattr         Question = "postfix/chattr" // Debian 12 only
	MyNetworks     Question = "postfix/mynetworks"
	Procmail       Question = "postfix/procmail"
	MailboxLimit   Question = "postfix/mailbox_limit"
	RecipientDelim Question = "postfix/recipient_delim"
	Protocols      Question = "postfix/protocols"
)

// The questions and flags beside the answers.
const (
	// Insist is Debian's question whether to keep a mail name that breaks RFC 1035.
	Insist Question = "postfix/rfc1035_violation"

	SeenFlag    = "seen"          // debconf's: shown to a person, or preseeded
	ChangedFlag = "maint_changed" // ours, not the "changed" of Debian's scripts: somebody asks for the value, and it is not applied yet
	TypedFlag   = "maint_typed"   // ours, of Destinations: a person saw the value on the screen, it is no preseed
)

// Type is a value of MailerType.
type Type string

// The types, spelt as in Debian's C locale.
const (
	NoConfiguration Type = "No configuration"
	InternetSite    Type = "Internet Site"
	Smarthost       Type = "Internet with smarthost"
	Satellite       Type = "Satellite system"
	LocalOnly       Type = "Local only"
)

// Types returns all types in the order of Debian's menu.
func Types() []Type {
	return []Type{NoConfiguration, InternetSite, Smarthost, Satellite, LocalOnly}
}

// ParseType finds the type that a value means. Quotes, spaces and case do not count: the recipe that the whole web copies
// preseeds 'No configuration' with its quotes, and Debian's layer then configured a mail server that nobody had asked for.
func ParseType(s string) (Type, bool) {
	s = strings.Join(strings.Fields(unquote(s)), " ")
	for _, t := range Types() {
		if strings.EqualFold(s, string(t)) {
			return t, true
		}
	}
	return "", false
}

// Relays tells whether mail to other hosts goes through a relay host.
func (t Type) Relays() bool { return t == Smarthost || t == Satellite }

// Answer is what the debconf database holds for one question.
type Answer struct {
	Value    string
	Answered bool // SeenFlag
	Changed  bool // ChangedFlag
	Insisted bool // a mail name that breaks RFC 1035, and a person said to keep it
	Typed    bool // TypedFlag
}

// Answers has an entry for each question that the database knows.
type Answers map[Question]Answer

// Type is the general type that the answers name; ok is false if they name none.
func (a Answers) Type() (t Type, ok bool) { return ParseType(a[MailerType].Value) }

// Getter reads a debconf database. A question that it does not know is an error that is fs.ErrNotExist.
type Getter interface {
	Get(q string) (string, error)
	Flag(q, flag string) (bool, error)
}

// Load reads all answers, without the spaces and quotes around them; what says nothing is no answer. Questions that this release's
// package does not have are left out.
func Load(g Getter) (Answers, error) {
	a := make(Answers)
	for _, q := range Questions() {
		value, err := g.Get(string(q))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the answer to %s: %w", q, err)
		}
		seen, err := g.Flag(string(q), SeenFlag)
		if err != nil {
			return nil, fmt.Errorf("cannot read the flag %q of %s: %w", SeenFlag, q, err)
		}
		changed, err := g.Flag(string(q), ChangedFlag)
		if err != nil {
			return nil, fmt.Errorf("cannot read the flag %q of %s: %w", ChangedFlag, q, err)
		}
		a[q] = Answer{Value: Clean(q, value), Answered: seen, Changed: changed}
		if noAnswer(q, a[q].Value) {
			a[q] = Answer{Value: a[q].Value}
		}
	}
	if list, ok := a[Destinations]; ok {
		typed, err := g.Flag(string(Destinations), TypedFlag)
		if err != nil {
			return nil, fmt.Errorf("cannot read the flag %q of %s: %w", TypedFlag, Destinations, err)
		}
		list.Typed = typed
		a[Destinations] = list
	}
	return a, loadInsist(g, a)
}

// noAnswer tells values that say nothing, whoever preseeded them: a blank where Postfix needs a value, and the default of Debian's
// template for the mail name, which debconf-get-selections(1) writes from another host.
func noAnswer(q Question, value string) bool {
	return value == "" && row(q).needed || q == Mailname && value == paths.Mailname
}

// loadInsist asks for Insist only where it matters.
func loadInsist(g Getter, a Answers) error {
	name, ok := a[Mailname]
	if !ok || !errors.Is(checkMailname(name.Value), ErrRFC1035) {
		return nil
	}
	keep, err := g.Get(string(Insist))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read the answer to %s: %w", Insist, err)
	}
	name.Insisted = keep == "true"
	a[Mailname] = name
	return nil
}

// Clean gives a value the form in which everything else takes it: no spaces or quotes around it, a type in Debian's own
// spelling, both protocols as "all", a list on one line; but an account, a pattern or a password may have quotes of its own. A value that cannot be understood stays as it is, for Check to name.
func Clean(q Question, value string) string {
	if clean := row(q).clean; clean != nil {
		return clean(value)
	}
	return unquote(value)
}

func cleanType(value string) string {
	if t, ok := ParseType(value); ok {
		return string(t)
	}
	return unquote(value)
}

func cleanProtocols(value string) string {
	value = unquote(value)
	if set, ok := protocols(value); ok {
		return set
	}
	return value
}

// oneLine has no continuation lines of main.cf, which would spoil the screen.
func oneLine(value string) string { return strings.Join(strings.Fields(unquote(value)), " ") }

// Resolve is what a value means on this host: the mail name ==default== is the host's full name.
func Resolve(q Question, value string, f Facts) string {
	if q == Mailname && strings.EqualFold(value, "==default==") {
		return cmp.Or(f.hostName(), localdomain)
	}
	return value
}

// unquote takes off spaces, and one pair of quotes, around a value.
func unquote(s string) string {
	s = strings.TrimSpace(s)
	if n := len(s); n >= 2 && s[0] == s[n-1] && (s[0] == '\'' || s[0] == '"') {
		s = strings.TrimSpace(s[1 : n-1])
	}
	return s
}

// protocols is the one word for a value of inet_protocols: all, ipv4 or ipv6.
func protocols(value string) (word string, ok bool) {
	items := splitList(strings.ToLower(value))
	for _, item := range items {
		if !slices.Contains([]string{"all", "ipv4", "ipv6"}, item) {
			return "", false
		}
	}
	v4, v6 := slices.Contains(items, "ipv4"), slices.Contains(items, "ipv6")
	switch {
	case slices.Contains(items, "all"), v4 && v6:
		return "all", true
	case v4:
		return "ipv4", true
	case v6:
		return "ipv6", true
	}
	return "", false
}
