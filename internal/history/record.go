package history

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"postfix-maint/internal/lock"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/transaction"
)

// Log is the history as one run of a program writes it: the Recorder of a tree.
type Log struct {
	By     string // what runs
	Undoes int    // the entry that it takes back
	Final  string // why what it does cannot be taken back
	Back   *Back  // how it is, where files are not all
	Now    func() time.Time

	root   *sysroot.Root
	run    string
	number int
}

// NewLog gives the log of a run.
func NewLog(root *sysroot.Root, by string) *Log {
	return &Log{By: by, Now: time.Now, root: root, run: rand.Text()}
}

// patience is how long a change waits for another one; nothing that has no lock takes as long.
const patience = 20 * time.Second

// Alone lets one process at a time change a file without the lock of a command.
func (l *Log) Alone() (journal string, release func(), err error) {
	if err := l.makeDir(); err != nil {
		return "", nil, err
	}
	real, err := l.root.Path(paths.HistoryLock)
	if err != nil {
		return "", nil, err
	}
	held, err := lock.Brief(real, patience)
	return paths.HistoryJournal, held.Release, err
}

// Recover ends what a change without the lock of a command left, if it was killed.
func Recover(root *sysroot.Root) error {
	if there, err := root.Exists(paths.HistoryJournal); err != nil || !there {
		return err
	}
	journal, release, err := NewLog(root, "").Alone()
	if err != nil {
		return err
	}
	defer release()
	_, err = transaction.Host{Root: root, Journal: journal}.Recover()
	return err
}

func (l *Log) makeDir() error {
	_, err := l.root.MkdirAll(paths.History, sysroot.Attr{Mode: 0o700, UID: os.Geteuid(), GID: os.Getegid()})
	return err
}

// Record gives the part that notes a change, and takes out the oldest entries where there are too many.
func (l *Log) Record(title string, files []sysroot.Change) ([]sysroot.Change, error) {
	p := Part{Run: l.run, When: l.now(), By: l.By, Title: title, Undoes: l.Undoes, Final: l.Final, Back: l.Back}
	for _, c := range files {
		if path.Dir(c.Path) == paths.ReloadDue {
			continue // an undo has its own
		}
		if f, changed := l.file(c, files); changed {
			p.Files = append(p.Files, f)
		}
	}
	if !slices.ContainsFunc(p.Files, func(f File) bool { return f.Kind != Memory }) {
		return nil, nil // nothing that anybody would see
	}
	data, fits, err := p.pack()
	if err == nil && !fits {
		for i := range p.Files {
			if f := &p.Files[i]; f.Kind == Text {
				f.Kind, f.Before, f.After = Large, nil, nil
			}
		}
		data, _, err = p.pack()
	}
	if err == nil {
		err = l.makeDir()
	}
	if err != nil {
		return nil, err
	}
	found, err := places(l.root)
	if err != nil {
		return nil, err
	}
	own := sysroot.Attr{Mode: 0o600, UID: os.Geteuid(), GID: os.Getegid()}
	notes := []sysroot.Change{{Path: l.next(found), Seen: &sysroot.Seen{Missing: true}, New: data, Attr: own}}
	for _, old := range surplus(found, l.number, int64(len(data))) {
		seen, err := l.root.See(old.name)
		if err == nil && !seen.Missing {
			notes = append(notes, sysroot.Change{Path: old.name, Seen: seen})
		}
	}
	return notes, nil
}

// next is where the next part belongs: to the entry of this run, if the last one is that.
func (l *Log) next(found []place) string {
	if n := len(found); n > 0 {
		last := found[n-1]
		if p, err := load(l.root, last.name); err == nil && p.Run == l.run {
			l.number = last.number
			return partName(last.number, last.part+1)
		}
		l.number = last.number + 1
	} else {
		l.number = 1
	}
	return partName(l.number, 1)
}

// surplus are the parts of the oldest entries that have to go for a new part.
func surplus(found []place, number int, size int64) (gone []place) {
	entries := map[int]bool{number: true}
	for _, p := range found {
		entries[p.number] = true
		size += p.size
	}
	for len(found) > 0 && found[0].number != number && (len(entries) > mostEntries || size > mostBytes) {
		oldest := found[0].number
		for len(found) > 0 && found[0].number == oldest {
			gone, size, found = append(gone, found[0]), size-found[0].size, found[1:]
		}
		delete(entries, oldest)
	}
	return gone
}

// Noted gives the entry of this run, false where nothing of it is in force.
func (l *Log) Noted() (Entry, bool) {
	all, _, _ := Load(l.root)
	for _, e := range slices.Backward(all) {
		if e.Parts[0].Run == l.run {
			return e, true
		}
	}
	return Entry{}, false
}

// file is what is kept of a change of a file; others are the files that change with it.
func (l *Log) file(c sysroot.Change, others []sysroot.Change) (f File, changed bool) {
	before, after := c.Seen.Data, c.New
	f = File{Path: c.Path, Made: c.Seen.Missing, Gone: c.New == nil}
	if f.Made && f.Gone || f.Made == f.Gone && bytes.Equal(before, after) {
		return f, false
	}
	mode := c.Attr.Mode
	if fi, err := l.root.Stat(c.Path); err == nil {
		mode = sysroot.Exact(fi.Mode())
		f.UID, f.GID = sysroot.Owner(fi)
	} else if mode == 0 || !errors.Is(err, fs.ErrNotExist) {
		mode = 0o644
	}
	f.Mode = uint32(mode & fs.ModePerm)
	switch hidden := mode&0o004 == 0; {
	case strings.HasPrefix(c.Path, paths.StateDir+"/"):
		f.Kind, f.Before, f.After = Memory, text(before, f.Made), text(after, f.Gone)
	case isIndex(c.Path):
		f.Kind = Index
	case c.Secret || hidden && !isConfig(c.Path):
		f.Kind = Secret
	case bytes.IndexByte(before, 0) >= 0 || bytes.IndexByte(after, 0) >= 0:
		f.Kind = Index
	case len(before) > mostText || len(after) > mostText:
		f.Kind = Large
	default:
		beside := l.beside(c.Path, others)
		f.Before = maincf.Mask(before, append(beside, after)...)
		f.After = maincf.Mask(after, append(beside, before)...)
		f.Masked = !bytes.Equal(f.Before, before) || !bytes.Equal(f.After, after)
		f.Hidden = hiddenChanges(c.Path, f, before, after)
		f.Before, f.After = text(f.Before, f.Made), text(f.After, f.Gone)
	}
	return f, true
}

// text is a text that is nil only for no file.
func text(data []byte, none bool) []byte {
	if none {
		return nil
	}
	return append([]byte{}, data...)
}

// beside are the other texts of a configuration, which may say that something is a secret.
func (l *Log) beside(name string, others []sysroot.Change) (texts [][]byte) {
	dir := path.Dir(name)
	for _, other := range []string{path.Join(dir, "main.cf"), path.Join(dir, "master.cf")} {
		if other == name {
			continue
		}
		if data, err := l.root.ReadAtMost(other, mostText); err == nil {
			texts = append(texts, data)
		}
		for _, c := range others {
			if c.Path == other {
				texts = append(texts, c.New)
			}
		}
	}
	return texts
}

// isIndex tells the index of a table by its name.
func isIndex(name string) bool {
	for _, suffix := range suffixes {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// suffixes end the names of the indexes that a type of table has.
var suffixes = map[string]string{"hash": ".db", "btree": ".db", "lmdb": ".lmdb", "cdb": ".cdb"}
