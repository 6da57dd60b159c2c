package smarthost

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/note"
	"postfix-maint/internal/sysroot/transaction"
)

// transactions is where changes are made.
func transactions(root *sysroot.Root) transaction.Host {
	return transaction.Host{Root: root, Journal: paths.Transaction}
}

// Apply makes the plan so, telling each change before. With nothing to change nothing is written. On an error the former state
// is in force; a failing reload is a warning.
func (p *Plan) Apply(ctx context.Context, show func(Change)) error {
	first := true
	warnings, err := transactions(p.h.d.Root).Run(ctx, func() (*transaction.Transaction, error) {
		if !first {
			next, err := p.planned()
			if err != nil {
				return nil, err
			}
			next.Note = p.Note
			*p = *next
			p.warn("meanwhile somebody else has changed a file: planned anew with that")
		}
		first = false
		for _, c := range p.Changes {
			show(c)
		}
		if p.Note != nil {
			if err := p.Note(p.after.Bytes()); err != nil {
				return nil, err
			}
		}
		return p.transaction()
	})
	if err != nil {
		if len(p.ports) > 0 {
			err = errors.Join(err, settleLogins(context.WithoutCancel(ctx), p.h.d))
		}
		return fmt.Errorf("cannot set the smarthost: %w", err)
	}
	p.Warnings = append(p.Warnings, warnings...)
	return nil
}

// transaction is the plan as one change of files. What was in force before the first "set" changes with main.cf, which is the moment.
func (p *Plan) transaction() (*transaction.Transaction, error) {
	h := p.h
	t := &transaction.Transaction{Title: fmt.Sprintf("the smarthost of instance %q", h.inst.Name)}
	if err := p.addState(t); err != nil {
		return nil, err
	}
	if err := p.addReload(t); err != nil {
		return nil, err
	}
	if err := p.addAccounts(t); err != nil {
		return nil, err
	}
	var live []file
	for _, f := range p.files {
		files, err := p.around(f)
		if err != nil {
			return nil, err
		}
		switch {
		case f.new == nil || !f.used:
			t.Later = append(t.Later, files...)
		case f.referenced:
			live, t.Live = append(live, f), append(t.Live, files...)
		default:
			t.Files = append(t.Files, files...)
		}
		if t.Later, err = p.addOutdated(t.Later, f); err != nil {
			return nil, err
		}
	}
	if err := p.addMaster(t); err != nil {
		return nil, err
	}
	if len(p.files) > 0 {
		t.Drafts = h.stage("")
		t.Before = append(t.Before, transaction.Step{What: "make the tables", Do: func(ctx context.Context) error { return p.build(ctx, t) }})
	}
	if len(live) == 1 && string(h.live.Bytes()) == string(p.after.Bytes()) && string(h.disk) == string(p.after.Bytes()) {
		t.Files, t.Live = append(t.Files, t.Live...), nil // the table itself, or its index, is the moment
		live = nil
	} else {
		t.Files = append(t.Files, transaction.File{
			Path: h.file("main.cf"), Seen: &sysroot.Seen{Missing: h.disk == nil, Data: h.disk}, New: p.after.Bytes(),
			Attr: sysroot.Attr{Mode: 0o644, Settled: true},
		})
	}
	return t, p.detour(t, live)
}

// detour is main.cf with the drafts of the tables that are in force already.
func (p *Plan) detour(t *transaction.Transaction, live []file) error {
	if len(live) == 0 {
		return nil
	}
	drafts, err := maincf.Parse(p.after.Bytes())
	for _, f := range live {
		if err == nil {
			err = p.h.redirect(drafts, f)
		}
	}
	if err == nil {
		t.Detour = drafts.Bytes()
	}
	return err
}

// reloads are what is to be reloaded.
func reloads(d Deps) transaction.Due { return transaction.Due{Root: d.Root, Dir: paths.ReloadDue} }

// addReload has the daemons read what changes.
func (p *Plan) addReload(t *transaction.Transaction) error {
	h := p.h
	if h.d.Reload == nil || len(p.Changes) == 0 {
		return nil
	}
	t.After = []transaction.Step{{What: "reload Postfix", Do: func(ctx context.Context) error {
		if err := h.d.Reload(ctx, h.inst); err != nil {
			return err
		}
		return reloads(h.d).Done(h.inst.Unit())
	}}}
	return reloads(h.d).Join(t, h.inst.Unit(), t.Title)
}

// addState adds the way back to what was in force before.
func (p *Plan) addState(t *transaction.Transaction) error {
	root, name := p.h.d.Root, statePath(p.h.inst)
	f := transaction.File{Path: name, Seen: &sysroot.Seen{Missing: true}, Attr: sysroot.Attr{Mode: 0o600}}
	var err error
	if p.old.damaged {
		t.Before = append(t.Before, transaction.Step{What: "set aside " + name, Do: func(context.Context) error { return setAside(root, p.h.inst) }})
	} else if f.Seen, err = root.See(name); err != nil {
		return err
	}
	if p.state.relayed() || len(p.state.accounts()) > 0 {
		if f.New, err = note.Text(p.state); err != nil {
			return err
		}
		t.Before = append(t.Before, transaction.Step{What: "make " + paths.SmarthostState, Do: func(context.Context) error {
			_, err := root.MkdirAll(paths.SmarthostState, sysroot.Attr{Mode: 0o700})
			return err
		}})
	}
	t.Files = append(t.Files, f)
	return nil
}

