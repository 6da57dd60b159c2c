package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/smarthost"
)

// smarthostOptions takes the options of the last set, with what the command line says now.
func smarthostOptions(c *call, d smarthost.Deps, inst instance.Instance) (smarthost.Options, error) {
	last, _ := smarthost.Last(d.Root, inst)
	o, err := relayOptions(c, last)
	if err != nil {
		return o, err
	}
	for name, to := range map[string]*string{"user": &o.User, "from": &o.From, "root": &o.Root, "tls": &o.TLS, "ca-file": &o.CAFile} {
		if c.IsSet(name) {
			*to = c.String(name)
		}
		if *to == "none" && name != "tls" {
			*to = ""
		}
	}
	if c.IsSet("wrapper") {
		wrapper := c.Bool("wrapper")
		o.Wrapper = &wrapper
	}
	if c.IsSet("rewrite") {
		if o.Rewrite, err = rewriting(d, c.String("rewrite")); err != nil {
			return o, err
		}
	}
	return o, nil
}

// secretLimit is more than any password has, secretWait more than whoever writes one into a pipe needs, and askWait more than a person
// who has to look for it first.
const (
	secretLimit = 64 << 10
	secretWait  = time.Minute
	askWait     = 15 * time.Minute
)

// setOptions refuses what cannot be, and reads the password: before any lock, because it may have to be waited for.
func setOptions(ctx context.Context, c *call) (err error) {
	for _, name := range []string{"relay", "tls", "user", "rewrite", "from", "root"} {
		value := c.String(name)
		if !c.IsSet(name) || value == "none" && name != "relay" {
			continue
		}
		if err := smarthost.CheckOption(name, value); err != nil {
			return refuse("--%s: %w", name, err)
		}
	}
	if err := checkProvider(c); err != nil {
		return err
	}
	c.password, err = password(ctx, c)
	return err
}

// password reads the one line of a file or of standard input; its line end is not part of it.
func password(ctx context.Context, c *call) (smarthost.Secret, error) {
	name := c.String("password-file")
	switch {
	case name != "" && c.Bool("password-stdin"):
		return "", refuse("the password comes from a file or from standard input, not from both")
	case name == "" && isTerminal(c.App.Reader) && (c.Bool("password-stdin") || c.IsSet("user") && c.String("user") != "none"):
		return askSecret(ctx, c.App.Reader.(*os.File), c.stderr, c.String("user"))
	case c.Bool("password-stdin"):
		return readSecret(ctx, c.App.Reader, secretWait)
	case name == "":
		return "", nil
	}
	// Opening a named pipe that nobody writes to would wait for ever.
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", fmt.Errorf("cannot read the password: %w", err)
	}
	defer f.Close()
	if fi, err := f.Stat(); err == nil && fi.Mode().IsRegular() && fi.Mode().Perm()&0o077 != 0 {
		warn(c.stderr, []string{fmt.Sprintf("others than you can read %s", name)})
	}
	return readSecret(ctx, f, secretWait)
}

// askSecret asks a person, whose screen does not show what is typed. Nothing typed keeps the password that is stored.
func askSecret(ctx context.Context, terminal *os.File, words io.Writer, user string) (smarthost.Secret, error) {
	fd := int(terminal.Fd())
	was, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return "", fmt.Errorf("cannot read the password: %w", err)
	}
	silent := *was
	silent.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, unix.TCSETSF, &silent); err != nil {
		return "", fmt.Errorf("cannot read the password: %w", err)
	}
	defer func() {
		_ = unix.IoctlSetTermios(fd, unix.TCSETS, was)
		fmt.Fprintln(words)
	}()
	fmt.Fprintf(words, "Password%s (it is not shown; nothing keeps the one that is stored): ", strings.TrimSuffix(" of "+user, " of "))
	secret, err := readSecret(ctx, oneLine{terminal}, askWait)
	if errors.Is(err, errNoSecret) {
		return "", nil
	}
	return secret, err
}

// oneLine ends with the first line: a terminal gives one at a time.
type oneLine struct{ terminal *os.File }

// Read gives it, and that it is all.
func (o oneLine) Read(p []byte) (n int, err error) {
	if n, err = o.terminal.Read(p); err == nil {
		err = io.EOF
	}
	return n, err
}

// errNoSecret is for an empty line.
var errNoSecret = errors.New("cannot read the password: there is none")

// readSecret reads what somebody may still be typing, for some time.
func readSecret(ctx context.Context, from io.Reader, wait time.Duration) (smarthost.Secret, error) {
	data, err := readAtMost(ctx, from, wait)
	if err != nil {
		return "", fmt.Errorf("cannot read the password: %w", err)
	}
	return passwordLine(string(data))
}

// readAtMost reads what a secret may have. The reader that waits when the time is over is left to the end of the process.
func readAtMost(ctx context.Context, from io.Reader, wait time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	type read struct {
		data []byte
		err  error
	}
	done := make(chan read, 1)
	go func() {
		var r read
		defer func() {
			if fault := recover(); fault != nil {
				r.err = errors.New("reading it failed (this should not happen: please report it)")
			}
			done <- r
		}()
		r.data, r.err = io.ReadAll(io.LimitReader(from, secretLimit+1))
	}()
	var r read
	select {
	case <-ctx.Done():
		r.err = ctx.Err()
	case r = <-done:
	}
	if r.err == nil && len(r.data) > secretLimit {
		r.err = errors.New("what is given is too long for one")
	}
	return r.data, r.err
}

// passwordLine takes off what an editor may have put around the password: the line end, with CR too, and a byte order mark.
func passwordLine(text string) (smarthost.Secret, error) {
	text = strings.TrimPrefix(strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r"), "\ufeff")
	switch {
	case text == "":
		return "", errNoSecret
	case strings.Contains(text, "\n"):
		return "", errors.New("cannot read the password: there is more than one line")
	}
	return smarthost.Secret(text), nil
}

// rewriting reads the value of --rewrite.
func rewriting(d smarthost.Deps, text string) (smarthost.Rewriting, error) {
	kind, value, _ := strings.Cut(text, "=")
	switch kind {
	case "none":
		return smarthost.Rewriting{}, nil
	case "generic":
		return smarthost.Rewriting{Kind: "generic", Address: value}, nil
	case "users", "regexp", "pcre":
	default:
		return smarthost.Rewriting{}, refuse("--rewrite %q: use none, generic=ADDRESS, users=FILE, regexp=FILE or pcre=FILE", text)
	}
	data, err := d.Root.ReadFile(value)
	if err != nil {
		return smarthost.Rewriting{}, fmt.Errorf("cannot read the senders: %w", err)
	}
	return smarthost.ParseRules(strings.TrimPrefix(kind, "users"), data)
}
