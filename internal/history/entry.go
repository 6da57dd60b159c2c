// Package history (ring: flow) keeps what our commands, dpkg and debconf have changed on a host, and takes it back.
//
// Each change of files is a part of an entry and comes into force with its files or not at all: the transaction that makes the change
// writes the part as one file more (sysroot.Recorder). All parts of one run of a program are one entry. No secret is kept: a part holds the
// texts as maincf.Mask leaves them, and of a file that only root may read no more than its name.
//
// Undo goes the way of every change. Record by record (a parameter of main.cf, a service of master.cf, a line) what still is as the entry left
// it becomes what it was before; what somebody edited since stays as it is and is named.
package history

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"slices"
	"strconv"
	"strings"
	"time"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/pattern"
	"postfix-maint/internal/sysroot"
)

// What is kept at most: entries, bytes of them all; of one text, and of a part, packed and not.
const (
	mostEntries  = 100
	mostBytes    = 8 << 20
	mostText     = 1 << 20
	mostPart     = 1 << 20
	mostUnpacked = 16 << 20
)

// Kind is how a file is kept.
type Kind string

// The kinds. A text is kept whole but for the secrets in it.
const (
	Text   Kind = ""
	Secret Kind = "secret" // only root may read it, so it may hold a login: by name
	Index  Kind = "index"  // made of a table's text: by name
	Large  Kind = "large"  // by name
	Memory Kind = "memory" // of this layer itself
)

// File is what became of one file.
type File struct {
	Path   string   `json:"path"`
	Kind   Kind     `json:"kind,omitempty"`
	Made   bool     `json:"made,omitempty"` // it was not there before
	Gone   bool     `json:"gone,omitempty"` // it was not there afterwards
	Before []byte   `json:"before,omitempty"`
	After  []byte   `json:"after,omitempty"`
	Masked bool     `json:"masked,omitempty"` // the texts are without the secrets in them
	Hidden []string `json:"hidden,omitempty"` // settings of which a secret changed
	Mode   uint32   `json:"mode,omitempty"`
	UID    int      `json:"uid,omitempty"`
	GID    int      `json:"gid,omitempty"`
}

// Part is one change of files.
type Part struct {
	Run    string    `json:"run"` // the same for all of one run of a program
	When   time.Time `json:"when"`
	By     string    `json:"by"`               // the command, or the package's version and script
	Title  string    `json:"title"`            // of the change
	Undoes int       `json:"undoes,omitempty"` // the entry that this one takes back
	Final  string    `json:"final,omitempty"`  // why it cannot be taken back, and what to do instead
	Back   *Back     `json:"back,omitempty"`
	Files  []File    `json:"files"`
}

// Entry is what one run of a program changed.
type Entry struct {
	Number int    `json:"number"`
	Parts  []Part `json:"parts"`
	Torn   bool   `json:"torn,omitempty"` // a part is missing, or cannot be understood
}

// Diff is what became of a text, as a unified diff without secrets; "" for what is kept by name alone.
func (f File) Diff() string {
	if f.Kind != Text {
		return ""
	}
	return maincf.Diff(f.Path, f.Before, f.After)
}

var stored = pattern.New(`^([0-9]{6,9})\.([0-9]{3,6})\.gz$`)

// place is a stored part by its name.
type place struct {
	number, part int
	name         string
	size         int64
}

func partName(number, part int) string {
	return fmt.Sprintf("%s/%06d.%03d.gz", paths.History, number, part)
}

// places are the stored parts in their order.
func places(root *sysroot.Root) (all []place, err error) {
	dir, err := root.ReadDir(paths.History)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the history: %w", err)
	}
	for _, d := range dir {
		m := stored.Regexp().FindStringSubmatch(d.Name())
		if m == nil {
			continue
		}
		p := place{name: path.Join(paths.History, d.Name())}
		p.number, _ = strconv.Atoi(m[1])
		p.part, _ = strconv.Atoi(m[2])
		if fi, err := d.Info(); err == nil {
			p.size = fi.Size()
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b place) int {
		if a.number != b.number {
			return a.number - b.number
		}
		return a.part - b.part
	})
	return all, nil
}

