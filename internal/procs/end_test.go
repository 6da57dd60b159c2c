package procs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"postfix-maint/internal/procs"
)

// A program is found wherever it was started, in our tree alone, and ends, also if it does not want to.
func TestRunningAndEnd(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only processes of root count")
	}
	shell, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(shell)
	if err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(t.TempDir(), "master")
	if err := os.WriteFile(mine, text, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{"willing": "read x", "stubborn": "trap '' TERM; echo; read x; read x; read x"} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(mine, "-c", script)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			gone := make(chan error, 1)
			go func() { gone <- cmd.Wait() }()
			pid := cmd.Process.Pid
			for !slices.Contains(procs.Running(mine), pid) { // until it is past execve
				time.Sleep(time.Millisecond)
			}
			if err := procs.End(context.Background(), pid, 2*time.Second); err != nil {
				t.Fatal(err)
			}
			<-gone
			if slices.Contains(procs.Running(mine), pid) {
				t.Error("it runs on")
			}
		})
	}
}

// Whoever runs the same program as another user is none of them: anybody can.
func TestRunningAsAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be another user")
	}
	sleep, err := filepath.EvalSymlinks("/bin/sleep")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(sleep, "600")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	pid := cmd.Process.Pid
	for name := ""; name != sleep; time.Sleep(time.Millisecond) { // until it is past execve
		name, _ = procs.Program(pid)
	}
	if slices.Contains(procs.Running(sleep), pid) {
		t.Error("it counts")
	}
}

// What a process that has to be killed has left in its group is killed with it; what it leads no group of is left alone.
func TestEndGroup(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(context.Context, int, time.Duration) error
		leads  bool
		killed bool
	}{
		"its group":             {procs.EndGroup, true, true},
		"the process alone":     {procs.End, true, false},
		"a member of our group": {procs.EndGroup, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("/bin/sh", "-c", "trap '' TERM; sleep 600 >/dev/null & echo $!; wait; wait")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: c.leads}
			out, err := cmd.StdoutPipe()
			if err = errors.Join(err, cmd.Start()); err != nil {
				t.Fatal(err)
			}
			child := 0
			if _, err := fmt.Fscan(out, &child); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = syscall.Kill(child, syscall.SIGKILL) }()
			gone := make(chan error, 1)
			go func() { gone <- cmd.Wait() }()
			if err := c.end(context.Background(), cmd.Process.Pid, 300*time.Millisecond); err != nil {
				t.Fatal(err)
			}
			<-gone
			runs := func() bool { _, err := procs.Program(child); return err == nil }
			for end := time.Now().Add(30 * time.Second); c.killed && runs() && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			if runs() == c.killed {
				t.Errorf("its child runs: %v", runs())
			}
		})
	}
}
