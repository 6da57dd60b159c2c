package smarthost

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/smarthost/probe"
)

// kind is a kind of login that a relay may offer: the plugin of libsasl2 that knows it, and the package of Debian's that brings that ("" where
// none does that works with Postfix).
type kind struct{ plugin, pkg string }

// kinds are those that relays offer (IANA's registry of SASL mechanisms).
var kinds = map[string]kind{
	"PLAIN": {"libplain.so", "libsasl2-modules"}, "LOGIN": {"liblogin.so", "libsasl2-modules"},
	"CRAM-MD5": {"libcrammd5.so", "libsasl2-modules"}, "DIGEST-MD5": {"libdigestmd5.so", "libsasl2-modules"},
	"NTLM": {"libntlm.so", "libsasl2-modules"}, "SCRAM-SHA-1": {"libscram.so", "libsasl2-modules"}, "SCRAM-SHA-256": {"libscram.so", "libsasl2-modules"},
	"SCRAM-SHA-512": {"libscram.so", "libsasl2-modules"},
	"GSSAPI":        {"libgssapiv2.so", "libsasl2-modules-gssapi-mit"}, "GSS-SPNEGO": {"libgssapiv2.so", "libsasl2-modules-gssapi-mit"},
}

// tokenKinds take a token of OAuth 2.0 in the place of a password (RFC 7628).
var tokenKinds = []string{"XOAUTH2", "OAUTHBEARER"}

// unable tells that Postfix knows none of the kinds of login that a relay offers, and what helps. What cannot be looked up counts as known: it
// is left to Postfix.
func unable(offered []string, has func(plugin string) bool) (f *probe.Failure, advice string) {
	var packages []string
	tokens := false
	for _, name := range offered {
		k, known := kinds[strings.ToUpper(name)]
		switch {
		case slices.Contains(tokenKinds, strings.ToUpper(name)):
			tokens = true
		case !known, has(k.plugin):
			return nil, ""
		case !slices.Contains(packages, k.pkg):
			packages = append(packages, k.pkg)
		}
	}
	text := fmt.Sprintf("the relay offers only logins that Postfix cannot do here: %s", strings.Join(offered, " "))
	switch {
	case tokens:
		advice = `the relay takes no password but a token of OAuth 2.0: "postfix-maint smarthost login"`
	case len(packages) > 0:
		advice = "install the package " + strings.Join(packages, " or ") + ", which knows one of these logins"
	}
	if slices.Contains(packages, "libsasl2-modules-gssapi-mit") {
		advice += "; GSSAPI needs a Kerberos ticket of Postfix's user as well"
	}
	return &probe.Failure{Cause: probe.NoMechanism, Text: text}, advice
}

// unable does that for what a probe found: only where a login is wanted, and nothing else has failed.
func (h *host) unable(p *probe.Report, t probe.Target) (f *probe.Failure, advice string) {
	if p.Failure != nil || t.User == "" || len(p.Mechanisms) == 0 || p.Mechanism != "" {
		return nil, ""
	}
	return unable(p.Mechanisms, h.hasPlugin)
}

// hasPlugin tells whether libsasl2 has a plugin of that file name, in a library directory of any architecture.
func (h *host) hasPlugin(file string) bool {
	dirs, err := h.d.Root.ReadDir(paths.LibPrefix)
	if err != nil {
		return true
	}
	for _, d := range dirs {
		if there, err := h.d.Root.Exists(path.Join(paths.LibPrefix, d.Name(), path.Base(paths.SASLPlugins), file)); there || err != nil {
			return true
		}
	}
	there, err := h.d.Root.Exists(path.Join(paths.SASLPlugins, file))
	return there || err != nil
}
