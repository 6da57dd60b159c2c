package inventory

import (
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
)

// readers are the programs that open the tables of a parameter, by the beginning of its name; the longest one counts. A table of a parameter
// that no beginning fits is opened by nobody that is known.
var readers = map[string][]string{
	"smtpd_": {"smtpd"}, "smtp_": {"smtp"}, "lmtp_": {"lmtp"}, "local_recipient_maps": {"smtpd"}, "relay_recipient_maps": {"smtpd"},
	"virtual_mailbox_maps": {"smtpd", "virtual"}, "virtual_alias_maps": {"cleanup", "smtpd"}, "canonical_maps": {"cleanup"},
	"sender_canonical_maps": {"cleanup"}, "recipient_canonical_maps": {"cleanup"}, "sender_bcc_maps": {"cleanup"}, "recipient_bcc_maps": {"cleanup"},
	"header_checks": {"cleanup"}, "body_checks": {"cleanup"}, "mime_header_checks": {"cleanup"},
	"nested_header_checks": {"cleanup"}, "milter_header_checks": {"cleanup"}, "rbl_reply_maps": {"smtpd"}, "relay_clientcerts": {"smtpd"},
	"permit_mx_backup_networks": {"smtpd"}, "authorized_verp_clients": {"smtpd"}, "fast_flush_domains": {"flush", "smtpd"},
	"transport_maps": {"trivial-rewrite"}, "relocated_maps": {"trivial-rewrite"}, "sender_dependent_": {"trivial-rewrite"},
	"virtual_alias_domains": {"trivial-rewrite", "smtpd"}, "virtual_mailbox_domains": {"trivial-rewrite", "smtpd"},
	"relay_domains": {"trivial-rewrite", "smtpd"}, "mydestination": {"trivial-rewrite", "smtpd"}, "mynetworks": {"smtpd"},
	"postscreen_": {"postscreen"}, "alias_maps": {"local", "smtpd"}, "mailbox_": {"local"}, "fallback_transport_maps": {"local"},
	"virtual_uid_maps": {"virtual"}, "virtual_gid_maps": {"virtual"}, "tls_server_sni_maps": {"smtpd", "tlsproxy"},
	"address_verify_map": {"verify"},
}

// readersOf gives the programs that open a parameter's tables. A class of restrictions is a parameter of its own.
func (l *lister) readersOf(parameter string) []string {
	best := ""
	for begin := range readers {
		if strings.HasPrefix(parameter, begin) && len(begin) > len(best) {
			best = begin
		}
	}
	if best == "" && slices.Contains(l.classes(), parameter) {
		return []string{"smtpd"}
	}
	return readers[best]
}

// lists are the parameters that only say which tables proxymap(8) may open, where others name them.
var lists = []string{"proxy_read_maps", "proxy_write_maps"}

// written are the parameters whose tables behind "proxy:" the service proxywrite opens, and no other does (proxy_write_maps in postconf(5)).
var written = []string{"address_verify_map", "postscreen_cache_map", "smtp_sasl_auth_cache_name", "lmtp_sasl_auth_cache_name"}

// opens tells whether the service opens the tables of a parameter that a command has: its own, or as proxymap(8) anybody's.
func (l *lister) opens(parameter, command string) bool {
	if !l.isProxymap() {
		return slices.Contains(l.readersOf(parameter), command)
	}
	writer := l.value(l.service, "proxywrite_service_name")
	if writer == "" {
		writer = "proxywrite"
	}
	return slices.Contains(written, parameter) == (l.service.Name == writer)
}

func (l *lister) isProxymap() bool { return l.service.Command == "proxymap" }

// tables takes the servers of the tables that the service opens: its own, or as proxymap(8) those behind "proxy:" of all services.
func (l *lister) tables() {
	proxymap := l.isProxymap()
	for _, s := range l.Master.Services() {
		if !proxymap && s.Line != l.service.Line {
			continue
		}
		for n, arg := range s.Args {
			if n == 0 || s.Args[n-1] != "-o" {
				continue
			}
			if name, _, _ := strings.Cut(arg, "="); l.opens(name, s.Command) {
				l.tablesOf(l.originOf(s, name), l.value(s, name), proxymap)
			}
		}
	}
	for _, name := range l.Main.Names() {
		if _, own := l.service.Option(name); !own && !slices.Contains(lists, name) && l.opens(name, l.service.Command) {
			l.tablesOf(l.origin(name), l.value(l.service, name), proxymap)
		}
	}
}

