package chroot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/sysroot"
)

// maxFile bounds the size of one file of the host that is copied.
const maxFile = 256 << 20

// decide compares the plan with the queue directory and fills in what has to be done. It reads only. found is false where
// there was no list yet.
func (a *applier) decide(found bool) {
	needed := map[string]bool{}
	a.wanted = map[string]bool{}
	claim := map[string]bool{}
	for _, e := range a.Entries {
		a.wanted[e.Path] = true
		dir := path.Dir(e.Path)
		if e.Source == "" {
			dir = e.Path
		}
		for d := dir; d != "." && !needed[d]; d = path.Dir(d) {
			needed[d] = true
		}
		if e.Source == "" && a.mounted(e.Path) {
			continue // there is nothing to be copied: our own init script mounts saslauthd's directory
		}
		if !a.wantDir(dir) || e.Source == "" {
			continue
		}
		if a.compare(e) == unix.S_IFLNK {
			claim[path.Dir(e.Path)] = true
		}
	}
	for to, host := range a.caDir {
		if claim[to] || !found {
			a.claimCADir(to, host)
		}
	}
	a.claimDebian(found)
	for _, name := range a.stale() {
		a.consider(name)
	}
	a.decideRelays()
	a.leaveDirs(needed)
}

// wantDir notes which directories are missing up to name. It is false where the way is blocked.
func (a *applier) wantDir(name string) bool {
	if slices.Contains(a.dirs, name) {
		return true
	}
	_, err := a.q.open(name)
	switch block := (*blocked)(nil); {
	case err == nil:
		return true
	case errors.As(err, &block):
		a.warn("%v in the queue directory %q: what belongs there is not copied", block, a.Instance.QueueDir)
		return false
	case !errors.Is(err, fs.ErrNotExist):
		a.failed(name, "use", err)
		return false
	}
	if !a.wantDir(path.Dir(name)) {
		return false
	}
	a.dirs = append(a.dirs, name)
	return true
}

// compare decides about one file and gives the kind of what is in its place.
func (a *applier) compare(e Entry) (kind uint16) {
	st, err := a.q.look(e.Path)
	missing := errors.Is(err, fs.ErrNotExist)
	if block := (*blocked)(nil); errors.As(err, &block) {
		if st.sig != e.source { // else the host's own file is mounted there, and is up to date by itself
			a.warn("%v in the queue directory %q: it is left alone", block, a.Instance.QueueDir)
		}
		return 0
	}
	if err != nil && !missing {
		a.fail(e, err)
		return 0
	}
	if !missing && st.kind() == unix.S_IFDIR {
		a.warn("%q in the queue directory %q is a directory: it is left alone", e.Path, a.Instance.QueueDir)
		return st.kind()
	}
	regular := !missing && st.kind() == unix.S_IFREG
	if same := e.source == untrusted || e.source.inode == st.sig.inode; regular && same && a.hostsOwn(st, e.Source) {
		a.disown(e.Path)
		return st.kind()
	}
	f := a.k.Files[e.Path]
	if regular && f != nil && f.source == e.source && f.copy == st.sig && !(e.key && !a.private(e, st)) {
		return st.kind()
	}
	c, err := a.load(e)
	if errors.Is(err, errNoCertificate) {
		delete(a.wanted, e.Path)
		return st.kind()
	}
	if err != nil {
		a.fail(e, err)
		return st.kind()
	}
	if regular && st.perm() == c.attr.Mode.Perm() && st.owner == [2]int{c.attr.UID, c.attr.GID} && a.holdsData(e.Path, st, c.data) {
		a.inStep(c, st)
		return st.kind()
	}
	a.changes = append(a.changes, c)
	return st.kind()
}

// private tells whether a copy is for the account of its reader alone: it may have been copied for others, or for nobody, before.
func (a *applier) private(e Entry, st stat) bool {
	uid, _ := a.account(e.reader)
	return st.perm() == 0o600 && st.owner[0] == uid
}

// inStep notes a copy that is as it should be. The list is only rewritten where that makes a difference for later runs.
func (a *applier) inStep(c change, st stat) {
	f := a.k.Files[c.Path]
	if f == nil || !slices.Equal(f.sums, []string{c.sum}) || f.copy != st.sig || f.source != untrusted && f.source != c.source {
		a.dirty = true
	}
	a.k.put(c.Path, &keptFile{sums: []string{c.sum}, source: a.trusted(c.source), copy: st.sig})
}

// load reads the host's file of an entry.
func (a *applier) load(e Entry) (change, error) {
	c := change{Entry: e}
	if e.reader != "" { // its own mode will not keep the copy from being read, so nobody else may have put it there
		if err := a.deps.Root.TrustedPlace(e.Source); err != nil {
			return c, err
		}
	}
	real, err := a.deps.Root.Resolve(e.Source)
	if err != nil {
		return c, err
	}
	text, err := a.deps.Shared.texts.read(real)
	if err != nil {
		return c, err
	}
	c.data, c.sum = text.data, text.sum
	fi := text.fi
	c.source = signatureOf(fi)
	c.attr = sysroot.Attr{Mode: sysroot.Exact(fi.Mode().Perm()), Force: true}
	c.attr.UID, c.attr.GID = a.owner()
	if c.attr.Mode&0o004 == 0 { // not for everybody: then the owner and group matter (failure C05)
		c.attr.UID, c.attr.GID = sysroot.Owner(fi)
	}
	if uid, gid := a.account(e.reader); gid >= 0 {
		c.attr.Mode, c.attr.GID = 0o640, gid
		c.attr.UID, _ = a.owner()
		if e.key {
			c.attr.Mode, c.attr.UID = 0o600, uid
		}
	}
	if e.convert != nil {
		c.data = e.convert(c.data)
	}
	if e.certs {
		if err := a.cutCertificates(&c); err != nil {
			return c, err
		}
	}
	if e.convert != nil || e.certs {
		c.sum = sum(c.data)
	}
	return c, nil
}

