package smarthost

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/smarthost/table"
)

// Senders gives the accounts of single senders that were added to an instance, without passwords.
func Senders(d Deps, inst instance.Instance) []Account { return loadState(d.Root, inst).accounts() }

// Add plans a relay and a login for the mail of one sender. What is in force for all other mail stays as it is.
func Add(ctx context.Context, d Deps, inst instance.Instance, a Account) (*Plan, error) {
	p, err := openSenders(ctx, d, inst)
	if err != nil {
		return nil, err
	}
	wished := a
	p.planned = func() (*Plan, error) { return Add(ctx, d, inst, wished) }
	a, login, err := d.withSenderLogin(p.old, a)
	if err != nil {
		return nil, err
	}
	a, r, err := a.resolve()
	if err != nil {
		return nil, err
	}
	if why := p.h.closed(a.CAFile); a.CAFile != "" && why != "" {
		return nil, fmt.Errorf("cannot check the certificate of %s: %s", r.dest, why)
	}
	accounts := slices.Clone(p.old.accounts())
	i := find(accounts, a.Sender)
	if i < 0 {
		accounts, i = append(accounts, Account{}), len(accounts)
	} else if was, err := accounts[i].options().relay(); err != nil || was.dest != r.dest || accounts[i].User != a.User {
		p.warn("%s had the relay %s and the account %s: they are replaced", a.Sender, accounts[i].At(), accounts[i].User)
	}
	accounts[i] = a
	if written, err := parseRelay(a.Relay); err == nil && written.dest != r.dest {
		p.warn("with a login %s is taken as %s: one host, whose name its certificate must have, and at the port for submission if none is named",
			written.dest, r.dest)
	}
	return p, p.restack(ctx, accounts, login)
}

// Remove plans to take a sender's relay and login out again: its mail goes the way of all other.
func Remove(ctx context.Context, d Deps, inst instance.Instance, sender string) (*Plan, error) {
	if err := CheckSender(sender); err != nil {
		return nil, err
	}
	p, err := openSenders(ctx, d, inst)
	if err != nil {
		return nil, err
	}
	p.planned, p.takes = func() (*Plan, error) { return Remove(ctx, d, inst, sender) }, true
	accounts := slices.Clone(p.old.accounts())
	i := find(accounts, sender)
	if i < 0 {
		p.warn("no relay was added by postfix-maint for the sender %s of instance %q: there is nothing to remove", sender, inst.Name)
	} else {
		accounts = slices.Delete(accounts, i, i+1)
	}
	return p, p.restack(ctx, accounts, nil)
}

func openSenders(ctx context.Context, d Deps, inst instance.Instance) (*Plan, error) {
	h, err := look(ctx, d, inst)
	if err != nil {
		return nil, err
	}
	return &Plan{h: h, old: h.state}, nil
}

// restack plans other senders on the relay for all mail, which is left alone. login is a login of theirs that was just made.
func (p *Plan) restack(ctx context.Context, accounts []Account, login *accountPlan) error {
	p.sayDamaged()
	base, kept, err := p.old.upper().strip(p.h.live)
	if err != nil {
		return err
	}
	p.changedSince(kept, "smarthost add", "stays")
	p.state.Options, p.state.layer, p.state.Root = p.old.Options, p.old.layer, p.old.Root
	p.planAccount(login, accounts)
	after, tables, err := p.putSenders(ctx, base, accounts)
	if err != nil {
		return err
	}
	if after, err = p.keepLines(after); err != nil {
		return err
	}
	if after, err = p.keepAccounts(base, after); err != nil {
		return err
	}
	if p.after, err = toward(p.h.live, after); err != nil {
		return err
	}
	if err := p.addTables(tables, senderTables); err != nil {
		return err
	}
	return p.addMain()
}

// putSenders puts the layer of the senders on a main.cf that has all the rest, and gives its tables.
func (p *Plan) putSenders(ctx context.Context, below *maincf.File, accounts []Account) (*maincf.File, []content, error) {
	w, need, err := p.wishSenders(ctx, below, accounts)
	if err != nil {
		return nil, nil, err
	}
	services, err := p.planMaster(need)
	if err != nil {
		return nil, nil, err
	}
	after, l, err := w.put(below)
	if err != nil {
		return nil, nil, err
	}
	if len(w.accounts) > 0 {
		p.state.Senders = &senders{Accounts: w.accounts, layer: l, Services: services, Idle: p.idle()}
	}
	return after, w.tables, nil
}

// wishedSenders are the wishes for all senders together.
type wishedSenders struct {
	wishes
	accounts []Account // as they are remembered
	relays   []relay   // of the accounts
	secrets  []Secret
}

// wishSenders decides what the accounts need, and which services of ours in master.cf. below is main.cf without them.
func (p *Plan) wishSenders(ctx context.Context, below *maincf.File, accounts []Account) (w wishedSenders, need []string, err error) {
	if len(accounts) == 0 {
		return w, nil, nil
	}
	for _, a := range accounts {
		if err := p.takeAccount(ctx, &w, below, a); err != nil {
			return w, nil, err
		}
	}
	w.set("smtp_sender_dependent_authentication", "yes")
	w.set("smtp_sasl_auth_enable", "yes")
	if len(withPassword(w.accounts)) > 0 {
		w.login(below)
	}
	if err := p.wishCAs(&w, below); err != nil {
		return w, nil, err
	}
	for _, add := range []func(context.Context, *wishedSenders, *maincf.File) error{p.wishRelays, p.wishPasswords, p.wishPolicies, p.wishGenerics} {
		if err := add(ctx, &w, below); err != nil {
			return w, nil, err
		}
	}
	need, err = p.wishTransports(&w, below)
	if err == nil {
		err = p.checkClients(w, below)
	}
	return w, need, err
}

