package smarthost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/oauth"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/transaction"
)

// OAuth says that the login at the relay is one by OAuth 2.0: relayhost, or the relay of a sender, is a loopback port then, where the OAuth relay takes mail and
// logs in. No secret is in it.
type OAuth struct {
	Port     int    `json:"port"`
	Provider string `json:"provider,omitempty"` // row of internal/providers
	Relay    string `json:"relay"`              // the provider's
	Flow     string `json:"flow"`               // by which the login was made

	// Account is a login that was just made; nil keeps the one that is stored.
	Account *oauth.Account `json:"-"`
}

// Ports for the OAuth relay: of those that nothing is registered for, and that only root can listen at. Where the relay is away, as after a
// removal of the package, no user of this host can take the mail that main.cf still leads there.
const (
	firstPort = 914
	lastPort  = 952
)

// Units are what systemd does for a login: systemd.Manager is one.
type Units interface {
	Enable(ctx context.Context, unit string) error
	Disable(ctx context.Context, unit string) error
	Start(ctx context.Context, unit string) error
	Stop(ctx context.Context, unit string) error
	Close()
}

// socketUnit listens at a port, serviceUnit answers there.
func socketUnit(port string) string  { return "postfix-oauth-relay@" + port + ".socket" }
func serviceUnit(port string) string { return "postfix-oauth-relay@" + port + ".service" }

// accountFile is where a login is kept.
func accountFile(port int) string { return path.Join(paths.OAuthDir, strconv.Itoa(port)+".json") }

// loopback is a port of the OAuth relay as relayhost.
func loopback(port int) string { return "[127.0.0.1]:" + strconv.Itoa(port) }

// errNoSystemd is for a host whose init system cannot listen for the OAuth relay.
var errNoSystemd = errors.New("cannot log in by OAuth 2.0 here: systemd does not run this host, and it starts the relay that logs in (postfix-oauth-relay@.socket)")

// CheckLogin refuses a login that this host cannot have: for before anybody logs in.
func (d Deps) CheckLogin() error {
	if d.Units == nil {
		return errNoSystemd
	}
	return nil
}

// accountPlan is how the login of the options gets to its place.
type accountPlan struct {
	port int // the account's file is to change; 0: it stays
	seen *sysroot.Seen
	text []byte
}

// withLogin fills in what a login by OAuth 2.0 decides: relay, TLS, account and password of Postfix's login at the OAuth relay.
func (d Deps) withLogin(inst instance.Instance, o Options) (Options, *accountPlan, error) {
	if o.OAuth == nil {
		return o, nil, nil
	}
	was := loadState(d.Root, inst).Options
	login := *o.OAuth
	a, p := login.Account, (*accountPlan)(nil)
	if a == nil {
		stored, err := storedAccount(d.Root, login.Port)
		if err != nil {
			return o, nil, fmt.Errorf("%w: log in again with \"smarthost login\"", err)
		}
		a = &stored
		if err := o.fits(a); err != nil {
			return o, nil, err
		}
	} else {
		var err error
		if a, p, err = d.placed(was.OAuth, was.User, *a); err != nil {
			return o, nil, err
		}
		login.Port, login.Provider, login.Relay = p.port, a.Provider, a.Relay
	}
	no := false
	o.Provider = a.Provider // its limits hold here as well
	o.OAuth, o.Relay, o.User, o.Password, o.TLS, o.Wrapper, o.CAFile = &login, loopback(login.Port), a.User, a.Local, "", &no, ""
	return o, p, nil
}

// fits refuses options that a stored login has no room for.
func (o Options) fits(a *oauth.Account) error {
	switch {
	case o.User != a.User || o.Password != "":
		return fmt.Errorf("the login by OAuth 2.0 is that of %s: log in as another with \"smarthost login\", or name a relay for a password with --relay", a.User)
	case o.TLS != "" && o.TLS != "none", o.Wrapper != nil && *o.Wrapper, o.CAFile != "":
		return errors.New("the relay that logs in by OAuth 2.0 sees to TLS, and always checks certificates: --tls, --wrapper and --ca-file are not for \"smarthost set\" here; " +
			"\"smarthost login --ca-file\" names other CAs")
	}
	return nil
}

