// Package dynamicmaps (ring: format) reads and edits Postfix's registry of the map types that live in libraries of their own:
// lines of type, library, function to open a map and, for types that can be built, function to build one. Empty lines and those
// that begin with # mean nothing (dynamicmaps(3) in Postfix's source). What is not edited stays byte for byte.
package dynamicmaps

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"postfix-maint/internal/pattern"
)

// Head is the first line of a new registry, as Debian's has it.
const Head = "# dict-type\tso-name (pathname)\tdict-function\tmkmap-function\n"

// Entry is one line: a map type. Build is "" where tables of the type can't be built.
type Entry struct{ Type, Library, Open, Build string }

var typeName = pattern.New(`^[A-Za-z0-9_-]+$`)

// Debian gives the entry of a map type in Debian's naming; build "" means what Postfix's own types have. The error says that a
// name is no map type.
func Debian(typ, build string) (Entry, error) {
	if !typeName.Regexp().MatchString(typ) || build != "" && !typeName.Regexp().MatchString(build) {
		return Entry{}, fmt.Errorf("%q is no name of a map type", strings.TrimSpace(typ+" "+build))
	}
	if build == "" && (typ == "cdb" || typ == "lmdb" || typ == "sdbm") {
		build = "mkmap_" + typ + "_open"
	}
	return Entry{typ, library(typ), "dict_" + typ + "_open", build}, nil
}

func library(typ string) string { return "postfix-" + typ + ".so" }

// IsDebian tells whether the entry is the one of Debian's package for its type: another library is somebody else's.
func (e Entry) IsDebian() bool { return path.Base(e.Library) == library(e.Type) }

// String is the entry as a line without its end.
func (e Entry) String() string {
	return strings.TrimRight(strings.Join([]string{e.Type, e.Library, e.Open, e.Build}, "\t"), "\t")
}

// parse reads one line; ok is false where it names no type.
func parse(line string) (e Entry, ok bool) {
	f := strings.Fields(line)
	if len(f) == 0 || f[0][0] == '#' {
		return e, false
	}
	f = append(f, "", "", "")
	return Entry{f[0], f[1], f[2], f[3]}, true
}

// Find gives the entry of a type.
func Find(data []byte, typ string) (e Entry, ok bool) {
	for line := range strings.Lines(string(data)) {
		if e, ok = parse(line); ok && e.Type == typ {
			return e, true
		}
	}
	return Entry{}, false
}

// Add puts an entry at the end.
func Add(data []byte, e Entry) []byte {
	out := bytes.Clone(data)
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, '\n')
	}
	return append(out, e.String()+"\n"...)
}

// Remove takes out every entry for which drop holds. What is left is never nil.
func Remove(data []byte, drop func(Entry) bool) []byte {
	out := []byte{}
	for line := range bytes.Lines(data) {
		if e, ok := parse(string(line)); !ok || !drop(e) {
			out = append(out, line...)
		}
	}
	return out
}
