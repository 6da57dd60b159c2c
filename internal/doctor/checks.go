package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"postfix-maint/internal/paths"
)

var tableChecks = []Check{
	{
		// No repair: packages are apt's.
		ID: "table-type-missing", Area: "tables", Bad: Broken, Gate: true, Title: "a map type that is not installed",
		Why: "the daemons that look there defer all mail (DATABASE_README; postconf -m lists the types)",
		Do:  `"apt install %s", or name another type`,
		Look: each(func(f *Facts, t Table) (string, string) {
			if f.Types == nil || f.Types[t.Type] || t.gone(f) {
				return "", ""
			}
			return "type " + t.Type + " of " + t.Path, "postfix-" + t.Type
		}),
	},
	{
		// No repair: an empty table would take away what its absence defers.
		ID: "table-missing", Area: "tables", Bad: Broken, Gate: true, Title: "a lookup table is missing",
		Why: "the daemons that look there defer all mail (DATABASE_README)",
		Do:  "make the file, or take it out of the setting",
		Look: each(func(_ *Facts, t Table) (string, string) {
			if t.Text || t.Indexed && t.Index {
				return "", ""
			}
			return "there is no " + t.Path, ""
		}),
	},
	{
		ID: "index-missing", Area: "tables", Bad: Broken, Gate: true, Repair: Safe, Title: "a lookup table has no index",
		Why: "Postfix reads the index and not the text; the daemons that look there defer all mail (postmap(1))",
		Do:  `"%s"`,
		Look: each(func(f *Facts, t Table) (string, string) {
			if !t.Text || !t.Indexed || t.Index || t.gone(f) { // "type-given-up" says what to do about that
				return "", ""
			}
			return t.Path + " has none", t.remedy()
		}),
	},
	{
		ID: "index-old", Area: "tables", Bad: Risk, Repair: Safe, Title: "a lookup table is newer than its index",
		Why: "what was changed in the text is not in force (postmap(1))",
		Do:  `"%s"`,
		Look: each(func(f *Facts, t Table) (string, string) {
			if !t.Old || t.gone(f) {
				return "", ""
			}
			return t.Path + " was changed since", t.remedy()
		}),
	},
	{
		// No repair: who is to read root's mail people decide.
		ID: "root-mail", Area: "tables", Bad: Risk, Title: "root's mail goes nowhere",
		Why: "reports of cron and of the system go to root; mail to an account that is not there bounces, and the bounce to root as well (aliases(5))",
		Do:  "name an account or an address that there is, then \"newaliases\"",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			for _, r := range i.Root {
				found(Seen{File: i.Aliases, Line: i.RootLine, What: "root leads to " + r + ", which is neither an account nor an alias"})
			}
		},
	},
}

// each is a check of every table of an instance.
func each(do func(f *Facts, t Table) (what, remedy string)) func(*Facts, *Instance, func(Seen)) {
	return func(f *Facts, i *Instance, found func(Seen)) {
		for _, t := range i.Tables {
			if what, remedy := do(f, t); what != "" {
				s := Seen{File: t.File, Line: t.Line, What: t.Parameter + ": " + what, Do: remedy}
				if t.Text && t.Indexed && t.Safe && (f.Types == nil || f.Types[t.Type]) { // what people wrote is all that the index is made of
					s.Fix = []Act{t.act()}
				}
				found(s)
			}
		}
	}
}

// act makes the index.
func (t Table) act() Act {
	a := Act{Deed: Index, Path: t.Path, Name: t.Type}
	if t.aliases() {
		a.Value = paths.Postalias
	} else {
		a.Value = paths.Postmap
	}
	return a
}

// aliases tells of a table whose text is one of aliases, which postmap(1) would take for something else.
func (t Table) aliases() bool {
	return t.Aliases || t.Parameter == "alias_maps" || t.Parameter == "alias_database"
}

