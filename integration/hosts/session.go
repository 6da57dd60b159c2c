// Package hosts (test helper, outside the rings) boots real Debian systems for the tests: a base tree built once, overlays laid
// over it, systemd-nspawn to boot them, network namespaces to connect them. It needs root and cleans up after itself, after an
// interrupt, and after earlier runs of its own that died.
package hosts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Session is one run of tests. All that it makes lies below its own directory and carries its own prefix, so that a later
// run can recognise and remove what a killed one left behind.
type Session struct {
	cache  string // survives the run: base trees, Debian's own packages
	dir    string // this run's: overlays and layers
	prefix string // of cgroups, machine names and network namespaces
	lock   *os.File
	logf   func(format string, a ...any)

	networks atomic.Int32 // so many were made

	slots  *slots
	mu     sync.Mutex
	layers map[string]*layer
	closed bool
}

// needed are the programs of the machine that runs the tests; the Makefile installs their packages.
var needed = []string{"systemd-nspawn", "mmdebstrap", "nsenter", "ip", "apt-get", "dpkg-scanpackages", "chroot"}

// Cache is the directory for base trees unless the environment names another one.
const Cache = "/var/cache/postfix-maint-tests"

// maxHosts is how many hosts may run at once. Scenarios wait more than they work: with six, two processors were busy for 63 % of the time.
const maxHosts = 8

// Open starts a session: it checks what the machine must have, clears away dead earlier sessions and takes its own lock.
func Open(logf func(format string, a ...any)) (*Session, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("cannot boot test hosts: this needs root")
	}
	for _, program := range needed {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("cannot boot test hosts: %q is missing (make check installs it)", program)
		}
	}
	cache := os.Getenv("POSTFIX_MAINT_CACHE")
	if cache == "" {
		cache = Cache
	}
	if err := os.MkdirAll(filepath.Join(cache, "run"), 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the cache directory: %w", err)
	}
	opening, err := takeLock(filepath.Join(cache, "run.lock"), unix.LOCK_EX) // no sweep between our mkdir and our lock
	if err != nil {
		return nil, fmt.Errorf("cannot lock the cache: %w", err)
	}
	defer opening.Close()
	if err := sweep(cache, logf); err != nil {
		return nil, err
	}
	id := fmt.Sprintf("pm%d", os.Getpid())
	s := &Session{
		cache: cache, dir: filepath.Join(cache, "run", id), prefix: id, logf: logf, slots: newSlots(maxHosts),
		layers: map[string]*layer{},
	}
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the session's directory: %w", err)
	}
	if s.lock, err = takeLock(filepath.Join(s.dir, "lock"), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fmt.Errorf("cannot lock the session: %w", err)
	}
	s.raiseWatches()
	go s.obeySignals()
	return s, nil
}

// watches is how many inotify(7) instances root may have on a machine with hosts: each host's systemd holds a dozen, one with 50
// instances of Postfix 60, and the hosts' root is the machine's, with 128 as it comes.
const watches = 1024

// raiseWatches raises the machine's limit until it boots again. Where that is refused, a path unit in a host may fail to start.
func (s *Session) raiseWatches() {
	const file = "/proc/sys/fs/inotify/max_user_instances"
	text, err := os.ReadFile(file)
	now, e := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || e != nil || now >= watches {
		return
	}
	if err := os.WriteFile(file, []byte(strconv.Itoa(watches)), 0); err != nil {
		s.logf("cannot raise fs.inotify.max_user_instances from %d: %v", now, err)
		return
	}
	s.logf("raised fs.inotify.max_user_instances from %d to %d", now, watches)
}

// obeySignals cleans up when the run is interrupted, and ends the program.
func (s *Session) obeySignals() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, unix.SIGTERM, unix.SIGHUP)
	s.logf("%v: removing the test hosts", <-signals)
	if err := s.Close(); err != nil {
		s.logf("%v", err)
	}
	os.Exit(1)
}

// takeLock opens (and makes) a lock file and locks it.
func takeLock(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), how); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Close ends all hosts and removes everything of the session. It may be called more than once.
func (s *Session) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	err := clear(s.dir, s.prefix)
	s.lock.Close()
	return err
}

func (s *Session) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// sweep clears the sessions whose lock is free: the process that held it is gone.
func sweep(cache string, logf func(string, ...any)) error {
	dirs, err := filepath.Glob(filepath.Join(cache, "run", "pm*"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		lock, err := takeLock(filepath.Join(dir, "lock"), unix.LOCK_EX|unix.LOCK_NB)
		if err != nil {
			continue // alive
		}
		logf("clearing what the dead session %s left behind", filepath.Base(dir))
		err = clear(dir, filepath.Base(dir))
		lock.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// clear removes a session: its processes first, then what they hold (mounts, namespaces), at last the files.
func clear(dir, prefix string) error {
	killGroups(prefix + "-*")
	if err := unmountBelow(dir); err != nil {
		return err
	}
	spaces, _ := filepath.Glob("/run/netns/" + prefix + "-*")
	for _, ns := range spaces {
		if out, err := exec.Command("ip", "netns", "delete", filepath.Base(ns)).CombinedOutput(); err != nil {
			return fmt.Errorf("cannot delete the network namespace %q: %w: %s", ns, err, out)
		}
	}
	removeGroups(prefix + "-*")
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("cannot remove the session's directory: %w", err)
	}
	return nil
}

// unmountBelow unmounts everything below dir, the innermost first, and fails if anything stays: os.RemoveAll would go
// through a mount that is left.
func unmountBelow(dir string) error {
	for range 10 {
		mounts, err := mountsBelow(dir)
		if err != nil || len(mounts) == 0 {
			return err
		}
		for i := len(mounts) - 1; i >= 0; i-- {
			_ = unix.Unmount(mounts[i], unix.MNT_DETACH)
		}
	}
	return fmt.Errorf("cannot unmount all below %q", dir)
}

func mountsBelow(dir string) ([]string, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var found []string
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
			found = append(found, f[4])
		}
	}
	return found, nil
}

// Reserve waits until n hosts may run and returns what gives the places back. A scenario takes all its places in one call, so
// that two of them never wait for each other.
func (s *Session) Reserve(ctx context.Context, n int) (release func(), err error) {
	return s.slots.take(ctx, n)
}
