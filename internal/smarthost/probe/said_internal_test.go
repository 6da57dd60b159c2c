package probe

import "testing"

// Without brackets the DNS chooses the host: it gets the password only where the certificate must have the name as it is written.
func TestUntried(t *testing.T) {
	for name, c := range map[string]struct {
		target Target
		tried  bool
	}{
		"brackets, verify":                {Target{Level: "verify", Match: []string{"hostname"}}, true},
		"brackets, may":                   {Target{Level: "may"}, true},
		"no brackets, verify":             {Target{MX: true, Level: "verify", Match: []string{"hostname"}}, false},
		"no brackets, encrypt":            {Target{MX: true, Level: "encrypt"}, false},
		"no brackets, secure":             {Target{MX: true, Level: "secure", Match: []string{"a.example", ".a.example"}}, true},
		"no brackets, secure by the DNS":  {Target{MX: true, Level: "secure", Match: []string{"a.example", "hostname"}}, false},
		"the caller knows of a condition": {Target{Level: "secure", Hold: "x"}, false},
	} {
		if why := c.target.untried(); (why == "") != c.tried {
			t.Errorf("%s: %q", name, why)
		}
	}
}
