package oauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// StatusFile is what the OAuth relay calls its last outcome, in its own directory below paths.OAuthState.
const StatusFile = "status.json"

// MaxStatus is how long that file can be: whoever reads more reads something else.
const MaxStatus = 4096

// What can be wrong with a login.
const (
	ProblemNone        = ""
	ProblemDown        = "provider-down" // not reached, or it does not answer as it should: it comes back by itself
	ProblemCertificate = "certificate"   // no connection whose other side is sure to be the provider
	ProblemLoginAgain  = "login-again"   // the login was revoked or has run out
	ProblemRefused     = "refused"       // a fresh token, or the application, is not taken
)

// Status is how the last login of the OAuth relay at its provider went.
type Status struct {
	Time    time.Time
	Problem string // one of the problems above
	Words   string // for people, one line; "" if there is no problem
}

// storedStatus is a status as it stands in its file.
type storedStatus struct {
	Format  int       `json:"format"`
	Time    time.Time `json:"time"`
	Problem string    `json:"problem"`
	Words   string    `json:"words,omitempty"`
}

// Marshal gives the text of the status file.
func (s Status) Marshal() ([]byte, error) {
	text, err := json.Marshal(storedStatus{Format: Format, Time: time.Unix(s.Time.Unix(), 0).UTC(), Problem: s.Problem, Words: Printable(s.Words, 1000)})
	return append(text, '\n'), err
}

// ParseStatus reads the text of a status file. The process that wrote it has no rights, and takes words from the network: so they are
// made fit for a terminal.
func ParseStatus(text []byte) (Status, error) {
	if len(text) > MaxStatus {
		return Status{}, errors.New("cannot read the state of the login: it is too long")
	}
	var s storedStatus
	switch err := json.Unmarshal(text, &s); {
	case err != nil:
		return Status{}, errors.New("cannot read the state of the login: it is no JSON object of the form that the OAuth relay writes")
	case s.Format != Format:
		return Status{}, fmt.Errorf("cannot read the state of the login: its format is %d, this version knows %d", s.Format, Format)
	case !slices.Contains([]string{ProblemNone, ProblemDown, ProblemCertificate, ProblemLoginAgain, ProblemRefused}, s.Problem):
		return Status{}, errors.New("cannot read the state of the login: it names a problem that this version does not know")
	}
	return Status{Time: s.Time, Problem: s.Problem, Words: Printable(s.Words, 1000)}, nil
}

// Printable gives what can be printed on one line of a log, a reply or a terminal of what came from elsewhere, at most so many bytes of it.
// What is not ASCII becomes a question mark.
func Printable(s string, most int) string {
	s = s[:min(len(s), most)]
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\r' || r == '\n' || r == '\t':
			return ' '
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, s))
}
