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
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
)

// version is set by the package build.
var version = "unreleased"

// limit bounds every run: a maintainer script must not hang for ever. A restart of many instances takes its time.
const limit = 15 * time.Minute

func main() {
	_ = os.Unsetenv("MAIL_CONFIG") // a caller's other instance: Postfix's programs must mean the one that we mean
	// dpkg must read no signal's exit status as an answer; 128+n means nothing to it or to debconf.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, limit)
	code := execute(ctx, os.Args, os.Stdout, os.Stderr)
	cancel()
	stop()
	os.Exit(code)
}

// usageError is a call that is not understood.
type usageError struct{ error }

// execute is the whole program but for the process around it: 0 if all went well, 1 if not, 2 for a call that is not understood.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	app := &cli.App{
		Name: "postfix-maint", Usage: "set up and care for Debian's Postfix", Version: version,
		Writer: stdout, ErrWriter: stderr, HideHelpCommand: true,
		Commands: commands(stdout, stderr),
		// The library must never choose the exit status: it takes a failed child's for its own, and debconf reads 30 as "back".
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   notUnderstood,
		Action:         noCommand,
	}
	strict(app.Commands)
	err := app.RunContext(ctx, args)
	if err != nil {
		fmt.Fprintf(stderr, "postfix-maint: %v\n", err)
	}
	switch {
	case errors.As(err, new(usageError)):
		return 2
	case err != nil:
		return 1
	}
	return 0
}

// strict makes commands refuse options and subcommands that they do not have.
func strict(commands []*cli.Command) {
	for _, c := range commands {
		c.OnUsageError = notUnderstood
		if len(c.Subcommands) > 0 {
			c.Action = noCommand
			strict(c.Subcommands)
		}
	}
}

func notUnderstood(_ *cli.Context, err error, _ bool) error { return usageError{err} }

// noCommand is what a command with subcommands does if none of them is named.
func noCommand(c *cli.Context) error {
	if c.NArg() > 0 {
		return usageError{fmt.Errorf("unknown command %q", c.Args().First())}
	}
	if err := cli.ShowSubcommandHelp(c); err != nil {
		return err
	}
	return usageError{errors.New("a command is missing")}
}
