//go:build !amd64

package procs

import "golang.org/x/sys/unix"

// waits are the system calls in which an event loop sleeps; epoll_wait(2) is not among those of newer machines.
var waits = map[int]bool{unix.SYS_EPOLL_PWAIT: true, unix.SYS_EPOLL_PWAIT2: true}
