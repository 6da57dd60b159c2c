package chroot

import (
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// inspect is foretell, and lists what is foreign.
func (a *applier) inspect() {
	a.foretell()
	a.checkLogins()
	for _, text := range a.unused {
		a.warn("%s", text)
	}
	known := map[string]bool{}
	for _, e := range a.Entries {
		known[e.Path] = true
	}
	a.lookFor(".", known)
	slices.Sort(a.result.Foreign)
}

// lookFor lists the foreign files below a directory. Sockets are their daemons', directories nobody's; what lies behind a link or
// in a mount is not the chroot's.
func (a *applier) lookFor(name string, known map[string]bool) {
	d, err := a.q.open(name)
	if err != nil {
		a.warn("cannot look into %q: %v", name, err)
		return
	}
	names, err := d.names()
	if err != nil {
		a.warn("cannot look into %q: %v", name, err)
		return
	}
	for _, base := range names {
		p := path.Join(name, base)
		st, err := d.stat(base)
		switch {
		case err != nil, st.mount != d.mount, st.kind() == unix.S_IFSOCK, name == "." && slices.Contains(postfixDirs, base):
		case st.kind() == unix.S_IFDIR:
			a.lookFor(p, known)
		case !known[p] && a.k.Files[p] == nil && a.k.Links[p] == "":
			a.result.Foreign = append(a.result.Foreign, p)
		}
	}
}
