package multi

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// journal is what a command that has not ended yet is about to do. It is written before the first change.
type journal struct {
	Action   string            `json:"action"` // "create" or "remove"
	Instance instance.Instance `json:"instance"`
	Started  time.Time         `json:"started"`
	// Made are the paths that were not there before a create, each before its parents.
	Made []string `json:"made,omitempty"`
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

// loadJournal reads what an interrupted command left, nil if there is nothing. One that cannot be understood ends every
// command: what it was about is not to be guessed.
func (h *Host) loadJournal() (*journal, error) {
	data, err := h.Root.ReadFile(paths.InstanceWork)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	j := &journal{}
	if err == nil {
		err = json.Unmarshal(data, j)
	}
	if err == nil && (j.Action != "create" && j.Action != "remove" || !path.IsAbs(j.Instance.ConfigDir)) {
		err = errors.New("it makes no sense")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use the journal %q of an interrupted command (look after the instance by hand and remove the file): %w",
			paths.InstanceWork, err)
	}
	return j, nil
}

func (h *Host) saveJournal(j *journal) error {
	data, err := json.MarshalIndent(j, "", "\t")
	if err != nil {
		return err
	}
	if _, err := h.Root.SweepTemp(paths.InstanceWork); err != nil {
		return err
	}
	_, err = h.Root.WriteFile(paths.InstanceWork, append(data, '\n'), sysroot.Attr{Mode: 0o600})
	return err
}

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
