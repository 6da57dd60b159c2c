package notes

import (
	"slices"
	"strconv"
	"strings"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/paths"
)

// rule is one line of the table.
type rule struct {
	name   string
	reason string
	find   func(c *Config) []Note
}

// rules is the table. Sources: RELEASE_NOTES and DEPRECATION_README of Postfix 3.10, postconf(5), Debian's NEWS, and the
// numbers of the project's list of failures.
var rules = []rule{
	{
		"milter-protocol", "mail filters of today speak version 6 of the protocol; with a lower one they lose abilities or refuse to work",
		when("milter_protocol", olderMilter, func(string) []edit { return []edit{unset("milter_protocol")} }),
	},
	{
		"smtp-ca-path", "the directory is read after chroot(2), so all of it is copied into the chroot; a file is read before (Debian bug #991609)",
		when("smtp_tls_CApath", func(v string) bool { return strings.TrimRight(v, "/") == paths.CertDir }, func(string) []edit {
			return []edit{set("smtp_tls_CAfile", paths.CABundle), unset("smtp_tls_CApath")}
		}),
	},
	{"server-tls", "ssl-cert's key and certificate are there, and other hosts' mail still comes in clear; smtpd_tls_security_level = none says that it shall",
		serverTLS},
	{"smtpd-tls-level", tlsReason, func(c *Config) []Note { return tlsLevel(c, "smtpd", "encrypt") }},
	{"smtp-tls-level", tlsReason, func(c *Config) []Note { return tlsLevel(c, "smtp", "verify") }},
	{"lmtp-tls-level", tlsReason, func(c *Config) []Note { return tlsLevel(c, "lmtp", "verify") }},
	{"tls-per-site", "Postfix will drop it; smtp_tls_policy_maps replaces it, with another format of the table: TLS_README",
		anyOf("smtp_tls_per_site", "lmtp_tls_per_site")},
	{"dns-lookups", "Postfix will drop it; smtp_dns_support_level replaces it", when("disable_dns_lookups", nil, func(v string) []edit {
		if v == "yes" {
			return []edit{set("smtp_dns_support_level", "disabled"), unset("disable_dns_lookups")}
		}
		return []edit{unset("disable_dns_lookups")}
	})},
	{"tls-key-exchange", "Postfix will drop it: today's default is the safe one",
		anyUnset("smtpd_tls_dh1024_param_file", "smtpd_tls_dh512_param_file", "smtpd_tls_eecdh_grade")},
	{"restrictions", "Postfix 3.9 has removed or will remove this restriction; reject_unauth_destination, reject_rbl_client, " +
		"permit_mynetworks or relay_domains take its place: DEPRECATION_README", restrictions},
	{"nis-aliases", "NIS is not set up on this host: each local delivery asks it for nothing and logs a warning", nisAliases},
	{"local-only-left-over", "the transport refuses all mail to other hosts, as \"Local only\" wrote it, while a relay host is set", leftOver},
	{"compatibility-level", "without it Postfix runs with old defaults for ever; the edit writes those down that are in use here, " +
		"so that nothing changes: COMPATIBILITY_README", compatibility},
	{"host-renamed", "the host has another name by now; other mail systems may know it by the old one, so a person decides", renamed},
	{"missing-services", "a service of today's Postfix is missing from master.cf, so features that need it can't be used", missingServices},
}

const tlsReason = "Postfix will drop it; a security level replaces it"

// when is a rule about one parameter that is set to certain values; it is looked for in master.cf as well.
func when(param string, outdated func(value string) bool, edits func(value string) []edit) func(*Config) []Note {
	return func(c *Config) (notes []Note) {
		v, ok := c.Main.Get(param)
		if ok && (outdated == nil || outdated(v)) {
			notes = append(notes, setting(c, param, edits(v)...))
		}
		for _, n := range overrides(c, param) {
			if _, v, _ := strings.Cut(n.Setting, "="); outdated == nil || outdated(v) {
				notes = append(notes, n)
			}
		}
		return notes
	}
}

