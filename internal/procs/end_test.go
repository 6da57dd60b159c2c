package procs_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
