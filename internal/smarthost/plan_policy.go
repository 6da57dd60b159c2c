package smarthost

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"postfix-maint/internal/mastercf"
)

// policyKeys are what smtp_tls_policy_maps is asked for: the relay as it is written, and only for a bare domain its parents as well
// (policy_lookup() in Postfix's smtp/smtp_tls_policy.c).
func (r relay) policyKeys() []string {
	keys := []string{r.dest}
	for rest := r.host; r.dest == r.host; {
		n := strings.IndexByte(rest[1:], '.')
		if n < 0 {
			break
		}
		rest = rest[n+1:]
		keys = append(keys, rest)
	}
	return keys
}

// policy is an entry of smtp_tls_policy_maps as tls_policy_lookup_one() takes it apart: a level, then NAME=VALUE.
type policy struct {
	level      string
	attributes [][2]string
}

func parsePolicy(value string) policy {
	words := strings.FieldsFunc(value, func(c rune) bool { return strings.ContainsRune(", \t\r\n", c) })
	if len(words) == 0 {
		return policy{}
	}
	p := policy{level: strings.ToLower(words[0])}
	for _, w := range words[1:] {
		name, v, _ := strings.Cut(w, "=")
		p.attributes = append(p.attributes, [2]string{strings.ToLower(name), v})
	}
	return p
}

// loosens tells why a policy gives less than the level that is wanted, "" if it does not. What is not understood counts as less.
func (p policy) loosens(level string, r relay) string {
	switch n := strength(p.level); {
	case n < 0:
		return fmt.Sprintf("%q is no level that is known here", p.level)
	case n < strength(level):
		return fmt.Sprintf("%s is less than %s", p.level, level)
	}
	for _, a := range p.attributes {
		name, value := a[0], a[1]
		switch name {
		case "protocols", "exclude", "servername", "connection_reuse":
			continue
		case "ciphers":
			if slices.Contains([]string{"medium", "high"}, strings.ToLower(value)) {
				continue
			}
		case "match":
			if p.level == "fingerprint" || !slices.ContainsFunc(strings.FieldsFunc(value, func(c rune) bool { return c == ':' || c == '|' }),
				func(name string) bool { return !r.owns(name) }) {
				continue
			}
		}
		return fmt.Sprintf("%s=%s may let another server in", name, value)
	}
	return ""
}

// owns tells whether a name to be matched with the certificate is the relay's as it is written.
func (r relay) owns(name string) bool {
	return name == "nexthop" || name == "dot-nexthop" || strings.EqualFold(name, r.host) || name == "hostname" && r.literal
}

