//go:build integration

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"postfix-maint/integration/hosts"
)

// otherSides are mail servers on one host, each at an address of its own; nobody listens at the last address. The host takes mail for bert at
// their domains.
const otherSides = `
postconf -MX smtp/inet
cat >> /etc/postfix/master.cf <<'END'
10.99.0.201:25 inet n - n - - smtpd -o smtpd_tls_cert_file=/etc/postfix/tls/mx.pem
10.99.0.202:25 inet n - n - - smtpd -o smtpd_tls_security_level=none
10.99.0.203:25 inet n - n - - smtpd -o smtpd_tls_cert_file=/etc/ssl/certs/ssl-cert-snakeoil.pem -o smtpd_tls_key_file=/etc/ssl/private/ssl-cert-snakeoil.key
10.99.0.204:25 inet n - n - - smtpd -o smtpd_recipient_restrictions=$refuse
10.99.0.205:25 inet n - n - - smtpd -o smtpd_recipient_restrictions=$grey
END
postconf -e 'refuse=check_recipient_access static:{554 5.7.1 we do not take that}' 'grey=check_recipient_access static:{450 4.2.0 Greylisted, see later}' \
  'mydestination=relay.example.test, dest.test, good.test, none.test, self.test, refuse.test, grey.test, two.test' smtpd_sender_restrictions= smtpd_relay_restrictions=reject_unauth_destination
cat > /usr/local/bin/tokens-only <<'END'
import socket, ssl
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
c.load_cert_chain('/etc/postfix/tls/good.pem')
s = socket.create_server(('', 2593))
while True:
    try:
        t = c.wrap_socket(s.accept()[0], server_side=True)
        t.sendall(b'220 relay ESMTP\r\n')
        while t.recv(1000):
            t.sendall(b'250-relay\r\n250 AUTH XOAUTH2 OAUTHBEARER\r\n')
    except OSError:
        pass
END
make-ssl-cert generate-default-snakeoil --force-overwrite # that of the base tree is the client's as well, which trusts its own
systemd-run -q --unit tokens-only python3 /usr/local/bin/tokens-only
systemctl restart postfix
`

// domains are the records that the client's own name server has.
const domains = `
records=
for d in good:201 none:202 self:203 refuse:204 grey:205 dead:206; do
	records="$records --mx-host=${d%:*}.test,mx.${d%:*}.test,10 --host-record=mx.${d%:*}.test,10.99.0.${d#*:}"
done
systemd-run -q --unit names dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file= --no-resolv --no-hosts --bind-interfaces --listen-address=127.0.0.1 \
	$records --mx-host=two.test,mx.good.test,20 --mx-host=two.test,mx.dead.test,5 --host-record=relay.example.test,RELAY --local=// --local=/test/
rm -f /etc/resolv.conf; echo nameserver 127.0.0.1 > /etc/resolv.conf
printf 'first: second\nsecond: local\nfar: bert@good.test\n' >> /etc/aliases; newaliases
postconf -e smtp_tls_CAfile=/etc/ssl/test-ca.pem mailbox_command= 'smtp_tls_policy_maps=inline:{{secure.test=secure}}'
systemctl restart postfix
`

// mailed is what the test looks at in the JSON of "test".
type mailed struct {
	Submitted, Delivered           bool
	Status, Reply, Problem, Advice string
	Steps                          []struct{ To []string }
	Routes                         []struct {
		Transport, Place, TLS string
		Relay                 *outcome
		Servers               []struct {
			Host  string
			Probe struct {
				TLS, Greeting string
				Certificate   *struct{ Trusted, Matched bool }
				Failure       *struct{ Cause string }
			}
		}
	}
	Deliveries []struct{ Recipient, Via, Status, Reply, Delay string }
}

