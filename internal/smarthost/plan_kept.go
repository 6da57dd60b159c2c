package smarthost

import (
	"fmt"
	"strings"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/smarthost/table"
)

// keepAccounts leaves main.cf, as it is without our settings, with those that sender-dependent accounts of an administrator's need: he may
// have made them since, on the login and the TLS that a set had brought. Of TLS that is "may" at least and the CAs: the default for
// smtp_sasl_security_options lets no password out without TLS, while a level that checks certificates would stop the mail that is
// delivered directly from now on (postconf(5), smtp_tls_security_level).
func (p *Plan) keepAccounts(base *maincf.File) (*maincf.File, error) {
	if v, _ := base.Get("sender_dependent_relayhost_maps"); v == "" {
		return base, nil
	}
	var edits []maincf.Edit
	var kept []string
	keep := func(name, value string) {
		edits, kept = append(edits, maincf.Set(name, value)), append(kept, name)
	}
	for _, name := range []string{"smtp_sasl_auth_enable", "smtp_sasl_security_options", "smtp_sasl_tls_security_options", "smtp_tls_CAfile"} {
		live, there := p.h.live.Get(name)
		if was, ok := base.Get(name); there && (!ok || was != live) {
			keep(name, live)
		}
	}
	text, err := p.h.read(p.h.current(passwordTable))
	if err == nil {
		text, err = table.Strip(text)
	}
	if err != nil {
		return nil, fmt.Errorf("%q: %w", p.h.file(passwordTable), err)
	}
	if live, there := p.h.live.Get("smtp_sasl_password_maps"); there && !table.Empty(text) && !mains(base, p.h.file(passwordTable)) {
		keep("smtp_sasl_password_maps", live)
	}
	was, _ := base.Get("smtp_tls_security_level")
	if live, _ := p.h.live.Get("smtp_tls_security_level"); len(kept) > 0 && strength(was) < strength("may") && strength(live) >= strength("may") {
		keep("smtp_tls_security_level", "may")
	}
	if len(kept) > 0 {
		p.warn("sender_dependent_relayhost_maps names relays for some senders: %s stay for their logins, as they are or at least \"may\"; "+
			"smtp_tls_policy_maps can ask for checked certificates there", strings.Join(kept, ", "))
	}
	return apply(base, edits)
}