// remedy is the program that makes the index.
func (t Table) remedy() string {
	switch {
	case t.Aliases:
		return "newaliases"
	case t.aliases(): // newaliases(1) makes what alias_database names
		return "postalias " + t.Type + ":" + t.Path
	}
	return "postmap " + t.Type + ":" + t.Path
}

var chrootChecks = []Check{
	{
		// Every start does the same, and what is written are copies.
		ID: "chroot-stale", Area: "chroot", Bad: Risk, Repair: Safe, Title: "the chroot is not in step with the host",
		Why: "chrooted daemons see old name servers, libraries or certificates, or none (BASIC_CONFIGURATION_README, chroot)",
		Do:  `"postfix-maint chroot sync"`,
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			if len(i.Missed) > 0 {
				found(Seen{File: i.QueueDir, What: list(i.Missed), Fix: []Act{{Deed: Chroot}}})
			}
		},
	},
	{
		// No repair: a refresh has been tried by "chroot-stale", and the rest is another program's or a wrong name.
		ID: "chroot-unreachable", Area: "chroot", Bad: Broken, Title: "a chrooted service cannot reach what its configuration names",
		Why: "after chroot(2) only what is in the queue directory is there; the service defers mail",
		Do:  `"postfix-maint chroot check" says more; start that server, correct its name, or take the service out of the chroot`,
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			for _, u := range i.Unreach {
				gone := slices.ContainsFunc(i.Tables, func(t Table) bool { return !t.Text && !t.Index && strings.Contains(u, `"`+t.Path+`"`) })
				if !gone { // a table that is nowhere is told of already
					found(Seen{What: u})
				}
			}
		},
	},
}

// certificateSoon is how long before its end a certificate is a risk.
const certificateSoon = 14 * 24 * time.Hour

