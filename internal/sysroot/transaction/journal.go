package transaction

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/note"
)

// journal notes what an unfinished transaction changes. It holds names and sums, no content: old and new files stand side by side in
// their own directories, with their own modes.
type journal struct {
	Title  string  `json:"title"`
	Drafts string  `json:"drafts,omitempty"` // a directory that is to go
	Files  []entry `json:"files"`
	Moment int     `json:"moment"`          // which of Files brings all into force
	Ended  bool    `json:"ended,omitempty"` // only the removal of what is not needed any more is left

	begun bool // it is on the disk
}

// entry is one file: the sums of its old and its new content, none for no file. A file that is changed twice has two.
type entry struct {
	sysroot.Staged
	Old string `json:"old"`
	New string `json:"new"`
}

// begin saves the first journal of a transaction.
func (h Host) begin(j *journal) error {
	if title, there := h.Pending(); there {
		return fmt.Errorf("cannot begin: an interrupted change (%s) has to be completed first", title)
	}
	return h.save(j)
}

func (h Host) save(j *journal) error {
	err := note.Save(h.Root, h.Journal, j, 0o755)
	j.begun = j.begun || err == nil
	return err
}

// Recovered is what Recover found and did.
type Recovered struct {
	Title   string // of the transaction, "" if none was left
	Forward bool   // it is in force; else it is taken back
	// Warnings name files that somebody edited meanwhile, which stay as they are, and a journal that could not be used.
	Warnings []string
}

// Recover ends what a killed Apply left. Every command that is about to change something calls it first, with the lock held. A journal that
// cannot be used never stands in the way: it is set aside, and named in a warning.
func (h Host) Recover() (Recovered, error) {
	for _, name := range []string{path.Dir(h.Journal), h.Journal} { // half made by a process that was killed
		if _, err := h.Root.SweepTemp(name); err != nil {
			return Recovered{}, err
		}
	}
	j := &journal{}
	there, damaged := note.Load(h.Root, h.Journal, j, func() error { return j.sane(h.Root) })
	if damaged != nil {
		return h.setAside(damaged)
	} else if !there {
		return Recovered{}, nil
	}
	r := Recovered{Title: j.Title}
	var err error
	if len(j.Files) > 0 && !j.Ended {
		if r.Forward, err = j.passed(h.Root); err == nil && r.Forward {
			r.Warnings, err = j.forward(h.Root)
		} else if err == nil {
			r.Warnings, err = j.restore(h.Root)
		}
	}
	if err == nil {
		err = h.end(j)
	}
	if err != nil {
		aside, asideErr := h.setAside(err)
		aside.Title, aside.Warnings = r.Title, append(r.Warnings, aside.Warnings...)
		return aside, asideErr
	}
	return r, nil
}

// passed tells whether the moment is over. As long as its old file stands beside it is, whatever somebody made of the file since; end
// removes that one last.
func (j *journal) passed(root *sysroot.Root) (bool, error) {
	m := j.Files[j.Moment]
	is, beside, err := m.now(root)
	if err != nil || m.Old == m.New {
		return false, err
	}
	return beside == m.Old && m.Old != none || is == m.New && !m.overtook(is, beside) || is != m.Old && j.later(j.Moment, is), nil
}

// leadsBack tells whether the content of the moment's file is the same in the end, so that it does not tell whether the moment is over.
func (j *journal) leadsBack() bool {
	return len(j.Files) > 0 && (j.Files[j.Moment].Old == j.Files[j.Moment].New || j.later(j.Moment, j.Files[j.Moment].Old))
}

// later tells whether a content of a file is what a later entry makes of it.
func (j *journal) later(i int, is string) bool {
	return slices.ContainsFunc(j.Files[i+1:], func(e entry) bool { return e.Path() == j.Files[i].Path() && e.New == is })
}

// overtook tells whether Swap was killed before its look at what it had taken out of the file's place, and that is an edit of the last
// moment: it stands beside the file now, and gets back as Swap would have done.
func (e entry) overtook(is, beside string) bool {
	return e.Old != e.New && is == e.New && beside != e.Old && beside != e.New && beside != none
}

// sane refuses a journal that would have us touch anything else than a file and what was staged for it, and takes up the rest.
func (j *journal) sane(root *sysroot.Root) error {
	switch {
	case len(j.Files) == 0 && j.Drafts == "":
		return errors.New("it names no file")
	case j.Moment < 0 || j.Moment > max(len(j.Files)-1, 0):
		return errors.New("it names no moment")
	case j.Drafts != "" && (!path.IsAbs(j.Drafts) || path.Clean(j.Drafts) != j.Drafts || !strings.HasPrefix(path.Base(j.Drafts), DraftsPrefix)):
		return fmt.Errorf("%q is no directory for drafts", j.Drafts)
	}
	for _, e := range j.Files {
		if !path.IsAbs(e.Dir) || path.Clean(e.Dir) != e.Dir {
			return fmt.Errorf("its entry for %q makes no sense", e.Path())
		}
		if err := root.TakeUp(e.Staged); err != nil {
			return err
		}
	}
	j.begun = true
	return nil
}

