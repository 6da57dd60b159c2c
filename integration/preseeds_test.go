//go:build integration

package integration

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// preseedFile is a preseed file of a kind that images, recipes and roles use. Each fate is four words: what becomes of mail to root, to
// an address at the host's own name, and to elsewhere, as far as a configuration decides it (here, direct, relay, waits, refused; dead
// where Postfix's programs end at once, none where nothing is configured), and who is listened to (all, self). One word, fails, stands
// for an installation that does.
type preseedFile struct {
	name   string
	text   string // without "postfix postfix/"
	debian string
	ours   string // "" where it is the same
	why    string // where it is not
}

var preseedFiles = []preseedFile{
	{"the two lines of most recipes", "main_mailer_type select Internet Site\nmailname string mail.example.test\n", "here here direct all", "", ""},
	{"the two lines in quotes", "main_mailer_type string 'Internet Site'\nmailname string mail.example.test\n", "here here direct all", "", ""},
	{"the type alone", "main_mailer_type select Internet Site\n", "here here direct all", "", ""},
	{"the mail name alone", "mailname string mail.example.test\n", "here here direct all", "here here direct self", "D17: nobody chose the type"},
	{"nothing", "", "here here direct all", "here here direct self", "D17: nobody chose the type"},
	{"a type in small letters", "main_mailer_type string internet site\nmailname string mail.example.test\n", "here here direct all", "", ""},
	{"a type of exim's", "main_mailer_type select Internet site; mail is sent and received directly using SMTP\n", "here here direct all", "here here refused self", "nobody knows what was meant: open to nobody"},
	{"no configuration in quotes", "main_mailer_type select 'No configuration'\n", "here here direct all", "none", "P02: it is what was asked for"},
	{"no configuration", "main_mailer_type select No configuration\n", "none", "", ""},
	{"the organisation's mail name", "main_mailer_type select Internet Site\nmailname string corp.example\n", "here here direct all", "", ""},
	{"a mail name that is Debian's word for the host's", "main_mailer_type select Internet Site\nmailname string ==default==\n", "here here direct all", "", ""},
	{"a mail name copied from debconf-get-selections", "main_mailer_type select Internet Site\nmailname string /etc/mailname\n", "here here direct all", "", ""},
	{"a mail name with an underscore", "main_mailer_type select Internet Site\nmailname string my_host.example.test\n", "here here direct all", "", ""},
	{"a mail name without a dot", "main_mailer_type select Internet Site\nmailname string localhost\n", "here here direct all", "", ""},
	{"a mail name with a dot at its end", "main_mailer_type select Internet Site\nmailname string mail.example.test.\n", "here here direct all", "", ""},
	{"a panel's list of destinations without the host", "main_mailer_type select Internet Site\nmailname string mail.example.test\ndestinations string localhost.localdomain, localhost\n", "here here direct all", "", ""},
	{"a hoster's list with the domain alone", "main_mailer_type select Internet Site\nmailname string corp.example\ndestinations string corp.example\n", "here here direct all", "", ""},
	{"destinations with the host", "main_mailer_type select Internet Site\nmailname string mail.example.test\ndestinations string mail.example.test, localhost\n", "here here direct all", "", ""},
	{"destinations as Debian writes them", "main_mailer_type select Internet Site\nmailname string mail.example.test\ndestinations string $myhostname, mail.example.test, localhost.example.test, , localhost\n", "here here direct all", "", ""},
	{"blank destinations", "main_mailer_type select Internet Site\nmailname string mail.example.test\ndestinations string\n", "here here direct all", "", ""},
	{"destinations with themselves", "main_mailer_type select Internet Site\nmailname string mail.example.test\ndestinations string $mydestination, example.org\n", "here here direct all", "", ""},
	{"local only", "main_mailer_type select Local only\nmailname string mail.example.test\n", "here here refused self", "", ""},
	{"local only by a monitoring role", "main_mailer_type select Local only\nmailname string localhost\nroot_address string ops@elsewhere.example\n", "refused here refused self", "", ""},
	{"a satellite with its relay host", "main_mailer_type select Satellite system\nmailname string mail.example.test\nrelayhost string [relay.example.test]:587\n", "here here relay self", "", ""},
	{"a satellite without a relay host", "main_mailer_type select Satellite system\nmailname string mail.example.test\n", "here here relay self", "here here waits self", "P04: an invented relay host gets mail that it should not"},
	{"a satellite with a blank relay host", "main_mailer_type select Satellite system\nmailname string mail.example.test\nrelayhost string\n", "here here direct self", "", ""},
	{"a smarthost", "main_mailer_type select Internet with smarthost\nmailname string mail.example.test\nrelayhost string smtp.example.test\n", "here here relay all", "", ""},
	{"a smarthost without a relay host", "main_mailer_type select Internet with smarthost\nmailname string mail.example.test\n", "here here relay all", "here here waits all", "P04: an invented relay host gets mail that it should not"},
	{"a smarthost with a blank relay host", "main_mailer_type select Internet with smarthost\nmailname string corp.example\nrelayhost string\n", "here here direct all", "direct here direct all", "D14: the mail name is the organisation's, and so is root's mail"},
	{"a smarthost and the organisation's mail name", "main_mailer_type select Internet with smarthost\nmailname string corp.example\nrelayhost string [smtp.corp.example]\n", "here here relay all", "relay here relay all", "D14: the mail name is the organisation's, and so is root's mail"},
	{"a smarthost whose relay is a MX domain and port", "main_mailer_type select Internet with smarthost\nmailname string mail.example.test\nrelayhost string corp.example:submission\n", "here here relay all", "", ""},
	{"an internet site with a relay host", "main_mailer_type select Internet Site\nmailname string mail.example.test\nrelayhost string [relay.example.test]\n", "here here relay all", "", ""},
	{"a container: IPv4, this host's networks", "main_mailer_type select Internet Site\nmailname string mail.example.test\nprotocols select ipv4\nmynetworks string 127.0.0.0/8\n", "here here direct all", "", ""},
	{"networks of a container bridge with host bits", "main_mailer_type select Internet Site\nmailname string mail.example.test\nmynetworks string 127.0.0.0/8 172.17.0.1/16\n", "here here direct all", "", ""},
	{"networks with themselves", "main_mailer_type select Internet Site\nmailname string mail.example.test\nmynetworks string $mynetworks, 10.0.0.0/8\n", "fails", "here here direct all", "Debian's installation ends half configured"},
	{"root's mail elsewhere, no limit, plus", "main_mailer_type select Internet Site\nmailname string mail.example.test\nroot_address string ops@elsewhere.example\nmailbox_limit string 0\nrecipient_delim string +\n", "direct here direct all", "", ""},
	{"everything as a full dump has it", "main_mailer_type select Internet Site\nmailname string mail.example.test\nroot_address string\nrfc1035_violation boolean false\nmynetworks string 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128\nmailbox_limit string 0\nrecipient_delim string +\nprotocols select all\nprocmail boolean false\nchattr boolean false\nrelayhost string\ndestinations string mail.example.test, localhost.example.test, localhost\n", "here here direct all", "", ""},
	{"two delimiters", "main_mailer_type select Internet Site\nmailname string mail.example.test\nrecipient_delim string +-\n", "here here direct all", "", ""},
	{"both protocols by name", "main_mailer_type select Internet Site\nmailname string mail.example.test\nprotocols select ipv4, ipv6\n", "here here direct all", "", ""},
	{"procmail as a desktop recipe has it", "main_mailer_type select Local only\nmailname string mail.example.test\nprocmail boolean true\n", "here here refused self", "", ""},
}