var trustChecks = []Check{
	{
		// No repair: whatever made it has to.
		ID: "certificate-ended", Area: "trust", Bad: Broken, Title: "the server's certificate has ended",
		Why: "clients that check it refuse to send (RFC 5280, 4.1.2.5)",
		Do:  "renew it, then \"systemctl reload %s\"",
		Look: func(f *Facts, i *Instance, found func(Seen)) {
			if i.TLS != "" && !i.Ends.IsZero() && !i.Ends.After(f.Now) {
				found(Seen{File: i.EndsFile, What: "it ended on " + i.Ends.Format("2006-01-02"), Do: i.Unit})
			}
		},
	},
	{
		ID: "certificate-ends", Area: "trust", Bad: Risk, Title: "the server's certificate ends soon",
		Why: "whatever renews it should have done so by now",
		Do:  "renew it, then \"systemctl reload %s\"",
		Look: func(f *Facts, i *Instance, found func(Seen)) {
			if i.TLS != "" && i.Ends.After(f.Now) && i.Ends.Before(f.Now.Add(certificateSoon)) {
				found(Seen{File: i.EndsFile, What: "it ends on " + i.Ends.Format("2006-01-02"), Do: i.Unit})
			}
		},
	},
	{
		// No repair: nothing of ours makes it.
		ID: "file-missing", Area: "trust", Bad: Broken, Gate: true, Title: "a file for TLS is missing",
		Why: "the server offers no TLS, or the client defers mail that needs it (TLS_README)",
		Do:  "put the file there, or correct the name",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			for _, n := range i.Files {
				if n.Missing {
					found(Seen{File: n.File, Line: n.Line, What: n.Parameter + ": there is no " + n.Path})
				}
			}
		},
	},
	{
		// Another program may count on what everybody may do.
		ID: "secret-readable", Area: "trust", Bad: Risk, Repair: ByID, Title: "everybody may read a secret",
		Why: "who has the key or the password is this host, or its account, to others (TLS_README, SASL_README)",
		Do:  `"chmod o= %s"`,
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			for _, n := range i.Files {
				if n.Secret && n.Readable && !n.Missing {
					found(Seen{File: n.File, Line: n.Line, What: n.Parameter + ": " + n.Path, Do: n.Path, Fix: []Act{{Deed: Mode, Path: n.Path, Bits: 0o007}}})
				}
			}
		},
	},
	{
		// Clients that have no TLS cannot log in any more.
		ID: "login-without-tls", Area: "trust", Bad: Risk, Repair: ByID, Title: "clients may log in without TLS",
		Why: "their passwords can be read on the way (postconf(5), smtpd_tls_auth_only)",
		Do:  `"postconf -e smtpd_tls_auth_only=yes" and "systemctl reload %s"`,
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			auth, line := i.param("smtpd_sasl_auth_enable")
			only, _ := i.param("smtpd_tls_auth_only")
			options, _ := i.param("smtpd_sasl_security_options")
			var fix []Act
			if i.TLS != "" { // or nobody could log in
				fix = []Act{{Deed: Set, Name: "smtpd_tls_auth_only", Value: "yes"}}
			}
			if strings.EqualFold(auth, "yes") && !strings.EqualFold(only, "yes") && i.TLS != "encrypt" && !strings.Contains(options, "noplaintext") {
				found(Seen{File: i.mainCF(), Line: line, What: "smtpd_sasl_auth_enable = yes without smtpd_tls_auth_only", Do: i.Unit, Fix: fix})
			}
		},
	},
	{
		// No repair: with a level that the relay does not offer no mail would go out any more.
		ID: "relay-login-without-tls", Area: "trust", Bad: Risk, Title: "the login at the relay may go without TLS",
		Why: "whoever is on the way can strip STARTTLS and read the password (postconf(5), smtp_tls_security_level)",
		Do:  `"postfix-maint smarthost set --tls verify"`,
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			auth, line := i.param("smtp_sasl_auth_enable")
			level, _ := i.param("smtp_tls_security_level")
			relay, _ := i.param("relayhost")
			options, set := i.param("smtp_sasl_security_options")
			refused := set == 0 || strings.Contains(options, "noplaintext")
			if strings.EqualFold(auth, "yes") && relay != "" && !strings.HasPrefix(relay, "[127.0.0.1]:") && !refused && (level == "" || level == "none" || level == "may") {
				found(Seen{File: i.mainCF(), Line: line, What: fmt.Sprintf("smtp_sasl_auth_enable = yes with smtp_tls_security_level = %s", level)})
			}
		},
	},
	{
		// No repair: only a person can log in.
		ID: "relay-login", Area: "trust", Bad: Broken, Title: "the login at the relay by OAuth 2.0 is worth nothing any more",
		Why: "all mail for elsewhere waits until somebody logs in again",
		Do:  "%s",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			if i.RelayLogin != "" {
				found(Seen{File: i.mainCF(), Line: i.lineOf("relayhost"), What: i.RelayLogin, Do: i.RelayCure})
			}
		},
	},
	{
		// No repair: which of the hosts that the DNS names is meant only its owner knows.
		ID: "relay-name", Area: "trust", Bad: Risk, Title: "the DNS chooses the host that gets the password",
		Why: "whoever answers for the DNS names another one (TLS_README, security levels)",
		Do:  "do as it says",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			for _, n := range i.RelayNotes {
				_, line := i.param("relayhost")
				found(Seen{File: i.mainCF(), Line: line, What: n})
			}
		},
	},
	{
		// No repair: the password is gone.
		ID: "sender-login-missing", Area: "trust", Bad: Broken, Title: "a sender's own relay has no login",
		Why: "Postfix finds no password for the sender, goes there without one, and the relay refuses the mail (SASL_README, sender-dependent authentication)",
		Do:  "%s",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			for _, sender := range i.NoLogin {
				_, line := i.param("smtp_sasl_password_maps")
				found(Seen{File: i.mainCF(), Line: line, What: "nothing for " + sender + " in smtp_sasl_password_maps",
					Do: fmt.Sprintf("\"postfix-maint smarthost add --sender %s --password-file FILE\"", sender)})
			}
		},
	},
}

