package smarthost

import (
	"context"
	"fmt"
	"path"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// Recover ends what a killed change of an instance left: a commit is completed, built tables, of which one may hold a password,
// are taken away. Where nothing is left it writes nothing and runs no program.
func Recover(ctx context.Context, d Deps, inst instance.Instance) error {
	h, err := glance(d, inst)
	if err != nil {
		return err
	}
	for _, name := range []string{paths.SmarthostState, statePath(inst)} { // the state is written when the stage is gone
		if _, err := d.Root.SweepTemp(name); err != nil {
			return err
		}
	}
	left, err := d.Root.Exists(h.stage(""))
	if err != nil || !left {
		return err
	}
	if h.disk != nil {
		if err := h.ask(ctx); err != nil {
			return err
		}
	}
	if err := h.sweepTemp(); err != nil {
		return err
	}
	if err := h.resume(); err != nil {
		return err
	}
	return h.sweep()
}

// staged tells whether main.cf on disk names the built table instead of the lasting one: an interrupted commit.
func (h *host) staged(name string) bool { return mains(h.onDisk, h.stage(name)) }

// current is where a table is in force: its lasting place, or the stage.
func (h *host) current(name string) string {
	if h.staged(name) {
		return h.stage(name)
	}
	return h.file(name)
}

// currentAliases is the same for the table of aliases.
func (h *host) currentAliases(name string) string {
	if h.staged("aliases") {
		return h.stage("aliases")
	}
	return name
}

// settle gives what main.cf means once the names of built tables are replaced by the lasting ones.
func (h *host) settle() (*maincf.File, error) {
	f, err := maincf.Parse(h.disk)
	if err != nil {
		return nil, err
	}
	var edits []maincf.Edit
	for _, param := range f.Names() {
		value, _ := f.Get(param)
		if !strings.Contains(value, ":"+h.stage("")) {
			continue
		}
		switch {
		case param != "alias_maps":
			edits = append(edits, maincf.Set(param, strings.ReplaceAll(value, ":"+h.stage("")+"/", ":"+h.file("")+"/")))
		case h.state.AliasMaps == nil:
			return nil, fmt.Errorf("cannot finish an interrupted change: nothing says what alias_maps in %q was", h.file("main.cf"))
		case *h.state.AliasMaps == "":
			edits = append(edits, maincf.Unset(param))
		default:
			edits = append(edits, maincf.Set(param, *h.state.AliasMaps))
		}
	}
	_, err = f.Apply(edits...)
	return f, err
}

// resume ends what an interrupted commit began: the built tables that main.cf names get to their places, then main.cf gets the
// lasting names.
func (h *host) resume() error {
	if string(h.live.Bytes()) == string(h.disk) {
		return nil
	}
	entries, err := h.d.Root.ReadDir(h.stage(""))
	if err != nil {
		return fmt.Errorf("cannot finish an interrupted change: %w", err)
	}
	for _, e := range entries {
		text := e.Name()
		for _, suffix := range suffixes {
			text = strings.TrimSuffix(text, suffix)
		}
		if strings.HasPrefix(text, ".") || !h.staged(text) {
			continue
		}
		to := h.file(e.Name())
		if text == "aliases" {
			_, file := h.aliasTable()
			to = file + strings.TrimPrefix(e.Name(), text)
		}
		data, err := h.d.Root.ReadFile(h.stage(e.Name()))
		if err != nil {
			return fmt.Errorf("cannot finish an interrupted change: %w", err)
		}
		attr := sysroot.Attr{Mode: 0o644}
		if text == passwordTable {
			attr = sysroot.Attr{Mode: 0o600, Force: true}
		}
		if _, err := h.d.Root.WriteFile(to, data, attr); err != nil {
			return err
		}
	}
	return h.writeMain(h.live)
}

// sweep removes the stage and what is in it.
func (h *host) sweep() error {
	dir := h.stage("")
	there, err := h.d.Root.Exists(dir)
	if err != nil || !there {
		return err
	}
	entries, err := h.d.Root.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("cannot clear %q: %w", dir, err)
	}
	for _, e := range entries {
		if _, err := h.d.Root.Remove(path.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	_, err = h.d.Root.Remove(dir)
	return err
}
