package transaction

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/sysroot"
)

// Due notes what has to follow a change, such as a reload, from before the change until it is done: whoever comes after a kill, or after it
// failed, does it. There is a file for each thing that is due, with a line for people, in a directory that only root may write.
type Due struct {
	Root *sysroot.Root
	Dir  string
}

// own are the attributes of a note.
var own = sysroot.Attr{Mode: 0o600, UID: os.Geteuid(), GID: os.Getegid()}

func (d Due) file(key string) string { return path.Join(d.Dir, key) }

func (d Due) makeDir() error {
	if _, err := d.Root.SweepTemp(d.Dir); err != nil { // half made by a process that was killed
		return err
	}
	_, err := d.Root.MkdirAll(d.Dir, sysroot.Attr{Mode: 0o700, UID: os.Geteuid(), GID: os.Getegid()})
	return err
}

// Join has something become due with a transaction, or not at all. key is a file's name.
func (d Due) Join(t *Transaction, key, words string) error {
	seen, err := d.Root.See(d.file(key))
	if err != nil {
		return err
	}
	t.Before = append(t.Before, Step{What: "make " + d.Dir, Do: func(context.Context) error { return d.makeDir() }})
	t.Files = slices.Insert(t.Files, 0, File{Path: d.file(key), Seen: seen, New: []byte(words + "\n"), Attr: own})
	return nil
}

// Set has it become due now: for a change that is no transaction, right before it.
func (d Due) Set(key, words string) error {
	if err := d.makeDir(); err != nil {
		return err
	}
	if _, err := d.Root.SweepTemp(d.file(key)); err != nil { // of a run that was killed
		return err
	}
	_, err := d.Root.WriteFile(d.file(key), []byte(words+"\n"), own)
	return err
}

// Is tells whether it is due.
func (d Due) Is(key string) (bool, error) { return d.Root.Exists(d.file(key)) }

// Keys are all that is due.
func (d Due) Keys() (keys []string, err error) {
	files, err := d.Root.ReadDir(d.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, f := range files {
		if f.Type().IsRegular() && !strings.HasPrefix(f.Name(), ".") { // half written ones begin with a dot
			keys = append(keys, f.Name())
		}
	}
	return keys, err
}

// Done ends it.
func (d Due) Done(key string) error {
	_, err := d.Root.Remove(d.file(key))
	return err
}
