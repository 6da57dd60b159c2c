package smarthost

import (
	"context"
	"strings"
	"testing"

	"postfix-maint/internal/run"
	"postfix-maint/internal/sysroot/sysroottest"
)

// policies answer postmap(1) by key; the table "broken" cannot be asked.
type policies map[string]string

func (p policies) Run(context.Context, string, ...string) error { return nil }

func (p policies) Output(_ context.Context, _ string, args ...string) ([]byte, error) {
	if args[len(args)-1] == "hash:broken" {
		return nil, &run.ExitError{Code: 1, Stderr: "open broken.db: no such file"}
	}
	if value, ok := p[args[len(args)-2]]; ok {
		return []byte(value + "\n"), nil
	}
	return nil, &run.ExitError{Code: 1}
}

// The test takes the policy that Postfix takes, and what it cannot check as Postfix does keeps it from the login.
func TestThePolicyOfTheTest(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"x": ""})
	const bracketed, bare = "[smtp.example.net]:587", "smtp.example.net"
	for name, c := range map[string]struct {
		relay, maps, perSite string
		found                policies
		level, match, hold   string
	}{
		"none":                      {relay: bracketed, maps: "hash:p", level: "verify", match: "hostname"},
		"one with a comma":          {relay: bracketed, maps: "hash:p", found: policies{bracketed: "SECURE, protocols=>=TLSv1.2"}, level: "secure", match: "smtp.example.net .smtp.example.net"},
		"one with names":            {relay: bracketed, maps: "hash:p", found: policies{bracketed: "secure, match=nexthop:x.example"}, level: "secure", match: "smtp.example.net x.example"},
		"one for a parent":          {relay: bare, maps: "hash:p", found: policies{".example.net": "encrypt"}, level: "encrypt"},
		"one for fingerprints":      {relay: bracketed, maps: "hash:p", found: policies{bracketed: "fingerprint match=AB:CD"}, level: "fingerprint", hold: "match=AB:CD"},
		"one with another CA":       {relay: bracketed, maps: "hash:p", found: policies{bracketed: "secure tafile=/x"}, level: "secure", match: "smtp.example.net .smtp.example.net"},
		"one with two other CAs":    {relay: bracketed, maps: "hash:p", found: policies{bracketed: "secure tafile=/x tafile=/y"}, level: "secure", match: "smtp.example.net .smtp.example.net", hold: "tafile"},
		"an empty one":              {relay: bracketed, maps: "hash:p", found: policies{bracketed: ""}, level: ""},
		"a table that is broken":    {relay: bracketed, maps: "hash:broken, hash:p", found: policies{bracketed: "secure"}, level: "verify", match: "hostname", hold: "can't be asked"},
		"an old one":                {relay: bracketed, perSite: "hash:s", found: policies{"smtp.example.net": "MUST"}, level: "verify", match: "hostname", hold: "smtp_tls_per_site"},
		"an old one that is broken": {relay: bracketed, perSite: "hash:broken", level: "verify", match: "hostname", hold: "smtp_tls_per_site"},
	} {
		r, err := parseRelay(c.relay)
		if err != nil {
			t.Fatal(err)
		}
		h := &host{d: Deps{Root: root, Run: c.found}, effective: map[string]string{
			"smtp_tls_security_level": "Verify", "smtp_tls_policy_maps": c.maps, "smtp_tls_per_site": c.perSite,
			"smtp_tls_verify_cert_match": "hostname", "smtp_tls_secure_cert_match": "nexthop, dot-nexthop",
		}}
		got, err := h.target(t.Context(), r, &Result{})
		if err != nil || got.Level != c.level || strings.Join(got.Match, " ") != c.match || (got.Hold == "") != (c.hold == "") || !strings.Contains(got.Hold, c.hold) {
			t.Errorf("%s: level %q, names %q, hold %q, %v", name, got.Level, got.Match, got.Hold, err)
		}
	}
}