func anyOf(params ...string) func(*Config) []Note {
	return func(c *Config) (notes []Note) {
		for _, p := range params {
			notes = append(notes, when(p, nil, func(string) []edit { return nil })(c)...)
		}
		return notes
	}
}

func anyUnset(params ...string) func(*Config) []Note {
	return func(c *Config) (notes []Note) {
		for _, p := range params {
			notes = append(notes, when(p, nil, func(string) []edit { return []edit{unset(p)} })(c)...)
		}
		return notes
	}
}

func olderMilter(v string) bool {
	n, err := strconv.Atoi(strings.TrimSpace(v))
	return err == nil && n < 6
}

// tlsLevel is about PROGRAM_use_tls and PROGRAM_enforce_tls. enforced is the level that the latter stands for: postconf(5),
// smtp_enforce_tls, checks the server's name as well unless PROGRAM_tls_enforce_peername is off.
func tlsLevel(c *Config, program, enforced string) (notes []Note) {
	use, enforce, level := program+"_use_tls", program+"_enforce_tls", program+"_tls_security_level"
	if peer, _ := c.Main.Get(program + "_tls_enforce_peername"); peer == "no" {
		enforced = "encrypt"
	}
	to := "none"
	if v, _ := c.Main.Get(use); v == "yes" {
		to = "may"
	}
	if v, _ := c.Main.Get(enforce); v == "yes" {
		to = enforced
	}
	edits := []edit{set(level, to)}
	if v, ok := c.Main.Get(level); ok && v != "" { // it has the last word already
		edits = nil
	}
	first := ""
	for _, p := range []string{use, enforce} {
		if _, ok := c.Main.Get(p); ok {
			edits = append(edits, unset(p))
			if first == "" {
				first = p
			}
		}
	}
	if first != "" {
		notes = append(notes, setting(c, first, edits...))
	}
	return append(notes, append(overrides(c, use), overrides(c, enforce)...)...)
}

// restrictions looks for outdated words in all lists of restrictions.
func restrictions(c *Config) (notes []Note) {
	for _, param := range c.Main.Names() {
		v, _ := c.Main.Get(param)
		for _, word := range maincf.SplitList(v) {
			if strings.HasSuffix(param, "_restrictions") && slices.Contains([]string{
				"check_relay_domains", "reject_maps_rbl", "permit_naked_ip_address", "permit_mx_backup",
			}, word) {
				notes = append(notes, Note{Line: c.Main.Line(param), Setting: param + " has " + word})
			}
		}
	}
	return notes
}

// aliasType is the map type in the compiled default of alias_maps: up to Debian 13 "hash:/etc/aliases", whatever default_database_type
// says; from Postfix 3.11 on "$default_database_type:/etc/aliases".
func (c *Config) aliasType() string {
	if c.TableType == "" {
		return "hash"
	}
	if v, ok := c.Main.Get("default_database_type"); ok {
		return v
	}
	return c.TableType
}

// nisAliases: the compiled default of alias_maps names NIS, too (M12).
func nisAliases(c *Config) []Note {
	v, ok := c.Main.Get("alias_maps")
	var rest []string
	for _, m := range maincf.SplitList(v) {
		if !strings.HasPrefix(m, "nis:") {
			rest = append(rest, m)
		}
	}
	switch {
	case c.NIS, ok && len(rest) == len(maincf.SplitList(v)):
		return nil
	case !ok:
		rest = []string{c.aliasType() + ":" + paths.Aliases}
	}
	n := setting(c, "alias_maps", set("alias_maps", strings.Join(rest, ", ")))
	if !ok {
		n.Setting = "alias_maps is not set, its default has nis:mail.aliases"
	}
	return []Note{n}
}

