package maincf

import (
	"slices"
	"strings"
)

// SplitList splits a value as Postfix splits lists: at commas and white space, but not inside { }. The braces stay in the
// element (mystrtokq(3)).
func SplitList(value string) []string {
	var list []string
	level, start := 0, -1
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case level == 0 && strings.IndexByte(", \t\r\n", c) >= 0:
			if start >= 0 {
				list = append(list, value[start:i])
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
		list = append(list, value[start:])
	}
	return list
}

// SameList tells whether two values are the same list in other spacing.
func SameList(a, b string) bool { return slices.Equal(SplitList(a), SplitList(b)) }
