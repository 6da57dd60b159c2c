// Package table (ring: flow) edits the text files that postmap(1) indexes, and tables of patterns. What it writes stands in
// one block between two comment lines; every other line is the administrator's and stays as it is. An entry of the
// administrator's that the block stands in for is kept in the block as a comment, so that taking the block out again gives
// the file as it was, without a second copy of a secret anywhere.
package table

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"postfix-maint/internal/maincf/lines"
)

const (
	begin  = `# BEGIN postfix-maint smarthost: the lines down to END are rewritten by "postfix-maint smarthost set"`
	end    = "# END postfix-maint smarthost"
	former = "# former: "
)

// Entry is one line of a table. In a table of patterns the key is the pattern with its delimiters and flags.
type Entry struct{ Key, Value string }

// Strip takes our block out and puts back the entries that it stood in for.
func Strip(text []byte) ([]byte, error) {
	all, err := lines.Split(text)
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	inside := false
	for n, line := range all {
		switch bare := strings.TrimRight(line, "\r\n"); {
		case bare == begin && !inside:
			inside = true
		case bare == end && inside:
			inside = false
		case bare == begin || bare == end:
			return nil, fmt.Errorf("cannot understand line %d: a mark of postfix-maint is out of place", n+1)
		case !inside:
			out.WriteString(line)
		case strings.HasPrefix(line, former):
			out.WriteString(line[len(former):])
		}
	}
	if inside {
		return nil, fmt.Errorf("cannot understand the file: the line %q is missing", end)
	}
	return []byte(out.String()), nil
}

// Put adds the block with the entries to a text without one. With keyed set, lookups are by the whole key, and an entry of
// the text that has one of the keys moves into the block as a comment; in a table of patterns the order counts, and the
// text's own patterns come first.
func Put(text []byte, entries []Entry, keyed bool) ([]byte, error) {
	if len(entries) == 0 {
		return text, nil
	}
	all, err := lines.Split(text)
	if err != nil {
		return nil, err
	}
	block := []string{begin}
	if keyed {
		ours := map[string]bool{}
		for _, e := range entries {
			ours[fold(e.Key)] = true
		}
		for _, rows := range lines.Logical(all) {
			if key, _, _ := split(lines.Join(all, rows)); !ours[fold(key)] {
				continue
			}
			for _, i := range rows {
				block = append(block, former+strings.TrimRight(all[i], "\r\n"))
				all[i] = ""
			}
		}
	}
	all = slices.DeleteFunc(all, func(line string) bool { return line == "" })
	for _, e := range entries {
		block = append(block, e.Key+" "+e.Value)
	}
	for _, line := range append(block, end) {
		all = lines.Append(all, line)
	}
	return []byte(strings.Join(all, "")), nil
}

// Same tells whether two texts of an indexed table with our entries differ at most in where our block stands. A line of somebody
// else's behind it that begins with white space would make an entry another one.
func Same(a, b []byte, entries []Entry) bool {
	restA, errA := Strip(a)
	restB, errB := Strip(b)
	if errA != nil || errB != nil || string(restA) != string(restB) || block(a) != block(b) {
		return false
	}
	inA, inB := index(a), index(b)
	return !slices.ContainsFunc(entries, func(e Entry) bool { return inA[fold(e.Key)] != inB[fold(e.Key)] })
}

// block is what stands in our block, "" without one.
func block(text []byte) string {
	_, inside, _ := strings.Cut(string(text), begin+"\n")
	inside, _, _ = strings.Cut(inside, end+"\n")
	return inside
}

// Lookup finds a key as an indexed table finds it: case folded; of several the first one counts (mkmap_append(3)).
func Lookup(text []byte, key string) (value string, ok bool) {
	value, ok = index(text)[fold(key)]
	return value, ok
}

// index is the table that postmap(1) makes of a text; empty if the text cannot be read.
func index(text []byte) map[string]string {
	all, err := lines.Split(text)
	if err != nil {
		return nil
	}
	found := map[string]string{}
	for _, rows := range lines.Logical(all) {
		k, v, _ := split(lines.Join(all, rows))
		if _, double := found[fold(k)]; !double {
			found[fold(k)] = v
		}
	}
	return found
}

// Empty tells whether a text has neither entries nor comments worth keeping.
func Empty(text []byte) bool { return strings.TrimSpace(string(text)) == "" }

// Check refuses what postmap(1) would complain about with the line's text in its message, which goes to the mail log: a
// line of a password table must never get there. The error names the line and shows nothing of it.
func Check(text []byte) error {
	all, err := lines.Split(text)
	if err != nil {
		return err
	}
	for n, line := range all {
		bare := strings.TrimLeft(line, lines.Blanks+"\n")
		if bare != "" && bare[0] != '#' {
			if len(bare) < len(line) {
				return fmt.Errorf("line %d continues nothing: it starts with white space", n+1)
			}
			break
		}
	}
	for _, rows := range lines.Logical(all) {
		logical := lines.Join(all, rows)
		if !utf8.ValidString(logical) {
			return fmt.Errorf("line %d is not UTF-8", rows[0]+1)
		}
		if _, _, err := split(logical); err != nil {
			return fmt.Errorf("line %d: %w", rows[0]+1, err)
		}
	}
	return nil
}

// CheckKey refuses a key that would not come back as one.
func CheckKey(key string) error {
	k, v, err := split(key + " value")
	switch {
	case err != nil:
		return err
	case key == "" || key[0] == '#' || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r == 0x7f }) || k != key || v != "value":
		return fmt.Errorf("%q cannot be the key of a table", key)
	}
	return nil
}

// split divides an entry as postmap.c does: the key ends at the first white space outside quotes, and white space around
// the value is not part of it.
func split(logical string) (key, value string, err error) {
	quoted := false
	i := 0
	for ; i < len(logical); i++ {
		switch c := logical[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && strings.IndexByte(lines.Blanks, c) >= 0:
			return logical[:i], strings.Trim(logical[i:], lines.Blanks+"\n"), nil
		}
	}
	if quoted {
		return logical, "", errors.New("a quote in the key is not closed")
	}
	return logical, "", errors.New("a key without a value")
}

func fold(key string) string { return strings.ToLower(key) }
