package chroot

import (
	"bytes"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/paths"
)

// login says how one chrooted smtpd checks its clients' passwords, by Cyrus SASL's options of the same names
// (libsasl2's doc/options.html) or, for Dovecot, only by the socket.
type login struct {
	service   string // as master.cf names it
	chrooted  bool
	mechs     []string // mech_list of smtpd.conf, in capitals; none is all that there are
	saslauthd string   // socket, as the service names it; "" where saslauthd is not asked
	sasldb    string   // file, "" where it is not read
	dovecot   string   // socket, "" where Dovecot is not asked
}

// logins lists what the smtpd services use; services that offer no AUTH are not among them.
func (p *Plan) logins(conf *config) []login {
	var all []login
	for _, s := range conf.services {
		if s.Command != "smtpd" {
			continue
		}
		option := map[string]string{}
		for _, name := range []string{"smtpd_sasl_auth_enable", "smtpd_sasl_type", "smtpd_sasl_path", "cyrus_sasl_config_path"} {
			value, err := conf.serviceValue(s, name)
			if err != nil {
				p.warnf("%v", err)
				p.held = append(p.held, ".")
			}
			option[name] = value
		}
		if !strings.EqualFold(option["smtpd_sasl_auth_enable"], "yes") {
			continue
		}
		chrooted := slices.ContainsFunc(conf.chrooted, func(c mastercf.Service) bool { return c.Line == s.Line })
		use := login{service: s.Name + "/" + s.Type, chrooted: chrooted}
		switch option["smtpd_sasl_type"] {
		case "dovecot":
			use.dovecot = option["smtpd_sasl_path"]
		case "cyrus":
			p.cyrus(&use, option["cyrus_sasl_config_path"], option["smtpd_sasl_path"])
		default:
			continue // Postfix says that it knows no such type
		}
		all = append(all, use)
	}
	return all
}

// cyrus reads the service's smtpd.conf as libsasl2 does: the first one in the directories; without one all has its default.
func (p *Plan) cyrus(use *login, dirs, service string) {
	if dirs == "" {
		dirs = paths.SASLConfigDirs
	}
	option := map[string]string{}
	for _, dir := range strings.Split(dirs, ":") {
		name := path.Join("/", dir, path.Base(service)+".conf")
		data, err := p.deps.Root.ReadTrusted(name) // it names a file that is copied for Postfix to read
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			p.warnf("cannot read %q, so the chroot may lack what SMTP AUTH needs: %v", name, err)
			p.held = append(p.held, ".")
		}
		option = saslOptions(data)
		break
	}
	or := func(name, fallback string) string {
		if option[name] == "" {
			return fallback
		}
		return option[name]
	}
	use.mechs = strings.Fields(strings.ToUpper(option["mech_list"]))
	for _, method := range strings.Fields(or("pwcheck_method", "auxprop")) {
		switch method {
		case "saslauthd":
			use.saslauthd = path.Clean("/" + or("saslauthd_path", paths.SaslauthdSocket))
		case "auxprop", "auxprop-hashed":
			if hasWord(or("auxprop_plugin", "sasldb"), "sasldb") {
				use.sasldb = path.Clean("/" + or("sasldb_path", paths.SASLDB))
			}
		}
	}
}

// hasWord tells whether a list that is divided by blanks or commas has the word.
func hasWord(list, word string) bool {
	for _, w := range strings.FieldsFunc(list, func(c rune) bool { return c == ' ' || c == '\t' || c == ',' }) {
		if w == word {
			return true
		}
	}
	return false
}

// saslOptions reads a configuration file of libsasl2: a line "name: value" each, names in any case, "#" starts a comment line
// (sasl_config_init in lib/config.c). As there, the first of two lines with one name counts.
func saslOptions(data []byte) map[string]string {
	options := map[string]string{}
	for line := range bytes.Lines(data) {
		text := strings.TrimSpace(string(line))
		name, value, ok := strings.Cut(text, ":")
		if name = strings.ToLower(strings.TrimSpace(name)); !ok || name == "" || name[0] == '#' {
			continue
		}
		if _, known := options[name]; !known {
			options[name] = strings.TrimSpace(value)
		}
	}
	return options
}
