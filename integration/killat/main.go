//go:build linux && amd64

// Command killat (test helper, outside the rings) runs a program under ptrace(2), counts the calls by which it and its
// children change files, and at the call that is asked for kills everything of it before the call is done, together with
// the processes that wait for it, up to dpkg; or lets that call fail. strace's own injection counts for each thread by itself: in a Go program,
// whose calls wander between threads, the call to be hit could not be chosen.
//
//	killat -n N -log FILE PROGRAM [ARG...]     N = 0 only counts; FILE gets a line for each call
//
// With -error EIO that one call fails; with -error ENOSPC it and all later ones that need room on the disk. -below names the process
// that stays alive in dpkg's stead.
// With -own only the program's own calls count, with -skip DIR none below DIR, and with -alone nobody else is killed.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	n := flag.Int("n", 0, "kill at this call")
	log := flag.String("log", "/dev/null", "file for the calls")
	own := flag.Bool("own", false, "leave the calls of children out")
	alone := flag.Bool("alone", false, "leave alive who waits for the program")
	skip := flag.String("skip", "", "leave out the calls on files below this directory")
	fault := flag.String("error", "", "EIO or ENOSPC instead of the kill")
	below := flag.String("below", "dpkg", "kill those who wait, up to this one")
	flag.Parse()
	errno, ok := map[string]syscall.Errno{"": 0, "EIO": syscall.EIO, "ENOSPC": syscall.ENOSPC}[*fault]
	if !ok {
		fmt.Fprintf(os.Stderr, "killat: unknown error %q\n", *fault)
		os.Exit(125)
	}
	t := &tracer{
		n: *n, own: *own, alone: *alone, skip: *skip, fault: errno, below: *below, tasks: map[int]bool{}, failing: map[int]bool{},
	}
	status, err := t.run(*log, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "killat:", err)
		status = 125
	}
	os.Exit(status)
}

// tracer is one run.
type tracer struct {
	n, count   int
	own, alone bool
	skip       string
	fault      syscall.Errno // 0: kill
	below      string
	root       int
	log        *os.File
	tasks      map[int]bool
	failing    map[int]bool // tasks whose present call was made void and has yet to give the error
}

func (t *tracer) run(log string, args []string) (int, error) {
	runtime.LockOSThread() // ptrace(2) binds to the thread
	if len(args) == 0 {
		return 0, errors.New("no program was given")
	}
	file, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	files := []uintptr{0, 1, 2}
	if _, err := unix.FcntlInt(3, unix.F_GETFD, 0); err == nil {
		files = append(files, 3) // debconf's
	}
	pid, err := syscall.ForkExec(args[0], args, &syscall.ProcAttr{
		Env: os.Environ(), Files: files, Sys: &syscall.SysProcAttr{Ptrace: true},
	})
	if err != nil {
		return 0, fmt.Errorf("cannot start %q: %w", args[0], err)
	}
	t.root, t.log = pid, file
	return t.loop(pid)
}

const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK |
	unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_EXITKILL

// loop follows the program until it and its children are gone.
func (t *tracer) loop(root int) (int, error) {
	result := 0
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, unix.WALL, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ECHILD):
			return result, nil
		case err != nil:
			return 0, err
		case ws.Exited() || ws.Signaled():
			delete(t.tasks, pid)
			if pid == root {
				result = ws.ExitStatus()
				if ws.Signaled() {
					result = 128 + int(ws.Signal())
				}
			}
			continue
		}
		fresh := !t.tasks[pid]
		t.tasks[pid] = true
		if fresh && pid == root {
			if err := unix.PtraceSetOptions(pid, options); err != nil {
				return 0, err
			}
		}
		deliver := 0
		switch sig := ws.StopSignal(); {
		case sig == unix.SIGTRAP|0x80:
			if done, err := t.stopped(pid, root); done || err != nil {
				return 128 + int(unix.SIGKILL), err
			}
		case sig == unix.SIGTRAP || fresh && sig == unix.SIGSTOP: // an event of ptrace, or the first stop of a new task
		default:
			deliver = int(sig)
		}
		if err := unix.PtraceSyscall(pid, deliver); err != nil && !errors.Is(err, unix.ESRCH) {
			return 0, err
		}
	}
}

