// Package lock (ring: port) keeps two commands from changing the host at the same time, and says who is at work. Maintainer
// scripts have dpkg's and debconf's locks against each other, and this one against a person's commands.
package lock

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Lock is held until Release, or until the process ends however it ends.
type Lock struct {
	fd    int
	named bool // the file says who holds it
}

// BusyError says that another process holds the lock.
type BusyError struct {
	Holder string // "PID COMMAND since TIME", "" if it did not say so yet
}

// Error names the holder.
func (e *BusyError) Error() string {
	if e.Holder == "" {
		return "another postfix-maint is at work on this system"
	}
	return "another postfix-maint is at work on this system: " + e.Holder
}

// Take takes the lock file at path for a command, or fails at once with a BusyError.
func Take(path, command string) (*Lock, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot take lock %q: %w", path, err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer unix.Close(fd)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("cannot take lock %q: %w", path, err)
		}
		text := make([]byte, 512)
		n, _ := unix.Pread(fd, text, 0)
		return nil, &BusyError{Holder: strings.TrimSpace(string(text[:max(n, 0)]))}
	}
	// Only for people: what is in the file does not lock, and a dead holder's words are written over.
	who := fmt.Sprintf("process %d (%s) since %s\n", unix.Getpid(), command, time.Now().Format(time.RFC3339))
	_ = unix.Ftruncate(fd, 0)
	_, _ = unix.Pwrite(fd, []byte(who), 0)
	return &Lock{fd: fd, named: true}, nil
}

// Brief takes the lock file at path for a moment's work, and waits up to limit for whoever has it. It writes nothing: a run that finds
// nothing to do touches no file. The directory must be one that nobody but root may look into.
func Brief(path string, limit time.Duration) (*Lock, error) {
	const flags = unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK
	fd, err := unix.Open(path, unix.O_RDONLY|flags, 0)
	if errors.Is(err, unix.ENOENT) {
		fd, err = unix.Open(path, unix.O_RDWR|unix.O_CREAT|flags, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot take lock %q: %w", path, err)
	}
	for end := time.Now().Add(limit); ; time.Sleep(2 * time.Millisecond) {
		err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return &Lock{fd: fd}, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(end) {
			unix.Close(fd)
			return nil, fmt.Errorf("cannot take lock %q: %w", path, err)
		}
	}
}

// Release gives the lock back. The file stays: removing it would let two others hold a lock each. With a nil lock it does nothing.
func (l *Lock) Release() {
	if l == nil {
		return
	}
	if l.named {
		_ = unix.Ftruncate(l.fd, 0)
	}
	_ = unix.Close(l.fd)
}
