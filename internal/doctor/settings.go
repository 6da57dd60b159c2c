package doctor

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"postfix-maint/internal/maincf"
)

// Settings that no program of Postfix's refuses when it starts, and that keep mail from going its way. What to write in their place is for
// an administrator to say: none of them has a repair.
var settingChecks = []Check{
	{
		ID: "relayhost-malformed", Area: "configuration", Bad: Broken, Gate: true, Title: "relayhost is no host",
		Why: "smtp(8) finds no way to it, and defers all mail for elsewhere (postconf(5), relayhost)",
		Do:  `write "[HOST]", "[HOST]:PORT" or a domain`,
		Look: withMain(func(_ *Facts, i *Instance, found func(Seen)) {
			relay := i.get("relayhost", "")
			for _, hop := range maincf.SplitList(relay.value) {
				if what := wrongHop(hop); what != "" && relay.known {
					found(Seen{File: relay.file, Line: relay.line, What: "relayhost = " + hop + ": " + what})
				}
			}
		}),
	},
	{
		ID: "relay-is-self", Area: "configuration", Bad: Broken, Title: "relayhost is this host",
		Why: `mail comes back to where it was sent from: "mail for HOST loops back to myself" (smtp(8))`,
		Do:  "name the host that is to take the mail, or nothing",
		Look: withMain(func(f *Facts, i *Instance, found func(Seen)) {
			relay, name := i.get("relayhost", ""), i.get("myhostname", "")
			host, port, at25 := strings.Cut(strings.TrimPrefix(relay.value, "["), "]")
			own := slices.Contains(loopback, strings.ToLower(host)) && slices.ContainsFunc(maincf.SplitList(i.get("inet_interfaces", "all").value),
				func(at string) bool {
					return at == "all" || at == "loopback-only" || slices.Contains(loopback, strings.Trim(at, "[]"))
				})
			own = own || name.known && name.value != "" && strings.EqualFold(host, name.value)
			if at25 && (port == "" || port == ":25" || port == ":smtp") && own && len(f.Instances) == 1 && i.listensAt25() {
				found(Seen{File: relay.file, Line: relay.line, What: "relayhost = " + relay.value})
			}
		}),
	},
	{
		ID: "relay-unused", Area: "configuration", Bad: Broken, Title: "mail for elsewhere is returned, though there is a relay host",
		Why: "default_transport = error stands for it (postconf(5), default_transport); it may be left over from \"Local only\"",
		Do:  "take default_transport, and relay_transport, out of main.cf, or relayhost",
		Look: withMain(func(_ *Facts, i *Instance, found func(Seen)) {
			to := i.get("default_transport", "smtp")
			if relay := i.get("relayhost", ""); relay.known && relay.value != "" && strings.HasPrefix(to.value, "error") {
				found(Seen{File: to.file, Line: to.line, What: "default_transport = " + to.value + ", and relayhost = " + relay.value})
			}
		}),
	},
	{
		ID: "protocols-empty", Area: "configuration", Bad: Broken, Gate: true, Title: "Postfix uses no network at all",
		Why: "an empty inet_protocols switches off IPv4 and IPv6: it neither listens nor sends (postconf(5), inet_protocols)",
		Do:  "write inet_protocols = all, or take the line out",
		Look: withMain(func(_ *Facts, i *Instance, found func(Seen)) {
			if p := i.get("inet_protocols", "all"); p.known && p.value == "" {
				found(Seen{File: p.file, Line: p.line, What: "inet_protocols is empty"})
			}
		}),
	},
	{
		ID: "limits-contradict", Area: "configuration", Bad: Broken, Gate: true, Title: "a mailbox may be no larger than a message",
		Why: "local(8) and virtual(8) end when their limit is below message_size_limit, so no mail is delivered (postconf(5), mailbox_size_limit)",
		Do:  "raise that limit, or make it 0, or lower message_size_limit",
		Look: withMain(func(_ *Facts, i *Instance, found func(Seen)) {
			message := i.get("message_size_limit", "10240000")
			for _, name := range []string{"mailbox_size_limit", "virtual_mailbox_limit"} {
				box := i.get(name, "51200000")
				if name == "virtual_mailbox_limit" && i.get("virtual_mailbox_domains", "").value == "" {
					continue
				}
				most, err := strconv.ParseUint(box.value, 10, 63)
				size, wrong := strconv.ParseUint(message.value, 10, 63)
				if err != nil || wrong != nil || most == 0 || size > 0 && most >= size {
					continue
				}
				s := Seen{File: box.file, Line: box.line, What: name + " = " + box.value + " with message_size_limit = " + message.value}
				if box.line == 0 {
					s.Line = message.line
				}
				found(s)
			}
		}),
	},
	{
		ID: "domain-twice", Area: "configuration", Bad: Risk, Title: "a domain is of two kinds",
		Why: "its mail is delivered by one of them, and addresses of the other kind are refused (ADDRESS_CLASS_README: never list a domain in two)",
		Do:  "take it out of one of the two",
		Look: withMain(func(_ *Facts, i *Instance, found func(Seen)) {
			var seen [3]setting
			for n, name := range domainClasses {
				seen[n] = i.get(name, "")
			}
			for n := 1; n < len(seen); n++ {
				for m := range n {
					for _, d := range maincf.SplitList(seen[n].value) {
						if seen[n].known && seen[m].known && !strings.ContainsAny(d, ":/") && slices.Contains(maincf.SplitList(seen[m].value), d) {
							found(Seen{File: seen[n].file, Line: seen[n].line, What: d + " is in " + domainClasses[m] + " and in " + domainClasses[n]})
						}
					}
				}
			}
		}),
	},
	{
		ID: "bounces-kept", Area: "configuration", Bad: Advice, Title: "mail that cannot be delivered is kept and tried again",
		Why: "soft_bounce is for trying something out: senders hear of their mistakes after days (postconf(5), soft_bounce)",
		Do:  "take the line out when the trial is over",
		Look: withMain(func(_ *Facts, i *Instance, found func(Seen)) {
			if soft := i.get("soft_bounce", "no"); soft.yes() {
				found(Seen{File: soft.file, Line: soft.line, What: "soft_bounce = " + soft.value})
			}
		}),
	},
	{
		ID: "origin-missing", Area: "configuration", Bad: Broken, Gate: true, Title: "the file with the mail name is missing or empty",
		Why: "Postfix does not start: Debian's patch reads the domain of local senders from it (postconf(5), myorigin; #322602)",
		Do:  "write the mail name there, or set myorigin = $myhostname",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			if i.NoOrigin != "" {
				found(Seen{File: i.mainCF(), Line: i.lineOf("myorigin"), What: "myorigin = " + i.NoOrigin})
			}
		},
	},
	{
		ID: "program-missing", Area: "configuration", Bad: Broken, Gate: true, Title: "the program that delivers into mailboxes is missing",
		Why: "local(8) returns or defers all local mail (postconf(5), mailbox_command)",
		Do:  "install it, or take the setting out",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			if i.NoProgram != "" {
				found(Seen{File: i.mainCF(), Line: i.lineOf("mailbox_command"), What: "mailbox_command: there is no " + i.NoProgram})
			}
		},
	},
	{
		ID: "spool-missing", Area: "configuration", Bad: Broken, Gate: true, Title: "the directory of the mailboxes is missing",
		Why: "local(8) defers all mail for accounts (postconf(5), mail_spool_directory)",
		Do:  "make it, as the package base-files does: root, group mail, mode 2775",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			if i.NoSpool != "" {
				found(Seen{File: i.NoSpool, What: "there is no such directory"})
			}
		},
	},
}

