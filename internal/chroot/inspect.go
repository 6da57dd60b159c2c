package chroot

import (
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// inspect is preview, and lists what is foreign.
func (a *applier) inspect() {
	a.preview()
	a.checkLogins()
	a.checkEndpoints()
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

// maxDepth is deeper than anything we make: who may write to a directory of the queue may nest thousands.
const maxDepth = 30

// lookFor lists the foreign files below a directory. Sockets are their daemons', directories nobody's; what lies behind a link or
// in a mount is not the chroot's.
func (a *applier) lookFor(name string, known map[string]bool) {
	if strings.Count(name, "/") >= maxDepth {
		a.warn("directories below %q are not looked into: there are too many, one in the other", path.Dir(name))
		return
	}
	_, open := a.q.dirs[name]
	d, err := a.q.open(name)
	if err != nil {
		a.warn("cannot look into %q: %v", name, err)
		return
	}
	if !open { // there may be more of them than a process may have open
		defer a.q.leave(name)
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
