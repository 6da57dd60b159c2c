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
	"syscall"
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

// endWait is what a program has for ending in order, and what one that has ended leaves to those who hold its output.
const endWait = 2 * time.Second

// plain is the locale of programs whose words are read: untranslated, with the bytes of file names as they are. LANGUAGE would count
// above all others (gettext's manual, "The LANGUAGE variable"), but not in the locale C.
const plain = "LC_ALL=C.UTF-8"

// Output runs a program and returns what it wrote to standard output. A non-zero exit is an *ExitError. At the end of ctx it is ended with
// what it has started, daemons apart, and the error is that of ctx. What it says is never translated. Its standard input is empty;
// debconf's descriptors stay away from it because debconf.Open marks them close-on-exec. One that writes more than maxOutput is
// ended as well: its input may be anybody's (a package, a queue), our memory is not.
func (r Runner) Output(ctx context.Context, name string, args ...string) ([]byte, error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	cmd := r.command(ctx, name, args)
	cmd.Env = append(cmd.Env, plain, "LANGUAGE=") // of two with one name the last counts (os/exec)
	cmd.WaitDelay = endWait
	// A group of its own, so that what it has started ends with it. Nothing that reads a terminal runs so.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	stdout := &bounded{most: maxOutput, over: func() { end(errTooMuch) }}
	stderr := &ending{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := cmd.Run()
	if err != nil && ctx.Err() != nil && cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // those that took no notice; mostly nobody is left
		if err = ctx.Err(); errors.Is(context.Cause(ctx), errTooMuch) {
			err = errTooMuch
		}
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return stdout.kept.Bytes(), &ExitError{
			Args: append([]string{name}, args...), Code: exit.ExitCode(), Stderr: strings.TrimSpace(string(stderr.kept)),
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot run %q: %w", name, err)
	}
	return stdout.kept.Bytes(), nil
}

// maxOutput bounds what is kept of a program's output. The largest that we read is Debian's package unpacked, some 5 MB.
const maxOutput = 64 << 20

var errTooMuch = fmt.Errorf("it wrote more than %d bytes", maxOutput)

// bounded keeps the first bytes that it is given, and takes the others without keeping them.
type bounded struct {
	kept bytes.Buffer
	most int
	over func() // called when there are more
}

// Write is io.Writer.
func (b *bounded) Write(data []byte) (int, error) {
	room := b.most - b.kept.Len()
	if len(data) > room {
		b.over()
	}
	b.kept.Write(data[:min(len(data), room)])
	return len(data), nil
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
