package history

import (
	"context"
	"fmt"
	"path"
	"slices"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/transaction"
)

// Builder runs postmap(1) or postalias(1).
type Builder func(ctx context.Context, program string, args ...string) error

// draftsDir is where texts stand while their indexes are made.
const draftsDir = paths.ConfigDir + "/" + transaction.DraftsPrefix + "-undo"

// table is a text that some main.cf will name by a type with an index.
type table struct{ dir, typ, program string }

func (t table) index(name string) string { return name + suffixes[t.typ] }

// addIndexes adds to the transaction the indexes of its texts, behind the texts, and takes those away whose text goes.
func (u *Undo) addIndexes(t *transaction.Transaction, build Builder) error {
	named, err := u.namings()
	if err != nil {
		return err
	}
	var all []transaction.File
	for _, f := range t.Files {
		all = append(all, f)
		if isConfig(f.Path) {
			continue
		}
		for _, tab := range u.tables(named, f.Path) {
			index, err := u.index(t, f, tab, build)
			if err != nil {
				return err
			}
			all = append(all, index)
		}
	}
	gone, err := u.goneIndexes(t, named, build)
	if err != nil {
		return err
	}
	t.Files = slices.Concat(gone, all) // main.cf stays the last one
	return u.dropIndexes(t)
}

// goneIndexes are those that the entry took away from texts that stay as they are, where a configuration names them by that type again.
func (u *Undo) goneIndexes(t *transaction.Transaction, named []naming, build Builder) (all []transaction.File, err error) {
	for _, p := range u.entry.Parts {
		for _, f := range p.Files {
			stem := f.Path[:len(f.Path)-len(path.Ext(f.Path))]
			now := u.files[stem]
			done := slices.ContainsFunc(all, func(o transaction.File) bool { return o.Path == f.Path })
			if f.Kind != Index || !f.Gone || done || now != nil && now.changes() {
				continue
			}
			for _, tab := range tablesOf(named, stem) {
				if tab.index(stem) != f.Path {
					continue
				}
				index, err := u.again(t, stem, tab, build)
				if err != nil {
					return nil, err
				}
				all = append(all, index...)
			}
		}
	}
	return all, nil
}

// again is the index of a text that stays as it is, none where there is one.
func (u *Undo) again(t *transaction.Transaction, stem string, tab table, build Builder) ([]transaction.File, error) {
	if there, err := u.root.Exists(tab.index(stem)); err != nil || there {
		return nil, err
	}
	fi, err := u.root.Stat(stem)
	if err != nil {
		return nil, nil // nor is there a text
	}
	text, err := u.root.ReadTrusted(stem)
	if err != nil {
		u.warn("%s is not made again: %v", tab.index(stem), err)
		return nil, nil
	}
	uid, gid := sysroot.Owner(fi)
	f := transaction.File{Path: stem, New: text, Attr: sysroot.Attr{Mode: sysroot.Exact(fi.Mode()), UID: uid, GID: gid}}
	index, err := u.index(t, f, tab, build)
	return []transaction.File{index}, err
}

// tables are how the configurations name a text. Those of aliases may be Postfix's default, whichever type that is: then there is an index.
func (u *Undo) tables(named []naming, name string) []table {
	all := tablesOf(named, name)
	if len(all) > 0 || name != paths.Aliases {
		return all
	}
	for _, typ := range []string{"hash", "lmdb", "cdb"} {
		if there, err := u.root.Exists(name + suffixes[typ]); err == nil && there {
			all = append(all, table{dir: paths.ConfigDir, typ: typ, program: paths.Postalias})
		}
	}
	return all
}

// index is the file for the index of a text, which a step before the change makes.
func (u *Undo) index(t *transaction.Transaction, f transaction.File, tab table, build Builder) (transaction.File, error) {
	name := tab.index(f.Path)
	seen, err := u.root.See(name)
	if err != nil {
		return transaction.File{}, err
	}
	t.Drafts = draftsDir
	draft := fmt.Sprintf("%s/%d", draftsDir, len(t.Before))
	t.Before = append(t.Before, transaction.Step{What: "index " + f.Path, Do: func(ctx context.Context) error {
		data, err := tab.make(ctx, u.root, draft, f.New, build)
		for i := range t.Files {
			if t.Files[i].Path == name {
				t.Files[i].New = data
			}
		}
		return err
	}})
	return transaction.File{Path: name, Seen: seen, New: []byte{}, Attr: f.Attr, Anew: true}, nil
}

// make makes the index of a text.
func (t table) make(ctx context.Context, root *sysroot.Root, draft string, text []byte, build Builder) ([]byte, error) {
	if _, err := root.MkdirAll(draftsDir, sysroot.Attr{Mode: 0o700, Force: true}); err != nil {
		return nil, err
	}
	if _, err := root.WriteFile(draft, text, sysroot.Attr{Mode: 0o600, Force: true}); err != nil {
		return nil, err
	}
	if err := build(ctx, t.program, "-c", t.dir, t.typ+":"+draft); err != nil {
		return nil, err
	}
	return root.ReadFile(t.index(draft))
}

// dropIndexes takes the indexes away that the entry made with a text that goes now.
func (u *Undo) dropIndexes(t *transaction.Transaction) error {
	for _, p := range u.entry.Parts {
		for _, f := range p.Files {
			stem := f.Path[:len(f.Path)-len(path.Ext(f.Path))]
			now := u.files[stem]
			if f.Kind != Index || !f.Made || now == nil || now.text != nil || !now.changes() {
				continue
			}
			seen, err := u.root.See(f.Path)
			if err != nil {
				return err
			}
			if !seen.Missing && !slices.ContainsFunc(t.Later, func(have transaction.File) bool { return have.Path == f.Path }) {
				t.Later = append(t.Later, transaction.File{Path: f.Path, Seen: seen})
			}
		}
	}
	return nil
}
