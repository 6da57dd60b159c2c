//go:build integration

package integration

import (
	"context"
	"crypto/rand"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// moreAccounts gives the relay two more accounts and another port, and has it write down in each message who has logged in.
const moreAccounts = `
exec 9>/run/more-accounts; flock 9
for u in carl dora; do id $u >/dev/null 2>&1 || useradd -m $u; echo "$u:` + pass + `-$u" | chpasswd; done
postconf -e smtpd_sasl_authenticated_header=yes
if ! postconf -M 3587/inet | grep -q smtpd; then
  echo '3587 inet n - n - - smtpd -o smtpd_tls_security_level=encrypt -o smtpd_sasl_auth_enable=yes -o smtpd_sasl_mechanism_filter=plain' >> /etc/postfix/master.cf
  postfix reload 2>/dev/null
fi
until ss -Hltn sport = 3587 | grep -q .; do sleep 0.1; done`

// handMade is an account that an administrator made.
const handMade = `
type=$(postconf -h default_database_type)
echo 'hand@example.net [relay.example.test]:3587' > /etc/postfix/byhand
echo 'hand@example.net anna:` + pass + `' > /etc/postfix/byhand_passwd; chmod 600 /etc/postfix/byhand_passwd
postmap $type:/etc/postfix/byhand $type:/etc/postfix/byhand_passwd
postconf -e sender_dependent_relayhost_maps=$type:/etc/postfix/byhand smtp_sasl_password_maps=$type:/etc/postfix/byhand_passwd smtp_sender_dependent_authentication=yes
useradd -m local`

// handState is what nobody but the administrator may change of that.
const handState = `cd /etc/postfix; stat -c '%n %a %Y' byhand*; md5sum byhand*; postconf -h sender_dependent_relayhost_maps smtp_sasl_password_maps smtp_sender_dependent_authentication`

var authenticated = regexp.MustCompile(`\(Authenticated sender: ([^)@]*)`)

// loggedInAs sends a message and tells who has logged in at the relay for it.
func loggedInAs(ctx context.Context, t *testing.T, relay, client *hosts.Host, from, options string) string {
	t.Helper()
	subject := "by-" + strings.NewReplacer("@", "-", ".", "-").Replace(from) + "-" + client.Name + "-" + fmt.Sprint(len(options)) + "-" + rand.Text()
	mail(ctx, t, client, target, subject, "-f "+from+" "+options)
	if err := product.Await(ctx, relay, subject, fmt.Sprintf("grep -q '^Subject: %s$' /var/mail/bert", subject)); err != nil {
		t.Fatalf("%v\nThe sender has: %s", err, sh(ctx, t, client, "postqueue -p; postconf -n; journalctl -q --no-pager -n 60 -t 'postfix/*' || true; tail -n 40 /var/log/mail.log || true"))
	}
	m := authenticated.FindStringSubmatch(arrived(ctx, t, relay, "bert", subject))
	if m == nil {
		return ""
	}
	return m[1]
}

// TestSmarthostSenders has three senders and all other mail go each its way with its own login, in whatever order they come and go, and beside
// an account that was made by hand.
func TestSmarthostSenders(t *testing.T) {
	ours := func(ctx context.Context, t *testing.T, release string) hosts.Options {
		t.Helper()
		return installed(ctx, t, release, product.Ours)
	}
	withRelay(t, ours, func(ctx context.Context, t *testing.T, relay, client *hosts.Host) {
		sh(ctx, t, relay, moreAccounts)
		sh(ctx, t, client, "chmod 644 /etc/ssl/test-ca.pem")
		before := sh(ctx, t, client, handMade+"; "+handState)
		maint := func(password string, args ...string) string {
			t.Helper()
			out, err := smarthost(ctx, client, password, args...)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		ways := func(when string, want map[string]string) {
			t.Helper()
			for from, want := range want {
				if got := loggedInAs(ctx, t, relay, client, from, ""); got != want {
					t.Errorf("%s, the mail of %s came with the login %q, want %q", when, from, got, want)
				}
			}
		}
		ca := []string{"--ca-file", "/etc/ssl/test-ca.pem"}
		setSmarthost(ctx, t, client, pass, append(ca, "--relay", "[relay.example.test]:587", "--user", "anna")...)
		carl := append(ca, "add", "--sender", "carl@example.org", "--relay", "[relay.example.test]:3587", "--user", "carl")
		dora := append(ca, "add", "--sender", "@example.com", "--relay", "[relay.example.test]:465", "--user", "dora")
		maint(pass+"-carl", carl...)
		undone(ctx, t, client)
		maint(pass+"-carl", carl...)
		maint(pass+"-dora", dora...)
		if out := maint("", carl...); out != "nothing to do\n" {
			t.Errorf("a second add: %s", out)
		}
		all := map[string]string{"carl@example.org": "carl", "dora@example.com": "dora", "eve@example.com": "dora", "hand@example.net": "anna", "local@else.example": "anna"}
		ways("with all of them", all)
		for from, want := range all {
			out, err := smarthost(ctx, client, "", "test", "--json", "--from", from, target)
			if err != nil || !strings.Contains(out, fmt.Sprintf("\"account\": %q", want)) || !strings.Contains(out, "\"delivered\": true") {
				t.Errorf("the test of %s: %v: %s", from, err, out)
			}
		}
		list := maint("", "list")
		for _, want := range []string{"carl@example.org: [relay.example.test]:3587, level verify, account carl (smarthost add)",
			"@example.com: [relay.example.test]:465, TLS from the first byte, level verify, account dora", "(by hand in /etc/postfix/byhand)"} {
			if !strings.Contains(list, want) {
				t.Errorf("the list lacks %q:\n%s", want, list)
			}
		}
		if found, err := client.Sh(ctx, "postfix-maint doctor 2>&1"); strings.Contains(found, "relay") && err != nil {
			t.Errorf("doctor finds something wrong with it: %s", found)
		}
		maint("", "remove", "carl@example.org")
		ways("without carl", map[string]string{"carl@example.org": "anna", "dora@example.com": "dora", "hand@example.net": "anna"})
		maint("", "unset")
		ways("without the relay for all mail", map[string]string{"dora@example.com": "dora", "hand@example.net": "anna"})
		maint("", "remove", "@example.com")
		ways("without anything of ours", map[string]string{"hand@example.net": "anna"})
		if after := sh(ctx, t, client, handState); after != before {
			t.Errorf("what was made by hand became\n%s\nit was\n%s", after, before)
		}
		if left := sh(ctx, t, client, "ls -A /etc/postfix | grep -E '^(sasl_|sender_|smtp_tls|generic)|maint' || true; grep -c smtp-wrapper /etc/postfix/master.cf || true"); left != "0\n" {
			t.Errorf("there is left %s", left)
		}
		sendersInAChroot(ctx, t, relay, client)
	})
}

// undone takes the last change back, and so leaves what was before it.
func undone(ctx context.Context, t *testing.T, client *hosts.Host) {
	t.Helper()
	out := sh(ctx, t, client, `n=$(postfix-maint history --json | grep -o '"number": [0-9]*' | grep -o '[0-9]*' | sort -n | tail -1); postfix-maint undo $n >/dev/null 2>&1
		touch -d 2020-01-01 /etc/postfix/main.cf; postconf -n | grep sender_relayhost || true; ls /etc/postfix | grep -E '^sender_relay' || true`)
	if out != "" {
		t.Errorf("after undo there is still %s", out)
	}
}

// sendersInAChroot gives a second instance, chrooted, an account with CAs of its own. There the client opens them late, inside the chroot.
func sendersInAChroot(ctx context.Context, t *testing.T, relay, client *hosts.Host) {
	t.Helper()
	sh(ctx, t, client, `exec 2>&1; postfix-maint instance create out --set smtp_tls_CAfile=/etc/ssl/certs/ca-certificates.crt --set master_service_disable=inet
		postconf -c /etc/postfix-out -X authorized_submit_users; postfix-maint chroot status postfix-out | head -3`)
	for _, c := range []struct{ relay, user string }{{"[relay.example.test]:3587", "carl"}, {"[relay.example.test]:465", "dora"}} {
		out, err := smarthost(ctx, client, pass+"-"+c.user, "add", "--instance", "postfix-out", "--sender", c.user+"@example.org", "--relay", c.relay, "--user", c.user, "--ca-file", "/etc/ssl/test-ca.pem")
		if err != nil {
			t.Fatal(err)
		}
		sh(ctx, t, client, "touch -d 2020-01-01 /etc/postfix-out/main.cf")
		if got := loggedInAs(ctx, t, relay, client, c.user+"@example.org", "-C /etc/postfix-out"); got != c.user {
			t.Errorf("the second instance logs in as %q, want %q: %s", got, c.user, out)
		}
	}
	if mode := sh(ctx, t, client, "stat -c %a /etc/postfix-out/sender_passwd*"); mode != "600\n600\n" {
		t.Errorf("the second instance's passwords: %s", mode)
	}
}
