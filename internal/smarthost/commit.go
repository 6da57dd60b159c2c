package smarthost

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
	"postfix-maint/internal/sysroot"
)

// How a change comes into force at one moment. Tables are built in a directory of their own. One that main.cf does not name yet
// is put in its place before main.cf is written, which then is the moment. Tables that main.cf names already cannot all be
// replaced at once; if more than one thing in force changes, main.cf first gets the names of the built tables (the moment),
// then the tables get to their places, which nothing names, then main.cf gets the lasting names, which means the same. A run
// that finds a main.cf with names of built tables ends what the killed one began.

// Apply makes the plan so, telling each change before. With nothing to change nothing is written. On an error the former state
// is in force, and what was prepared is taken away again; a failing reload is a warning.
func (p *Plan) Apply(ctx context.Context, show func(Change)) error {
	if len(p.Changes) == 0 {
		return p.remember()
	}
	for _, c := range p.Changes {
		show(c)
	}
	done, err := p.commit(ctx)
	if err != nil {
		return errors.Join(fmt.Errorf("cannot set the smarthost, the former settings stay in force: %w", err), p.undo(done))
	}
	if err := p.clean(); err != nil {
		return fmt.Errorf("the settings are in force, but something of the former ones is left behind: %w", err)
	}
	if p.h.d.Reload != nil {
		if err := p.h.d.Reload(ctx, p.h.inst); err != nil {
			p.warn("the settings are written, but Postfix was not reloaded: %v", err)
			return nil // the state still says that a reload is due
		}
	}
	return p.remember()
}

// remember writes the state for the next run, or takes it away where nothing of ours is in force.
func (p *Plan) remember() error {
	if p.state.Options.Relay == "" {
		_, err := p.h.d.Root.Remove(statePath(p.h.inst))
		return err
	}
	return p.state.save(p.h.d.Root, p.h.inst)
}

// placed is a file that was put in its place before main.cf was written, with what stood there.
type placed struct {
	name string
	text []byte // nil: there was none
	attr sysroot.Attr
}

// commit does everything up to the moment, and the last renames after it. It returns what undo would have to take back.
func (p *Plan) commit(ctx context.Context) (done []placed, err error) {
	h := p.h
	if err := h.sweepTemp(); err != nil {
		return nil, err
	}
	if err := h.resume(); err != nil {
		return nil, err
	}
	if err := p.state.between(p.old).save(h.d.Root, h.inst); err != nil {
		return nil, err
	}
	if err := p.build(ctx); err != nil {
		return nil, err
	}
	var live []file
	for _, f := range p.files {
		switch {
		case !f.used || f.new == nil: // clean's
		case f.referenced:
			live = append(live, f)
		default:
			for _, name := range nonEmpty(f.path, f.index(f.path)) {
				was, err := h.snapshot(name)
				if err != nil {
					return done, err
				}
				done = append(done, was)
			}
			if err := p.place(ctx, f); err != nil {
				return done, err
			}
		}
	}
	same := string(h.live.Bytes()) == string(p.after.Bytes())
	switch {
	case len(live) == 1 && same:
		return done, p.place(ctx, live[0])
	case len(live) > 0:
		err = p.detour(ctx, live)
	default:
		err = h.writeMain(p.after)
	}
	return done, err
}

// sweepTemp removes half-written files of a killed run: a password may be in one.
func (h *host) sweepTemp() error {
	names := []string{h.file("main.cf"), statePath(h.inst), h.stage("")}
	var texts []string
	for _, name := range tableNames {
		texts = append(texts, h.file(name))
	}
	if _, name := h.aliasTable(); name != "" {
		texts = append(texts, name)
	}
	for _, text := range texts {
		names = append(names, text)
		for _, suffix := range suffixes {
			names = append(names, text+suffix)
		}
	}
	for _, name := range names {
		if _, err := h.d.Root.SweepTemp(name); err != nil {
			return err
		}
	}
	return nil
}

// build writes the tables that are to change into the stage and indexes them there.
func (p *Plan) build(ctx context.Context) error {
	h := p.h
	if err := h.sweep(); err != nil {
		return err
	}
	for _, f := range p.files {
		if f.new == nil {
			continue
		}
		if _, err := h.d.Root.MkdirAll(path.Dir(f.stage), sysroot.Attr{Mode: 0o700, Force: true}); err != nil {
			return err
		}
		if _, err := h.d.Root.WriteFile(f.stage, f.new, sysroot.Attr{Mode: f.mode, Force: true}); err != nil {
			return err
		}
		if f.pattern != "" {
			if err := p.checkPatterns(ctx, f); err != nil {
				return err
			}
		}
		if f.typ == "" {
			continue
		}
		if err := h.d.Run.Run(ctx, f.program, "-c", h.inst.ConfigDir, f.typ+":"+f.stage); err != nil {
			return fmt.Errorf("cannot index %q: %w", f.path, err)
		}
	}
	return nil
}

// checkPatterns lets Postfix compile our patterns. Inside the "if" none of them matches, so what it says is a complaint.
func (p *Plan) checkPatterns(ctx context.Context, f file) error {
	const probe = "postfix-maint"
	text := "if !/^" + probe + "$/\n" + string(f.rules) + "endif\n"
	name := f.stage + ".check"
	if _, err := p.h.d.Root.WriteFile(name, []byte(text), sysroot.Attr{Mode: 0o600}); err != nil {
		return err
	}
	err := p.h.d.Run.Run(ctx, paths.Postmap, "-c", p.h.inst.ConfigDir, "-q", probe, f.pattern+":"+name)
	if exit := (*run.ExitError)(nil); errors.As(err, &exit) && exit.Code == 1 && exit.Stderr == "" {
		return nil // not found
	} else if err == nil {
		return fmt.Errorf("cannot use the patterns for %q: an \"if\" is closed that was not opened", f.path)
	}
	return fmt.Errorf("cannot use the patterns for %q: %w", f.path, err)
}

