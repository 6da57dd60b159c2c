package smarthost

import (
	"strings"

	"postfix-maint/internal/smarthost/probe"
)

// Text is the result in plain words.
func (res *Result) Text() string {
	r := &report{}
	res.probed(r)
	if res.QueueID != "" {
		r.line("queue id", "%s", res.QueueID)
	}
	if res.Sender != "" {
		r.line("sender", "%s", res.Sender)
	}
	if res.Status != "" {
		r.line("outcome", "%s, by %s", res.Status, res.Via)
		r.line("reply", "%s", res.Reply)
	}
	switch {
	case res.Delivered:
		r.line("result", "delivered to %s", res.Address)
	case !res.Submitted:
		r.line("result", "no message was sent: %s", res.Problem)
	default:
		r.line("result", "not delivered: %s", res.Problem)
	}
	if res.Advice != "" {
		r.line("look at", "%s", res.Advice)
	}
	return r.String()
}

// probed is what was found of the relay before a message was sent.
func (res *Result) probed(r *report) {
	r.line("relay", "%s", res.Relay)
	if l := res.Login; l != nil {
		r.line("login", "OAuth 2.0 (%s) as %s at %s", l.Flow, l.User, l.Relay)
	}
	if res.From != "" {
		r.line("mail from", "%s", res.From)
	}
	for _, o := range res.Overrides {
		r.line("master.cf", "%s", o)
	}
	talked(r, res.Probe, res.TLS, res.Wrapper)
	res.login(r)
}

// talked is what was found of a host, at a TLS level, from the first byte or by STARTTLS.
func talked(r *report, p *probe.Report, level string, wrapper bool) {
	if len(p.Hosts) > 0 {
		r.line("mail servers", "%s", strings.Join(p.Hosts, ", "))
	}
	if len(p.Addresses) > 0 {
		r.line("addresses", "%s", strings.Join(p.Addresses, ", "))
	}
	if p.Address != "" {
		r.line("connected", "to %s (%s)", p.Host, p.Address)
	}
	how := map[bool]string{true: "from the first byte", false: "by STARTTLS"}[wrapper]
	switch {
	case p.Unspoken != "":
		r.line("TLS", "left to Postfix, not tried here: %s; level %s", p.Unspoken, level)
	case p.TLS != "":
		r.line("TLS", "%s, %s; level %s", p.TLS, how, level)
	case p.Address != "":
		r.line("TLS", "none; level %s", orNone(level))
	}
	certificate(r, p.Certificate, level)
}

func certificate(r *report, c *probe.Certificate, level string) {
	if c == nil {
		return
	}
	r.line("certificate", "%s", c.Subject)
	r.line("issued by", "%s", c.Issuer)
	r.line("names", "%s", strings.Join(c.Names, ", "))
	r.line("valid", "%s to %s", c.NotBefore.UTC().Format("2006-01-02"), c.NotAfter.UTC().Format("2006-01-02"))
	checked := level == "verify" || level == "secure"
	switch {
	case !checked:
		r.line("check", "none at level %s", level)
	case !c.Trusted:
		r.line("check", "not trusted: %s", c.Why)
	case !c.Matched:
		r.line("check", "trusted, but for another name")
	default:
		r.line("check", "trusted, and the name is right")
	}
}

func (res *Result) login(r *report) {
	p := res.Probe
	if len(p.Mechanisms) > 0 {
		r.line("logins", "%s", strings.Join(p.Mechanisms, " "))
	}
	if p.Untried != "" {
		r.line("login", "left to Postfix, not tried here: %s", p.Untried)
	}
	if p.Mechanism != "" {
		r.line("login", "%s by %s: %s", res.Account, p.Mechanism, p.AuthReply)
	}
}
