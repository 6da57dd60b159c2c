package aliases

import (
	"fmt"
	"slices"
	"strings"
)

// Set makes an alias stand for these recipients. The entry that counts, the first, is rewritten in its place; where there is
// none one is added. Recipients as they are already change nothing.
func (f *File) Set(key string, values ...string) (changed bool, err error) {
	have, found := f.Lookup(key)
	if !found {
		return f.Add(key, values...)
	}
	if slices.Equal(have, values) {
		return false, nil
	}
	text, err := entryText(key, values)
	if err != nil {
		return false, fmt.Errorf("cannot set alias %q: %w", key, err)
	}
	rows := f.entries[fold(key)].rows
	first := f.lines[rows[0]]
	f.lines[rows[0]] = text + first[len(strings.TrimRight(first, "\r\n")):]
	for _, i := range rows[1:] {
		f.lines[i] = ""
	}
	f.lines = slices.DeleteFunc(f.lines, func(line string) bool { return line == "" })
	f.index()
	return true, nil
}
