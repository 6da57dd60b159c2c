package main

import (
	"context"
	"os"
	"time"

	"postfix-maint/internal/multi"
	"postfix-maint/internal/procs"
	"postfix-maint/internal/systemd"
)

// shelterLimit bounds what "postfix start" waits for: it goes on without.
const shelterLimit = 5 * time.Second

// shelter is for configure-instance.sh, which "postfix start" runs before it starts the master.
func shelter(ctx context.Context, _ *call) error {
	if !systemd.Booted("/") {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, shelterLimit)
	defer cancel()
	var ancestors []multi.Process
	for pid := os.Getppid(); pid > 1; pid = procs.Parent(pid) {
		ancestors = append(ancestors, multi.Process{PID: pid, Args: procs.Args(pid), Groups: procs.Groups(pid)})
	}
	return multi.Shelter(ctx, ancestors, func(ctx context.Context, scope, description string, pids []int) error {
		m, err := systemd.Dial(ctx)
		if err != nil {
			return err
		}
		defer m.Close()
		return m.Scope(ctx, scope, description, pids)
	})
}
