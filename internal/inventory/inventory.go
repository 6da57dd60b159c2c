// Package inventory (ring: format) lists what the services of an instance reach for: the sockets and ports that main.cf, master.cf and the
// files that they name lead a service to, each with the parameter and the line that says so. It is the one reading of these parameters
// for whoever has to know: what a chroot must offer, what a check has to try.
package inventory

import (
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
)

// Use is what an endpoint is for.
type Use string

// The uses that the parameters tell apart.
const (
	Milter    Use = "milter"
	Policy    Use = "policy service"
	Delivery  Use = "delivery"
	Filter    Use = "proxy filter"
	SASL      Use = "SASL server"
	Socketmap Use = "socketmap server"
	Database  Use = "database server"
	TCPTable  Use = "tcp table server"
	Memcache  Use = "memcache server"
	// What is a file, opened by its path after chroot(2).
	DatabaseFile Use = "database file"
	TrustAnchor  Use = "trust anchor"
	PrivateKey   Use = "private key"
	Certificate  Use = "certificate"
)

// Endpoint is one thing that one service connects to, or opens late.
type Endpoint struct {
	Service  string `json:"service"` // as NAME/TYPE, as master.cf has it
	Chrooted bool   `json:"chrooted"`
	Use      Use    `json:"use"`
	// Socket is the path of a UNIX-domain socket as the service opens it: a relative one is below the queue directory, and an absolute one
	// too if the service is chrooted. "" for a port.
	Socket string `json:"socket,omitempty"`
	// Address is HOST:PORT of a server on TCP. "" for a socket.
	Address string `json:"address,omitempty"`
	// Path is a file that the service opens late. "" for a socket and a port.
	Path string `json:"path,omitempty"`
	// Wrong is what Postfix refuses there because it names neither a socket nor a port. "" for the others.
	Wrong     string `json:"wrong,omitempty"`
	Parameter string `json:"parameter"` // that names it, or an option -o of the service
	File      string `json:"file"`      // main.cf, master.cf or that of a table, and the line in it; 0 where a default says so
	Line      int    `json:"line"`
}

// Input is what the list is made from.
type Input struct {
	Dir    string // the configuration directory
	Main   *maincf.File
	Master *mastercf.File
	// Default gives the value that a parameter has in this release where main.cf does not set it.
	Default func(name string) string
	// Read gives the text of a table's file, for what it names. nil leaves such tables out.
	Read func(name string) ([]byte, error)
	// Unread, where it is set, hears of each file that could not be read, and so names nothing.
	Unread func(u Unread)
}

// Unread is a file of a table that Read refused.
type Unread struct {
	Service  string
	Chrooted bool
	// Parameter names the table, in that line of main.cf or master.cf.
	Parameter, File string
	Line            int
	Name            string // of the file that was to be read
	Err             error
}

// List gives all endpoints, service by service in the order of master.cf. What cannot be understood is left out: Postfix itself
// says what is wrong with it.
func List(in Input) []Endpoint {
	l := &lister{Input: in, known: map[Endpoint]bool{}}
	compat := l.value(mastercf.Service{}, "compatibility_level")
	for _, s := range in.Master.Services() {
		l.service, l.chrooted = s, s.Chrooted(compat)
		for _, row := range rows {
			if slices.Contains(row.programs, s.Command) {
				l.read(row)
			}
		}
		l.tables()
		if client[s.Command] {
			l.deliveries()
		}
		l.results()
		l.lateFiles()
	}
	return l.found
}

// row says what one parameter holds, and which programs read it.
type row struct {
	parameter string
	programs  []string
	use       Use
	take      func(l *lister, o origin, value string)
}

// client are the programs that deliver to a next hop.
var client = map[string]bool{"smtp": true, "lmtp": true}

// rows are the parameters that lead to an endpoint by themselves. Lists of restrictions are among them, and so are classes of
// restrictions, which a list names.
var rows = slices.Concat(
	milters("smtpd", "smtpd_milters"), milters("cleanup", "non_smtpd_milters"),
	restrictions(accessLists...),
	[]row{
		{"smtpd_proxy_filter", []string{"smtpd"}, Filter, (*lister).proxyFilter},
		{"smtpd_sasl_path", []string{"smtpd"}, SASL, (*lister).sasl},
		{"smtp_tls_trust_anchor_file", []string{"smtp", "lmtp"}, TrustAnchor, (*lister).trustAnchors},
		{"lmtp_tls_trust_anchor_file", []string{"lmtp"}, TrustAnchor, (*lister).trustAnchors},
	},
)

func milters(program, parameter string) []row {
	return []row{{parameter, []string{program}, Milter, func(l *lister, o origin, value string) {
		for _, m := range maincf.SplitList(value) {
			l.add(o, Milter, firstWord(m))
		}
	}}}
}

func restrictions(parameters ...string) (all []row) {
	for _, p := range parameters {
		all = append(all, row{p, []string{"smtpd"}, Policy, func(l *lister, o origin, value string) { l.policies(o, value, map[string]bool{}) }})
	}
	return all
}

// policies takes what follows check_policy_service in a list of restrictions, in the classes that it names as well. Postfix refuses a
// circle of classes only when it meets one, so each is read once for a list: those named twice say nothing new.
func (l *lister) policies(o origin, list string, read map[string]bool) {
	words := maincf.SplitList(list)
	classes := l.classes()
	for i, w := range words {
		switch {
		case strings.EqualFold(w, "check_policy_service") && i+1 < len(words):
			l.add(o, Policy, firstWord(words[i+1]))
		case slices.Contains(classes, w) && !read[w]:
			read[w] = true
			l.policies(l.origin(w), l.value(l.service, w), read)
		}
	}
}

