package smarthost

import (
	"fmt"
	"slices"
	"strings"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/smarthost/table"
)

// Account is the relay and the login for the mail of one sender, or of all senders of a domain.
type Account struct {
	Sender   string `json:"sender"` // user@example.com or @example.com, in small letters
	Relay    string `json:"relay"`
	TLS      string `json:"tls"` // verify or secure
	Wrapper  *bool  `json:"wrapper,omitempty"`
	CAFile   string `json:"ca_file,omitempty"`
	User     string `json:"user"`
	OAuth    *OAuth `json:"oauth,omitempty"` // a login by OAuth 2.0; nil: by a password
	Password Secret `json:"-"`               // "" keeps the one that is stored
}

// CheckSender takes a mail address, or @ and a domain.
func CheckSender(sender string) error {
	address := sender
	if strings.HasPrefix(sender, "@") {
		address = "user" + sender
	}
	if answers.CheckAddress(address) != nil || table.CheckKey(strings.ToLower(sender)) != nil {
		return fmt.Errorf("%q is no sender: use a mail address like user@example.com, or @example.com for all of a domain", sender)
	}
	return nil
}

// options are those of a smarthost with this relay and login.
func (a Account) options() Options {
	return Options{Relay: a.Relay, TLS: a.TLS, Wrapper: a.Wrapper, CAFile: a.CAFile, User: a.User, OAuth: a.OAuth, Password: a.Password}
}

// resolve fills in what the port decides, and refuses what cannot be.
func (a Account) resolve() (Account, relay, error) {
	if err := CheckSender(a.Sender); err != nil {
		return a, relay{}, err
	}
	a.Sender = strings.ToLower(a.Sender)
	if a.User == "" {
		return a, relay{}, fmt.Errorf("cannot add %s: a sender's relay needs the account that logs in there", a.Sender)
	}
	o, r, err := a.options().resolve()
	if err != nil {
		return a, r, err
	}
	if a.OAuth == nil && strength(o.TLS) < strength("verify") {
		return a, r, fmt.Errorf("cannot add %s: with TLS level %q its password could go to a stranger: use verify or secure", a.Sender, o.TLS)
	}
	a.TLS, a.Wrapper = o.TLS, o.Wrapper
	return a, r, nil
}

// At is where the account's mail goes in the end.
func (a Account) At() string {
	if a.OAuth != nil {
		return a.OAuth.Relay
	}
	return a.Relay
}

// withPassword are the accounts that log in by one at their relay, not by OAuth 2.0.
func withPassword(accounts []Account) []Account {
	return slices.DeleteFunc(slices.Clone(accounts), func(a Account) bool { return a.OAuth != nil })
}

// find is the place of a sender among accounts, -1 if it has none.
func find(accounts []Account, sender string) int {
	return slices.IndexFunc(accounts, func(a Account) bool { return strings.EqualFold(a.Sender, sender) })
}

// domain is what stands behind the @ of a sender.
func (a Account) domain() string {
	_, domain, _ := strings.Cut(a.Sender, "@")
	return domain
}
