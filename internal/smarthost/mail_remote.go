package smarthost

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/dns"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/smarthost/probe"
)

// mostServers are tried of a domain, and as many addresses of each (postconf(5), smtp_mx_address_limit).
const mostServers = 5

// remote tries the way to another host, once for each next hop.
func (w *finder) remote(ctx context.Context, way Way) error {
	key := way.Transport + " " + way.NextHop
	done, there := w.tried[key]
	if !there {
		var err error
		if done, err = w.reach(ctx, way); err != nil {
			return err
		}
		w.tried[key] = done
	}
	done.Recipient, done.Class = way.Recipient, way.Class
	w.add(done)
	return nil
}

// reach does that.
func (w *finder) reach(ctx context.Context, way Way) (Way, error) {
	c := *w.h
	c.effective = maps.Clone(w.h.effective)
	c.sender, c.routed = strings.ToLower(w.sender), true // the next hop is what trivial-rewrite(8) chose for that sender
	relayed := c.effective["relayhost"] != "" && strings.EqualFold(c.effective["relayhost"], way.NextHop)
	r, err := parseRelay(way.NextHop)
	if err != nil {
		way.Notes = append(way.Notes, "left to Postfix, not tried here: "+err.Error())
		return way, nil
	}
	c.effective["default_transport"], c.effective["relayhost"] = way.Transport, way.NextHop
	if relayed || r.literal {
		res, target, err := c.tryRelay(ctx)
		if err != nil {
			return way, err
		}
		w.targets = append(w.targets, target)
		way.Relay, way.TLS, way.Problem, way.Advice = res, res.TLS, res.Problem, res.Advice
		return way, nil
	}
	if way.Overrides, err = c.override(); err != nil {
		return way, err
	}
	settings := &Result{Wrapper: c.effective["smtp_tls_wrappermode"] == "yes"}
	t, err := c.target(ctx, r, settings)
	if err != nil {
		return way, err
	}
	t.MX, t.User, t.Secret = false, "", "" // no password goes to a host that the DNS names
	way.TLS = settings.TLS
	way.note(&t)
	w.servers(ctx, &c, &way, r, t)
	return way, nil
}

// note says what of the TLS level is left to Postfix, and tries what comes nearest.
func (way *Way) note(t *probe.Target) {
	add := func(level, text string) {
		t.Level, way.Notes = level, append(way.Notes, text)
	}
	switch t.Level {
	case "dane":
		add("may", "DANE: whether TLSA records bind the certificate is Postfix's to say")
	case "dane-only", "half-dane":
		add("encrypt", "DANE: whether TLSA records bind the certificate is Postfix's to say")
	case "fingerprint":
		add("encrypt", "the certificate's fingerprint is Postfix's to compare")
	}
}

// nameServers are those that the client asks: in its chroot there may be others.
func (w *finder) nameServers(transport string) []string {
	name := paths.ResolvConf
	if s, ok := w.service(transport); ok && s.Chrooted(w.h.effective["compatibility_level"]) {
		name = path.Join(w.h.inst.QueueDir, paths.ResolvConf)
	}
	text, err := w.h.d.Root.ReadFile(name)
	if err != nil {
		text = nil // its own host is asked then (resolv.conf(5))
	}
	return dns.Servers(text)
}

// servers tries the mail servers of a domain in their order, up to the first that talks as it should.
func (w *finder) servers(ctx context.Context, c *host, way *Way, r relay, t probe.Target) {
	ask := w.nameServers(way.Transport)
	c.d.tell("looking up the mail servers of %s", r.host)
	found, err := dns.Exchangers(ctx, ask, r.host)
	switch {
	case errors.Is(err, dns.ErrNone):
		found = []dns.Exchanger{{Host: r.host}} // RFC 5321 5.1: the host of that name
	case err != nil:
		way.Problem = fmt.Sprintf("the mail servers of %s can't be looked up: %v", r.host, err)
		way.Advice = paths.ResolvConf + `: do the name servers answer? "postfix-maint doctor --online" asks each`
		return
	case len(found) == 1 && found[0].Host == "":
		way.Problem, way.Advice = r.host+" takes no mail (a null MX record says so)", "is the address right?"
		return
	}
	var last *probe.Failure
	for _, e := range found[:min(len(found), mostServers)] {
		s := Server{Preference: e.Preference, Host: e.Host}
		t.Host = e.Host
		if t.Addresses, err = c.addresses(ctx, ask, t); err != nil {
			s.Probe = &probe.Report{Host: e.Host, Failure: &probe.Failure{Cause: probe.NoName, Text: fmt.Sprintf("%s has no address: %v", e.Host, err)}}
		} else {
			c.d.tell("waiting for the answer of %s", e.Host)
			s.Probe = probe.Run(ctx, t)
		}
		way.Servers = append(way.Servers, s)
		if last = s.Probe.Failure; last == nil || last.Cause == probe.Handshake && t.Level == "may" {
			if last != nil {
				way.Notes = append(way.Notes, "Postfix tries again without TLS: "+last.Text)
			}
			return
		}
	}
	way.Problem, way.Advice = last.Text, adviseDirect(last.Cause, r)
}

