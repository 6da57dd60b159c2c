package doctor

import (
	"context"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/aliases"
	"postfix-maint/internal/maincf/lines"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/pattern"
)

// Ignored is a line that Postfix passes over. What stands in it is not told: it may be a password.
type Ignored struct {
	File string
	Line int
	Why  string
}

// ignoredChecks: what the line was to say only its writer knows, so there is no repair.
var ignoredChecks = []Check{
	{
		ID: "line-ignored", Area: "tables", Bad: Risk, Title: "a line that Postfix ignores",
		Why: "what it says is not in force; the programs that read it warn, where nobody may look (postmap(1), postalias(1), postconf(5))",
		Do:  "%s",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			for _, l := range i.Ignored {
				do := "put it right, or take it out"
				if l.Why == lonely {
					do = "take out the white space before it, or join it to the line that it belongs to"
				}
				found(Seen{File: l.File, Line: l.Line, What: l.Why, Do: do})
			}
		},
	},
}

const (
	lonely    = "it begins with white space, and there is nothing above that it could continue"
	valueless = "a name without a value"
	doubled   = "the name stands above as well, and the first one counts"
	wrong     = "it is no rule of this type of table"
	noAlias   = "it is no alias: a name, a colon and a value"
)

// ignoredMost bounds what is told of a file; largest is the largest table that is read.
const (
	ignoredMost = 5
	largest     = 8 << 20
)

// ignoredLines looks for them in the configuration and in the texts of tables.
func (h Host) ignoredLines(ctx context.Context, i *Instance) {
	for _, file := range []string{i.mainCF(), i.masterCF()} {
		h.ignoredIn(i, file, noLines)
	}
	texts := i.aliasTexts()
	for _, file := range texts {
		h.ignoredIn(i, file, aliasLines)
	}
	seen := map[string]bool{}
	for _, t := range i.Tables {
		if seen[t.Path] || !t.Text || slices.Contains(texts, t.Path) {
			continue
		}
		switch seen[t.Path] = true; {
		case t.Indexed, t.Type == "texthash":
			h.ignoredIn(i, t.Path, tableLines)
		case slices.Contains([]string{"regexp", "pcre", "cidr"}, t.Type):
			h.ignoredRules(ctx, i, t)
		}
	}
}

func (h Host) ignoredIn(i *Instance, file string, look func(all []string, groups [][]int, found func(row int, why string))) {
	if fi, err := h.Root.Stat(file); err != nil || !fi.Mode().IsRegular() || fi.Size() > largest {
		return
	}
	data, err := h.Root.ReadAtMost(file, largest)
	if err != nil {
		return
	}
	all, err := lines.Split(data)
	if err != nil {
		return
	}
	told := 0
	found := func(row int, why string) {
		if told++; told <= ignoredMost {
			i.Ignored = append(i.Ignored, Ignored{file, row + 1, why})
		}
	}
	groups, first := lines.Logical(all), len(all)
	if len(groups) > 0 {
		first = groups[0][0]
	}
	for row, line := range all[:first] {
		if text := strings.TrimLeft(line, lines.Blanks+"\n"); text != "" && text[0] != '#' {
			found(row, lonely)
		}
	}
	look(all, groups, found)
}

// noLines is for files that others look into.
func noLines([]string, [][]int, func(int, string)) {}

// tableLines are those of which postmap(1) warns.
func tableLines(all []string, groups [][]int, found func(row int, why string)) {
	names := map[string]bool{}
	for _, rows := range groups {
		words := strings.Fields(lines.Join(all, rows))
		if len(words) == 0 {
			continue
		}
		key := strings.ToLower(words[0])
		switch {
		case len(words) == 1:
			found(rows[0], valueless)
		case names[key]:
			found(rows[0], doubled)
		}
		names[key] = true
	}
}

// aliasLines are those of which postalias(1) warns.
func aliasLines(all []string, groups [][]int, found func(row int, why string)) {
	names := map[string]bool{}
	for _, rows := range groups {
		one, err := aliases.Parse([]byte(lines.Join(all, rows)))
		if err != nil {
			continue
		}
		keys := one.Keys()
		switch {
		case len(keys) == 0:
			found(rows[0], noAlias)
		case names[keys[0]]:
			found(rows[0], doubled)
		default:
			names[keys[0]] = true
		}
	}
}

var rule = pattern.New(`line (\d+): .*(?:skipping this rule|ignoring)`)

// ignoredRules has Postfix read a table of rules.
func (h Host) ignoredRules(ctx context.Context, i *Instance, t Table) {
	if fi, err := h.Root.Stat(t.Path); err != nil || !fi.Mode().IsRegular() {
		return
	}
	out, _ := h.output(ctx, "sh", "-c", `exec "$0" "$@" 2>&1 >/dev/null`, paths.Postmap, "-c", i.ConfigDir, "-q", "postfix-maint", t.Type+":"+t.Path)
	told := 0
	for line := range strings.Lines(string(out)) {
		if rule.Regexp().MatchString(line) && strings.Contains(line, path.Base(t.Path)) && told < ignoredMost {
			told++
			i.Ignored = append(i.Ignored, Ignored{t.Path, lineIn(line), wrong})
		}
	}
}

// givenUp are types of Berkeley DB, which later releases of Debian do without (postfix 3.11, NEWS.Debian).
var givenUp = []string{"hash", "btree"}

// gone tells of a table that its type is not missing here alone: the release has given it up.
func (t Table) gone(f *Facts) bool {
	return slices.Contains(givenUp, t.Type) && f.Types != nil && !f.Types[t.Type] && (f.Types["cdb"] || f.Types["lmdb"])
}

// instead is a type that takes the place of one that is gone.
func instead(f *Facts) string {
	if f.Types["lmdb"] {
		return "lmdb"
	}
	return "cdb"
}

// typeChecks: every setting that names the type changes, and who makes the index has to know it. That is for an administrator.
var typeChecks = []Check{
	{
		ID: "type-given-up", Area: "tables", Bad: Broken, Gate: true, Title: "a map type that this release has given up",
		Why: "this Postfix is built without Berkeley DB, which Debian gives up; the daemons that look there defer all mail (DATABASE_README)",
		Do:  "%s",
		Look: func(f *Facts, i *Instance, found func(Seen)) {
			for _, t := range i.Tables {
				if !t.gone(f) {
					continue
				}
				typ := instead(f)
				do := `write ` + typ + `:` + t.Path + `, and make it with "postmap ` + typ + ":" + t.Path + `"`
				if t.aliases() {
					do = `write ` + typ + `:` + t.Path + `, in alias_database too, then "newaliases"`
				}
				found(Seen{File: t.File, Line: t.Line, What: t.Parameter + ": " + t.Type + ":" + t.Path, Do: do})
			}
			if typ := i.database(); slices.Contains(givenUp, typ.value) && (Table{Type: typ.value}).gone(f) {
				found(Seen{File: typ.file, Line: typ.line, What: "default_database_type = " + typ.value, Do: "write default_database_type = " + instead(f)})
			}
		},
	},
}

// database is the type that postmap(1) makes where none is named, as far as main.cf says so.
func (i *Instance) database() setting {
	if i.Main == nil {
		return setting{}
	}
	return i.get("default_database_type", "")
}