// tablesOf takes the tables in a value, which behind "proxy:" are proxymap's.
func (l *lister) tablesOf(o origin, value string, proxymap bool) {
	for _, word := range maincf.SplitList(value) {
		l.table(o, word, false, proxymap)
	}
}

// table takes the servers of one table (DATABASE_README and the man pages of the types), and of those that it is made of.
func (l *lister) table(o origin, spec string, proxied, proxymap bool) {
	typ, name, ok := strings.Cut(spec, ":")
	switch {
	case !ok:
	case typ == "proxy":
		l.table(o, name, true, proxymap)
	case typ == "unionmap" || typ == "pipemap":
		for _, part := range parts(name) {
			l.table(o, part, proxied, proxymap)
		}
	case proxied != proxymap:
	case typ == "socketmap": // inet:HOST:PORT:NAME or unix:PATH:NAME, socketmap_table(5)
		if i := strings.LastIndexByte(name, ':'); i > 0 {
			l.add(o, Socketmap, name[:i])
		}
	case typ == "tcp":
		l.add(o, TCPTable, "inet:"+name)
	case serverParameter[typ] != "":
		l.described(o, typ, name, proxied, proxymap)
	}
}

// serverParameter is what names the servers in the description of a table.
var serverParameter = map[string]string{"memcache": "memcache", "mysql": "hosts", "pgsql": "hosts", "ldap": "server_host", "sqlite": "dbpath"}

// filesOf are the parameters there that name files, which the client library opens when it connects.
var filesOf = map[string]map[string]Use{
	"ldap":  {"tls_ca_cert_file": Certificate, "tls_cert": Certificate, "tls_key": PrivateKey},
	"mysql": {"tls_CAfile": Certificate, "tls_cert_file": Certificate, "tls_key_file": PrivateKey},
}

// described takes what the description of a table names: a file, or by the old way parameters of main.cf that begin with its name.
func (l *lister) described(o origin, typ, name string, proxied, proxymap bool) {
	f, prefix, file := l.Main, name+"_", o.file
	if path.IsAbs(name) {
		parsed, err := maincf.Parse(l.text(o, name))
		if err != nil || l.Read == nil {
			return
		}
		f, prefix, file = parsed, "", name
		if l.texts[name].err != nil {
			return
		}
	}
	get := func(parameter string) (value string, set bool, at origin) {
		value, set = f.Get(prefix + parameter)
		return value, set, origin{prefix + parameter, file, f.Line(prefix + parameter)}
	}
	value, set, at := get(serverParameter[typ])
	switch {
	case typ == "sqlite":
		l.addFile(at, DatabaseFile, strings.TrimSpace(value))
		return
	case !set && typ == "memcache":
		value = "inet:localhost:11211" // memcache_table(5)
	case strings.TrimSpace(value) == "":
		value = "localhost" // the default of all three
	}
	port, _, _ := get("server_port")
	for _, host := range maincf.SplitList(value) {
		if typ == "ldap" && port != "" && !strings.Contains(host, ":") { // a URL has its own
			host += ":" + port
		}
		l.add(at, map[bool]Use{true: Memcache, false: Database}[typ == "memcache"], serverOf(typ, host))
	}
	for _, parameter := range slices.Sorted(maps.Keys(filesOf[typ])) {
		value, _, at := get(parameter)
		l.addFile(at, filesOf[typ][parameter], strings.TrimSpace(value))
	}
	if backup, _, at := get("backup"); typ == "memcache" && !slices.Contains(l.open, name) { // which may name itself
		l.open = append(l.open, name)
		l.table(at, backup, proxied, proxymap)
		l.open = l.open[:len(l.open)-1]
	}
}

