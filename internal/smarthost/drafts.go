package smarthost

import (
	"strings"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
)

// staged tells whether main.cf on disk names the built table instead of the lasting one: an interrupted commit. Where that table is gone
// the commit was completed, and whoever had read main.cf in its middle (an editor, "postconf -e", a backup) wrote it back afterwards.
func (h *host) staged(name string) bool {
	if !mains(h.onDisk, h.stage(name)) {
		return false
	}
	there, err := h.d.Root.Exists(h.stage(name))
	return there || err != nil
}

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
		if param != "alias_maps" {
			edits = append(edits, maincf.Set(param, strings.ReplaceAll(value, ":"+h.stage("")+"/", ":"+h.file("")+"/")))
			continue
		}
		table := paths.Aliases
		if v, _ := f.Get("alias_database"); strings.Contains(v, ":/") {
			_, table, _ = strings.Cut(maincf.SplitList(v)[0], ":")
		}
		edits = append(edits, maincf.Set(param, rename(value, h.stage("aliases"), table)))
	}
	_, err = f.Apply(edits...)
	return f, err
}
