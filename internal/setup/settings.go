package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/notes"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// restartParams need a new master process; all others are taken up by a reload (postconf(5): "You need to stop and start
// Postfix when this parameter changes").
var restartParams = map[string]bool{"inet_interfaces": true, "inet_protocols": true}

// mainCF plans the one write of main.cf: Debian's template where there is none, edited as little as the wishes ask for.
func (p *Plan) mainCF(ctx context.Context) error {
	if err := p.otherInstances(); err != nil {
		return err
	}
	configures := p.mailerType() != answers.NoConfiguration && !p.Held
	due := p.migrationEdits(p.h.main)
	if !configures && len(due) == 0 {
		return nil
	}
	if err := p.sayKeyPair(); err != nil {
		return err
	}
	f, old, model := p.h.main, []byte(nil), []byte(nil)
	if f == nil {
		text, err := p.template()
		if err != nil {
			return err
		}
		model = text
		if f, err = maincf.Parse(text); err != nil {
			return fmt.Errorf("cannot understand template %q: %w", paths.MainTemplate, err)
		}
		if _, err := f.Apply(p.firstEdits(ctx, f)...); err != nil {
			return err
		}
	} else {
		old = f.Bytes()
		var err error
		if f, err = maincf.Parse(old); err != nil {
			return err
		}
	}
	edits := due
	if configures {
		edits = append(edits, p.holdRelay(p.edits())...)
	}
	if p.written {
		return nil
	}
	if _, err := f.Apply(edits...); err != nil {
		return err
	}
	p.journal.After = mainSum(f)
	whole, err := maincf.Parse(f.Bytes())
	if err != nil {
		return err
	}
	if _, err := whole.Apply(p.relayEdits...); err != nil {
		return err
	}
	p.h.after, p.action = whole, actionFor(p.h.main, f)
	return p.write(paths.MainCF, f.Bytes(), sysroot.Attr{Mode: 0o644, Settled: true}, paths.MainTemplate, model)
}

// actionFor is what the service needs for a change of main.cf, "" where there is none or where it was not there.
func actionFor(was, is *maincf.File) string {
	if was == nil || is == nil || string(was.Bytes()) == string(is.Bytes()) {
		return ""
	}
	for name := range restartParams {
		if value(was, name, "all") != value(is, name, "all") {
			return "restart"
		}
	}
	return "reload"
}

// template is Debian's main.cf.debian with its TLS part, of which the server's half stands only where ssl-cert's key and
// certificate exist (2.24 of Debian's decisions): the client's needs neither, and a relay shall not get mail in clear without them.
func (p *Plan) template() ([]byte, error) {
	text, err := p.d.Root.ReadFile(paths.MainTemplate)
	if err != nil {
		return nil, fmt.Errorf("cannot read %q (re-install the package postfix): %w", paths.MainTemplate, err)
	}
	tls, err := p.d.Root.ReadFile(paths.TLSTemplate)
	if errors.Is(err, fs.ErrNotExist) {
		return text, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read %q: %w", paths.TLSTemplate, err)
	}
	pair, err := KeyPair(p.d.Root)
	if err != nil {
		return nil, err
	}
	part, err := maincf.Parse(tls)
	if err != nil {
		return nil, fmt.Errorf("cannot understand %q: %w", paths.TLSTemplate, err)
	}
	main, err := maincf.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("cannot understand %q: %w", paths.MainTemplate, err)
	}
	if _, err := part.Apply(tlsEdits(part, pair, value(main, "default_cache_db_type", ""))...); err != nil {
		return nil, err
	}
	return append(text, part.Bytes()...), nil
}

// tlsEdits are what is not taken of the TLS part as it is: the server's half without a key, and a cache of the type that the release gives
// up, of which its daemons warn at each start, where the release names another one.
func tlsEdits(part *maincf.File, pair bool, cache string) (edits []maincf.Edit) {
	for _, name := range part.Names() {
		rest, btree := strings.CutPrefix(value(part, name, ""), "btree:")
		switch {
		case !pair && strings.HasPrefix(name, "smtpd_"):
			edits = append(edits, maincf.Unset(name))
		case btree && cache != "":
			edits = append(edits, maincf.Set(name, cache+":"+rest))
		}
	}
	return edits
}

// sayKeyPair tells of a key for the server that came after main.cf. Nobody asked for it here, so nothing is written.
func (p *Plan) sayKeyPair() error {
	if p.h.main == nil || !p.req.Reconfigure {
		return nil
	}
	pair, err := KeyPair(p.d.Root)
	for _, n := range notes.Check(&notes.Config{Main: p.h.main, KeyPair: pair, NIS: true}) {
		if n.Name == "server-tls" {
			p.Notes = append(p.Notes, fmt.Sprintf("%s: \"postfix-maint check-config --fix %s\" writes that", n.Reason, n.Name))
		}
	}
	return err
}

