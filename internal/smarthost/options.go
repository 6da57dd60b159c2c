package smarthost

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/secret"
	"postfix-maint/internal/smarthost/table"
)

// levels are the values of smtp_tls_security_level that can be chosen, each stricter than the one before.
var levels = []string{"none", "may", "encrypt", "verify", "secure"}

// strength is the place of a level of smtp_tls_security_level or of a policy among levels, -1 for another word.
func strength(level string) int {
	switch level = strings.ToLower(level); level {
	case "dane": // may, where the DNS says nothing
		level = "may"
	case "fingerprint", "dane-only":
		level = "secure"
	}
	return slices.Index(levels, level)
}

// Options say what the smarthost is to be. They are kept for the next "set", so that it need name only what changes; the
// password is not kept with them.
type Options struct {
	Relay    string    `json:"relay"`              // as relayhost: [HOST]:PORT, HOST:PORT, [ADDRESS]:PORT
	Provider string    `json:"provider,omitempty"` // of package providers, whose limits are kept to; "" for none
	TLS      string    `json:"tls,omitempty"`      // smtp_tls_security_level; "" chooses by the port
	Wrapper  *bool     `json:"wrapper,omitempty"`  // TLS from the first byte; nil chooses by the port
	CAFile   string    `json:"ca_file,omitempty"`  // "" means the one in force, else the system's
	User     string    `json:"user,omitempty"`     // account; "" means none
	OAuth    *OAuth    `json:"oauth,omitempty"`    // a login by OAuth 2.0; nil: by a password, or none
	Password Secret    `json:"-"`                  // "" keeps the one that is stored for this relay and account
	Rewrite  Rewriting `json:"rewrite"`            // of sender addresses
	From     string    `json:"from,omitempty"`     // the one address that every From: header gets; "" leaves them
	Root     string    `json:"root,omitempty"`     // who gets root's mail, as in aliases(5); "" leaves the alias
}

// Rewriting says how senders become addresses that the relay takes.
type Rewriting struct {
	// Kind is "" or "none", "generic" (every address of this host becomes Address, in mail that leaves the host), or "canonical"
	// (each rule for one sender, in local mail as well).
	Kind    string `json:"kind,omitempty"`
	Address string `json:"address,omitempty"`
	Type    string `json:"type,omitempty"` // of the canonical table: "" (plain), "regexp" or "pcre"
	Rules   []Rule `json:"rules,omitempty"`
}

// Rule is one line of a canonical table.
type Rule struct {
	Sender  string `json:"sender"` // user or address, or /pattern/
	Address string `json:"address"`
}

// Secret is a password. Printing it, in whatever way, shows stars.
type Secret = secret.Secret

// To gives the options with another relay: its TLS settings are chosen anew, and an account at another host is another account.
func (o Options) To(relay string) Options {
	if relay == o.Relay {
		return o
	}
	was, wasErr := parseRelay(o.Relay)
	is, isErr := parseRelay(relay)
	if wasErr != nil || isErr != nil || was.host != is.host {
		o.User, o.Password, o.Provider = "", "", ""
	}
	o.Relay, o.TLS, o.Wrapper, o.CAFile, o.OAuth = relay, "", nil, "", nil
	return o
}

// CheckOption judges one option by itself, as people write it.
func CheckOption(name, value string) error {
	switch name {
	case "relay":
		if scheme, rest, ok := strings.Cut(value, "://"); ok {
			host, port, _ := strings.Cut(strings.Trim(rest, "/"), ":")
			if port == "" {
				port = map[string]string{"smtps": "465", "submissions": "465", "smtp": "25"}[strings.ToLower(scheme)]
			}
			if port == "" {
				port = "587"
			}
			return fmt.Errorf("%q is a URL: a relay is [HOST]:PORT, here [%s]:%s", value, host, port)
		}
		_, err := parseRelay(value)
		return err
	case "tls":
		if !slices.Contains(levels, value) {
			return fmt.Errorf("%q is no TLS level: use one of %s", value, strings.Join(levels, ", "))
		}
	case "user":
		return answers.CheckAccount(value)
	case "from":
		return answers.CheckAddress(value)
	case "root":
		return checkRoot(value)
	case "rewrite":
		kind, to, given := strings.Cut(value, "=")
		switch {
		case !slices.Contains([]string{"none", "generic", "users", "regexp", "pcre"}, kind) || given == (kind == "none") || given && to == "":
			return fmt.Errorf("%q is no way to rewrite senders: use none, generic=ADDRESS, users=FILE, regexp=FILE or pcre=FILE", value)
		case kind == "generic":
			return answers.CheckAddress(to)
		}
	}
	return nil
}

