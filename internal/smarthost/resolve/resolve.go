// Package resolve (ring: flow) asks trivial-rewrite(8), as Postfix's other daemons do, which way it would choose for an address: what all
// its tables, domains and senders say together nobody else can tell as surely. The talk is that of attr_print0(3) in Postfix's sources.
package resolve

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// patience bounds one question: tables may be a server's.
const patience = 30 * time.Second

// longest bounds an answer, in bytes.
const longest = 64 << 10

// Class is whose an address is (ADDRESS_CLASS_README).
type Class string

// The classes.
const (
	Local   Class = "local"   // mydestination, or an address of this host
	Alias   Class = "alias"   // virtual_alias_domains
	Virtual Class = "virtual" // virtual_mailbox_domains
	Relay   Class = "relay"   // relay_domains
	Default Class = "default" // all others
)

// Way is what Postfix would do with mail for an address.
type Way struct {
	Transport string // a service of master.cf
	NextHop   string
	Recipient string
	Class     Class
}

// The bits of an answer's flags (global/resolve_clnt.h in Postfix's sources).
const (
	flagError = 1 << 2 // the address is none
	flagFail  = 1 << 3 // a table cannot be asked
)

var classes = []struct {
	bit   int
	class Class
}{{1 << 8, Local}, {1 << 9, Alias}, {1 << 10, Relay}, {1 << 11, Virtual}, {1 << 12, Default}}

// Conn is a connection to the daemon.
type Conn struct {
	conn net.Conn
	in   *bufio.Reader
}

// New takes a connection over.
func New(conn net.Conn) *Conn { return &Conn{conn: conn, in: bufio.NewReader(conn)} }

// Close ends it.
func (c *Conn) Close() error { return c.conn.Close() }

// Complete makes a whole address of one that lacks its domain.
func (c *Conn) Complete(address string) (string, error) {
	a, err := c.ask("request", "rewrite", "rule", "local", "address", address)
	if err != nil {
		return "", fmt.Errorf("cannot ask Postfix for the whole address of %q: %w", address, err)
	}
	return a.last["address"], nil
}

// Way asks for the way of mail from a sender to an address.
func (c *Conn) Way(sender, address string) (Way, error) {
	fail := func(err error) (Way, error) {
		return Way{}, fmt.Errorf("cannot ask Postfix for the way of mail to %q: %w", address, err)
	}
	a, err := c.ask("request", "resolve", "sender", sender, "address", address)
	if err != nil {
		return fail(err)
	}
	flags, err := strconv.Atoi(a.last["flags"])
	switch {
	case err != nil:
		return fail(errors.New("its answer cannot be read"))
	case flags&flagFail != 0:
		return fail(errors.New("a table that it needs cannot be asked: see the mail log"))
	case flags&flagError != 0:
		return fail(errors.New("it is no address to it"))
	}
	w := Way{Transport: a.last["transport"], NextHop: a.last["nexthop"], Recipient: a.last["recipient"]}
	for _, class := range classes {
		if flags&class.bit != 0 {
			w.Class = class.class
		}
	}
	return w, nil
}

// answer is a list of attributes; of those with one name the last.
type answer struct{ last map[string]string }

// ask sends one request and gives the answer. From Postfix 3.6 on the daemon says its protocol first.
func (c *Conn) ask(attributes ...string) (answer, error) {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return answer{}, err
	}
	for _, a := range attributes {
		if strings.ContainsRune(a, 0) {
			return answer{}, errors.New("it has a null byte")
		}
	}
	if _, err := c.conn.Write([]byte(strings.Join(attributes, "\x00") + "\x00\x00")); err != nil {
		return answer{}, err
	}
	for {
		a, err := c.read()
		if _, hello := a.last["protocol"]; err != nil || !hello {
			return a, err
		}
	}
}

// read takes pairs of texts up to an empty name.
func (c *Conn) read() (answer, error) {
	a, left := answer{map[string]string{}}, longest
	for {
		name, err := c.text(&left)
		if err != nil || name == "" {
			return a, err
		}
		value, err := c.text(&left)
		if err != nil {
			return a, err
		}
		a.last[name] = value
	}
}

func (c *Conn) text(left *int) (string, error) {
	var b strings.Builder
	for {
		char, err := c.in.ReadByte()
		if err != nil {
			return "", err
		}
		if *left--; *left < 0 {
			return "", errors.New("its answer has more than 64 KiB")
		}
		if char == 0 {
			return b.String(), nil
		}
		b.WriteByte(char)
	}
}
