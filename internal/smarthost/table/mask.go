package table

import (
	"strings"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/maincf/lines"
)

// Stars stand for a secret.
const Stars = maincf.Stars

// Mask is a password table with every secret replaced, for a diff: the part of each value behind the account, and all of
// each comment, since an old password may stand in one. A continuation line is replaced as a whole.
func Mask(text []byte) []byte {
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		bare := strings.TrimRight(line, "\r\n")
		switch {
		case bare == begin, bare == end, strings.Trim(bare, lines.Blanks) == "":
		case strings.HasPrefix(bare, former):
			bare = former + maskEntry(bare[len(former):])
		case bare[0] == '#':
			bare = "# " + Stars
		default:
			bare = maskEntry(bare)
		}
		out.WriteString(bare + "\n")
	}
	return []byte(out.String())
}

// maskEntry keeps the key and the account. Without a colon nobody can tell what the value is.
func maskEntry(line string) string {
	key, value, err := split(line)
	if err != nil || key == "" {
		return Stars
	}
	account, _, found := strings.Cut(value, ":")
	if !found {
		return key + " " + Stars
	}
	return key + " " + account + ":" + Stars
}