// placed gives a fresh login its port, and the local secret if it is one for an account that is there already: then nothing else changes.
func (d Deps) placed(was *OAuth, user string, a oauth.Account) (*oauth.Account, *accountPlan, error) {
	if err := d.CheckLogin(); err != nil {
		return nil, nil, err
	}
	p := &accountPlan{}
	if was != nil && was.Relay == a.Relay && user == a.User {
		p.port = was.Port
		if stored, err := storedAccount(d.Root, p.port); err == nil {
			a.Local = stored.Local
		}
	} else {
		var err error
		if p.port, err = d.freePort(); err != nil {
			return nil, nil, err
		}
	}
	var err error
	if p.seen, err = d.Root.See(accountFile(p.port)); err == nil {
		p.text, err = a.Marshal()
	}
	return &a, p, err
}

// freePort is the first that no login has, and that nothing listens at.
func (d Deps) freePort() (int, error) {
	for port := firstPort; port < lastPort; port++ {
		there, err := d.Root.Exists(accountFile(port))
		if err != nil {
			return 0, err
		}
		if !there && (d.Free == nil || d.Free(port)) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("cannot find a port for the relay that logs in by OAuth 2.0: none of %d to %d is free", firstPort, lastPort-1)
}

// storedAccount reads the login of a port.
func storedAccount(root *sysroot.Root, port int) (oauth.Account, error) {
	text, err := root.ReadFile(accountFile(port))
	if err != nil {
		return oauth.Account{}, fmt.Errorf("cannot read the login: %w", err)
	}
	a, err := oauth.Parse(text)
	if err != nil {
		return a, fmt.Errorf("%q: %w", accountFile(port), err)
	}
	return a, nil
}

// local makes the client log in at the OAuth relay. Over the loopback there is no TLS, whatever the level for other hosts is, and the
// password is of use to nobody else: the OAuth relay looks whose connection it is.
func (w *wishes) local(o Options, f facts) {
	if o.OAuth == nil {
		return
	}
	w.set("smtp_sasl_security_options", "noanonymous")
	if v, _ := f.base.Get("smtp_sasl_mechanism_filter"); v != "" {
		w.set("smtp_sasl_mechanism_filter", "plain")
	}
	w.additions = append(w.additions, addition{param: "smtp_tls_policy_maps", element: "inline:{" + o.Relay + "=none}"})
}

// checkLocal refuses what keeps mail from the OAuth relay, and tells of what its settings mean for others.
func (p *Plan) checkLocal(o Options, f facts) error {
	if o.OAuth == nil {
		return nil
	}
	if err := p.h.checkIPv4(); err != nil {
		return err
	}
	if v, _ := f.base.Get("smtp_sasl_password_maps"); v != "" {
		p.warn("smtp_sasl_password_maps has other passwords: with smtp_sasl_security_options = noanonymous they go without TLS to a relay that offers none; " +
			"ask for it with smtp_tls_policy_maps")
	}
	return nil
}

// checkIPv4 refuses a host whose client cannot reach the OAuth relay.
func (h *host) checkIPv4() error {
	if v := maincf.SplitList(h.effective["inet_protocols"]); len(v) > 0 && !slices.Contains(v, "all") && !slices.Contains(v, "ipv4") {
		return errors.New("cannot reach the relay that logs in by OAuth 2.0: it listens at 127.0.0.1, and inet_protocols has no ipv4: add it")
	}
	return nil
}

// planAccount plans what is to become of the files of logins, and of the ports where mail is taken for them. The accounts are those of single
// senders as they are to be; the options of the state to be stand already.
func (p *Plan) planAccount(a *accountPlan, accounts []Account) {
	p.account = a
	if a != nil && (a.seen.Missing || string(a.seen.Data) != string(a.text)) {
		what := "change the login in "
		if a.seen.Missing {
			what = "create "
			p.Changes = append(p.Changes, Change{What: "start " + socketUnit(strconv.Itoa(a.port))})
		}
		p.Changes = append(p.Changes, Change{What: what + accountFile(a.port), Path: accountFile(a.port)})
		p.ports = append(p.ports, a.port)
	}
	stay := p.state.ports(accounts)
	for _, port := range p.old.ports(p.old.accounts()) {
		if slices.Contains(stay, port) {
			continue
		}
		p.gone, p.ports = append(p.gone, port), append(p.ports, port)
		p.Changes = append(p.Changes, Change{What: "remove " + accountFile(port), Path: accountFile(port)},
			Change{What: "stop " + socketUnit(strconv.Itoa(port))})
	}
}

// addAccounts adds the files of logins to the transaction, and what systemd has to do before it and after it. That is due from before until it
// is done, for whoever comes after a kill.
func (p *Plan) addAccounts(t *transaction.Transaction) error {
	root := p.h.d.Root
	for _, port := range p.ports {
		key := strconv.Itoa(port)
		t.Before = append(t.Before, transaction.Step{What: "note that " + socketUnit(key) + " is due", Do: func(context.Context) error {
			return logins(root).Set(key, t.Title)
		}})
		t.After = append(t.After, transaction.Step{What: "settle " + socketUnit(key), Do: func(ctx context.Context) error {
			return settleLogin(ctx, p.h.d, key)
		}})
	}
	if a := p.account; a != nil && slices.Contains(p.ports, a.port) {
		t.Before = append(t.Before, transaction.Step{What: "start " + socketUnit(strconv.Itoa(a.port)), Do: func(ctx context.Context) error {
			if _, err := root.MkdirAll(paths.OAuthDir, sysroot.Attr{Mode: 0o700}); err != nil {
				return err
			}
			return p.h.d.withUnits(ctx, func(u Units) error { return listen(ctx, u, strconv.Itoa(a.port)) })
		}})
		t.Files = slices.Insert(t.Files, 0, transaction.File{
			Path: accountFile(a.port), Seen: a.seen, New: a.text, Attr: sysroot.Attr{Mode: 0o600, Force: true}, Secret: true,
		})
	}
	for _, port := range p.gone {
		seen, err := root.See(accountFile(port))
		if err != nil {
			return err
		}
		t.Later = append(t.Later, transaction.File{Path: accountFile(port), Seen: seen, Secret: true})
	}
	return nil
}

// logins are the ports that systemd has to be told about.
func logins(root *sysroot.Root) transaction.Due {
	return transaction.Due{Root: root, Dir: paths.OAuthDue}
}

func (d Deps) withUnits(ctx context.Context, do func(Units) error) error {
	if d.Units == nil {
		return errNoSystemd
	}
	u, err := d.Units(ctx)
	if err != nil {
		return err
	}
	defer u.Close()
	return do(u)
}

// listen has systemd listen at a port, from now on and from each start.
func listen(ctx context.Context, u Units, port string) error {
	if err := u.Enable(ctx, socketUnit(port)); err != nil {
		return err
	}
	return u.Start(ctx, socketUnit(port))
}

// settleLogin brings systemd to what the file of a login says: with it the port is open, and whoever answers there begins anew; without it
// nothing is left. It is repeatable.
func settleLogin(ctx context.Context, d Deps, port string) error {
	if d.Units == nil { // a maintainer script, say: it stays due
		return nil
	}
	there, err := d.Root.Exists(path.Join(paths.OAuthDir, port+".json"))
	if err != nil {
		return err
	}
	err = d.withUnits(ctx, func(u Units) error {
		if there {
			return errors.Join(listen(ctx, u, port), u.Stop(ctx, serviceUnit(port)))
		}
		return errors.Join(u.Disable(ctx, socketUnit(port)), u.Stop(ctx, socketUnit(port)), u.Stop(ctx, serviceUnit(port)))
	})
	if err == nil && !there {
		err = forgetLogin(d.Root, port)
	}
	if err != nil {
		return err
	}
	return logins(d.Root).Done(port)
}

// settleLogins does what is due of logins.
func settleLogins(ctx context.Context, d Deps) error {
	ports, err := logins(d.Root).Keys()
	for _, port := range ports {
		if strings.Trim(port, "0123456789") == "" {
			err = errors.Join(err, settleLogin(ctx, d, port))
		}
	}
	return err
}

// forgetLogin removes what the OAuth relay has kept of a login, and the directories when it was the last one.
func forgetLogin(root *sysroot.Root, port string) error {
	for _, name := range []string{paths.OAuthState, paths.OAuthStateLink} { // in the second systemd has a link to what is in the first
		if err := root.RemoveTree(path.Join(name, port)); err != nil {
			return err
		}
	}
	for _, dir := range []string{paths.OAuthState, paths.OAuthStateLink, paths.OAuthDir} {
		entries, err := root.ReadDir(dir)
		if err != nil || len(entries) > 0 {
			continue // not there, or of use to others
		}
		if _, err := root.Remove(dir); err != nil {
			return err
		}
	}
	return nil
}

// UnmarshalJSON reads a login of the state; one with a port that no login has counts as none.
func (l *OAuth) UnmarshalJSON(text []byte) error {
	type plain OAuth
	if err := json.Unmarshal(text, (*plain)(l)); err != nil {
		return err
	}
	if l.Port < 1 || l.Port > 65535 {
		return errors.New("a login at no port")
	}
	return nil
}
