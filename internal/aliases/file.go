// Package aliases (ring: format) reads an aliases file as postalias(1) does, and adds entries to it. What is there comes out
// byte for byte.
package aliases

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"postfix-maint/internal/maincf/lines"
)

// File is one aliases file.
type File struct {
	lines   []string
	entries map[string][]string // by folded key; of several entries for a key postalias keeps the first
}

// Parse reads an aliases file. Lines that postalias skips with a warning are skipped: no name, no value, several names, or a
// domain in the name. A null byte is refused.
func Parse(data []byte) (*File, error) {
	physical, err := lines.Split(data)
	if err != nil {
		return nil, err
	}
	f := &File{lines: physical, entries: map[string][]string{}}
	for _, rows := range lines.Logical(f.lines) {
		key, values, ok := parseEntry(lines.Join(f.lines, rows))
		if _, double := f.entries[key]; ok && !double {
			f.entries[key] = values
		}
	}
	return f, nil
}

// parseEntry splits "name: value, value".
func parseEntry(text string) (key string, values []string, ok bool) {
	tokens := scan(text)
	colon := 0
	for colon < len(tokens) && tokens[colon].kind != ':' {
		if strings.IndexByte(",@%", tokens[colon].kind) >= 0 {
			return "", nil, false
		}
		colon++
	}
	if colon == 0 || colon+1 >= len(tokens) {
		return "", nil, false
	}
	return fold(internal(tokens[:colon])), elements(tokens[colon+1:]), true
}

// elements splits tokens at the commas and leaves out what is empty.
func elements(tokens []token) []string {
	var list []string
	start := 0
	for i := 0; i <= len(tokens); i++ {
		if i < len(tokens) && tokens[i].kind != ',' {
			continue
		}
		if text := external(tokens[start:i]); text != "" {
			list = append(list, text)
		}
		start = i + 1
	}
	return list
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
	values, ok = f.entries[fold(key)]
	return values, ok
}

// Add appends an entry. A key that has an entry is left alone, whatever the entry says. The values are written as they are
// given, so a command with arguments needs its quotes.
func (f *File) Add(key string, values ...string) (changed bool, err error) {
	text, err := entryText(key, values)
	if err != nil {
		return false, fmt.Errorf("cannot add alias %q: %w", key, err)
	}
	if _, found := f.Lookup(key); found {
		return false, nil
	}
	f.lines = lines.Append(f.lines, text)
	f.entries[fold(key)] = slices.Clone(values)
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
	tokens := scan(value)
	if len(tokens) == 0 || external(tokens) != value {
		return false
	}
	for i, t := range tokens {
		if t.kind == ',' || t.kind == comment || i > 0 && t.isWord() && tokens[i-1].isWord() {
			return false
		}
	}
	return true
}
