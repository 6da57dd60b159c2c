package doctor

import (
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/aliases"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/pattern"
)

// indexes are what postmap(1) appends to a table's name, per type (DATABASE_README); plain are types that are read as they are, or whose
// file says where the table is.
var (
	indexes = map[string]string{"hash": ".db", "btree": ".db", "lmdb": ".lmdb", "cdb": ".cdb"}
	plain   = strings.Fields("texthash regexp pcre cidr mysql pgsql ldap sqlite memcache")
)

// tableNames finds TYPE:PATH in a value, in lists and in maps of maps too.
var tableNames = pattern.New(`(?:^|[\s,{])(?:proxy:)?([a-z]+):(/[^\s,{}]+)`)

// isCache tells parameters whose tables the daemons make themselves.
func isCache(parameter string) bool {
	return strings.HasSuffix(parameter, "_cache_database") || strings.HasSuffix(parameter, "_cache_map") || parameter == "address_verify_map"
}

// settings calls do for every parameter that main.cf sets, and for those that master.cf sets for a service, with the expanded value.
func (i *Instance) settings(do func(parameter, value, file string, line int)) {
	for _, name := range i.Main.Names() {
		if v, line := i.param(name); v != "" {
			do(name, v, i.mainCF(), line)
		}
	}
	if i.Master == nil {
		return
	}
	for _, s := range i.Master.Services() {
		for n := 1; n < len(s.Args); n++ {
			name, raw, ok := strings.Cut(s.Args[n], "=")
			if s.Args[n-1] != "-o" || !ok {
				continue
			}
			if v, err := instance.Expand(i.Main, i.ConfigDir, raw); err == nil {
				do(name, v, i.masterCF(), s.Line)
			}
		}
	}
}

// tables lists the lookup tables that the configuration names; those in the data directory are caches, which daemons make.
func (h Host) tables(i *Instance) {
	database, _ := i.param("alias_database")
	i.settings(func(parameter, value, file string, line int) {
		if isCache(parameter) {
			return
		}
		for _, m := range tableNames.Regexp().FindAllStringSubmatch(value, -1) {
			t := Table{Parameter: parameter, File: file, Line: line, Type: m[1], Path: m[2]}
			ext := ""
			ext, t.Indexed = indexes[t.Type]
			if !t.Indexed && !slices.Contains(plain, t.Type) || strings.HasPrefix(t.Path, i.DataDir+"/") {
				continue
			}
			text, err := h.Root.Stat(t.Path)
			t.Text = err == nil
			t.Index = !t.Indexed && t.Text
			if t.Indexed {
				index, err := h.Root.Stat(t.Path + ext)
				t.Index = err == nil
				t.Old = t.Text && t.Index && index.ModTime().Unix() < text.ModTime().Unix()
			}
			t.Safe = h.Root.Trusted(t.Path) == nil
			t.Aliases = slices.Contains(maincf.SplitList(database), t.Type+":"+t.Path)
			if !slices.ContainsFunc(i.Tables, func(o Table) bool { return o.Type == t.Type && o.Path == t.Path }) {
				i.Tables = append(i.Tables, t)
			}
		}
	})
}

// tlsFiles are parameters that name files of TLS, and those that are secret.
var tlsFiles = map[string]bool{
	"smtpd_tls_cert_file": false, "smtpd_tls_eccert_file": false, "smtpd_tls_chain_files": true, "smtpd_tls_CAfile": false,
	"smtpd_tls_key_file": true, "smtpd_tls_eckey_file": true, "smtp_tls_cert_file": false, "smtp_tls_key_file": true, "smtp_tls_CAfile": false,
}

// files lists the files that TLS and logins need, as far as those are in use.
func (h Host) files(i *Instance) {
	client, _ := i.param("smtp_tls_security_level")
	add := func(parameter, file string, line int, name string, secret bool) {
		n := Named{Parameter: parameter, File: file, Line: line, Path: name, Secret: secret}
		fi, err := h.Root.Stat(name)
		n.Missing = err != nil
		n.Readable = err == nil && fi.Mode()&0o004 != 0
		i.Files = append(i.Files, n)
	}
	i.settings(func(parameter, value, file string, line int) {
		secret, known := tlsFiles[parameter]
		used := i.TLS != ""
		if strings.HasPrefix(parameter, "smtp_") {
			used = client != "" && client != "none"
		}
		var names []string
		switch {
		case known && used:
			names = slices.DeleteFunc(maincf.SplitList(value), func(name string) bool { return !path.IsAbs(name) })
		case parameter == "smtp_sasl_password_maps":
			names, secret = h.passwordFiles(value), true
		}
		for _, name := range names {
			add(parameter, file, line, name, secret)
		}
	})
}

// passwordFiles are the tables of a value, with their indexes, as far as they are there.
func (h Host) passwordFiles(value string) (names []string) {
	for _, m := range tableNames.Regexp().FindAllStringSubmatch(value, -1) {
		for _, name := range []string{m[2], m[2] + indexes[m[1]]} {
			if fi, err := h.Root.Stat(name); err == nil && fi.Mode().IsRegular() {
				names = append(names, name)
			}
		}
	}
	return names
}

// mostAliases bounds a table of aliases, which may be another account's, as that of a list manager: of many short lines it takes some seventy
// times its size in memory.
const mostAliases = 4 << 20

// rootMail follows root's mail through the aliases, where nothing else decides about it.
func (h Host) rootMail(f *Facts, i *Instance) {
	for _, other := range []string{"virtual_alias_maps", "mailbox_transport", "mailbox_transport_maps", "fallback_transport", "luser_relay", "canonical_maps",
		"recipient_canonical_maps"} {
		if v, _ := i.param(other); v != "" {
			return
		}
	}
	database, _ := i.param("alias_database")
	m := tableNames.Regexp().FindStringSubmatch(database)
	if m == nil || f.Accounts == nil {
		return
	}
	text, err := h.Root.ReadAtMost(m[2], mostAliases)
	if err != nil {
		return
	}
	table, err := aliases.Parse(text)
	if err != nil {
		return
	}
	i.Aliases, i.RootLine = m[2], table.Line("root")
	delimiter, _ := i.param("recipient_delimiter")
	i.Root = append(i.Root, strangers(table, f.Accounts, delimiter)...)
}

// strangers are the names that root's alias leads to and that are neither an alias nor an account.
func strangers(table *aliases.File, accounts map[string]bool, delimiter string) (names []string) {
	seen := map[string]bool{}
	var follow func(name string)
	follow = func(name string) {
		if seen[name] || len(seen) > 100 {
			return
		}
		seen[name] = true
		values, ok := table.Lookup(name)
		if !ok && !accounts[name] {
			names = append(names, name)
		}
		for _, v := range values {
			v = strings.ToLower(strings.Trim(v, `\`))
			if v == "" || strings.ContainsAny(v, `@/|:"%! `) {
				continue
			}
			if at := strings.IndexAny(v, delimiter); delimiter != "" && at > 0 {
				v = v[:at]
			}
			follow(v)
		}
	}
	follow("root")
	return names
}
