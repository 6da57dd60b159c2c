package sysroot

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// tempPrefix begins the name of everything temporary. Nobody else names a file so: an editor's or an administrator's ".main.cf1" is never
// taken for one of ours.
const tempPrefix = ".postfix-maint-tmp."

// tempName is a new name for what is to become name: tempPrefix, name, a dot and letters that differ each time.
func tempName(name string) string { return tempPrefix + tempTarget(name) + "." + rand.Text() }

// tempTarget is the part of name that a temporary name carries: no name is longer than 255 bytes.
func tempTarget(name string) string { return name[:min(len(name), 200)] }

// SweepTemp removes what an interrupted write of p left beside it and no living process holds, beside a link of that name as well: a
// file is written where the link leads, the link itself where it stands. It returns their number.
func (r *Root) SweepTemp(p string) (int, error) {
	real, err := r.Resolve(p)
	if err != nil {
		return 0, err
	}
	n, err := sweepBeside(p, real)
	if link, pathErr := r.Path(p); err == nil && pathErr == nil && link != real {
		more, err := sweepBeside(p, link)
		return n + more, err
	}
	return n, err
}

func sweepBeside(p, real string) (int, error) {
	dir, err := OpenDir(filepath.Dir(real))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("cannot sweep beside %q: %w", p, err)
	}
	defer dir.Close()
	return Sweep(dir, func(target string) bool { return target == tempTarget(filepath.Base(real)) })
}

// Sweep removes temporary files, links and directories of ours in dir that no living process holds and whose target is accepted by mine; of
// a target with a name of more than 200 bytes it sees the first 200.
func Sweep(dir *os.Root, mine func(target string) bool) (int, error) {
	d, err := dir.Open(".")
	if err != nil {
		return 0, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return 0, err
	}
	removed := 0
	for _, name := range names {
		if target, ours := Temporary(name); !ours || !mine(target) || !stale(dir, name) {
			continue
		}
		if err := dir.Remove(name); err == nil { // a directory that is not empty stays
			removed++
		}
	}
	return removed, nil
}

// Temporary tells whether name is one of our temporary names, and what it was to become: the first 200 bytes of that.
func Temporary(name string) (target string, ours bool) {
	rest, ours := strings.CutPrefix(name, tempPrefix)
	end := strings.LastIndexByte(rest, '.')
	if !ours || end < 0 {
		return "", false
	}
	return rest[:end], true
}

// stale tells whether name is a link, or a file or directory that no process holds locked.
func stale(dir *os.Root, name string) bool {
	fi, err := dir.Lstat(name)
	if err != nil || !fi.Mode().IsRegular() && !fi.IsDir() {
		return err == nil && fi.Mode()&fs.ModeSymlink != 0
	}
	f, err := dir.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}