// resolve fills in what the port decides, and refuses what cannot be.
func (o Options) resolve() (Options, relay, error) {
	r, err := o.relay()
	if err != nil {
		return o, r, err
	}
	o = o.usual(r)
	if err := o.checkTLS(); err != nil {
		return o, r, err
	}
	if err := o.checkProvider(r); err != nil {
		return o, r, err
	}
	if err := checkAccount(o.User, string(o.Password)); err != nil {
		return o, r, err
	}
	if o.Rewrite, err = o.Rewrite.resolve(); err != nil {
		return o, r, err
	}
	if o.From != "" {
		if err := answers.CheckAddress(o.From); err != nil {
			return o, r, err
		}
	}
	return o, r, checkRoot(o.Root)
}

// checkRoot takes addresses and names of users, divided by commas. Blanks in one would make several of it.
func checkRoot(list string) error {
	if list == "" {
		return nil
	}
	for _, to := range strings.Split(list, ",") {
		to = strings.TrimSpace(to)
		if answers.CheckAddress(to) != nil && (to == "" || strings.ContainsAny(to, "\"@|/:;<>()[]\\#") || strings.ContainsFunc(to, unicode.IsSpace)) {
			return fmt.Errorf("cannot send root's mail to %q: it is neither a mail address nor the name of a user", to)
		}
	}
	return nil
}

// usual fills in what the port decides.
func (o Options) usual(r relay) Options {
	wrapper := r.port == portSubmissions
	if o.OAuth != nil && o.TLS == "" {
		o.TLS = "none"
	}
	if o.Wrapper == nil {
		o.Wrapper = &wrapper
	}
	if o.TLS == "" {
		o.TLS = "verify"
		if r.port == portSMTP && o.User == "" && !*o.Wrapper {
			o.TLS = "may"
		}
	}
	return o
}

// checkTLS holds the rule that a password never goes over a connection that somebody in between could have opened (T03): with
// an account, TLS is mandatory.
func (o Options) checkTLS() error {
	known := slices.Contains(levels, o.TLS)
	mandatory := strength(o.TLS) >= strength("encrypt")
	switch {
	case !known:
		return fmt.Errorf("%q is no TLS level: use one of %s", o.TLS, strings.Join(levels, ", "))
	case o.OAuth != nil && !*o.Wrapper:
	case o.User != "" && !mandatory:
		return fmt.Errorf("with TLS level %q the password could be sent in clear: use encrypt, verify or secure", o.TLS)
	case *o.Wrapper && !mandatory: // postconf(5), smtp_tls_wrappermode
		return fmt.Errorf("TLS from the first byte needs the level encrypt, verify or secure, not %q", o.TLS)
	}
	return nil
}

// checkAccount refuses what the password table or SASL could not carry.
func checkAccount(user, password string) error {
	for what, text := range map[string]string{"the account": user, "the password": password} {
		if !utf8.ValidString(text) {
			return fmt.Errorf("%s is not UTF-8: Postfix takes no other text in its tables", what)
		}
	}
	switch {
	case strings.ContainsFunc(password, unicode.IsControl):
		return errors.New("the password holds a control character or a line end")
	case user == "" && password != "":
		return errors.New("there is a password, but no account")
	}
	return answers.CheckAccount(user)
}

func (r Rewriting) resolve() (Rewriting, error) {
	switch r.Kind {
	case "", "none":
		return Rewriting{}, nil
	case "generic":
		return Rewriting{Kind: r.Kind, Address: r.Address}, answers.CheckAddress(r.Address)
	case "canonical":
	default:
		return r, fmt.Errorf("%q is no way to rewrite senders: use none, generic or canonical", r.Kind)
	}
	if !slices.Contains([]string{"", "regexp", "pcre"}, r.Type) {
		return r, fmt.Errorf("%q is no type of canonical table: use plain, regexp or pcre", r.Type)
	}
	if len(r.Rules) == 0 {
		return r, errors.New("there is no sender to rewrite")
	}
	for _, rule := range r.Rules {
		if err := rule.check(r.Type); err != nil {
			return r, fmt.Errorf("cannot rewrite sender %q: %w", rule.Sender, err)
		}
	}
	return r, nil
}

func (r Rule) check(typ string) error {
	if strings.ContainsFunc(r.Sender+r.Address, unicode.IsControl) || !utf8.ValidString(r.Sender+r.Address) {
		return errors.New("control characters or other text than UTF-8")
	}
	if typ != "" { // Postfix itself reads the pattern before anything is changed: see checkPatterns
		if strings.TrimSpace(r.Sender) == "" || strings.TrimSpace(r.Address) == "" {
			return errors.New("a rule is a pattern and an address")
		}
		return nil
	}
	if err := table.CheckKey(r.Sender); err != nil {
		return err
	}
	return answers.CheckAddress(r.Address)
}
