// Package aliases (ring: format) reads an aliases file as postalias(1) does, and adds entries to it. What is there comes out
// byte for byte.
package aliases

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"postfix-maint/internal/maincf/lines"
)

// File is one aliases file.
type File struct {
	lines   []string
	entries map[string]entry // by folded key; of several entries for a key postalias keeps the first
}

// entry is what stands behind a key, and the indices of the lines that hold it.
type entry struct {
	text string
	rows []int
}

// Parse reads an aliases file. Lines that postalias skips with a warning are skipped: no name, no value, several names, or a
// domain in the name. A null byte is refused.
func Parse(data []byte) (*File, error) {
	physical, err := lines.Split(data)
	if err != nil {
		return nil, err
	}
	f := &File{lines: physical}
	f.index()
	return f, nil
}

// index finds the entries in the lines.
func (f *File) index() {
	f.entries = map[string]entry{}
	for _, rows := range lines.Logical(f.lines) {
		key, text, ok := parseEntry(lines.Join(f.lines, rows))
		if _, double := f.entries[key]; ok && !double {
			f.entries[key] = entry{text, rows}
		}
	}
}

// parseEntry splits "name: value, value". What stands behind the colon is not looked into.
func parseEntry(text string) (key, values string, ok bool) {
	name := writer{}
	for i := 0; ; {
		var t token
		t, i = scan(text, i)
		switch t.kind {
		case 0, ',', '@', '%':
			return "", "", false
		case ':':
			rest := strings.TrimLeft(text[i:], spaces)
			return fold(name.String()), rest, name.last != 0 && rest != ""
		}
		name.put(t)
	}
}

// elements splits a text at the commas and leaves out what is empty.
func elements(text string) (list []string) {
	element := writer{quotes: true}
	for i := 0; ; {
		var t token
		if t, i = scan(text, i); t.kind != 0 && t.kind != ',' {
			element.put(t)
			continue
		}
		if element.Len() > 0 {
			list = append(list, element.String())
		}
		if t.kind == 0 {
			return list
		}
		element = writer{quotes: true}
	}
}

// fold makes keys comparable. Postfix folds case, of letters beyond ASCII only if smtputf8_enable says so; the few letters that
// fold to two (German sharp s) are left alone here.
func fold(key string) string {
	if utf8.ValidString(key) {
		return strings.ToLower(key)
	}
	return key // ToLower would make all bytes that are no UTF-8 equal
}

// Bytes returns the file's text.
func (f *File) Bytes() []byte { return []byte(strings.Join(f.lines, "")) }

// Lookup returns the recipients that an alias stands for. The key is the plain name, without quotes, in any case; the values are
// in the form of postalias -q, quotes around them kept: "|command arguments", :include:/file, user@example.
func (f *File) Lookup(key string) (values []string, ok bool) {
	e, ok := f.entries[fold(key)]
	return elements(e.text), ok
}

// Keys are the names of the aliases, in the order of the file. Letters are small.
func (f *File) Keys() []string {
	keys := slices.Collect(maps.Keys(f.entries))
	slices.SortFunc(keys, func(a, b string) int { return f.entries[a].rows[0] - f.entries[b].rows[0] })
	return keys
}

// Line is the number of an alias's first line, 0 if there is no such alias.
func (f *File) Line(key string) int {
	e, ok := f.entries[fold(key)]
	if !ok {
		return 0
	}
	return e.rows[0] + 1
}

// Add appends an entry. A key that has an entry is left alone, whatever the entry says. The values are written as they are
// given, so a command with arguments needs its quotes.
func (f *File) Add(key string, values ...string) (changed bool, err error) {
	text, err := entryText(key, values)
	if err != nil {
		return false, fmt.Errorf("cannot add alias %q: %w", key, err)
	}
	if _, found := f.entries[fold(key)]; found {
		return false, nil
	}
	f.lines = lines.Append(f.lines, text)
	_, recipients, _ := parseEntry(text)
	f.entries[fold(key)] = entry{recipients, []int{len(f.lines) - 1}}
	return true, nil
}

// entryText writes an entry and reads it back: what does not come out as it went in is refused.
func entryText(key string, values []string) (string, error) {
	text := quoteKey(key) + ": " + strings.Join(values, ", ")
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", errors.New("it holds a newline or another control character")
	}
	for _, v := range values {
		if !isRecipient(v) {
			return "", fmt.Errorf("%q is not one recipient", v)
		}
	}
	gotKey, _, ok := parseEntry(text)
	if !ok || key == "" || gotKey != fold(key) {
		return "", errors.New("an alias needs a name and a value")
	}
	return text, nil
}

// quoteKey puts a name in quotes if it is more than a dot-separated word.
func quoteKey(key string) string {
	if key != "" && !strings.ContainsAny(strings.ReplaceAll(key, ".", ""), operators+" #") {
		return key
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`
}

// isRecipient refuses what local(8) would take for more than one recipient or for a comment, and open quotes.
func isRecipient(value string) bool {
	whole := writer{quotes: true}
	for i := 0; ; {
		var t token
		t, i = scan(value, i)
		switch {
		case t.kind == 0:
			return whole.last != 0 && whole.String() == value
		case t.kind == ',', t.kind == comment, t.isWord() && whole.last == word:
			return false
		}
		whole.put(t)
	}
}
