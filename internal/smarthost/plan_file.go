package smarthost

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/smarthost/table"
	"postfix-maint/internal/sysroot"
)

// file is a table that the plan changes: its text and, for indexed types, its index.
type file struct {
	path, stage string
	typ         string // of the index; "" where there is none
	pattern     string // "regexp" or "pcre" for a table of patterns
	rules       []byte // our own patterns
	program     string // makes the index
	old, new    []byte // nil: not there
	mode        fs.FileMode
	referenced  bool // main.cf names it now, so that a change of the file is a change in force
	used        bool // main.cf as it is to be names it
}

// index is the path of the index of a table, "" if it has none.
func (f file) index(text string) string {
	if f.typ == "" {
		return ""
	}
	return text + suffixes[f.typ]
}

// seen is the text that the change was planned from.
func (f file) seen() *sysroot.Seen { return &sysroot.Seen{Missing: f.old == nil, Data: f.old} }

// refers tells whether a list of tables, in whatever form, names a file.
func refers(list, name string) bool { return naming(name).MatchString(list) }

// naming matches a file's name behind a map type, with what ends it.
func naming(name string) *regexp.Regexp {
	return regexp.MustCompile(`:` + regexp.QuoteMeta(name) + `($|[,}\s])`)
}

// mains tells whether one of the parameters in f names a file of ours.
func mains(f *maincf.File, name string) bool {
	return slices.ContainsFunc(f.Names(), func(param string) bool {
		v, _ := f.Get(param)
		return refers(v, name)
	})
}

// addTable plans one of our tables: without our block of before, with the one of now.
func (p *Plan) addTable(t content) error {
	h := p.h
	f := file{path: h.file(t.name), stage: h.stage(t.name), typ: t.typ, program: paths.Postmap, mode: 0o644}
	var err error
	if f.old, err = h.read(h.current(t.name)); err != nil {
		return err
	}
	base, err := table.Strip(f.old)
	if err != nil {
		return fmt.Errorf("%q: %w", f.path, err)
	}
	if !t.keyed && len(t.entries) == 0 {
		if string(base) == string(f.old) {
			return nil // nothing of ours is in it
		}
		f.typ = h.indexType(t.name)
	} else if !t.keyed {
		f.typ, f.pattern = "", t.typ
		for _, e := range t.entries {
			f.rules = append(f.rules, e.Key+" "+e.Value+"\n"...)
		}
	}
	if f.new, err = table.Put(base, t.entries, t.keyed); err != nil {
		return fmt.Errorf("%q: %w", f.path, err)
	}
	if t.keyed && table.Same(f.old, f.new, t.entries) {
		f.new = f.old // the order does not count
	}
	f.referenced, f.used = mains(h.live, f.path), mains(p.after, f.path)
	if !f.used && table.Empty(f.new) {
		f.new = nil
	}
	if secretTable(t.name) {
		f.mode = 0o600
		if err := table.Check(f.new); err != nil {
			return fmt.Errorf("cannot index %q: %w", f.path, err)
		}
	}
	return p.addFile(f)
}

// indexType is the type of the index that a table has, "" if it has none.
func (h *host) indexType(name string) string {
	for _, typ := range slices.Backward([]string{"cdb", "lmdb", "btree", "hash"}) {
		if ok, _ := h.d.Root.Exists(h.file(name) + suffixes[typ]); ok && slices.Contains(h.types, typ) {
			return typ
		}
	}
	return ""
}

// addFile plans a file if its text, its mode or its index is not what it has to be.
func (p *Plan) addFile(f file) error {
	stale, err := p.stale(f)
	if err != nil {
		return err
	}
	same := f.old != nil == (f.new != nil) && string(f.old) == string(f.new)
	if same && !stale {
		return nil
	}
	c := Change{Path: f.path, What: "change " + f.path, Diff: maincf.Diff(f.path, f.old, f.new)}
	switch {
	case same:
		c.What = "index " + f.path + " again, and set its mode"
	case f.old == nil:
		c.What = "create " + f.path
	case f.new == nil:
		c.What = "remove " + f.path
	}
	if secretTable(path.Base(f.path)) {
		c.Diff = maincf.Diff(f.path, table.Mask(f.old), table.Mask(f.new))
		if c.Diff == "" && !same {
			c.What = "change the password in " + f.path
		}
	}
	p.files = append(p.files, f)
	p.Changes = append(p.Changes, c)
	return nil
}

// stale tells whether the index of a table in use is missing or older than the text, or either is open to others that must not
// be: somebody edited one of them. Or it has an index of another type as well.
func (p *Plan) stale(f file) (bool, error) {
	if f.new == nil || f.old == nil || !f.used || p.h.staged(path.Base(f.stage)) {
		return false, nil
	}
	for _, name := range p.outdated(f) { // left by a run that was killed
		if there, err := p.h.d.Root.Exists(name); there || err != nil {
			return true, err
		}
	}
	text, err := p.h.d.Root.Stat(f.path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil
		}
		return false, err
	}
	secret := f.mode == 0o600
	if secret && text.Mode().Perm() != f.mode {
		return true, nil
	}
	if f.typ == "" {
		return false, nil
	}
	index, err := p.h.d.Root.Stat(f.index(f.path))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return index.ModTime().Before(text.ModTime()) || secret && index.Mode().Perm() != f.mode, nil
}
