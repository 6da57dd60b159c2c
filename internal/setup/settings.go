package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/maincf"
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
	asked := p.mailerType() != answers.NoConfiguration && !p.Held
	due := p.migrationEdits(p.h.main)
	if !asked && len(due) == 0 {
		return nil
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
		if _, err := f.Apply(p.firstEdits(ctx)...); err != nil {
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
	if asked {
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
	return p.write(paths.MainCF, f.Bytes(), sysroot.Attr{Mode: 0o644}, paths.MainTemplate, model)
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

// template is Debian's main.cf.debian, with its TLS part where ssl-cert's key pair exists (2.24 of Debian's decisions).
func (p *Plan) template() ([]byte, error) {
	text, err := p.d.Root.ReadFile(paths.MainTemplate)
	if err != nil {
		return nil, fmt.Errorf("cannot read %q (re-install the package postfix): %w", paths.MainTemplate, err)
	}
	hasKey, err := p.d.Root.Exists(paths.SnakeoilKey)
	if err != nil || !hasKey {
		return text, err
	}
	tls, err := p.d.Root.ReadFile(paths.TLSTemplate)
	if errors.Is(err, fs.ErrNotExist) {
		return text, nil
	}
	return append(text, tls...), err
}

// firstEdits are what a new main.cf states besides the answers.
func (p *Plan) firstEdits(ctx context.Context) []maincf.Edit {
	aliasMaps := "hash:" + paths.Aliases
	if p.nisAliases(ctx) {
		aliasMaps += ", nis:mail.aliases"
	}
	edits := []maincf.Edit{
		maincf.Set("smtpd_relay_restrictions", "permit_mynetworks permit_sasl_authenticated defer_unauth_destination"),
		maincf.Set("alias_maps", aliasMaps),
		maincf.Set("alias_database", "hash:"+paths.Aliases),
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
// renamed does not keep its builder's name (M04); a name that Postfix refuses is never written (M01, M02, #991950).
func (p *Plan) hostnameEdit() []maincf.Edit {
	fqdn, computed := p.req.Facts.FQDN, p.req.Facts.Computed
	if err := answers.CheckHostname(fqdn); err == nil {
		if fqdn == computed {
			return nil
		}
		return []maincf.Edit{maincf.Set("myhostname", fqdn)}
	} else if fqdn != "" {
		p.warn("host name %q can't be Postfix's myhostname: %v; set the host's name (hostnamectl) or myhostname in %s", fqdn, err, paths.MainCF)
	}
	if answers.CheckHostname(computed) == nil {
		return nil
	}
	return []maincf.Edit{maincf.Set("myhostname", "localhost")} // else Postfix does not start; nameless sees to the type
}

// edits are the wishes as edits of main.cf.
func (p *Plan) edits() []maincf.Edit {
	var edits []maincf.Edit
	if p.origin {
		edits = append(edits, maincf.Set("myorigin", paths.Mailname))
	}
	for _, s := range simple {
		v, write := p.wish(s.q)
		switch {
		case !write:
		case s.q == answers.RelayHost && p.fresh && !p.mailerType().Relays() && !p.effected[s.q].Answered:
			edits = append(edits, maincf.Set(s.param, ""))
		case s.q == answers.MyNetworks && strings.TrimSpace(v) == "":
			edits = append(edits, maincf.Unset(s.param))
		default:
			edits = append(edits, maincf.Set(s.param, v))
		}
	}
	edits = append(edits, p.procmailEdit()...)
	return append(edits, p.typeEdits()...)
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

// typeEdits writes what the general type stands for, only when the type itself is new or changed.
func (p *Plan) typeEdits() []maincf.Edit {
	v, write := p.wish(answers.MailerType)
	if !write {
		return nil
	}
	t := answers.Type(v)
	listen := "all"
	if t == answers.LocalOnly || t == answers.Satellite {
		listen = "loopback-only"
	}
	if p.fresh && !p.effected[answers.MailerType].Answered && listen == "all" {
		listen = "loopback-only"
		p.warn("nobody chose the type of this mail system: it listens on the loopback interface only; " +
			"choose with \"dpkg-reconfigure postfix\", or preseed postfix/main_mailer_type")
	}
	edits := []maincf.Edit{maincf.Set("inet_interfaces", listen)}
	if !p.fresh && t != answers.LocalOnly && value(p.h.main, "myhostname", "") == "localhost" {
		edits = append(append(edits, maincf.Unset("myhostname")), p.hostnameEdit()...) // ours, until the host had a name
	}
	was := "smtp"
	if p.h.main != nil {
		was = value(p.h.main, "default_transport", "smtp")
	}
	switch {
	case t == answers.LocalOnly && was != "error":
		edits = append(edits, maincf.Set("default_transport", "error"), maincf.Set("relay_transport", "error"))
	case t != answers.LocalOnly && was == "error": // a transport that the administrator chose is kept (#988538)
		edits = append(edits, maincf.Set("default_transport", "smtp"), maincf.Set("relay_transport", "smtp"))
	}
	if base := answers.Type(p.h.state.Base()[answers.MailerType]); base.Relays() && !t.Relays() {
		edits = append(edits, maincf.Set("relayhost", ""))
	}
	return edits
}