// testMail runs "test" and gives what it found.
func testMail(ctx context.Context, t *testing.T, h *hosts.Host, args ...string) mailed {
	t.Helper()
	var stderr bytes.Buffer
	cmd := h.Command(ctx, append([]string{"postfix-maint", "test", "--json", "--wait", "30s"}, args...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var m mailed
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatalf("test: %v: %s %s", err, out, stderr.String())
	}
	if m.Delivered != (exit == nil) || exit != nil && exit.ExitCode() != 1 {
		t.Errorf("%q: exit status %v: %+v", args, exit, m)
	}
	if left := sh(ctx, t, h, "find /var/spool/postfix/maildrop /var/spool/postfix/incoming /var/spool/postfix/active /var/spool/postfix/deferred -type f | wc -l"); strings.TrimSpace(left) != "0" {
		t.Errorf("%q leaves mail in the queue: %s", args, left)
	}
	return m
}

// TestTestMail sends to mail servers of every kind, to users of the host, and through relays: what can be known before is said before
// anything is sent, and what became of a message is said as Postfix has it.
func TestTestMail(t *testing.T) {
	eachRelease(t, 2, func(ctx context.Context, t *testing.T, release string) {
		lan, ca := newNetwork(ctx, t), newIssuer(t)
		opt := relayOptions(ctx, t)
		opt.Network = lan
		relay := newHost(ctx, t, "relay", opt)
		opt = clientOptions(ctx, t, release)
		opt.Network = lan
		client := newHost(ctx, t, "client", opt)
		if err := os.Mkdir(relay.Root()+"/etc/postfix/tls", 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, client, "/etc/ssl/test-ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}))
		for name, host := range map[string]string{"good": "relay.example.test", "mx": "mx.good.test", "expired": "x.test", "other": "x.test"} {
			write(t, relay, "/etc/postfix/tls/"+name+".pem", ca.issue(host, 24*time.Hour))
		}
		for _, h := range []*hosts.Host{relay, client} {
			if err := h.Boot(ctx); err != nil {
				t.Fatal(err)
			}
		}
		sh(ctx, t, relay, "for n in 1 2 3 4 5 6; do ip addr add 10.99.0.20$n/24 dev eth0; done"+otherSides)
		sh(ctx, t, client, strings.ReplaceAll(domains, "RELAY", relay.Address()))
		await(ctx, t, relay, "the mail servers", "for a in 201 202 203 204 205; do nc -z 10.99.0.$a 25; done; nc -z 127.0.0.1 2593; nc -z 127.0.0.1 587")
		mailServers(ctx, t, client)
		ownUsers(ctx, t, client)
		throughRelays(ctx, t, client)
	})
}

// mailServers are other sides of every kind.
func mailServers(ctx context.Context, t *testing.T, client *hosts.Host) {
	policy := func(text string) {
		sh(ctx, t, client, fmt.Sprintf("postconf -e 'smtp_tls_policy_maps=%s'; touch -d 2020-01-01 /etc/postfix/main.cf; systemctl reload postfix", text))
	}
	for _, c := range []struct {
		to, policy         string
		submitted, sent    bool
		servers            int
		cause, tls, advice string
	}{
		{"bert@good.test", "", true, true, 1, "", "may", ""},
		{"bert@good.test", "inline:{{good.test=secure match=mx.good.test}}", true, true, 1, "", "secure", ""},
		{"bert@good.test", "inline:{{good.test=secure match=other.test}}", false, false, 1, "mismatch", "secure", "another name"},
		{"bert@none.test", "", true, true, 1, "", "may", ""},
		{"bert@none.test", "inline:{{none.test=encrypt}}", false, false, 1, "starttls", "encrypt", "smtp_tls_policy_maps"},
		{"bert@self.test", "", true, true, 1, "", "may", ""},
		{"bert@self.test", "inline:{{self.test=secure}}", false, false, 1, "untrusted", "secure", "smtp_tls_CAfile"},
		{"bert@refuse.test", "", true, false, 1, "", "may", "does not take mail for this recipient"},
		{"bert@grey.test", "", true, false, 1, "", "may", "at a later attempt"},
		{"bert@two.test", "", true, true, 2, "connect", "may", ""},
		{"bert@dead.test", "", false, false, 1, "connect", "may", "smarthost"},
		{"bert@nowhere.test", "", false, false, 1, "name", "may", "is the domain right"},
	} {
		policy(c.policy)
		m := testMail(ctx, t, client, c.to)
		if len(m.Routes) != 1 || len(m.Routes[0].Servers) != c.servers {
			t.Errorf("%s, %s: %+v", c.to, c.policy, m)
			continue
		}
		way, cause := m.Routes[0], ""
		if f := way.Servers[0].Probe.Failure; f != nil {
			cause = f.Cause
		}
		if m.Submitted != c.submitted || m.Delivered != c.sent || cause != c.cause || way.TLS != c.tls || !strings.Contains(m.Advice, c.advice) {
			t.Errorf("%s, %s: cause %q: %+v", c.to, c.policy, cause, m)
		}
		last := way.Servers[len(way.Servers)-1].Probe
		if trusted := last.Certificate != nil && last.Certificate.Trusted; c.sent && (trusted != (c.to != "bert@none.test" && c.to != "bert@self.test") || !strings.HasPrefix(last.Greeting, "220 ")) {
			t.Errorf("%s: %+v", c.to, last)
		}
	}
	policy("")
	if m := testMail(ctx, t, client, "bert@refuse.test"); m.Status != "bounced" || !strings.Contains(m.Reply, "554 5.7.1") || !strings.Contains(m.Reply, "RCPT TO") {
		t.Errorf("refused: %+v", m)
	}
	if m := testMail(ctx, t, client, "bert@grey.test"); m.Status != "deferred" || !strings.Contains(m.Reply, "450 4.2.0") {
		t.Errorf("greylisted: %+v", m)
	}
}

// ownUsers are recipients of the host itself.
func ownUsers(ctx context.Context, t *testing.T, client *hosts.Host) {
	if m := testMail(ctx, t, client, "first"); !m.Delivered || len(m.Steps) != 2 || len(m.Routes) != 1 || m.Routes[0].Place != "the mailbox /var/mail/local" ||
		m.Deliveries[0].Reply != "delivered to mailbox" {
		t.Errorf("an alias of an alias: %+v", m)
	}
	if m := testMail(ctx, t, client, "far"); !m.Delivered || len(m.Steps) != 1 || len(m.Deliveries) != 1 || !strings.HasPrefix(m.Deliveries[0].Via, "mx.good.test[") {
		t.Errorf("an alias to elsewhere: %+v", m)
	}
	if m := testMail(ctx, t, client, "nobodys-name"); m.Submitted || !strings.Contains(m.Problem, "is unknown") || !strings.Contains(m.Advice, "/etc/aliases") {
		t.Errorf("an unknown user: %+v", m)
	}
	if out, err := client.Sh(ctx, "runuser -u local -- postfix-maint test first"); err == nil || !strings.Contains(err.Error()+out, "only root can send a test message") {
		t.Errorf("an ordinary user: %v, %s", err, out)
	}
	sh(ctx, t, client, "systemctl stop postfix 'postfix@*'") // Debian 12's own umbrella does not wait for the daemons
	if m := testMail(ctx, t, client, "first"); m.Submitted || m.Problem != "Postfix does not run" {
		t.Errorf("stopped: %+v", m)
	}
	sh(ctx, t, client, "systemctl start postfix")
}

// throughRelays has relays in force: one that takes the login, and one that takes tokens alone.
func throughRelays(ctx context.Context, t *testing.T, client *hosts.Host) {
	ca := []string{"--ca-file", "/etc/ssl/test-ca.pem", "--user", "anna", "--relay"}
	setSmarthost(ctx, t, client, pass, append(ca, "[relay.example.test]:587")...)
	if m := testMail(ctx, t, client, target); !m.Delivered || len(m.Routes) != 1 || m.Routes[0].Relay == nil || m.Routes[0].Relay.Probe.Mechanism != "PLAIN" {
		t.Errorf("through a relay: %+v", m)
	}
	setSmarthost(ctx, t, client, pass, append(ca, "[relay.example.test]:2593", "--wrapper")...)
	m := testMail(ctx, t, client, target)
	if o, ok := tryRelay(ctx, t, client); m.Submitted || !strings.Contains(m.Advice, "smarthost login") || ok || o.Submitted || o.Advice != m.Advice ||
		o.Probe.Failure == nil || o.Probe.Failure.Cause != "mechanism" {
		t.Errorf("a relay that takes tokens alone: %+v, %+v", m, o)
	}
	if m := testMail(ctx, t, client, "first"); !m.Delivered {
		t.Errorf("a user of this host beside a relay: %+v", m)
	}
}
