package doctor

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// width is that of the narrowest terminal.
const width = 80

// Text is the report for people: one line if nothing was found.
func (r Report) Text() string {
	var b strings.Builder
	for _, f := range r.Findings {
		if f.Fixed {
			write(&b, "mended: ", f.ID+": "+f.Title)
		}
	}
	left := r.Left()
	if len(left) == 0 {
		if len(r.Unseen) == 0 {
			fmt.Fprintf(&b, "healthy: nothing found by %d checks of %d %s\n", r.Checks, r.Instances, plural(r.Instances, "instance"))
		}
		return b.String()
	}
	for n, f := range left {
		if n > 0 {
			b.WriteByte('\n')
		}
		head := fmt.Sprintf("%s: %s (%s)", f.Severity, f.Title, f.ID)
		if f.Instance != "" && f.Instance != "-" {
			head += ", instance " + f.Instance
		}
		write(&b, "", head)
		seen := f.Seen
		if place := f.Place(); place != "" {
			seen = place + ": " + seen
		}
		write(&b, "  seen  ", seen)
		write(&b, "  why   ", f.Why)
		write(&b, "  do    ", f.Do)
		if remedy := f.Remedy(); remedy != "" {
			write(&b, "  fix   ", `"`+remedy+`"`)
		}
	}
	for _, u := range r.Unseen {
		write(&b, "not seen: ", u)
	}
	return b.String()
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// write writes text behind a label, wrapped at blanks; words stay whole, so that a path can be copied.
func write(b *strings.Builder, label, text string) {
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) && r != ' ' && r != '\n' {
			return '?'
		}
		return r
	}, text)
	at := len(label)
	b.WriteString(label)
	for n, w := range strings.Fields(text) {
		size := utf8.RuneCountInString(w)
		switch {
		case n == 0:
		case at+1+size > width:
			indent := max(len(label), 2)
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(w)
		at += size
	}
	b.WriteByte('\n')
}
