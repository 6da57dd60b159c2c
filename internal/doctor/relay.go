package doctor

import (
	"net/netip"
	"slices"
	"strings"

	"postfix-maint/internal/maincf"
)

// The restrictions that smtpd(8) knows (smtpd_check.c and mail_params.h of Postfix 3.7 to 3.11; the names of its first releases, too). Those
// in argued have an argument behind them; lists of accesses may be written without their check_*_access.
var (
	argued = strings.Fields(`check_ccert_access check_client_a_access check_client_access check_client_mx_access check_client_ns_access
		check_etrn_access check_helo_a_access check_helo_access check_helo_mx_access check_helo_ns_access check_policy_service
		check_recipient_a_access check_recipient_access check_recipient_mx_access check_recipient_ns_access
		check_reverse_client_hostname_a_access check_reverse_client_hostname_access check_reverse_client_hostname_mx_access
		check_reverse_client_hostname_ns_access check_sasl_access check_sender_a_access check_sender_access check_sender_mx_access
		check_sender_ns_access permit_dnswl_client permit_rhswl_client reject_rbl_client reject_rhsbl_client reject_rhsbl_helo
		reject_rhsbl_recipient reject_rhsbl_reverse_client reject_rhsbl_sender reject_rbl sleep`)
	plainRestrictions = strings.Fields(`check_relay_domains check_recipient_maps defer defer_if_permit defer_if_reject defer_unauth_destination
		permit permit_auth_destination permit_inet_interfaces permit_mx_backup permit_mynetworks permit_naked_ip_address
		permit_sasl_authenticated permit_tls_all_clientcerts permit_tls_clientcerts reject reject_authenticated_sender_login_mismatch
		reject_invalid_helo_hostname reject_invalid_hostname reject_known_sender_login_mismatch reject_maps_rbl
		reject_multi_recipient_bounce reject_non_fqdn_helo_hostname reject_non_fqdn_hostname reject_non_fqdn_recipient
		reject_non_fqdn_sender reject_plaintext_session reject_sender_login_mismatch reject_unauth_destination reject_unauth_pipelining
		reject_unauthenticated_sender_login_mismatch reject_unknown_address reject_unknown_client reject_unknown_client_hostname
		reject_unknown_helo_hostname reject_unknown_hostname reject_unknown_recipient_domain reject_unknown_reverse_client_hostname
		reject_unknown_sender_domain reject_unlisted_recipient reject_unlisted_sender reject_unverified_recipient
		reject_unverified_sender warn_if_reject`)
	// protecting are those of which the lists about recipients need one (smtpd_check_init).
	protecting = strings.Fields("check_relay_domains reject_unauth_destination defer_unauth_destination reject defer defer_if_permit")
)

// restrictionLists are the parameters with restrictions, and Postfix's defaults.
var restrictionLists = []struct{ name, unset string }{
	{"smtpd_client_restrictions", ""},
	{"smtpd_helo_restrictions", ""},
	{"smtpd_sender_restrictions", ""},
	{relayList, "permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination"},
	{recipientList, ""},
	{"smtpd_data_restrictions", ""},
	{"smtpd_end_of_data_restrictions", ""},
	{"smtpd_etrn_restrictions", ""},
}

const (
	relayList     = "smtpd_relay_restrictions"
	recipientList = "smtpd_recipient_restrictions"
)

// step is a restriction with its argument.
type step struct{ name, argument string }

// steps cuts a list into restrictions; classes are followed as deep as Postfix's own users would.
func (s server) steps(list string, depth int) (all []step) {
	classes := maincf.SplitList(s.get("smtpd_restriction_classes", "").value)
	words := maincf.SplitList(list)
	for n := 0; n < len(words); n++ {
		one := step{name: words[n]}
		switch lower := strings.ToLower(words[n]); {
		case slices.Contains(classes, words[n]):
			if depth > 0 {
				all = append(all, s.steps(s.get(words[n], "").value, depth-1)...)
			}
			continue
		case slices.Contains(argued, lower):
			if n++; n < len(words) {
				one.argument = words[n]
			}
			one.name = lower
		case slices.Contains(plainRestrictions, lower):
			one.name = lower
		}
		all = append(all, one)
	}
	return all
}

