package chroot

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/dynamicmaps"
	"postfix-maint/internal/elfdep"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/pattern"
	"postfix-maint/internal/sysroot"
)

// table is a lookup table that the configuration names (DATABASE_README).
type table struct {
	typ, name string
	proxied   bool // opened by proxymap(8)
}

// tableName finds tables in a parameter's value: by themselves, in a list, in the braces of pipemap and unionmap, behind proxy:.
var tableName = pattern.New(`(?:^|[\s,;{=])(proxy:)?([a-z]+):([^\s,;{}]+)`)

// elsewhere are parameters whose tables are opened by local(8), virtual(8) and programs for administrators only.
var elsewhere = strings.Fields("alias_database virtual_uid_maps virtual_gid_maps mailbox_command_maps mailbox_transport_maps " +
	"fallback_transport_maps mailbox_transport fallback_transport")

// tables lists the tables of main.cf and of the options of chrooted services, each once.
func (c *config) tables() []table {
	var found []table
	left := 100_000 // a hundred times what the longest main.cf of a real host looks up
	take := func(value string) {
		if expanded, err := instance.ExpandWithin(c.main, c.inst.ConfigDir, value, &left); err == nil {
			value = expanded // else a macro in it is unknown: the tables beside it still count
		}
		for _, m := range tableName.Regexp().FindAllStringSubmatch(value, -1) {
			if t := (table{typ: m[2], name: m[3], proxied: m[1] != ""}); !slices.Contains(found, t) {
				found = append(found, t)
			}
		}
	}
	for _, name := range c.main.Names() {
		if value, _ := c.main.Get(name); !slices.Contains(elsewhere, name) {
			take(value)
		}
	}
	for _, s := range c.chrooted {
		for n, arg := range s.Args {
			if n > 0 && s.Args[n-1] == "-o" {
				take(arg)
			}
		}
	}
	return found
}

// runs tells whether a program runs chrooted.
func (c *config) runs(program string) bool {
	return slices.ContainsFunc(c.chrooted, func(s mastercf.Service) bool { return s.Command == program })
}

// addMaps plans what tables need after chroot(2). proxymap(8) opens them then: it needs the module of the type and the table itself.
// The other services have both by then, but connect to a server later, and what they read for that is wanted of all of them.
func (p *Plan) addMaps(conf *config) {
	proxymap := conf.runs("proxymap")
	for _, t := range conf.tables() {
		if t.proxied && !proxymap {
			continue // opened outside of the chroot
		}
		if t.proxied {
			p.addModule(conf, t.typ)
			p.addTable(t)
		}
		p.addClient(conf, t)
	}
}

// addModule plans the module of a map type, if it has one: as the registry names it, with all that it needs beyond what proxymap(8)
// has in its process.
func (p *Plan) addModule(conf *config, typ string) {
	module, err := p.module(conf, typ)
	if err != nil {
		p.warnf("cannot work out the module of the map type %s: %v", typ, err)
		p.held = append(p.held, ".")
		return
	}
	if module == "" || p.loader == nil {
		return
	}
	if given := p.given(conf); given != nil {
		p.addClosure(p.loader, elfdep.Lib{Name: path.Base(module), Path: module, Dest: module}, "map type "+typ, given...)
	}
}

// given are the libraries that proxymap(8) has in its process from the start: Postfix's own that every daemon has, and what those need. nil
// where that cannot be worked out.
func (p *Plan) given(conf *config) []string {
	dir, err := conf.value("daemon_directory")
	if err != nil {
		return nil // said by addLibraries
	}
	own, _, err := p.loader.Closure(elfdep.Lib{Name: "proxymap", Path: path.Join(dir, "proxymap")}, "libc.so.6")
	if err != nil {
		p.warnf("cannot work out what proxymap needs: %v", err)
		p.holdLibraries()
		return nil
	}
	given := []string{"libc.so.6"}
	for _, lib := range own {
		given = append(given, lib.Name)
	}
	return given
}

