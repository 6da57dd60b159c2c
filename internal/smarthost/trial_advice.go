package smarthost

import (
	"fmt"
	"slices"
	"strings"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/smarthost/probe"
)

// advise says which setting to look at for a failure of the probe.
func (h *host) advise(cause probe.Cause, r relay, res *Result) string {
	port := func(n int) string { return strings.Replace(r.dest, fmt.Sprint(":", r.port), fmt.Sprint(":", n), 1) }
	switch cause {
	case probe.NoName:
		return "relayhost: is the name right? /etc/resolv.conf: does the DNS server answer?"
	case probe.NoAnswer:
		return fmt.Sprintf("relayhost: is %d the relay's port (587 for STARTTLS, 465 for TLS from the first byte)? is the relay up, and does no firewall stand in between?", r.port)
	case probe.NoGreeting:
		if !res.Wrapper {
			return fmt.Sprintf("smtp_tls_wrappermode: port %d may want TLS from the first byte (--wrapper)", r.port)
		}
		return "relayhost: is this port one for mail?"
	case probe.NotTLS:
		return fmt.Sprintf("smtp_tls_wrappermode: port %d wants STARTTLS (--wrapper=false), or the relay is %s", r.port, port(portSubmissions))
	case probe.NoStartTLS:
		return "the relay has no TLS on this port, or somebody in between takes it away; nothing was sent. " +
			"relayhost: perhaps another port. smtp_tls_security_level: do not lower it, a password would go in clear"
	case probe.Handshake:
		return "smtp_tls_mandatory_protocols, smtp_tls_mandatory_ciphers: relay and host have no TLS version in common, or the relay broke off"
	case probe.Untrusted:
		return fmt.Sprintf("smtp_tls_CAfile (now %q): name the file with the CA that issued the relay's certificate (--ca-file); "+
			"if it is one of the system's, update the package ca-certificates", h.effective["smtp_tls_CAfile"])
	case probe.Expired:
		return "the relay's operator has to renew the certificate; is this host's clock right? nothing was sent"
	case probe.OtherName:
		return fmt.Sprintf("relayhost: use a name that is in the certificate (%s); nothing was sent", strings.Join(res.Probe.Certificate.Names, ", "))
	case probe.NoAuth:
		return "relayhost: mail with a login usually goes to port 587 or 465; else the relay wants no account: --user none"
	case probe.Refused:
		if advice := h.adviseProvider(res, res.Probe.AuthReply); advice != "" {
			return advice
		}
		return "smtp_sasl_password_maps: give account and password anew (smarthost set --user, --password-file); some relays want a password made for programs"
	}
	return ""
}

const nameError = "ame service error"

// complaints are pieces of what Postfix and relays say, and which setting they point to.
var complaints = []struct{ text, advice string }{
	{"no mechanism available", "smtp_sasl_mechanism_filter, and the package libsasl2-modules: no way to log in that both sides know"},
	{"SASL authentication failed", "smtp_sasl_password_maps: give account and password anew (smarthost set --user, --password-file)"},
	{"SMTPUTF8 is required", "smtputf8_enable: the relay does not take addresses with other letters than ASCII's"},
	{"was not offered by host", "the relay has no TLS on this port, or somebody in between takes it away; nothing was sent"},
	{"certificate not trusted", "smtp_tls_CAfile: name the file with the CA that issued the relay's certificate (--ca-file)"},
	{"certificate not verified", "relayhost: use a name that is in the relay's certificate"},
	{"Cannot start TLS", "smtp_tls_mandatory_protocols, smtp_tls_mandatory_ciphers; the mail log says more with smtp_tls_loglevel = 1"},
	{"Host not found, try again", "the DNS server did not answer Postfix, or not in time: try again; see /etc/resolv.conf"},
	{nameError, "the name is known to the host but not to Postfix: refresh its chroot (restart Postfix), see /etc/resolv.conf there"},
	{"Connection refused", "relayhost: is the port right? is the relay up?"},
	{"timed out", "relayhost: is the port right? does a firewall stand in between?"},
	{"mail transport unavailable", "master.cf: the service smtp does not start; the mail log says why"},
}

// adviseReply does the same for what Postfix or the relay said to the message itself.
func (h *host) adviseReply(res *Result) string {
	if strings.Contains(res.Reply, nameError) && h.onlyInHosts(res) {
		return fmt.Sprintf("smtp_host_lookup = dns, native: the relay stands in %s, and Postfix asks the DNS alone", paths.Hosts)
	}
	if advice := h.adviseProvider(res, res.Reply); advice != "" {
		return advice
	}
	for _, c := range complaints {
		if strings.Contains(res.Reply, c.text) {
			return c.advice
		}
	}
	switch {
	case strings.Contains(res.Reply, "MAIL FROM command"), strings.Contains(strings.ToLower(res.Reply), "sender"):
		return fmt.Sprintf("smtp_generic_maps, sender_canonical_maps: the relay does not take the sender %s; "+
			"rewrite it to an address that belongs to the account (--rewrite generic=ADDRESS)", res.Sender)
	case strings.Contains(res.Reply, "RCPT TO command"):
		return "the relay does not take mail for this recipient, or not without a login (--user)"
	case strings.Contains(res.Reply, "end of DATA command"):
		return "the relay refuses the message itself: perhaps its From: header (--from ADDRESS)"
	}
	return ""
}

// onlyInHosts tells whether the relay's name comes from the file that Postfix's client does not look into by itself.
func (h *host) onlyInHosts(res *Result) bool {
	if maps := h.effective["smtp_host_lookup"]; strings.Contains(maps, "native") {
		return false
	}
	data, err := h.read(paths.Hosts)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		if names := strings.Fields(line); len(names) > 1 && slices.ContainsFunc(names[1:], func(n string) bool { return strings.EqualFold(n, res.Probe.Host) }) {
			return true
		}
	}
	return false
}
