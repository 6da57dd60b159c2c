package procs

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Running lists the processes of root that run a program, by its path, in our own tree: those of a
// container, which /proc shows too, have another root directory.
func Running(program string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if name, err := Program(pid); err == nil && name == program && IsRoots(pid) && RootIs(pid, "/") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// End asks a process to end, and makes it if it has not by then.
func End(ctx context.Context, pid int, by time.Duration) error { return end(ctx, pid, by, false) }

// EndGroup is End for a process that leads a group: what it has left there is killed with it, if it
// has to be.
func EndGroup(ctx context.Context, pid int, by time.Duration) error { return end(ctx, pid, by, true) }

func end(ctx context.Context, pid int, by time.Duration, group bool) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot end process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if leads, err := unix.Getpgid(pid); group && sig == unix.SIGKILL && err == nil && leads == pid { // it was there a moment ago
			_ = unix.Kill(-pid, sig)
		}
		if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && err != unix.ESRCH {
			return fmt.Errorf("cannot end process %d: %w", pid, err)
		}
		for end := time.Now().Add(by); time.Now().Before(end); {
			wait := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} // readable when it has ended
			if n, err := unix.Poll(wait, 100); err == nil && n > 0 {
				return nil
			}
			if ctx.Err() != nil {
				return fmt.Errorf("cannot wait for the end of process %d: %w", pid, ctx.Err())
			}
		}
	}
	return fmt.Errorf("cannot end process %d: it does not react", pid)
}
