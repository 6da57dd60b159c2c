//go:debug default=go1.26

// Command postfix-maint is the maintainer-script layer of Debian's Postfix packages, and the administrator's hand on it.
// See postfix-maint(8).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
)

// version is set by the package build.
var version = "unreleased"

// limit bounds every run: a maintainer script must not hang for ever. A restart of many instances takes its time; and config asks a person
// questions, who may leave the screen for as long as they like: what it waits for besides has limits of its own.
func limit(args []string) time.Duration {
	if len(args) > 1 && (args[1] == "config" || slices.Contains(args, "status") && slices.Contains(args, "--watch")) {
		return 31 * 24 * time.Hour
	}
	if slices.Contains(args, "smarthost") && slices.Contains(args, "set") {
		return 15*time.Minute + askWait // for the password
	}
	if slices.Contains(args, "smarthost") && slices.Contains(args, "login") {
		return 15*time.Minute + loginWait
	}
	return 15 * time.Minute
}

// grace is the time that a command has to end by itself when it is told to: none of ours needs as long for what it must not leave
// half done, and every file is whole at any moment anyway.
const grace = 10 * time.Second

func main() {
	_ = os.Unsetenv("MAIL_CONFIG") // a caller's other instance: Postfix's programs must mean the one that we mean
	// dpkg must read no signal's exit status as an answer; 128+n means nothing to it or to debconf.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, limit(os.Args))
	endFor(ctx, grace, stop, func() {
		fmt.Fprintf(os.Stderr, "postfix-maint: told to end, but this would not: what it did so far is completed or taken back by the next run\n")
		os.Exit(1)
	})
	code := execute(ctx, os.Args, os.Stdout, os.Stderr)
	cancel()
	stop()
	os.Exit(code)
}

// endFor ends what does not look at ctx: some time after a signal, or the limit, have ended that. stop comes first, so that a second
// signal ends us at once.
func endFor(ctx context.Context, wait time.Duration, stop, end func()) {
	context.AfterFunc(ctx, func() {
		stop()
		time.AfterFunc(wait, end)
	})
}

// execute is the whole program but for the process around it: 0 if all went well, 1 if not, 2 for a call that is not understood, and of
// doctor if it could not look, 3 where something was changed and that was asked for.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return executeRows(ctx, table(), args, stdout, stderr)
}

func executeRows(ctx context.Context, rows []row, args []string, stdout, stderr io.Writer) (code int) {
	defer func() {
		if fault := recover(); fault != nil {
			code = afterPanic(fault, args, stderr)
		}
	}()
	if len(args) > 1 && args[1] == "complete" { // a shell asks, and nobody reads what goes wrong
		complete(rows, args[2:], stdout)
		return 0
	}
	app := &cli.App{
		Name: "postfix-maint", Version: version, Writer: stdout, ErrWriter: stderr, HideHelpCommand: true, HideHelp: true, HideVersion: true,
		Commands: commands(rows, stdout, stderr),
		// The library must never choose the exit status: it takes a failed child's for its own, and debconf reads 30 as "back".
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   notUnderstood,
	}
	whole := args
	r, args, err := understand(app.Commands, args)
	switch {
	case r.incomplete: // nobody has asked for help, so it is no result
		_ = writeHelp(stderr, rows, r.done)
		fmt.Fprintln(stderr)
	case err != nil:
	case r.version:
		_, err = fmt.Fprintf(stdout, "postfix-maint version %s\n", version)
	case r.help:
		err = writeHelp(stdout, rows, r.done)
	default:
		err = app.RunContext(ctx, args)
	}
	code = statusOfError(err)
	if code != 0 && code != changedStatus {
		failedForMachines(whole, stdout, err)
		fmt.Fprintf(stderr, "postfix-maint: %v\n", err)
	}
	return code
}

// changedStatus is the exit status of --detailed-exitcode.
const changedStatus = 3

// statusOfError is the exit status that an error comes to.
func statusOfError(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errChanged):
		return changedStatus
	case errors.As(err, new(usageError)), errors.As(err, new(blindError)):
		return 2
	}
	return 1
}

func notUnderstood(_ *cli.Context, err error, _ bool) error { return usageError{err} }
