package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/transaction"
)

// Mender takes the steps of repairs that are about files. The others are those of other flows.
type Mender struct {
	Root  *sysroot.Root
	Files transaction.Host
	Run   func(ctx context.Context, name string, args ...string) error
	Show  func(transaction.Change) // is told of each step before it is taken
	Dry   bool                     // no step is
}

// Mend takes one step, if it is one about files.
func (m Mender) Mend(ctx context.Context, a Act) error {
	switch a.Deed {
	case Index:
		return m.index(ctx, a)
	case Set, Once:
		return m.edit(ctx, a)
	case Mode:
		return m.mode(a)
	case Owner:
		return m.owner(a)
	case Group:
		return m.group(a)
	}
	return fmt.Errorf("internal error: nobody knows how to do %q", a.Deed)
}

// index makes an index beside the one that is in use, and puts it in its place by one rename: no daemon reads half of one.
func (m Mender) index(ctx context.Context, a Act) error {
	name := a.Path + indexes[a.Name]
	m.Show(transaction.Change{What: fmt.Sprintf("make %s anew: %s %s:%s", name, path.Base(a.Value), a.Name, a.Path), Path: name})
	if m.Dry {
		return nil
	}
	_, err := m.Files.Run(ctx, func() (*transaction.Transaction, error) {
		fi, err := m.Root.Stat(a.Path)
		if err != nil {
			return nil, err
		}
		text, err := m.Root.ReadTrusted(a.Path) // else it might say what root is to read
		if err != nil {
			return nil, err
		}
		seen, err := m.Root.See(name)
		if err != nil {
			return nil, err
		}
		t := &transaction.Transaction{Title: "the index of " + a.Path, Drafts: path.Join(a.Dir, transaction.DraftsPrefix+"-doctor")}
		uid, gid := sysroot.Owner(fi)
		attr := sysroot.Attr{Mode: sysroot.Exact(fi.Mode().Perm()), UID: uid, GID: gid}
		t.Files = []transaction.File{{Path: name, Seen: seen, New: []byte{}, Attr: attr, Anew: true, Secret: fi.Mode()&0o004 == 0}}
		t.Before = []transaction.Step{{What: "index " + a.Path, Do: func(ctx context.Context) (err error) {
			t.Files[0].New, err = m.draft(ctx, a, t.Drafts, text)
			return err
		}}}
		return t, nil
	})
	return err
}

// draft makes the index of a copy of the text. What Postfix's program says of that is said of the text.
func (m Mender) draft(ctx context.Context, a Act, dir string, text []byte) ([]byte, error) {
	copied := dir + "/table"
	if _, err := m.Root.MkdirAll(dir, sysroot.Attr{Mode: 0o700, Force: true}); err != nil {
		return nil, err
	}
	if _, err := m.Root.WriteFile(copied, text, sysroot.Attr{Mode: 0o600, Force: true}); err != nil {
		return nil, err
	}
	if err := m.Run(ctx, a.Value, "-c", a.Dir, a.Name+":"+copied); err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), copied, a.Path))
	}
	return m.Root.ReadFile(copied + indexes[a.Name])
}

// edit changes main.cf.
func (m Mender) edit(ctx context.Context, a Act) error {
	name, edit := path.Join(a.Dir, "main.cf"), maincf.Once(a.Name)
	if a.Deed == Set {
		edit = maincf.Set(a.Name, a.Value)
	}
	_, err := m.Files.Run(ctx, func() (*transaction.Transaction, error) {
		seen, err := m.Root.See(name)
		if err != nil {
			return nil, err
		}
		f, err := maincf.Parse(seen.Data)
		if err != nil {
			return nil, fmt.Errorf("cannot understand %q: %w", name, err)
		}
		if changed, err := f.Apply(edit); err != nil || !changed {
			return nil, err
		}
		master, err := m.Root.ReadFile(path.Join(a.Dir, "master.cf"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		m.Show(transaction.Change{What: "change " + name, Path: name, Diff: maincf.Diff(name, seen.Data, f.Bytes(), master)})
		if m.Dry {
			return nil, nil
		}
		file := transaction.File{Path: name, Seen: seen, New: f.Bytes(), Attr: sysroot.Attr{Mode: 0o644, Settled: true}}
		return &transaction.Transaction{Title: "parameter " + a.Name + " in " + name, Files: []transaction.File{file}}, nil
	})
	return err
}

// mode takes bits from a mode. The history keeps none, so that what is said has the mode that it was.
func (m Mender) mode(a Act) error {
	real, err := m.Root.Resolve(a.Path)
	if err != nil {
		return err
	}
	if err := m.Root.TrustedPlace(a.Path); err != nil {
		return err
	}
	return held(real, func(fd int, st unix.Stat_t) error {
		was := st.Mode & 0o7777
		now := was &^ uint32(a.Bits)
		if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFREG && kind != unix.S_IFDIR || now == was {
			return nil
		}
		m.Show(transaction.Change{What: fmt.Sprintf("chmod %04o %s (it was %04o)", now, a.Path, was), Path: a.Path})
		if m.Dry {
			return nil
		}
		return unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), now)
	})
}

