package answers

import (
	"fmt"
	"slices"
	"strings"

	"postfix-maint/internal/providers"
)

// OtherProvider is the value of RelayProvider for every relay that no row knows.
const OtherProvider = "other"

// Providers returns the values of RelayProvider in the order of the menu.
func Providers() []string { return append([]string{OtherProvider}, providers.Names()...) }

// ProviderOf is the value of RelayProvider that a relay host stands for.
func ProviderOf(relay string) string {
	host, _, err := splitPort(relay)
	if p, ok := providers.ByHost(strings.Trim(host, "[]")); ok && err == nil && !SeveralRelays(relay) {
		return p.Name
	}
	return OtherProvider
}

// ProviderRelay is the relay host of the provider that the answers name, "" where they name none: that of its first region, and at the
// port that was answered, if one was.
func (a Answers) ProviderRelay() string {
	p, ok := providers.Find(a[RelayProvider].Value)
	if !ok {
		return ""
	}
	relay := p.Relays()[0]
	if port := a[RelayPort]; port.Answered && port.Value != "" && port.Value != smtpPort {
		relay = relay[:strings.LastIndex(relay, ":")+1] + port.Value
	}
	return relay
}

// FromProvider is what the provider that the answers name means for another question; ok is false for those that it has no say in.
func (a Answers) FromProvider(q Question) (value string, ok bool) {
	relay := a.ProviderRelay()
	switch {
	case relay == "":
		return "", false
	case q == RelayHost:
		return relay, true
	case q == RelayTLS: // the port of every row is the usual one for its TLS
		return ByPort, true
	case q == RelayPort: // the relay host has one
		return "", true
	}
	return "", false
}

// cleanProvider gives the name of a row for another name of it.
func cleanProvider(value string) string {
	value = strings.ToLower(unquote(value))
	if p, ok := providers.Find(value); ok {
		return p.Name
	}
	return value
}

func checkRelayProvider(value string) error {
	p, ok := providers.Find(value)
	switch {
	case value == "" || value == OtherProvider:
		return nil
	case !ok || !slices.Contains(Providers(), p.Name):
		return fmt.Errorf("%q is none of %s", value, strings.Join(Providers(), ", "))
	case !p.Passwords():
		return fmt.Errorf("%s takes no password from programs: answer %q with no relay host, and afterwards use \"postfix-maint smarthost login --provider %s\"",
			p.Title, OtherProvider, p.Name)
	}
	return nil
}

func guessRelay(_ Facts, a Answers) string {
	if checkRelayProvider(a[RelayProvider].Value) != nil {
		return ""
	}
	return a.ProviderRelay() // none is invented
}
