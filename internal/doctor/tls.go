package doctor

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
)

// Certificate is what a server shows, where it can be understood.
type Certificate struct {
	Parameter, File string // the setting's place
	Line            int
	Path            string
	Names           []string // the hosts that it is for
	Issued          bool     // by another certificate
	Apart           bool     // the key is another one's
	Unusable        string   // what is wrong with the files, "" for nothing that can be seen
}

// levels are the words of the parameters NAME_tls_security_level.
var levels = map[string][]string{
	"smtpd_tls_security_level": strings.Fields("none may encrypt dane dane-only fingerprint verify secure"), // above encrypt it says so and takes that
	"smtp_tls_security_level":  strings.Fields("none may encrypt dane dane-only half-dane fingerprint verify secure"),
	"lmtp_tls_security_level":  strings.Fields("none may encrypt dane dane-only half-dane fingerprint verify secure"),
}

// What is wrong here needs a certificate, a key or a decision: none of it has a repair.
var tlsChecks = []Check{
	{
		ID: "tls-level-unknown", Area: "trust", Bad: Broken, Gate: true, Title: "a TLS level that Postfix does not know",
		Why: "the daemons end, or do without TLS (postconf(5), smtpd_tls_security_level and smtp_tls_security_level)",
		Do:  "write none, may or encrypt; for the client also dane, dane-only, fingerprint, verify or secure",
		Look: withMain(func(_ *Facts, i *Instance, found func(Seen)) {
			i.settings(func(parameter, value, file string, line int) {
				if known, is := levels[parameter]; is && !slices.Contains(known, strings.ToLower(value)) {
					found(Seen{File: file, Line: line, What: parameter + " = " + value})
				}
			})
		}),
	},
	{
		ID: "key-mismatch", Area: "trust", Bad: Broken, Gate: true, Title: "the key is not that of the certificate",
		Why: "smtpd(8) does without TLS, or refuses mail where it is asked for (TLS_README)",
		Do:  "put the two that belong together there",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			for _, c := range i.Certs {
				if c.Apart {
					found(Seen{File: c.File, Line: c.Line, What: c.Parameter + " = " + c.Path})
				}
			}
		},
	},
	{
		ID: "certificate-unusable", Area: "trust", Bad: Broken, Gate: true, Title: "a certificate or its key cannot be loaded",
		Why: "smtpd(8) does without TLS, or refuses mail where it is asked for (TLS_README)",
		Do:  "put a certificate and its key there, in PEM form",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			for _, c := range i.Certs {
				if c.Unusable != "" {
					found(Seen{File: c.File, Line: c.Line, What: c.Parameter + ": " + c.Unusable})
				}
			}
		},
	},
	{
		ID: "tls-without-certificate", Area: "trust", Bad: Broken, Gate: true, Title: "a server asks for TLS, and has no certificate",
		Why: "clients are told that TLS is not available, and their mail is refused (TLS_README, server-side certificate)",
		Do:  "name a certificate and its key with smtpd_tls_chain_files",
		Look: eachServer(func(_ *Facts, s server, found func(Seen)) {
			level, wrapped := s.get("smtpd_tls_security_level", ""), s.get("smtpd_tls_wrappermode", "no")
			for _, name := range []string{"smtpd_tls_chain_files", "smtpd_tls_cert_file", "smtpd_tls_eccert_file", "smtpd_tls_dcert_file"} {
				if c := s.get(name, ""); c.value != "" || !c.known {
					return
				}
			}
			switch {
			case level.value == "encrypt":
				found(Seen{File: level.file, Line: level.line, What: "smtpd_tls_security_level = encrypt"})
			case wrapped.yes():
				found(Seen{File: wrapped.file, Line: wrapped.line, What: "smtpd_tls_wrappermode = yes"})
			}
		}),
	},
	{
		ID: "tls-at-wrong-port", Area: "trust", Bad: Broken, Title: "TLS begins where clients do not expect it",
		Why: "at 465 it begins at once, at 25 and 587 with STARTTLS; otherwise both sides wait for each other (RFC 8314, 3.3; TLS_README)",
		Do:  "set smtpd_tls_wrappermode=yes for the service at port 465, and for no other",
		Look: eachServer(func(_ *Facts, s server, found func(Seen)) {
			wrapped := s.get("smtpd_tls_wrappermode", "no")
			at465 := s.port() == "465"
			if wrapped.known && s.Type == "inet" && at465 != wrapped.yes() && (at465 || s.port() == "25" || s.port() == "587") {
				found(Seen{File: s.i.masterCF(), Line: s.Line, What: s.Name + " has smtpd_tls_wrappermode = " + wrapped.value})
			}
		}),
	},
	{
		ID: "submission-without-login", Area: "trust", Bad: Advice, Title: "nobody can log in where mail is handed in",
		Why: "the ports 587 and 465 are for people with an account here; without a login only mynetworks may send (RFC 6409, 4.3)",
		Do:  "set smtpd_sasl_auth_enable=yes for the service, or take it out",
		Look: eachServer(func(_ *Facts, s server, found func(Seen)) {
			auth := s.get("smtpd_sasl_auth_enable", "no")
			networks := s.get("mynetworks", "")
			if port := s.port(); (port == "587" || port == "465") && s.Type == "inet" && auth.known && !auth.yes() && !s.private() && own(networks) &&
				s.get("smtpd_tls_req_ccert", "no").value == "no" && s.get("smtpd_tls_ask_ccert", "no").value == "no" {
				found(Seen{File: s.i.masterCF(), Line: s.Line, What: s.Name + " has smtpd_sasl_auth_enable = " + auth.value})
			}
		}),
	},
	{
		ID: "service-login-without-tls", Area: "trust", Bad: Risk, Title: "clients may log in without TLS at one service",
		Why: "their passwords can be read on the way (postconf(5), smtpd_tls_auth_only)",
		Do:  "give the service -o smtpd_tls_auth_only=yes or -o smtpd_tls_security_level=encrypt",
		Look: eachServer(func(_ *Facts, s server, found func(Seen)) {
			auth := s.get("smtpd_sasl_auth_enable", "no")
			if auth.yes() && auth.file == s.i.masterCF() && !s.private() && !s.get("smtpd_tls_auth_only", "no").yes() &&
				s.get("smtpd_tls_security_level", "").value != "encrypt" && !s.get("smtpd_tls_wrappermode", "no").yes() && !s.get("smtpd_enforce_tls", "no").yes() &&
				!strings.Contains(s.get("smtpd_sasl_security_options", "").value, "noplaintext") {
				found(Seen{File: auth.file, Line: auth.line, What: s.Name + " has smtpd_sasl_auth_enable = yes without smtpd_tls_auth_only"})
			}
		}),
	},
	{
		ID: "certificate-snakeoil", Area: "trust", Bad: Advice, Title: "a server of the Internet shows a certificate that nobody knows",
		Why: "it was made when the host was installed: who checks it sends nothing, the others cannot tell this host from one in between (ssl-cert, README.Debian)",
		Do:  "get a certificate for the host's name, and name it with smtpd_tls_chain_files",
		Look: eachServer(func(f *Facts, s server, found func(Seen)) {
			c, level := s.get("smtpd_tls_cert_file", ""), s.get("smtpd_tls_security_level", "")
			if c.value == paths.SnakeoilCert && level.value != "" && level.value != "none" && f.Public != "" && s.port() == "25" && !s.private() {
				found(Seen{File: c.file, Line: c.line, What: "smtpd_tls_cert_file = " + c.value + ", and this host has the address " + f.Public})
			}
		}),
	},
	{
		ID: "certificate-name", Area: "trust", Bad: Advice, Title: "the certificate is another host's",
		Why: "who checks it refuses to send to a host of this name (RFC 9525; RFC 8461, 4.1)",
		Do:  "get one that has myhostname among its names",
		Look: withMain(func(_ *Facts, i *Instance, found func(Seen)) {
			name := i.get("myhostname", "")
			public := slices.ContainsFunc(i.smtpServers(), func(s server) bool { return s.port() == "25" && !s.private() })
			for _, c := range i.Certs {
				if public && c.Issued && name.known && name.value != "" && c.strange(name.value, i.mailDomains()) {
					found(Seen{File: c.File, Line: c.Line, What: c.Path + " is for " + list(c.Names) + " and not for " + name.value})
				}
			}
		}),
	},
	{
		ID: "anchors-missing", Area: "trust", Bad: Broken, Gate: true, Title: "no certificate of another host can be checked",
		Why: "smtp(8) defers all mail: its level wants a known issuer, and nobody is known (TLS_README, client-side certificate verification)",
		Do:  `"postconf -e smtp_tls_CAfile=/etc/ssl/certs/ca-certificates.crt" and "systemctl reload %s"`,
		Look: withMain(func(_ *Facts, i *Instance, found func(Seen)) {
			level := i.get("smtp_tls_security_level", "")
			known := i.get("smtp_tls_CAfile", "").value + i.get("smtp_tls_CApath", "").value + i.get("smtp_tls_trust_anchor_file", "").value
			if (level.value == "verify" || level.value == "secure") && known == "" && !i.get("tls_append_default_CA", "no").yes() {
				found(Seen{File: level.file, Line: level.line, What: "smtp_tls_security_level = " + level.value + " without smtp_tls_CAfile", Do: i.Unit})
			}
		}),
	},
	{
		ID: "dane-without-dnssec", Area: "trust", Bad: Risk, Title: "DANE without DNSSEC",
		Why: "smtp(8) warns and goes on with opportunistic TLS: no host is checked (TLS_README, DANE)",
		Do:  `"postconf -e smtp_dns_support_level=dnssec" and "systemctl reload %s"`,
		Look: withMain(func(_ *Facts, i *Instance, found func(Seen)) {
			if level := i.get("smtp_tls_security_level", ""); strings.Contains(level.value, "dane") && i.get("smtp_dns_support_level", "").value != "dnssec" {
				found(Seen{File: level.file, Line: level.line, What: "smtp_tls_security_level = " + level.value + " without smtp_dns_support_level = dnssec", Do: i.Unit})
			}
		}),
	},
	{
		ID: "passwords-missing", Area: "trust", Bad: Broken, Gate: true, Title: "no table of passwords for the relay",
		Why: "smtp(8) ends: it is told to log in, and not with what (postconf(5), smtp_sasl_password_maps)",
		Do:  `"postfix-maint smarthost set" does all of it`,
		Look: withMain(func(_ *Facts, i *Instance, found func(Seen)) {
			auth, maps := i.get("smtp_sasl_auth_enable", "no"), i.get("smtp_sasl_password_maps", "")
			if auth.yes() && maps.known && maps.value == "" {
				found(Seen{File: auth.file, Line: auth.line, What: "smtp_sasl_auth_enable = yes without smtp_sasl_password_maps"})
			}
		}),
	},
	{
		ID: "mechanisms-missing", Area: "trust", Bad: Broken, Gate: true, Title: "Postfix cannot log in at the relay",
		Why: `it has no mechanism for that: "SASL authentication failed: no mechanism available" (SASL_README, client)`,
		Do:  `"apt install libsasl2-modules"`,
		Look: withMain(func(f *Facts, i *Instance, found func(Seen)) {
			auth := i.get("smtp_sasl_auth_enable", "no")
			if auth.yes() && f.NoMechanisms && i.get("smtp_sasl_type", "cyrus").value == "cyrus" {
				found(Seen{File: auth.file, Line: auth.line, What: "smtp_sasl_auth_enable = yes, and libsasl2 has no PLAIN, LOGIN or SCRAM"})
			}
		}),
	},
}

