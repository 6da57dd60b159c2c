// Package run (ring: port) runs other programs: bounded in time, with /dev/null as standard input, and with what they
// said on standard error kept for the message when they fail.
package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Runner starts programs. The zero value runs them on this machine.
type Runner struct {
	// Env is added to the environment of each program, "NAME=value".
	Env []string
}

// ExitError says that a program ran and did not exit 0.
type ExitError struct {
	Args   []string
	Code   int    // exit status, or -1 if a signal ended it
	Stderr string // trimmed
}

// Error names the program, its status and what it said.
func (e *ExitError) Error() string {
	text := fmt.Sprintf("%s: exit status %d", strings.Join(e.Args, " "), e.Code)
	if e.Stderr != "" {
		text += ": " + e.Stderr
	}
	return text
}

// Output runs a program and returns what it wrote to standard output. A non-zero exit is an *ExitError. Its standard
// input is empty; debconf's descriptors stay away from it because debconf.Open marks them close-on-exec.
func (r Runner) Output(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := r.command(ctx, name, args)
	cmd.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return stdout.Bytes(), &ExitError{
			Args: append([]string{name}, args...), Code: exit.ExitCode(), Stderr: strings.TrimSpace(stderr.String()),
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot run %q: %w", name, err)
	}
	return stdout.Bytes(), nil
}

// Attached runs a program that talks to the administrator, on the streams given. It is never ended from here: what dpkg has
// begun it must be able to finish. The error of one that does not exit 0 names it; what was wrong it has said itself.
func (r Runner) Attached(ctx context.Context, in io.Reader, out, errs io.Writer, name string, args ...string) error {
	cmd := r.command(context.WithoutCancel(ctx), name, args)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return &ExitError{Args: append([]string{name}, args...), Code: exit.ExitCode()}
	}
	if err != nil {
		return fmt.Errorf("cannot run %q: %w", name, err)
	}
	return nil
}

// command prepares a program. debconf's own variables would make a child's maintainer-script library believe that it talks
// to the frontend.
func (r Runner) command(ctx context.Context, name string, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "DEBIAN_HAS_FRONTEND=") && !strings.HasPrefix(v, "DEBCONF_REDIR=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, r.Env...)
	return cmd
}

// Run is Output for a program whose output nobody needs.
func (r Runner) Run(ctx context.Context, name string, args ...string) error {
	_, err := r.Output(ctx, name, args...)
	return err
}
