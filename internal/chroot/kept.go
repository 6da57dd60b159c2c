package chroot

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// kept is the list of what is ours in one queue directory.
type kept struct {
	Queue string `json:"queue_directory"` // whose files these are
	// Pending is set while files are being changed. Where a run finds it set, the one before did not end.
	Pending bool                 `json:"pending,omitempty"`
	Form    int                  `json:"form"`             // of the copies: see form
	Serial  string               `json:"serial,omitempty"` // of this writing of the list
	Files   map[string]*keptFile `json:"files"`
	Links   map[string]string    `json:"links,omitempty"`       // left by Debian 12's script, and what they say
	Dirs    []string             `json:"directories,omitempty"` // made by us, sorted

	// What the list on the disk says, and what it says with the lines beside it, of files that were touched since; nil is none of ours. A
	// keptFile is never changed, another one takes its place.
	before, since map[string]*keptFile
	baseLinks     map[string]string
	baseDirs      []string
	amended       bool // there are lines beside the list, or may be
	noted         bool // what they say of Pending
	cut           bool // no line goes behind the last one
	size          int  // of all lines
}

// form is how copies are made of the host's files. A list of another form says what is ours, but not that it needs no look: 1 copies of
// a directory of CAs nothing but certificates.
const form = 1

// keptFile is one file of ours. It is still ours while its content has one of the sums; the signatures only save reading it.
// In the list it is one line, "sum[,sum] source copy", because a start with nothing to do spends much of its time on it.
type keptFile struct {
	sums   []string  // sha256; more than one while a change is pending
	source signature // of the host's file when it was copied
	copy   signature
}

// untrusted is a signature that equals none.
var untrusted = signature{size: -1}

// MarshalText makes the line of the list.
func (f *keptFile) MarshalText() ([]byte, error) { return []byte(f.line()), nil }

func (f *keptFile) line() string {
	return strings.Join(f.sums, ",") + " " + f.source.String() + " " + f.copy.String()
}

// UnmarshalText reads it.
func (f *keptFile) UnmarshalText(text []byte) error { return f.parse(string(text)) }

func (f *keptFile) parse(text string) error {
	sums, rest, _ := strings.Cut(text, " ")
	source, of, ok := strings.Cut(rest, " ")
	if !ok || strings.Contains(of, " ") {
		return fmt.Errorf("%q is no entry of the list", text)
	}
	if sums != "" {
		f.sums = strings.Split(sums, ",")
	}
	err := f.source.parse(source)
	if err == nil {
		err = f.copy.parse(of)
	}
	return err
}

// String is the form of a signature in the list.
func (s signature) String() string {
	return fmt.Sprintf("%d:%d:%d:%d", s.size, s.mtime, s.ctime, s.inode)
}

func (s *signature) parse(text string) error {
	rest := text
	for n, to := range []*int64{&s.size, &s.mtime, &s.ctime, &s.inode} {
		number, tail, more := strings.Cut(rest, ":")
		v, err := strconv.ParseInt(number, 10, 64)
		if err != nil || more != (n < 3) {
			return fmt.Errorf("%q is no signature of a file", text)
		}
		*to, rest = v, tail
	}
	return nil
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// keptPath is the place of the list of one instance, by its name in the unit.
func keptPath(inst instance.Instance) string { return path.Join(paths.ChrootState, stateName(inst)) }

// stateName is the instance's name as a file name.
func stateName(inst instance.Instance) string {
	return strings.TrimSuffix(strings.TrimPrefix(inst.Unit(), "postfix@"), ".service")
}

// loadKept reads the list; found is false where there is none yet. A list that cannot be understood, or one of another
// queue directory, counts as empty and is reported: what is equal to the plan becomes ours again.
func loadKept(root *sysroot.Root, inst instance.Instance) (k *kept, found bool, warn string) {
	empty := &kept{Queue: inst.QueueDir, Form: form, amended: true, Files: map[string]*keptFile{}, Links: map[string]string{}}
	data, err := readSmall(root, keptPath(inst))
	if errors.Is(err, fs.ErrNotExist) {
		return empty, false, ""
	}
	k = &kept{}
	if err == nil {
		err = k.parse(data)
	}
	if err == nil {
		err = k.amend(root, inst)
	}
	if err == nil {
		err = k.check()
	}
	if err != nil {
		return empty, true, fmt.Sprintf("cannot use the list %q, which is made anew: %v", keptPath(inst), err)
	}
	if k.Queue != inst.QueueDir {
		return empty, true, fmt.Sprintf("the queue directory was %q before; what was copied there is left to the administrator", k.Queue)
	}
	if k.Form != form {
		k.Form, k.Serial = form, ""
		for _, f := range k.Files {
			f.source, f.copy = untrusted, untrusted
		}
	}
	return k, true, ""
}

// check refuses a list that would have us write or remove outside the queue directory.
func (k *kept) check() error {
	if k.Files == nil {
		k.Files = map[string]*keptFile{}
	}
	if k.Links == nil {
		k.Links = map[string]string{}
	}
	names := slices.AppendSeq(slices.Clone(k.Dirs), maps.Keys(k.Links))
	for name, f := range k.Files {
		if f == nil {
			return fmt.Errorf("entry %q makes no sense", name)
		}
		names = append(names, name)
	}
	for _, name := range names {
		if !fs.ValidPath(name) || name == "." {
			return fmt.Errorf("entry %q makes no sense", name)
		}
	}
	slices.Sort(k.Dirs)
	return nil
}

// own adds the sum of a content that is about to be written.
func (k *kept) own(name, sum string) {
	f := &keptFile{source: untrusted, copy: untrusted}
	if old := k.Files[name]; old != nil {
		f.source, f.sums = old.source, slices.Clone(old.sums)
	}
	if !slices.Contains(f.sums, sum) {
		f.sums = append(f.sums, sum)
	}
	k.put(name, f)
}

func (k *kept) ownDir(name string) {
	if n, found := slices.BinarySearch(k.Dirs, name); !found {
		k.Dirs = slices.Insert(k.Dirs, n, name)
	}
}

func (k *kept) dropDir(name string) {
	k.Dirs = slices.DeleteFunc(k.Dirs, func(d string) bool { return d == name })
}

// makeDir makes a directory for a list, a lock or a marker, and takes away what an earlier try left that was killed.
func makeDir(root *sysroot.Root, name string, attr sysroot.Attr) error {
	made, err := root.MkdirAll(name, attr)
	if made {
		_, err = root.SweepTemp(name)
	}
	return err
}
