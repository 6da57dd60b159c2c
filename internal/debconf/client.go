// Package debconf (ring: port) speaks the protocol of debconf-devel(7) with debconf's frontend, or cdebconf's: it asks
// questions and reads and writes the database of answers.
package debconf

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Client is one conversation with a frontend: a command, its reply, the next command.
type Client struct {
	r       *bufio.Reader
	w       io.Writer
	escape  bool // both sides escape newlines and backslashes
	stopped bool
	known   map[string]string // what GET and FGET gave, until something may have changed it
}

// New returns a client that reads replies from r and writes commands to w.
func New(r io.Reader, w io.Writer) *Client {
	return &Client{r: bufio.NewReader(r), w: w}
}

// Version agrees on a version of the protocol, "2.0".
func (c *Client) Version(version string) error {
	_, err := c.do("VERSION", version)
	return err
}

// Capb tells the frontend what this program is able to do and returns what the frontend is. With "escape" in both, values
// with newlines survive the way in both directions.
func (c *Client) Capb(capabilities ...string) ([]string, error) {
	text, err := c.do("CAPB", strings.Join(capabilities, " "))
	if err != nil {
		return nil, err
	}
	// The frontend unescapes from now on if the client asked for it, whatever it says about itself.
	for _, name := range capabilities {
		if name == "escape" && !c.escape {
			c.escape, c.known = true, nil // the same values look otherwise
		}
	}
	return strings.Fields(text), nil
}

// Title sets the title of the screens to come.
func (c *Client) Title(title string) error {
	_, err := c.do("TITLE", title)
	return err
}

// Settitle sets the title to the short description of a question.
func (c *Client) Settitle(question string) error {
	_, err := c.do("SETTITLE", question)
	return err
}

// Input puts a question on the next screen. It is false if the frontend is not going to show it: too low a priority, seen
// before, nobody there.
func (c *Client) Input(priority, question string) (visible bool, err error) {
	_, err = c.do("INPUT", priority, question)
	if err == nil {
		c.known = nil // it will be shown
	}
	if failed := (*Error)(nil); errors.As(err, &failed) && failed.Code == codeSkipped {
		return false, nil
	}
	return err == nil, err
}

// Go shows the screen and waits for the answers. The error is ErrBack if the person wants the screen before this one. Be
// warned that debconf's Go also touches questions that it does not show: it replaces a value that is none of a select's
// choices by the first of them. Clear leaves them alone.
func (c *Client) Go() error {
	_, err := c.do("GO")
	if failed := (*Error)(nil); errors.As(err, &failed) && failed.Code == codeSkipped {
		return ErrBack
	}
	return err
}

// Clear empties the next screen without showing it.
func (c *Client) Clear() error {
	_, err := c.do("CLEAR")
	return err
}

// Get returns the value of a question, its template's default if it has none. The error is fs.ErrNotExist if there is no
// such question.
func (c *Client) Get(question string) (string, error) {
	return c.read("GET", question)
}

// Set gives a question a value. It does not count as an answer: the flag "seen" stays.
func (c *Client) Set(question, value string) error {
	_, err := c.do("SET", question, value)
	return err
}

// Reset gives a question its template's default and makes it unseen.
func (c *Client) Reset(question string) error {
	_, err := c.do("RESET", question)
	return err
}

// Flag reads a flag of a question; one that was never set is false.
func (c *Client) Flag(question, flag string) (bool, error) {
	text, err := c.read("FGET", question, flag)
	return text == "true", err
}

// SetFlag sets a flag of a question. cdebconf 0.270 says yes to any flag, but keeps "seen" only.
func (c *Client) SetFlag(question, flag string, on bool) error {
	_, err := c.do("FSET", question, flag, strconv.FormatBool(on))
	return err
}

// Subst gives ${key} in a question's texts a value.
func (c *Client) Subst(question, key, value string) error {
	_, err := c.do("SUBST", question, key, value)
	return err
}

