package debconf

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// The descriptors that /usr/share/debconf/confmodule leaves, for debconf and cdebconf alike.
const (
	replies  = 0
	commands = 3
	// cdebconf adds copies of its own three standard ones for programs that need a terminal, 4 to 6.
	lastCopy = 6
)

// Open talks to the frontend that runs this program, by way of a shell script that sources confmodule. From here on no
// program that is started inherits the conversation: a daemon that did would keep the frontend waiting for its end.
func Open() (*Client, error) {
	if os.Getenv("DEBIAN_HAS_FRONTEND") == "" || os.Getenv("DEBCONF_REDIR") == "" {
		return nil, errors.New("cannot talk to debconf: no frontend runs this program (is confmodule sourced?)")
	}
	for fd := commands; fd <= lastCopy; fd++ {
		unix.CloseOnExec(fd)
	}
	unix.CloseOnExec(replies)
	for _, fd := range []uintptr{replies, commands} {
		if _, err := unix.FcntlInt(fd, unix.F_GETFD, 0); err != nil {
			return nil, fmt.Errorf("cannot talk to debconf by descriptor %d: %w", fd, err)
		}
	}
	return New(os.Stdin, os.NewFile(commands, "debconf's commands")), nil
}
