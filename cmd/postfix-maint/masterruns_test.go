package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"postfix-maint/internal/instance"
)

// The queue directory is Postfix's: a named pipe that it puts in the place of the PID file is not waited for.
func TestMasterRunsReadsNoPipe(t *testing.T) {
	queue := t.TempDir()
	file := filepath.Join(queue, "pid", "master.pid")
	if err := os.Mkdir(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if masterRuns(instance.Instance{QueueDir: queue}) {
		t.Error("a named pipe is taken for a master")
	}
}