// Metaget returns a field of a question's template, "Description" for one.
func (c *Client) Metaget(question, field string) (string, error) {
	return c.do("METAGET", question, field)
}

// Register makes a question from a template.
func (c *Client) Register(template, question string) error {
	_, err := c.do("REGISTER", template, question)
	return err
}

// Unregister removes a question.
func (c *Client) Unregister(question string) error {
	_, err := c.do("UNREGISTER", question)
	return err
}

// Purge removes all questions of this package.
func (c *Client) Purge() error {
	_, err := c.do("PURGE")
	return err
}

// ProgressStart shows a bar from low to high with a question's short description as its title.
func (c *Client) ProgressStart(low, high int, question string) error {
	_, err := c.do("PROGRESS", "START", strconv.Itoa(low), strconv.Itoa(high), question)
	return err
}

// ProgressStep moves the bar on.
func (c *Client) ProgressStep(by int) error {
	_, err := c.do("PROGRESS", "STEP", strconv.Itoa(by))
	return err
}

// ProgressInfo shows a question's short description below the bar.
func (c *Client) ProgressInfo(question string) error {
	_, err := c.do("PROGRESS", "INFO", question)
	return err
}

// ProgressStop takes the bar away.
func (c *Client) ProgressStop() error {
	_, err := c.do("PROGRESS", "STOP")
	return err
}

// Stop ends the conversation. The frontend does not reply to it; every later command is an error, where debconf would
// leave it waiting for ever.
func (c *Client) Stop() error {
	if c.stopped {
		return nil
	}
	c.stopped = true
	if _, err := io.WriteString(c.w, "STOP\n"); err != nil {
		return fmt.Errorf("cannot end the conversation with debconf: %w", err)
	}
	return nil
}

// harmless are the commands that change no value and no flag.
var harmless = map[string]bool{
	"VERSION": true, "CAPB": true, "TITLE": true, "SETTITLE": true, "INPUT": true, "CLEAR": true, "GET": true, "FGET": true, "METAGET": true,
	"PROGRESS": true,
}

// read is do for a question that is asked once only: the database is the frontend's alone while it runs, so what it said holds until a
// command of ours changes something. A run that asks nothing looks at some fifty values and flags three times.
func (c *Client) read(command string, args ...string) (string, error) {
	key := strings.Join(append([]string{command}, args...), " ")
	if text, ok := c.known[key]; ok && !c.stopped {
		return text, nil
	}
	text, err := c.do(command, args...)
	if err == nil {
		if c.known == nil {
			c.known = map[string]string{}
		}
		c.known[key] = text
	}
	return text, err
}

// do sends one command and reads its reply.
func (c *Client) do(command string, args ...string) (string, error) {
	what := command // for messages: the question, but never a value, which may be a secret
	if len(args) > 0 && command != "CAPB" && command != "TITLE" {
		what += " " + strings.Join(args[:min(len(args), named[command])], " ")
	}
	if c.stopped {
		return "", fmt.Errorf("cannot send %s to debconf: the conversation has ended", what)
	}
	line, err := c.encode(command, args)
	if err != nil {
		return "", fmt.Errorf("cannot send %s to debconf: %w", what, err)
	}
	if !harmless[command] {
		c.known = nil
	}
	if _, err := io.WriteString(c.w, line+"\n"); err != nil {
		return "", fmt.Errorf("cannot send %s to debconf: %w", what, err)
	}
	reply, err := c.r.ReadString('\n')
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // the frontend has gone
	}
	if err != nil {
		return "", fmt.Errorf("cannot read debconf's reply to %s: %w", what, err)
	}
	return decode(what, strings.TrimSuffix(reply, "\n"))
}

// named is the number of arguments that may stand in a message. The others are values.
var named = map[string]int{
	"VERSION": 1, "SETTITLE": 1, "INPUT": 2, "GET": 1, "SET": 1, "RESET": 1, "FGET": 2, "FSET": 2, "SUBST": 2,
	"METAGET": 2, "REGISTER": 2, "UNREGISTER": 1, "PROGRESS": 1,
}
