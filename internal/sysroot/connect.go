package sysroot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"runtime"

	"golang.org/x/sys/unix"
)

// Account is whom a permission is looked at for: the numbers that a process of it has.
type Account struct {
	UID, GID int
	Groups   []int // further ones
}

// Connect tells whether an account reaches somebody who listens on the stream socket p: nil, or connect(2)'s answer. It is tried by a thread that
// has the account's rights to files for that long, so that access control lists and security modules count as well. Who is not root can
// try only for itself.
func (r *Root) Connect(p string, as Account) error {
	real, err := r.real(p)
	if err != nil {
		return err
	}
	result := make(chan error, 1)
	go func() {
		defer func() {
			if fault := recover(); fault != nil {
				result <- fmt.Errorf("a fault of ours: %v", fault)
			}
		}()
		runtime.LockOSThread() // and never unlocked: the thread ends with this function
		result <- connectAs(real, as)
	}()
	if err := <-result; err != nil {
		return &fs.PathError{Op: "connect to", Path: p, Err: err}
	}
	return nil
}

// connectAs is for a thread that does nothing else afterwards.
func connectAs(name string, as Account) error {
	if unix.Geteuid() == 0 {
		// These change the calling thread alone: x/sys calls the kernel, not the runtime that would tell all threads.
		if err := unix.Setgroups(as.Groups); err != nil {
			return err
		}
		if err := unix.Setfsgid(as.GID); err != nil {
			return err
		}
		if err := unix.Setfsuid(as.UID); err != nil { // the capabilities to pass over modes go with it, capabilities(7)
			return err
		}
	}
	// A long path is reached by the descriptor of its file, which takes the same permissions to open and to connect.
	file, err := unix.Open(name, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(file)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	err = unix.Connect(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d", file)})
	if errors.Is(err, unix.EAGAIN) {
		return nil // somebody listens, and has more to do than it takes
	}
	return err
}

// Dial connects to the stream socket p. It is taken by a descriptor: what stands there instead, such as a link, is not followed.
func (r *Root) Dial(ctx context.Context, p string) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) { return nil, &fs.PathError{Op: "connect to", Path: p, Err: err} }
	real, err := r.Path(p)
	if err != nil {
		return nil, err
	}
	file, err := unix.Open(real, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	defer unix.Close(file)
	var st unix.Stat_t
	if err := unix.Fstat(file, &st); err != nil {
		return fail(err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return fail(unix.ENOTSOCK)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d", file))
	if no := unix.Errno(0); errors.As(err, &no) { // without the descriptor's number
		err = no
	}
	if err != nil {
		return fail(err)
	}
	return conn, nil
}
