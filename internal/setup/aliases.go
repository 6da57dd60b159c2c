package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"postfix-maint/internal/aliases"
	"postfix-maint/internal/answers"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// aliasSuffix is how the indexed file of a map type is called, for the types whose source is a text file that
// newaliases(1) indexes (DATABASE_README); the others are none of ours.
var aliasSuffix = map[string]string{
	"hash": ".db", "btree": ".db", "lmdb": ".lmdb", "cdb": ".cdb", "dbm": ".pag", "sdbm": ".pag",
}

const firstAliases = "# Who gets the mail of the system's accounts: see aliases(5). Run newaliases after a change.\npostmaster: root\n"

// aliasTables lists alias_database of f as type and path. A main.cf without the parameter has the compiled default: hash up to Debian 13,
// whatever default_database_type says, and that type where the release has a TableType. It gives none where the value refers to a parameter
// that is neither in main.cf nor known here.
func aliasTables(f *maincf.File, usual string) (tables [][2]string) {
	if f == nil {
		return nil
	}
	unknown, compiled := false, "$default_database_type:"+paths.Aliases
	if usual == "" {
		usual, compiled = "hash", "hash:"+paths.Aliases
	}
	list, err := maincf.Expand(value(f, "alias_database", compiled), func(name string) (string, bool) {
		if v, ok := f.Get(name); ok {
			return v, ok
		}
		v, ok := map[string]string{ // postconf(5)
			"alias_maps": compiled, "default_database_type": usual,
			"config_directory": paths.ConfigDir, "data_directory": paths.DataDir, "queue_directory": paths.QueueDir,
		}[name]
		unknown = unknown || !ok
		return v, ok
	})
	if err != nil || unknown {
		return nil
	}
	for _, t := range maincf.SplitList(list) {
		if typ, path, ok := strings.Cut(t, ":"); ok && strings.HasPrefix(path, "/") {
			tables = append(tables, [2]string{typ, path})
		}
	}
	return tables
}

// aliasPath is the alias file that root's alias belongs in: /etc/aliases if alias_database has it, else its first indexed
// file, which may be a mailing list manager's. "" if there is none: an administrator who emptied alias_maps or alias_database
// wants no alias file (A06).
func aliasPath(f *maincf.File) string {
	if f == nil {
		return paths.Aliases
	}
	if v, ok := f.Get("alias_maps"); ok && strings.TrimSpace(v) == "" {
		return ""
	}
	first := ""
	for _, t := range aliasTables(f, "") { // each usual type has an index, so the path is the same
		if _, ok := aliasSuffix[t[0]]; !ok {
			continue
		}
		if t[1] == paths.Aliases {
			return t[1]
		}
		if first == "" {
			first = t[1]
		}
	}
	return first
}

// aliasFile plans the alias file where main.cf refers to one that is missing, and root's alias: on a first installation if
// there is none (#293889), later when somebody asks for it.
func (p *Plan) aliasFile(context.Context) error {
	configured := p.mailerType() != answers.NoConfiguration
	path := aliasPath(p.h.main)
	if _, write := p.wish(answers.RootAddress); path == "" && write && configured && p.effected[answers.RootAddress].Value != "" {
		p.warn("no alias for root was added: main.cf uses no alias file")
	}
	// With "No configuration" Debian 12's scripts make the file all the same, and public roles write into it.
	if path == "" || p.h.unread || !configured && p.h.main == nil && !p.h.release.aliases {
		return nil
	}
	f, old := p.h.alias, p.h.aliasOld
	if f == nil {
		old = []byte(firstAliases)
	}
	f, err := aliases.Parse(old)
	if err != nil {
		return err
	}
	if configured && !p.Held {
		if err := p.rootAlias(f, path); err != nil {
			return err
		}
	}
	p.h.aliasesAfter = f
	return p.write(path, f.Bytes(), sysroot.Attr{Mode: 0o644}, "", nil)
}