// stopped deals with a task that enters or leaves a call; done if all was killed.
func (t *tracer) stopped(pid, root int) (done bool, err error) {
	if t.failing[pid] {
		delete(t.failing, pid)
		return false, setResult(pid, t.fault)
	}
	nr, ok := t.changes(pid)
	switch {
	case !ok || t.n == 0:
	case t.fault == 0 && t.count == t.n:
		t.killAll(root)
		for { // dead is who holds no lock any more
			if _, err := unix.Wait4(-1, nil, unix.WALL, nil); err != nil && !errors.Is(err, unix.EINTR) {
				return true, nil
			}
		}
	case t.fault == syscall.EIO && t.count == t.n, t.fault == syscall.ENOSPC && t.count >= t.n && !roomless[nr]:
		t.failing[pid] = true
		return false, void(pid)
	}
	return false, nil
}

// void makes the kernel skip the call that a task is about to make.
func void(pid int) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(pid, &regs); err != nil {
		return fmt.Errorf("cannot read the registers of %d: %w", pid, err)
	}
	regs.Orig_rax = ^uint64(0)
	return unix.PtraceSetRegs(pid, &regs)
}

// setResult lets a task see an error as the result of the call that it leaves.
func setResult(pid int, errno syscall.Errno) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(pid, &regs); err != nil {
		return fmt.Errorf("cannot read the registers of %d: %w", pid, err)
	}
	regs.Rax = -uint64(errno)
	return unix.PtraceSetRegs(pid, &regs)
}

// syscallInfo is struct ptrace_syscall_info, ptrace(2).
type syscallInfo struct {
	Op     uint8
	_      [3]uint8
	Arch   uint32
	IP, SP uint64
	Nr     uint64
	Args   [6]uint64
	_      uint64
}

// named are the calls that change files by a path: which argument holds it.
var named = map[uint64]int{
	unix.SYS_RENAME: 1, unix.SYS_RENAMEAT: 3, unix.SYS_RENAMEAT2: 3, unix.SYS_UNLINK: 0, unix.SYS_UNLINKAT: 1,
	unix.SYS_LINK: 1, unix.SYS_LINKAT: 3, unix.SYS_SYMLINK: 1, unix.SYS_SYMLINKAT: 2, unix.SYS_MKDIR: 0, unix.SYS_MKDIRAT: 1,
	unix.SYS_RMDIR: 0, unix.SYS_MKNOD: 0, unix.SYS_MKNODAT: 1, unix.SYS_TRUNCATE: 0,
	unix.SYS_CHMOD: 0, unix.SYS_FCHMODAT: 1, unix.SYS_FCHMODAT2: 1, unix.SYS_CHOWN: 0, unix.SYS_LCHOWN: 0, unix.SYS_FCHOWNAT: 1,
	unix.SYS_SETXATTR: 0, unix.SYS_LSETXATTR: 0,
}

// roomless are those that a full disk lets through.
var roomless = map[uint64]bool{
	unix.SYS_UNLINK: true, unix.SYS_UNLINKAT: true, unix.SYS_RMDIR: true, unix.SYS_TRUNCATE: true, unix.SYS_FTRUNCATE: true,
	unix.SYS_CHMOD: true, unix.SYS_FCHMODAT: true, unix.SYS_FCHMODAT2: true, unix.SYS_FCHMOD: true, unix.SYS_CHOWN: true,
	unix.SYS_LCHOWN: true, unix.SYS_FCHOWNAT: true, unix.SYS_FCHOWN: true,
}

// opening are the calls that may make or empty a file: which arguments hold the path and the flags.
var opening = map[uint64][2]int{unix.SYS_OPEN: {0, 1}, unix.SYS_OPENAT: {1, 2}}

