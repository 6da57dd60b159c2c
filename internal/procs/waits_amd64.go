package procs

import "golang.org/x/sys/unix"

// waits are the system calls in which an event loop sleeps.
var waits = map[int]bool{unix.SYS_EPOLL_WAIT: true, unix.SYS_EPOLL_PWAIT: true, unix.SYS_EPOLL_PWAIT2: true}
