package chroot

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/sysroot"
)

// What changed since the list was written stands beside it, a line for each writing: a new resolv.conf of 39 bytes shall not cost a list of
// 60 kB, and a line at the end of a file needs no rename. Only what announces a change has to be on the disk before the change is.
const (
	maxDelta = 8       // files of one line: with more the list is written anew
	maxLog   = 8 << 10 // bytes of all lines: with more they become one
)

// delta is one such line.
type delta struct {
	Serial  string               `json:"serial"` // of the list that it belongs to; one of another list is void
	Pending bool                 `json:"pending,omitempty"`
	Files   map[string]*keptFile `json:"files"` // nil is a file that is not ours any more
}

// deltaPath is the place of the lines. No instance's list has that name, for systemd escapes "+" in a unit's name.
func deltaPath(inst instance.Instance) string { return keptPath(inst) + "+" }

// amend reads the lines into k, which was read from the list. One that is of no use makes k void, like a list that is not: nothing but it may
// say what is ours. The last one may have been cut off by a power loss. Then it was either about changes that had not begun, or about
// their end, and the line before it has all names.
func (k *kept) amend(root *sysroot.Root, inst instance.Instance) error {
	k.baseLinks, k.baseDirs = maps.Clone(k.Links), slices.Clone(k.Dirs)
	data, err := readSmall(root, deltaPath(inst))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	k.amended, k.size = true, len(data)
	lines := bytes.SplitAfter(data, []byte("\n"))
	if len(lines) > 1 && len(lines[len(lines)-1]) == 0 {
		lines = lines[:len(lines)-1]
	}
	for n, line := range lines {
		d := delta{}
		err := d.parse(line)
		if err == nil && !bytes.HasSuffix(line, []byte("\n")) {
			err = errors.New("a line without an end")
		}
		switch {
		case err != nil && n < len(lines)-1:
			return err
		case err != nil:
			k.Pending, k.cut = true, true
			return nil
		case d.Serial != k.Serial || k.Serial == "":
			k.cut = true
			return nil
		}
		k.Pending = d.Pending
		for name, f := range d.Files {
			k.put(name, f)
		}
		k.since = nil
	}
	k.noted = k.Pending
	return nil
}

// put notes a file of ours, or with nil that it no longer is.
func (k *kept) put(name string, f *keptFile) {
	for _, was := range []*map[string]*keptFile{&k.before, &k.since} {
		if *was == nil {
			*was = map[string]*keptFile{}
		}
		if _, known := (*was)[name]; !known {
			(*was)[name] = k.Files[name]
		}
	}
	if f == nil {
		delete(k.Files, name)
	} else {
		k.Files[name] = f
	}
}

// delta gives what differs from what the disk says, by what that says of the files that were touched.
func (k *kept) delta(was map[string]*keptFile) delta {
	d := delta{Serial: k.Serial, Pending: k.Pending, Files: map[string]*keptFile{}}
	for name, old := range was {
		if f := k.Files[name]; f != old && (f == nil || old == nil || f.line() != old.line()) {
			d.Files[name] = f
		}
	}
	return d
}

// beside writes a line beside the list, or all lines anew as one; done is false where only a new list will do. What is open has to be
// synced for the line to last.
func (k *kept) beside(root *sysroot.Root, inst instance.Instance, attr sysroot.Attr) (open []*os.File, done bool, err error) {
	if k.Serial == "" || !maps.Equal(k.baseLinks, k.Links) || !slices.Equal(k.baseDirs, k.Dirs) || len(k.Files) == 0 {
		return nil, false, nil
	}
	d := k.delta(k.since)
	if len(d.Files) == 0 && d.Pending == k.noted && !k.cut {
		return nil, true, nil
	}
	line, err := json.Marshal(d)
	if err != nil {
		return nil, false, err
	}
	line = append(line, '\n')
	if !k.cut && len(d.Files) <= maxDelta && k.size+len(line) <= maxLog {
		if open, err = root.Append(deltaPath(inst), line, attr); err != nil {
			return nil, true, err
		}
		k.size += len(line)
	} else {
		if d = k.delta(k.before); len(d.Files) > maxDelta {
			return nil, false, nil
		}
		if line, err = json.Marshal(d); err != nil {
			return nil, false, err
		}
		if _, err = root.WriteFile(deltaPath(inst), append(line, '\n'), attr); err != nil {
			return nil, true, err
		}
		k.size, k.cut = len(line)+1, false
	}
	k.amended, k.since, k.noted = true, nil, k.Pending
	return open, true, nil
}

// save writes what changed beside the list, or the list in one rename, or removes both where nothing is ours. A line of an earlier list is
// void by its serial, whenever a crash comes. What is open has to be synced for a line to last; all else lasts already.
func (k *kept) save(root *sysroot.Root, inst instance.Instance) (open []*os.File, err error) {
	name := keptPath(inst)
	if len(k.Files)+len(k.Links)+len(k.Dirs) == 0 && !k.Pending {
		_, err := root.Remove(deltaPath(inst))
		if err == nil {
			_, err = root.Remove(name)
		}
		return nil, err
	}
	attr := sysroot.Attr{Mode: 0o600, UID: os.Geteuid(), GID: os.Getegid()}
	if open, done, err := k.beside(root, inst, attr); done || err != nil {
		return open, err
	}
	k.Serial = newSerial()
	data, err := json.MarshalIndent(k, "", "\t")
	if err != nil {
		return nil, err
	}
	if err := makeDir(root, path.Dir(name), sysroot.Attr{Mode: 0o755, UID: os.Geteuid(), GID: os.Getegid()}); err != nil {
		return nil, err
	}
	if _, err = root.WriteFile(name, append(data, '\n'), attr); err != nil {
		k.Serial = "" // whatever is there, no line goes with it
		return nil, err
	}
	k.before, k.since, k.noted, k.size, k.cut = nil, nil, k.Pending, 0, false
	k.baseLinks, k.baseDirs = maps.Clone(k.Links), slices.Clone(k.Dirs)
	if k.amended {
		k.amended = false
		_, err = root.Remove(deltaPath(inst))
	}
	return nil, err
}

// newSerial is a name that no list had before.
func newSerial() string { return rand.Text() }
