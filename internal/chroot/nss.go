package chroot

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"postfix-maint/internal/elfdep"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/pattern"
)

// builtin are the NSS modules that are part of libc.so.6 itself since glibc 2.34 (Debian 12 has 2.36): no file is loaded
// for them.
var builtin = map[string]bool{"files": true, "dns": true}

// action is a reaction in nsswitch.conf(5), which is no module.
var action = pattern.New(`\[[^]]*\]`)

var moduleName = pattern.New(`^[A-Za-z0-9_-]+$`)

// lookup is a module that nsswitch.conf(5) names for a database.
type lookup struct{ database, module string }

// lookups lists the modules that are files, in the order of nsswitch.conf.
func lookups(nsswitch []byte) []lookup {
	var found []lookup
	for line := range strings.Lines(string(nsswitch)) {
		line, _, _ = strings.Cut(line, "#")
		database, services, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		for _, name := range strings.Fields(action.Regexp().ReplaceAllString(services, " ")) {
			if !builtin[name] && moduleName.Regexp().MatchString(name) {
				found = append(found, lookup{strings.TrimSpace(database), name})
			}
		}
	}
	return found
}

// addLibraries plans what the C library loads by itself after chroot(2): NSS modules, and libgcc_s for the end of a thread
// (pthread_cancel(3)), each with all it needs. They go where ld.so looks without its cache, which is not in the chroot:
// /usr/lib/MULTIARCH only, never a mix with /lib (Debian bugs around merged /usr, for instance #1054485).
func (p *Plan) addLibraries(conf *config) {
	program, err := conf.value("daemon_directory")
	program = path.Join(program, "smtpd") // any daemon: they are all for one machine
	var l *elfdep.Loader
	if err == nil {
		l, err = p.deps.Shared.loader(p.deps.Root, program)
	}
	var nsswitch []byte
	if err == nil {
		// Whoever owns it: the C library of each process of root's obeys the same file, and from here it only chooses among the host's
		// own libraries, by names without a slash.
		nsswitch, err = readSmall(p.deps.Root, paths.NSSwitch)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err != nil {
		p.warnf("cannot work out the libraries of the chroot: %v", err)
		p.holdLibraries()
		return
	}
	p.loader = l
	p.addFound(l, "libgcc_s.so.1", "end of threads in the C library")
	done := map[string]bool{} // whether a module is there
	for _, lookup := range lookups(nsswitch) {
		there, known := done[lookup.module]
		if !known { // Debian's own nsswitch.conf names modules that are not installed: db, nis
			there = p.addFound(l, "libnss_"+lookup.module+".so.2", "NSS module "+lookup.module)
			done[lookup.module] = there
		}
		if there {
			p.checkModule(conf, lookup)
		}
	}
}

// addFound plans a library and all it needs; it tells whether the host has it.
func (p *Plan) addFound(l *elfdep.Loader, file, why string) bool {
	lib, err := l.Find(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	p.addClosure(l, lib, why, "libc.so.6")
	return true
}

// addClosure plans one library and all it needs but what is given: that is in the process already.
func (p *Plan) addClosure(l *elfdep.Loader, lib elfdep.Lib, why string, given ...string) {
	libs, missing, err := l.Closure(lib, given...)
	if err != nil {
		p.warnf("cannot work out what %s needs: %v", lib.Name, err)
		p.holdLibraries()
		return
	}
	for _, name := range missing {
		p.warnf("cannot find library %s, which %s needs: the module will not load in the chroot", name, lib.Name)
	}
	for _, dep := range libs {
		reason := why
		if dep.Name != lib.Name {
			reason = "needed by " + lib.Name
		}
		p.addLibrary(dep, reason)
	}
}

// addLibrary plans one library, and with it an older copy of the same name where ld.so would find that first: Debian 12's
// script has put some into lib/MULTIARCH.
func (p *Plan) addLibrary(lib elfdep.Lib, why string) {
	_ = p.addFile(lib.Path, rel(lib.Dest), why, nil)
	below, ok := strings.CutPrefix(lib.Dest, paths.LibPrefix+"/")
	if !ok {
		return
	}
	top, err := p.deps.Root.Lstat(path.Join(p.Instance.QueueDir, paths.LibPrefixRoot))
	if err != nil || !top.IsDir() { // a link to usr/lib: one and the same
		return
	}
	first := path.Join(paths.LibPrefixRoot, below)
	if fi, err := p.deps.Root.Lstat(path.Join(p.Instance.QueueDir, first)); err == nil && fi.Mode().IsRegular() {
		_ = p.addFile(lib.Path, rel(first), why+", copied before and found first", nil)
	}
}

// holdLibraries keeps what is in the library directories.
func (p *Plan) holdLibraries() {
	p.held = append(p.held, rel(paths.LibPrefix), rel(paths.LibPrefixRoot))
}
