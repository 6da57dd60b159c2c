package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/login"
	"postfix-maint/internal/oauth"
)

// maxLine is more than any address has that a browser comes back with.
const maxLine = 32 << 10

// maxCAs is more than all CAs of the world take.
const maxCAs = 4 << 20

// heard is the descriptor where "postfix-maint smarthost login" lets us hear the person.
const heard = 3

// logIn makes one login for "postfix-maint smarthost login": the request comes on standard input, the account goes to standard output, what the
// person has to do to standard error. What goes wrong takes the place of the account, with exit status 1.
func logIn(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		fmt.Fprintln(stderr, "postfix-oauth-relay: login takes no arguments")
		return 2
	}
	if err := hidden(); err != nil {
		fmt.Fprintln(stdout, err)
		return 1
	}
	person := login.Person{Words: stderr, Terminal: isTerminal(stderr), Paste: paste(os.NewFile(heard, "the pasted address"))}
	return answer(ctx, stdin, stdout, person)
}

// answer writes the account of a request, or why there is none. It gives the exit status.
func answer(ctx context.Context, stdin io.Reader, stdout io.Writer, person login.Person) int {
	text, err := account(ctx, stdin, person)
	if err != nil {
		fmt.Fprintln(stdout, err)
		return 1
	}
	if _, err := stdout.Write(text); err != nil {
		return 1
	}
	return 0
}

// hidden keeps secrets out of core dumps, and other processes out of this one.
func hidden() error {
	if err := errors.Join(unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0), unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})); err != nil {
		return fmt.Errorf("cannot switch core dumps off: %w", err)
	}
	return nil
}

// account makes the login of a request, and gives the text of its file.
func account(ctx context.Context, from io.Reader, person login.Person) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(from, maxAccount))
	if err != nil {
		return nil, fmt.Errorf("cannot read what login is to be made: %w", err)
	}
	request, err := oauth.ParseRequest(text)
	if err != nil {
		return nil, err
	}
	var pem []byte
	if request.CAFile != "" {
		if pem, err = readCAs(request.CAFile); err != nil {
			return nil, fmt.Errorf("cannot check certificates: %w", err)
		}
	}
	way, err := login.Transport(pem)
	if err != nil {
		return nil, err
	}
	a, err := login.Run(ctx, login.Deps{Person: person, Transport: way}, request)
	if err != nil {
		return nil, err
	}
	return a.Marshal()
}

// readCAs reads a file of CAs, and waits for nobody who might write one.
func readCAs(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxCAs))
}

// paste reads a line; nil where nobody is there. Who waits for it may go: the reader is left to the end of the process.
func paste(from *os.File) func(context.Context) (string, error) {
	if from == nil {
		return nil
	}
	if _, err := from.Stat(); err != nil {
		return nil
	}
	return func(ctx context.Context) (string, error) {
		type read struct {
			line string
			err  error
		}
		done := make(chan read, 1)
		go func() {
			r := read{err: errors.New("reading it failed")}
			defer func() { _ = recover(); done <- r }()
			r.line, r.err = bufio.NewReader(io.LimitReader(from, maxLine)).ReadString('\n')
		}()
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case r := <-done:
			if r.err != nil && (!errors.Is(r.err, io.EOF) || strings.TrimSpace(r.line) == "") {
				return "", fmt.Errorf("cannot read the address that the browser ended at: %w", r.err)
			}
			return r.line, nil
		}
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