// loopback is this host by names that every host has for itself.
var loopback = []string{"localhost", "127.0.0.1", "::1"}

// domainClasses are the parameters that list domains of one class each. relay_domains often repeats mydestination, which does no harm.
var domainClasses = [3]string{"mydestination", "virtual_alias_domains", "virtual_mailbox_domains"}

// withMain is a check of an instance whose main.cf can be read.
func withMain(look func(f *Facts, i *Instance, found func(Seen))) func(*Facts, *Instance, func(Seen)) {
	return func(f *Facts, i *Instance, found func(Seen)) {
		if i.Main != nil {
			look(f, i, found)
		}
	}
}

// listensAt25 tells whether the instance takes mail at the usual port of this host.
func (i *Instance) listensAt25() bool {
	return slices.ContainsFunc(i.smtpServers(), func(s server) bool { return s.Type == "inet" && s.port() == "25" })
}

// wrongHop tells what is wrong with a next hop of smtp(8), "" for nothing.
func wrongHop(hop string) string {
	host, port := hop, ""
	if rest, bracket := strings.CutPrefix(hop, "["); bracket {
		var closed bool
		if host, port, closed = strings.Cut(rest, "]"); !closed {
			return "the bracket is not closed"
		}
		if port != "" && port[0] != ':' {
			return "text behind the bracket"
		}
		port = strings.TrimPrefix(port, ":")
		if strings.HasSuffix(rest, "]:") {
			return "no port behind the colon"
		}
	} else if _, err := netip.ParseAddr(hop); err != nil {
		host, port, _ = strings.Cut(hop, ":")
	}
	switch {
	case host == "":
		return "no host"
	case strings.ContainsAny(host, "[]()@/"):
		return "no name of a host"
	case port == "":
		return ""
	}
	if n, err := strconv.Atoi(port); err == nil {
		if n < 1 || n > 65535 {
			return "no port has this number"
		}
		return ""
	}
	if _, err := net.LookupPort("tcp", port); err != nil && !slices.Contains([]string{"submissions", "smtps"}, port) {
		return "no service has the name " + port
	}
	return ""
}
