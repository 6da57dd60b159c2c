package chroot

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"slices"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/sysroot"
)

// maxDelta is how many files a delta names at most: with more it would not be short any more, and the list is written anew.
const maxDelta = 6

// delta is what changed since the list was written: a new resolv.conf of 39 bytes shall not cost a list of 60 kB. It lies beside the list.
type delta struct {
	Serial  string               `json:"serial"` // of the list that it belongs to; one of another list is void
	Pending bool                 `json:"pending,omitempty"`
	Files   map[string]*keptFile `json:"files"` // nil is a file that is not ours any more
}

// deltaPath is the delta's place. No instance's list has that name, for systemd escapes "+" in a unit's name.
func deltaPath(inst instance.Instance) string { return keptPath(inst) + "+" }

// amend reads the delta into k, which was read from the list. A delta that is of no use makes k void, like a list that is not: nothing but
// it may say what is ours.
func (k *kept) amend(root *sysroot.Root, inst instance.Instance) error {
	k.base = maps.Clone(k.Files)
	k.baseLinks, k.baseDirs = maps.Clone(k.Links), slices.Clone(k.Dirs)
	data, err := readSmall(root, deltaPath(inst))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	d := delta{}
	if err == nil {
		err = json.Unmarshal(data, &d)
	}
	if err != nil {
		return err
	}
	if k.amended = true; d.Serial != k.Serial || k.Serial == "" {
		return nil
	}
	k.Pending = d.Pending
	for name, f := range d.Files {
		if k.Files[name] = f; f == nil {
			delete(k.Files, name)
		}
	}
	return nil
}

// delta gives what differs from the list that is on the disk; false where only a new list will do.
func (k *kept) delta() (delta, bool) {
	d := delta{Serial: k.Serial, Pending: k.Pending, Files: map[string]*keptFile{}}
	if k.Serial == "" || !maps.Equal(k.baseLinks, k.Links) || !slices.Equal(k.baseDirs, k.Dirs) || len(k.Files) == 0 {
		return d, false
	}
	for name, f := range k.Files {
		if was := k.base[name]; was == nil || was != f && was.line() != f.line() {
			d.Files[name] = f
		}
	}
	for name := range k.base {
		if k.Files[name] == nil {
			d.Files[name] = nil
		}
	}
	return d, len(d.Files) <= maxDelta
}

// written notes what the list on the disk says from now on.
func (k *kept) written() {
	k.base = maps.Clone(k.Files)
	k.baseLinks, k.baseDirs = maps.Clone(k.Links), slices.Clone(k.Dirs)
}

// newSerial is a name that no list had before.
func newSerial() string { return rand.Text() }
