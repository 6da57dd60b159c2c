package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"runtime/debug"
	"strconv"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"postfix-maint/internal/oauth"
	"postfix-maint/internal/oauthrelay"
)

const (
	credential  = "account" // what the unit calls the login's file
	maxAccount  = 256 << 10
	memoryLimit = 14 << 20 // garbage is collected harder above
)

// serve is what the unit runs: systemd has the port, the login and the directory.
func serve(ctx context.Context, args []string, _ io.Reader, _, stderr io.Writer) int {
	say := func(line string) { fmt.Fprintln(stderr, line) }
	if len(args) > 0 {
		say("postfix-oauth-relay: serve takes no arguments")
		return 2
	}
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(memoryLimit)
	// No core dump has a token, and no other process of this user may look into this one.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		say("cannot switch core dumps off: " + err.Error())
		return 1
	}
	port, err := passed()
	if err != nil {
		say(err.Error())
		return 1
	}
	return relayAt(ctx, port, os.Getenv("CREDENTIALS_DIRECTORY"), os.Getenv("STATE_DIRECTORY"), say)
}

// relayAt serves a port until ctx ends or nobody has come for a minute, with the login in credentials. It gives the exit status.
func relayAt(ctx context.Context, port *net.TCPListener, credentials, state string, say func(string)) int {
	defer func() { _ = port.Close() }()
	account, err := readAccount(credentials)
	relay := oauthrelay.New(oauthrelay.Options{
		Account: account, Broken: err, StateDir: state, Users: users(), Log: say, Limits: oauthrelay.Usual(),
		PeerUID: oauthrelay.PeerUID, Dial: (&net.Dialer{}).DialContext,
	})
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady) // by hand there is nobody to be told
	err = relay.Serve(ctx, port)
	_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
	if err != nil {
		say("cannot take connections: " + err.Error())
		return 1
	}
	return 0
}

// passed is the port that systemd listens on.
func passed() (*net.TCPListener, error) {
	all, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("cannot take over the port: %w", err)
	}
	if len(all) == 1 {
		if port, ok := all[0].(*net.TCPListener); ok {
			return port, nil
		}
	}
	return nil, errors.New("cannot serve: start postfix-oauth-relay@PORT.socket, and systemd starts this with that port")
}

// readAccount reads the login that systemd hands over.
func readAccount(dir string) (oauth.Account, error) {
	f, err := os.Open(filepath.Join(dir, credential))
	if errors.Is(err, fs.ErrNotExist) {
		return oauth.Account{}, errors.New("cannot read the login: there is none: postfix-maint smarthost login")
	} else if err != nil {
		return oauth.Account{}, fmt.Errorf("cannot read the login: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxAccount))
	if err != nil {
		return oauth.Account{}, fmt.Errorf("cannot read the login: %w", err)
	}
	return oauth.Parse(text)
}

// users are who may connect: Postfix's client, and root for a trial.
func users() []int {
	all := []int{0}
	if u, err := user.Lookup("postfix"); err == nil {
		if uid, err := strconv.Atoi(u.Uid); err == nil {
			all = append(all, uid)
		}
	}
	return all
}