// addresses are those of a mail server, as the client would look them up; none where the hosts file counts as well.
func (h *host) addresses(ctx context.Context, servers []string, t probe.Target) (all []string, err error) {
	if _, err := netip.ParseAddr(t.Host); err == nil || strings.Contains(h.effective["smtp_host_lookup"], "native") {
		return nil, nil
	}
	kinds := map[string][]dns.Kind{"tcp": {dns.AAAA, dns.A}, "tcp4": {dns.A}, "tcp6": {dns.AAAA}}[t.Network]
	for _, kind := range kinds {
		found, askErr := dns.Lookup(ctx, servers, kind, t.Host)
		if askErr != nil && !errors.Is(askErr, dns.ErrNone) {
			err = askErr
		}
		all = append(all, found...)
	}
	if len(all) == 0 && err == nil {
		err = dns.ErrNone
	}
	if len(all) > 0 {
		return slices.Clip(all[:min(len(all), mostServers)]), nil
	}
	return nil, err
}

// adviseDirect says what to look at where no mail server of a domain could be talked to.
func adviseDirect(cause probe.Cause, r relay) string {
	switch cause {
	case probe.NoName:
		return "is the domain right? " + paths.ResolvConf + ": do the name servers answer?"
	case probe.NoAnswer:
		return fmt.Sprintf("does this host's provider block port %d? \"postfix-maint doctor --online\" tries others; a smarthost goes around that", r.port)
	case probe.NoGreeting:
		return "the other side does not talk to this host: has its address a name (PTR), is it on a blocklist? \"postfix-maint doctor --online\""
	case probe.NoStartTLS, probe.Handshake, probe.NotTLS:
		return "smtp_tls_security_level, smtp_tls_policy_maps: TLS is demanded of a host that has none, or none in common; nothing was sent"
	case probe.Untrusted:
		return "smtp_tls_CAfile: the CA that issued the certificate is not in it; or nobody checks certificates between mail servers (level may, or dane)"
	case probe.Expired:
		return "the other side has to renew its certificate; is this host's clock right? nothing was sent"
	case probe.OtherName:
		return "smtp_tls_policy_maps: the certificate is for another name than is demanded; nothing was sent"
	}
	return ""
}

// hints are pieces of what Postfix and mail servers say of a message, and what they point to.
var hints = []struct{ text, advice string }{
	{"unknown user", "is the name right? /etc/aliases (then newaliases) leads it to somebody"},
	{"loops back to myself", "mydestination, relay_domains: the DNS names this host as the domain's mail server, and it does not take its mail"},
	{"greylist", "the other side takes unknown senders at a later attempt; Postfix makes that by itself. The test message is out of the queue again"},
	{"reylisted", "the other side takes unknown senders at a later attempt; Postfix makes that by itself. The test message is out of the queue again"},
	{"ertificate not", "smtp_tls_CAfile, smtp_tls_policy_maps: the certificate is not one that is asked for; nothing was sent"},
	{"Name service error", "is the domain right? the name servers of Postfix's chroot may be others: restart Postfix, or \"postfix-maint chroot sync\""},
	{"mail transport unavailable", "master.cf: the service does not start; the mail log says why"},
	{"Permission denied", "may Postfix write there? see the mode and the owner of the mailbox, and the sandbox (\"postfix-maint sandbox status\")"},
	{"timed out", "does a firewall stand in between? \"postfix-maint doctor --online\""},
	{"Connection refused", "the other side takes no connections; Postfix tries again by itself"},
}

// adviseReply says what to look at for what Postfix or another side said to the message itself.
func (w *finder) adviseReply(reply string) string {
	for _, way := range w.res.Routes {
		if way.Relay != nil {
			probed := *way.Relay
			probed.Fate = w.res.Fate
			return w.h.adviseReply(&probed)
		}
	}
	for _, hint := range hints {
		if strings.Contains(reply, hint.text) {
			return hint.advice
		}
	}
	if !strings.Contains(reply, "in reply to") {
		return ""
	}
	if strings.Contains(reply, " said: 4") {
		return "the other side does not take it now: it may take it at a later attempt, as Postfix makes by itself. The test message is out of the queue again"
	}
	if strings.Contains(reply, "RCPT TO command") {
		return "the other side does not take mail for this recipient, or not from this host: its words say which"
	}
	return "the other side refuses the message: its words say why; has this host's address a name (PTR), does SPF allow it? \"postfix-maint doctor --online\""
}
