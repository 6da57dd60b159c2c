package smarthost

import (
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/smarthost/table"
)

// marker stands behind a stored password that ends in white space, which postmap(1) would cut off; unmark takes it away again
// when the table is read. The table's other entries go through it as they are.
const (
	marker = "<end>"
	unmark = `regexp:{{/^(.*)<end>$$/ $$1},{/^(.*)$$/ $$1}}`
)

// setting is a parameter that gets a value.
type setting struct{ name, value string }

// addition is a table that a list of tables gets, at its front or at its end.
type addition struct {
	param, element string
	last           bool
}

// content is what one of our tables holds.
type content struct {
	name    string // of the file in the configuration directory
	typ     string
	entries []table.Entry
	keyed   bool
}

// wishes is a whole smarthost: what main.cf and the tables have to say.
type wishes struct {
	settings  []setting
	additions []addition
	tables    []content
}

// context is what the wishes depend on besides the options.
type facts struct {
	dir       string            // the configuration directory
	base      *maincf.File      // main.cf without our settings
	types     map[string]string // map type, by name of the indexed tables
	domains   []string          // names of this host in addresses
	delimiter string            // smtp_sasl_password_result_delimiter
	hostKey   bool              // another entry for the relay's bare name would be found first
	password  Secret
}

// wish decides everything. The options are resolved.
func wish(o Options, r relay, f facts) wishes {
	var w wishes
	w.set("relayhost", r.dest)
	if v, _ := f.base.Get("default_transport"); v == "error" || v == answers.Waiting()["default_transport"] { // a local only host (Debian's own words for it), or one without a relay host
		w.set("default_transport", "smtp")
		w.set("relay_transport", "smtp")
	}
	if o.OAuth == nil { // else it is a policy for the one relay
		w.set("smtp_tls_security_level", o.TLS)
	}
	if v, _ := f.base.Get("smtp_tls_wrappermode"); *o.Wrapper || v == "yes" {
		w.set("smtp_tls_wrappermode", map[bool]string{true: "yes", false: "no"}[*o.Wrapper])
	}
	if ca := caFile(o, f.base); ca != "" {
		w.set("smtp_tls_CAfile", ca)
	}
	if o.CAFile != "" {
		w.alone(f.base)
	}
	w.limits(o, f.base)
	w.account(o, r, f)
	w.local(o, f)
	w.rewriting(o, f)
	return w
}

func (w *wishes) set(name, value string) { w.settings = append(w.settings, setting{name, value}) }

// alone has the CAs that were asked for count instead of others, which Postfix would add to them: Debian's main.cf names the system's directory.
func (w *wishes) alone(base *maincf.File) {
	if dir, _ := base.Get("smtp_tls_CApath"); dir != "" {
		w.set("smtp_tls_CApath", "")
	}
	if adds, _ := base.Get("tls_append_default_CA"); adds == "yes" {
		w.set("tls_append_default_CA", "no")
	}
}

// caFile is the file of CAs to be named in main.cf, "" where one is named already or none is looked at. A CApath does not
// count: the smtp client opens it late, inside its chroot (T07).
func caFile(o Options, base *maincf.File) string {
	have, _ := base.Get("smtp_tls_CAfile")
	switch {
	case o.CAFile != "":
		return o.CAFile
	case (o.TLS == "verify" || o.TLS == "secure") && have == "":
		return paths.CABundle
	}
	return ""
}

// account makes the client log in. The mechanisms that send a password as it is are left to connections with TLS, so that a
// level that is loosened later does not give it away (T03).
func (w *wishes) account(o Options, r relay, f facts) {
	if o.User == "" {
		return
	}
	w.set("smtp_sasl_auth_enable", "yes")
	if v, ok := f.base.Get("smtp_sasl_security_options"); o.OAuth == nil && ok && !contains(v, "noplaintext", "noanonymous") {
		w.set("smtp_sasl_security_options", "noplaintext, noanonymous")
	}
	if v, ok := f.base.Get("smtp_sasl_tls_security_options"); !ok || contains(v, "noplaintext") || !contains(v, "noanonymous") {
		w.set("smtp_sasl_tls_security_options", "noanonymous")
	}
	value := o.User + f.delimiter + string(f.password)
	typ := f.types[passwordTable]
	element := typ + ":" + path.Join(f.dir, passwordTable)
	if marked := mark(value); marked != value {
		value, element = marked, "pipemap:{"+element+","+unmark+"}"
	}
	entries := []table.Entry{{Key: r.dest, Value: value}}
	if f.hostKey && r.host != r.dest {
		entries = append(entries, table.Entry{Key: r.host, Value: value})
	}
	w.additions = append(w.additions, addition{param: "smtp_sasl_password_maps", element: element})
	w.tables = append(w.tables, content{name: passwordTable, typ: typ, entries: entries, keyed: true})
}

// mark makes a value fit for a table: white space at its end is protected, and so is what looks like the protection.
func mark(value string) string {
	if strings.TrimRight(value, " \t") != value || strings.HasSuffix(value, marker) {
		return value + marker
	}
	return value
}

// unmarked undoes mark for a value that was stored under that element.
func unmarked(value, element string) string {
	if strings.HasPrefix(element, "pipemap:") {
		return strings.TrimSuffix(value, marker)
	}
	return value
}

func contains(list string, words ...string) bool {
	have := maincf.SplitList(list)
	for _, w := range words {
		if !slices.Contains(have, w) {
			return false
		}
	}
	return true
}

