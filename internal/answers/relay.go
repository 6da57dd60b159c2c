package answers

import (
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"unicode"
)

// The questions about the relay, asked for the types that have one. What they mean is smarthost's.
const (
	RelayProvider Question = "postfix/maint_relay_provider"   // one of Providers
	RelayPort     Question = "postfix/maint_relay_port"       // where relayhost names none
	RelayTLS      Question = "postfix/maint_relay_tls"        // one of TLSWays
	RelayAccount  Question = "postfix/maint_relay_account"    // blank: no login
	Rewriting     Question = "postfix/maint_sender_rewriting" // one of Rewritings
	SenderAddress Question = "postfix/maint_sender_address"   // for GenericMap
	SenderMap     Question = "postfix/maint_sender_map"       // for the canonical maps: rules, or a file with rules

	// RelayPassword is none of Questions: what is in them is noted on disk. Whoever needs the password reads it from debconf, and
	// takes it out of there.
	RelayPassword Question = "postfix/maint_relay_password"
)

// The values of RelayTLS: what the port usually means, STARTTLS or TLS from the first byte with a checked certificate, STARTTLS
// with any certificate, TLS where the relay offers it, none.
const (
	ByPort        = "by-port"
	StartTLS      = "starttls"
	Wrapper       = "wrapper"
	Unchecked     = "unchecked"
	Opportunistic = "opportunistic"
	NoTLS         = "none"
)

// TLSWays returns the values of RelayTLS in the order of the menu.
func TLSWays() []string {
	return []string{ByPort, StartTLS, Wrapper, Unchecked, Opportunistic, NoTLS}
}

// The values of Rewriting: senders stay, this host's addresses become one, single senders are replaced by a table of users or of
// patterns.
const (
	NoRewriting = "none"
	GenericMap  = "generic"
	UserMap     = "users"
	RegexpMap   = "regexp"
	PCREMap     = "pcre"
)

// Rewritings returns the values of Rewriting in the order of the menu.
func Rewritings() []string {
	return []string{NoRewriting, GenericMap, UserMap, RegexpMap, PCREMap}
}

// checkRelayPort takes a port beside a relay host without one.
func checkRelayPort(port string, a Answers) error {
	relay := a[RelayHost].Value
	if port == "" {
		return nil
	}
	if !validPort(port) {
		return fmt.Errorf("%q is neither a port nor a service", port)
	}
	if SeveralRelays(relay) {
		if port == smtpPort {
			return nil
		}
		return errors.New("with several relay hosts the port stands behind each of them")
	}
	if _, named, _ := splitPort(relay); named != "" && port != named && port != smtpPort {
		return fmt.Errorf("the relay host %q names another port", relay)
	}
	return nil
}

// The ports that a relay host without one is asked at: for mail between servers, and for who logs in (RFC 6409).
const (
	smtpPort       = "25"
	submissionPort = "587"
)

// guessPort is the port for a login where there is one, hence that is asked for before. A relay host that names its port leaves the question
// as it is.
func guessPort(_ Facts, a Answers) string {
	if a[RelayAccount].Value != "" && !HasPort(Clean(RelayHost, a[RelayHost].Value)) {
		return submissionPort
	}
	return smtpPort
}

// HasPort tells whether a relay host names its port, as each one of a list does for itself.
func HasPort(relay string) bool {
	if SeveralRelays(relay) {
		return true
	}
	_, port, err := splitPort(relay)
	return port != "" || err != nil
}

// Relay is the relay host with the port that was asked for, as main.cf takes it.
func (a Answers) Relay() string {
	relay, port := Clean(RelayHost, a[RelayHost].Value), a[RelayPort].Value
	if relay == "" || port == "" || port == smtpPort || HasPort(relay) {
		return relay
	}
	return relay + ":" + port
}

// CheckAccount refuses a name for a login that Postfix's password table could not carry. The table's value is account:password,
// divided at the first colon (smtp_sasl_passwd_lookup in Postfix's sources).
func CheckAccount(account string) error {
	switch {
	case strings.ContainsFunc(account, unicode.IsControl):
		return errors.New("the account holds a control character or a line end")
	case strings.Contains(account, ":"):
		return errors.New("the account holds a colon: Postfix would take what is behind it for the password")
	case strings.TrimSpace(account) != account:
		return errors.New("the account starts or ends with white space")
	}
	return nil
}

// CheckAddress takes user@domain and nothing around it.
func CheckAddress(address string) error {
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address {
		return fmt.Errorf("%q is not a mail address like user@example.com", address)
	}
	return nil
}