// Load reads all entries, the oldest first. One that cannot be understood is a warning.
func Load(root *sysroot.Root) (all []Entry, warnings []string, err error) {
	found, err := places(root)
	torn := map[int]bool{}
	defer func() {
		for i := range all {
			all[i].Torn = torn[all[i].Number]
		}
	}()
	for i, p := range found {
		first := i == 0 || found[i-1].number != p.number
		torn[p.number] = torn[p.number] || first && p.part != 1 || !first && p.part != found[i-1].part+1
		part, err := load(root, p.name)
		if err != nil {
			torn[p.number] = true
			warnings = append(warnings, fmt.Sprintf("cannot understand %q: %v", p.name, err))
			continue
		}
		if n := len(all); n == 0 || all[n-1].Number != p.number {
			all = append(all, Entry{Number: p.number})
		}
		e := &all[len(all)-1]
		e.Parts = append(e.Parts, part)
	}
	return all, warnings, err
}

func load(root *sysroot.Root, name string) (p Part, err error) {
	packed, err := root.ReadAtMost(name, 2*mostPart)
	if err != nil {
		return p, err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return p, err
	}
	data, err := io.ReadAll(io.LimitReader(r, mostUnpacked))
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	for _, f := range p.Files {
		if err == nil && (!path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path) {
			err = fmt.Errorf("%q is no path of a file", f.Path)
		}
	}
	if err == nil && p.Back != nil && len(p.Back.Words) < 2 {
		err = errors.New("it names no command that takes it back")
	}
	if err == nil && len(p.Files) == 0 && p.Back == nil {
		err = errors.New("it names no file")
	}
	return p, err
}

// pack gives a part as it is stored; fits is false for one that could not be read again.
func (p Part) pack() (data []byte, fits bool, err error) {
	data, err = json.Marshal(p)
	if err != nil {
		return nil, false, err
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err = w.Write(data); err == nil {
		err = w.Close()
	}
	return packed.Bytes(), packed.Len() <= mostPart && len(data) <= mostUnpacked, err
}

// By is what changed it.
func (e Entry) By() string { return e.Parts[0].By }

// When is when it began to.
func (e Entry) When() time.Time { return e.Parts[0].When }

// Undoes is the entry that it takes back, 0 for none.
func (e Entry) Undoes() int { return e.Parts[0].Undoes }

// Final says why it cannot be taken back, "" if it can.
func (e Entry) Final() string {
	if e.Opposite() != nil {
		return ""
	}
	if e.follows() {
		return "it told the syslog daemon where the chroots are, which each command does that changes them"
	}
	if e.Torn {
		return "a part of it cannot be read, and with the others alone the files would not be what they were"
	}
	if e.indexes() {
		return "the index of a table is made of its text, and of nothing else"
	}
	for _, p := range e.Parts {
		if p.Final != "" {
			return p.Final
		}
		for _, f := range p.Files {
			if f.Made && isConfig(f.Path) {
				return fmt.Sprintf("it made %s, without which Postfix does not run: only the removal of the package or the instance takes that back", f.Path)
			}
		}
	}
	return ""
}

// follows tells whether it changed nothing of which somebody decides.
func (e Entry) follows() bool {
	names := e.Names()
	return len(names) > 0 && !slices.ContainsFunc(names, func(name string) bool { return !follows(name) })
}

// indexes tells whether it only made indexes anew.
func (e Entry) indexes() bool {
	only := false
	for _, p := range e.Parts {
		for _, f := range p.Files {
			if f.Kind != Index {
				return false
			}
			only = true
		}
	}
	return only
}

// Names are the files that it changed, each once; neither indexes nor our own memory.
func (e Entry) Names() (names []string) {
	for _, p := range e.Parts {
		for _, f := range p.Files {
			if f.Kind != Index && f.Kind != Memory && !slices.Contains(names, f.Path) {
				names = append(names, f.Path)
			}
		}
	}
	return names
}

// TakenBack gives the entry that took this one back and is in force itself, 0 for none.
func TakenBack(all []Entry, number int) int {
	for _, e := range slices.Backward(all) {
		if e.Undoes() == number && e.Number > number && TakenBack(all, e.Number) == 0 {
			return e.Number
		}
	}
	return 0
}

// Last is the newest entry that an undo without a number means: one that is in force, no undo itself, and more than what follows by
// itself. 0 is none.
func Last(all []Entry) int {
	for _, e := range slices.Backward(all) {
		if e.Undoes() == 0 && TakenBack(all, e.Number) == 0 && !e.follows() && !e.indexes() {
			return e.Number
		}
	}
	return 0
}

func isConfig(name string) bool {
	return strings.HasSuffix(name, "/main.cf") || strings.HasSuffix(name, "/master.cf")
}