// takeAccount looks at one account: whether it can work, and with which password.
func (p *Plan) takeAccount(ctx context.Context, w *wishedSenders, below *maincf.File, a Account) error {
	a, r, err := a.resolve()
	if err != nil {
		return err
	}
	if a.CAFile == "" && a.OAuth == nil { // what is in force now for all relays; it may go with that for all mail
		inForce, _ := below.Get("smtp_tls_CAfile")
		if a.CAFile, err = p.expand(below, cmp.Or(inForce, paths.CABundle)); err != nil {
			return err
		}
	}
	o, f := a.options(), facts{dir: p.h.inst.ConfigDir, base: below}
	for _, step := range []func() error{
		func() error { return p.h.checkLoop(r) },
		func() error { return p.h.checkSenderLogin(a) },
		func() error { return p.checkCA(o, f) },
		func() error { return p.checkSASL(o) },
		func() error { return p.checkNames(o, r) },
		func() error { return p.checkPolicy(ctx, o, r, f) },
		func() error { return p.checkOthers(ctx, a, below) },
	} {
		if err := step(); err != nil && p.takes {
			p.warn("sender %s: %v", a.Sender, err)
		} else if err != nil {
			return fmt.Errorf("sender %s: %w", a.Sender, err)
		}
	}
	password, err := p.passwordOf(a, r)
	if err != nil && p.takes {
		p.warn("%v", err)
	} else if err != nil {
		return err
	}
	a.Password = ""
	w.accounts, w.relays, w.secrets = append(w.accounts, a), append(w.relays, r), append(w.secrets, password)
	return nil
}

// passwordOf is what a sender's account logs in with: what was given, else what is stored.
func (p *Plan) passwordOf(a Account, r relay) (password Secret, err error) {
	if password = a.Password; password == "" {
		if password, err = p.h.storedFor(a, r); err != nil {
			return "", err
		}
	}
	if password == "" {
		password = p.h.storedLocal(a)
	}
	if password == "" && a.OAuth != nil {
		return "", fmt.Errorf("the login of the sender %[1]s by OAuth 2.0 is gone: log in again with \"smarthost login --sender %[1]s\", "+
			"or take it out with \"smarthost remove %[1]s\"", a.Sender)
	}
	if password == "" {
		return "", fmt.Errorf("there is no password for the account %q of the sender %s at %s: give one with --password-file or --password-stdin",
			a.User, a.Sender, r.dest)
	}
	return password, nil
}

// closed tells why Postfix's client can't read a file of CAs for one relay, "" if it can: it opens that late, as its own user
// (tls_dane_load_trustfile() in Postfix's tls/tls_dane.c), while smtp_tls_CAfile is opened by root.
func (h *host) closed(name string) string {
	fi, err := h.d.Root.Stat(name)
	if err != nil || fi.Mode().Perm()&0o004 != 0 {
		return "" // one that is missing is said elsewhere
	}
	return fmt.Sprintf("Postfix's client reads the CAs of one relay as its own user, and %q is not for everybody: \"chmod o+r\" it, it holds no secret", name)
}

// storedFor is the password that the table has for a sender, as long as it is that of the same account at the same host.
func (h *host) storedFor(a Account, r relay) (Secret, error) {
	text, err := h.read(h.current(senderPasswordTable))
	if err != nil {
		return "", err
	}
	i := find(h.state.accounts(), a.Sender)
	if i < 0 || (h.state.accounts()[i].OAuth == nil) != (a.OAuth == nil) {
		return "", nil
	}
	was, err := h.state.accounts()[i].options().relay()
	value, there := table.Lookup(text, a.Sender)
	if err != nil || !there || was.host != r.host {
		return "", nil
	}
	element := ""
	for _, e := range listOf(h.live, "smtp_sasl_password_maps") {
		if refers(e, h.file(senderPasswordTable)) {
			element = e
		}
	}
	user, password, _ := strings.Cut(unmarked(value, element), h.delimiter())
	if user != a.User {
		return "", nil
	}
	return Secret(password), nil
}

// checkOthers looks for what an administrator's tables say of a sender. An entry for its own address comes after ours; one that stands for
// every address of a domain would be found before ours for the domain, and an account that is another's would be tried at our relay.
func (p *Plan) checkOthers(ctx context.Context, a Account, below *maincf.File) error {
	key := a.Sender
	if strings.HasPrefix(key, "@") {
		key = "postfix-maint-asks" + key
	}
	for _, param := range []string{"sender_dependent_relayhost_maps", "smtp_sasl_password_maps", "sender_dependent_default_transport_maps"} {
		elements, err := p.h.tables(below, param)
		if err != nil {
			return err
		}
		for _, element := range elements {
			_, found, err := p.h.queryIfAble(ctx, element, key)
			if err != nil {
				return err
			}
			_, shown, _ := strings.Cut(maincf.Show(param, element), " = ")
			switch {
			case found && key != a.Sender:
				return fmt.Errorf("%s has a table (%s) with an entry for every address of the domain, which is found before that for %s: "+
					"take it out first, or name each address of its own", param, shown, a.Sender)
			case found && param != "smtp_sasl_password_maps":
				p.warn("%s has a table (%s) with an entry for %s: that of postfix-maint is found before it", param, shown, a.Sender)
			}
		}
	}
	return nil
}
