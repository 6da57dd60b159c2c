package doctor

import (
	"slices"
	"strings"

	"postfix-maint/internal/aliases"
	"postfix-maint/internal/maincf"
)

// AliasLoop is a chain of aliases that leads to where it began.
type AliasLoop struct {
	File  string
	Line  int
	Names []string
}

// aliasChecks: which of the aliases is the wrong one only an administrator knows, so there is no repair.
var aliasChecks = []Check{
	{
		ID: "alias-loop", Area: "tables", Bad: Broken, Title: "aliases lead to each other in a circle",
		Why: `their mail is returned: "alias database loop" (local(8), deliver_alias in its sources)`,
		Do:  "have one of them lead to an account or an address, then \"newaliases\"",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			for _, l := range i.Loops {
				found(Seen{File: l.File, Line: l.Line, What: strings.Join(append(l.Names, l.Names[0]), " -> ")})
			}
		},
	},
}

// aliasTexts are the files that the alias maps are made from.
func (i *Instance) aliasTexts() (files []string) {
	for _, name := range []string{"alias_maps", "alias_database"} {
		for _, m := range tableNames.Regexp().FindAllStringSubmatch(i.get(name, "").value, -1) {
			_, indexed := indexes[m[1]]
			if !slices.Contains(files, m[2]) && (indexed || m[1] == "texthash") {
				files = append(files, m[2])
			}
		}
	}
	return files
}

// aliasLoops looks for circles in the alias files.
func (h Host) aliasLoops(i *Instance) {
	for _, file := range i.aliasTexts() {
		text, err := h.Root.ReadAtMost(file, mostAliases)
		if err != nil {
			continue
		}
		table, err := aliases.Parse(text)
		if err != nil {
			continue
		}
		for _, names := range circles(table, string(text), i.get("recipient_delimiter", "").value, maincf.SplitList(i.get("mydestination", "").value)) {
			i.Loops = append(i.Loops, AliasLoop{file, table.Line(names[0]), names})
		}
	}
}

// circles are the chains of two aliases or more that come back to themselves. An alias that names itself leads to the account, and so does
// a name with a backslash before it, which only the text shows (aliases(5), local(8)).
func circles(table *aliases.File, text, delimiter string, domains []string) (found [][]string) {
	const most = 3
	ends := marked(strings.ToLower(text), delimiter)
	done := map[string]bool{}
	var chain []string
	var follow func(name string)
	follow = func(name string) {
		if at := slices.Index(chain, name); at >= 0 {
			if len(found) < most { // two at least: an alias is not followed to itself
				found = append(found, slices.Clone(chain[at:]))
			}
			return
		}
		values, there := table.Lookup(name)
		if done[name] || !there || len(chain) > 100 {
			return
		}
		chain = append(chain, name)
		for _, v := range values {
			if next := aliasName(v, delimiter, domains); next != "" && next != name && !ends[next] {
				follow(next)
			}
		}
		chain, done[name] = chain[:len(chain)-1], true
	}
	for _, key := range table.Keys() {
		follow(key)
	}
	return found
}

// marked are the names with a backslash before them.
func marked(text, delimiter string) map[string]bool {
	names := map[string]bool{}
	for _, part := range strings.Split(text, `\`)[1:] {
		if end := strings.IndexAny(part, ", \t\r\n\"@"+delimiter); end >= 0 {
			part = part[:end]
		}
		names[part] = true
	}
	return names
}

// aliasName is the local name that a value leads to, "" for everything else.
func aliasName(v, delimiter string, domains []string) string {
	v = strings.ToLower(v)
	if local, domain, is := strings.Cut(v, "@"); is && slices.Contains(domains, domain) {
		v = local
	}
	if v == "" || strings.ContainsAny(v, `@/|:"%! \`) {
		return ""
	}
	if at := strings.IndexAny(v, delimiter); delimiter != "" && at > 0 {
		v = v[:at]
	}
	return v
}
