package chroot

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"syscall"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/sysroot"
)

// fileID tells whether two names are one file, whatever mounts, links or hard links lead to it. The zero value is no file.
type fileID struct{ dev, inode uint64 }

func idOf(fi fs.FileInfo, err error) fileID {
	if err != nil {
		return fileID{}
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{}
	}
	return fileID{uint64(st.Dev), st.Ino}
}

// CheckQueue refuses an instance whose queue directory is not its own: copies would lie among the host's files, or another instance's,
// and be taken away as ours one day. It holds in every command that writes or removes there.
func CheckQueue(d Deps, inst instance.Instance) error {
	if err := checkHost(d, inst); err != nil {
		return err
	}
	return checkOthers(d, inst)
}

func refuseQueue(inst instance.Instance, why, whose string) error {
	return fmt.Errorf("cannot use %q as queue directory of instance %s: it %s %s; set queue_directory in %s to a directory of its own",
		inst.QueueDir, inst.Name, why, whose, path.Join(inst.ConfigDir, "main.cf"))
}

// checkHost is the part of CheckQueue about the host's directories. One that is not there is not refused: whoever opens it says why.
func checkHost(d Deps, inst instance.Instance) error {
	queue := idOf(d.Root.Stat(inst.QueueDir))
	if queue == (fileID{}) {
		return nil
	}
	dir := inst.ConfigDir
	if !newWay().leadsThrough(d.Root, dir, queue) {
		dir = d.complete().Shared.systemDir(d.Root, queue)
	}
	if dir != "" {
		return refuseQueue(inst, "is or holds", fmt.Sprintf("the host's directory %q", dir))
	}
	return nil
}

// checkOthers is the part about other instances.
func checkOthers(d Deps, inst instance.Instance) error {
	d = d.complete()
	ours, none := d.Shared.queue(d.Root, inst.QueueDir), fileID{}
	if ours[0] == none {
		return nil
	}
	others := d.Instances
	if others == nil {
		others, _ = instance.List(d.Root) // what cannot be read is said by those who start it
	}
	earlier := true
	for _, o := range others {
		if o.ConfigDir == inst.ConfigDir {
			earlier = false
			continue
		}
		other := d.Shared.queue(d.Root, o.QueueDir)
		if other[0] == none || !slices.Contains(ours, other[0]) && !slices.Contains(other, ours[0]) {
			continue
		}
		// One broken neighbour must not stop the one whose directory it is.
		if mine, its := settled(d.Root, inst), settled(d.Root, o); mine < its || mine == its && earlier {
			return refuseQueue(inst, "is, holds or lies below", fmt.Sprintf("that of instance %s, %q", o.Name, o.QueueDir))
		}
	}
	return nil
}

// way remembers what directories are, by name, and which of them are reached by no symbolic link.
type way struct {
	ids   map[string]fileID
	plain map[string]bool
}

func newWay() way { return way{ids: map[string]fileID{}, plain: map[string]bool{"/": true}} }

// leadsThrough tells whether id is p or one of the directories on the way to it.
func (w way) leadsThrough(root *sysroot.Root, p string, id fileID) bool {
	return slices.Contains(w.to(root, p), id)
}

// to gives p, first, and the directories on the way to it, by its name and by where it really is.
func (w way) to(root *sysroot.Root, p string) (ids []fileID) {
	names := []string{path.Clean(p)}
	if !w.isPlain(root, names[0]) {
		if real, err := root.Resolve(p); err == nil {
			names = append(names, path.Clean("/"+real[len(root.Dir()):]))
		}
	}
	for _, name := range names {
		for ; ; name = path.Dir(name) {
			at, known := w.ids[name]
			if !known {
				at = idOf(root.Stat(name))
				w.ids[name] = at
			}
			ids = append(ids, at)
			if name == "/" {
				break
			}
		}
	}
	return ids
}

// isPlain tells whether a directory is really where its name says. One look at each directory tells that, and what it is: this is asked of
// all the host's own at each run, and to resolve each name by itself took a quarter of a hook.
func (w way) isPlain(root *sysroot.Root, name string) bool {
	if plain, known := w.plain[name]; known || !path.IsAbs(name) {
		return plain
	}
	plain := false
	if w.isPlain(root, path.Dir(name)) {
		if fi, err := root.Lstat(name); err == nil && fi.Mode()&fs.ModeSymlink == 0 {
			plain, w.ids[name] = true, idOf(fi, nil)
		}
	}
	w.plain[name] = plain
	return plain
}

// settled tells how much speaks for an instance's being at home in its queue directory: 2 if it was filled there before, 0 if it was
// filled elsewhere, so that its queue_directory is a slip or a move.
func settled(root *sysroot.Root, inst instance.Instance) int {
	switch _, found, warn := loadKept(root, inst); {
	case found && warn == "":
		return 2
	case found:
		return 0
	}
	return 1
}
