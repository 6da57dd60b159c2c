package sysroot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Staged is a new file that waits beside the one that it is to replace, or a file that is to be removed. Swap and Back move the two there
// and back, in one step each. A process that ends in between is taken up by its successor: the names say all that has to be known.
type Staged struct {
	Dir  string `json:"directory"` // as the tree names it, links resolved
	Name string `json:"name"`      // of the file in Dir
	Temp string `json:"temporary"` // of the new file in Dir, and after Swap of the old one
}

// stagedPrefix begins the name of a staged file. Unlike a temporary one it is never swept: it may be the only copy of an old file.
const stagedPrefix = ".postfix-maint-staged."

// Name chooses the names for a staged change of p, and writes nothing.
func (r *Root) Name(p string) (Staged, error) {
	real, err := r.Resolve(p)
	if err != nil {
		return Staged{}, err
	}
	name := filepath.Base(real)
	dir := "/" + strings.TrimPrefix(strings.TrimPrefix(filepath.Dir(real), r.dir), "/")
	return Staged{Dir: dir, Name: name, Temp: strings.Replace(tempName(name), tempPrefix, stagedPrefix, 1)}, nil
}

// Path is the file as the tree names it.
func (s Staged) Path() string { return filepath.Join(s.Dir, s.Name) }

// Beside is where the new file waits, and after Swap the old one.
func (s Staged) Beside() string { return filepath.Join(s.Dir, s.Temp) }

// open opens the directory. Names that would lead out of it, or to what no stage has made, are refused: they may come from a file.
func (r *Root) open(s Staged) (*os.Root, error) {
	if s.Name != filepath.Base(s.Name) || s.Temp != filepath.Base(s.Temp) || !strings.HasPrefix(s.Temp, stagedPrefix) {
		return nil, fmt.Errorf("%q and %q are no names of a file and its staged one", s.Name, s.Temp)
	}
	real, err := r.Resolve(s.Dir)
	if err != nil {
		return nil, err
	}
	return OpenDir(real)
}

// Stage writes the new file of s as WriteFile would write it, but not in its place yet. Its name lasts through a power loss with Swap only.
func (r *Root) Stage(s Staged, data []byte, attr Attr) error {
	dir, err := r.open(s)
	if err != nil {
		return fmt.Errorf("cannot write %q: %w", s.Path(), err)
	}
	defer dir.Close()
	if err := attr.Seen.check(dir, s.Name); err != nil {
		return fmt.Errorf("cannot write %q: %w", s.Path(), err)
	}
	if old, err := dir.Lstat(s.Name); err == nil && !attr.Force {
		attr.Mode = Exact(old.Mode())
		attr.UID, attr.GID = Owner(old)
	}
	f, err := create(dir, s.Name, s.Temp, data, attr)
	if err == nil {
		err = f.Sync()
	}
	if f != nil {
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("cannot write %q: %w", s.Path(), err)
	}
	return nil
}

// Swap puts the new file in its place, or with none under s.Temp takes the file away. What stood there is under s.Temp then, and must be
// what was seen: if it is not, it gets back, and the error is ErrChanged. Since that is looked at afterwards, nobody can write in between.
func (r *Root) Swap(s Staged, seen *Seen) error {
	dir, err := r.open(s)
	if err != nil {
		return fmt.Errorf("cannot write %q: %w", s.Path(), err)
	}
	defer dir.Close()
	if err := exchange(dir, s); err != nil {
		return fmt.Errorf("cannot write %q: %w", s.Path(), err)
	}
	if err := seen.check(dir, s.Temp); err != nil {
		return errors.Join(fmt.Errorf("cannot write %q: %w", s.Path(), err), exchange(dir, s))
	}
	return syncDir(dir)
}

// Back takes Swap back.
func (r *Root) Back(s Staged) error {
	dir, err := r.open(s)
	if err == nil {
		defer dir.Close()
		err = exchange(dir, s)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("cannot put back %q: %w", s.Path(), err)
	}
	return nil
}

// exchange gives each of the two names what the other one has, nothing included, in one system call where the file system can do that.
func exchange(dir *os.Root, s Staged) error {
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	if err := settleLinks(dir, s); err != nil {
		return err
	}
	from, to, flags, race := s.Temp, s.Name, uint(unix.RENAME_EXCHANGE), error(unix.ENOENT)
	if there, err := exists(dir, s.Temp); err != nil {
		return err
	} else if !there {
		from, to, flags = s.Name, s.Temp, unix.RENAME_NOREPLACE
	} else if there, err = exists(dir, s.Name); err != nil {
		return err
	} else if !there {
		flags, race = unix.RENAME_NOREPLACE, unix.EEXIST
	}
	err = unix.Renameat2(int(d.Fd()), from, int(d.Fd()), to, flags)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		err = exchangeByLinks(dir, s, from, to, flags)
	}
	if errors.Is(err, race) {
		return ErrChanged
	}
	return err
}

// exchangeByLinks is exchange for file systems without the flags of renameat2(2), NFS among them. The old file never is without a name; what a
// kill leaves is settleLinks'.
func exchangeByLinks(dir *os.Root, s Staged, from, to string, flags uint) error {
	if flags == unix.RENAME_NOREPLACE {
		if err := dir.Link(from, to); err != nil {
			return err
		}
		return dir.Remove(from)
	}
	if err := dir.Link(s.Name, s.Temp+aside); err != nil {
		return err
	}
	if err := dir.Rename(s.Temp, s.Name); err != nil {
		return err
	}
	return dir.Rename(s.Temp+aside, s.Temp)
}

// aside ends the name of the old file while exchangeByLinks works.
const aside = ".was"

// settleLinks ends what a killed exchangeByLinks began.
func settleLinks(dir *os.Root, s Staged) error {
	there, err := exists(dir, s.Temp+aside)
	if err != nil || !there {
		return err
	}
	if there, err = exists(dir, s.Temp); err != nil {
		return err
	} else if there { // not begun
		return dir.Remove(s.Temp + aside)
	}
	return dir.Rename(s.Temp+aside, s.Temp)
}

func exists(dir *os.Root, name string) (bool, error) {
	_, err := dir.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// TakeUp takes up a staged change of a process that was killed: names that cannot be those of one are refused, and what exchangeByLinks left
// half done is ended.
func (r *Root) TakeUp(s Staged) error {
	dir, err := r.open(s)
	if err == nil {
		err = errors.Join(settleLinks(dir, s), dir.Close())
	}
	if err != nil {
		return fmt.Errorf("cannot take up the change of %q: %w", s.Path(), err)
	}
	return nil
}

// RemoveEach is Remove for several, whose removal lasts when it returns.
func (r *Root) RemoveEach(all []string) error {
	dirs := map[string]bool{}
	for _, p := range all {
		real, err := r.Path(p)
		if err != nil {
			return err
		}
		if err := os.Remove(real); err == nil {
			dirs[filepath.Dir(real)] = true
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot remove %q: %w", p, err)
		}
	}
	for name := range dirs {
		dir, err := OpenDir(name)
		if err != nil {
			return err
		}
		err = syncDir(dir)
		dir.Close()
		if err != nil {
			return fmt.Errorf("cannot remove what is in %q: %w", name, err)
		}
	}
	return nil
}
