package debconf

import (
	"errors"
	"fmt"
	"io/fs"
)

// The codes of the debconf specification that a client has to know. 10 to 19 are wrong parameters, 20 to 29 wrong
// commands, 30 to 99 depend on the command, from 100 on the frontend itself is in trouble.
const (
	codeOK      = 0
	codeEscaped = 1
	codeUnknown = 10 // no such question
	codeSkipped = 30 // INPUT: will not be shown; GO: go back; VERSION: another one; PROGRESS: canceled
)

// ErrBack says that the person wants to go back to the question before.
var ErrBack = errors.New("back to the question before")

// Error is a command that the frontend refused.
type Error struct {
	Code    int
	Text    string // what the frontend said
	Command string // with its question, without values
}

// Error names the command and gives the frontend's own words.
func (e *Error) Error() string {
	return fmt.Sprintf("debconf refuses %s: %s (code %d)", e.Command, e.Text, e.Code)
}

// Is makes a question that the database does not have an fs.ErrNotExist.
func (e *Error) Is(target error) bool {
	return target == fs.ErrNotExist && e.Code == codeUnknown
}
