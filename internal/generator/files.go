package generator

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
)

const (
	maxFile  = 1 << 20         // beyond this it is no main.cf
	patience = 2 * time.Second // for a single file that does not answer; a disk may have to start turning
	maxHung  = 5               // so many, and the rest is not tried
	enough   = time.Minute     // for all files together: systemd kills a generator after 90 seconds
)

// Files reads a system tree: regular files only, of bounded size.
type Files struct {
	Root string // the system tree, "" for the running one

	mu   sync.Mutex
	hung map[string]bool // files that did not answer
	late bool            // no more is read
	open func(name string) ([]byte, error)
}

// ReadFile returns the content of name.
func (f *Files) ReadFile(name string) ([]byte, error) {
	f.mu.Lock()
	hung := f.late || f.hung[name] || len(f.hung) >= maxHung
	f.mu.Unlock()
	if hung {
		return nil, &fs.PathError{Op: "read", Path: name, Err: os.ErrDeadlineExceeded}
	}
	if f.open != nil {
		return f.open(name)
	}
	return read(filepath.Join("/", f.Root, name))
}

func (f *Files) giveUp(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hung == nil {
		f.hung = map[string]bool{}
	}
	f.hung[name] = true
}

// attempt is one walk through the files. It may be left behind where it hangs, so what it writes down is its own.
type attempt struct {
	*Files
	reading atomic.Pointer[string] // nil between two files: a large one may take its time to be understood
}

// ReadFile is that of Files, noted.
func (a *attempt) ReadFile(name string) ([]byte, error) {
	a.reading.Store(&name)
	defer a.reading.Store(nil)
	return a.Files.ReadFile(name)
}

// Instances is instance.List that comes back whatever happens: a main.cf behind an automount point would be waited for until
// PID 1 mounts it, and PID 1 waits for us. What does not answer becomes an error, and the others are listed without it. Many
// files on a slow disk take as long as they take.
func (f *Files) Instances() ([]instance.Instance, []error) {
	type answer struct {
		insts []instance.Instance
		errs  []error
	}
	defer time.AfterFunc(enough, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.late = true
	}).Stop()
	for {
		ch := make(chan answer, 1)
		a := &attempt{Files: f}
		go func() {
			defer func() {
				if fault := recover(); fault != nil {
					ch <- answer{nil, []error{fmt.Errorf("cannot list the instances: %v (this should not happen: please report it)", fault)}}
				}
			}()
			insts, errs := instance.List(a)
			ch <- answer{insts, errs}
		}()
		for last, hangs := (*string)(nil), false; !hangs; {
			timer := time.NewTimer(patience)
			select {
			case got := <-ch:
				timer.Stop()
				return got.insts, got.errs
			case <-timer.C:
				now := a.reading.Load()
				if hangs = now != nil && now == last; hangs {
					f.giveUp(*now)
				}
				last = now
			}
		}
	}
}

// read takes the system calls as they are: package os would register each file with the poller first, and with hundreds of
// instances that is most of the work.
func read(name string) ([]byte, error) {
	fail := func(err error) ([]byte, error) { return nil, &fs.PathError{Op: "read", Path: name, Err: err} }
	// O_NONBLOCK: opening a named pipe returns at once.
	fd, err := syscall.Open(name, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	defer syscall.Close(fd)
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		return fail(err)
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return fail(errors.New("not a regular file"))
	}
	if st.Size > maxFile {
		return fail(syscall.EFBIG)
	}
	data := make([]byte, st.Size+1) // one more, so that the end is seen
	for have := 0; ; {
		n, err := syscall.Read(fd, data[have:])
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return fail(err)
		case n == 0, have+n == len(data)-1: // less than was asked for, and all that there was: the end
			return data[:have+n], nil
		case have+n == len(data):
			return fail(errors.New("it grows while it is read"))
		default:
			have += n
		}
	}
}

// Enabled lists the instances that the administrator has enabled with systemctl(1), sorted.
func (f *Files) Enabled() []string {
	var units []string
	for _, target := range []string{Umbrella, "multi-user.target"} {
		// Without the directory nothing is enabled.
		entries, _ := os.ReadDir(filepath.Join("/", f.Root, paths.AdminUnits, target+".wants"))
		for _, e := range entries {
			name, ok := strings.CutSuffix(e.Name(), ".service")
			if prefix := "postfix@"; ok && strings.HasPrefix(name, prefix) && len(name) > len(prefix) && !strings.ContainsFunc(name, notInUnit) {
				units = append(units, e.Name())
			}
		}
	}
	slices.Sort(units)
	return slices.Compact(units)
}

// notInUnit tells whether systemd allows no such letter in a unit's name (VALID_CHARS of its unit-name.c).
func notInUnit(c rune) bool {
	return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(`@:-_.\`, c))
}

// Write makes the files below dir, which systemd has just emptied. What cannot be made is left out and comes back as an
// error, one for each. PID 1 waits for it: with hundreds of instances it is half of the work, and a second processor helps.
func Write(dir string, files []File) []error {
	half := len(files) / 2
	var later []error
	var second sync.WaitGroup
	second.Go(func() { later = writeAll(dir, files[half:]) })
	errs := writeAll(dir, files[:half])
	second.Wait()
	return append(errs, later...)
}

func writeAll(dir string, files []File) (errs []error) {
	made := map[string]bool{dir: true}
	for _, f := range files {
		if err := write(dir, f, made); err != nil {
			errs = append(errs, fmt.Errorf("cannot write %q: %w", f.Path, err))
		}
	}
	return errs
}

func write(dir string, f File, made map[string]bool) error {
	if !filepath.IsLocal(f.Path) {
		return fs.ErrInvalid
	}
	if parent := filepath.Join(dir, path.Dir(f.Path)); !made[parent] {
		if err := os.Mkdir(parent, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		made[parent] = true
	}
	name := filepath.Join(dir, f.Path)
	fd, err := syscall.Open(name, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	n, err := syscall.Write(fd, []byte(f.Text))
	if err == nil && n < len(f.Text) {
		err = io.ErrShortWrite
	}
	return errors.Join(err, syscall.Close(fd))
}
