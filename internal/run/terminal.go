package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/creack/pty"
)

// OnTerminal is Run for a program that says what is wrong to the log alone, unless its standard error is a terminal, as Postfix's do
// (src/postfix/postfix.c, src/postlog/postlog.c: isatty(STDERR_FILENO)). It gets one, so that the words are in the *ExitError.
func (r Runner) OnTerminal(ctx context.Context, name string, args ...string) error {
	ours, theirs, err := pty.Open()
	if err != nil {
		return r.Run(ctx, name, args...) // a container without /dev/ptmx: the log says why
	}
	defer ours.Close()
	cmd := r.command(ctx, name, args)
	cmd.Env = append(cmd.Env, plain, "LANGUAGE=")
	cmd.WaitDelay = time.Second
	cmd.Stderr = theirs
	said := make(chan string, 1)
	go func() {
		var text []byte
		defer func() {
			_ = recover() // without its words the program has failed all the same
			said <- strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n"))
		}()
		var words ending
		_, _ = io.Copy(&words, ours) // EIO is the end: nobody has the other side open
		text = words.kept
	}()
	err = cmd.Run()
	theirs.Close()
	exit := (*exec.ExitError)(nil)
	if !errors.As(err, &exit) {
		if err != nil {
			err = fmt.Errorf("cannot run %q: %w", name, err)
		}
		return err
	}
	failed := &ExitError{Args: append([]string{name}, args...), Code: exit.ExitCode()}
	select {
	case failed.Stderr = <-said:
	case <-time.After(cmd.WaitDelay): // a daemon that it started holds the terminal
	}
	return failed
}

// maxSaid bounds what is kept of a program's words.
const maxSaid = 64 << 10

// ending keeps the last lines that it is given, at most twice maxSaid: why a program failed is what it says last. postconf(1) warns of each
// macro of a loop before, some megabyte of them. A line without its beginning is left out.
type ending struct {
	kept []byte
	torn bool // the next bytes go on with a line whose beginning is gone
}

// Write is io.Writer.
func (e *ending) Write(data []byte) (int, error) {
	rest := data
	if e.torn {
		rest = e.whole(rest)
	}
	if e.kept = append(e.kept, rest...); len(e.kept) > 2*maxSaid {
		e.kept = append([]byte(nil), e.whole(e.kept[len(e.kept)-maxSaid:])...)
	}
	return len(data), nil
}

// whole gives the lines behind one that has lost its beginning.
func (e *ending) whole(data []byte) []byte {
	_, lines, found := bytes.Cut(data, []byte("\n"))
	e.torn = !found
	return lines
}
