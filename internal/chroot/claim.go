package chroot

import (
	"bytes"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// bundle is never taken away from a directory of certificates: administrators copy it there by hand (#1003982).
const bundle = "ca-certificates.crt"

// claimCADir takes over what Debian 12's script made of a directory of certificates: before there is a list, and where
// links in the place of hashed names show that the script ran again. It copied every *.pem and made hashed links to them,
// a server's own certificate included, which so became a trusted one in the chroot (failure C08). What is equal to the
// host's file of the same name, and a hashed link to such a file, is that script's work: it is ours now, so that what the
// plan does not want can go.
func (a *applier) claimCADir(to, host string) {
	d, err := a.q.open(to)
	if err != nil {
		return
	}
	names, err := d.names()
	if err != nil {
		a.failed(to, "read", err)
		return
	}
	slices.Sort(names)
	equal := map[string]bool{}
	for _, name := range names {
		p := path.Join(to, name)
		data, same := a.equalsHost(d, p, path.Join(host, name))
		if equal[name] = same; same && !a.wanted[p] && name != bundle {
			a.k.put(p, &keptFile{sums: []string{sum(data)}, source: untrusted, copy: untrusted})
			a.dirty = true
		}
	}
	foreign := 0
	for _, name := range names {
		p := path.Join(to, name)
		if !hashed.Regexp().MatchString(name) || a.wanted[p] || a.k.Files[p] != nil {
			continue
		}
		if target, err := d.root.Readlink(name); err == nil && equal[target] {
			a.k.Links[p] = target
			a.dirty = true
			continue
		}
		foreign++
	}
	if foreign > 0 {
		a.warn("%d certificates in %q of the queue directory %q are trusted there and not in the host's %q",
			foreign, to, a.Instance.QueueDir, host)
	}
}

// equalsHost tells whether a regular file of the chroot has the content of the host's.
func (a *applier) equalsHost(d *dir, name, host string) ([]byte, bool) {
	st, err := d.stat(path.Base(name))
	if err != nil || st.kind() != unix.S_IFREG || st.mount != d.mount {
		return nil, false
	}
	// Before it is read: whoever owns the directory can have it full of large files.
	if fi, err := a.deps.Root.Stat(host); err != nil || fi.Size() != st.sig.size || a.hostsOwn(st, host) {
		return nil, false
	}
	have, err := a.q.read(name)
	if err != nil {
		return nil, false
	}
	want, err := readSmall(a.deps.Root, host)
	return have, err == nil && bytes.Equal(have, want)
}
