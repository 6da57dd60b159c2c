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
	"postfix-maint/internal/queue"
	"postfix-maint/internal/sysroot"
)

// Bounds of a walk. What lies in a queue is made by the account postfix, and in maildrop by whoever writes there, so it may be anything:
// Postfix itself makes one directory for each of the first hash_queue_depth letters of a message's name.
const (
	queueDepth   = 20
	queueEntries = 10_000_000
)

// queueDirs are what a queue directory holds of Postfix's own (postmulti-script). Beside messages there are logs about them,
// process and lock files, and sockets.
var queueDirs = strings.Fields("active bounce corrupt defer deferred flush hold incoming maildrop pid private public saved trace")

// countQueue counts the messages in some directories of a queue, without Postfix's help: it may not run. What is not there is
// empty.
func countQueue(ctx context.Context, root *sysroot.Root, dir string, subs []string) (queue.Counts, error) {
	var q queue.Counts
	in, err := openDir(root, dir)
	if in == nil {
		return q, err
	}
	defer in.Close()
	w := sysroot.Walker{Depth: queueDepth, Most: queueEntries}
	for _, sub := range subs {
		n := q.Of(sub)
		if n == nil {
			continue
		}
		w.Visit = func(_ *os.Root, e fs.DirEntry, _ string) error {
			if e.Type().IsRegular() {
				*n++
			}
			return nil
		}
		if err := w.Walk(ctx, in, sub); err != nil {
			return q, fmt.Errorf("cannot count the mail in %q: %w", path.Join(dir, sub), foreign(err))
		}
	}
	return q, nil
}

// foreign says what to do about a tree that is none of Postfix's.
func foreign(err error) error {
	if errors.Is(err, sysroot.ErrBounds) {
		return fmt.Errorf("%w, which are not Postfix's: remove them", err)
	}
	return err
}

// Queued counts the messages of an instance.
func Queued(ctx context.Context, root *sysroot.Root, inst instance.Instance) (queue.Counts, error) {
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
	w := sysroot.Walker{Depth: queueDepth, Most: queueEntries, Visit: func(in *os.Root, e fs.DirEntry, _ string) error { return in.Remove(e.Name()) }}
	for _, sub := range subs {
		err := foreign(w.Walk(ctx, in, sub))
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