// relative are those of them whose path may be relative to the directory in the argument before it.
var relative = map[uint64]bool{
	unix.SYS_RENAMEAT: true, unix.SYS_RENAMEAT2: true, unix.SYS_UNLINKAT: true, unix.SYS_LINKAT: true, unix.SYS_SYMLINKAT: true, unix.SYS_MKDIRAT: true,
	unix.SYS_OPENAT: true, unix.SYS_MKNODAT: true, unix.SYS_FCHMODAT: true, unix.SYS_FCHMODAT2: true, unix.SYS_FCHOWNAT: true,
}

// opened are the calls that change a file by a descriptor, their first argument.
var opened = map[uint64]bool{
	unix.SYS_WRITE: true, unix.SYS_PWRITE64: true, unix.SYS_WRITEV: true, unix.SYS_FTRUNCATE: true,
	unix.SYS_FSYNC: true, unix.SYS_FDATASYNC: true, unix.SYS_FCHMOD: true, unix.SYS_FCHOWN: true,
}

// changes tells whether the task has just entered a call that changes a file, and which; it counts and logs it.
func (t *tracer) changes(pid int) (nr uint64, ok bool) {
	var info syscallInfo
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(pid), unsafe.Sizeof(info),
		uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 || info.Op != 1 { // PTRACE_SYSCALL_INFO_ENTRY
		return 0, false
	}
	what, ok := changed(pid, info)
	if !ok {
		return 0, false
	}
	if t.skip != "" && strings.HasPrefix(what, t.skip) || t.own && group(pid) != t.root {
		return 0, false
	}
	t.count++
	program, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	fmt.Fprintf(t.log, "%d %s call %d %s\n", t.count, bytes.TrimSpace(program), info.Nr, what)
	return info.Nr, true
}

// changed gives the file that a call is about to change; false if it changes none.
func changed(pid int, info syscallInfo) (what string, ok bool) {
	if opened[info.Nr] {
		what, _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, info.Args[0]))
		return what, strings.HasPrefix(what, "/") && !strings.HasPrefix(what, "/dev/") && !strings.HasPrefix(what, "/proc/") // no pipe, socket, device
	}
	arg, ok := named[info.Nr]
	if at, may := opening[info.Nr]; may {
		arg, ok = at[0], info.Args[at[1]]&(unix.O_CREAT|unix.O_TRUNC) != 0
	}
	if !ok {
		return "", false
	}
	what = text(pid, uintptr(info.Args[arg]))
	if at := info.Args[max(arg, 1)-1]; relative[info.Nr] && !strings.HasPrefix(what, "/") && int32(at) != unix.AT_FDCWD {
		dir, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, at))
		what = filepath.Join(dir, what)
	}
	return what, !strings.HasPrefix(what, "/dev/")
}

// text reads a string of the task's memory.
func text(pid int, at uintptr) string {
	var buf [256]byte
	n, err := unix.PtracePeekData(pid, at, buf[:])
	if err != nil && n == 0 {
		return "?"
	}
	s, _, _ := bytes.Cut(buf[:n], []byte{0})
	return string(s)
}

// killAll kills the program, its children, and whoever waits for them below dpkg: debconf's frontend and the script.
func (t *tracer) killAll(root int) {
	waiting := os.Getppid()
	if t.alone {
		waiting = 0
	}
	for pid := range t.tasks {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	_ = unix.Kill(root, unix.SIGKILL)
	for waiting > 1 {
		name, parent := process(waiting)
		if name == t.below || parent == 0 {
			return
		}
		_ = unix.Kill(waiting, unix.SIGKILL)
		waiting = parent
	}
}

// group gives the process that a thread belongs to.
func group(pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "\nTgid:")
	line, _, _ := strings.Cut(rest, "\n")
	n, _ := strconv.Atoi(strings.TrimSpace(line)) // 0 is no process
	return n
}

// process gives a process's name and parent.
func process(pid int) (string, int) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0
	}
	_, rest, _ := strings.Cut(string(stat), "(")
	name, rest, _ := strings.Cut(rest, ") ")
	f := strings.Fields(rest)
	if len(f) < 2 {
		return name, 0
	}
	parent, err := strconv.Atoi(f[1])
	if err != nil {
		return name, 0
	}
	return name, parent
}
