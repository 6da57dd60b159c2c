package smarthost

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/smarthost/table"
)

// login makes the client log in with passwords. The mechanisms that send a password as it is are let through only where the certificate was checked
// (smtp_sasl_helo_login() in Postfix's smtp/smtp_sasl_proto.c): Postfix looks a sender's account up at whatever host its mail goes to.
func (w *wishedSenders) login(below *maincf.File) {
	plain, said := below.Get("smtp_sasl_security_options")
	byHand := loginByHand(below)
	level, _ := below.Get("smtp_tls_security_level")
	if said && !contains(plain, "noplaintext", "noanonymous") && !relaysToLoopback(below) && (!byHand || strength(level) > 0) {
		w.set("smtp_sasl_security_options", "noplaintext, noanonymous")
		if _, ok := below.Get("smtp_sasl_tls_security_options"); byHand && !ok { // its default is the other one's value
			w.set("smtp_sasl_tls_security_options", "noanonymous")
		}
	}
	const verified = "smtp_sasl_tls_verified_security_options"
	for _, param := range []string{verified, "smtp_sasl_tls_security_options"} {
		if v, ok := below.Get(param); ok && !strings.Contains(v, "$") {
			if contains(v, "noplaintext") || !contains(v, "noanonymous") {
				w.set(verified, "noanonymous")
			}
			return
		}
	}
	w.set(verified, "noanonymous")
}

// loginByHand tells whether all other mail has a login that somebody made without us: it goes on as it is, with TLS and without.
func loginByHand(below *maincf.File) bool {
	on, _ := below.Get("smtp_sasl_auth_enable")
	tables, _ := below.Get("smtp_sasl_password_maps")
	return on == "yes" && strings.TrimSpace(tables) != ""
}

// relaysToLoopback tells whether all other mail goes to a program on this host, as one that logs in by OAuth 2.0, to which there is no TLS: its
// login must go on. Those of senders never go without TLS, by the policies of their relays.
func relaysToLoopback(below *maincf.File) bool {
	relayhost, _ := below.Get("relayhost")
	r, err := parseRelay(relayhost)
	return err == nil && net.ParseIP(r.host).IsLoopback()
}

// element brings a table of ours to the front of a list: what is in it was asked for.
func (p *Plan) element(w *wishedSenders, below *maincf.File, param, name string, entries []table.Entry) error {
	typ, err := p.h.typeOf(below, param, p.h.file(name))
	if err == nil {
		w.table(param, content{name: name, typ: typ, entries: entries, keyed: true}, p.h.inst.ConfigDir, false)
	}
	return err
}

func (p *Plan) wishRelays(_ context.Context, w *wishedSenders, below *maincf.File) error {
	var entries []table.Entry
	for i, a := range w.accounts {
		entries = append(entries, table.Entry{Key: a.Sender, Value: w.relays[i].dest})
	}
	return p.element(w, below, "sender_dependent_relayhost_maps", senderRelayTable, entries)
}

// wishPasswords stores the passwords. One value that has to be marked has all of them read through what takes the mark off.
func (p *Plan) wishPasswords(_ context.Context, w *wishedSenders, below *maincf.File) error {
	const param = "smtp_sasl_password_maps"
	typ, err := p.h.typeOf(below, param, p.h.file(senderPasswordTable))
	if err != nil {
		return err
	}
	t := content{name: senderPasswordTable, typ: typ, keyed: true}
	element := typ + ":" + path.Join(p.h.inst.ConfigDir, senderPasswordTable)
	marked := false
	for i, a := range w.accounts {
		if w.secrets[i] == "" {
			continue // it is lost, and that is said
		}
		value := a.User + p.h.delimiter() + string(w.secrets[i])
		marked = marked || mark(value) != value
		t.entries = append(t.entries, table.Entry{Key: a.Sender, Value: mark(value)})
	}
	if marked {
		element = "pipemap:{" + element + "," + unmark + "}"
	}
	w.additions = append(w.additions, addition{param: param, element: element})
	w.tables = append(w.tables, t)
	return nil
}