// strange tells that a certificate is neither for the host nor for another name in its domain, or in one that it takes mail for: by which of those
// others send mail here only the DNS knows.
func (c Certificate) strange(host string, domains []string) bool {
	if (&x509.Certificate{DNSNames: c.Names}).VerifyHostname(host) == nil {
		return false
	}
	if _, parent, is := strings.Cut(host, "."); is {
		domains = append(domains, parent)
	}
	for _, name := range c.Names {
		for _, d := range domains {
			if strings.EqualFold(name, d) || strings.HasSuffix(strings.ToLower(name), "."+strings.ToLower(d)) {
				return false
			}
		}
	}
	return len(c.Names) > 0
}

// mailDomains are those that main.cf lists.
func (i *Instance) mailDomains() (all []string) {
	for _, name := range append([]string{"relay_domains"}, domainClasses[:]...) {
		all = append(all, maincf.SplitList(i.get(name, "").value)...)
	}
	return all
}

// own tells that a list of networks has nothing but this host.
func own(networks setting) bool {
	for _, n := range maincf.SplitList(networks.value) {
		address, _, _ := strings.Cut(n, "/")
		a, err := netip.ParseAddr(strings.Trim(address, "[]"))
		if err != nil || !a.Unmap().IsLoopback() {
			return false
		}
	}
	return networks.known && networks.value != ""
}