// place puts a built table in its place, the text first: an index older than its text is what the next run sees and mends.
func (p *Plan) place(ctx context.Context, f file) error {
	root := p.h.d.Root
	attr := sysroot.Attr{Mode: f.mode, Force: f.mode == 0o600}
	if _, err := root.WriteFile(f.path, f.new, attr); err != nil || f.typ == "" {
		return err
	}
	index, err := root.ReadFile(f.index(f.stage))
	if err != nil {
		return err
	}
	changed, err := root.WriteFile(f.index(f.path), index, attr)
	if err != nil || changed {
		return err
	}
	// The index is right and only looks old: the types whose index is the same for the same text replace it in one rename.
	return p.h.d.Run.Run(ctx, f.program, "-c", p.h.inst.ConfigDir, f.typ+":"+f.path)
}

// detour brings several tables in use, and main.cf, into force at one moment.
func (p *Plan) detour(ctx context.Context, live []file) error {
	h := p.h
	staged, err := maincf.Parse(p.after.Bytes())
	if err != nil {
		return err
	}
	between := p.state.between(p.old)
	for _, f := range live {
		if err := h.redirect(staged, f, &between); err != nil {
			return err
		}
	}
	if between.AliasMaps != nil {
		if err := between.save(h.d.Root, h.inst); err != nil {
			return err
		}
	}
	if err := h.writeMain(staged); err != nil {
		return err
	}
	for _, f := range live {
		if err := p.place(ctx, f); err != nil {
			return err
		}
	}
	return h.writeMain(p.after)
}

// redirect makes a main.cf name the built table. alias_maps may name its table by way of $alias_database, so it is written out,
// and its lasting value noted.
func (h *host) redirect(f *maincf.File, t file, s *state) error {
	for _, param := range f.Names() {
		value, _ := f.Get(param)
		if param == "alias_database" || param == "alias_maps" || !refers(value, t.path) {
			continue
		}
		if _, err := f.Apply(maincf.Set(param, rename(value, t.path, t.stage))); err != nil {
			return err
		}
	}
	if maps := h.effective["alias_maps"]; path.Base(t.stage) == "aliases" {
		lasting, _ := f.Get("alias_maps")
		s.AliasMaps = &lasting
		_, err := f.Apply(maincf.Set("alias_maps", rename(maps, t.path, t.stage)))
		return err
	}
	return nil
}

// clean takes away what is no longer in force: tables, and the index of a type that a table no longer has.
func (p *Plan) clean() error {
	for _, f := range p.files {
		for _, name := range p.outdated(f) {
			if _, err := p.h.d.Root.Remove(name); err != nil {
				return err
			}
		}
		if f.used && f.new != nil {
			continue
		}
		if f.new != nil {
			if err := p.place(context.Background(), f); err != nil {
				return err
			}
			continue
		}
		for _, name := range []string{f.index(f.path), f.path} {
			if name == "" {
				continue
			}
			if _, err := p.h.d.Root.Remove(name); err != nil {
				return err
			}
		}
	}
	return p.h.sweep()
}

// outdated are the indexes that a table of the former set had, where main.cf names it by another type now.
func (p *Plan) outdated(f file) (names []string) {
	for _, elements := range p.old.Added {
		was := f
		was.typ = namedType(elements, f.path)
		index := was.index(f.path)
		if index != "" && index != f.index(f.path) && !strings.Contains(string(p.after.Bytes()), was.typ+":"+f.path) {
			names = append(names, index)
		}
	}
	return names
}

// undo puts back what commit had placed before it failed. If main.cf is in force already there is nothing to undo.
func (p *Plan) undo(done []placed) error {
	h := p.h
	if now, err := h.read(h.file("main.cf")); err != nil || string(now) != string(h.disk) && string(now) != string(h.live.Bytes()) {
		return err
	}
	for _, was := range done {
		var err error
		if was.text == nil {
			_, err = h.d.Root.Remove(was.name)
		} else {
			_, err = h.d.Root.WriteFile(was.name, was.text, was.attr)
		}
		if err != nil {
			return err
		}
	}
	if err := h.sweep(); err != nil {
		return err
	}
	if !p.old.found {
		_, err := h.d.Root.Remove(statePath(h.inst))
		return err
	}
	return p.old.save(h.d.Root, h.inst)
}

// snapshot remembers a file with its mode and owner.
func (h *host) snapshot(name string) (placed, error) {
	text, err := h.read(name)
	if err != nil || text == nil {
		return placed{name: name}, err
	}
	fi, err := h.d.Root.Stat(name)
	if err != nil {
		return placed{}, err
	}
	uid, gid := sysroot.Owner(fi)
	return placed{name, text, sysroot.Attr{Mode: sysroot.Exact(fi.Mode().Perm()), UID: uid, GID: gid, Force: true}}, nil
}

func (h *host) writeMain(f *maincf.File) error {
	_, err := h.d.Root.WriteFile(h.file("main.cf"), f.Bytes(), sysroot.Attr{Mode: 0o644})
	return err
}

// rename replaces a table's path in a list of tables.
func rename(list, from, to string) string {
	return naming(from).ReplaceAllString(list, ":"+strings.ReplaceAll(to, "$", "$$")+"$1")
}
