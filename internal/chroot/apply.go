package chroot

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/lock"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// How long a run waits for another one, which has a few hundred small files to write at most; a hook holds up whoever set up the network.
// Then it goes on: each file is replaced in one step, so two runs at once do less harm than a mail system that does not start.
const (
	lockWait = 5 * time.Second
	hookWait = time.Second
)

// Result is what a run did, or would do: paths relative to the queue directory, sorted.
type Result struct {
	Changed, Removed []string
	Warnings         []string
	// Missing, of Check alone, is what is not there at all: files of Changed, and directories. Foreign, of Inspect alone, is what
	// lies there and is neither planned nor ours.
	Missing, Foreign []string
	// Unreachable, of Inspect alone, says which sockets a chrooted service is led to and cannot reach: a sentence each.
	Unreachable []string
	// Endpoints, of Inspect alone, is the inventory of the instance with what came of a try.
	Endpoints []Endpoint
	// Undone is what could not be brought up to date; Warnings or the error say why.
	Undone []string
}

// Apply makes the chroot hold what the plan says. With nothing to do it writes nothing. The error is one of those that the
// package comment lists; the result is valid beside it.
func (p *Plan) Apply() (Result, error) { return p.run(true, (*applier).act) }

// Check says what Apply would do.
func (p *Plan) Check() (Result, error) { return p.run(false, (*applier).preview) }

// Inspect is Check, and says as well what is foreign.
func (p *Plan) Inspect() (Result, error) { return p.run(false, (*applier).inspect) }

// applier is one run.
type applier struct {
	*Plan
	q        *queue
	k        *kept
	result   Result
	changes  []change
	dirs     []string // to be made, parents first
	removal  []string // files to be removed
	rmdirs   []string // directories to be removed, deepest first
	relays   []Relay  // to be made
	ended    []string // units of relays to be stopped
	sockets  []string // that go with them
	dirty    bool     // the list needs to be written although no file changes
	fatal    []error
	refused  []string         // not written, because the file system takes nothing: said once, not for each of hundreds of certificates
	refusal  error            // the last answer
	lacking  map[string]error // directories that could not be made
	wanted   map[string]bool  // what the plan holds, but for what turned out to be nothing
	troubles []trouble
	now      time.Time
	open     []*os.File    // lines of the list that may not be on the disk yet
	touched  map[*dir]bool // directories in which names have changed
}

// change is one file to be written.
type change struct {
	Entry
	data   []byte
	sum    string
	attr   sysroot.Attr
	source signature
	before *keptFile
}

// run compares and does the rest; write tells whether that writes.
func (p *Plan) run(write bool, do func(*applier)) (Result, error) {
	a := &applier{Plan: p, now: time.Now(), lacking: map[string]error{}, touched: map[*dir]bool{}}
	a.result.Warnings, a.result.Undone = slices.Clone(p.Warnings), slices.Clone(p.undone)
	if p.Off {
		return a.result, nil
	}
	if err := checkHost(p.deps, p.Instance); err != nil {
		return a.result, err
	}
	real, err := p.deps.Root.Resolve(p.Instance.QueueDir)
	if err == nil {
		a.q, err = openQueue(real)
	}
	if errors.Is(err, fs.ErrNotExist) && len(p.Entries) == 0 {
		return a.result, nil
	}
	if err != nil {
		return a.result, fmt.Errorf("cannot open queue directory %q: %w", p.Instance.QueueDir, err)
	}
	defer a.q.close()
	if write {
		defer a.lock().Release()
	}
	var found bool
	var warn string
	if a.k, found, warn = loadKept(p.deps.Root, p.Instance); warn != "" {
		a.warn("%s", warn)
		a.dirty = true
	}
	if write && a.k.Pending {
		a.sweep() // first, while the list still has all names of the run that did not end
	}
	a.decide(found)
	if a.busy() || a.dirty {
		if err := checkOthers(p.deps, p.Instance); err != nil { // only now, for it reads the configuration of every instance
			return a.result, err
		}
	}
	do(a)
	a.say()
	slices.Sort(a.result.Changed)
	slices.Sort(a.result.Removed)
	return a.result, errors.Join(a.fatal...)
}

// lock keeps two runs from working on one chroot. In an image nobody else is at work, and no file of ours is left in its /run.
func (a *applier) lock() *lock.Lock {
	root, limit := a.deps.Root, lockWait
	if a.small {
		limit = hookWait
	}
	if !root.IsHost() {
		return nil
	}
	if err := makeDir(root, paths.ChrootLocks, sysroot.Attr{Mode: 0o700}); err != nil {
		return nil // no /run that can be written, in a confined unit: the run before this one had it
	}
	l, err := lock.Brief(path.Join(paths.ChrootLocks, stateName(a.Instance)), limit)
	if errors.Is(err, unix.EWOULDBLOCK) {
		a.warn("another run works on the chroot of instance %s for longer than %v: going on beside it", a.Instance.Name, limit)
	}
	return l
}

func (a *applier) warn(format string, args ...any) {
	if w := fmt.Sprintf(format, args...); !slices.Contains(a.result.Warnings, w) {
		a.result.Warnings = append(a.result.Warnings, w)
	}
}

// preview gives what would be done, and does nothing.
func (a *applier) preview() {
	for _, c := range a.changes {
		a.result.Changed = append(a.result.Changed, c.Path)
		if _, err := a.q.look(c.Path); errors.Is(err, fs.ErrNotExist) {
			a.result.Missing = append(a.result.Missing, c.Path)
		}
	}
	for _, e := range a.Entries {
		if e.Source == "" && slices.Contains(a.dirs, e.Path) {
			a.result.Missing = append(a.result.Missing, e.Path)
		}
	}
	for _, r := range a.relays {
		a.result.Changed = append(a.result.Changed, r.Path)
	}
	a.result.Removed = slices.Clone(a.removal)
}

