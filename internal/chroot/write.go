package chroot

import (
	"cmp"
	"errors"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// atOnce is how many files are written before any of them is put in its place: their way to the disk is one.
const atOnce = 32

// large is what a file has that is written before the others, in bytes: while an instance waits for the disk the next one reads the same
// file, so what waits may hold small ones only.
const large = 1 << 20

// largeFirst puts large files first, and leaves the others in their order.
func largeFirst(changes []change) {
	slices.SortStableFunc(changes, func(x, y change) int { return cmp.Compare(len(y.data)/large, len(x.data)/large) })
}

// write puts files in their places. They are written first, all of them, then synced together with the line of the list that announces
// them, then renamed; so hundreds of instances wait for a few commits of the file system's journal, not for thousands.
func (a *applier) write(changes []change) {
	made, errs := make([]*sysroot.New, len(changes)), make([]error, len(changes))
	for n, c := range changes {
		made[n], errs[n] = a.prepare(c)
		changes[n].data = nil // it is written, and this instance is about to wait
		if made[n] != nil {
			defer made[n].Close()
			a.open = append(a.open, made[n].File())
		}
	}
	a.sync(made, errs)
	for n, c := range changes {
		if errs[n] == nil {
			errs[n] = a.put(c, made[n])
		}
		if errs[n] != nil {
			if made[n] != nil {
				made[n].Drop()
			}
			a.k.put(c.Path, c.before)
			a.fail(c.Entry, errs[n])
		}
	}
}

// prepare writes one file beside its place; nil is one that is right by now.
func (a *applier) prepare(c change) (*sysroot.New, error) {
	if err := a.lacking[path.Dir(c.Path)]; err != nil {
		return nil, err
	}
	d, err := a.q.open(path.Dir(c.Path))
	if err != nil {
		return nil, err
	}
	n, _, err := sysroot.Prepare(d.root, path.Base(c.Path), c.data, c.attr)
	return n, err
}

// sync has all that is open get to the disk, and adds the error of each new file. A list that cannot be synced is like one that cannot be
// written: the mail matters more.
func (a *applier) sync(made []*sysroot.New, errs []error) {
	failed := map[*os.File]error{}
	a.deps.Shared.wait(func() {
		for n, err := range sysroot.SyncAll(a.open) {
			failed[a.open[n]] = err
		}
	})
	for n, m := range made {
		if m != nil {
			errs[n] = failed[m.File()]
			delete(failed, m.File())
		}
	}
	for f, err := range failed {
		if err != nil && !errors.Is(err, unix.EINVAL) { // some file systems have no fsync of directories
			a.warn("cannot note what belongs to the chroot of instance %s: %v", a.Instance.Name, err)
		}
		_ = f.Close()
	}
	a.open = nil
}

// put gives one file its name.
func (a *applier) put(c change, n *sysroot.New) error {
	a.deps.Logf("copying %s to %s", c.Source, c.Path)
	if n != nil {
		if err := n.Put(); err != nil {
			return err
		}
		a.touched[a.q.dirs[path.Dir(c.Path)]] = true
	}
	f := &keptFile{sums: []string{c.sum}, source: a.trusted(c.source), copy: untrusted}
	if st, err := a.q.look(c.Path); err == nil {
		f.copy = st.sig
	}
	a.k.put(c.Path, f)
	a.result.Changed = append(a.result.Changed, c.Path)
	return nil
}

// settle keeps the order of things through a power loss: a list that says what has been done must not last longer than the doing. One file
// system puts changes of names into its journal in their order, and what it loses are the last ones; the next run does these again.
// Between two file systems there is no order.
func (a *applier) settle() {
	fi, err := a.deps.Root.Stat(paths.ChrootState)
	if st, here := a.q.dirs["."].stat(""); here == nil && st.id.dev == idOf(fi, err).dev {
		return
	}
	var dirs []*os.File
	for d := range a.touched {
		dirs = append(dirs, d.file)
	}
	sysroot.SyncAll(dirs) // of a directory that is gone itself its parent matters, and some file systems cannot do it
}

// forgo closes lines that need not last: without them the next run looks again.
func (a *applier) forgo() {
	sysroot.CloseAll(a.open)
	a.open = nil
}