// proxyFilter takes host:port, or unix:path and inet:host:port (smtpd_proxy_filter in postconf(5)).
func (l *lister) proxyFilter(o origin, value string) {
	if value = strings.TrimSpace(value); value == "" {
		return
	}
	if !strings.HasPrefix(value, "unix:") && !strings.HasPrefix(value, "inet:") {
		value = "inet:" + value
	}
	l.add(o, Filter, value)
}

// sasl takes Dovecot's socket: Cyrus has only the name of an application there.
func (l *lister) sasl(o origin, value string) {
	if l.value(l.service, "smtpd_sasl_type") != "dovecot" || !yes(l.value(l.service, "smtpd_sasl_auth_enable")) {
		return
	}
	if !strings.Contains(value, ":") {
		value = "unix:" + value
	}
	l.add(o, SASL, value)
}

func yes(value string) bool { return strings.EqualFold(strings.TrimSpace(value), "yes") }

// firstWord is the endpoint in "{ endpoint, name = value ... }", and an endpoint by itself.
func firstWord(element string) string {
	if !strings.HasPrefix(element, "{") {
		return element
	}
	inside := maincf.SplitList(strings.TrimSuffix(strings.TrimPrefix(element, "{"), "}"))
	if len(inside) == 0 {
		return ""
	}
	return inside[0]
}

// lister is one walk over the services.
type lister struct {
	Input
	service  mastercf.Service
	chrooted bool
	found    []Endpoint
	known    map[Endpoint]bool // what was found, without its line
	texts    map[string]text   // of tables' files, by name
	open     []string          // tables of memcache whose backups are being looked at
}

// origin is the place that names an endpoint.
type origin struct {
	parameter, file string
	line            int
}

// origin finds out where a service has the value of a parameter from.
func (l *lister) origin(name string) origin {
	if _, ok := l.service.Option(name); ok {
		return origin{name, path.Join(l.Dir, "master.cf"), l.service.Line}
	}
	return origin{name, path.Join(l.Dir, "main.cf"), l.Main.Line(name)}
}

func (l *lister) read(r row) { r.take(l, l.origin(r.parameter), l.value(l.service, r.parameter)) }

// raw is the value of a parameter as it stands, for a service.
func (l *lister) raw(s mastercf.Service, name string) string {
	if v, ok := s.Option(name); ok {
		return v
	}
	if v, ok := l.Main.Get(name); ok {
		return v
	}
	if l.Default == nil {
		return ""
	}
	return l.Default(name)
}

// value is the expanded value; "" for one that Postfix would refuse.
func (l *lister) value(s mastercf.Service, name string) string {
	v, err := maincf.Expand(l.raw(s, name), func(n string) (string, bool) {
		v := l.raw(s, n)
		return v, v != ""
	})
	if err != nil {
		return ""
	}
	return v
}

// endpoint is one of the service at hand, with nothing that it leads to.
func (l *lister) endpoint(o origin, use Use) Endpoint {
	return Endpoint{
		Service: l.service.Name + "/" + l.service.Type, Chrooted: l.chrooted, Use: use, Parameter: o.parameter, File: o.file, Line: o.line,
	}
}

// take takes an endpoint once, at the first line of each file that names it: a table may have one in each of a hundred thousand lines.
func (l *lister) take(e Endpoint) {
	key := e
	key.Line = 0
	if !l.known[key] {
		l.known[key] = true
		l.found = append(l.found, e)
	}
}

// addFile takes a file that the service opens late. A relative name means another file in each program.
func (l *lister) addFile(o origin, use Use, name string) {
	if e := l.endpoint(o, use); path.IsAbs(name) {
		e.Path = path.Clean(name)
		l.take(e)
	}
}

// strict are the uses whose client ends, or asks nobody, where the kind is none of those (auto_clnt_create() in util/auto_clnt.c,
// milter8_connect() in milter/milter8.c).
var strict = []Use{Milter, Policy}

// add takes an endpoint in Postfix's own form: unix:path, local:path, inet:host:port, inet6:host:port.
func (l *lister) add(o origin, use Use, endpoint string) {
	e := l.endpoint(o, use)
	endpoint = strings.TrimSpace(endpoint)
	switch kind, rest, ok := strings.Cut(endpoint, ":"); {
	case ok && rest != "" && (kind == "unix" || kind == "local"):
		e.Socket = path.Clean(rest)
	case ok && rest != "" && (kind == "inet" || kind == "inet6"):
		e.Address = rest
	case endpoint != "" && slices.Contains(strict, use):
		e.Wrong = endpoint
	default:
		return
	}
	l.take(e)
}

// Place is where the host has to have an endpoint's socket: of a chrooted service below the queue directory, as of any with a relative path.
func (e Endpoint) Place(queueDir string) string {
	if e.Chrooted || !path.IsAbs(e.Socket) {
		return path.Join(queueDir, e.Socket)
	}
	return e.Socket
}

// Outside tells whether a chrooted service names a socket by an absolute path that is not below the queue directory by itself.
func (e Endpoint) Outside(queueDir string) bool {
	return e.Chrooted && path.IsAbs(e.Socket) && !strings.HasPrefix(e.Socket, path.Clean(queueDir)+"/")
}
