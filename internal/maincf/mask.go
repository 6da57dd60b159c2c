package maincf

import (
	"regexp"
	"strings"
)

// Stars stand for a secret.
const Stars = "***"

// inline are the tables that hold their content in main.cf itself.
var inline = regexp.MustCompile(`\b(static|inline):.*`)

// Mask hides, for a diff, what passwords stand in a main.cf itself: smtp_sasl_password_maps = static:USER:PASSWORD and the like, in
// comments as well.
func Mask(text []byte) []byte {
	var out strings.Builder
	passwords, hidden := false, false
	for line := range strings.Lines(string(text)) {
		if strings.TrimLeft(line, " \t") == line {
			passwords, hidden = strings.Contains(line, "password_maps"), false
		}
		bare := strings.TrimRight(line, "\r\n")
		switch {
		case hidden:
			line = " " + Stars + "\n"
		case passwords && inline.MatchString(bare):
			line, hidden = inline.ReplaceAllString(bare, "$1:"+Stars)+"\n", true
		}
		out.WriteString(line)
	}
	return []byte(out.String())
}