// certificates reads what servers show, as far as TLS is in use.
func (h Host) certificates(i *Instance) {
	if i.TLS == "" {
		return
	}
	pairs := [][2]string{{"smtpd_tls_cert_file", "smtpd_tls_key_file"}, {"smtpd_tls_eccert_file", "smtpd_tls_eckey_file"}}
	if i.get("smtpd_tls_chain_files", "").value != "" {
		return // key and certificate are one file, or a list of them: Postfix says what is wrong when it starts
	}
	for _, p := range pairs {
		cert, key := i.get(p[0], ""), i.get(p[1], "")
		if key.line == 0 {
			key = cert // postconf(5): the default of the key's file is the certificate's
		}
		if !cert.known || !key.known || !path.IsAbs(cert.value) || !path.IsAbs(key.value) {
			continue
		}
		c := Certificate{Parameter: p[0], File: cert.file, Line: cert.line, Path: cert.value}
		chain, err := h.Root.ReadAtMost(cert.value, maxCertificate)
		secret, wrong := h.Root.ReadAtMost(key.value, maxCertificate)
		switch {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(wrong, fs.ErrNotExist):
			continue // "file-missing"
		case err != nil || wrong != nil:
			c.Unusable = cmp.Or(err, wrong).Error()
		case !holds(chain, "CERTIFICATE"):
			c.Unusable = "there is no certificate in " + cert.value
		case !holds(secret, "PRIVATE KEY"):
			c.Unusable = "there is no key in " + key.value
		}
		if c.Unusable != "" {
			i.Certs = append(i.Certs, c)
			continue
		}
		_, err = tls.X509KeyPair(chain, secret)
		c.Apart = err != nil && strings.Contains(err.Error(), "does not match")
		if leaf := firstCertificate(chain); leaf != nil {
			c.Names, c.Issued = leaf.DNSNames, leaf.Issuer.String() != leaf.Subject.String()
		}
		i.Certs = append(i.Certs, c)
	}
}

