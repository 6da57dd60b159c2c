package inventory

import (
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/maincf"
)

// textTypes are the types of tables whose text, one "key value" a line, stands in a file of the name given.
var textTypes = []string{"hash", "btree", "lmdb", "cdb", "texthash", "regexp", "pcre", "cidr"}

// accessLists are the parameters whose tables give restrictions again (access(5)).
var accessLists = []string{
	"smtpd_client_restrictions", "smtpd_helo_restrictions", "smtpd_sender_restrictions", "smtpd_relay_restrictions",
	"smtpd_recipient_restrictions", "smtpd_data_restrictions", "smtpd_end_of_data_restrictions", "smtpd_etrn_restrictions",
}

// filterMaps are the parameters whose tables may give "FILTER transport:nexthop".
var filterMaps = append([]string{
	"header_checks", "mime_header_checks", "nested_header_checks", "body_checks", "milter_header_checks",
}, accessLists...)

// eachResult visits what the tables of a parameter give as far as their texts tell: of servers nobody knows. For a list of restrictions
// the tables of the classes that it names count as well.
func (l *lister) eachResult(parameter string, visit func(o origin, result string)) {
	l.resultsOf(l.origin(parameter), l.value(l.service, parameter), map[string]bool{}, visit)
}

func (l *lister) resultsOf(o origin, value string, read map[string]bool, visit func(o origin, result string)) {
	for _, word := range maincf.SplitList(value) {
		switch {
		case strings.Contains(word, ":"):
			l.resultsOfTable(o, word, visit)
		case !read[word] && slices.Contains(l.classes(), word):
			read[word] = true
			l.resultsOf(l.origin(word), l.value(l.service, word), read, visit)
		}
	}
}

// classes are the classes of restrictions that the service knows.
func (l *lister) classes() []string {
	return maincf.SplitList(l.value(l.service, "smtpd_restriction_classes"))
}

// resultsOfTable visits the results of one table, those of what it is made of among them.
func (l *lister) resultsOfTable(o origin, spec string, visit func(o origin, result string)) {
	typ, name, _ := strings.Cut(spec, ":")
	switch {
	case typ == "proxy":
		l.resultsOfTable(o, name, visit)
	case typ == "unionmap" || typ == "pipemap":
		for _, part := range parts(name) {
			l.resultsOfTable(o, part, visit)
		}
	case typ == "static":
		visit(o, strings.Join(parts(name), " "))
	case typ == "randmap":
		for _, part := range parts(name) {
			visit(o, strings.TrimSpace(strings.Trim(part, "{}")))
		}
	case typ == "inline":
		for _, part := range parts(name) {
			if _, result, ok := strings.Cut(strings.Trim(part, "{}"), "="); ok {
				visit(o, strings.TrimSpace(result))
			}
		}
	case slices.Contains(textTypes, typ) && path.IsAbs(name):
		l.resultsOfText(o, typ, name, visit)
	}
}

// resultsOfText visits the values in a table's text, each with its line.
func (l *lister) resultsOfText(o origin, typ, file string, visit func(o origin, result string)) {
	n := 0
	for line := range strings.Lines(string(l.text(o, file))) {
		n++
		text := strings.TrimSpace(line)
		if text == "" || text[0] == '#' {
			continue
		}
		if typ == "regexp" || typ == "pcre" {
			text = afterPattern(text)
		}
		if at := strings.IndexAny(text, " \t"); at >= 0 {
			visit(origin{o.parameter, file, n}, strings.TrimSpace(text[at:]))
		}
	}
}

// afterPattern is what follows "/pattern/" or "!/pattern/", which may have blanks in it (regexp_table(5), pcre_table(5)).
func afterPattern(text string) string {
	rest := strings.TrimLeft(text, "! ")
	if rest == "" {
		return ""
	}
	for n := 1; n < len(rest); n++ {
		switch rest[n] {
		case '\\':
			n++
		case rest[0]:
			return rest[n:]
		}
	}
	return ""
}

// parts are what stands in braces, divided as lists are; a name without braces is the only one.
func parts(name string) []string {
	inside, ok := strings.CutPrefix(name, "{")
	if !ok {
		return []string{name}
	}
	return maincf.SplitList(strings.TrimSuffix(inside, "}"))
}

// text gives the text of a table's file, nil where it cannot be read. Several services may ask for one.
func (l *lister) text(o origin, file string) []byte {
	if l.Read == nil {
		return nil
	}
	if l.texts == nil {
		l.texts = map[string]text{}
	}
	t, known := l.texts[file]
	if !known {
		t.data, t.err = l.Read(file)
		l.texts[file] = t
	}
	if t.err != nil && l.Unread != nil {
		l.Unread(Unread{l.service.Name + "/" + l.service.Type, l.chrooted, o.parameter, o.file, o.line, file, t.err})
	}
	return t.data
}

// text is a file that was read, or why it was not.
type text struct {
	data []byte
	err  error
}
