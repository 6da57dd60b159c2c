package procs_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/procs"
)

// workerState makes the test's program a worker of a pre-forked server, in the state that it names.
const workerState = "POSTFIX_MAINT_TEST_WORKER"

// locked: what /proc/PID/syscall tells is about the first thread, which is the main goroutine's only while packages are initialized.
var locked = func() bool {
	if os.Getenv(workerState) != "" {
		runtime.LockOSThread()
	}
	return true
}()

func TestMain(m *testing.M) {
	if state := os.Getenv(workerState); state != "" && locked {
		work(state)
	}
	os.Exit(m.Run())
}

// work never returns. It writes only what it is told to: what a worker has written tells whether it has served a client.
func work(state string) {
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	var keep []any
	has := func(word string) bool { return slices.Contains(strings.Fields(state), word) }
	if has("listens") {
		for _, network := range []string{"tcp4", "tcp6"} {
			if l, err := net.Listen(network, "localhost:0"); err == nil {
				keep = append(keep, l)
			}
		}
		l, err := net.Listen("unix", "@postfix-maint-test-"+fmt.Sprint(os.Getpid()))
		check(err)
		log, err := net.ListenPacket("unixgram", "")
		check(err)
		keep = append(keep, l, log)
	}
	for _, network := range []string{"tcp4", "unix"} {
		if !has(network) {
			continue
		}
		address := map[string]string{"tcp4": "127.0.0.1:0", "unix": "@postfix-maint-client-" + fmt.Sprint(os.Getpid())}[network]
		l, err := net.Listen(network, address)
		check(err)
		client, err := net.Dial(network, l.Addr().String())
		check(err)
		server, err := l.Accept()
		check(err)
		keep = append(keep, l, client, server)
	}
	writes := 2
	if has("new") {
		writes = 1
	}
	for n := range writes {
		_, err := os.Stdout.WriteString([]string{"be", "gin\n"}[n])
		check(err)
	}
	if has("computes") {
		for n := 0; ; n++ { // at work
			runtime.KeepAlive(n)
		}
	}
	epoll, err := unix.EpollCreate1(0)
	check(err)
	for {
		_, _ = unix.EpollWait(epoll, make([]unix.EpollEvent, 1), -1)
		runtime.KeepAlive(keep)
	}
}

// Only a worker that waits, has served somebody and serves nobody is ended, and by SIGTERM. One at work goes on as if nothing had been.
func TestEndIdle(t *testing.T) {
	for state, want := range map[string]bool{
		"idle": true, "idle listens": true, "new": false, "idle tcp4": false, "idle unix": false, "idle listens tcp4": false, "computes": false,
	} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), workerState+"="+state)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = cmd.Process.Kill() }()
			pid := cmd.Process.Pid
			last := byte('\n')
			if state == "new" {
				last = 'e'
			}
			if _, err := bufio.NewReader(out).ReadString(last); err != nil {
				t.Fatal(err)
			}
			if state != "computes" {
				for !sleeps(t, pid) {
					time.Sleep(time.Millisecond)
				}
			}
			ended, err := procs.EndIdle(pid)
			if err != nil || ended != want {
				t.Fatalf("ended %t, %v; want %t", ended, err, want)
			}
			if !want {
				for procState(t, pid) == "T" { // it was told to go on
					time.Sleep(time.Millisecond)
				}
				_ = cmd.Process.Kill()
			}
			_ = cmd.Wait()
			if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != map[bool]syscall.Signal{true: syscall.SIGTERM, false: syscall.SIGKILL}[want] {
				t.Errorf("it ended by %v", status.Signal())
			}
		})
	}
}

// sleeps tells whether the first thread waits in epoll_wait(2), and not on its way there.
func sleeps(t *testing.T, pid int) bool {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/wchan", pid))
	call, err2 := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", pid))
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	number, _, _ := strings.Cut(string(call), " ")
	waits := []string{fmt.Sprint(unix.SYS_EPOLL_PWAIT)}
	if runtime.GOARCH == "amd64" {
		waits = append(waits, "232") // epoll_wait, which other machines do not have
	}
	return slices.Contains(waits, number) && len(text) > 0
}

func procState(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text[strings.LastIndex(string(text), ")")+1:]))[0]
}

// What is said of a process by its directories, its owner and its children.
func TestLooksAtAProcess(t *testing.T) {
	dir, link := t.TempDir(), filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "sleep 60 & echo $!; wait")
	cmd.Dir = dir
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	children := procs.Children(pid)
	if len(children) != 1 || fmt.Sprint(children[0]) != strings.TrimSpace(line) {
		t.Errorf("its children are %v, want %s", children, line)
	}
	for _, child := range children {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	if !procs.WorksIn(pid, dir) || !procs.WorksIn(pid, link) || procs.WorksIn(pid, "/") || procs.WorksIn(pid, dir+"/none") {
		t.Error("its working directory is another one")
	}
	if procs.IsRoots(pid) != (os.Geteuid() == 0) {
		t.Error("its owner is another one")
	}
	const none = 1 << 30
	if procs.IsRoots(none) || procs.WorksIn(none, dir) || procs.Children(none) != nil {
		t.Error("a process that is not there is somebody's")
	}
}

// A process that only was root's once, or is for a part, is not.
func TestIsRootsNeedsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: a process of another owner is started")
	}
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	if procs.IsRoots(cmd.Process.Pid) {
		t.Error("it is nobody's")
	}
}