// module is the library of a map type that is no part of Postfix itself, "" for others. The registry is dynamicmaps.cf, from 3.11 on a
// directory (postfix(1), "dynamic linking"); a relative name is below shlib_directory.
func (p *Plan) module(conf *config, typ string) (string, error) {
	shlib, err := conf.value("shlib_directory")
	if err != nil {
		return "", err
	}
	files, err := p.registries(conf)
	if err != nil {
		return "", err
	}
	for _, file := range files {
		data, err := p.deps.Root.ReadTrusted(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		e, _ := dynamicmaps.Find(data, typ)
		switch {
		case path.IsAbs(e.Library):
			return e.Library, nil
		case e.Library != "":
			return path.Join(shlib, e.Library), nil
		}
	}
	return "", nil
}

// registries are the files that tell the libraries of map types, in the order in which Postfix reads them.
func (p *Plan) registries(conf *config) ([]string, error) {
	meta, err := instance.MetaDir(p.deps.Root, conf.main, p.Instance.ConfigDir)
	if err != nil {
		return nil, err
	}
	files := []string{path.Join(meta, path.Base(paths.DynamicMaps))}
	for _, dir := range []string{path.Join(meta, path.Base(paths.DynamicMapsD)), paths.DynamicMapsD} {
		names, err := p.deps.Root.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, n := range names {
			files = append(files, path.Join(dir, n.Name()))
		}
	}
	return files, nil
}

// suffixes are what the programs that build an indexed table append to its name.
var suffixes = map[string]string{"cdb": ".cdb", "lmdb": ".lmdb", "hash": ".db", "btree": ".db"}

// fileTypes are the types whose tables are read from a file of the name given, or are described there.
var fileTypes = strings.Fields("pcre regexp cidr texthash ldap mysql pgsql sqlite mongodb memcache")

// addTable plans the file of a table that is opened in the chroot, with its owner and mode if it is not for everybody.
func (p *Plan) addTable(t table) {
	file := t.name + suffixes[t.typ]
	if !path.IsAbs(file) || suffixes[t.typ] == "" && !slices.Contains(fileTypes, t.typ) {
		return // inline:, static:, unix:, an LDAP source in main.cf and the like
	}
	if err := p.addFile(file, rel(file), "table "+t.typ+":"+t.name, nil); err != nil {
		p.warnf("cannot copy %q of the table %s:%s: the host has no such file", file, t.typ, t.name)
	}
	if t.typ == "sqlite" {
		for _, name := range p.source(t)["dbpath"] {
			_ = p.addFile(name, rel(name), "database of "+t.typ+":"+t.name, nil)
		}
	}
}

// source reads the file that describes a table: name = value, as main.cf (ldap_table(5) and its kin).
func (p *Plan) source(t table) map[string][]string {
	values := map[string][]string{}
	if !path.IsAbs(t.name) {
		return values
	}
	data := p.readTrusted(t.name)
	f, err := maincf.Parse(data)
	if err != nil {
		p.warnf("cannot understand %q: %v", t.name, err)
		p.held = append(p.held, ".")
		return values
	}
	for _, name := range f.Names() {
		value, _ := f.Get(name)
		values[name] = maincf.SplitList(value)
	}
	return values
}

// readTrusted reads a file that names others, which are copied. One that somebody else can write is obeyed by nobody, and said.
func (p *Plan) readTrusted(name string) []byte {
	data, err := p.deps.Root.ReadTrusted(name)
	if errors.As(err, new(*sysroot.UntrustedError)) {
		p.warnf("the files that %q names are not copied: %v", name, err)
	}
	return data
}

// clientFiles are the parameters of a table's description that name files, which the client library reads when it connects.
var clientFiles = map[string][]string{
	"ldap":  {"tls_ca_cert_file", "tls_cert", "tls_key"},
	"mysql": {"option_file", "tls_CAfile", "tls_cert_file", "tls_key_file"},
}

// addClient plans what a table's client library reads when it connects to its server.
func (p *Plan) addClient(conf *config, t table) {
	if t.typ != "ldap" && t.typ != "mysql" && t.typ != "pgsql" {
		return
	}
	source := p.source(t)
	for _, parameter := range clientFiles[t.typ] {
		for _, name := range source[parameter] {
			_ = p.addFile(name, rel(name), parameter+" of "+t.typ+":"+t.name, nil)
		}
	}
	switch t.typ {
	case "ldap":
		p.addLDAP()
	case "mysql":
		p.addPlugins(conf)
	}
}

// addLDAP plans ldap.conf(5), which libldap reads at its first use, and the certificates that it names.
func (p *Plan) addLDAP() {
	_ = p.addFile(paths.LDAPConf, rel(paths.LDAPConf), "settings of libldap", nil)
	for line := range strings.Lines(string(p.readTrusted(paths.LDAPConf))) {
		if f := strings.Fields(line); len(f) == 2 && strings.EqualFold(f[0], "TLS_CACERT") {
			_ = p.addFile(f[1], rel(f[1]), "TLS_CACERT in "+paths.LDAPConf, nil)
		}
	}
}

// addPlugins plans the ways of authentication that libmariadb loads when a server asks for one, with what they need beyond what every
// daemon has in its process.
func (p *Plan) addPlugins(conf *config) {
	if p.loader == nil {
		return
	}
	dir := path.Join(p.loader.Home(), paths.MariaDBPlugins)
	names, _ := p.deps.Root.ReadDir(dir)
	var given []string
	for _, n := range names {
		if file := path.Join(dir, n.Name()); path.Ext(file) == ".so" {
			if given == nil {
				given = append(p.given(conf), "libc.so.6")
			}
			p.addClosure(p.loader, elfdep.Lib{Name: n.Name(), Path: file, Dest: file}, "authentication of mysql:", given...)
		}
	}
}
