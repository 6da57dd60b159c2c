package maincf

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"
)

// Parameters whose value postconf prints as it stands in the file.
var params = []string{"mydestination", "relayhost", "mynetworks", "alias_maps", "smtpd_banner", "smtp_tls_CAfile"}

// genValue makes values of one line: words, lists, braces, macros, odd blanks.
func genValue() *rapid.Generator[string] {
	word := rapid.SampledFrom([]string{"a", "b.example", "$x", "${y}", "# c", "=", "{ p, q }", "/etc/mailname", "[::1]/128", "é", ",", "'", "\"", "\\"})
	blank := rapid.SampledFrom([]string{" ", ", ", "\t", "  "})
	return rapid.Custom(func(t *rapid.T) string {
		var s strings.Builder
		for i, n := 0, rapid.IntRange(0, 5).Draw(t, "words"); i < n; i++ {
			if i > 0 {
				s.WriteString(blank.Draw(t, "blank"))
			}
			s.WriteString(word.Draw(t, "word"))
		}
		return s.String()
	})
}

// genFile makes main.cf texts with all the oddities that Postfix reads; sound ones have no line without "=".
func genFile(sound bool) *rapid.Generator[string] {
	name := rapid.SampledFrom(params)
	noise := rapid.SampledFrom([]string{"# c\n", "#\n", "\n", "  \n", "\t# c = d\n", "\r\n", "\f\n", "#a = b\n"})
	equals := rapid.SampledFrom([]string{" = ", "=", " =", "= ", "\t=  ", " =\n  ", "\n = "})
	wrap := rapid.SampledFrom([]string{"", "", "", "\n ", "\n\t", "\n# c\n  ", "\n\n ", "\n \n # x = y\n  ", " \n ", "\r\n "})
	end := rapid.SampledFrom([]string{"\n", "\n", "\n", " \n", "\t\n", "\r\n"})
	return rapid.Custom(func(t *rapid.T) string {
		var s strings.Builder
		if rapid.IntRange(0, 9).Draw(t, "orphan") == 0 {
			s.WriteString("  orphan text\n\n x = y\n")
		}
		for range rapid.IntRange(0, 8).Draw(t, "lines") {
			if rapid.Bool().Draw(t, "noise first") {
				s.WriteString(noise.Draw(t, "noise"))
			}
			if !sound && rapid.IntRange(0, 9).Draw(t, "bad") == 0 {
				s.WriteString(rapid.SampledFrom([]string{"bad\n", "bad line = x\n", "= x\n", "bad\n# c\n  line\n"}).Draw(t, "bad line"))
			}
			fmt.Fprintf(&s, "%s%s%s%s%s%s", name.Draw(t, "name"), equals.Draw(t, "equals"), genValue().Draw(t, "value"),
				wrap.Draw(t, "wrap"), genValue().Draw(t, "more"), end.Draw(t, "end"))
		}
		if rapid.IntRange(0, 4).Draw(t, "final newline") == 0 {
			return strings.TrimSuffix(s.String(), "\n")
		}
		return s.String()
	})
}

// genEdit makes an edit of a parameter that may be there or not.
func genEdit() *rapid.Generator[Edit] {
	return rapid.Custom(func(t *rapid.T) Edit {
		name := rapid.SampledFrom(params).Draw(t, "edited")
		if rapid.IntRange(0, 3).Draw(t, "unset") == 0 {
			return Unset(name)
		}
		return Set(name, genValue().Draw(t, "new value"))
	})
}
