package procs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"postfix-maint/internal/procs"
)

// TestOnAChild looks at a child that is no idle worker: it sleeps, but waits for no client. An idle one, and one at work, are Postfix's
// own in the scenario TestResolver.
func TestOnAChild(t *testing.T) {
	before := time.Now()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	pid := cmd.Process.Pid
	for program := ""; filepath.Base(program) != "sleep"; time.Sleep(time.Millisecond) { // until it is past execve
		program, _ = procs.Program(pid)
	}
	if !procs.RootIs(pid, "/") || procs.RootIs(pid, t.TempDir()) {
		t.Error("its root directory is not /")
	}
	if procs.StartedBefore(pid, before.Add(-time.Second)) || !procs.StartedBefore(pid, time.Now().Add(time.Second)) {
		t.Error("it was not started just now")
	}
	if args := procs.Args(pid); procs.Parent(pid) != os.Getpid() || len(args) != 2 || args[1] != "60" || !slices.Equal(procs.Groups(pid), procs.Groups(os.Getpid())) {
		t.Errorf("parent %d, arguments %q, groups %q", procs.Parent(pid), args, procs.Groups(pid))
	}
	if ended, err := procs.EndIdle(pid); ended || err != nil {
		t.Errorf("ended %t, error %v", ended, err)
	}
	select {
	case err := <-done:
		t.Errorf("it has ended: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
}

func TestNoProcess(t *testing.T) {
	const none = 1 << 30
	if procs.Parent(none) != 0 || procs.Args(none) != nil || procs.Groups(none) != nil {
		t.Error("something is known of it")
	}
	if _, err := procs.Program(none); err == nil {
		t.Error("a program")
	}
	if ended, err := procs.EndIdle(none); ended || err != nil || procs.StartedBefore(none, time.Now()) || procs.RootIs(none, "/") {
		t.Errorf("ended %t, error %v", ended, err)
	}
}
