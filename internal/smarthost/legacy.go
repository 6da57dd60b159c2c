package smarthost

import (
	"context"
	"fmt"
	"path"
	"slices"

	"postfix-maint/internal/aliases"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/smarthost/table"
	"postfix-maint/internal/sysroot"
)

// Recover ends what a killed change of this instance left besides a transaction, which whoever holds the lock has ended. Where nothing is left
// it writes nothing and runs no program.
func Recover(ctx context.Context, d Deps, inst instance.Instance) error {
	for _, name := range []string{paths.SmarthostState, statePath(inst)} {
		if _, err := d.Root.SweepTemp(name); err != nil {
			return err
		}
	}
	return recoverFormer(ctx, d, inst)
}

// recoverFormer ends what a run of this layer left when it had no journal: a main.cf that names built tables says that
// these were to get to their places, and all else that was built, of which one may hold a password, is taken away. The same mends a main.cf
// that somebody read in the middle of a change and wrote afterwards.
func recoverFormer(ctx context.Context, d Deps, inst instance.Instance) error {
	h, err := glance(d, inst)
	if err != nil {
		return err
	}
	left, err := d.Root.Exists(h.stage(""))
	if err != nil || !left && string(h.live.Bytes()) == string(h.disk) {
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
	if err := h.resume(ctx); err != nil {
		return err
	}
	return h.sweep()
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

// resume ends what an interrupted commit began: the built tables that main.cf names get to their places, then main.cf gets the
// lasting names.
func (h *host) resume(ctx context.Context) error {
	if string(h.live.Bytes()) == string(h.disk) {
		return nil
	}
	for _, name := range append([]string{"aliases"}, tableNames...) {
		if !h.staged(name) {
			continue
		}
		if err := h.resumeTable(ctx, name); err != nil {
			return fmt.Errorf("cannot finish an interrupted change: %w", err)
		}
	}
	_, err := h.d.Root.WriteFile(h.file("main.cf"), h.live.Bytes(),
		sysroot.Attr{Mode: 0o644, Settled: true, Seen: &sysroot.Seen{Missing: h.disk == nil, Data: h.disk}})
	return err
}

// resumeTable puts one built table in its place. What somebody has written there since it was built stays.
func (h *host) resumeTable(ctx context.Context, name string) error {
	to, program := h.file(name), paths.Postmap
	if name == "aliases" {
		_, to = h.aliasTable()
		program = paths.Postalias
	}
	built, err := h.d.Root.ReadFile(h.stage(name))
	if err != nil {
		return err
	}
	there, err := h.d.Root.See(to)
	if err != nil {
		return err
	}
	text, attr := built, sysroot.Attr{Mode: 0o644}
	if !there.Missing {
		if text, err = merge(name, there.Data, built); err != nil {
			return fmt.Errorf("%q: %w", to, err)
		}
	}
	if name == passwordTable {
		attr = sysroot.Attr{Mode: 0o600, Force: true}
	}
	edited := string(text) != string(built)
	withSeen := attr
	withSeen.Seen = there
	if _, err := h.d.Root.WriteFile(to, text, withSeen); err != nil {
		return err
	}
	for typ, suffix := range suffixes {
		index, err := h.read(h.stage(name) + suffix)
		switch {
		case err != nil:
			return err
		case index == nil || typ == "btree" && !h.namedAs(typ, name): // hash and btree share a suffix
			continue
		case edited && h.namedAs(typ, name):
			_, err = h.tool(ctx, program, typ+":"+to)
		case !edited:
			_, err = h.d.Root.WriteFile(to+suffix, index, attr)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// namedAs tells whether main.cf on disk names a built table by this type.
func (h *host) namedAs(typ, name string) bool {
	return slices.ContainsFunc(h.onDisk.Names(), func(param string) bool {
		v, _ := h.onDisk.Get(param)
		return namedType(maincf.SplitList(v), h.stage(name)) == typ
	})
}

// merge is a table as it is now with what the built one has of ours.
func merge(name string, now, built []byte) ([]byte, error) {
	if name != "aliases" {
		base, err := table.Strip(now)
		if err != nil {
			return nil, err
		}
		keyed := slices.Contains([]string{passwordTable, genericTable, canonicalTable}, name)
		return table.Put(base, table.Entries(built, keyed), keyed)
	}
	from, err := aliases.Parse(built)
	if err != nil {
		return nil, err
	}
	to, err := aliases.Parse(now)
	if err != nil {
		return nil, err
	}
	have, _ := lookup(to)
	if root, there := lookup(from); there {
		return setRoot(to, have, &root)
	}
	return setRoot(to, have, nil)
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
