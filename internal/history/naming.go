package history

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/paths"
)

// naming is what a configuration sets a parameter to, which may name files.
type naming struct{ dir, file, param, value string }

// namings are those of all instances, in main.cf and for single services, as they are to be.
func (u *Undo) namings() (all []naming, err error) {
	insts, _ := instance.List(u.root) // one that cannot be read has no table that anybody looks up
	for _, i := range insts {
		name := path.Join(i.ConfigDir, "main.cf")
		data, err := u.toBe(name)
		if err != nil {
			return nil, err
		}
		f, err := maincf.Parse(data)
		if err != nil {
			return nil, fmt.Errorf("cannot understand %q: %w", name, err)
		}
		add := func(file, param, value string) {
			if whole, err := instance.Expand(f, i.ConfigDir, value); err == nil {
				value = whole
			}
			all = append(all, naming{i.ConfigDir, file, param, value})
		}
		for _, param := range f.Names() {
			value, _ := f.Get(param)
			add(name, param, value)
		}
		name = path.Join(i.ConfigDir, "master.cf")
		data, _ = u.toBe(name)
		master, err := mastercf.Parse(data)
		if err != nil {
			continue // no service of it runs
		}
		for _, s := range master.Services() {
			for _, arg := range s.Args {
				param, value, _ := strings.Cut(arg, "=")
				add(name, strings.Trim(strings.TrimPrefix(param, "-o"), "{ "), value)
			}
		}
	}
	return all, nil
}

// toBe is what a file is to say.
func (u *Undo) toBe(name string) ([]byte, error) {
	if now := u.files[name]; now != nil {
		return now.text, nil
	}
	return u.root.ReadFile(name)
}

// tablesOf finds how the configurations name a text.
func tablesOf(named []naming, name string) (all []table) {
	words := regexp.MustCompile(`\b(hash|btree|lmdb|cdb):` + regexp.QuoteMeta(name) + `($|[,}\s])`)
	for _, n := range named {
		for _, m := range words.FindAllStringSubmatch(n.value, -1) {
			t := table{dir: n.dir, typ: m[1], program: paths.Postmap}
			if n.param == "alias_maps" || n.param == "alias_database" {
				t.program = paths.Postalias
			}
			i := slices.IndexFunc(all, func(o table) bool { return suffixes[o.typ] == suffixes[t.typ] })
			if i < 0 {
				all = append(all, t)
			} else if t.program == paths.Postalias { // others may name it by way of $alias_maps
				all[i].program = t.program
			}
		}
	}
	return all
}

// keepNamed has those texts stay that were to go and that a configuration names by what somebody wrote since: a daemon that does not find
// its table defers all mail.
func (u *Undo) keepNamed() error {
	var named []naming
	for _, name := range u.order {
		now := u.files[name]
		if now.text != nil || now.seen.Missing || isConfig(name) || strings.HasPrefix(name, paths.StateDir+"/") {
			continue
		}
		if named == nil {
			var err error
			if named, err = u.namings(); err != nil {
				return err
			}
		}
		words := regexp.MustCompile(`(^|[\s,{:])` + regexp.QuoteMeta(name) + `($|[,}\s])`)
		if i := slices.IndexFunc(named, func(n naming) bool { return words.MatchString(n.value) }); i >= 0 {
			now.text = now.seen.Data
			u.warn("%s stays as it is: %s names it for %s", name, named[i].file, named[i].param)
		}
	}
	return nil
}
