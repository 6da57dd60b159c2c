package smarthost

import (
	"slices"
	"testing"
)

// Only a bare domain is looked for with its parents (TLS_README, "Client TLS security levels": nexthop destinations).
func TestPolicyKeys(t *testing.T) {
	for relayhost, want := range map[string][]string{
		"smtp.example.net":       {"smtp.example.net", ".example.net", ".net"},
		"smtp.example.net:587":   {"smtp.example.net:587"},
		"[smtp.example.net]":     {"[smtp.example.net]"},
		"[smtp.example.net]:587": {"[smtp.example.net]:587"},
		"net":                    {"net"},
	} {
		r, err := parseRelay(relayhost)
		if got := r.policyKeys(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", relayhost, got, err, want)
		}
	}
}

func TestWhatLoosens(t *testing.T) {
	r, err := parseRelay("[smtp.example.net]:587")
	if err != nil {
		t.Fatal(err)
	}
	for value, safe := range map[string]bool{
		"verify": true, "SECURE": true, "secure match=nexthop:smtp.example.net": true, "verify,match=hostname,ciphers=high": true,
		"verify\tprotocols=>=TLSv1.2 servername=hostname": true, "fingerprint match=AB:CD": true, "dane-only": true,
		"": false, ",": false, "may": false, "none,": false, "encrypt": false, "dane": false, "half-dane": false, "verify, match=.net": false,
		"verify ciphers=export": false, "verify ciphers=NULL": false, "verify enable_rpk=yes": false, "verify something=else": false,
	} {
		if why := parsePolicy(value).loosens("verify", r); (why == "") != safe {
			t.Errorf("%q: %q", value, why)
		}
	}
}
