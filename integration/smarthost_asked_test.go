//go:build integration

package integration

import (
	"bytes"
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// trustRelay makes the relay's CA one of the host's.
const trustRelay = "cp /etc/ssl/test-ca.pem /usr/local/share/ca-certificates/test.crt; update-ca-certificates >/dev/null 2>&1"

// itsWay is a call that may hold the password on its way from debconf's database to Postfix's table: the database, the reply to
// GET in the conversation, and the table with its index.
var itsWay = regexp.MustCompile(`^p?(read|write)(64)?\(\d+<(/var/cache/debconf/(passwords|config)\.dat(-new|-old)?>|/etc/postfix/[^>]*sasl_passwd[^>]*>|pipe:\[\d+\]>, "[01] )`)

// passwordForms are the ways in which the password may be written.
func passwordForms() map[string]string {
	return map[string]string{
		"as it is": pass, "by PLAIN": base64.StdEncoding.EncodeToString([]byte("\x00anna\x00" + pass)), "by LOGIN": base64.StdEncoding.EncodeToString([]byte(pass)),
	}
}

// aPassword is what is allowed to calls that hold the password.
func aPassword(allowed *regexp.Regexp) func(form, line string) bool {
	return func(_, line string) bool { return allowed.MatchString(line) }
}

// searchTraces looks for secrets, by their names as they may be written, in every call of strace's files in /root, asks whether it is allowed
// there, and takes the files away.
func searchTraces(t *testing.T, h *hosts.Host, forms map[string]string, allowed func(form, line string) bool) {
	t.Helper()
	traces, err := filepath.Glob(h.Root() + "/root/trace.*")
	if err != nil || len(traces) < 12 {
		t.Fatalf("%d traces: %v", len(traces), err)
	}
	seen := 0
	for _, name := range traces {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for form, text := range forms {
			if !bytes.Contains(data, []byte(text)) {
				continue
			}
			for line := range strings.Lines(string(data)) {
				if !strings.Contains(line, text) {
					continue
				}
				seen++
				if !allowed(form, line) {
					t.Errorf("the secret (%s) in a call: %s", form, line)
				}
			}
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if seen < 4 {
		t.Errorf("the secret was seen in %d calls only: the search is blind", seen)
	}
}

// TestSmarthostPreseeded installs with answers about the relay: mail arrives, and the password is where it has to be and was
// nowhere else.
func TestSmarthostPreseeded(t *testing.T) {
	fresh := func(ctx context.Context, t *testing.T, release string) hosts.Options {
		return source(ctx, t, release, product.Ours)
	}
	withRelay(t, fresh, func(ctx context.Context, t *testing.T, relay, client *hosts.Host) {
		sh(ctx, t, client, trustRelay)
		preseed := func() {
			if err := product.Preseed(ctx, client, product.Answers{
				"main_mailer_type": "Satellite system", "mailname": client.Name + ".example.test", "relayhost": "[relay.example.test]",
				"maint_relay_port": "587", "maint_relay_account": "anna", "maint_relay_password": pass,
				"maint_sender_rewriting": "generic", "maint_sender_address": account,
			}); err != nil {
				t.Fatal(err)
			}
		}
		// A slip that is often made puts the password where everybody may read it, and leaves it there: the wrong type.
		sh(ctx, t, client, "echo postfix postfix/maint_relay_password string none-yet | debconf-set-selections")
		preseed()
		said := sh(ctx, t, client, `strace -ff -v -yy -s 4096 -e trace=process,read,pread64,write,pwrite64,writev,sendto,sendmsg,recvfrom -o /root/trace \
			apt-get install -q -y --no-install-recommends postfix-maint postfix 2>&1`)
		if strings.Contains(said, pass) {
			t.Errorf("the password is said: %s", said)
		}
		searchTraces(t, client, passwordForms(), aPassword(itsWay))
		if got := sh(ctx, t, client, "postconf -h relayhost smtp_tls_security_level; debconf-show postfix | grep password"); !strings.HasPrefix(got, "[relay.example.test]:587\nverify\n  postfix/maint_relay_password: (password omitted)\n") {
			t.Errorf("in force is %q; it was said:\n%s", got, said)
		}
		o, ok := tryRelay(ctx, t, client)
		if !ok || !o.Delivered || o.Probe.Mechanism != "PLAIN" || o.Sender != account {
			t.Errorf("%+v; it was said:\n%s", o, said)
		}
		sh(ctx, t, client, "useradd -m local")
		mail(ctx, t, client, target, "preseeded-"+client.Name, "-f local -F Local")
		if got := arrived(ctx, t, relay, "bert", "preseeded-"+client.Name); !strings.Contains(got, "\nReturn-Path: <"+account+">\n") || !strings.Contains(got, "\nFrom: Local <"+account+">\n") {
			t.Errorf("at the relay:\n%s", got)
		}
		searchDisk(ctx, t, client, passwordForms(), passwordTables(ctx, t, client)...)
		before := sh(ctx, t, client, "postconf -n; stat -c '%n %Y' /etc/postfix/*")
		for _, again := range []func(){func() {}, preseed} {
			again()
			said = sh(ctx, t, client, "dpkg-reconfigure -f noninteractive postfix 2>&1")
			if after := sh(ctx, t, client, "postconf -n; stat -c '%n %Y' /etc/postfix/*"); after != before || strings.Contains(said, "reload") {
				t.Errorf("another run changed\n%s\nto\n%s\nand said:\n%s", before, after, said)
			}
		}
		searchDisk(ctx, t, client, passwordForms(), passwordTables(ctx, t, client)...)
	})
}

// TestSmarthostPCRE installs postfix together with the package that its answers need, which dpkg configures after it.
func TestSmarthostPCRE(t *testing.T) {
	for _, release := range releases() {
		t.Run(release, func(t *testing.T) {
			ctx := scenario(t, 1)
			opt, err := product.With(ctx, session, source(ctx, t, release, product.Ours), "pcre", "postfix-pcre")
			if err != nil {
				t.Fatal(err)
			}
			h := boot(ctx, t, "pcre", opt)
			if err := product.Preseed(ctx, h, product.Answers{
				"main_mailer_type": "Satellite system", "mailname": "pcre.example.test", "relayhost": "[relay.example.test]:587",
				"maint_sender_rewriting": "pcre", "maint_sender_map": `/^root@(?:.*)$/ anna@example.test`,
			}); err != nil {
				t.Fatal(err)
			}
			said := sh(ctx, t, h, "apt-get install -q -y --no-install-recommends postfix-maint postfix postfix-pcre 2>&1")
			got := sh(ctx, t, h, "postconf -h relayhost smtp_tls_security_level; postmap -q root@x \"$(postconf -h sender_canonical_maps)\"; systemctl is-active postfix@-")
			if got != "[relay.example.test]:587\nverify\nanna@example.test\nactive\n" || strings.Contains(said, "WARNING") {
				t.Errorf("in force is %q; it was said:\n%s", got, said)
			}
		})
	}
}

// relayInterview is a person at the dialog who sets up the relay on port 465, with a table of users.
var relayInterview = []reply{
	{question: "General mail configuration type:", dialog: home + down + down + down + enter}, // Satellite system
	{question: "System mail name:", dialog: enter},
	{question: "Provider of the relay host", dialog: enter}, // other
	{question: "SMTP relay host (blank for none)", dialog: wipe + "[relay.example.test]" + enter},
	{question: "Account at the relay host", dialog: "anna" + enter},
	{question: "Port of the relay host", dialog: wipe + "465" + enter},
	{question: "Encryption on the way to the relay host", dialog: enter},
	{question: "Password for the relay host", dialog: "wrong" + enter},
	{question: "Sender addresses:", dialog: escape}, // back
	{question: "Password for the relay host", dialog: pass + enter},
	{question: "Sender addresses:", dialog: home + down + down + enter}, // users
	{question: "Senders and their addresses", dialog: "local " + account + ", root " + account + enter},
	{question: "Recipient for root and postmaster mail", dialog: enter},
	{question: "Other destinations to accept mail for", dialog: enter},
	{question: "Force synchronous updates on mail queue", dialog: enter},
	{question: "Local networks:", dialog: enter},
	{question: "Use procmail for local delivery", dialog: enter},
	{question: "Mailbox size limit", dialog: enter},
	{question: "Local address extension character", dialog: enter},
	{question: "Internet protocols to use", dialog: enter},
}

// TestSmarthostDialog sets the relay up on a running host by dpkg-reconfigure, shows that confirming it all changes nothing, and
// goes back to direct delivery.
func TestSmarthostDialog(t *testing.T) {
	running := func(ctx context.Context, t *testing.T, release string) hosts.Options {
		return installed(ctx, t, release, product.Ours)
	}
	withRelay(t, running, func(ctx context.Context, t *testing.T, relay, client *hosts.Host) {
		sh(ctx, t, client, trustRelay+"; useradd -m local; postconf -e smtp_tls_loglevel=1")
		before := sh(ctx, t, client, "postconf -n")
		dialog := func(r reply) string { return r.dialog }
		said, err := talk(ctx, t, client, "dialog", relayInterview, dialog)
		if err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		if o, ok := tryRelay(ctx, t, client); !ok || !o.Delivered || o.Probe.Mechanism != "LOGIN" || o.TLS != "verify" {
			t.Errorf("%+v; it was said:\n%s", o, said)
		}
		mail(ctx, t, client, target, "dialog-"+client.Name, "-f local -F Local")
		if got := arrived(ctx, t, relay, "bert", "dialog-"+client.Name); !strings.Contains(got, "\nReturn-Path: <"+account+">\n") || !strings.Contains(got, "\nFrom: Local <"+account+">\n") {
			t.Errorf("at the relay:\n%s", got)
		}
		searchDisk(ctx, t, client, passwordForms(), passwordTables(ctx, t, client)...)

		state := "postconf -n; stat -c '%n %Y' /etc/postfix/*; cat /var/spool/postfix/pid/master.pid"
		set := sh(ctx, t, client, state)
		var confirm []reply
		for _, r := range relayInterview {
			if r.dialog != escape && !strings.HasPrefix(r.question, "Port") && (r.question != "Password for the relay host" || r.dialog != pass+enter) {
				confirm = append(confirm, reply{question: r.question, dialog: enter})
			}
		}
		if said, err = talk(ctx, t, client, "dialog", confirm, dialog); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		if got := sh(ctx, t, client, state); got != set {
			t.Errorf("confirming what is shown changed\n%s\nto\n%s", set, got)
		}

		if err := product.Preseed(ctx, client, product.Answers{"main_mailer_type": "Internet Site"}); err != nil {
			t.Fatal(err)
		}
		said = sh(ctx, t, client, "dpkg-reconfigure -f noninteractive postfix 2>&1")
		if after := sh(ctx, t, client, "postconf -n; ls /etc/postfix | grep -E 'sasl_passwd|canonical' || true"); after != before {
			t.Errorf("without the relay there is\n%s\nbefore it there was\n%s\nit was said:\n%s", after, before, said)
		}
	})
}
