package smarthost

import (
	"fmt"
	"regexp"
	"strings"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/smarthost/probe"
)

// mechanisms are those of the probe's that Postfix's client would use over a connection with TLS of this level, or why that is not known here.
// By default it sends no password as it is, not even with TLS: whoever answers in the relay's place must not get from a test what Postfix
// would not give away (smtp_sasl_start() in Postfix's smtp/smtp_sasl_proto.c).
func (h *host) mechanisms(level string) (may []string, hold string) {
	param := "smtp_sasl_tls_security_options"
	if level == "none" {
		param = "smtp_sasl_security_options"
	}
	if verified := "smtp_sasl_tls_verified_security_options"; level == "verify" || level == "secure" {
		if _, known := h.effective[verified]; known {
			param = verified
		}
	}
	plain := true
	for _, option := range maincf.SplitList(h.effective[param]) {
		switch strings.ToLower(option) {
		case "noanonymous": // none of them is
		case "noplaintext":
			plain = false
		default:
			return nil, fmt.Sprintf("what %s = %s lets Postfix use is not checked here", param, h.effective[param])
		}
	}
	const filter = "smtp_sasl_mechanism_filter"
	may = []string{}
	for _, mechanism := range probe.Tried {
		lets, known := filterLets(maincf.SplitList(h.effective[filter]), mechanism)
		if !known {
			return nil, fmt.Sprintf("what %s = %s lets Postfix use is not checked here", filter, h.effective[filter])
		}
		if lets && (plain || mechanism == "CRAM-MD5") {
			may = append(may, mechanism)
		}
	}
	return may, ""
}

var mechanismName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// filterLets tells whether a filter lets a mechanism through: the first element that fits decides, and without a filter all pass (postconf(5),
// smtp_sasl_mechanism_filter). It is not known where a table has to be asked.
func filterLets(filter []string, mechanism string) (lets, known bool) {
	for _, element := range filter {
		name := strings.TrimLeft(element, "!")
		yes := (len(element)-len(name))%2 == 0
		switch {
		case strings.EqualFold(name, mechanism), strings.HasPrefix(name, "static:"):
			return yes, true
		case !mechanismName.MatchString(name):
			return false, false
		}
	}
	return len(filter) == 0, true
}