// serverTLS: Debian's main.cf offers TLS where ssl-cert was there before it.
func serverTLS(c *Config) []Note {
	for _, param := range []string{"smtpd_tls_security_level", "smtpd_use_tls", "smtpd_enforce_tls", "smtpd_tls_cert_file", "smtpd_tls_key_file",
		"smtpd_tls_chain_files", "smtpd_tls_eccert_file", "smtpd_tls_dcert_file"} {
		if _, set := c.Main.Get(param); set {
			return nil
		}
	}
	if listen, _ := c.Main.Get("inet_interfaces"); !c.KeyPair || listen == "loopback-only" {
		return nil
	}
	n := Note{Setting: "smtpd_tls_cert_file and smtpd_tls_key_file are not set"}
	n.offer(set("smtpd_tls_cert_file", paths.SnakeoilCert), set("smtpd_tls_key_file", paths.SnakeoilKey), set("smtpd_tls_security_level", "may"))
	return []Note{n}
}

// leftOver: "Local only" once, edited by hand later (M07).
func leftOver(c *Config) []Note {
	relay, _ := c.Main.Get("relayhost")
	transport, _ := c.Main.Get("default_transport")
	if relay == "" || transport != "error" {
		return nil
	}
	return []Note{setting(c, "default_transport", unset("default_transport"), unset("relay_transport"))}
}

// oldDefaults are the defaults below level 3.6 that differ from today's: postconf(5), compatibility_level.
var oldDefaults = [][2]string{
	{"smtpd_relay_restrictions", ""}, {"append_dot_mydomain", "yes"}, {"smtputf8_enable", "no"}, {"mynetworks_style", "subnet"}, {"relay_domains", "$mydestination"},
	{"smtpd_relay_before_recipient_restrictions", "no"}, {"respectful_logging", "no"}, {"smtpd_tls_fingerprint_digest", "md5"},
	{"smtp_tls_fingerprint_digest", "md5"}, {"lmtp_tls_fingerprint_digest", "md5"},
}

func compatibility(c *Config) []Note {
	if _, ok := c.Main.Get("compatibility_level"); ok {
		return nil
	}
	n := Note{Setting: "compatibility_level is not set"}
	edits := []edit{set("compatibility_level", "3.6")}
	for _, d := range oldDefaults {
		_, own := c.Main.Get("mynetworks")
		if _, ok := c.Main.Get(d[0]); !ok && !(own && d[0] == "mynetworks_style") {
			edits = append(edits, set(d[0], d[1]))
		}
	}
	n.offer(edits...)
	if c.Master == nil {
		return []Note{n}
	}
	for _, s := range c.Master.Services() {
		if s.Chroot == "-" {
			n.chroot = append(n.chroot, [2]string{s.Name, s.Type})
		}
	}
	if len(n.chroot) > 0 {
		n.Offer += "; master.cf: chroot = y for " + strconv.Itoa(len(n.chroot)) + " services that say \"-\""
	}
	return []Note{n}
}

func renamed(c *Config) (notes []Note) {
	mailname, params := c.Host.Places(c.Main)
	if mailname {
		notes = append(notes, Note{File: paths.Mailname, Line: 1, Setting: c.Host.Mailname})
	}
	for _, p := range params {
		notes = append(notes, setting(c, p))
	}
	return notes
}

// wanted are the services that came after Postfix 2.8 and that features of others depend on (M11).
var wanted = []string{"postlog", "dnsblog", "tlsproxy", "proxywrite"}

func missingServices(c *Config) (notes []Note) {
	if c.Master == nil || c.Dist == nil {
		return nil
	}
	have := func(f *mastercf.File, name string) (mastercf.Service, bool) {
		i := slices.IndexFunc(f.Services(), func(s mastercf.Service) bool { return s.Name == name })
		if i < 0 {
			return mastercf.Service{}, false
		}
		return f.Services()[i], true
	}
	for _, name := range wanted {
		if _, ok := have(c.Master, name); ok {
			continue
		}
		s, ok := have(c.Dist, name)
		if !ok {
			continue
		}
		line := strings.Join([]string{s.Name, s.Type, s.Private, s.Unpriv, s.Chroot, s.Wakeup, s.MaxProc, s.Command}, " ")
		line = strings.TrimSpace(line + " " + strings.Join(s.Args, " "))
		notes = append(notes, Note{File: "master.cf", Setting: "no service " + name, Offer: line, services: []string{line}})
	}
	return notes
}