// fewInodes are as many as a busy moment takes.
const fewInodes = 1000

var queueChecks = []Check{
	{
		// No repair: what may go only people know.
		ID: "disk-full", Area: "queue", Bad: Broken, Gate: true, Title: "no room for mail",
		Why: "smtpd(8) refuses mail if less is free than queue_minfree or one and a half times message_size_limit (postconf(5))",
		Do:  "make room where the queue is, or lower message_size_limit",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			if i.Free.Known && i.Free.Bytes < i.Free.Need {
				found(Seen{File: i.QueueDir, What: fmt.Sprintf("%d MB are free, %d MB are needed", i.Free.Bytes>>20, i.Free.Need>>20)})
			}
		},
	},
	{
		ID: "inodes-full", Area: "queue", Bad: Broken, Gate: true, Title: "no room for more files",
		Why: "each message is a file, and several for a moment",
		Do:  "remove files where the queue is",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			if i.Free.Known && !i.Free.NoInodes && i.Free.Inodes < fewInodes {
				found(Seen{File: i.QueueDir, What: fmt.Sprintf("%d inodes are free", i.Free.Inodes)})
			}
		},
	},
	{
		// What is root's, each start sets right (postfix-script). Another account has it because somebody wanted that.
		ID: "queue-owner", Area: "queue", Bad: Broken, Gate: true, Repair: Safe, Title: "a directory of the queue has a wrong owner",
		Why: "daemons that run as mail_owner cannot work there (postfix check)",
		Do:  `"postfix set-permissions" after a look at the owners of main.cf's mail_owner and setgid_group`,
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			for _, o := range i.Owners {
				s := Seen{File: i.QueueDir, What: o.What}
				if o.Root {
					s.Fix = []Act{{Deed: Owner, Path: o.Dir, ID: o.UID, Name: o.Name}}
				}
				found(s)
			}
		},
	},
	{
		// No repair: it may be the only copy of a message.
		ID: "corrupt-mail", Area: "queue", Bad: Advice, Title: "there is mail that Postfix could not read",
		Why: "qmgr(8) puts a damaged message aside and never tries it again",
		Do:  `look at it with "postcat -q ID", and delete it or put it right by hand`,
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			if i.Corrupt > 0 {
				found(Seen{File: i.QueueDir + "/corrupt", What: fmt.Sprintf("messages: %d", i.Corrupt)})
			}
		},
	},
}

var layerChecks = []Check{
	{
		// What a create or a remove of an instance left is large, and only one of these ends it.
		ID: "work-interrupted", Area: "layer", Bad: Risk, Repair: Safe, Title: "a command was interrupted",
		Why: "part of its change may be in force",
		Do: "the next command that changes something ends it, as \"postfix-maint chroot sync\"; " +
			"what was about an instance, the next \"postfix-maint instance create\", \"enable\", \"disable\" or \"remove\" of any",
		Look: func(f *Facts, _ *Instance, found func(Seen)) {
			for _, w := range f.Work {
				s := Seen{File: w, What: "its journal is there, and no command is at work"}
				if w == paths.Transaction {
					s.Fix = []Act{{Deed: Ended, Path: w}}
				}
				found(s)
			}
		},
	},
	{
		// No repair: it asks an administrator.
		ID: "conffile-question", Area: "layer", Bad: Advice, Title: "a new version of a configuration file waits",
		Why: "dpkg put the package's version beside the edited one (deb-conffiles(5))",
		Do:  "take over what is new, then remove it",
		Look: func(f *Facts, _ *Instance, found func(Seen)) {
			for _, l := range f.Leftovers {
				found(Seen{File: l, What: "it is not in use"})
			}
		},
	},
}

// list names a few of many.
func list(all []string) string {
	const most = 5
	if len(all) <= most {
		return strings.Join(all, " ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:most], " "), len(all)-most)
}
