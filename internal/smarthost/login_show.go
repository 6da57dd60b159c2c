package smarthost

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/oauth"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// Login is a login by OAuth 2.0 that is in force. No secret is in it.
type Login struct {
	Provider string `json:"provider,omitempty"` // as --provider takes it
	Relay    string `json:"relay"`              // the provider's
	User     string `json:"user"`
	Flow     string `json:"flow"`
	Port     int    `json:"port"`              // of the OAuth relay
	Problem  string `json:"problem,omitempty"` // as the OAuth relay found it last: see oauth.Status
	Words    string `json:"words,omitempty"`   // the same for people

	instance, sender string
}

// LoginInForce is the login of an instance, nil where there is none. It runs no program.
func LoginInForce(root *sysroot.Root, inst instance.Instance) *Login {
	h, err := glance(Deps{Root: root}, inst)
	if err != nil {
		return nil
	}
	relayhost, _ := h.live.Get("relayhost")
	return h.login(relayhost)
}

// login is the one that is in force at a relay, for all mail or for a sender, nil where there is none.
func (h *host) login(relayhost string) *Login {
	o := h.state.Options
	for _, a := range append([]Account{{User: o.User, OAuth: o.OAuth}}, h.state.accounts()...) {
		if a.OAuth != nil && relayhost == loopback(a.OAuth.Port) {
			return a.login(h)
		}
	}
	return nil
}

// look reads how the last login at the provider went.
func (l *Login) look(h *host) {
	l.Problem, l.Words = "", ""
	if _, err := storedAccount(h.d.Root, l.Port); errors.Is(err, fs.ErrPermission) {
		return // whoever asks is not root
	} else if err != nil {
		l.Problem, l.Words = oauth.ProblemLoginAgain, err.Error()
		return
	}
	text, err := h.d.Root.ReadWithin(path.Join(paths.OAuthState, strconv.Itoa(l.Port)), oauth.StatusFile, oauth.MaxStatus)
	if err != nil {
		return // nobody has sent anything yet
	}
	if s, err := oauth.ParseStatus(text); err == nil {
		l.Problem, l.Words = s.Problem, s.Words
	}
}

// Cure is what to do about the problem, "" where there is none, or where it passes by itself.
func (l *Login) Cure() string {
	switch l.Problem {
	case oauth.ProblemLoginAgain, oauth.ProblemRefused:
		words := []string{"postfix-maint smarthost login"}
		if l.Provider != "" {
			words = append(words, "--provider "+l.Provider)
		}
		words = append(words, "--user "+l.User)
		if l.sender != "" {
			words = append(words, "--sender "+l.sender)
		}
		if l.instance != "" {
			words = append(words, "--instance "+l.instance)
		}
		return fmt.Sprintf("log in again: %q, with the client id and what else it took the first time", strings.Join(words, " "))
	case oauth.ProblemCertificate:
		return "nothing was sent: somebody may be in between. Is this host's clock right? \"postfix-maint smarthost login --ca-file\" names other CAs"
	}
	return ""
}

// Wrong tells what is wrong with the login and does not pass by itself, "" if nothing is.
func (l *Login) Wrong() string {
	if l == nil || l.Cure() == "" {
		return ""
	}
	return l.Words
}

// lines are what people are told of it.
func (l *Login) lines(r *report) {
	if l == nil {
		return
	}
	r.line("login", "OAuth 2.0 (%s) as %s at %s, by the port %d of this host", l.Flow, l.User, l.Relay, l.Port)
	l.trouble(r)
}

// trouble is what people are told where the login does not work.
func (l *Login) trouble(r *report) {
	if l == nil {
		return
	}
	if l.Words != "" {
		r.line("login says", "%s", l.Words)
	}
	if cure := l.Cure(); cure != "" {
		r.line("to do", "%s", cure)
	}
}

// adviseLogin says what to do where the OAuth relay could not log in; "" leaves it to what is said of any relay.
func (h *host) adviseLogin(l *Login) string {
	if l == nil {
		return ""
	}
	l.look(h)
	if cure := l.Cure(); cure != "" {
		return cure
	}
	if l.Problem == oauth.ProblemDown {
		return "the provider is not reached, or does not answer as it should: mail waits until it does"
	}
	return fmt.Sprintf("\"journalctl -u %s\" has what the relay that logs in says", serviceUnit(strconv.Itoa(l.Port)))
}