// act does what was decided. Its order keeps the list true at any moment: what is about to be ours is in it first, what is
// no longer ours goes last.
func (a *applier) act() {
	a.endRelays()
	a.actOnFiles()
	a.makeRelays()
}

// actOnFiles is the part of act that the list is about.
func (a *applier) actOnFiles() {
	if !a.busy() && !a.dirty && !a.k.Pending {
		return
	}
	if a.busy() {
		a.announce()
	}
	for _, name := range a.dirs {
		if err := a.makeDir(name); err != nil {
			a.lacking[name] = err
			a.k.dropDir(name)
		}
	}
	largeFirst(a.changes)
	for some := range slices.Chunk(a.changes, atOnce) {
		a.write(some)
	}
	for _, e := range a.Entries {
		if err := a.lacking[e.Path]; err != nil && e.Source == "" {
			a.fail(e, err)
		}
	}
	if len(a.refused) > 0 {
		a.warn("cannot copy to the queue directory %q (%d files, %q first): %v", a.Instance.QueueDir, len(a.refused), a.refused[0], a.refusal)
	}
	a.remove()
	a.settle()
	a.k.Pending = false
	a.save()
	a.forgo()
}

// busy tells whether there is anything to do in the queue directory.
func (a *applier) busy() bool { return len(a.changes)+len(a.dirs)+len(a.removal)+len(a.rmdirs) > 0 }

func (a *applier) save() {
	// What a run that was killed here has left: there is a change to be noted again then. The directory has the lists of all instances.
	for _, name := range []string{keptPath(a.Instance), deltaPath(a.Instance)} {
		if !a.deps.Shared.leftover(a.deps.Root, name) {
			continue
		}
		if _, err := a.deps.Root.SweepTemp(name); err != nil {
			a.warn("%v", err)
		}
	}
	a.deps.Logf("writing the list %s", keptPath(a.Instance))
	open, err := a.k.save(a.deps.Root, a.Instance)
	a.open = append(a.open, open...)
	if err != nil {
		// The mail matters more: the files are copied all the same, and become ours at the next run that can write.
		a.warn("cannot note what belongs to the chroot of instance %s: %v", a.Instance.Name, err)
		a.result.Undone = append(a.result.Undone, keptPath(a.Instance))
	}
}

// sweep removes temporary files and directories of a run that was killed.
func (a *applier) sweep() {
	dirs := map[string]bool{}
	for name := range a.k.Files {
		dirs[path.Dir(name)] = true
	}
	for _, name := range a.k.Dirs {
		dirs[name], dirs[path.Dir(name)] = true, true
	}
	for _, name := range slices.Sorted(maps.Keys(dirs)) {
		d, err := a.q.open(name)
		if err != nil {
			continue
		}
		a.deps.Logf("sweeping %s", name)
		if _, err = sysroot.Sweep(d.root, func(string) bool { return true }); err != nil { // the names say that they are ours
			a.failed(name, "sweep", err)
		}
	}
}

// announce writes what will be ours into the list.
func (a *applier) announce() {
	for n, c := range a.changes {
		a.changes[n].before = a.k.Files[c.Path]
		a.k.own(c.Path, c.sum)
	}
	for _, name := range a.dirs {
		a.k.ownDir(name)
	}
	a.k.Pending = true
	a.save()
}

func (a *applier) makeDir(name string) error {
	if err := a.lacking[path.Dir(name)]; err != nil {
		return err
	}
	parent, err := a.q.open(path.Dir(name))
	if err != nil {
		return err
	}
	a.deps.Logf("making directory %s", name)
	uid, gid := a.owner()
	if _, err := sysroot.Mkdir(parent.root, path.Base(name), sysroot.Attr{Mode: 0o755, UID: uid, GID: gid}); err != nil {
		return err
	}
	a.q.forget(name)
	return nil
}

// owner is the owner of the queue directory, root but in a test. What anybody may read belongs to them, so that "postfix
// check" does not complain of a resolv.conf that belongs to systemd-resolve on the host.
func (a *applier) owner() (uid, gid int) {
	if st, err := a.q.dirs["."].stat(""); err == nil {
		return st.owner[0], st.owner[1]
	}
	return 0, 0
}

// remove takes away what is ours and no longer wanted.
func (a *applier) remove() {
	take := func(name, how string) bool {
		d, err := a.q.open(path.Dir(name))
		if err == nil {
			a.deps.Logf("removing %s%s", how, name)
			err = d.root.Remove(path.Base(name))
		}
		if errors.Is(err, unix.ENOTEMPTY) { // somebody has put something there meanwhile
			return false
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			a.failed(name, "remove", err)
			return false
		}
		if d != nil {
			a.touched[d] = true
		}
		return true
	}
	for _, name := range a.removal {
		if take(name, "") {
			a.k.put(name, nil)
			delete(a.k.Links, name)
			a.result.Removed = append(a.result.Removed, name)
		}
	}
	for _, name := range a.rmdirs {
		if take(name, "directory ") {
			a.k.dropDir(name)
		}
	}
}

// trusted gives a signature that may be compared later, or one that equals none where the file was changed so recently that
// another change could bear the same time stamp (the kernel's clock for them ticks every 1 to 10 ms).
func (a *applier) trusted(s signature) signature {
	const tick = 50 * time.Millisecond
	if now := a.now.UnixNano(); now-s.ctime < int64(tick) || now-s.mtime < 0 {
		return untrusted
	}
	return s
}
