package smarthost

import (
	"fmt"
	"slices"
	"strings"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/smarthost/table"
)

// byOthers are the parameters by which an administrator gives some mail a relay of its own.
var byOthers = []string{"sender_dependent_relayhost_maps", "sender_dependent_default_transport_maps", "transport_maps"}

// keepAccounts leaves main.cf, as it is to be, with those settings of ours that an administrator's own accounts need: he may have made them since,
// on the login and the TLS that a set had brought. Of TLS that is "may" at least and the CAs: the default for
// smtp_sasl_security_options lets no password out without TLS, while a level that checks certificates would stop the mail that is
// delivered directly from now on (postconf(5), smtp_tls_security_level). base is main.cf without anything of ours, or without what is to change.
func (p *Plan) keepAccounts(base, after *maincf.File) (*maincf.File, error) {
	text, err := p.h.read(p.h.current(passwordTable))
	if err == nil {
		text, err = table.Strip(text)
	}
	if err != nil {
		return nil, fmt.Errorf("%q: %w", p.h.file(passwordTable), err)
	}
	passwords := slices.ContainsFunc(listOf(base, "smtp_sasl_password_maps"), func(e string) bool { return !refers(e, p.h.file(passwordTable)) })
	var by string
	for _, param := range byOthers {
		if v, _ := base.Get(param); v != "" && (param == byOthers[0] || passwords || !table.Empty(text)) {
			by = param
			break
		}
	}
	if by == "" {
		return after, nil
	}
	var edits []maincf.Edit
	var kept []string
	keep := func(name, value string) {
		edits, kept = append(edits, maincf.Set(name, value)), append(kept, name)
	}
	for _, name := range []string{
		"smtp_sasl_auth_enable", "smtp_sasl_security_options", "smtp_sasl_tls_security_options", "smtp_sasl_tls_verified_security_options", "smtp_tls_CAfile",
	} {
		if live, lost := p.lost(base, after, name); lost {
			keep(name, live)
		}
	}
	if value, lost := p.lostPasswords(after, text); lost {
		keep("smtp_sasl_password_maps", value)
	}
	was, _ := after.Get("smtp_tls_security_level")
	live, lost := p.lost(base, after, "smtp_tls_security_level")
	if lost && len(kept) > 0 && strength(was) < strength("may") && strength(live) >= strength("may") {
		keep("smtp_tls_security_level", "may")
	}
	if len(kept) > 0 {
		p.warn("%s names relays for some mail: %s stay for their logins, as they are or at least \"may\"; "+
			"smtp_tls_policy_maps can ask for checked certificates there", by, strings.Join(kept, ", "))
	}
	if live, lost := p.lost(base, after, "smtp_tls_wrappermode"); lost && live == "yes" {
		p.warn("%s names relays for some mail: those that want TLS from the first byte (port 465) need a service with -o smtp_tls_wrappermode=yes in master.cf now, "+
			"or \"smarthost add --sender\"", by)
	}
	return apply(after, edits)
}

// lost tells whether a setting that is in force, and of ours, is in it no longer.
func (p *Plan) lost(base, after *maincf.File, name string) (live string, lost bool) {
	live, there := p.h.live.Get(name)
	was, ok := base.Get(name)
	is, stays := after.Get(name)
	return live, there && (!ok || was != live) && (!stays || ok && is == was)
}

// lostPasswords gives the list of password tables with that of ours where lines of an administrator's are in it.
func (p *Plan) lostPasswords(after *maincf.File, text []byte) (value string, lost bool) {
	if table.Empty(text) || mains(after, p.h.file(passwordTable)) {
		return "", false
	}
	live := listOf(p.h.live, "smtp_sasl_password_maps")
	i := slices.IndexFunc(live, func(e string) bool { return refers(e, p.h.file(passwordTable)) })
	if i < 0 {
		return "", false
	}
	value = live[i]
	if rest, _ := after.Get("smtp_sasl_password_maps"); rest != "" {
		value += ", " + rest
	}
	return value, true
}