// owner gives a directory of the queue to the account that works there. The group stays.
func (m Mender) owner(a Act) error {
	real, err := m.Root.Path(a.Path)
	if err != nil {
		return err
	}
	if err := m.Root.TrustedPlace(a.Path); err != nil { // else its name may lead to what is not Postfix's
		return err
	}
	return held(real, func(fd int, st unix.Stat_t) error {
		if st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Uid != 0 {
			return nil
		}
		m.Show(transaction.Change{What: fmt.Sprintf("chown %s %s (it was root's)", a.Name, a.Path), Path: a.Path})
		if m.Dry {
			return nil
		}
		return unix.Fchownat(fd, "", a.ID, -1, unix.AT_EMPTY_PATH)
	})
}

// group has a directory of the queue belong to the group for users' mail, or a program run as that.
func (m Mender) group(a Act) error {
	real, err := m.Root.Path(a.Path)
	if err != nil {
		return err
	}
	if err := m.Root.TrustedPlace(a.Path); err != nil {
		return err
	}
	program := a.Bits&fs.ModeSetgid != 0
	if program {
		if err := m.Root.Trusted(a.Path); err != nil {
			return err
		}
	}
	return held(real, func(fd int, st unix.Stat_t) error {
		kind, was := st.Mode&unix.S_IFMT, st.Mode&0o7777
		now := was&^0o777 | uint32(a.Bits.Perm())
		if program {
			now = was | unix.S_ISGID | 0o010
		}
		if program != (kind == unix.S_IFREG) || !program && kind != unix.S_IFDIR || now == was && int(st.Gid) == a.ID {
			return nil
		}
		m.Show(transaction.Change{What: fmt.Sprintf("chgrp %s %s; chmod %04o %s (it was group %d, %04o)", a.Name, a.Path, now, a.Path, st.Gid, was), Path: a.Path})
		if m.Dry {
			return nil
		}
		if err := unix.Fchownat(fd, "", -1, a.ID, unix.AT_EMPTY_PATH); err != nil {
			return err
		}
		return unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), now) // what is given to a group loses its setgid bit (chown(2))
	})
}

// held calls do with what a path names now and no other thing later.
func held(real string, do func(fd int, st unix.Stat_t) error) error {
	dir, err := sysroot.OpenDir(path.Dir(real))
	if err != nil {
		return err
	}
	defer dir.Close()
	f, err := dir.OpenFile(path.Base(real), unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return stated(f, do)
}

func stated(f *os.File, do func(fd int, st unix.Stat_t) error) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	return do(int(f.Fd()), st)
}

// tooMany are the bits by which others may write what is root's; 0 where its owner is another, or it is the root directory, which has no name.
func (h Host) tooMany(at string) (bits fs.FileMode) {
	fi, err := h.Root.Lstat(at)
	if err != nil || at == "/" || !fi.Mode().IsRegular() && !fi.IsDir() {
		return 0
	}
	uid, gid := sysroot.Owner(fi)
	bits = fi.Mode().Perm() & 0o002
	if gid != 0 {
		bits |= fi.Mode().Perm() & 0o020
	}
	if uid != 0 {
		return 0
	}
	return bits
}
