package multi

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/sysroot"
)

// Queue is the number of messages in each of Postfix's queues (QSHAPE_README).
type Queue struct {
	Maildrop int `json:"maildrop"` // submitted, not picked up yet
	Incoming int `json:"incoming"`
	Active   int `json:"active"`
	Deferred int `json:"deferred"`
	Hold     int `json:"hold"`
	Corrupt  int `json:"corrupt"`
}

// Total is the number of all messages.
func (q Queue) Total() int {
	return q.Maildrop + q.Incoming + q.Active + q.Deferred + q.Hold + q.Corrupt
}

// of gives the counter of a directory that holds messages, nil for another one.
func (q *Queue) of(dir string) *int {
	return map[string]*int{
		"maildrop": &q.Maildrop, "incoming": &q.Incoming, "active": &q.Active, "deferred": &q.Deferred, "hold": &q.Hold, "corrupt": &q.Corrupt,
	}[dir]
}

// queueDirs are what a queue directory holds of Postfix's own (postmulti-script). Beside messages there are logs about them,
// process and lock files, and sockets.
var queueDirs = strings.Fields("active bounce corrupt defer deferred flush hold incoming maildrop pid private public saved trace")

// countQueue counts the messages in some directories of a queue, without Postfix's help: it may not run. What is not there is
// empty.
func countQueue(root *sysroot.Root, dir string, subs []string) (Queue, error) {
	var q Queue
	real, err := root.Resolve(dir)
	if err != nil {
		return q, err
	}
	in, err := os.OpenRoot(real)
	if errors.Is(err, fs.ErrNotExist) {
		return q, nil
	}
	if err != nil {
		return q, fmt.Errorf("cannot open queue directory %q: %w", dir, err)
	}
	defer in.Close()
	for _, sub := range subs {
		n := q.of(sub)
		if n == nil {
			continue
		}
		if err := walk(in, sub, func(_ string, d fs.DirEntry) error {
			if d.Type().IsRegular() {
				*n++
			}
			return nil
		}); err != nil {
			return q, fmt.Errorf("cannot count the mail in %q: %w", dir, err)
		}
	}
	return q, nil
}

// walk visits all below name, what is in a directory before the directory itself. No link is followed. A file that goes away
// meanwhile does not matter.
func walk(in *os.Root, name string, visit func(name string, d fs.DirEntry) error) error {
	entries, err := fs.ReadDir(in.FS(), name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		p := path.Join(name, e.Name())
		if e.IsDir() {
			if err := walk(in, p, visit); err != nil {
				return err
			}
		}
		if err := visit(p, e); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// errMail says that there is mail which nobody said may go.
var errMail = errors.New("there is mail in its queue")

// emptyQueue takes away everything in some directories of a queue, but messages only with purge. The directories stay, for
// postmulti(1), unless gone is set. What else is in the queue directory stays.
func emptyQueue(root *sysroot.Root, dir string, subs []string, purge, gone bool) error {
	q, err := countQueue(root, dir, subs)
	if err != nil {
		return err
	}
	if q.Total() > 0 && !purge {
		return fmt.Errorf("%w: %d messages in %q", errMail, q.Total(), dir)
	}
	real, err := root.Resolve(dir)
	if err != nil {
		return err
	}
	in, err := os.OpenRoot(real)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot empty the queue: %w", err)
	}
	defer in.Close()
	for _, sub := range subs {
		err := walk(in, sub, func(name string, _ fs.DirEntry) error { return in.Remove(name) })
		if err == nil && gone {
			err = in.Remove(sub)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot empty the queue: %w", err)
		}
	}
	return nil
}

// emptyData takes away the files in a data directory that belong to its owner, which is Postfix's own account: caches, locks,
// random numbers. postconf(5) lets no other program keep anything there; what root has put there stays all the same.
func emptyData(root *sysroot.Root, dir string) error {
	real, err := root.Resolve(dir)
	if err != nil {
		return err
	}
	in, err := os.OpenRoot(real)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot empty the data directory: %w", err)
	}
	defer in.Close()
	top, err := in.Stat(".")
	if err != nil {
		return fmt.Errorf("cannot empty the data directory: %w", err)
	}
	owner, _ := sysroot.Owner(top)
	entries, err := fs.ReadDir(in.FS(), ".")
	if err != nil {
		return fmt.Errorf("cannot empty the data directory: %w", err)
	}
	for _, e := range entries {
		fi, err := e.Info()
		if err != nil || !fi.Mode().IsRegular() {
			continue
		}
		if uid, _ := sysroot.Owner(fi); uid != owner {
			continue
		}
		if err := in.Remove(e.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot empty the data directory: %w", err)
		}
	}
	return nil
}

// leftovers are what is still in the instance's directories.
func (h *Host) leftovers(inst instance.Instance) []string {
	var left []string
	for _, dir := range []string{inst.ConfigDir, inst.QueueDir, inst.DataDir} {
		entries, err := h.Root.ReadDir(dir)
		if err != nil {
			continue
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		left = append(left, dir+" ("+strings.Join(names, " ")+")")
	}
	slices.Sort(left)
	return left
}