// fateFacts prints what a fate is read from.
const fateFacts = `
if [ -e /etc/postfix/main.cf ]; then
	postmap -q postmaster static:ok >/dev/null 2>&1 || echo 'dead = yes'
	postconf -x myhostname mydestination relayhost default_transport myorigin inet_interfaces 2>/dev/null
	echo "mailname = $(cat /etc/mailname 2>/dev/null)"
	sed -nE 's/^root: */root = /p' /etc/aliases
fi
`

// TestPreseedFiles installs with each file; with Debian's layer, which takes long, each release has half of them.
func TestPreseedFiles(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		var wait sync.WaitGroup
		for _, layer := range layers() {
			h := newHost(ctx, t, "mail", bare(ctx, t, release, layer))
			wait.Go(func() {
				for i, p := range preseedFiles {
					if half := i%2 == 0; layer == product.Debian && half != (release == hosts.Releases()[0]) {
						continue
					}
					want := p.debian
					if layer == product.Ours && p.ours != "" {
						want = p.ours
					}
					if got, err := p.install(ctx, h); err != nil || got != want {
						t.Errorf("%s, the layer of %s: %q, want %q (%s), %v", p.name, layer, got, want, p.why, err)
					}
				}
			})
		}
		wait.Wait()
	})
	for _, p := range preseedFiles {
		if (p.ours == "") != (p.why == "") || p.ours == p.debian {
			t.Errorf("%s: a difference without a reason, or the reverse", p.name)
		}
	}
}

// install takes away what was there, configures the package with the file, and gives the fate.
func (p preseedFile) install(ctx context.Context, h *hosts.Host) (string, error) {
	lines := ""
	for line := range strings.Lines(p.text) {
		lines += "postfix postfix/" + line
	}
	cmd := h.Command(ctx, "bash", "-euc", `dpkg -P postfix >/dev/null 2>&1 || :
		rm -rf /etc/postfix /etc/mailname /etc/aliases* /var/lib/postfix; echo PURGE | debconf-communicate postfix >/dev/null
		debconf-set-selections
		if ! dpkg -i /packages/postfix_*.deb > /said 2>&1; then echo 'fails = yes'; exit; fi
		`+fateFacts)
	cmd.Stdin = strings.NewReader(lines + "\n")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("cannot install: %w: %s", err, out)
	}
	facts := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(line, " =")
		facts[name] = strings.TrimSpace(value)
	}
	return fate(facts), nil
}

// fate is what becomes of mail, by what trivial-rewrite(8) does with the parameters.
func fate(facts map[string]string) string {
	switch {
	case facts["fails"] != "":
		return "fails"
	case facts["myhostname"] == "":
		return "none"
	case facts["dead"] != "":
		return "dead"
	}
	origin := facts["myorigin"]
	if origin == "/etc/mailname" {
		origin = facts["mailname"]
	}
	at := func(domain string) string {
		for member := range strings.FieldsFuncSeq(facts["mydestination"], func(r rune) bool { return r == ',' || r == ' ' }) {
			if strings.EqualFold(member, domain) {
				return "here"
			}
		}
		switch kind, _, _ := strings.Cut(facts["default_transport"], ":"); {
		case kind == "error":
			return "refused"
		case kind == "retry":
			return "waits"
		case facts["relayhost"] != "":
			return "relay"
		}
		return "direct"
	}
	root := at(origin)
	if _, domain, elsewhere := strings.Cut(facts["root"], "@"); root == "here" && elsewhere {
		root = at(domain)
	}
	listens := "self"
	if facts["inet_interfaces"] == "all" {
		listens = "all"
	}
	return strings.Join([]string{root, at("mail.example.test"), at("elsewhere.example"), listens}, " ")
}
