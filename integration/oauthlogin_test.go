//go:build integration

package integration

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"postfix-maint/integration/hosts"
)

// loginBase is added to the provider's ports.
const loginBase = 1000

// loginWords are the options that every login at the test's provider has.
var loginWords = fmt.Sprintf("postfix-maint smarthost login --relay '[provider.example.test]:%d' --user anna@example.test --token-url https://provider.example.test:%d/token "+
	"--ca-file /etc/ssl/test-ca.pem ", loginBase+587, loginBase+443)

// loginLeft is what is wrong after an unset.
const loginLeft = `
for f in /var/lib/postfix-maint/oauth /var/lib/private/postfix-oauth-relay /var/lib/postfix-oauth-relay; do [ ! -e $f ] || ls -ld $f; done
systemctl list-units --plain --no-legend 'postfix-oauth-relay@*'; ls /etc/systemd/system/sockets.target.wants 2>/dev/null | grep oauth || true
postconf -n | grep -E '^(relayhost =.*127|smtp_sasl_|smtp_tls_policy)' || true; ! ss -Hltn 'sport = 914' | grep . || true
`

func TestOAuthLogin(t *testing.T) {
	eachRelease(t, 3, func(ctx context.Context, t *testing.T, release string) {
		lan, ca := newNetwork(ctx, t), newIssuer(t)
		l := newLogin(ctx, t, release, lan, ca)
		client, before := l.client, sh(ctx, t, l.client, "postconf -n")
		l.flows(ctx, t)
		l.revoked(ctx, t)
		l.second(ctx, t)
		l.senders(ctx, t, passwordRelay(ctx, t, lan, ca))
		sh(ctx, t, client, "postfix-maint smarthost unset")
		if left := sh(ctx, t, client, loginLeft); left != "" {
			t.Errorf("after unset there is\n%s", left)
		}
		if after := sh(ctx, t, client, "postconf -n"); after != before {
			t.Errorf("main.cf says\n%s\nand said\n%s", after, before)
		}
		out, err := client.Sh(ctx, "unshare -m sh -ec \"mount -t tmpfs none /run/systemd; "+loginWords+"--client-id daemon --client-secret-file /root/secret --flow client-credentials\" 2>&1")
		if err == nil || !strings.Contains(out+err.Error(), "systemd does not run this host") {
			t.Errorf("without systemd: %v, %s", err, out)
		}
	})
}

// loginHost is a host that logs in.
type loginHost struct {
	client *hosts.Host
	p      mailProvider
	ca     *issuer
	came   int    // messages that the provider has so far
	traced string // goes before each command of ours
}

// clientSecret is that of the provider's application that can keep one.
const clientSecret = "gehe1m-Zufall-27182818"

