package multi

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot/note"
)

// journal is what a command that has not ended yet is about to do. It is written before the first change.
type journal struct {
	Action   string            `json:"action"` // "create" or "remove"
	Instance instance.Instance `json:"instance"`
	Started  time.Time         `json:"started"`
	// Made are the paths that were not there before a create, each before its parents.
	Made []string `json:"made,omitempty"`
	// Sums are the checksums of those files among them whose content is known before: one with another sum was edited by hand.
	Sums map[string]string `json:"sums,omitempty"`
	// Before are the parameters that a create changes in files that were there before.
	Before   []setting `json:"before,omitempty"`
	Linked   []string  `json:"linked,omitempty"`   // its units that were enabled before
	Complete bool      `json:"complete,omitempty"` // all but the start is done
	Disabled bool      `json:"disabled,omitempty"` // is not to be started
	Purge    bool      `json:"purge,omitempty"`    // queued mail goes as well
}

// setting is a parameter as a main.cf had it; nil where it was not set.
type setting struct {
	File  string  `json:"file"`
	Name  string  `json:"name"`
	Value *string `json:"value"`
}

// settings are the values of some parameters in a main.cf.
func settings(file string, f *maincf.File, names ...string) []setting {
	var all []setting
	for _, name := range names {
		s := setting{File: file, Name: name}
		if v, ok := f.Get(name); ok {
			s.Value = &v
		}
		all = append(all, s)
	}
	return all
}

// sumOf is a file's checksum for journal.Sums. In main.cf it leaves out what joins the instance to the others, which comes in later steps.
func sumOf(name string, data []byte) string {
	if path.Base(name) == path.Base(paths.MainCF) {
		f, err := maincf.Parse(data)
		if err == nil {
			_, err = f.Apply(maincf.Unset("multi_instance_name"), maincf.Unset("multi_instance_group"), maincf.Unset("multi_instance_enable"))
		}
		if err == nil {
			data = f.Bytes()
		}
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// value is what a parameter was.
func (j *journal) value(file, name string) *string {
	for _, s := range j.Before {
		if s.File == file && s.Name == name {
			return s.Value
		}
	}
	return nil
}

// made tells whether a path was made by the create.
func (j *journal) made(p string) bool {
	for _, m := range j.Made {
		if m == p {
			return true
		}
	}
	return false
}

// loadJournal reads what an interrupted command left, nil if there is nothing. What one that cannot be understood was about is not to
// be guessed.
func (h *Host) loadJournal() (*journal, error) {
	j := &journal{}
	there, damaged := note.Load(h.Root, paths.InstanceWork, j, func() error {
		if j.Action != "create" && j.Action != "remove" || !path.IsAbs(j.Instance.ConfigDir) {
			return errors.New("it makes no sense")
		}
		return nil
	})
	if damaged != nil {
		return nil, fmt.Errorf("cannot use the journal of an interrupted command: %w", damaged)
	} else if !there {
		return nil, nil
	}
	return j, nil
}

// setAside gives the journal of an interrupted command, which cannot be put in order, another name, so that the next command can run.
func (h *Host) setAside(why error) error {
	if h.DryRun {
		h.warn("%v; the command would go on without it", why)
		return nil
	}
	kept := fmt.Sprintf("%s.kept-%s", paths.InstanceWork, time.Now().UTC().Format("20060102T150405.000000000"))
	if err := h.Root.Rename(paths.InstanceWork, kept); err != nil {
		return fmt.Errorf("%w; and cannot set it aside: %w", why, err)
	}
	h.warn("%v; what that command was about is kept in %q: look after the instance by hand, then delete the file", why, kept)
	return nil
}

func (h *Host) saveJournal(j *journal) error { return note.Save(h.Root, paths.InstanceWork, j, 0o700) }

func (h *Host) dropJournal() error {
	_, err := h.Root.Remove(paths.InstanceWork)
	return err
}

// missing lists which of the directories, and of their parents, are not there.
func (h *Host) missing(dirs ...string) ([]string, error) {
	var all []string
	for _, dir := range dirs {
		for ; dir != "/"; dir = path.Dir(dir) {
			there, err := h.Root.Exists(dir)
			if err != nil {
				return nil, err
			}
			if there {
				break
			}
			all = append(all, dir)
		}
	}
	return all, nil
}

// deepestFirst sorts paths so that each comes before its parents, once.
func deepestFirst(all []string) []string {
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return slices.Compact(all)
}
