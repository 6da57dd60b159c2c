//go:debug default=go1.26

// Command postfix-oauth-relay lets Postfix use a relay that wants a login by OAuth 2.0:
//
//	postfix-oauth-relay serve
//	postfix-oauth-relay login
//
// systemd runs serve when Postfix connects to a loopback port of postfix-oauth-relay@.socket; "postfix-maint smarthost login" runs login. See postfix-oauth-relay(8).
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// command is one thing that this program does; what it gives is the exit status.
type command struct {
	name string
	run  func(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int
}

// commands are all of them.
func commands() []command {
	return []command{{"serve", serve}, {"login", logIn}}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run gives the arguments to their command.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		for _, c := range commands() {
			if c.name == args[0] {
				return c.run(ctx, args[1:], stdin, stdout, stderr)
			}
		}
	}
	fmt.Fprint(stderr, "usage:")
	for _, c := range commands() {
		fmt.Fprintf(stderr, " postfix-oauth-relay %s\n", c.name)
	}
	return 2
}
