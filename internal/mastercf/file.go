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
	byName  map[[2]string][]int // indices of the entries of each name and type
}

// entry is a service and where its text stands.
type entry struct {
	service Service
	rows    []int // indices of its physical lines
	chroot  int   // offset of the chroot field in their joined text
}

// Parse reads a master.cf. It refuses what postconf -M refuses: a service with less than eight fields, or with a type, y/n field,
// wake-up time or process limit that is no number. The error names the line.
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
	f.byName = map[[2]string][]int{}
	for _, rows := range lines.Logical(f.lines) {
		if err := f.add(rows); err != nil {
			return err
		}
	}
	return nil
}

// add takes in the service that stands in some lines.
func (f *File) add(rows []int) error {
	e, err := parseEntry(lines.Join(f.lines, rows))
	if err != nil {
		return fmt.Errorf("cannot read line %d: %w", rows[0]+1, err)
	}
	e.rows, e.service.Line = rows, rows[0]+1
	f.byName[e.key()] = append(f.byName[e.key()], len(f.entries))
	f.entries = append(f.entries, e)
	return nil
}

func (e entry) key() [2]string { return [2]string{e.service.Name, e.service.Type} }

func parseEntry(text string) (entry, error) {
	var fields [columns]string
	chroot, end := 0, 0
	for i := range fields {
		var start int
		if start, end = next(text, end); start == end {
			return entry{}, fmt.Errorf("a service needs %d fields, this one has %d", columns, i)
		}
		if fields[i] = text[start:end]; i == chrootColumn {
			chroot = start
		}
	}
	s := Service{
		Name: fields[0], Type: fields[1], Private: fields[2], Unpriv: fields[3], Chroot: fields[4], Wakeup: fields[5],
		MaxProc: fields[6], Command: fields[7],
	}
	if err := s.check(); err != nil {
		return entry{}, err
	}
	s.Args = normalArgs(text[end:])
	return entry{service: s, chroot: chroot}, nil
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

// next finds the field behind a place in a logical line: lines are cut at white space, but not inside { } (mystrtokq(3)). Behind the
// last one start and end are the same.
func next(text string, from int) (start, end int) {
	for start = from; start < len(text) && isBlank(text[start]); start++ {
	}
	level := 0
	for end = start; end < len(text) && (level > 0 || !isBlank(text[end])); end++ {
		switch {
		case text[end] == '{':
			level++
		case text[end] == '}' && level > 0:
			level--
		}
	}
	return start, end
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

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
	all := f.byName[[2]string{name, typ}]
	for _, i := range all {
		e := &f.entries[i]
		if e.service.Chroot != want {
			f.put(e.rows, e.chroot, want)
			e.service.Chroot = want
			changed = true
		}
	}
	if len(all) == 0 {
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
	if all := f.byName[added.entries[0].key()]; len(all) > 0 {
		return fmt.Errorf("cannot add %s/%s to master.cf: line %d has it already", s.Name, s.Type, f.entries[all[0]].service.Line)
	}
	first := len(f.lines)
	f.lines = lines.Append(f.lines, line)
	text, err := lines.Split([]byte(f.lines[first]))
	if err != nil {
		return err
	}
	f.lines = append(f.lines[:first], text...)
	rows := added.entries[0].rows
	for i := range rows {
		rows[i] += first
	}
	return f.add(rows)
}

// RemoveService takes a service out, with its continuation lines; comments stay. One that is not there is no error.
func (f *File) RemoveService(name, typ string) error {
	all := f.byName[[2]string{name, typ}]
	if len(all) == 0 {
		return nil
	}
	gone := map[int]bool{}
	for _, i := range all {
		for _, row := range f.entries[i].rows {
			gone[row] = true
		}
	}
	var rest strings.Builder
	for i, line := range f.lines {
		if !gone[i] {
			rest.WriteString(line)
		}
	}
	left, err := Parse([]byte(rest.String()))
	if err != nil {
		return err
	}
	*f = *left
	return nil
}
