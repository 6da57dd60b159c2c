// Package transaction (ring: port) changes several files of a host as one: all of them or none, whatever ends the process, and what
// somebody else writes meanwhile wins.
//
// A transaction is decided first, and can be shown instead of made. Apply then goes through these phases:
//
//	before   programs and directories that the files need, in a directory for drafts; whatever fails ends it with nothing changed
//	journal  the names of all files, old and new, are on the disk
//	stage    each new file is written beside the old one and flushed: a full disk ends it here, with nothing changed. The entry of the
//	         tree's history (sysroot.Recorder) is one of them, so that it is there exactly if the change is in force
//	swap     each new file changes places with the old one: Files, of which the last is the moment from which on all is in force; then Live
//	         and Later
//	after    what follows from it, such as a reload: a failure is a warning, since the files are in force. An edit of one of Later has the
//	         caller plan anew, after this
//
// Files that are in force already, by their names in the last one, cannot all be replaced at one moment. So that one first names their
// drafts (Detour), which is the moment; then they get to their places, which nothing names; then it names these again, which means the same.
//
// What a kill or a power loss left is Recover's: before the moment it goes back, after it forward. A file that somebody edited since then
// stays as it is and is named. The caller holds the lock against other commands.
package transaction

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"postfix-maint/internal/sysroot"
)

// File is one file of a transaction.
type File struct {
	Path string
	Seen *sysroot.Seen // what New was worked out from; see Root.See
	New  []byte        // nil: the file is to go. A step of Before may fill it in
	Attr sysroot.Attr  // of a new file; an existing one keeps its own unless Force is set
	Anew bool          // it is written even if it says the same: the index of a table must not look older than the text
	// Secret keeps what it says out of the history.
	Secret bool
}

// Step is something else than a file. Do must be repeatable.
type Step struct {
	What string // a verb and its object: "reload instance out"
	Do   func(context.Context) error
}

// Change is one thing that a command does, for the screen and, as JSON, for machines. No secret is in it.
type Change struct {
	What string `json:"what"` // a verb and its object
	Path string `json:"path,omitempty"`
	Diff string `json:"diff,omitempty"` // masked
}

// Transaction is a change of the host.
type Transaction struct {
	Title         string // what it is for, as the command line says it
	Drafts        string // a directory of ours for steps of Before, named DraftsPrefix...; it goes in the end, with all that is in it
	Files         []File // in the order in which they get to their places; the last is the moment
	Live          []File // are in force by their names in the last of Files
	Detour        []byte // the last of Files with the names of drafts for those of Live; nil where Live is empty
	Later         []File // follow the moment: what is not in force from then on
	Before, After []Step
}

// DraftsPrefix begins the name of a directory for drafts.
const DraftsPrefix = ".postfix-maint"

// Host is where transactions are made.
type Host struct {
	Root    *sysroot.Root
	Journal string // file that notes an unfinished one, in a directory that only root may write
}

// Run plans and applies. Where a file was changed between the two it plans anew, so that the other one's edit and this one are both in
// force. plan returns nil for nothing to do. Warnings are those of the plan that was applied.
func (h Host) Run(ctx context.Context, plan func() (*Transaction, error)) (warnings []string, err error) {
	err = anew(func() error {
		t, err := plan()
		if err == nil && t != nil {
			warnings, err = h.Apply(ctx, t)
		}
		return err
	})
	return warnings, err
}

// turn is one swap of a file.
type turn struct {
	File
	since *sysroot.Seen // what stands there when it is staged
}

func (f File) changes() bool {
	return f.Anew || f.Seen.Missing != (f.New == nil) || string(f.Seen.Data) != string(f.New)
}

// turns are the swaps of a transaction in their order. The one at moment brings all into force.
func (t *Transaction) turns() (all []turn, moment int) {
	add := func(files []File) {
		for _, f := range files {
			if f.changes() {
				all = append(all, turn{f, f.Seen})
			}
		}
	}
	if t.Detour == nil {
		add(t.Files)
		moment = max(len(all)-1, 0)
	} else {
		first := t.Files[len(t.Files)-1]
		last := turn{first, first.Seen}
		last.Seen = &sysroot.Seen{Data: t.Detour}
		first.New = t.Detour
		add(t.Files[:len(t.Files)-1])
		moment = len(all)
		all = append(all, turn{first, first.Seen})
		add(t.Live)
		all = append(all, last)
	}
	add(t.Later)
	return all, moment
}

