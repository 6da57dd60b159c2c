package inventory

import (
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
)

// transports are the parameters that hold "transport:nexthop" or a transport alone.
var transports = []string{
	"content_filter", "default_transport", "fallback_transport", "local_transport", "mailbox_transport", "relay_transport", "virtual_transport",
}

// transportMaps are the parameters whose tables give such values.
var transportMaps = []string{
	"fallback_transport_maps", "mailbox_transport_maps", "sender_dependent_default_transport_maps", "transport_maps",
}

// deliveries takes the sockets that this client of SMTP or LMTP delivers to: the next hops that parameters, options of any service and
// tables give with its name.
func (l *lister) deliveries() {
	for _, name := range transports {
		l.nextHop(l.origin(name), l.value(l.service, name))
		for _, s := range l.Master.Services() { // smtpd has -o content_filter, and smtp delivers to it
			if _, ok := s.Option(name); ok && s.Line != l.service.Line {
				l.nextHop(l.originOf(s, name), l.value(s, name))
			}
		}
	}
	for _, name := range transportMaps {
		l.eachResult(name, l.nextHop)
	}
	for _, name := range filterMaps {
		l.eachResult(name, l.filter)
	}
}

// nextHop takes the value if it names this service and, as its next hop, a socket: lmtp:unix:/run/dovecot/lmtp.
func (l *lister) nextHop(o origin, value string) {
	transport, hop, ok := strings.Cut(strings.TrimSpace(value), ":")
	if ok && transport == l.service.Name && strings.HasPrefix(hop, "unix:") {
		l.add(o, Delivery, hop)
	}
}

// filter takes "FILTER transport:nexthop", which access(5) and header_checks(5) know.
func (l *lister) filter(o origin, result string) {
	if words := strings.Fields(result); len(words) > 1 && strings.EqualFold(words[0], "FILTER") {
		l.nextHop(o, words[1])
	}
}

// results takes what the results of tables lead to: milters of smtpd_milter_maps, and what access(5) lets a result name.
func (l *lister) results() {
	if l.service.Command != "smtpd" {
		return
	}
	l.eachResult("smtpd_milter_maps", func(o origin, result string) {
		for _, m := range maincf.SplitList(result) {
			if !strings.EqualFold(m, "DISABLE") { // smtpd_milter_maps in postconf(5)
				l.add(o, Milter, firstWord(m))
			}
		}
	})
	for _, name := range accessLists {
		l.eachResult(name, func(_ origin, result string) { l.classesIn(result) })
	}
}

// classesIn takes what the classes of restrictions lead to that access(5) names: Postfix knows policy services only that stand in its parameters
// (smtpd_check_init() in smtpd/smtpd_check.c).
func (l *lister) classesIn(result string) {
	classes := l.classes()
	for _, w := range maincf.SplitList(result) {
		if slices.Contains(classes, w) {
			l.policies(l.origin(w), l.value(l.service, w), map[string]bool{w: true})
		}
	}
}

// trustAnchors takes files of certificates or keys that smtp(8) opens for each session: they must be accessible in the chroot
// (smtp_tls_trust_anchor_file in postconf(5)).
func (l *lister) trustAnchors(o origin, value string) {
	for _, name := range maincf.SplitList(value) {
		l.addFile(o, TrustAnchor, name)
	}
}

// lateFiles takes the trust anchors that a policy names for one destination: tafile=/etc/anchor.pem (smtp_tls_policy_maps in postconf(5)).
func (l *lister) lateFiles() {
	if !client[l.service.Command] {
		return
	}
	for _, name := range []string{"smtp_tls_policy_maps", "lmtp_tls_policy_maps"} {
		if strings.HasPrefix(name, l.service.Command) {
			l.eachResult(name, func(o origin, result string) {
				for _, w := range strings.Fields(result) {
					if file, ok := strings.CutPrefix(w, "tafile="); ok {
						l.addFile(o, TrustAnchor, file)
					}
				}
			})
		}
	}
}

// originOf is origin for another service than the one at hand.
func (l *lister) originOf(s mastercf.Service, name string) origin {
	return origin{name, path.Join(l.Dir, "master.cf"), s.Line}
}
