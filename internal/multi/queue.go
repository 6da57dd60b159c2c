package multi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

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
func countQueue(ctx context.Context, root *sysroot.Root, dir string, subs []string) (Queue, error) {
	var q Queue
	in, err := openDir(root, dir)
	if in == nil {
		return q, err
	}
	defer in.Close()
	w := walker{visit: func(sub string, _ *os.Root, d fs.DirEntry) error {
		if n := q.of(sub); n != nil && d.Type().IsRegular() {
			*n++
		}
		return nil
	}}
	for _, sub := range subs {
		if q.of(sub) == nil {
			continue
		}
		if err := w.walk(ctx, in, sub); err != nil {
			return q, fmt.Errorf("cannot count the mail in %q: %w", path.Join(dir, sub), err)
		}
	}
	return q, nil
}

// Queued counts the messages of an instance.
func Queued(ctx context.Context, root *sysroot.Root, inst instance.Instance) (Queue, error) {
	return countQueue(ctx, root, inst.QueueDir, queueDirs)
}

// openDir opens a queue or data directory. What is not there, or is no directory, holds nothing: nil.
func openDir(root *sysroot.Root, dir string) (*os.Root, error) {
	fi, err := root.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || err == nil && !fi.IsDir() {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot look at %q: %w", dir, err)
	}
	real, err := root.Resolve(dir)
	if err != nil {
		return nil, err
	}
	in, err := sysroot.OpenDir(real)
	if err != nil {
		return nil, fmt.Errorf("cannot open directory %q: %w", dir, err)
	}
	return in, nil
}

// What lies in a queue is made by the account postfix, and in maildrop by whoever writes there, so it may be anything: Postfix itself makes
// one directory for each of the first hash_queue_depth letters of a message's name.
const (
	queueDepth   = 20
	queueEntries = 10_000_000
	queueBatch   = 1000 // names in memory at a time
)

// walker walks through directories of a queue.
type walker struct {
	visit func(sub string, in *os.Root, d fs.DirEntry) error // sub is the directory of the queue, in that of d
	seen  int
}

// walk visits all below sub, what is in a directory before the directory itself. No link is followed. A file that goes away meanwhile does
// not matter.
func (w *walker) walk(ctx context.Context, in *os.Root, sub string) error {
	fi, err := in.Lstat(sub)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !fi.IsDir() {
		err = fmt.Errorf("%q is no directory", sub)
	}
	if err == nil {
		err = w.enter(ctx, in, sub, sub, queueDepth)
	}
	return err
}

// batch reads the next entries of a directory, as long as there is time and there are not too many.
func (w *walker) batch(ctx context.Context, dir *os.File) ([]os.DirEntry, error) {
	entries, err := dir.ReadDir(queueBatch)
	if err != nil {
		return nil, err
	}
	if w.seen += len(entries); w.seen > queueEntries {
		return nil, fmt.Errorf("there are more than %d files", queueEntries)
	}
	return entries, ctx.Err()
}

// enter walks through the directory name of in. It is opened in its parent: a path from the top would cost as much again at each level.
func (w *walker) enter(ctx context.Context, in *os.Root, name, sub string, depth int) error {
	if depth == 0 {
		return fmt.Errorf("directories lie more than %d deep in it, which are not Postfix's: remove them", queueDepth)
	}
	dir, err := sysroot.OpenDirIn(in, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	f, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		entries, err := w.batch(ctx, f)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := w.entry(ctx, dir, e, sub, depth); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
}

// entry visits what is in a directory before the directory itself.
func (w *walker) entry(ctx context.Context, dir *os.Root, e os.DirEntry, sub string, depth int) error {
	if e.IsDir() {
		if err := w.enter(ctx, dir, e.Name(), sub, depth-1); err != nil {
			return err
		}
	}
	return w.visit(sub, dir, e)
}

// errMail says that there is mail which nobody said may go.
var errMail = errors.New("there is mail in its queue")

// emptyQueue takes away everything in some directories of a queue, but messages only with purge. The directories stay, for
// postmulti(1), unless gone is set. What else is in the queue directory stays.
func emptyQueue(ctx context.Context, root *sysroot.Root, dir string, subs []string, purge, gone bool) error {
	q, err := countQueue(ctx, root, dir, subs)
	if err != nil {
		return err
	}
	if q.Total() > 0 && !purge {
		return fmt.Errorf("%w: %d messages in %q", errMail, q.Total(), dir)
	}
	in, err := openDir(root, dir)
	if in == nil {
		return err
	}
	defer in.Close()
	w := walker{visit: func(_ string, in *os.Root, d fs.DirEntry) error { return in.Remove(d.Name()) }}
	for _, sub := range subs {
		err := w.walk(ctx, in, sub)
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
	in, err := openDir(root, dir)
	if in == nil {
		return err
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

// leftovers are what is still in the instance's directories. Others may have named it, and made as much of it as they liked.
func (h *Host) leftovers(inst instance.Instance) []string {
	const most = 20
	var left []string
	for _, dir := range []string{inst.ConfigDir, inst.QueueDir, inst.DataDir} {
		names, err := h.firstNames(dir, most+1)
		if err != nil {
			continue
		}
		more := ""
		if len(names) > most {
			names, more = names[:most], " and more"
		}
		slices.Sort(names)
		for i, name := range names {
			names[i] = strconv.Quote(name)
		}
		left = append(left, dir+" ("+strings.Join(names, " ")+more+")")
	}
	slices.Sort(left)
	return left
}

// firstNames reads at most so many names in a directory, and gives an error where there is none.
func (h *Host) firstNames(dir string, most int) ([]string, error) {
	in, err := openDir(h.Root, dir)
	if err != nil {
		return nil, err
	}
	if in == nil {
		return nil, fs.ErrNotExist
	}
	defer in.Close()
	f, err := in.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(most)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return names, err
}