// rewriting brings the sender tables.
func (w *wishes) rewriting(o Options, f facts) {
	switch o.Rewrite.Kind {
	case "generic":
		var entries []table.Entry
		for _, d := range f.domains {
			entries = append(entries, table.Entry{Key: "@" + d, Value: o.Rewrite.Address})
		}
		w.table("smtp_generic_maps", content{name: genericTable, typ: f.types[genericTable], entries: entries, keyed: true}, f.dir, false)
	case "canonical":
		t := content{name: canonicalTable, typ: f.types[canonicalTable], keyed: true}
		if o.Rewrite.Type != "" {
			t = content{name: canonicalTable + "." + o.Rewrite.Type, typ: o.Rewrite.Type}
		}
		for _, rule := range o.Rewrite.Rules {
			t.entries = append(t.entries, table.Entry{Key: rule.Sender, Value: rule.Address})
		}
		w.table("sender_canonical_maps", t, f.dir, false)
	}
	if o.From != "" {
		// Patterns of the administrator's come first: the first match counts.
		w.table("smtp_header_checks", content{name: headerTable, typ: "regexp", entries: fromChecks(o.From)}, f.dir, true)
	}
}

func (w *wishes) table(param string, t content, dir string, last bool) {
	w.tables = append(w.tables, t)
	w.additions = append(w.additions, addition{param: param, element: t.typ + ":" + path.Join(dir, t.name), last: last})
}

// fromChecks give every From: header one address. The display name stays where there is one before an address in angle
// brackets; a quoted one may hold such brackets itself.
func fromChecks(address string) []table.Entry {
	address = strings.ReplaceAll(address, "$", "$$")
	return []table.Entry{
		{Key: `/^From:[[:space:]]*("([^"\\]|\\.)*"|[^<"]*[^<"[:space:]]|)[[:space:]]*<.*$/`, Value: "REPLACE From: $1 <" + address + ">"},
		{Key: `/^From:/`, Value: "REPLACE From: " + address},
	}
}

// hostDomains are the names of this host in addresses: where local mail comes from and what counts as local. Names of other
// kinds (a table, a pattern, an address) are none.
func hostDomains(origin, hostname, destinations string) []string {
	var names []string
	for _, n := range append([]string{origin, hostname}, maincf.SplitList(destinations)...) {
		n = strings.ToLower(n)
		if n != "" && !strings.ContainsAny(n, "/:![]") && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

// put makes the edits of main.cf for the wishes, and the record that undoes them.
func (w wishes) put(base *maincf.File) (*maincf.File, layer, error) {
	s := layer{Params: map[string]override{}, Added: map[string][]string{}}
	var edits []maincf.Edit
	for _, set := range w.settings {
		was, ok := base.Get(set.name)
		if ok && maincf.SameList(was, set.value) {
			continue
		}
		o := override{Is: []string{set.value}}
		if ok {
			o.Was = &was
		}
		s.Params[set.name] = o
		edits = append(edits, maincf.Set(set.name, set.value))
	}
	for _, a := range w.additions {
		have, ok := base.Get(a.param)
		if slices.Contains(maincf.SplitList(have), a.element) {
			continue
		}
		s.Added[a.param] = []string{a.element}
		value := a.element
		switch {
		case !ok:
			s.NewList = append(s.NewList, a.param)
		case have == "":
		case a.last:
			value = have + ", " + a.element
		default:
			value = a.element + ", " + have
		}
		edits = append(edits, maincf.Set(a.param, value))
	}
	f, err := apply(base, edits)
	return f, s, err
}

// strip takes the settings of a layer out of main.cf. What somebody changed since stays, and is told.
func (s layer) strip(live *maincf.File) (*maincf.File, []string, error) {
	var edits []maincf.Edit
	var kept []string
	for name, o := range s.Params {
		value, ok := live.Get(name)
		switch {
		case !o.ours(value, ok):
			if o.Was == nil && ok || o.Was != nil && (!ok || *o.Was != value) {
				kept = append(kept, name)
			}
		case o.Was == nil:
			edits = append(edits, maincf.Unset(name))
		default:
			edits = append(edits, maincf.Set(name, *o.Was))
		}
	}
	for param, elements := range s.Added {
		value, ok := live.Get(param)
		if !ok {
			continue
		}
		for _, e := range elements {
			value = without(value, e)
		}
		if value == "" && slices.Contains(s.NewList, param) {
			edits = append(edits, maincf.Unset(param))
			continue
		}
		edits = append(edits, maincf.Set(param, value))
	}
	slices.Sort(kept)
	f, err := apply(live, edits)
	return f, kept, err
}

// toward gives live with the settings of target. What means the same in both stays where it stands, as it is written.
func toward(live, target *maincf.File) (*maincf.File, error) {
	var edits []maincf.Edit
	for _, name := range target.Names() {
		want, _ := target.Get(name)
		if have, ok := live.Get(name); !ok || !maincf.SameList(have, want) {
			edits = append(edits, maincf.Set(name, want))
		}
	}
	for _, name := range live.Names() {
		if _, ok := target.Get(name); !ok {
			edits = append(edits, maincf.Unset(name))
		}
	}
	return apply(live, edits)
}

// without takes an element out of a list; the text of the others stays as it is.
func without(list, element string) string {
	elements := maincf.SplitList(list)
	i := slices.Index(elements, element)
	switch {
	case i < 0:
		return list
	case i == 0:
		return strings.TrimLeft(strings.TrimPrefix(list, element), ", ")
	case i == len(elements)-1:
		return strings.TrimRight(strings.TrimSuffix(list, element), ", ")
	}
	return strings.Join(slices.Delete(elements, i, i+1), ", ")
}

// apply makes edits in a copy.
func apply(f *maincf.File, edits []maincf.Edit) (*maincf.File, error) {
	changed, err := maincf.Parse(f.Bytes())
	if err != nil {
		return nil, err
	}
	_, err = changed.Apply(edits...)
	return changed, err
}
