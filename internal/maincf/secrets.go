package maincf

import (
	"iter"
	"slices"
	"strings"

	"postfix-maint/internal/maincf/lines"
	"postfix-maint/internal/pattern"
)

// kind tells what a parameter holds: nothing secret, tables of passwords (only what stands in the value itself is secret), a secret.
type kind int

const (
	open kind = iota
	tables
	secret
)

var (
	// passwordTables is smtp_sasl_password_maps and lmtp's; a parameter of one's own that is called like them is one, too.
	passwordTables = pattern.New(`(?i)password_maps$`)
	// password is what ldap_table(5), mysql_table(5) and pgsql_table(5) call theirs (bind_pw, password), in a file of its own or
	// behind a source's name in main.cf; and what people call parameters and options of their own.
	password = pattern.New(`(?i)((password|passwd|passphrase|secret|bind_?pw|api_?key|bearer)|(^|[_.-])(pass|pw|pwd|key|token|credentials?))\d*$`)
	// elsewhere are the tables whose content is in a file or a server.
	elsewhere = pattern.New(`^!?(proxy:)*(hash|btree|cdb|dbm|lmdb|sdbm|texthash|ldap|mysql|pgsql|sqlite|mongodb|regexp|pcre|cidr|tcp|` +
		`socketmap|memcache|nis|nisplus|netinfo|unix|environ|fail):[^{}]*$|^/`)
	reference     = pattern.New(`\$[({]?\s*([A-Za-z0-9_]+)`)
	onlyReference = pattern.New(`^\$(\w+|\(\s*\w+\s*\)|\{\s*\w+\s*\})$`)
	inPlace       = pattern.New(`^(proxy:)*(static|inline):`)
	// account is a table in the value itself with account:password in it.
	account = pattern.New(`\b(static:[^\s:]+:|inline:\s*\{[^}]*=\s*[^\s:}]+:)`)
	// ownTables are Postfix's parameters with tables that hold no passwords: transport:host looks like one.
	ownTables = pattern.New(`_(maps?|restrictions|classes|domains|networks|table)$`)
	// setting is the start of a word of master.cf that sets something: -o name=value, { name = value }, --name=value.
	setting = pattern.New(`^(-[a-zA-Z]*o)?\{?\s*(-o\s*)?([A-Za-z0-9_.-]+)\s*=\s*`)
	// inner finds what is secret inside other values: settings in a connection's string, URL://account:password@host, and the same
	// behind a transport or a type of table.
	inner = pattern.New(`(?i)(?:password|passwd|passphrase|secret|bind_?pw)["']?\s*=\s*("[^"]*"|'[^']*'|\S+)|://[^/\s:@]*:([^@\s]+)@|` +
		`\b(?:inet|tcp|smtps?|lmtp|socketmap|memcache|ldap|mysql|pgsql|mongodb):[^/\s:@]+:([^@\s]+)@`)
	// command is where one begins in pipe(8)'s and spawn(8)'s lines and in mailbox_command and its like. argument is how programs take a
	// password: -p x, -px, -pass x, -w x (ldapsearch), -ap x (swaks), -u account:x, --user account:x; header is how curl takes one. noPassword is what else -p begins: a port, another option's name.
	command  = pattern.New(`\bargv\s*=|_command\s*=`)
	argument = pattern.New(`(?:^|[\s{"'])(?:-(?:w|ap)[\s=]+(\{[^{}]*\}|"[^"]*"|'[^']*'|[^\s/$-]\S*)|-p(?:(?:ass(?:word|wd|phrase)?|w|wd)[\s=]+|[\s=]*)(\{[^{}]*\}|"[^"]*"|'[^']*'|[^\s/$-]\S*)|` +
		`(?:-[uU]|--(?:proxy-)?user)[\s=]*[^\s:/$]+:(/?[^\s/]\S*))`)
	header     = pattern.New(`(?i)\b(?:(?:proxy-)?authorization|cookie|(?:x-)?[a-z-]*(?:key|token|secret|auth))\s*:\s*([^"'{}]+)`)
	noPassword = pattern.New(`^(\d{1,5}|(ort|ath|id|rint|rotocol|rofile|refix|reserve|roxy|riority)(=.*)?)$`)
	// listKey is what DNS blocklists give their customers as a label (postscreen_dnsbl_reply_map of postconf(5) is there to hide it).
	lists   = pattern.New(`(?i)dns[bw]l|_rbl|rhs[bw]l`)
	listKey = pattern.New(`(?i)\b([0-9a-z]{20,})\.[a-z]`)
	// prose is a password in the words of a comment, and account@host:password.
	prose = pattern.New(`(?i)\b(?:password|passwd|passphrase|passwort|secret)\b["']?\s*(?:is|was|are|[:=]|->)\s*(\S.*)|[^\s:=]+@[^\s:]+:([^\s\d]\S*)`)
)

