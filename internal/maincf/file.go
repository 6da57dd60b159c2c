// Package maincf (ring: format) reads and edits Postfix's main.cf. Everything that is not edited comes out byte for byte:
// comments, order, spacing, continuation lines, line ends, a missing final newline.
//
// The reading rules are Postfix's own, as postconf(5) words them and readllines(3) and split_nameval(3) of its sources
// apply them: a line whose first character is white space continues the definition before it, whatever comments and blank
// lines stand between; text that continues nothing is ignored; of several definitions of a name the last one wins. Lines
// ending in CR LF are kept: to Postfix the CR is white space at the end of a value.
package maincf

import (
	"errors"
	"fmt"
	"strings"

	"postfix-maint/internal/maincf/lines"
)

const blanks = lines.Blanks

// File is one main.cf.
type File struct {
	lines  []string // physical lines, each with its line end
	defs   []definition
	byName map[string][]int // indices of the definitions of each name: a look-up must cost the same in a file of any size
}

// definition is one "name = value" with its continuation lines.
type definition struct {
	name, value string // value: text between the lines' blanks as it stands
	plain       string // the value as Get gives it
	rows        []int  // indices of the physical lines that hold its text; comments between them are not in it
}

// Parse reads a main.cf. It refuses what makes every Postfix program stop (a line without "=") and null bytes, behind which
// Postfix silently ignores text. The error names the line.
func Parse(data []byte) (*File, error) {
	physical, err := lines.Split(data)
	if err != nil {
		return nil, err
	}
	f := &File{lines: physical}
	if err := f.index(); err != nil {
		return nil, err
	}
	return f, nil
}

// index finds the definitions in the lines.
func (f *File) index() error {
	groups := lines.Logical(f.lines)
	f.defs, f.byName = make([]definition, 0, len(groups)), map[string][]int{}
	for _, rows := range groups {
		d, err := define(lines.Join(f.lines, rows))
		if err != nil {
			return fmt.Errorf("cannot read line %d: %w", rows[0]+1, err)
		}
		d.rows, d.plain = rows, normal(d.value)
		f.byName[d.name] = append(f.byName[d.name], len(f.defs))
		f.defs = append(f.defs, d)
	}
	return nil
}

// define splits a logical line in name and value (split_nameval(3)).
func define(text string) (definition, error) {
	name, value, found := strings.Cut(text, "=")
	name = strings.TrimRight(name, blanks)
	switch {
	case found && name == "":
		return definition{}, errors.New("no parameter name before \"=\"")
	case !found || strings.ContainsAny(name, blanks):
		return definition{}, errors.New("it has no \"=\" behind a parameter's name") // its text may be a part of a password
	}
	return definition{name: name, value: strings.Trim(value, blanks)}, nil
}

// Bytes returns the file's text.
func (f *File) Bytes() []byte { return []byte(strings.Join(f.lines, "")) }

// find returns the definition in force, nil if there is none.
func (f *File) find(name string) *definition {
	all := f.byName[name]
	if len(all) == 0 {
		return nil
	}
	return &f.defs[all[len(all)-1]]
}

// Get returns the value that the file sets, as "postconf -h name" prints it: macros unexpanded, continuation lines joined,
// each run of white space one blank. (Few parameters give a run of blanks a meaning; smtpd_banner is one.)
func (f *File) Get(name string) (value string, ok bool) {
	if d := f.find(name); d != nil {
		return d.plain, true
	}
	return "", false
}

// normal is the form in which postconf(1) prints values.
func normal(value string) string {
	if strings.IndexByte(value, ' ') < 0 && !strings.ContainsAny(value, "\t\r\n") { // one word
		return value
	}
	return strings.Join(strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) }), " ")
}

// Line returns the number of the line where the definition in force starts, 0 if the file does not set the parameter.
func (f *File) Line(name string) int {
	if d := f.find(name); d != nil {
		return d.rows[0] + 1
	}
	return 0
}

// Names returns the parameters that the file sets, each once, in the order of their first definitions.
func (f *File) Names() []string {
	var names []string
	for i, d := range f.defs {
		if f.byName[d.name][0] == i {
			names = append(names, d.name)
		}
	}
	return names
}