// Apply makes the change. On an error nothing is changed, or the error says what could not be put back. An error for which
// errors.Is(err, sysroot.ErrChanged) holds means that a file is no longer what was seen: the caller plans anew.
func (h Host) Apply(ctx context.Context, t *Transaction) (warnings []string, err error) {
	j := &journal{Title: t.Title, Drafts: t.Drafts}
	if t.Drafts != "" {
		err = h.begin(j)
	}
	for i := 0; i < len(t.Before) && err == nil; i++ {
		if err = t.Before[i].Do(ctx); err != nil {
			err = fmt.Errorf("cannot %s, nothing is changed: %w", t.Before[i].What, err)
		}
	}
	inForce := false
	if err == nil {
		inForce, err = h.swapAll(ctx, t, j)
	}
	err = errors.Join(err, h.end(j))
	if !inForce {
		return nil, err
	}
	for _, s := range t.After { // with an error as well: the next plan may find nothing more to do
		if err := s.Do(ctx); err != nil {
			warnings = append(warnings, fmt.Sprintf("the change is in force, but cannot %s: %v", s.What, err))
		}
	}
	return warnings, err
}

// record gives the turns of the history's own files. They come first: what fails there takes nothing back that is in force.
func (h Host) record(t *Transaction) (turns []turn, err error) {
	if h.Root.Recorder == nil {
		return nil, nil
	}
	var files []sysroot.Change
	for _, f := range slices.Concat(t.Files, t.Live, t.Later) {
		if f.changes() {
			files = append(files, sysroot.Change{Path: f.Path, Seen: f.Seen, New: f.New, Attr: f.Attr, Secret: f.Secret})
		}
	}
	notes, err := h.Root.Recorder.Record(t.Title, files)
	for _, n := range notes {
		turns = append(turns, turn{File{Path: n.Path, Seen: n.Seen, New: n.New, Attr: n.Attr}, n.Seen})
	}
	return turns, err
}

// swapAll is Apply for the files: journal, stage, swap. The change may be in force in spite of an error, see Later.
func (h Host) swapAll(ctx context.Context, t *Transaction, j *journal) (inForce bool, err error) {
	turns, moment := t.turns()
	if len(turns) == 0 {
		return true, nil
	}
	noted, err := h.record(t)
	if err != nil {
		return false, fmt.Errorf("cannot note the change in the history, nothing is changed: %w", err)
	}
	turns, moment = append(noted, turns...), moment+len(noted)
	for _, f := range turns {
		s, err := h.Root.Name(f.Path)
		if err != nil {
			return false, err
		}
		j.Files = append(j.Files, entry{Staged: s, Old: seenSum(f.Seen), New: sum(f.New)})
	}
	j.Moment = moment
	write := h.begin
	if j.begun {
		write = h.save
	}
	if err := write(j); err != nil {
		j.Files = nil
		return false, err
	}
	err = j.stage(ctx, h.Root, turns)
	if err == nil {
		err = j.swap(ctx, h.Root, turns[:moment+1])
	}
	if err != nil {
		return false, errors.Join(err, j.back(h.Root))
	}
	for i, f := range turns[moment+1:] { // in force: what was edited meanwhile stays, and the caller plans anew with it
		err = errors.Join(err, h.Root.Swap(j.Files[moment+1+i].Staged, f.Seen))
	}
	return true, err
}

func (j *journal) stage(ctx context.Context, root *sysroot.Root, turns []turn) error {
	for i, f := range turns {
		if err := ctx.Err(); err != nil {
			return err
		}
		if f.New == nil {
			continue
		}
		f.Attr.Seen = f.since
		if err := root.Stage(j.Files[i].Staged, f.New, f.Attr); err != nil {
			return err
		}
	}
	return nil
}

func (j *journal) swap(ctx context.Context, root *sysroot.Root, turns []turn) error {
	for i, f := range turns {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := root.Swap(j.Files[i].Staged, f.Seen); err != nil {
			return err
		}
	}
	return nil
}

// none is the sum of a file that is not there.
const none = ""

// sum tells one content from another; nil is a file that is not there.
func sum(data []byte) string {
	if data == nil {
		return none
	}
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

func seenSum(s *sysroot.Seen) string {
	if s.Missing {
		return none
	}
	return sum(append([]byte{}, s.Data...)) // an empty file is one
}

// now is the sum of what stands under a path; what is no regular file has the sum of nothing that was ever written.
func now(root *sysroot.Root, path string) (string, error) {
	s, err := root.See(path)
	if err == nil {
		return seenSum(s), nil
	}
	if _, lerr := root.Lstat(path); lerr == nil && !errors.Is(err, fs.ErrPermission) {
		return "no regular file", nil
	}
	return none, err
}
