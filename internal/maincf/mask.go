package maincf

import (
	"fmt"
	"slices"
	"strings"

	"postfix-maint/internal/maincf/lines"
)

// Stars stand for a secret.
const Stars = "***"

// Mask hides every secret in the text of a main.cf, a master.cf or a lookup table's own file, in comments as well, so that it can be
// shown: values of password parameters (bind_pw, NAME_password and the like), tables that hold their content themselves (static:,
// inline:) where accounts stand in them, and what parameters of any name hold that such a value leads to by $name. beside are the
// instance's other files: master.cf may lead to a parameter of main.cf. The lines stay as many as they are.
func Mask(text []byte, beside ...[]byte) []byte {
	physical := splitLines(text)
	groups := group(physical)
	secrets := findSecrets(groups)
	for _, b := range beside {
		secrets.add(group(splitLines(b)))
	}
	secrets.follow()
	for _, g := range groups {
		spans := secrets.spans(g)
		g.hide(physical, spans)
	}
	return []byte(strings.Join(physical, ""))
}

// Show is "name = value" for people, without what Mask hides. What is too large for a diff is told by its size.
func Show(name, value string) string {
	if len(name)+len(value) > maxShown {
		return fmt.Sprintf("%.100s = (%d bytes, too large to be shown)", name, len(value))
	}
	return string(Mask([]byte(name + " = " + strings.NewReplacer("\n", " ", "\r", " ").Replace(value))))
}

func splitLines(text []byte) []string { return strings.SplitAfter(string(text), "\n") }

// logical is a logical line: of the file, or of what stands in its comments as if it were not commented out.
type logical struct {
	text    string
	comment bool
	indent  int // of a comment's first line, behind the #
	rows    []row
}

// row is a physical line's part of it: where it starts in the physical line, and in the text.
type row struct{ line, from, at int }

// group finds the logical lines of a text and of its comments. White space in front continues a line, in a comment more of it.
func group(physical []string) []*logical {
	var all []*logical
	var last, lastComment *logical // what the next line may continue
	for i, line := range physical {
		bare := strings.TrimRight(line, "\r\n")
		body := strings.TrimLeft(bare, lines.Blanks)
		if body == "" {
			lastComment = nil
			continue
		}
		if body[0] != '#' {
			lastComment = nil
			if last == nil || len(body) == len(bare) {
				last = &logical{}
				all = append(all, last)
			}
			last.rows = append(last.rows, row{line: i})
			continue
		}
		body = strings.TrimLeft(body, "#")
		indent := len(body) - len(strings.TrimLeft(body, lines.Blanks))
		if lastComment == nil || indent <= lastComment.indent {
			lastComment = &logical{comment: true, indent: indent}
			all = append(all, lastComment)
		}
		lastComment.rows = append(lastComment.rows, row{line: i, from: len(bare) - len(body)})
	}
	for _, g := range all {
		var joined strings.Builder
		for i := range g.rows {
			r := &g.rows[i]
			r.at = joined.Len()
			joined.WriteString(strings.TrimRight(physical[r.line][r.from:], "\r\n"))
			joined.WriteByte(' ') // "a" and a comment's "b" are two words
		}
		g.text = joined.String()
	}
	return all
}

// span is a part of a text.
type span struct{ from, to int }

// merged sorts spans and joins those that overlap or touch.
func merged(spans []span) (out []span) {
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	for _, s := range spans {
		if n := len(out); n > 0 && s.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
		} else {
			out = append(out, s)
		}
	}
	return out
}

// hide puts stars in place of the spans. A comment between the lines of something secret may hold what it was before.
func (g *logical) hide(physical []string, spans []span) {
	if len(spans) == 0 {
		return
	}
	spans = merged(spans)
	for n, r := range g.rows {
		line := physical[r.line]
		end := len(strings.TrimRight(line, "\r\n"))
		var out strings.Builder
		done := r.from + len(line[r.from:end]) - len(strings.TrimLeft(line[r.from:end], lines.Blanks)) // what makes it a continuation stays
		out.WriteString(line[:done])
		for len(spans) > 0 && spans[0].from < r.at+end-r.from {
			from, to := max(done, spans[0].from-r.at+r.from), min(end, spans[0].to-r.at+r.from)
			if from < to {
				out.WriteString(line[done:from] + Stars)
				done = to
			}
			if spans[0].to > r.at+end-r.from {
				break // it goes on in the next line
			}
			spans = spans[1:]
		}
		physical[r.line] = out.String() + line[done:]
		if n+1 < len(g.rows) && !g.comment {
			hideComments(physical[r.line+1 : g.rows[n+1].line])
		}
	}
}

func hideComments(physical []string) {
	for i, line := range physical {
		if body := strings.TrimLeft(line, lines.Blanks); strings.HasPrefix(body, "#") {
			physical[i] = line[:len(line)-len(body)] + "# " + Stars + body[len(strings.TrimRight(body, "\r\n")):]
		}
	}
}