// checkPolicy refuses a per-destination policy that would open the connection to the relay again.
func (p *Plan) checkPolicy(ctx context.Context, o Options, r relay, f facts) error {
	if o.User == "" || o.OAuth != nil { // the policy for the OAuth relay is ours, and comes first
		return nil
	}
	for param, keys := range map[string][]string{"smtp_tls_policy_maps": r.policyKeys(), "smtp_tls_per_site": {r.dest, r.host}} {
		elements, err := p.h.tables(f.base, param)
		if err != nil {
			return err
		}
		for _, element := range elements {
			if err := p.checkPolicyTable(ctx, param, element, keys, o.TLS, r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *Plan) checkPolicyTable(ctx context.Context, param, element string, keys []string, level string, r relay) error {
	if !slices.Contains(keys, r.host) {
		keys = append(keys, r.host) // not in force, but it was meant for the relay
	}
	for _, key := range keys {
		value, found, err := p.h.query(ctx, element, key)
		if err != nil {
			return fmt.Errorf("cannot tell whether a password would be safe: %s names a table that does not say what holds for %s (mend it or take it out): %w",
				param, key, err)
		}
		if !found {
			continue
		}
		why := "it is of old, and not understood here"
		if param == "smtp_tls_policy_maps" {
			why = parsePolicy(value).loosens(level, r)
		}
		if why != "" {
			return fmt.Errorf("%s has %q for %s, with which the password could be sent in clear or to a stranger (%s): take that entry out first",
				param, value, key, why)
		}
	}
	return nil
}

// checkNames refuses that a certificate is matched with a name that comes from the DNS, while a password goes to whoever has it.
func (p *Plan) checkNames(o Options, r relay) error {
	param := map[string]string{"verify": "smtp_tls_verify_cert_match", "secure": "smtp_tls_secure_cert_match"}[o.TLS]
	if o.User == "" || param == "" || !slices.Contains(matchNames(p.h.effective[param]), "hostname") {
		return nil
	}
	switch {
	case !r.literal:
		return fmt.Errorf("%s has \"hostname\", which for %s is a name that the DNS chooses, so the password could go to a stranger: "+
			"take it out, or write the relay as [%s]", param, r.dest, r.host)
	case p.h.effective["smtp_cname_overrides_servername"] == "yes":
		return fmt.Errorf("with smtp_cname_overrides_servername = yes the DNS chooses the name in the relay's certificate, so the password could go " +
			"to a stranger: take it out first")
	}
	return nil
}

// matchNames takes smtp_tls_verify_cert_match and its like apart.
func matchNames(value string) []string {
	return strings.FieldsFunc(value, func(c rune) bool { return strings.ContainsRune(":, \t\r\n", c) })
}

// decisive are parameters that may not be other ones for the service than in main.cf while a password is at stake.
var decisive = []string{
	"smtp_tls_policy_maps", "smtp_tls_per_site", "smtp_tls_verify_cert_match", "smtp_tls_secure_cert_match", "smtp_cname_overrides_servername",
	"smtp_tls_mandatory_ciphers", "smtp_tls_CAfile", "smtp_tls_CApath",
}

// checkServices looks for settings in master.cf of the clients that mail for the relay may go through, which override main.cf.
func (p *Plan) checkServices(o Options, r relay, f facts) error {
	name := p.h.file("master.cf")
	data, err := p.h.d.Root.ReadFile(name)
	if err != nil {
		return fmt.Errorf("cannot read the services: %w", err)
	}
	services, err := mastercf.Parse(data)
	if err != nil {
		return fmt.Errorf("cannot parse %q: %w", name, err)
	}
	clients := []string{"smtp", "relay"}
	for _, param := range transportParams {
		transport, _, _ := strings.Cut(p.h.effective[param], ":")
		clients = append(clients, transport)
	}
	wanted := wish(o, r, f).settings
	for _, s := range services.Services() {
		if s.Type == "unix" && slices.Contains(clients, s.Name) {
			if err := p.checkService(o, s, wanted); err != nil {
				return err
			}
		}
	}
	return nil
}

var transportParams = []string{"default_transport", "relay_transport"}

func (p *Plan) checkService(o Options, s mastercf.Service, wanted []setting) error {
	name := p.h.file("master.cf")
	for _, want := range wanted {
		have, there := s.Option(want.name)
		switch {
		case !there || have == want.value:
		case o.User != "" && want.name == "smtp_tls_security_level" && strength(have) < strength(want.value):
			return fmt.Errorf("the service %q in %s has -o %s=%s, with which the password could be sent in clear or to a stranger: take it out first",
				s.Name, name, want.name, have)
		default:
			p.warn("the service %q in %s has -o %s=%s: that, not %q, holds for the relay", s.Name, name, want.name, have, want.value)
		}
	}
	for _, param := range decisive {
		if have, there := s.Option(param); there && o.User != "" && (o.OAuth == nil || param == "smtp_tls_policy_maps") && !slices.ContainsFunc(wanted, func(w setting) bool { return w == setting{param, have} }) {
			return fmt.Errorf("the service %q in %s has -o %s=..., with which the password could go to a stranger: take it out first", s.Name, name, param)
		}
	}
	return nil
}
