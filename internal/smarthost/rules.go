package smarthost

import (
	"fmt"
	"strings"

	"postfix-maint/internal/maincf/lines"
)

// ParseRules reads the lines of a canonical table: "sender address" for typ "", "/pattern/flags address" for "regexp" and "pcre"
// (canonical(5), regexp_table(5)). The "if" and "endif" of such tables are not for rules of ours.
func ParseRules(typ string, data []byte) (Rewriting, error) {
	r := Rewriting{Kind: "canonical", Type: typ}
	all, err := lines.Split(data)
	if err != nil {
		return r, err
	}
	for _, rows := range lines.Logical(all) {
		text := strings.TrimRight(lines.Join(all, rows), lines.Blanks)
		n := strings.IndexAny(text, lines.Blanks)
		if typ != "" {
			n = patternEnd(text)
		}
		if n <= 0 || n >= len(text) {
			return r, fmt.Errorf("cannot read line %d of the senders: it is no sender and address", rows[0]+1)
		}
		r.Rules = append(r.Rules, Rule{Sender: text[:n], Address: strings.Trim(text[n:], lines.Blanks)})
	}
	return r, nil
}

// patternEnd gives the length of "/pattern/flags" or "!/pattern/flags" at the start of a line, 0 if there is none. The first
// character is the delimiter; a backslash takes its meaning away.
func patternEnd(text string) int {
	start := len(text) - len(strings.TrimLeft(text, "!"+lines.Blanks))
	if start == len(text) || strings.Contains("0123456789abcdefghijklmnopqrstuvwxyz", strings.ToLower(text[start:start+1])) {
		return 0
	}
	for i := start + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case text[start]:
			if n := strings.IndexAny(text[i:], lines.Blanks); n > 0 {
				return i + n
			}
			return 0
		}
	}
	return 0
}