// strange are the words of a list that smtpd(8) does not know.
func strange(all []step) (words []string) {
	for _, one := range all {
		if !slices.Contains(argued, one.name) && !slices.Contains(plainRestrictions, one.name) && !strings.ContainsAny(one.name, ":{") {
			words = append(words, one.name)
		}
	}
	return words
}

// verdict is what a list says of mail from a stranger for a stranger.
type verdict int

const (
	passes verdict = iota
	refuses
	open  // because the stranger counts as one of ours
	maybe // what is asked may refuse
)

// judge goes through a list for a client that nothing is known of but its address, for a recipient elsewhere. Blocking lists and tables
// with keys are taken to be silent about it; what may refuse everything is not.
func judge(all []step, everybody bool) verdict {
	result := passes
	for n := 0; n < len(all); n++ {
		switch name := all[n].name; {
		case name == "warn_if_reject":
			n++
		case name == "permit":
			return result
		case name == "permit_mynetworks" && everybody:
			return max(result, open)
		case slices.Contains(protecting, name):
			return refuses
		case name == "check_policy_service", strings.HasPrefix(name, "reject_unknown_recipient"), strings.HasPrefix(name, "check_") && !keyed(all[n].argument),
			strings.ContainsAny(name, ":{") && !keyed(name):
			result = maybe
		}
	}
	return result
}

// keyed tells of a table that it is looked into by keys, so that it cannot speak of everybody.
func keyed(table string) bool {
	typ, _, _ := strings.Cut(strings.TrimPrefix(table, "proxy:"), ":")
	_, indexed := indexes[typ]
	return indexed || typ == "texthash"
}

// everybody finds the element of a list of networks that lets in more than a sixteenth of all addresses.
func everybody(networks string) string {
	for _, n := range maincf.SplitList(networks) {
		address, bits, _ := strings.Cut(n, "/")
		p, err := netip.ParsePrefix(strings.Trim(address, "[]") + "/" + strings.TrimSuffix(bits, "]"))
		if err == nil && p.Bits() <= 4 {
			return n
		}
	}
	return ""
}

// openRelay tells what makes a server relay for everybody.
func (s server) openRelay() (Seen, bool) {
	networks := s.get("mynetworks", "")
	wide := everybody(networks.value)
	if wide == "" || s.private() || !networks.known {
		return Seen{}, false
	}
	if to, _ := s.i.param("default_transport"); strings.HasPrefix(to, "error") {
		return Seen{}, false
	}
	opens := false
	for _, l := range restrictionLists[:5] {
		list := s.get(l.name, l.unset)
		v := judge(s.steps(list.value, 5), true)
		if !list.known || v == refuses || v == maybe {
			return Seen{}, false
		}
		opens = opens || v == open && (l.name == relayList || l.name == recipientList)
	}
	return Seen{File: networks.file, Line: networks.line, What: "mynetworks has " + wide + ", and permit_mynetworks lets it relay"}, opens
}

// unprotected tells that a server ends, because neither list about recipients can refuse.
func (s server) unprotected() (Seen, bool) {
	relay, recipient := s.get(relayList, restrictionLists[3].unset), s.get(recipientList, "")
	if relay.line == 0 || !relay.known || !recipient.known { // unset it is safe, or below level 1 left alone (compatibility_level)
		return Seen{}, false
	}
	for _, list := range []setting{relay, recipient} {
		all := s.steps(list.value, 5)
		if end := slices.IndexFunc(all, func(one step) bool { return one.name == "permit" }); end >= 0 {
			all = all[:end]
		}
		for n, one := range all {
			if slices.Contains(protecting, one.name) && (n == 0 || all[n-1].name != "warn_if_reject") {
				return Seen{}, false
			}
		}
	}
	return Seen{File: relay.file, Line: relay.line, What: relayList + " = " + relay.value + ", and " + recipientList + " refuses nothing either"}, true
}

