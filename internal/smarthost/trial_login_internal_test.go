package smarthost

import (
	"slices"
	"strings"
	"testing"
)

// A test gives no password away that Postfix itself would keep.
func TestTheTestUsesNoLoginThatPostfixWouldNot(t *testing.T) {
	all := []string{"PLAIN", "LOGIN", "CRAM-MD5"}
	for name, c := range map[string]struct {
		level, tls, verified, filter string
		want                         []string
		hold                         string
	}{
		"as smarthost set leaves it":  {"verify", "noanonymous", "noanonymous", "", all, ""},
		"Postfix's default":           {"may", "noplaintext, noanonymous", "noplaintext, noanonymous", "", all[2:], ""},
		"only with a certificate":     {"may", "noplaintext", "noanonymous", "", all[2:], ""},
		"with a certificate":          {"secure", "noplaintext", "noanonymous", "", all, ""},
		"an option that says more":    {"secure", "noanonymous", "noanonymous, nodictionary", "", nil, "nodictionary"},
		"a filter":                    {"secure", "", "", "plain, login", all[:2], ""},
		"a filter that takes out":     {"secure", "", "", "!plain, static:all", all[1:], ""},
		"a filter of others":          {"secure", "", "", "gssapi", []string{}, ""},
		"a filter that is a table":    {"secure", "", "", "!login, hash:/etc/postfix/mechs", nil, "smtp_sasl_mechanism_filter"},
		"a filter that is a file":     {"secure", "", "", "/etc/postfix/mechs", nil, "smtp_sasl_mechanism_filter"},
		"neither is known to Postfix": {"may", "", "", "", all, ""},
	} {
		h := &host{effective: map[string]string{
			"smtp_sasl_tls_security_options": c.tls, "smtp_sasl_tls_verified_security_options": c.verified, "smtp_sasl_mechanism_filter": c.filter,
		}}
		may, hold := h.mechanisms(c.level)
		if !slices.Equal(may, c.want) || (hold == "") != (c.hold == "") || !strings.Contains(hold, c.hold) {
			t.Errorf("%s: %q, %q; want %q", name, may, hold, c.want)
		}
	}
}