// newLogin boots a provider and a host that can log in there.
func newLogin(ctx context.Context, t *testing.T, release string, lan *hosts.Network, ca *issuer) *loginHost {
	t.Helper()
	opt := clientOptions(ctx, t, release)
	opt.Network = lan
	server, client := boot(ctx, t, "provider", opt), boot(ctx, t, "client", opt)
	buildProvider(ctx, t, server)
	write(t, server, "/root/good.pem", ca.issue("provider.example.test", 24*time.Hour))
	key, public := robotKey(t)
	write(t, server, "/root/robot.pem", public)
	write(t, server, "/root/secret", []byte(clientSecret+"\n"))
	p := mailProvider{server, loginBase}
	sh(ctx, t, server, fmt.Sprintf("systemd-run -q --unit=provider provider -cert /root/good.pem -oauth :%d -smtp :%d -smtps :%d -control :%d -secret-file /root/secret -robot-key /root/robot.pem",
		loginBase+443, loginBase+587, loginBase+465, loginBase+80))
	await(ctx, t, server, "the provider's ports", fmt.Sprintf("for p in %d %d; do ss -Hltn sport = $p | grep -q .; done", loginBase+443, loginBase+80))
	write(t, client, "/etc/ssl/test-ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}))
	write(t, client, "/root/key.json", key)
	write(t, client, "/root/secret", []byte(clientSecret+"\n"))
	sh(ctx, t, client, "chmod 0644 /etc/ssl/test-ca.pem; postconf -e myhostname=client.example.test maillog_file=/var/log/mail.log; postfix reload")
	return &loginHost{client: client, p: p, ca: ca}
}

// robotKey is the key of a service account, as JSON, and its public half.
func robotKey(t *testing.T) (file, public []byte) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	file, err = json.Marshal(map[string]string{
		"type": "service_account", "client_email": "robot@example.test", "private_key_id": "1",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// flows logs in by each flow, from nothing to a delivered message, with a chrooted client and without.
func (l *loginHost) flows(ctx context.Context, t *testing.T) {
	for _, f := range []struct {
		name, options string
		person        func(ctx context.Context, t *testing.T, shown func(pattern string) string, answer func(string))
	}{
		{"device", fmt.Sprintf("--client-id app --device-url https://provider.example.test:%d/device/code", loginBase+443), l.typeCode},
		{"browser", fmt.Sprintf("--client-id app --auth-url https://provider.example.test:%d/authorize", loginBase+443), l.browse},
		{"client-credentials", "--client-id daemon --client-secret-file /root/secret --flow client-credentials", nil},
		{"service-account", "--key-file /root/key.json", nil},
	} {
		for _, chroot := range []string{"y", "n"} {
			sh(ctx, t, l.client, "postconf -F smtp/unix/chroot="+chroot+"; postfix reload")
			l.logIn(ctx, t, f.options, f.person)
			l.delivered(ctx, t, f.name+" "+chroot)
			if said := sh(ctx, t, l.client, "postfix-maint smarthost show"); !strings.Contains(said, "OAuth 2.0 ("+f.name+") as anna@example.test") {
				t.Errorf("%s: show says\n%s", f.name, said)
			}
			if chroot == "n" {
				said := sh(ctx, t, l.client, "sleep 2; postfix-maint smarthost test you@dest.test; ! postfix-maint doctor --json | grep '\"id\": \"relay-'")
				if l.came++; !strings.Contains(said, "delivered to you@dest.test") {
					t.Errorf("%s: test says\n%s", f.name, said)
				}
			}
			sh(ctx, t, l.client, "postfix-maint smarthost unset")
			if left := sh(ctx, t, l.client, loginLeft); left != "" {
				t.Errorf("%s: after unset there is\n%s", f.name, left)
			}
		}
	}
	sh(ctx, t, l.client, "postconf -F smtp/unix/chroot=y; postfix reload")
}

// delivered sends a message, and waits until the provider has it.
func (l *loginHost) delivered(ctx context.Context, t *testing.T, what string) {
	t.Helper()
	mailFor(ctx, t, l.client, strings.ReplaceAll(what, " ", "-"), 1)
	l.came++
	awaitMessages(ctx, t, l.client, l.p, l.came)
}

// logIn runs the command, with a person who sees what it shows and pastes what it asks for.
func (l *loginHost) logIn(ctx context.Context, t *testing.T, options string, person func(context.Context, *testing.T, func(string) string, func(string))) {
	t.Helper()
	cmd := l.client.Command(ctx, "bash", "-euc", l.traced+loginWords+options+" > /root/said 2> /root/shown")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	sh(ctx, t, l.client, ": > /root/shown")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if person != nil {
		shown := func(pattern string) string {
			for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
				if found := regexp.MustCompile(pattern).FindString(sh(ctx, t, l.client, "cat /root/shown")); found != "" {
					return found
				}
			}
			t.Fatalf("%q is not shown: %s", pattern, sh(ctx, t, l.client, "cat /root/shown /root/said"))
			return ""
		}
		person(ctx, t, shown, func(line string) {
			if _, err := fmt.Fprintln(in, line); err != nil {
				t.Fatal(err)
			}
		})
	}
	in.Close()
	if err := ended(cmd); err != nil {
		t.Fatalf("%s: %v: %s", options, err, sh(ctx, t, l.client, "cat /root/shown /root/said"))
	}
}

func ended(cmd *exec.Cmd) error {
	err := make(chan error, 1)
	go func() { err <- cmd.Wait() }()
	select {
	case err := <-err:
		return err
	case <-time.After(2 * time.Minute):
		return fmt.Errorf("it does not end")
	}
}

func (l *loginHost) typeCode(ctx context.Context, t *testing.T, shown func(string) string, _ func(string)) {
	l.p.ask(ctx, t, "POST", "approve?user_code="+strings.TrimSpace(shown(`(?m)^    [A-Z2-7]{4}-[A-Z2-7]{4}$`)), nil)
}

// browse opens the address, and pastes where it ends at.
func (l *loginHost) browse(ctx context.Context, t *testing.T, shown func(string) string, answer func(string)) {
	pool := x509.NewCertPool()
	pool.AddCert(l.ca.cert)
	browser := &http.Client{
		Transport:     &http.Transport{DialContext: l.client.Dial, TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	address := strings.Replace(shown(`https://provider\.example\.test:\d+/authorize\S+`), "provider.example.test", l.p.host.Address(), 1)
	req, err := http.NewRequestWithContext(ctx, "GET", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	browser.Transport.(*http.Transport).TLSClientConfig.ServerName = "provider.example.test"
	at, err := browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer at.Body.Close()
	answer(at.Header.Get("Location"))
}

// revoked takes the login away: mail waits and that is said, until somebody logs in again.
func (l *loginHost) revoked(ctx context.Context, t *testing.T) {
	device := fmt.Sprintf("--client-id app --device-url https://provider.example.test:%d/device/code", loginBase+443)
	l.logIn(ctx, t, device, l.typeCode)
	l.delivered(ctx, t, "before")
	l.p.ask(ctx, t, "POST", "revoke", nil)
	mailFor(ctx, t, l.client, "waits", 1)
	await(ctx, t, l.client, "a doctor that says so", "postfix-maint doctor --json | grep -q '\"id\": \"relay-login\"'")
	for command, want := range map[string]string{
		"postfix-maint smarthost show":                          "log in again",
		"postfix-maint smarthost test you@dest.test --wait 30s": "log in again",
		"postqueue -p": "log in again",
	} {
		if said := sh(ctx, t, l.client, command+" 2>&1 || true"); !strings.Contains(said, want) {
			t.Errorf("%s says\n%s", command, said)
		}
	}
	l.logIn(ctx, t, device, l.typeCode)
	l.came++
	awaitMessages(ctx, t, l.client, l.p, l.came)
	sh(ctx, t, l.client, "postconf -h relayhost | grep -qx '\\[127.0.0.1\\]:914'; ! postfix-maint doctor --json | grep '\"id\": \"relay-'")
}

// second logs a second instance in, beside the first.
func (l *loginHost) second(ctx context.Context, t *testing.T) {
	sh(ctx, t, l.client, `postmulti -e init; postmulti -I postfix-out -e create; c=/etc/postfix-out
postconf -c $c -e master_service_disable=inet authorized_submit_users=static:anyone myhostname=out.example.test
postmulti -i postfix-out -e enable; postmulti -i postfix-out -p start; `+loginWords+"--instance postfix-out --client-id daemon --client-secret-file /root/secret --flow client-credentials")
	sh(ctx, t, l.client, `postconf -c /etc/postfix-out -h relayhost | grep -qx '\[127.0.0.1\]:915'
printf 'Message-ID: <second@client.example.test>\n\nhello\n' | sendmail -C /etc/postfix-out -f local@example.test you@dest.test`)
	l.came++
	awaitMessages(ctx, t, l.client, l.p, l.came)
	sh(ctx, t, l.client, `postfix-maint smarthost unset --instance postfix-out; postmulti -i postfix-out -p stop; postmulti -i postfix-out -e disable
postmulti -i postfix-out -e destroy; postconf -X multi_instance_directories multi_instance_wrapper multi_instance_enable`)
	l.delivered(ctx, t, "first again")
}

// passwordRelay boots a relay that takes passwords alone.
func passwordRelay(ctx context.Context, t *testing.T, lan *hosts.Network, ca *issuer) *hosts.Host {
	t.Helper()
	opt := relayOptions(ctx, t)
	opt.Network = lan
	relay := newHost(ctx, t, "relay", opt)
	sh(ctx, t, relay, "mkdir /etc/postfix/tls")
	for _, name := range []string{"good", "expired", "other"} {
		write(t, relay, "/etc/postfix/tls/"+name+".pem", ca.issue("relay.example.test", 24*time.Hour))
	}
	if err := relay.Boot(ctx); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, relay, "the relay's ports", "for p in 25 587; do ss -Hltn sport = $p | grep -q .; done; systemctl is-active -q saslauthd")
	sh(ctx, t, relay, moreAccounts)
	return relay
}

// sendersLeft is what is wrong after the login of a sender is taken out.
const sendersLeft = `
ls /var/lib/postfix-maint/oauth /var/lib/private/postfix-oauth-relay 2>/dev/null | grep -x '1058[89].*' || true; grep -H -e 1058[89] -e smtp-oauth /etc/postfix/master.cf /etc/postfix/sender_* || true
systemctl list-units --plain --no-legend 'postfix-oauth-relay@1058[89]*'; ls /etc/systemd/system/sockets.target.wants 2>/dev/null | grep 1058[89] || true; ! ss -Hltn 'sport = 915' | grep . || true`

// senders logs a sender in, first beside the login for all mail and then beside a relay for all mail with a password, and a sender with another
// password. Each goes its own way; nobody's password may go without TLS.
func (l *loginHost) senders(ctx context.Context, t *testing.T, relay *hosts.Host) {
	app := "--client-id daemon --client-secret-file /root/secret --flow client-credentials"
	l.logIn(ctx, t, "--sender olga@example.org "+app, nil)
	if said := sh(ctx, t, l.client, "postfix-maint smarthost list"); !strings.Contains(said, "olga@example.org: [provider.example.test]:1587, OAuth 2.0 (client-credentials) by the port 915") {
		t.Errorf("list says\n%s", said)
	}
	l.sent(ctx, t, "beside-all")
	l.delivered(ctx, t, "all-beside")
	ca := []string{"--ca-file", "/etc/ssl/test-ca.pem"}
	setSmarthost(ctx, t, l.client, pass, append(ca, "--relay", "[relay.example.test]:587", "--user", "anna")...)
	if out, err := smarthost(ctx, l.client, pass+"-carl", append(ca, "add", "--sender", "carl@example.org", "--relay", "[relay.example.test]:3587", "--user", "carl")...); err != nil {
		t.Fatal(out, err)
	}
	for _, chroot := range []string{"n", "y"} {
		sh(ctx, t, l.client, "postconf -F smtp/unix/chroot="+chroot+" smtp-oauth/unix/chroot="+chroot+"; postfix reload")
		l.sent(ctx, t, "beside-passwords-"+chroot)
	}
	for from, want := range map[string]string{"carl@example.org": "carl", "local@else.example": "anna"} {
		if got := loggedInAs(ctx, t, relay, l.client, from, ""); got != want {
			t.Errorf("the mail of %s came with the login %q, want %q", from, got, want)
		}
	}
	said := sh(ctx, t, l.client, "sleep 2; postfix-maint smarthost test --from olga@example.org you@dest.test; ! postfix-maint doctor --json | grep '\"id\": \"relay-'")
	if l.came++; !strings.Contains(said, "delivered to you@dest.test") || !strings.Contains(said, "OAuth 2.0") {
		t.Errorf("test says\n%s", said)
	}
	if said := sh(ctx, t, l.client, "postconf -n | grep security_options"); strings.Contains(said, "smtp_sasl_security_options = noanonymous\n") {
		t.Errorf("passwords may go without TLS: %s", said)
	}
	sh(ctx, t, l.client, "postfix-maint smarthost remove olga@example.org")
	if left := sh(ctx, t, l.client, sendersLeft); left != "" {
		t.Errorf("after remove there is\n%s", left)
	}
	if got := loggedInAs(ctx, t, relay, l.client, "olga@example.org", ""); got != "anna" {
		t.Errorf("after remove the mail of olga came with the login %q", got)
	}
	sh(ctx, t, l.client, "postfix-maint smarthost remove carl@example.org")
}

// sent sends a message of the sender that has logged in, and waits until the provider has it.
func (l *loginHost) sent(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	sh(ctx, t, l.client, "printf 'Message-ID: <"+name+"@client.example.test>\nSubject: x\n\nhello\n' | sendmail -f olga@example.org you@dest.test")
	l.came++
	awaitMessages(ctx, t, l.client, l.p, l.came)
}