// harmless are parameters that a value with a password names beside it.
var harmless = []string{
	"relayhost", "myhostname", "mydomain", "myorigin", "config_directory", "queue_directory", "data_directory", "daemon_directory",
	"mail_name", "mail_version", "process_name",
}

// secrets are the parameters that hold something secret though their names do not say it.
type secrets struct {
	kinds  map[string]kind
	values map[string][]string // what parameters are set to
}

func findSecrets(groups []*logical) *secrets {
	s := &secrets{kinds: map[string]kind{}, values: map[string][]string{}}
	s.add(groups)
	return s
}

func (s *secrets) add(groups []*logical) {
	for _, g := range groups {
		for name, at := range settings(g.text) {
			s.values[name] = append(s.values[name], g.text[at.from:at.to])
		}
	}
}

func (s *secrets) kind(name string) kind {
	switch {
	case !hasAny(strings.ToLower(name), "pass", "pw", "secret", "key", "token", "credential", "bearer"): // a quick look before the slow ones
	case passwordTables.Regexp().MatchString(name):
		return max(tables, s.kinds[name])
	case password.Regexp().MatchString(name):
		return secret
	}
	return s.kinds[name]
}

// follow goes from each secret to the parameters that its value leads to. Each is visited at most twice.
func (s *secrets) follow() {
	var todo []string
	for name := range s.values {
		if s.kind(name) != open {
			todo = append(todo, name)
		}
	}
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, value := range s.values[name] {
			for to, reach := range reached(value, s.kind(name)) {
				if reach > s.kind(to) && !slices.Contains(harmless, to) {
					s.kinds[to] = reach
					todo = append(todo, to)
				}
			}
		}
	}
}

// reached gives the parameters that the value of one of this kind names, with what that makes of them.
func reached(value string, of kind) iter.Seq2[string, kind] {
	list := 0 // up to where the value is a list of tables, before the content of one
	if of == tables {
		list = len(value)
		if sp := tableSpans(value); len(sp) > 0 {
			list = sp[0].from
		}
	}
	return func(yield func(string, kind) bool) {
		for _, m := range reference.Regexp().FindAllStringSubmatchIndex(value, -1) {
			reach := secret
			if m[0] < list {
				reach = tables
				if !onlyReference.Regexp().MatchString(wordAt(value, m[0])) {
					reach = open // a directory in a path
				}
			}
			if !yield(value[m[2]:m[3]], reach) {
				return
			}
		}
	}
}

// wordAt is the list element that begins at a place, "" if none does.
func wordAt(value string, at int) string {
	if at > 0 && strings.IndexByte(", \t\r\n", value[at-1]) < 0 {
		return ""
	}
	if end := strings.IndexAny(value[at:], ", \t\r\n"); end >= 0 {
		return value[at : at+end]
	}
	return value[at:]
}

// settings gives what a logical line sets, and where the values stand: one parameter of main.cf, or the -o of a service.
func settings(text string) func(yield func(string, span) bool) {
	return func(yield func(string, span) bool) {
		name, _, found := strings.Cut(text, "=")
		if bare := strings.Trim(name, lines.Blanks); found && bare != "" && !strings.ContainsAny(bare, lines.Blanks) {
			value := trim(text, span{len(name) + 1, len(text)})
			_ = yield(bare, value) && inside(text, bare, value, yield)
			return
		}
		words(text, span{0, len(text)}, " \t\r\n", func(name string, value span) bool {
			return yield(name, value) && inside(text, name, value, yield)
		})
	}
}

// inside gives what the value of a parameter sets in its turn: variables of the environment.
func inside(text, name string, value span, yield func(string, span) bool) bool {
	switch {
	case strings.HasSuffix(name, "port_environment"):
		return words(text, value, ", \t\r\n", yield)
	case strings.HasSuffix(name, "_command"):
		return words(text, value, " \t\r\n", yield)
	}
	return true
}

