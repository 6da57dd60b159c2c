package lock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// pause is the time between two attempts of Wait.
const pause = 100 * time.Millisecond

// Wait is Take for a maintainer script, which must not fail for a command that a person runs beside it: it waits for the holder
// up to limit and tells once for whom. What it returns then is the holder's BusyError, and the script may go on without the
// lock. A holder that started this process, as a command that runs apt does, lends it its lock: the result is nil, nil.
func Wait(ctx context.Context, path, command string, limit time.Duration, tell func(*BusyError)) (*Lock, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	shown := false
	for {
		l, err := Take(path, command)
		busy := (*BusyError)(nil)
		if !errors.As(err, &busy) {
			return l, err
		}
		if busy.startedUs() {
			return nil, nil
		}
		if !shown {
			tell(busy)
			shown = true
		}
		select {
		case <-ctx.Done():
			return nil, busy
		case <-time.After(pause):
		}
	}
}

// startedUs tells whether the holder is this process or one of those above it.
func (e *BusyError) startedUs() bool {
	holder := 0
	if _, err := fmt.Sscanf(e.Holder, "process %d ", &holder); err != nil {
		return false
	}
	for pid := os.Getpid(); pid > 1; pid = parent(pid) {
		if pid == holder {
			return true
		}
	}
	return false
}

// parent is the process above pid, 0 if that can't be told (proc_pid_stat(5): the fourth field, after a name in parentheses).
func parent(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	above := 0
	rest := string(stat)[strings.LastIndex(string(stat), ")")+1:]
	if _, err := fmt.Sscanf(rest, " %1s %d", new(string), &above); err != nil {
		return 0
	}
	return above
}
