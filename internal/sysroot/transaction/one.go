package transaction

import (
	"context"
	"errors"
	"fmt"

	"postfix-maint/internal/sysroot"
)

// One changes one file. That is one rename: it needs no journal, no lock, and nobody who comes after a kill but the next One, which takes
// away what was only half written. (In a tree with a history it has a journal, and sees to the lock and the kill itself.) plan makes the file from what it says; nil is for nothing to do. Where somebody else writes it before
// it gets to its place, plan does so anew, hence what it does besides must be repeatable. A file that is to stay as it is must
// still be what was seen as well.
func One(root *sysroot.Root, plan func() (*File, error)) error {
	return anew(func() error {
		f, err := plan()
		if err != nil || f == nil {
			return err
		}
		if _, err := root.SweepTemp(f.Path); err != nil {
			return err
		}
		return Write(root, *f)
	})
}

// Write is One for a caller that plans anew itself.
func Write(root *sysroot.Root, f File) error {
	if root.Recorder != nil && f.Seen != nil && f.changes() {
		return f.recorded(root)
	}
	if f.New == nil {
		return f.remove(root)
	}
	f.Attr.Seen = f.Seen
	_, err := root.WriteFile(f.Path, f.New, f.Attr)
	return err
}

// recorded changes the file in a tree with a history: the entry there is a second file, so that it is a transaction, with a journal for
// those that have no lock.
func (f File) recorded(root *sysroot.Root) error {
	journal, release, err := root.Recorder.Alone()
	if err != nil {
		return err
	}
	defer release()
	h := Host{Root: root, Journal: journal}
	if _, err := h.Recover(); err != nil {
		return err
	}
	title := "change "
	if f.New == nil {
		title = "remove "
	}
	_, err = h.Apply(context.Background(), &Transaction{Title: title + f.Path, Files: []File{f}})
	return err
}

// remove takes the file away, if it still is what was seen.
func (f File) remove(root *sysroot.Root) error {
	is, err := now(root, f.Path)
	if err == nil && is != seenSum(f.Seen) {
		err = fmt.Errorf("cannot remove %q: %w", f.Path, sysroot.ErrChanged)
	}
	if err == nil {
		_, err = root.Remove(f.Path)
	}
	return err
}

// tries bounds how often a change is planned anew: whoever edits a file four times while a command runs is told to come back.
const tries = 4

// anew calls do, which plans and applies, until nobody else writes in between.
func anew(do func() error) (err error) {
	for range tries {
		if err = do(); !errors.Is(err, sysroot.ErrChanged) {
			return err
		}
	}
	return fmt.Errorf("%w, again and again: try it later", err)
}
