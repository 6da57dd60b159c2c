package answers

import (
	"slices"
	"strings"
)

// Equal tells whether two values of a question mean the same: the same list in other spacing, the same number, the same
// type in other letters.
func Equal(q Question, a, b string) bool {
	a, b = Clean(q, a), Clean(q, b)
	if same := row(q).same; same != nil {
		return same(a, b)
	}
	return a == b
}

func sameList(a, b string) bool { return slices.EqualFunc(splitList(a), splitList(b), sameMember) }

func sameAddresses(a, b string) bool { return slices.Equal(addresses(a), addresses(b)) }

func sameBool(a, b string) bool { return (a == "true") == (b == "true") }

func sameNumber(a, b string) bool { return trimZeros(a) == trimZeros(b) }

// sameMember compares two members of a match list: Postfix folds the case of domains, but not of files and tables.
func sameMember(a, b string) bool {
	if strings.ContainsAny(a+b, "/:$") {
		return a == b
	}
	return strings.EqualFold(a, b)
}

func trimZeros(number string) string {
	if trimmed := strings.TrimLeft(number, "0"); trimmed != "" || number == "" {
		return trimmed
	}
	return "0"
}

// addresses splits the recipients for root; NONE, in any case, is nobody.
func addresses(value string) []string {
	if strings.EqualFold(value, "none") {
		return nil
	}
	return splitList(value)
}

// splitList splits a Postfix list at commas and blanks. A group in braces stays together, as in inline:{ a=b, c=d }.
func splitList(value string) []string {
	depth := 0
	return strings.FieldsFunc(value, func(r rune) bool {
		switch r {
		case '{':
			depth++
		case '}':
			depth--
		case ',', ' ', '\t', '\r', '\n':
			return depth <= 0
		}
		return false
	})
}
