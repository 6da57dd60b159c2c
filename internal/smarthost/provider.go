package smarthost

import (
	"fmt"
	"strconv"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/providers"
)

// At gives the options with the relay of a provider, "" for its own one in a region, the first where none is named. Another host than one of
// the provider's is refused: two relays are meant then. Another port of the same host wins, with the TLS that is usual there.
func (o Options) At(p providers.Provider, region, relay string) (Options, error) {
	own, err := p.At(region)
	if err != nil {
		return o, err
	}
	if relay == "" {
		relay = own
	}
	r, err := parseRelay(relay)
	switch {
	case err != nil:
		return o, err
	case !p.Has(r.host):
		return o, fmt.Errorf("%s is no host of %s, whose relay is %s: leave one of the two out", r.host, p.Title, own)
	case region != "" && !sameHost(own, r):
		return o, fmt.Errorf("%s is not the relay of the region %s, which is %s: leave one of the two out", r.host, region, own)
	}
	o = o.To(relay)
	o.Provider, o.Wrapper = p.Name, nil
	if strength(o.TLS) < strength("verify") {
		o.TLS = "" // of an earlier set
	}
	return o, nil
}

// byProvider keeps to the limits of the provider that was answered, where the other answers leave its relay and the check of its certificate.
func (o Options) byProvider(name string) Options {
	p, ok := providers.Find(name)
	r, err := o.relay()
	if !ok || err != nil || !p.Has(r.host) {
		return o
	}
	with := o
	with.Provider = p.Name
	if with.usual(r).checkProvider(r) != nil {
		return o
	}
	return with
}

func sameHost(relay string, r relay) bool {
	own, err := parseRelay(relay)
	return err == nil && own.host == r.host
}

// checkProvider holds that a provider's certificate is checked, and that TLS begins as it does at the port: all of them have the names that
// they are known by in their certificates, and take STARTTLS at 587 and TLS from the first byte at 465 (RFC 8314).
func (o Options) checkProvider(r relay) error {
	p, ok := providers.Find(o.Provider)
	switch {
	case !ok || !p.Has(r.host):
		return nil
	case strength(o.TLS) < strength("verify"):
		return fmt.Errorf("with TLS level %q the certificate of %s is not checked: use verify or secure", o.TLS, p.Title)
	case *o.Wrapper != (r.port == portSubmissions):
		how := map[bool]string{true: "TLS from the first byte", false: "STARTTLS"}
		return fmt.Errorf("%s has %s at port %d, and %s was asked for: name another port with the relay", p.Title, how[!*o.Wrapper], r.port, how[*o.Wrapper])
	}
	return nil
}

// limits keep to what the provider takes at a time. They are set for the transport "smtp", not as default_destination_*, which would slow
// down mailboxes, pipes and filters of this host as well: with a relay all mail for elsewhere has the one destination of that transport
// (postconf(5), transport_destination_concurrency_limit). A limit of an administrator's that is stricter stays.
func (w *wishes) limits(o Options, base *maincf.File) {
	p, ok := providers.Find(o.Provider)
	if !ok {
		return
	}
	const delay, concurrency = "smtp_destination_rate_delay", "smtp_destination_concurrency_limit"
	if _, there := base.Get(delay); p.Delay != "" && !there {
		w.set(delay, p.Delay)
	}
	have, _ := base.Get(concurrency)
	n, err := strconv.Atoi(have)
	if most, _ := strconv.Atoi(p.Concurrency); most > 0 && (err != nil || n == 0 || n > most) {
		w.set(concurrency, p.Concurrency)
	}
}

// provider is the one whose relay is in force: by the host, else the one that the last set was made for.
func (h *host) provider(relayhost string) (providers.Provider, bool) {
	r, err := parseRelay(relayhost)
	if err != nil {
		return providers.Provider{}, false
	}
	if p, ok := providers.ByHost(r.host); ok {
		return p, true
	}
	if last, err := parseRelay(h.state.Options.Relay); err == nil && last.host == r.host {
		return providers.Find(h.state.Options.Provider)
	}
	return providers.Provider{}, false
}
