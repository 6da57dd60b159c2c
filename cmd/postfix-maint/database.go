package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"time"

	"postfix-maint/internal/debconf"
)

// openDatabase talks to the debconf database outside a maintainer script, through debconf-communicate(1). What that says, such as that another
// program has the database, goes to stderr.
func openDatabase(ctx context.Context, stderr io.Writer) (*debconf.Client, func(), error) {
	cmd := exec.CommandContext(ctx, "debconf-communicate", "-fnoninteractive", "postfix")
	cmd.WaitDelay = time.Second
	cmd.Stderr = stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot open the debconf database: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot open the debconf database: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("cannot open the debconf database: %w", err)
	}
	return debconf.New(out, in), func() {
		in.Close()
		_ = cmd.Wait() // its answers were checked one by one
	}, nil
}