func (p *Plan) rootAlias(f *aliases.File, path string) error {
	to, write := p.wish(answers.RootAddress)
	to = strings.TrimSpace(to)
	if !write || to == "" || strings.EqualFold(to, "none") {
		return nil
	}
	_, have := f.Lookup("root")
	if have && p.journal.Fresh {
		return nil // the alias file came before us
	}
	forward, err := p.d.Root.Exists(paths.RootForward)
	if err != nil {
		return err
	}
	if forward && !have {
		p.warn("root's mail goes where %s says: no alias for root was added to %s", paths.RootForward, path)
		return nil
	}
	if back := p.leadsBack(f, to); back != "" { // a guess, say; what somebody answered is refused already
		p.warn("no alias for root was added to %s: the mail for %s comes back to root", path, back)
		return nil
	}
	_, err = f.Set("root", maincf.SplitList(to)...)
	return err
}

// aliasDatabase plans that the alias database is made, once, where an index is missing, older than its source, could not be made the
// last time, or its source is changed by this run. main.cf says which maps are made. A table of a type whose package is missing is only told.
func (p *Plan) aliasDatabase(context.Context) error {
	if p.h.after == nil || p.h.unread {
		return nil
	}
	changed := map[string]bool{}
	for _, c := range p.Changes {
		changed[c.Path] = true
	}
	owed := p.h.state != nil && p.h.state.AliasesDue
	var due, missing [][2]string
	for _, t := range aliasTables(p.h.after, TableType(p.d.Root)) {
		suffix, ok := aliasSuffix[t[0]]
		if !ok {
			continue
		}
		hindrance, err := p.aliasHindrance(t)
		if err != nil {
			return err
		}
		if hindrance != "" {
			p.warn("alias database: %s:%s can't be made%s", t[0], t[1], hindrance)
			missing = append(missing, t)
			continue
		}
		stale, err := olderThan(p.d.Root, t[1]+suffix, t[1])
		if err != nil {
			return err
		}
		if stale || owed || p.resumed || changed[t[1]] {
			due = append(due, t)
		}
		if stale || owed || p.resumed {
			p.dropLeftover(t[1] + suffix)
		}
	}
	p.indexAliases(due, missing, owed)
	return nil
}

// aliasHindrance says why a table cannot be indexed, if it can't.
func (p *Plan) aliasHindrance(table [2]string) (string, error) {
	pkg, err := missingModule(p.d.Root, table[0])
	if err != nil {
		return "", err
	}
	if pkg != "" {
		return ", and mail that needs it waits: install the package " + pkg, nil
	}
	if fi, err := p.d.Root.Stat(table[1]); err == nil && !fi.Mode().IsRegular() { // newaliases(1) would wait for whoever writes into a named pipe
		return ": the source is no regular file", nil
	}
	return "", nil
}

// indexAliases plans the program that indexes the tables that are due.
func (p *Plan) indexAliases(due, missing [][2]string, owed bool) {
	p.aliasesDue = owed && len(due) > 0
	if len(due) > 0 && p.d.Root.IsHost() {
		tool := aliasTool(due, missing)
		p.add(Change{What: "run " + path.Base(tool[0]), after: true, do: func(ctx context.Context) error {
			err := p.d.Run.Run(ctx, tool[0], tool[1:]...)
			p.aliasesDue = err != nil
			return err
		}})
	}
}

// aliasTool gives the command that makes the tables that are due. newaliases(1) ends at the first one of a type that is missing,
// so the others are then made by themselves.
func aliasTool(due, missing [][2]string) []string {
	if len(missing) == 0 {
		return []string{paths.Newaliases}
	}
	args := []string{paths.Postalias}
	for _, t := range due {
		args = append(args, t[0]+":"+t[1])
	}
	return args
}

// olderThan tells whether index is missing, empty or older than source; a missing source needs no index.
func olderThan(root *sysroot.Root, index, source string) (bool, error) {
	src, err := root.Stat(source)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot look for %q: %w", source, err)
	}
	idx, err := root.Stat(index)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot look for %q: %w", index, err)
	}
	return idx.Size() == 0 || idx.ModTime().Before(src.ModTime()), nil
}

// dropLeftover plans that Berkeley DB's working file goes, which postalias(1) leaves behind where the disk was full: with it
// there no index can be made any more ("File exists").
func (p *Plan) dropLeftover(index string) {
	leftover := path.Join(path.Dir(index), "__db."+path.Base(index))
	if fi, err := p.d.Root.Lstat(leftover); err != nil || !fi.Mode().IsRegular() {
		return
	}
	p.add(Change{What: "remove " + leftover + ", left by an interrupted newaliases", Path: leftover, after: true, do: func(context.Context) error {
		_, err := p.d.Root.Remove(leftover)
		return err
	}})
}
