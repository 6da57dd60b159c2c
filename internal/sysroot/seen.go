package sysroot

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// Seen is a file as it was when a change of it was planned.
type Seen struct {
	Missing bool
	Data    []byte
}

// ErrChanged says that a file is no longer the one that its new content was worked out from.
var ErrChanged = errors.New("it was changed by somebody else meanwhile")

// See reads p for a later write that must not overwrite what somebody else writes until then.
func (r *Root) See(p string) (*Seen, error) {
	data, err := r.ReadFile(p)
	if errors.Is(err, fs.ErrNotExist) {
		return &Seen{Missing: true}, nil
	}
	if err != nil {
		return nil, err
	}
	return &Seen{Data: data}, nil
}

// check compares a file with what was seen.
func (s *Seen) check(dir *os.Root, name string) error {
	if s == nil {
		return nil
	}
	now, err := dir.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && s.Missing:
		return nil
	case errors.Is(err, fs.ErrNotExist) || err == nil && (s.Missing || !now.Mode().IsRegular()):
		return ErrChanged
	case err != nil:
		return err
	}
	same, err := holds(dir, name, now, s.Data)
	if err == nil && !same {
		err = ErrChanged
	}
	return err
}

// settled is more than the time in which Postfix takes a file for one that somebody is still writing: dict_load_file_xt() in its
// util/dict.c reads main.cf only when its mtime is before the last two full seconds, and until then says "pausing to let file cool
// down". What is put in place by one rename is complete, so nothing has to wait for it.
const settled = 3 * time.Second

// settle sets the time stamp of a new file. It never goes backwards: backups, make(1) and "find -newer" must see every change, so it is
// later than that of the file which is replaced, and than attr.After. Where these are of the last seconds, or not yet, so is the new one.
func settle(dir *os.Root, name, temp string, attr Attr) error {
	least := attr.After
	if old, err := dir.Lstat(name); err == nil && old.ModTime().After(least) {
		least = old.ModTime()
	}
	stamp := time.Now()
	if attr.Settled {
		stamp = stamp.Add(-settled)
	}
	if stamp.After(least) {
		if !attr.Settled {
			return nil // the kernel has stamped it
		}
	} else {
		stamp = least.Add(time.Millisecond)
	}
	if err := dir.Chtimes(temp, time.Time{}, stamp); err != nil {
		return err
	}
	// Some file systems count full seconds only (ext4 with small inodes, NFSv2).
	if now, err := dir.Lstat(temp); err != nil || now.ModTime().After(least) {
		return err
	}
	return dir.Chtimes(temp, time.Time{}, least.Add(time.Second))
}
