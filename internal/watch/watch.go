// Package watch (ring: port) tells when the name of a file may have come to mean other bytes: by a write, by another file in its place, by
// a link that leads elsewhere, by a directory on the way that comes, goes or is another, by a mount. Each name on the way to the file
// is looked up as the kernel does, and watched in its directory before that (inotify(7)), so nothing happens unseen in between.
package watch

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What is watched of a directory and of a file. A directory tells of its files by name; what is written through another hard link of a
// file, only the file itself.
const (
	dirEvents = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_MODIFY | unix.IN_CLOSE_WRITE |
		unix.IN_ATTRIB | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF
	fileEvents = unix.IN_MODIFY | unix.IN_CLOSE_WRITE | unix.IN_ATTRIB
)

const (
	settle   = 100 * time.Millisecond // what changes a file rarely does it in one step
	blind    = 2 * time.Second        // between two looks, where the kernel has no watches left
	maxLinks = 40                     // the kernel's own limit in one path: path_resolution(7)
)

// Watch is a watch over some names. It must be closed.
type Watch struct {
	names  []string
	events int                         // inotify's descriptor, -1 where there is none
	mounts int                         // tells by poll(2) that something was mounted or unmounted (proc_pid_mountinfo(5)), or -1
	seen   map[string]string           // what each name meant when it was last looked at
	on     map[int]map[string]struct{} // the names that matter, by the number of the watch; "" for the watched itself
	dark   bool                        // something could not be watched
}

// New begins to watch: what happens to the names (absolute paths) from now on, the next Wait tells.
func New(names ...string) *Watch {
	w := &Watch{names: names}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		fd = -1
	}
	w.events = fd
	w.mountsOf("/proc/self/mountinfo")
	w.arm()
	return w
}

// mountsOf begins to watch mounts. It is no os.File, in which Go's own poller would take the events. Without it a look now and then has to do.
func (w *Watch) mountsOf(name string) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		fd = -1
	}
	w.mounts = fd
}

// Close ends the watch.
func (w *Watch) Close() {
	for _, fd := range []int{w.events, w.mounts} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// Wait waits until something may have changed, at most for a time. It then tells whether something has: what no event tells of (a file
// that is mapped into memory, a file system of another machine's) it finds then.
func (w *Watch) Wait(limit time.Duration) (changed bool) {
	for end := time.Now().Add(limit); ; {
		left := time.Until(end)
		if w.dark || w.events < 0 {
			left = min(left, blind)
		}
		event, mount := w.poll(max(left, 0))
		if event = event && w.drain(); event || mount {
			time.Sleep(settle)
			event = w.drain() || event
		}
		if event || mount || left <= 0 || w.dark || w.events < 0 {
			before := w.seen
			w.arm()
			if event || !maps.Equal(before, w.seen) {
				return true
			}
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// poll waits for either kind of event.
func (w *Watch) poll(limit time.Duration) (event, mount bool) {
	fds := []unix.PollFd{{Fd: int32(w.events), Events: unix.POLLIN}, {Fd: int32(w.mounts), Events: unix.POLLPRI}}
	if _, err := unix.Poll(fds, int(limit.Milliseconds())+1); err != nil { // a signal, or no memory
		return false, false
	}
	if fds[1].Revents&^unix.POLLPRI&^unix.POLLERR != 0 || fds[1].Revents == unix.POLLERR { // not Linux's: it would never wait again
		unix.Close(w.mounts)
		w.mounts = -1
	}
	return fds[0].Revents != 0, fds[1].Revents&unix.POLLPRI != 0
}

// drain reads the events that there are and tells whether one is about a name that matters.
func (w *Watch) drain() (matters bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(w.events, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n < unix.SizeofInotifyEvent {
			return matters
		}
		for rest := buf[:n]; len(rest) >= unix.SizeofInotifyEvent; {
			e := (*unix.InotifyEvent)(unsafe.Pointer(&rest[0]))
			size := unix.SizeofInotifyEvent + int(e.Len)
			name := strings.TrimRight(string(rest[unix.SizeofInotifyEvent:size]), "\x00")
			_, named := w.on[int(e.Wd)][name]
			matters = matters || named || e.Mask&unix.IN_Q_OVERFLOW != 0
			rest = rest[size:]
		}
	}
}

// arm looks all names up and watches what was met on the way, and nothing else.
func (w *Watch) arm() {
	before := w.on
	w.seen, w.on, w.dark = map[string]string{}, map[int]map[string]struct{}{}, false
	for _, name := range w.names {
		w.seen[name] = w.look(name)
	}
	for wd := range before {
		if w.on[wd] == nil {
			_, _ = unix.InotifyRmWatch(w.events, uint32(wd)) // it is gone with what it watched, mostly
		}
	}
}

// look looks one name up, link by link, and says what it means now.
func (w *Watch) look(name string) string {
	top, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err.Error()
	}
	l := &lookup{w: w, dirs: []int{top}, rest: strings.Split(name, "/")}
	defer l.up(0)
	for len(l.rest) > 0 {
		next := l.rest[0]
		l.rest = l.rest[1:]
		switch next {
		case "", ".":
			continue
		case "..":
			l.up(max(1, len(l.dirs)-1))
			continue
		}
		if meaning, end := l.enter(next); end {
			return meaning
		}
	}
	return "a directory"
}

// lookup is the way of one name.
type lookup struct {
	w     *Watch
	dirs  []int    // open, from the top down to where it is
	rest  []string // names still to be looked up
	links int
}

// up leaves directories until there are so many.
func (l *lookup) up(to int) {
	for _, fd := range l.dirs[to:] {
		unix.Close(fd)
	}
	l.dirs = l.dirs[:to]
}

// enter looks up one name where it is. At the end of the way it says what is there.
func (l *lookup) enter(name string) (meaning string, end bool) {
	here := l.dirs[len(l.dirs)-1]
	l.w.add(here, name, dirEvents|unix.IN_ONLYDIR) // first: what comes after the look is an event
	fd, err := unix.Openat(here, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err.Error(), true
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return err.Error(), true
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		l.dirs = append(l.dirs, fd)
		return "", false
	}
	defer unix.Close(fd)
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		l.w.add(fd, "", fileEvents)
		return fmt.Sprint(st.Dev, st.Ino, st.Size, st.Mtim, st.Ctim), true
	}
	if l.links++; l.links > maxLinks {
		return unix.ELOOP.Error(), true
	}
	target := readLink(fd)
	if path.IsAbs(target) {
		l.up(1)
	}
	l.rest = slices.Concat(strings.Split(target, "/"), l.rest)
	return "", false
}

// add watches what a descriptor stands for, whatever its name is by now.
func (w *Watch) add(fd int, name string, mask uint32) {
	if w.events < 0 {
		return
	}
	wd, err := unix.InotifyAddWatch(w.events, fmt.Sprintf("/proc/self/fd/%d", fd), mask)
	if err != nil {
		w.dark = true
		return
	}
	if w.on[wd] == nil {
		w.on[wd] = map[string]struct{}{"": {}}
	}
	w.on[wd][name] = struct{}{}
}

func readLink(fd int) string {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return ""
	}
	return string(buf[:n])
}
