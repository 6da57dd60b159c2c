package inventory

import (
	"net/url"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/pattern"
)

// readers are the programs that open the tables of a parameter, by the beginning of its name; the longest one counts. A table of a parameter
// that no beginning fits is opened by nobody that is known.
var readers = map[string][]string{
	"smtpd_": {"smtpd"}, "smtp_": {"smtp"}, "lmtp_": {"lmtp"}, "local_recipient_maps": {"smtpd"}, "relay_recipient_maps": {"smtpd"},
	"virtual_mailbox_maps": {"smtpd", "virtual"}, "virtual_alias_maps": {"cleanup", "smtpd"}, "canonical_maps": {"cleanup"},
	"sender_canonical_maps": {"cleanup"}, "recipient_canonical_maps": {"cleanup"}, "sender_bcc_maps": {"cleanup"}, "recipient_bcc_maps": {"cleanup"},
	"header_checks": {"cleanup"}, "body_checks": {"cleanup"}, "mime_header_checks": {"cleanup"}, "nested_header_checks": {"cleanup"},
	"transport_maps": {"trivial-rewrite"}, "relocated_maps": {"trivial-rewrite"}, "sender_dependent_": {"trivial-rewrite"},
	"virtual_alias_domains": {"trivial-rewrite", "smtpd"}, "virtual_mailbox_domains": {"trivial-rewrite", "smtpd"},
	"relay_domains": {"trivial-rewrite", "smtpd"}, "mydestination": {"trivial-rewrite", "smtpd"}, "mynetworks": {"smtpd"},
	"postscreen_": {"postscreen"}, "alias_maps": {"local", "smtpd"}, "mailbox_": {"local"}, "fallback_transport_maps": {"local"},
	"virtual_uid_maps": {"virtual"}, "virtual_gid_maps": {"virtual"}, "tls_server_sni_maps": {"smtpd", "tlsproxy"},
}

// readersOf gives the programs that open a parameter's tables.
func readersOf(parameter string) []string {
	best := ""
	for begin := range readers {
		if strings.HasPrefix(parameter, begin) && len(begin) > len(best) {
			best = begin
		}
	}
	return readers[best]
}

// tableName finds tables in a value: by themselves, in a list, in the braces of pipemap and unionmap, behind proxy:.
var tableName = pattern.New(`(?:^|[\s,;{=])(proxy:)?(socketmap|tcp|memcache|mysql|pgsql|ldap):([^\s,;{}]+)`)

// tables takes the servers of the tables that the service opens: its own, or as proxymap(8) those behind "proxy:" of all services.
func (l *lister) tables() {
	proxymap := l.service.Command == "proxymap"
	names := l.Main.Names()
	for n, arg := range l.service.Args {
		if n > 0 && l.service.Args[n-1] == "-o" {
			name, _, _ := strings.Cut(arg, "=")
			names = append(names, name)
		}
	}
	for _, name := range names {
		if !proxymap && !slices.Contains(readersOf(name), l.service.Command) {
			continue
		}
		o := l.origin(name)
		for _, m := range tableName().FindAllStringSubmatch(l.value(l.service, name), -1) {
			if (m[1] != "") == proxymap {
				l.table(o, m[2], m[3])
			}
		}
	}
}

// table takes the server of one table (DATABASE_README and the man pages of the types).
func (l *lister) table(o origin, typ, name string) {
	switch typ {
	case "socketmap": // inet:HOST:PORT:NAME or unix:PATH:NAME, socketmap_table(5)
		if i := strings.LastIndexByte(name, ':'); i > 0 {
			l.add(o, Socketmap, name[:i])
		}
	case "tcp":
		l.add(o, TCPTable, "inet:"+name)
	default:
		if path.IsAbs(name) && l.Read != nil {
			l.described(typ, name)
		}
	}
}

// described takes the servers that the file of a table names.
func (l *lister) described(typ, name string) {
	data, err := l.Read(name)
	if err != nil {
		return
	}
	f, err := maincf.Parse(data)
	if err != nil {
		return
	}
	parameter := map[string]string{"memcache": "memcache", "mysql": "hosts", "pgsql": "hosts", "ldap": "server_host"}[typ]
	value, set := f.Get(parameter)
	if !set && typ != "memcache" {
		value = "localhost" // the default of all three
	}
	o := origin{parameter, name, f.Line(parameter)}
	for _, host := range maincf.SplitList(value) {
		use := Database
		if typ == "memcache" {
			use = Memcache
		}
		l.add(o, use, serverOf(typ, host))
	}
}

// serverOf brings a server into Postfix's own form. The client libraries of mysql and pgsql take "localhost" for the socket that they were
// built with (mysql_table(5), pgsql_table(5)).
func serverOf(typ, host string) string {
	switch {
	case strings.HasPrefix(host, "unix:"), strings.HasPrefix(host, "inet:"):
		if typ == "pgsql" && strings.HasPrefix(host, "unix:") { // libpq adds the name of the socket to a directory
			return path.Join(host, pgsqlSocket)
		}
		return host
	case typ == "ldap" && strings.HasPrefix(host, "ldapi:"):
		socket, err := url.PathUnescape(strings.Trim(strings.TrimPrefix(host, "ldapi:"), "/"))
		if err != nil || socket == "" {
			socket = paths.LDAPISocket
		}
		return "unix:" + socket
	case typ == "ldap":
		return "inet:" + strings.TrimSuffix(host[strings.LastIndexByte(host, '/')+1:], "/")
	case host == "localhost" && typ == "mysql":
		return "unix:" + paths.MariaDBSocket
	case host == "localhost" && typ == "pgsql":
		return "unix:" + path.Join(paths.PostgreSQLDir, pgsqlSocket)
	}
	return "inet:" + host
}

// pgsqlSocket is the name of PostgreSQL's socket at its usual port.
const pgsqlSocket = ".s.PGSQL.5432"
