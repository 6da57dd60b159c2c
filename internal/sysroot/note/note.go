// Package note (ring: port) keeps what this layer has to remember, journals above all, as JSON in files for root alone. A file that cannot be
// understood never stands in the way of a command: it gets another name, where somebody can look at it, and counts as none.
package note

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"reflect"

	"postfix-maint/internal/sysroot"
)

// DamagedError says that a file of our own memory can't be read or understood.
type DamagedError struct {
	Path string
	err  error
}

// Error names the file and what is wrong with it.
func (e *DamagedError) Error() string { return fmt.Sprintf("cannot understand %q: %v", e.Path, e.err) }

// Unwrap gives why.
func (e *DamagedError) Unwrap() error { return e.err }

// most is more than any of them needs. JSON of hundreds of megabytes would take minutes.
const most = 4 << 20

// Load reads a file; there is false where there is none. whole, if given, says what is wrong with what was read. Of a damaged file nothing
// is left in what it is read into.
func Load(root *sysroot.Root, name string, into any, whole func() error) (there bool, damaged *DamagedError) {
	data, err := root.ReadAtMost(name, most)
	if _, none := root.Lstat(name); errors.Is(err, fs.ErrNotExist) && errors.Is(none, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err == nil && whole != nil {
		err = whole()
	}
	if err != nil {
		reflect.ValueOf(into).Elem().SetZero() // json stops at what it does not understand, and leaves what it has read
		return false, &DamagedError{name, err}
	}
	return true, nil
}

// Text is what Save writes.
func Text(from any) ([]byte, error) {
	data, err := json.MarshalIndent(from, "", "\t")
	return append(data, '\n'), err
}

// Save writes a file, in a directory that is made with the mode dir where it is missing.
func Save(root *sysroot.Root, name string, from any, dir fs.FileMode) error {
	data, err := Text(from)
	if err != nil {
		return fmt.Errorf("cannot write %q: %w", name, err)
	}
	own := sysroot.Attr{Mode: dir, UID: os.Geteuid(), GID: os.Getegid()}
	if _, err := root.MkdirAll(path.Dir(name), own); err != nil {
		return err
	}
	if _, err := root.SweepTemp(name); err != nil { // of a process that was killed
		return err
	}
	own.Mode = 0o600
	_, err = root.WriteFile(name, data, own)
	return err
}

// Aside is the name that SetAside would give a file.
func Aside(root *sysroot.Root, name string) string {
	to := name + ".damaged"
	for n := 2; n < 100; n++ {
		if _, err := root.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			break
		}
		to = fmt.Sprintf("%s.damaged%d", name, n)
	}
	return to
}

// SetAside gives a file another name.
func SetAside(root *sysroot.Root, name string) (to string, err error) {
	to = Aside(root, name)
	return to, root.Rename(name, to)
}