var errChanging = errors.New("it changes while it is read")

// readStable reads a regular file that did not change meanwhile.
func readStable(real string) ([]byte, fs.FileInfo, error) {
	f, err := os.OpenFile(real, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !before.Mode().IsRegular() || before.Size() > maxFile {
		return nil, nil, fmt.Errorf("no regular file of at most %d bytes", maxFile)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, nil, err
	}
	after, err := f.Stat()
	if err == nil && (signatureOf(after) != signatureOf(before) || after.Size() != int64(len(data))) {
		err = errChanging
	}
	return data, after, err
}

// holdsData tells whether the chroot's file has this content.
func (a *applier) holdsData(name string, st stat, data []byte) bool {
	if st.sig.size != int64(len(data)) {
		return false
	}
	have, err := a.q.read(name)
	return err == nil && bytes.Equal(have, data)
}

// stale lists what is ours and not in the plan any more, sorted.
func (a *applier) stale() []string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(a.k.Files)), maps.Keys(a.k.Links))
	names = slices.DeleteFunc(names, func(name string) bool { return a.wanted[name] || a.holds(name) })
	slices.Sort(names)
	return slices.Compact(names)
}

// consider decides about one file of ours that is not wanted. It is removed only if it is still what we wrote.
func (a *applier) consider(name string) {
	st, err := a.q.look(name)
	switch block := (*blocked)(nil); {
	case errors.As(err, &block):
		a.warn("%v in the queue directory %q: what we have put there stays", block, a.Instance.QueueDir)
		return
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		a.failed(name, "look at", err)
		return
	case err == nil && a.hostsOwn(st, "/"+name):
		a.disown(name)
		return
	case err == nil && a.ours(name, st):
		a.removal = append(a.removal, name)
		return
	case err == nil && !a.k.Pending: // else it was never written by the run that did not end
		a.each(name, "%%s in the queue directory %q is not needed any more and was changed by somebody: it is left to them", a.Instance.QueueDir)
	}
	a.k.put(name, nil)
	delete(a.k.Links, name)
	a.dirty = true
}

// hostsOwn tells whether what lies in the queue directory is the host's own file, seen by another name: it is up to date by itself, and
// never ours.
func (a *applier) hostsOwn(st stat, host string) bool {
	return st.id == idOf(a.deps.Root.Stat(host)) || st.id == idOf(a.deps.Root.Lstat(host))
}

// disown drops a file from the list.
func (a *applier) disown(name string) {
	if a.k.Files[name] != nil || a.k.Links[name] != "" {
		a.k.put(name, nil)
		delete(a.k.Links, name)
		a.dirty = true
	}
}

// ours tells whether the file at name is what the list says.
func (a *applier) ours(name string, st stat) bool {
	f, link := a.k.Files[name], a.k.Links[name]
	switch {
	case st.kind() == unix.S_IFLNK && link != "":
		d, err := a.q.open(path.Dir(name))
		if err != nil {
			return false
		}
		target, err := d.root.Readlink(path.Base(name))
		return err == nil && target == link
	case st.kind() == unix.S_IFREG && f != nil:
		if f.copy == st.sig {
			return true
		}
		if len(f.sums) == 1 && f.copy != untrusted && f.copy.size != st.sig.size {
			return false // no other content was ever ours, and what it is now may be large
		}
		data, err := a.q.read(name)
		return err == nil && slices.Contains(f.sums, sum(data))
	}
	return false
}

// leaveDirs decides which directories of ours go: those that nothing planned needs and that will be empty.
func (a *applier) leaveDirs(needed map[string]bool) {
	gone := map[string]bool{}
	for _, name := range append(slices.Clone(a.removal), a.sockets...) {
		gone[name] = true
	}
	dirs := slices.Clone(a.k.Dirs)
	for n := len(dirs) - 1; n >= 0; n-- { // sorted, so what lies below comes first
		name := dirs[n]
		if needed[name] || a.holds(name) || slices.ContainsFunc(a.held, func(h string) bool { return strings.HasPrefix(h, name+"/") }) {
			continue
		}
		d, err := a.q.open(name)
		if err == nil && a.hostsOwn(d.self, "/"+name) {
			err = fs.ErrNotExist
		}
		if errors.Is(err, fs.ErrNotExist) {
			a.k.dropDir(name)
			a.dirty = true
		}
		if err != nil {
			continue
		}
		if names, err := d.names(); err == nil && !slices.ContainsFunc(names, func(e string) bool { return !gone[path.Join(name, e)] }) {
			gone[name] = true
			a.rmdirs = append(a.rmdirs, name)
		}
	}
}

// names lists what is in the directory, read afresh.
func (d *dir) names() ([]string, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}
