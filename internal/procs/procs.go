// Package procs (ring: port) looks at other processes in /proc (proc(5)) and ends workers that wait for work. Where the kernel or a
// container does not let it look closely enough, a process is taken for busy.
package procs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// file is the path of one file in a process's directory.
func file(pid int, name string) string { return filepath.Join("/proc", strconv.Itoa(pid), name) }

// Program is the path of the program that a process runs; the error tells that there is no such process, or that it may not be seen.
func Program(pid int) (string, error) {
	name, err := os.Readlink(file(pid, "exe"))
	return strings.TrimSuffix(name, " (deleted)"), err
}

// Children lists the children of a process that has one thread.
func Children(pid int) []int {
	text, err := os.ReadFile(file(pid, fmt.Sprintf("task/%d/children", pid)))
	if err != nil {
		return nil
	}
	var pids []int
	for _, word := range strings.Fields(string(text)) {
		if n, err := strconv.Atoi(word); err == nil {
			pids = append(pids, n)
		}
	}
	return pids
}

// Parent is the process that started another one, or has inherited it; 0 where there is none to be seen.
func Parent(pid int) int {
	fields := stat(pid)
	if len(fields) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(fields[1])
	return n
}

// Args are the words of the command line that a process was started with.
func Args(pid int) []string {
	text, err := os.ReadFile(file(pid, "cmdline"))
	if err != nil || len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
}

// Groups are the control groups of a process (cgroups(7)), a line for each hierarchy.
func Groups(pid int) []string {
	text, err := os.ReadFile(file(pid, "cgroup"))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// RootIs tells whether a process has dir as its root directory, by whatever name it knows it.
func RootIs(pid int, dir string) bool {
	theirs, err := os.Stat(file(pid, "root/."))
	if err != nil {
		return false
	}
	ours, err := os.Stat(dir)
	return err == nil && os.SameFile(theirs, ours)
}

// WorksIn tells whether a process has dir as its working directory, by whatever name it knows it.
func WorksIn(pid int, dir string) bool {
	theirs, err := os.Stat(file(pid, "cwd/."))
	if err != nil {
		return false
	}
	ours, err := os.Stat(dir)
	return err == nil && os.SameFile(theirs, ours)
}

// IsRoots tells whether a process is root's in all respects. Its directory in /proc would not do: that is root's as well where a
// process cannot be dumped.
func IsRoots(pid int) bool {
	text, err := os.ReadFile(file(pid, "status"))
	_, rest, found := strings.Cut(string(text), "\nUid:")
	line, _, _ := strings.Cut(rest, "\n")
	return err == nil && found && strings.Join(strings.Fields(line), " ") == "0 0 0 0"
}

// tick is the unit of times in /proc/PID/stat (USER_HZ).
const tick = 10 * time.Millisecond

// StartedBefore tells whether a process was there at a moment. A process started less than a tick later may count as well.
func StartedBefore(pid int, moment time.Time) bool {
	began := Started(pid)
	return !began.IsZero() && began.Before(moment)
}

// Started is when a process was started, to a tick; the zero time if there is none to be seen.
func Started(pid int) time.Time {
	fields := stat(pid)
	var now unix.Timespec
	if len(fields) < 20 || unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return time.Time{}
	}
	ticks, err := strconv.ParseInt(fields[19], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(ticks)*tick - time.Duration(now.Nano()))
}

// stat gives the fields of /proc/PID/stat from the third, the state, on. The second one, the name, may hold blanks.
func stat(pid int) []string {
	text, err := os.ReadFile(file(pid, "stat"))
	if err != nil {
		return nil
	}
	return strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
}

// stopWait bounds the wait for a process to stop. What is in the middle of a system call of the disk takes its time.
const stopWait = 100 * time.Millisecond

// EndIdle ends a worker of a pre-forked server (as Postfix's single_server(3) makes them) that waits for its next client and has
// served at least one. It is stopped while we look, so it cannot accept a connection meanwhile; a busy one goes on as if nothing had
// been. The parent sees a child ended by SIGTERM.
func EndIdle(pid int) (ended bool, err error) {
	before, idle := writes(pid), waiting(pid)
	if !idle || before < jobWrites || !unconnected(pid) {
		return false, nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false, fmt.Errorf("cannot end idle process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	signal := func(sig unix.Signal) error { return unix.PidfdSendSignal(fd, sig, nil, 0) }
	if err := signal(unix.SIGSTOP); err != nil {
		return false, fmt.Errorf("cannot end idle process %d: %w", pid, err)
	}
	if stopped(pid) && writes(pid) == before && unconnected(pid) {
		err = signal(unix.SIGTERM)
		ended = err == nil
	}
	return ended, errors.Join(err, signal(unix.SIGCONT))
}

func stopped(pid int) bool {
	for end := time.Now().Add(stopWait); time.Now().Before(end); time.Sleep(time.Millisecond / 2) {
		if fields := stat(pid); len(fields) == 0 || fields[0] == "T" {
			return len(fields) > 0
		}
	}
	return false
}

// jobWrites is how often a worker has written when it has served one client: master(8) hears of the begin and of the end. One that
// is ended before its first client would make master(8) hold the service back ("bad command startup -- throttling").
const jobWrites = 2

// writes is the number of write(2) calls that a process has made, 0 where the kernel does not count them.
func writes(pid int) int {
	text, err := os.ReadFile(file(pid, "io"))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "syscw: ")
	count, _, _ := strings.Cut(rest, "\n")
	n, _ := strconv.Atoi(count)
	return n
}

// waiting tells whether a process is in epoll_wait(2).
func waiting(pid int) bool {
	text, err := os.ReadFile(file(pid, "syscall"))
	if err != nil {
		return false
	}
	number, _, _ := strings.Cut(string(text), " ")
	n, err := strconv.Atoi(number)
	return err == nil && waits[n]
}

// unconnected tells whether a process has no connection to a client: no socket but those that listen, datagrams (the log), and
// connections that it made itself to a socket in the file system or was born with, which have no address of their own.
func unconnected(pid int) bool {
	names, err := os.ReadDir(file(pid, "fd"))
	if err != nil {
		return false
	}
	harmless := quietSockets(pid)
	for _, n := range names {
		target, err := os.Readlink(file(pid, "fd/"+n.Name()))
		if err != nil {
			return false
		}
		if inode, ok := strings.CutPrefix(target, "socket:["); ok && !harmless[strings.TrimSuffix(inode, "]")] {
			return false
		}
	}
	return true
}

// quietSockets are the inodes of sockets that are no connection to a client. Of /proc/PID/net/unix the columns are: flags, type,
// state, inode and path; a listening socket has the flag 0x10000, type 2 is datagrams. Of tcp and tcp6 state 0A is listening.
func quietSockets(pid int) map[string]bool {
	quiet := map[string]bool{}
	each := func(name string, do func(fields []string)) {
		text, _ := os.ReadFile(file(pid, "net/"+name))
		for line := range strings.Lines(string(text)) {
			do(strings.Fields(line))
		}
	}
	each("unix", func(f []string) {
		if len(f) >= 7 && (f[3] == "00010000" || f[4] == "0002" || len(f) == 7) {
			quiet[f[6]] = true
		}
	})
	for _, name := range []string{"tcp", "tcp6"} {
		each(name, func(f []string) {
			if len(f) >= 10 && f[3] == "0A" {
				quiet[f[9]] = true
			}
		})
	}
	return quiet
}