// wishCAs names the system's CAs where main.cf names none and a sender's relay is checked with them. Others are for that relay alone: a policy
// names them, and then they count instead of those in main.cf.
func (p *Plan) wishCAs(w *wishedSenders, below *maincf.File) error {
	have, _ := below.Get("smtp_tls_CAfile")
	if have == "" && slices.ContainsFunc(withPassword(w.accounts), func(a Account) bool { return a.CAFile == paths.CABundle }) {
		w.set("smtp_tls_CAfile", paths.CABundle)
	}
	return nil
}

// caInForce is the file of CAs for what no policy names another for.
func (p *Plan) caInForce(below *maincf.File) (string, error) {
	have, _ := below.Get("smtp_tls_CAfile")
	return p.expand(below, cmp.Or(have, paths.CABundle))
}

// wishPolicies asks for a checked certificate of each relay, by its name as sender_relayhost has it. Where an administrator's table asks for as
// much, his entry stays in force; one that asks for less was refused (checkPolicy).
func (p *Plan) wishPolicies(ctx context.Context, w *wishedSenders, below *maincf.File) error {
	ca, err := p.caInForce(below)
	if err != nil {
		return err
	}
	levels, files, err := w.policies()
	if err != nil {
		return err
	}
	var entries []table.Entry
	all, _ := below.Get("relayhost")
	level, _ := below.Get("smtp_tls_security_level")
	if strength(level) > strength(levels[all]) && levels[all] != "" {
		levels[all] = level // the same relay has all other mail, which must not get less
	}
	for i := range w.accounts {
		dest := w.relays[i].dest
		if levels[dest] == "" {
			continue // it has its entry
		}
		entry := table.Entry{Key: dest, Value: levels[dest]}
		if w.accounts[i].OAuth != nil { // the OAuth relay has no TLS, and ours is found before any table by hand
			entries = append(entries, entry)
			continue
		}
		if files[dest] != ca {
			entry.Value += " tafile=" + files[dest]
			if why := p.h.closed(files[dest]); why != "" {
				p.warn("mail to %s will wait: %s", dest, why)
			}
		}
		delete(levels, dest)
		by, err := p.policyByHand(ctx, below, dest)
		if err != nil {
			return err
		}
		if !by {
			entries = append(entries, entry)
		}
	}
	if len(entries) == 0 {
		return nil
	}
	return p.element(w, below, "smtp_tls_policy_maps", senderPolicyTable, entries)
}

// policies are the strictest level and the file of CAs that are asked for with each relay.
func (w *wishedSenders) policies() (levels, files map[string]string, err error) {
	levels, files = map[string]string{}, map[string]string{}
	for i, a := range w.accounts {
		dest := w.relays[i].dest
		if was, ok := files[dest]; ok && was != a.CAFile {
			return nil, nil, fmt.Errorf("cannot use two files of CAs for the relay %s, %q and %q: name the same for each of its senders", dest, was, a.CAFile)
		}
		files[dest] = a.CAFile
		if strength(a.TLS) > strength(levels[dest]) {
			levels[dest] = a.TLS
		}
	}
	return levels, files, nil
}

