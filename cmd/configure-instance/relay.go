package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// systemdSocket is the descriptor of the socket that systemd hands over, sd_listen_fds(3).
const systemdSocket = 3

// passOn becomes systemd-socket-proxyd(8) with the rights that the name of the host's socket allows. While its directory is not there, whose
// it will be is not known: who waits is turned away then, as by a daemon that does not run, and the next one is looked at anew.
func (t task) passOn(root *sysroot.Root, stderr io.Writer) int {
	as, err := chroot.RelayAccount(root, t.relay, t.user)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(stderr, "configure-instance:", err)
		turnAway(systemdSocket)
		return 0
	}
	if err == nil && as.UID != 0 {
		err = errors.Join(syscall.Setgroups(as.Groups), syscall.Setresgid(as.GID, as.GID, as.GID), syscall.Setresuid(as.UID, as.UID, as.UID))
	}
	if err == nil {
		err = syscall.Exec(paths.SocketProxy, []string{paths.SocketProxy, "--exit-idle-time=5min", t.relay}, os.Environ())
	}
	fmt.Fprintf(stderr, "configure-instance: cannot lead to %q: %v\n", t.relay, err)
	turnAway(systemdSocket)
	return 1
}

// turnAway closes the connections that wait at a socket. Left there, they would have systemd start the relay again without end.
func turnAway(socket int) {
	if unix.SetNonblock(socket, true) != nil {
		return
	}
	for {
		fd, _, err := unix.Accept4(socket, unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		unix.Close(fd)
	}
}
