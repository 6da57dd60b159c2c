package smarthost

import (
	"postfix-maint/internal/instance"
	"postfix-maint/internal/sysroot"
)

// withSenderLogin fills in what a login by OAuth 2.0 that was just made for a sender decides, and how it gets to its place.
func (d Deps) withSenderLogin(old state, a Account) (Account, *accountPlan, error) {
	if a.OAuth == nil || a.OAuth.Account == nil {
		return a, nil, nil
	}
	var was Account
	if i := find(old.accounts(), a.Sender); i >= 0 {
		was = old.accounts()[i]
	}
	made, p, err := d.placed(was.OAuth, was.User, *a.OAuth.Account)
	if err != nil {
		return a, nil, err
	}
	no := false
	return Account{
		Sender: a.Sender, Relay: loopback(p.port), TLS: "none", Wrapper: &no, User: made.User, Password: made.Local,
		OAuth: &OAuth{Port: p.port, Provider: made.Provider, Relay: made.Relay, Flow: a.OAuth.Flow},
	}, p, nil
}

// checkSenderLogin refuses what keeps a sender's mail from the OAuth relay.
func (h *host) checkSenderLogin(a Account) error {
	if a.OAuth == nil {
		return nil
	}
	return h.checkIPv4()
}

// storedLocal is what Postfix logs in with at the OAuth relay, "" where the login's file is not there or not whole.
func (h *host) storedLocal(a Account) Secret {
	if a.OAuth == nil {
		return ""
	}
	stored, err := storedAccount(h.d.Root, a.OAuth.Port)
	if err != nil || stored.User != a.User {
		return ""
	}
	return stored.Local
}

// login tells of a sender's login by OAuth 2.0, nil where it logs in by a password.
func (a Account) login(h *host) *Login {
	if a.OAuth == nil {
		return nil
	}
	l := &Login{Provider: a.OAuth.Provider, Relay: a.OAuth.Relay, User: a.User, Flow: a.OAuth.Flow, Port: a.OAuth.Port, sender: a.Sender}
	if !h.inst.IsPrimary() {
		l.instance = h.inst.Name
	}
	l.look(h)
	return l
}

// WrongLogin is the first login by OAuth 2.0, for all mail or of a sender, that does not work and does not mend itself; nil where all do.
func (s Status) WrongLogin() *Login {
	if s.Login.Wrong() != "" {
		return s.Login
	}
	for _, sender := range s.Senders {
		if sender.Login.Wrong() != "" {
			return sender.Login
		}
	}
	return nil
}

// WrongLogins are the logins of an instance that do not work and do not mend themselves. It runs no program.
func WrongLogins(root *sysroot.Root, inst instance.Instance) (wrong []*Login) {
	all := []*Login{LoginInForce(root, inst)}
	if h, err := glance(Deps{Root: root}, inst); err == nil {
		for _, a := range h.state.accounts() {
			all = append(all, a.login(h))
		}
	}
	for _, l := range all {
		if l.Wrong() != "" {
			wrong = append(wrong, l)
		}
	}
	return wrong
}