// holds tells whether a PEM text has a block of a kind, by the end of its name. What is in it OpenSSL may understand where we do not.
func holds(text []byte, kind string) bool {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, kind) {
			return true
		}
	}
	return false
}

// maxCertificate bounds what is read of a file with certificates.
const maxCertificate = 1 << 20

// firstCertificate is the server's own, nil if there is none that can be understood.
func firstCertificate(data []byte) *x509.Certificate {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil
			}
			return c
		}
	}
	return nil
}

// publicAddress is one of this host's addresses that the Internet can reach, "" if there is none.
func publicAddress() string {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	shared := netip.MustParsePrefix("100.64.0.0/10") // RFC 6598
	for _, a := range all {
		p, err := netip.ParsePrefix(a.String())
		if addr := p.Addr().Unmap(); err == nil && addr.IsGlobalUnicast() && !addr.IsPrivate() && !shared.Contains(addr) {
			return addr.String()
		}
	}
	return ""
}

// mechanisms tells whether libsasl2 has one with which a relay lets in.
func (h Host) noMechanisms() bool {
	dirs, err := h.Root.ReadDir(paths.LibPrefix)
	if err != nil {
		return false
	}
	for _, d := range dirs {
		for _, plugin := range []string{"libplain.so", "liblogin.so", "libscram.so"} {
			if there, err := h.Root.Exists(path.Join(paths.LibPrefix, d.Name(), path.Base(paths.SASLPlugins), plugin)); there || err != nil {
				return false
			}
		}
	}
	there, err := h.Root.Exists(path.Join(paths.SASLPlugins, "libplain.so"))
	return !there && err == nil
}
