// Package providers (ring: format) is a table of mail providers that relay: where they listen, how one logs in, and what else is to be
// known. It is data with a source and a date per row; nothing in the code depends on one of them.
package providers

import "slices"

// Provider is one row.
type Provider struct {
	Name    string   // as --provider takes it: lower case letters, digits, hyphens
	Title   string   // as people know it
	Relay   string   // [HOST]:PORT; {region} in it is to be given
	Wrapper bool     // TLS from the first byte
	Logins  []string // SASL mechanisms that the provider documents, in upper case
	OAuth   *OAuth   // nil: logs in by passwords only
	// Delay is the value of default_destination_rate_delay and Concurrency that of default_destination_concurrency_limit that keep to the
	// provider's limits; "" where Postfix's own do.
	Delay, Concurrency string
	Notes              []string // what a person has to know: app passwords, verified senders, limits
	Source             string   // the provider's page that says so
	Checked            string   // when it was read, YYYY-MM-DD
}

// OAuth is where a provider gives tokens. {tenant} in an address is to be given; Tenant is what it is otherwise.
type OAuth struct {
	AuthURL, TokenURL, DeviceURL string
	Tenant                       string
	Scopes                       []string
	ClientScopes                 []string // of client credentials, where they differ
	Flows                        []string // device, browser, client-credentials, service-account
}

// Find gives the row of a name.
func Find(name string) (Provider, bool) {
	i := slices.IndexFunc(All, func(p Provider) bool { return p.Name == name })
	if i < 0 {
		return Provider{}, false
	}
	return All[i], true
}
