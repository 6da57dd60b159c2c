package maincf

import (
	"fmt"
	"slices"
	"strings"

	"postfix-maint/internal/maincf/lines"
)

// Edit is one change to a main.cf, made by Set or Unset.
type Edit struct {
	name, value string
	unset, once bool
}

// Set gives a parameter a value. White space around the value is not part of it, as in postconf -e.
func Set(name, value string) Edit {
	return Edit{name: name, value: strings.Trim(value, blanks)}
}

// Unset removes all definitions of a parameter, so that Postfix's default holds.
func Unset(name string) Edit { return Edit{name: name, unset: true} }

// Once removes the definitions of a parameter that a later one overrides; what is in force stays byte for byte.
func Once(name string) Edit { return Edit{name: name, once: true} }

// Name is the parameter that the edit concerns.
func (e Edit) Name() string { return e.name }

// Apply makes the edits in their order, each by touching as few bytes as it can. The meaning is that of postconf -e and -X;
// unlike them it leaves a definition alone that already has the wanted value, as it stands or as Get gives it. If one edit is refused none is made.
func (f *File) Apply(edits ...Edit) (changed bool, err error) {
	for _, e := range edits {
		if err := e.check(); err != nil {
			return false, err
		}
	}
	before := string(f.Bytes())
	for len(edits) > 0 { // a name's second edit meets what its first one made
		n := 0
		for seen := map[string]bool{}; n < len(edits) && !seen[edits[n].name]; n++ {
			seen[edits[n].name] = true
		}
		if err := f.applyOnce(edits[:n]); err != nil {
			return false, err
		}
		edits = edits[n:]
	}
	return string(f.Bytes()) != before, nil
}

// applyOnce makes edits of different parameters. The file is read anew once, not for each of them.
func (f *File) applyOnce(edits []Edit) error {
	var added []string
	for _, e := range edits {
		switch all := f.byName[e.name]; {
		case e.unset:
			f.drop(all)
		case e.once:
			f.drop(all[:max(len(all)-1, 0)])
		case len(all) == 0:
			added = append(added, strings.TrimRight(e.name+" = "+e.value, blanks))
		default:
			f.set(e.name, e.value, all)
		}
	}
	f.lines = slices.DeleteFunc(f.lines, func(line string) bool { return line == "" })
	for _, line := range added {
		f.lines = lines.Append(f.lines, line)
	}
	if err := f.index(); err != nil {
		return fmt.Errorf("internal error: an edit broke the file: %w", err)
	}
	return nil
}

// check refuses what could not be read back. A name may hold more than letters: NAME_destination_rate_delay starts with a
// transport's name from master.cf.
func (e Edit) check() error {
	if e.name == "" || e.name[0] == '#' || strings.ContainsFunc(e.name, func(r rune) bool {
		return r <= ' ' || r == '=' || r == 0x7f
	}) {
		return fmt.Errorf("cannot set %q in main.cf: not a parameter name", e.name)
	}
	if strings.ContainsFunc(e.value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return fmt.Errorf("cannot set %s in main.cf: the value holds a newline or another control character", e.name)
	}
	return nil
}

// set rewrites the definition in force, the last one, and removes earlier ones: postconf -e leaves no other value behind either (it
// writes the new one into each), and Postfix would warn of each one left.
func (f *File) set(name, value string, all []int) {
	last := f.defs[all[len(all)-1]]
	if last.value == value || last.plain == value {
		return
	}
	f.lines[last.rows[0]] = rewrite(f.lines[last.rows[0]], name, value)
	f.blank(last.rows[1:])
	f.drop(all[:len(all)-1])
}

// drop removes definitions.
func (f *File) drop(defs []int) {
	for _, i := range defs {
		f.blank(f.defs[i].rows)
	}
}

// blank empties lines; indices stay true until applyOnce removes them.
func (f *File) blank(rows []int) {
	for _, i := range rows {
		f.lines[i] = ""
	}
}

// rewrite replaces the value in a definition's first line and keeps the spacing around "=" and the line end.
func rewrite(line, name, value string) string {
	text := strings.TrimRight(line, "\r\n")
	end := line[len(text):]
	head, old, found := strings.Cut(text, "=")
	if !found { // "name", the "=" on the next line: legal, and too odd to keep
		return strings.TrimRight(name+" = "+value, blanks) + end
	}
	gap := old[:len(old)-len(strings.TrimLeft(old, blanks))]
	if len(gap) == len(old) { // no value in this line to take the gap from
		gap = head[len(strings.TrimRight(head, blanks)):]
	}
	return strings.TrimRight(head+"="+gap+value, blanks) + end
}
