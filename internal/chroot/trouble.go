package chroot

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// few is up to how many files of one directory are named each; a directory of certificates has hundreds.
const few = 3

// Summary names files for people: each, but many of one directory together. A first start copies hundreds of certificates.
func Summary(names []string) (lines []string) {
	const many = 8
	in := map[string]int{}
	for _, name := range names {
		in[path.Dir(name)]++
	}
	for _, name := range names {
		switch n := in[path.Dir(name)]; {
		case n > many:
			lines = append(lines, fmt.Sprintf("%d files in %s", n, Plain(path.Dir(name))))
			in[path.Dir(name)] = 0
		case n > 0:
			lines = append(lines, Plain(name))
		}
	}
	return lines
}

// trouble is one thing to say of many files, which is said in one line for each directory of theirs.
type trouble struct {
	dir, what string // what has %s for the files
	names     []string
}

// each notes something about one file; format has %s for its name, or for those of one directory together.
func (a *applier) each(name, format string, args ...any) {
	what, dir := fmt.Sprintf(format, args...), path.Dir(name)
	for n := range a.troubles {
		if t := &a.troubles[n]; t.dir == dir && t.what == what {
			t.names = append(t.names, name)
			return
		}
	}
	a.troubles = append(a.troubles, trouble{dir, what, []string{name}})
}

// say makes warnings of what was noted.
func (a *applier) say() {
	for _, t := range a.troubles {
		if len(t.names) > few {
			t.names = []string{fmt.Sprintf("%d files in %q (%q first)", len(t.names), t.dir, path.Base(t.names[0]))}
		} else {
			for n := range t.names {
				t.names[n] = strconv.Quote(t.names[n])
			}
		}
		for _, names := range t.names {
			a.warn("%s", strings.Replace(t.what, "%s", names, 1)) // the first: what follows may be a name with such letters
		}
	}
}

// fail notes that a file could not be copied; without an essential one there is no going on.
func (a *applier) fail(e Entry, err error) {
	a.result.Undone = append(a.result.Undone, e.Path)
	if _, there := a.q.look(e.Path); essential[e.Path] && errors.Is(there, fs.ErrNotExist) {
		a.fatal = append(a.fatal, fmt.Errorf("cannot copy %q to the chroot of instance %s: %w", e.Source, a.Instance.Name, err))
		return
	}
	if takesNothing(err) {
		a.refused, a.refusal = append(a.refused, e.Path), err
		return
	}
	if fault := (*fs.PathError)(nil); errors.As(err, &fault) {
		err = fault.Err // the name is said already, and would make each file's text another one
	}
	a.each(e.Path, "cannot bring %%s up to date in the queue directory %q: %v", a.Instance.QueueDir, err)
}

// takesNothing tells whether the file system refused to write, which it will do to each file: it is said once.
func takesNothing(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EROFS)
}

// failed notes other work that could not be done on name.
func (a *applier) failed(name, verb string, err error) {
	a.result.Undone = append(a.result.Undone, name)
	if fault := (*fs.PathError)(nil); errors.As(err, &fault) {
		err = fault.Err
	}
	a.each(name, "cannot "+verb+" %%s in the queue directory %q: %v", a.Instance.QueueDir, err)
}