// serverOf brings a server into Postfix's own form. libmariadb takes "localhost" for the socket that it was built with, even behind "inet:"
// (mysql_table(5)); libpq takes only a directory, or no name at all, for a socket (host_init() in global/dict_pgsql.c).
func serverOf(typ, host string) string {
	name := strings.TrimPrefix(strings.TrimPrefix(host, "unix:"), "inet:")
	switch typ {
	case "ldap":
		return ldapServer(host)
	case "pgsql":
		return pgsqlServer(name)
	case "mysql":
		switch server, _, _ := strings.Cut(name, ":"); {
		case path.IsAbs(name):
			return "unix:" + name
		case server == "localhost":
			return "unix:" + paths.MariaDBSocket
		}
	case "memcache":
		if strings.HasPrefix(host, "unix:") {
			return host
		}
	}
	return inet(name, ports[typ])
}

// ports are those that client libraries take where a table names none.
var ports = map[string]string{"mysql": "3306", "pgsql": "5432", "ldap": "389", "ldaps": "636", "memcache": "11211"}

// inet adds a port to a server that has none. What no server's name has, as a login, or options that may be a password, is nobody's to read.
func inet(server, port string) string {
	server = server[strings.LastIndexByte(server, '@')+1:]
	if end := strings.IndexAny(server, "/?&="); end >= 0 {
		server = server[:end]
	}
	if strings.LastIndexByte(server, ':') > strings.LastIndexByte(server, ']') {
		return "inet:" + server
	}
	return "inet:" + server + ":" + port
}

func ldapServer(host string) string {
	if socket, ok := strings.CutPrefix(host, "ldapi:"); ok {
		socket, _, _ = strings.Cut(strings.TrimLeft(socket, "/"), "/")
		socket, err := url.PathUnescape(socket)
		if err != nil || socket == "" {
			socket = paths.LDAPISocket
		}
		return "unix:" + socket
	}
	scheme, server, ok := strings.Cut(host, "://")
	if !ok {
		server = host
	}
	server, _, _ = strings.Cut(server, "/")
	port := ports["ldap"]
	if scheme == "ldaps" {
		port = ports["ldaps"]
	}
	return inet(server, port)
}

// pgsqlServer is a server as libpq takes it, which puts the name of the socket behind that of its directory.
func pgsqlServer(name string) string {
	if scheme, rest, ok := strings.Cut(name, ":"); ok && (scheme == "postgresql" || scheme == "postgres") {
		var clear bool
		if name, clear = pgsqlURI(strings.TrimPrefix(rest, "//")); !clear {
			return ""
		}
	}
	if unescaped, err := url.PathUnescape(name); err == nil && strings.HasPrefix(unescaped, "/") {
		name = unescaped
	}
	switch {
	case name == "":
		return "unix:" + path.Join(paths.PostgreSQLDir, pgsqlSocket)
	case !path.IsAbs(name):
		return inet(name, ports["pgsql"])
	}
	dir, port, ok := strings.Cut(name, ":")
	if !ok {
		return "unix:" + path.Join(dir, pgsqlSocket)
	}
	return "unix:" + path.Join(dir, strings.TrimSuffix(pgsqlSocket, "5432")+port)
}

// pgsqlURI takes the server out of USER:PASSWORD@SERVER/DATABASE?OPTIONS, each part but SERVER left out at will. It is not clear where a password
// with one of these letters could end, and so what may be shown.
func pgsqlURI(rest string) (server string, clear bool) {
	text, options, _ := strings.Cut(rest, "?")
	server, database, _ := strings.Cut(text, "/")
	if strings.Contains(database, "@") || strings.Contains(options, "@") {
		return "", false
	}
	server = server[strings.LastIndexByte(server, '@')+1:]
	more, err := url.ParseQuery(options)
	if host := more.Get("host"); err == nil && host != "" {
		server = host
	}
	if port := more.Get("port"); err == nil && port != "" {
		server += ":" + port
	}
	return server, true
}

// pgsqlSocket is the name of PostgreSQL's socket at its usual port.
const pgsqlSocket = ".s.PGSQL.5432"