// setAside moves a journal away that cannot be completed.
func (h Host) setAside(why error) (Recovered, error) {
	to, err := note.SetAside(h.Root, h.Journal)
	if err != nil {
		return Recovered{}, fmt.Errorf("cannot use the journal of an interrupted change (%w), nor set it aside: %w", why, err)
	}
	warning := fmt.Sprintf("an interrupted change cannot be completed: %v; its journal is now %q, and files named .postfix-maint-staged.* "+
		"beside those that it names are what it had written or replaced", why, to)
	return Recovered{Warnings: []string{warning}}, nil
}

// forward completes a transaction of which the moment is over: after a power loss, renames before it may not have lasted.
func (j *journal) forward(root *sysroot.Root) (warnings []string, err error) {
	for i, e := range j.Files {
		is, beside, err := e.now(root)
		if err != nil {
			return warnings, err
		}
		switch {
		case e.overtook(is, beside):
			if err := root.Back(e.Staged); err != nil {
				return warnings, err
			}
			warnings = append(warnings, edited(e))
		case is == e.New, j.later(i, is):
		case is == e.Old && beside == e.New:
			if err := root.Swap(e.Staged, nil); err != nil {
				return warnings, err
			}
		default:
			warnings = append(warnings, edited(e))
		}
	}
	return warnings, nil
}

// back takes back what was swapped. Where it cannot, the old files and the journal stay for Recover.
func (j *journal) back(root *sysroot.Root) error {
	warnings, err := j.restore(root)
	j.begun = err == nil
	for _, w := range warnings {
		err = errors.Join(err, errors.New(w))
	}
	return err
}

// restore puts the old files back, the last one first.
func (j *journal) restore(root *sysroot.Root) (warnings []string, err error) {
	for i := len(j.Files) - 1; i >= 0; i-- {
		e := j.Files[i]
		is, beside, err := e.now(root)
		if err != nil {
			return warnings, err
		}
		switch {
		case is == e.Old:
		case is == e.New && beside == e.Old, i <= j.Moment && e.overtook(is, beside): // later ones may be half staged
			if err := root.Back(e.Staged); err != nil {
				return warnings, err
			}
		case beside == e.Old && e.Old != none:
			warnings = append(warnings, edited(e))
		}
	}
	return warnings, nil
}

// now gives the sums of what stands in the file's place and beside it.
func (e entry) now(root *sysroot.Root) (is, beside string, err error) {
	if is, err = now(root, e.Path()); err == nil {
		beside, err = now(root, e.Beside())
	}
	return is, beside, err
}

func edited(e entry) string {
	return fmt.Sprintf("%q was edited after a change of it was interrupted, and stays as it is", e.Path())
}

// end removes what stands beside the files, that of the moment last (see passed), and the drafts, then the journal: as long as it is
// there, all that it names is found again.
func (h Host) end(j *journal) error {
	if !j.begun {
		return nil
	}
	if !j.Ended && j.leadsBack() {
		j.Ended = true
		if err := h.save(j); err != nil {
			return err
		}
	}
	var beside, last []string
	for i, e := range j.Files {
		if i == j.Moment {
			last = []string{e.Beside()}
		} else {
			beside = append(beside, e.Beside())
		}
	}
	for _, names := range [][]string{beside, last} {
		if err := h.Root.RemoveEach(names); err != nil {
			return err
		}
	}
	if err := h.clear(j.Drafts); err != nil {
		return err
	}
	_, err := h.Root.Remove(h.Journal)
	return err
}

// clear removes a directory for drafts, which has no others in it.
func (h Host) clear(dir string) error {
	if dir == "" {
		return nil
	}
	if _, err := h.Root.SweepTemp(dir); err != nil { // half made by a process that was killed
		return err
	}
	drafts, err := h.Root.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot clear %q: %w", dir, err)
	}
	var names []string
	for _, d := range drafts {
		names = append(names, path.Join(dir, d.Name()))
	}
	if err := h.Root.RemoveEach(names); err != nil {
		return err
	}
	_, err = h.Root.Remove(dir)
	return err
}

// Pending tells whether an interrupted transaction waits for Recover, and what it was for.
func (h Host) Pending() (title string, there bool) {
	j := &journal{}
	there, damaged := note.Load(h.Root, h.Journal, j, nil)
	return strings.TrimSpace(j.Title), there || damaged != nil
}