// KeyPair tells whether ssl-cert's key and its certificate are there: Postfix has no use for one without the other. An ordinary user, who may
// not look for the key, has none.
func KeyPair(root *sysroot.Root) (bool, error) {
	for _, path := range []string{paths.SnakeoilKey, paths.SnakeoilCert} {
		ok, err := root.Exists(path)
		if errors.Is(err, fs.ErrPermission) {
			return false, nil
		}
		if !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// firstEdits are what a new main.cf states besides the answers, and besides the template, which may say which type tables have.
func (p *Plan) firstEdits(ctx context.Context, template *maincf.File) []maincf.Edit {
	database := value(template, "default_database_type", "hash") + ":" + paths.Aliases
	aliasMaps := database
	if p.nisAliases(ctx) {
		aliasMaps += ", nis:mail.aliases"
	}
	edits := []maincf.Edit{
		maincf.Set("smtpd_relay_restrictions", "permit_mynetworks permit_sasl_authenticated defer_unauth_destination"),
		maincf.Set("alias_maps", aliasMaps),
		maincf.Set("alias_database", database),
	}
	edits = append(edits, p.hostnameEdit()...)
	if ok, _ := p.d.Root.Exists(paths.DocChangelog); ok {
		edits = append(edits, maincf.Set("readme_directory", paths.DocDir), maincf.Set("html_directory", paths.DocDir+"/html"))
	}
	return edits
}

// nisAliases tells whether NIS serves a map of mail aliases; asked for only where the NIS client is installed.
func (p *Plan) nisAliases(ctx context.Context) bool {
	if ok, _ := p.d.Root.Exists(paths.Ypcat); !ok || !p.d.Root.IsHost() {
		return false
	}
	return p.d.Run.Run(ctx, paths.Ypcat, "mail.aliases") == nil
}

// hostnameEdit states myhostname only where Postfix would compute another one, so that an image that is cloned and
// renamed does not keep its builder's name, and never a plain one, which Postfix completes by itself (M04); a name that Postfix
// refuses is never written (M01, M02, #991950).
func (p *Plan) hostnameEdit() []maincf.Edit {
	fqdn, computed := p.req.Facts.FQDN, p.req.Facts.Computed
	if fqdn == "" && computed == "" {
		return nil // an image without a name: the host that it becomes will have one
	}
	if err := answers.CheckHostname(fqdn); err == nil {
		if fqdn == computed || !strings.Contains(fqdn, ".") && answers.CheckHostname(computed) == nil {
			return nil
		}
		return []maincf.Edit{maincf.Set("myhostname", fqdn)}
	} else if fqdn != "" {
		p.warn("host name %q can't be Postfix's myhostname: %v; set the host's name (hostnamectl) or myhostname in %s", fqdn, err, paths.MainCF)
	}
	if answers.CheckHostname(computed) == nil {
		return nil
	}
	return []maincf.Edit{maincf.Set("myhostname", "localhost")} // else Postfix does not start
}

// standsIn tells whether a main.cf has the name that stands in for one that Postfix refuses. It is known by the name that the host had then.
func (p *Plan) standsIn(f *maincf.File) bool {
	return !p.fresh && f != nil && value(f, "myhostname", "") == "localhost" &&
		p.h.state != nil && p.h.state.Host != "" && answers.CheckHostname(p.h.state.Host) != nil
}

// renameEdit takes back the name that stood in for one that Postfix refuses, once the host has a better one; only where somebody asks for
// a configuration.
func (p *Plan) renameEdit() []maincf.Edit {
	if !p.req.Reconfigure || !p.standsIn(p.h.main) {
		return nil
	}
	if edits := p.hostnameEdit(); len(edits) > 0 {
		return edits
	}
	return []maincf.Edit{maincf.Unset("myhostname")}
}

// edits are the wishes as edits of main.cf.
func (p *Plan) edits() []maincf.Edit {
	var edits []maincf.Edit
	if p.origin {
		edits = append(edits, maincf.Set("myorigin", paths.Mailname))
	}
	for _, r := range answers.Rows() {
		v, write := p.wish(r.Question)
		switch {
		case r.Param == "" || !write:
		case r.Question == answers.RelayHost && p.fresh && !p.mailerType().Relays() && !p.effected[r.Question].Answered:
			edits = append(edits, maincf.Set(r.Param, ""))
		case r.BlankUnsets && len(maincf.SplitList(v)) == 0:
			edits = append(edits, maincf.Unset(r.Param))
		case r.Question == answers.Destinations:
			edits = append(edits, maincf.Set(r.Param, p.reachable(v)))
		default:
			edits = append(edits, maincf.Set(r.Param, v))
		}
	}
	edits = append(edits, p.renameEdit()...)
	edits = append(edits, p.procmailEdit()...)
	return append(edits, p.typeEdits()...)
}

// reachable is the list of destinations to write: one that nobody saw gets the host's own names.
func (p *Plan) reachable(list string) string {
	if a := p.effected[answers.Destinations]; !a.Answered || a.Typed {
		return list
	}
	whole, added := answers.WithOwnNames(list, p.req.Facts)
	if len(added) > 0 {
		p.warn("%s: %q lacks the host's own names, and mail to root would bounce: %s stands behind it", answers.Destinations, list, strings.Join(added, ", "))
		p.completed = whole
	}
	return whole
}

// procmailEdit touches mailbox_command only to bring procmail's line or to take it away again (D07).
func (p *Plan) procmailEdit() []maincf.Edit {
	v, write := p.wish(answers.Procmail)
	switch {
	case !write:
	case answers.Equal(answers.Procmail, v, "true"):
		return []maincf.Edit{maincf.Set("mailbox_command", procmailCommand)}
	case !p.fresh:
		return []maincf.Edit{maincf.Set("mailbox_command", "")}
	}
	return nil
}
