package chroot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/sysroot"
)

// queue is the queue directory as it is walked for reading and writing: one directory after the other, each opened in
// its parent. A symbolic link or a mount point on the way is never passed, whatever it leads to, because what lies behind
// it may be the host's own: Debian's scripts emptied /etc/ssl/certs through a bind mount (failures C01 and C02).
type queue struct {
	dirs map[string]*dir // "." is the queue directory itself
	errs map[string]error
}

// dir is an open directory. file is the same as root, for statx(2).
type dir struct {
	root  *os.Root
	file  *os.File
	mount uint64
	self  stat // as it was opened
}

// blocked says why a path in the queue directory is left alone.
type blocked struct {
	path, why string
}

// Error names the path and what is wrong with it.
func (b *blocked) Error() string { return fmt.Sprintf("%q %s", b.path, b.why) }

// openQueue opens the queue directory at the real path.
func openQueue(real string) (*queue, error) {
	root, err := sysroot.OpenDir(real)
	if err != nil {
		return nil, err
	}
	top, err := newDir(root)
	if err != nil {
		return nil, err
	}
	return &queue{dirs: map[string]*dir{".": top}, errs: map[string]error{}}, nil
}

func newDir(root *os.Root) (*dir, error) {
	file, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	d := &dir{root: root, file: file}
	st, err := d.stat("")
	if err != nil {
		d.close()
		return nil, err
	}
	d.mount, d.self = st.mount, st
	return d, nil
}

func (d *dir) close() {
	d.file.Close()
	d.root.Close()
}

func (q *queue) close() {
	for _, d := range q.dirs {
		d.close()
	}
}

// stat is what statx(2) says of an entry, itself and not what it links to.
type stat struct {
	mode  uint16
	mount uint64 // id of the mount it is on: a bind mount from the same file system has another one
	owner [2]int
	sig   signature
	id    fileID
}

func (st stat) kind() uint16      { return st.mode & unix.S_IFMT }
func (st stat) perm() fs.FileMode { return fs.FileMode(st.mode) & fs.ModePerm }

// signature tells without reading it whether a file is still the one that was seen before. The kernel sets the change
// time itself at every write, chmod, chown and rename, so no program can fake it.
type signature struct {
	size, mtime, ctime, inode int64 // times in nanoseconds
}

// stat describes name in d; "" is d itself.
func (d *dir) stat(name string) (stat, error) {
	flags := unix.AT_SYMLINK_NOFOLLOW
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	var x unix.Statx_t
	err := unix.Statx(int(d.file.Fd()), name, flags, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &x)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) { // containers that filter system calls they do not know
		return d.oldStat(name, flags)
	}
	if err != nil {
		return stat{}, &fs.PathError{Op: "statx", Path: name, Err: err}
	}
	st := stat{
		id: fileID{unix.Mkdev(x.Dev_major, x.Dev_minor), x.Ino}, mode: x.Mode, owner: [2]int{int(x.Uid), int(x.Gid)}, mount: x.Mnt_id,
		sig: signature{
			size: int64(x.Size), inode: int64(x.Ino),
			mtime: x.Mtime.Sec*1e9 + int64(x.Mtime.Nsec), ctime: x.Ctime.Sec*1e9 + int64(x.Ctime.Nsec),
		},
	}
	if x.Mask&unix.STATX_MNT_ID == 0 { // before Linux 5.8: the device is all there is
		st.mount = uint64(x.Dev_major)<<32 | uint64(x.Dev_minor)
	}
	return st, nil
}

// oldStat is stat by fstatat(2), which knows no mounts but devices.
func (d *dir) oldStat(name string, flags int) (stat, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(int(d.file.Fd()), name, &st, flags); err != nil {
		return stat{}, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return stat{
		id: fileID{uint64(st.Dev), st.Ino}, mode: uint16(st.Mode), owner: [2]int{int(st.Uid), int(st.Gid)}, mount: uint64(st.Dev),
		sig: signature{size: st.Size, inode: int64(st.Ino), mtime: unix.TimespecToNsec(st.Mtim), ctime: unix.TimespecToNsec(st.Ctim)},
	}, nil
}

// open returns the directory at the relative path p. The error is fs.ErrNotExist, or *blocked, or trouble of the system.
func (q *queue) open(p string) (*dir, error) {
	if d, ok := q.dirs[p]; ok {
		return d, nil
	}
	if err, ok := q.errs[p]; ok {
		return nil, err
	}
	d, err := q.enter(p)
	if err != nil {
		q.errs[p] = err
		return nil, err
	}
	q.dirs[p] = d
	return d, nil
}

func (q *queue) enter(p string) (*dir, error) {
	parent, err := q.open(path.Dir(p))
	if err != nil {
		return nil, err
	}
	name := path.Base(p)
	st, err := parent.stat(name)
	if err != nil {
		return nil, err
	}
	if err := q.mayEnter(p, st, parent); err != nil {
		return nil, err
	}
	root, err := sysroot.OpenDirIn(parent.root, name)
	if err != nil {
		return nil, err
	}
	d, err := newDir(root)
	if err != nil {
		return nil, err
	}
	// What was looked at must be what was opened.
	if now, err := d.stat(""); err != nil || now.sig.inode != st.sig.inode || now.mount != parent.mount {
		d.close()
		return nil, &blocked{p, "changed while it was opened"}
	}
	return d, nil
}

func (q *queue) mayEnter(p string, st stat, parent *dir) error {
	switch {
	case st.kind() == unix.S_IFLNK:
		return &blocked{p, "is a symbolic link"}
	case st.kind() != unix.S_IFDIR:
		return &blocked{p, "is no directory"}
	case st.mount != parent.mount:
		return &blocked{p, "is a mount point"}
	}
	return nil
}

// look describes the file at p. A missing directory on the way is a missing file.
func (q *queue) look(p string) (stat, error) {
	d, err := q.open(path.Dir(p))
	if err != nil {
		return stat{}, err
	}
	st, err := d.stat(path.Base(p))
	if err == nil && st.mount != d.mount {
		return st, &blocked{p, "is a mount point"}
	}
	return st, err
}

// read returns the content of the regular file p; anything else is an error, and nothing can hold us.
func (q *queue) read(p string) ([]byte, error) {
	d, err := q.open(path.Dir(p))
	if err != nil {
		return nil, err
	}
	f, err := d.root.OpenFile(path.Base(p), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() || fi.Size() > maxFile { // larger than any of ours
		return nil, &fs.PathError{Op: "read", Path: p, Err: errors.ErrUnsupported}
	}
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// forget drops what is known of p, after it was made.
func (q *queue) forget(p string) { delete(q.errs, p) }

// leave closes the directory at p, in which nothing else is open.
func (q *queue) leave(p string) {
	if d := q.dirs[p]; d != nil {
		d.close()
		delete(q.dirs, p)
	}
}