// policyByHand tells whether an administrator's table has a policy for a relay.
func (p *Plan) policyByHand(ctx context.Context, below *maincf.File, dest string) (bool, error) {
	elements, err := p.h.tables(below, "smtp_tls_policy_maps")
	if err != nil {
		return false, err
	}
	for _, element := range elements {
		if _, found, err := p.h.query(ctx, element, dest); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// wishGenerics keeps the addresses of senders that the relay for all mail would make its own of (--rewrite generic).
func (p *Plan) wishGenerics(_ context.Context, w *wishedSenders, below *maincf.File) error {
	if !slices.ContainsFunc(listOf(below, "smtp_generic_maps"), func(e string) bool { return refers(e, p.h.file(genericTable)) }) {
		return nil
	}
	origin, err := p.h.origin()
	if err != nil {
		return err
	}
	own := hostDomains(origin, p.h.effective["myhostname"], p.h.effective["mydestination"])
	var entries []table.Entry
	for _, a := range w.accounts {
		if slices.Contains(own, a.domain()) {
			entries = append(entries, table.Entry{Key: a.Sender, Value: a.Sender})
		}
	}
	if len(entries) == 0 {
		return nil
	}
	return p.element(w, below, "smtp_generic_maps", senderGenericTable, entries)
}

// wishTransports leads senders whose relay starts TLS otherwise than all other mail to a client of their own, and past a default_transport that
// sends nothing. It gives the services that it takes from master.cf.
func (p *Plan) wishTransports(w *wishedSenders, below *maincf.File) (need []string, err error) {
	wrapped, _ := below.Get("smtp_tls_wrappermode")
	usual, _ := below.Get("default_transport")
	_, hop, _ := strings.Cut(usual, ":")
	fixed := hop != "" && !strings.Contains(usual, "$") // a next hop there counts before a sender's relay (trivial-rewrite(8))
	var entries []table.Entry
	for i, a := range w.accounts {
		switch {
		case a.OAuth != nil, *a.Wrapper != (wrapped == "yes"):
			service := serviceFor(a)
			if !slices.Contains(need, service) {
				need = append(need, service)
			}
			entries = append(entries, table.Entry{Key: a.Sender, Value: service + ":" + w.relays[i].dest})
		case fixed || strings.HasPrefix(usual, "error") || usual == answers.Waiting()["default_transport"]:
			entries = append(entries, table.Entry{Key: a.Sender, Value: "smtp:" + w.relays[i].dest})
		}
	}
	p.warnOfSenders(w, below, len(need) > 0)
	if len(entries) == 0 {
		return need, nil
	}
	return need, p.element(w, below, "sender_dependent_default_transport_maps", senderTransportTable, entries)
}

// warnOfSenders tells which mail of the senders goes another way.
func (p *Plan) warnOfSenders(w *wishedSenders, below *maincf.File, own bool) {
	if v, _ := below.Get("transport_maps"); v != "" {
		where := "if its certificate is checked"
		if opts, ok := below.Get("smtp_sasl_tls_security_options"); ok && !contains(opts, "noplaintext") { // which the login for all mail needs
			where = "over TLS, whoever it is: a policy in smtp_tls_policy_maps with the level verify holds that back"
		}
		p.warn("transport_maps = %s: mail with an entry there goes another way than over its sender's relay; Postfix offers the sender's account "+
			"to that host as well, %s", v, where)
	}
	if own && p.h.effective["relay_domains"] != "" {
		p.warn("relay_domains = %s: mail for these does not go through a client of the sender's own, so not over a relay that starts TLS in another way; "+
			"with a login by OAuth 2.0 it waits",
			p.h.effective["relay_domains"])
	}
	v, _ := below.Get("default_transport")
	if !slices.Contains([]string{"", "smtp", answers.Waiting()["default_transport"]}, v) && !strings.HasPrefix(v, "error") {
		p.warn("default_transport = %s: mail goes to a sender's relay only if that leads to the smtp client", v)
	}
}

// checkClients refuses what master.cf says otherwise for the clients that the senders' mail may go through.
func (p *Plan) checkClients(w wishedSenders, below *maincf.File) error {
	name := p.h.file("master.cf")
	data, err := p.h.d.Root.ReadFile(name)
	if err != nil {
		return fmt.Errorf("cannot read the services: %w", err)
	}
	services, err := mastercf.Parse(data)
	if err != nil {
		return fmt.Errorf("cannot parse %q: %w", name, err)
	}
	usual, _ := below.Get("default_transport")
	client, _, _ := strings.Cut(usual, ":")
	for _, s := range services.Services() {
		if s.Type == "unix" && slices.Contains([]string{"smtp", "relay", client}, s.Name) {
			if err := p.checkService(append(withPassword(w.accounts), w.accounts[0])[0].options(), s, w.settings); err != nil {
				return err
			}
		}
	}
	return nil
}
