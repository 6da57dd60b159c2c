// Package mastercf (ring: format) reads and edits Postfix's master.cf, the table of its services (master(5)). Everything that
// is not edited comes out byte for byte.
package mastercf

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"postfix-maint/internal/maincf/lines"
)

// blanks divide fields (CHARS_SPACE in Postfix's sources).
const blanks = " \t\r\n"

// columns is the number of fields before a service's arguments; chrootColumn is the fifth.
const (
	columns      = 8
	chrootColumn = 4
)

// File is one master.cf.
type File struct {
	lines   []string // physical lines, each with its line end
	entries []entry
}

// entry is a service and where its text stands.
type entry struct {
	service Service
	rows    []int // indices of its physical lines
	chroot  int   // offset of the chroot field in their joined text
}

// Parse reads a master.cf. It refuses what postconf -M refuses: a service with less than eight fields, or with a type, y/n field,
// wake-up time or process limit that is none. The error names the line.
func Parse(data []byte) (*File, error) {
	physical, err := lines.Split(data)
	if err != nil {
		return nil, err
	}
	f := &File{lines: physical}
	if err := f.index(); err != nil {
		return nil, err
	}
	return f, nil
}

// index finds the services in the lines.
func (f *File) index() error {
	f.entries = f.entries[:0]
	for _, rows := range lines.Logical(f.lines) {
		e, err := parseEntry(lines.Join(f.lines, rows))
		if err != nil {
			return fmt.Errorf("cannot read line %d: %w", rows[0]+1, err)
		}
		e.rows, e.service.Line = rows, rows[0]+1
		f.entries = append(f.entries, e)
	}
	return nil
}

func parseEntry(text string) (entry, error) {
	words := split(text)
	if len(words) < columns {
		return entry{}, fmt.Errorf("a service needs %d fields, this one has %d", columns, len(words))
	}
	field := func(i int) string { return words[i].text }
	s := Service{
		Name: field(0), Type: field(1), Private: field(2), Unpriv: field(3), Chroot: field(4), Wakeup: field(5),
		MaxProc: field(6), Command: field(7),
	}
	if err := s.check(); err != nil {
		return entry{}, err
	}
	var args []string
	for _, w := range words[columns:] {
		args = append(args, w.text)
	}
	s.Args = normalArgs(args)
	return entry{service: s, chroot: words[chrootColumn].offset}, nil
}

// check makes the tests of postconf -M.
func (s Service) check() error {
	if !slices.Contains([]string{"inet", "unix", "unix-dgram", "fifo", "pass"}, s.Type) {
		return fmt.Errorf("%q is not a service type", s.Type)
	}
	for i, v := range []string{s.Private, s.Unpriv, s.Chroot} {
		if v != "y" && v != "n" && v != "-" {
			return fmt.Errorf("the %s field is %q, not y, n or -", []string{"private", "unpriv", "chroot"}[i], v)
		}
	}
	if w := strings.TrimSuffix(s.Wakeup, "?"); w != "-" && strings.Trim(w, "0123456789") != "" {
		return fmt.Errorf("%q is not a wake-up time", s.Wakeup)
	}
	if s.MaxProc != "-" && strings.Trim(s.MaxProc, "0123456789") != "" {
		return fmt.Errorf("%q is not a process limit", s.MaxProc)
	}
	return nil
}

// word is one field of a service and its place in the logical line.
type word struct {
	text   string
	offset int
}

// split cuts a logical line at white space, but not inside { } (mystrtokq(3)).
func split(text string) []word {
	var words []word
	level, start := 0, -1
	for i := 0; i <= len(text); i++ {
		if i == len(text) || level == 0 && strings.IndexByte(blanks, text[i]) >= 0 {
			if start >= 0 {
				words = append(words, word{text[start:i], start})
			}
			start = -1
			continue
		}
		switch {
		case text[i] == '{':
			level++
		case text[i] == '}' && level > 0:
			level--
		}
		if start < 0 {
			start = i
		}
	}
	return words
}

// Bytes returns the file's text.
func (f *File) Bytes() []byte { return []byte(strings.Join(f.lines, "")) }

// Services returns the services in the order of the file. Commented ones are not among them.
func (f *File) Services() []Service {
	list := make([]Service, len(f.entries))
	for i, e := range f.entries {
		list[i] = e.service
	}
	return list
}

// SetChroot writes y or n into the chroot field of the services of that name and type, and touches no other byte.
func (f *File) SetChroot(name, typ string, on bool) (changed bool, err error) {
	want := "n"
	if on {
		want = "y"
	}
	found := false
	for i := range f.entries {
		e := &f.entries[i]
		if e.service.Name != name || e.service.Type != typ {
			continue
		}
		found = true
		if e.service.Chroot != want {
			f.put(e.rows, e.chroot, want)
			e.service.Chroot = want
			changed = true
		}
	}
	if !found {
		return false, fmt.Errorf("cannot set chroot of %s/%s: no such service in master.cf", name, typ)
	}
	return changed, nil
}

// put overwrites one byte at an offset in the joined text of some lines.
func (f *File) put(rows []int, offset int, c string) {
	for _, i := range rows {
		line := f.lines[i]
		if n := len(strings.TrimSuffix(line, "\n")); offset >= n {
			offset -= n
			continue
		}
		f.lines[i] = line[:offset] + c + line[offset+1:]
		return
	}
}

// AddService appends a service: a line as in the file, with continuation lines if it has any. A service that is there already
// is refused; postconf -M would replace it.
func (f *File) AddService(line string) error {
	line = strings.TrimRight(line, blanks)
	added, err := Parse([]byte(line))
	if err == nil && (len(added.entries) != 1 || added.entries[0].rows[0] != 0) {
		err = errors.New("it is not one service")
	}
	if err != nil {
		return fmt.Errorf("cannot add %q to master.cf: %w", line, err)
	}
	s := added.entries[0].service
	for _, e := range f.entries {
		if e.service.Name == s.Name && e.service.Type == s.Type {
			return fmt.Errorf("cannot add %s/%s to master.cf: line %d has it already", s.Name, s.Type, e.service.Line)
		}
	}
	f.lines, err = lines.Split([]byte(strings.Join(lines.Append(f.lines, line), "")))
	if err != nil {
		return err
	}
	return f.index()
}
