package maincf

import (
	"slices"
	"strings"
)

// SplitList splits a value as Postfix splits lists: at commas and white space, but not inside { }. The braces stay in the
// element (mystrtokq(3)).
func SplitList(value string) []string {
	var list []string
	for _, f := range fields(value, ", \t\r\n") {
		list = append(list, value[f.from:f.to])
	}
	return list
}

// fields finds what stands between separators, but not inside { }.
func fields(text, separators string) []span {
	var found []span
	level, start := 0, -1
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case level == 0 && strings.IndexByte(separators, c) >= 0:
			if start >= 0 {
				found = append(found, span{start, i})
			}
			start = -1
			continue
		case c == '{':
			level++
		case c == '}' && level > 0:
			level--
		}
		if start < 0 {
			start = i
		}
	}
	if start >= 0 {
		found = append(found, span{start, len(text)})
	}
	return found
}

// SameList tells whether two values are the same list in other spacing.
func SameList(a, b string) bool { return slices.Equal(SplitList(a), SplitList(b)) }
