// Package providers (ring: format) is a table of mail providers that relay: where they listen, how one logs in, and what else is to be
// known. It is data with a source and a date per row; nothing in the code depends on one of them.
package providers

import (
	"fmt"
	"slices"
	"strings"
)

// Provider is one row.
type Provider struct {
	Name    string   // as --provider takes it: lower case letters, digits, hyphens
	Aliases []string // other names that people write
	Title   string   // as people know it
	Relay   string   // [HOST]:PORT; {region} in it is to be given
	Regions []Region // what {region} can be; the first one stands where nobody says
	Wrapper bool     // TLS from the first byte
	Logins  []string // SASL mechanisms that the provider documents, in upper case
	OAuth   *OAuth   // nil: logs in by passwords only
	// Delay is the value of smtp_destination_rate_delay and Concurrency that of smtp_destination_concurrency_limit that keep to the
	// provider's limits; "" where Postfix's own do.
	Delay, Concurrency string
	Notes              []string // what a person has to know: app passwords, verified senders, limits
	Source             string   // the page that says so: the provider's own, else the best that could be read
	Checked            string   // when (YYYY-MM-DD) the provider's own page, or a stored copy of it, was read; "": it could not be
}

// Region is one value of {region}.
type Region struct {
	Name string // as --region takes it
	Text string // what it puts into the relay
}

// OAuth is where a provider gives tokens. {tenant} in an address is to be given; Tenant is what it is otherwise.
type OAuth struct {
	AuthURL, TokenURL, DeviceURL string
	Tenant                       string
	Scopes                       []string
	ClientScopes                 []string // of client credentials, where they differ
	Flows                        []string // device, browser, client-credentials, service-account
}

// Find gives the row of a name, or of another name for it.
func Find(name string) (Provider, bool) {
	i := slices.IndexFunc(All, func(p Provider) bool { return p.Name == name || slices.Contains(p.Aliases, name) })
	if i < 0 {
		return Provider{}, false
	}
	return All[i], true
}

// Names are those of all rows, in the order in which they are offered.
func Names() (all []string) {
	for _, p := range All {
		all = append(all, p.Name)
	}
	return all
}

// ByHost gives the row whose relay a host is, whatever the port.
func ByHost(host string) (Provider, bool) {
	i := slices.IndexFunc(All, func(p Provider) bool { return p.Has(host) })
	if host == "" || i < 0 {
		return Provider{}, false
	}
	return All[i], true
}

// Has tells whether a host is one of the provider's relays.
func (p Provider) Has(host string) bool {
	return slices.ContainsFunc(p.Relays(), func(relay string) bool {
		name, _, _ := strings.Cut(strings.TrimPrefix(relay, "["), "]")
		return strings.EqualFold(name, strings.TrimSuffix(host, "."))
	})
}

// Relays are the provider's relays, one for each region.
func (p Provider) Relays() []string {
	if len(p.Regions) == 0 {
		return []string{p.Relay}
	}
	var all []string
	for _, r := range p.Regions {
		all = append(all, strings.ReplaceAll(p.Relay, "{region}", r.Text))
	}
	return all
}

// At gives the relay of a region, of the first one where none is named.
func (p Provider) At(region string) (string, error) {
	switch i := slices.IndexFunc(p.Regions, func(r Region) bool { return r.Name == region }); {
	case region == "":
		return p.Relays()[0], nil
	case len(p.Regions) == 0:
		return "", fmt.Errorf("%s has no regions", p.Title)
	case i < 0:
		return "", fmt.Errorf("%q is no region of %s: use one of %s", region, p.Title, strings.Join(p.RegionNames(), ", "))
	default:
		return p.Relays()[i], nil
	}
}

// RegionNames are what --region takes.
func (p Provider) RegionNames() (all []string) {
	for _, r := range p.Regions {
		all = append(all, r.Name)
	}
	return all
}

// Passwords tells whether one can log in with a password.
func (p Provider) Passwords() bool {
	return slices.ContainsFunc(p.Logins, func(m string) bool { return m != "XOAUTH2" && m != "OAUTHBEARER" })
}
