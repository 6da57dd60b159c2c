package chroot

import (
	"bytes"
	"fmt"
	"path"
	"slices"

	"postfix-maint/internal/inventory"
	"postfix-maint/internal/pattern"
	"postfix-maint/internal/sysroot"
)

// addLateFiles plans the files that chrooted services open late, beyond those of tables. A key is for Postfix's account alone, whoever may
// read the host's: no other key gets into a chroot.
func (p *Plan) addLateFiles(named []inventory.Endpoint) {
	for _, e := range named {
		n := slices.IndexFunc(p.Entries, func(f Entry) bool { return f.Path == rel(e.Path) })
		switch {
		case !e.Chrooted || e.Path == "":
		case e.Use == inventory.TrustAnchor && n < 0:
			_ = p.addFile(e.Path, rel(e.Path), e.Parameter, withoutKeys) // one that is not there is said by a check
		case e.Use == inventory.PrivateKey && n >= 0:
			p.Entries[n].reader, p.Entries[n].key = p.mailOwner, true
			p.noteModule(false, fmt.Sprintf("the private key %q is copied into the chroot, with the mode 0600 for account %s: %s opens it when it connects (%s, %s:%d)",
				e.Path, p.mailOwner, e.Service, e.Parameter, e.File, e.Line))
		}
	}
}

// keyBlock is a private key in a PEM file.
var keyBlock = pattern.New(`(?s)-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?(-----END [A-Z0-9 ]*PRIVATE KEY-----\n?|$)`)

func withoutKeys(data []byte) []byte { return keyBlock.Regexp().ReplaceAll(data, nil) }

// tryFile looks for a file that is opened late: on the host, and for a chrooted service in its chroot.
func (a *applier) tryFile(conf *config, e inventory.Endpoint, distrusted error) (state State, why string) {
	if there, err := a.deps.Root.Exists(e.Path); err == nil && !there {
		return Missing, "there is no such file: correct the path"
	}
	if !e.Chrooted {
		return Untried, ""
	}
	if e.Use == inventory.DatabaseFile {
		if state, why, known := a.tryDatabase(conf, e); known {
			return state, why
		}
	}
	_, err := a.q.look(rel(e.Path))
	planned := slices.ContainsFunc(a.Entries, func(f Entry) bool { return f.Path == rel(e.Path) })
	switch {
	case err == nil || planned:
		return Reachable, ""
	case distrusted != nil:
		return NoWay, fmt.Sprintf("it is not copied into the chroot, for what names it is not obeyed: %v", distrusted)
	}
	return NoWay, "it is not copied into the chroot; run the service outside of it, or correct the path"
}

// tryDatabase says what cannot be right of an SQLite file in a chroot. known is false where it is a file like others: proxymap(8) opens it
// in the chroot, the other services have it open by then (dict_sqlite_open() in global/dict_sqlite.c).
func (a *applier) tryDatabase(conf *config, e inventory.Endpoint) (state State, why string, known bool) {
	const remedy = "read it through proxy: with a proxymap outside of the chroot (\"postconf -F proxymap/unix/chroot=n\")"
	switch {
	case a.hasLog(e.Path):
		return NoWay, "it has a write-ahead log beside it, which is opened in the chroot; " + remedy + ", or leave that mode (\"PRAGMA journal_mode=DELETE\")", true
	case !conf.isProxymap(e.Service):
		return Reachable, "", true
	}
	fi, err := a.deps.Root.Stat(e.Path)
	journal, _ := a.deps.Root.Exists(e.Path + "-journal")
	if err != nil {
		return "", "", false
	}
	if uid, _ := sysroot.Owner(fi); uid != 0 || journal || fi.Mode()&0o022 != 0 {
		a.warn("%s looks into a copy of the database %q, which others write: it is as old as the last start, reload or \"chroot sync\" (%s, %s:%d); "+
			"run it outside of the chroot (\"postconf -F proxymap/unix/chroot=n\")", e.Service, e.Path, e.Parameter, e.File, e.Line)
	}
	return "", "", false
}

// hasLog tells whether an SQLite file is one with a write-ahead log: by its header, or by the log (sqlite.org/fileformat2.html).
func (a *applier) hasLog(name string) bool {
	if there, err := a.deps.Root.Exists(name + "-wal"); err == nil && there {
		return true
	}
	const length, writes = 100, 18
	data, _, err := a.deps.Root.ReadFrom(name, 0, length)
	return err == nil && bytes.HasPrefix(data, []byte("SQLite format 3\x00")) && len(data) > writes && data[writes] == 2
}

// isProxymap tells whether a service, as NAME/TYPE, runs proxymap(8).
func (c *config) isProxymap(service string) bool {
	for _, s := range c.services {
		if path.Join(s.Name, s.Type) == service {
			return s.Command == "proxymap"
		}
	}
	return false
}