// words gives what the words of a part of a line set.
func words(text string, in span, separators string, yield func(string, span) bool) bool {
	before := ""
	for _, w := range fields(text[in.from:in.to], separators) {
		w = span{in.from + w.from, in.from + w.to}
		word := text[w.from:w.to]
		var m []int
		if strings.IndexByte(word, '=') >= 0 {
			m = setting.Regexp().FindStringSubmatchIndex(word)
		}
		if m != nil {
			name, value := word[m[6]:m[7]], trim(text, span{w.from + m[1], w.to})
			if word[len(word)-1] == '}' && strings.HasPrefix(strings.TrimLeft(word[:m[6]], "-vo"), "{") {
				value = trim(text, span{value.from, w.to - 1})
			}
			if !yield(name, value) {
				return false
			}
		} else if strings.HasPrefix(before, "--") && !strings.HasPrefix(word, "-") && !yield(before, w) { // --password x
			return false
		}
		before = word
	}
	return true
}

func trim(text string, s span) span {
	for s.from < s.to && strings.IndexByte(lines.Blanks, text[s.from]) >= 0 {
		s.from++
	}
	for s.from < s.to && strings.IndexByte(lines.Blanks, text[s.to-1]) >= 0 {
		s.to--
	}
	return s
}

// spans gives the secret parts of a logical line.
func (s *secrets) spans(g *logical) (hidden []span) {
	for name, at := range settings(g.text) {
		for _, sp := range s.inValue(name, g.text[at.from:at.to]) {
			hidden = append(hidden, span{at.from + sp.from, at.from + sp.to})
		}
	}
	lower := strings.ToLower(g.text)
	if hasAny(lower, "@", "pass", "secret", "bind") {
		hidden = append(hidden, matches(inner, g.text)...)
	}
	if hasAny(lower, "argv", "_command") {
		hidden = append(hidden, arguments(g.text)...)
	}
	if hasAny(lower, "bl", "wl") && lists.Regexp().MatchString(g.text) {
		hidden = append(hidden, matches(listKey, g.text)...)
	}
	if g.comment && len(hidden) == 0 {
		hidden = append(hidden, matches(prose, g.text)...)
		hidden = append(hidden, accountSpan(g.text)...)
	}
	return hidden
}

// inValue gives the secret parts of a parameter's value.
func (s *secrets) inValue(name, value string) []span {
	switch kind := s.kind(name); {
	case kind == tables:
		return tableSpans(value)
	case kind == secret && value != "" && !onlyReference.Regexp().MatchString(value):
		return []span{{0, len(value)}}
	case kind == open && !ownTables.Regexp().MatchString(name):
		return accountSpan(value)
	}
	return nil
}

// accountSpan is what follows the type of a table with an account in it.
func accountSpan(text string) []span {
	m := inPlaceAccount(text)
	if m == nil {
		return nil
	}
	return []span{{m[0] + strings.IndexByte(text[m[0]:], ':') + 1, len(text)}}
}

func inPlaceAccount(text string) []int {
	if !hasAny(text, "static:", "inline:") {
		return nil
	}
	return account.Regexp().FindStringIndex(text)
}

func hasAny(text string, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
}

// tableSpans gives what is secret in a list of tables of passwords: all from the first one on whose content is not elsewhere.
func tableSpans(value string) []span {
	for _, f := range fields(value, ", \t\r\n") {
		word := value[f.from:f.to]
		if elsewhere.Regexp().MatchString(word) || onlyReference.Regexp().MatchString(word) {
			continue
		}
		return []span{{f.from + len(inPlace.Regexp().FindString(word)), len(value)}}
	}
	return nil
}

// arguments gives the passwords among the arguments of a line's command.
func arguments(text string) (found []span) {
	at := command.Regexp().FindStringIndex(text)
	if at == nil {
		return nil
	}
	for _, sp := range append(matches(argument, text[at[1]:]), matches(header, text[at[1]:])...) {
		sp = span{at[1] + sp.from, at[1] + sp.to}
		if text[sp.from] != '{' {
			sp.to = sp.from + len(strings.TrimRight(text[sp.from:sp.to], "}")) // the end of what the command is in
		}
		if sp.from < sp.to && !noPassword.Regexp().MatchString(text[sp.from:sp.to]) {
			found = append(found, sp)
		}
	}
	return found
}

// matches gives the parts that an expression has in parentheses.
func matches(p *pattern.Pattern, text string) (found []span) {
	for _, m := range p.Regexp().FindAllStringSubmatchIndex(text, -1) {
		for i := 2; i < len(m); i += 2 {
			if m[i] >= 0 && !onlyReference.Regexp().MatchString(strings.TrimRight(text[m[i]:m[i+1]], lines.Blanks)) {
				found = append(found, span{m[i], m[i+1]})
			}
		}
	}
	return found
}