// eachServer is a check of every smtpd(8) of an instance.
func eachServer(look func(f *Facts, s server, found func(Seen))) func(*Facts, *Instance, func(Seen)) {
	return func(f *Facts, i *Instance, found func(Seen)) {
		for _, s := range i.smtpServers() {
			look(f, s, found)
		}
	}
}

// What is found here only an administrator can decide: none of it has a repair.
var relayChecks = []Check{
	{
		ID: "open-relay", Area: "trust", Bad: Broken, Title: "everybody may send mail through this host",
		Why: "it will send other people's unwanted mail, and be refused everywhere (SMTPD_ACCESS_README; worked out from the settings, without a try)",
		Do:  "name your own networks alone in mynetworks",
		Look: eachServer(func(_ *Facts, s server, found func(Seen)) {
			if seen, is := s.openRelay(); is {
				found(seen)
			}
		}),
	},
	{
		ID: "relay-unprotected", Area: "trust", Bad: Broken, Gate: true, Title: "nothing keeps others from relaying, so smtpd(8) ends",
		Why: "it wants one of reject_unauth_destination, defer_unauth_destination, reject, defer or defer_if_permit (postconf(5), smtpd_relay_restrictions)",
		Do:  "end the list with defer_unauth_destination",
		Look: eachServer(func(_ *Facts, s server, found func(Seen)) {
			if seen, is := s.unprotected(); is {
				found(seen)
			}
		}),
	},
	{
		ID: "restriction-unknown", Area: "configuration", Bad: Broken, Gate: true, Title: "a restriction that smtpd(8) does not know",
		Why: "it answers all mail with 451, server configuration error (postconf(5), smtpd_recipient_restrictions)",
		Do:  "correct the name",
		Look: eachServer(func(_ *Facts, s server, found func(Seen)) {
			for _, l := range restrictionLists {
				list := s.get(l.name, l.unset)
				if !list.known {
					continue
				}
				for _, word := range strange(s.steps(list.value, 5)) {
					found(Seen{File: list.file, Line: list.line, What: l.name + ": " + word})
				}
			}
		}),
	},
	{
		ID: "networks-malformed", Area: "configuration", Bad: Broken, Gate: true, Title: "mynetworks has what is no network",
		Why: "smtpd(8) answers mail with a temporary error when it gets there (postconf(5), mynetworks)",
		Do:  "%s",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			if i.Main == nil {
				return
			}
			networks := i.get("mynetworks", "")
			for _, n := range maincf.SplitList(networks.value) {
				if do := malformed(n); do != "" && networks.known {
					found(Seen{File: networks.file, Line: networks.line, What: "mynetworks: " + n, Do: do})
				}
			}
		},
	},
}

// malformed tells what to do about an element of mynetworks, "" if it is a network, a file or a table.
func malformed(n string) string {
	n = strings.TrimPrefix(n, "!")
	address, bits, masked := strings.Cut(n, "/")
	if !masked || address == "" || strings.ContainsAny(address, "abcdefghijklmnopqrstuvwxyz") && !strings.HasPrefix(address, "[") {
		return ""
	}
	closed := !strings.HasPrefix(address, "[") || strings.HasSuffix(address, "]")
	p, err := netip.ParsePrefix(strings.Trim(address, "[]") + "/" + bits)
	switch {
	case err != nil || !closed:
		return "write ADDRESS/BITS, with an IPv6 address in brackets"
	case p.Masked() != p:
		return "write " + strings.Replace(n, strings.Trim(address, "[]"), p.Masked().Addr().String(), 1)
	}
	return ""
}
