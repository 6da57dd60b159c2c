package doctor

import "strings"

// onlineChecks need the network. None has a repair: names, zones, routers and relays are not this host's.
var onlineChecks = []Check{
	{
		ID: "greeting-unknown", Area: "identity", Bad: Risk, Online: true, Title: "the name in the greeting has no address",
		Why: "other mail servers refuse such a greeting (RFC 5321, 2.3.5; postconf(5), reject_unknown_helo_hostname)",
		Do:  "give the name an address in the DNS, or correct smtp_helo_name or myhostname",
		Look: online(func(i *Instance, found func(Seen)) {
			if i.Online.Nameless {
				found(Seen{File: i.mainCF(), Line: i.Online.Line, What: i.Online.Greeting + " is not in the DNS"})
			}
		}),
	},
	{
		ID: "reverse-name", Area: "identity", Bad: Risk, Online: true, Title: "this host's address has no name that leads back to it",
		Why: "large mail servers refuse mail from such an address (RFC 1912, 2.1; postconf(5), reject_unknown_client_hostname)",
		Do:  "whoever gave the address, the provider, sets its name (PTR); that name has to have the address",
		Look: online(func(i *Instance, found func(Seen)) {
			for _, n := range i.Online.Nobodys {
				found(Seen{What: n})
			}
		}),
	},
	{
		ID: "greeting-differs", Area: "identity", Bad: Advice, Online: true, Title: "the greeting is not the name of the address",
		Why: "filters count it against the mail (RFC 5321, 4.1.4, lets nobody refuse it for that alone)",
		Do:  "write the name of the address into smtp_helo_name, or have the provider change the name",
		Look: online(func(i *Instance, found func(Seen)) {
			for _, n := range i.Online.Others {
				found(Seen{File: i.mainCF(), Line: i.Online.Line, What: n})
			}
		}),
	},
	{
		ID: "destination-elsewhere", Area: "identity", Bad: Risk, Online: true, Title: "this host keeps mail that belongs elsewhere",
		Why: "mail for a domain of mydestination is delivered here, or bounces; it never gets to the domain's mail server (postconf(5), mydestination)",
		Do:  "take the domain out of mydestination, unless this host is to have its mail",
		Look: online(func(i *Instance, found func(Seen)) {
			for _, d := range i.Online.Elsewhere {
				found(Seen{File: i.mainCF(), Line: i.lineOf("mydestination"), What: d})
			}
		}),
	},
	{
		ID: "port-25-blocked", Area: "reach", Bad: Broken, Online: true, Title: "no mail server of others can be reached",
		Why: "providers close port 25 outwards, and all mail for elsewhere waits and bounces in the end",
		Do:  `have the provider open it, or send through a relay on port 587 ("postfix-maint smarthost set")`,
		Look: online(func(i *Instance, found func(Seen)) {
			if i.Online.Blocked != "" {
				found(Seen{What: i.Online.Blocked})
			}
		}),
	},
	{
		ID: "resolvers-silent", Area: "reach", Bad: Broken, Online: true, Title: "no name server answers",
		Why: "without names no mail is sent, and most is not taken either (resolv.conf(5))",
		Do:  "name a server that answers, or mend the way to it",
		Look: online(func(i *Instance, found func(Seen)) {
			if o := i.Online; len(o.Silent) > 0 && len(o.Silent) == o.Servers {
				found(Seen{File: o.Resolv, What: "silent: " + strings.Join(o.Silent, " ")})
			}
		}),
	},
	{
		ID: "resolver-silent", Area: "reach", Bad: Risk, Online: true, Title: "a name server does not answer",
		Why: "lookups wait for it for seconds before the next one is asked (resolv.conf(5), timeout)",
		Do:  "take it out, or mend the way to it",
		Look: online(func(i *Instance, found func(Seen)) {
			if o := i.Online; len(o.Silent) > 0 && len(o.Silent) < o.Servers {
				found(Seen{File: o.Resolv, What: "silent: " + strings.Join(o.Silent, " ")})
			}
		}),
	},
	{
		ID: "relay-fails", Area: "reach", Bad: Broken, Online: true, Title: "the relay does not work",
		Why: "all mail for elsewhere goes through it, and waits",
		Do:  "%s",
		Look: online(func(i *Instance, found func(Seen)) {
			if i.Online.Relay == "" {
				return
			}
			do := i.Online.Advice
			if do == "" {
				do = `"postfix-maint smarthost test ADDRESS" says more`
			}
			found(Seen{File: i.mainCF(), Line: i.lineOf("relayhost"), What: i.Online.Relay, Do: do})
		}),
	},
}

// online is a check of what the network said.
func online(look func(*Instance, func(Seen))) func(*Facts, *Instance, func(Seen)) {
	return func(_ *Facts, i *Instance, found func(Seen)) {
		if i.Online != nil {
			look(i, found)
		}
	}
}