// around are a table's text and its index, which build fills in.
func (p *Plan) around(f file) ([]transaction.File, error) {
	attr := sysroot.Attr{Mode: f.mode, Force: f.mode == 0o600}
	secret := f.mode == 0o600
	files := []transaction.File{{
		Path: f.path, Seen: f.seen(), New: f.new, Attr: attr, Secret: secret, Anew: f.new != nil && string(f.old) == string(f.new),
	}}
	name := f.index(f.path)
	if name == "" {
		return files, nil
	}
	seen, err := p.h.d.Root.See(name)
	if err != nil {
		return nil, err
	}
	index := transaction.File{Path: name, Seen: seen, Attr: attr, Secret: secret}
	if f.new != nil {
		index.New, index.Anew = []byte{}, true // it may only look older than the text
	}
	return append(files, index), nil
}

// build writes the drafts of the tables that are to change, and has them indexed.
func (p *Plan) build(ctx context.Context, t *transaction.Transaction) error {
	h := p.h
	if _, err := h.d.Root.MkdirAll(h.stage(""), sysroot.Attr{Mode: 0o700, Force: true}); err != nil {
		return err
	}
	indexes := map[string][]byte{}
	for _, f := range p.files {
		if f.new == nil {
			continue
		}
		index, err := p.draft(ctx, f)
		if err != nil {
			return err
		}
		if f.typ != "" {
			indexes[f.index(f.path)] = index
		}
	}
	for _, files := range [][]transaction.File{t.Files, t.Live, t.Later} {
		for i, f := range files {
			if index, made := indexes[f.Path]; made {
				files[i].New = index
			}
		}
	}
	return nil
}

// draft writes the draft of one table and gives its index, if it has one.
func (p *Plan) draft(ctx context.Context, f file) (index []byte, err error) {
	if _, err := p.h.d.Root.WriteFile(f.stage, f.new, sysroot.Attr{Mode: f.mode, Force: true}); err != nil {
		return nil, err
	}
	if f.pattern != "" {
		if err := p.checkPatterns(ctx, f); err != nil {
			return nil, err
		}
	}
	if f.typ == "" {
		return nil, nil
	}
	if _, err := p.h.tool(ctx, f.program, f.typ+":"+f.stage); err != nil {
		return nil, fmt.Errorf("cannot index %q: %w", f.path, err)
	}
	return p.h.d.Root.ReadFile(f.index(f.stage))
}

// checkPatterns lets Postfix compile our patterns. Inside the "if" none of them matches, so what it says is a complaint.
func (p *Plan) checkPatterns(ctx context.Context, f file) error {
	const probe = "postfix-maint"
	text := "if !/^" + probe + "$/\n" + string(f.rules) + "endif\n"
	name := f.stage + ".check"
	if _, err := p.h.d.Root.WriteFile(name, []byte(text), sysroot.Attr{Mode: 0o600}); err != nil {
		return err
	}
	_, err := p.h.tool(ctx, paths.Postmap, "-q", probe, f.pattern+":"+name)
	if silent(err) {
		return nil // not found
	} else if err == nil {
		return fmt.Errorf("cannot use the patterns for %q: an \"if\" is closed that was not opened", f.path)
	}
	return fmt.Errorf("cannot use the patterns for %q: %w", f.path, err)
}

// redirect makes a main.cf name the draft of a table. alias_maps may name its table by way of $alias_database, so it is written out.
func (h *host) redirect(f *maincf.File, t file) error {
	for _, param := range f.Names() {
		value, _ := f.Get(param)
		if param == "alias_database" || param == "alias_maps" || !refers(value, t.path) {
			continue
		}
		if _, err := f.Apply(maincf.Set(param, rename(value, t.path, t.stage))); err != nil {
			return err
		}
	}
	if path.Base(t.stage) != "aliases" {
		return nil
	}
	_, err := f.Apply(maincf.Set("alias_maps", rename(h.effective["alias_maps"], t.path, t.stage)))
	return err
}

// addOutdated adds the removal of indexes that a table had, where main.cf names it by another type now.
func (p *Plan) addOutdated(later []transaction.File, f file) ([]transaction.File, error) {
	for _, name := range p.outdated(f) {
		seen, err := p.h.d.Root.See(name)
		if err != nil {
			return nil, err
		}
		later = append(later, transaction.File{Path: name, Seen: seen})
	}
	return later, nil
}

// outdated are the indexes that a table of the former set had, where main.cf names it by another type now.
func (p *Plan) outdated(f file) (names []string) {
	for _, elements := range slices.Concat(slices.Collect(maps.Values(p.old.Added)), slices.Collect(maps.Values(p.old.upper().Added))) {
		was := f
		was.typ = namedType(elements, f.path)
		index := was.index(f.path)
		if index != "" && index != f.index(f.path) && !strings.Contains(string(p.after.Bytes()), was.typ+":"+f.path) {
			names = append(names, index)
		}
	}
	return names
}

// rename replaces a table's path in a list of tables.
func rename(list, from, to string) string {
	return naming(from).ReplaceAllString(list, ":"+strings.ReplaceAll(to, "$", "$$")+"$1")
}
