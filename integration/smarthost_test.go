//go:build integration

package integration

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
	"postfix-maint/internal/paths"
)

const (
	account = "anna@relay.example.test"
	pass    = "s3cr3t: Zufall"
	target  = "bert@dest.test"
)

// relayServices are the relay's ways in. Each has its own port, and says who may send what.
const relayServices = `
587 inet n - n - - smtpd -o smtpd_tls_security_level=encrypt -o smtpd_sasl_auth_enable=yes -o smtpd_sasl_mechanism_filter=plain
465 inet n - n - - smtpd -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes -o smtpd_sasl_mechanism_filter=login
2587 inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_tls_cert_file=/etc/postfix/tls/expired.pem
2588 inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_tls_cert_file=/etc/postfix/tls/other.pem
2589 inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_tls_auth_only=no
2591 inet n - n - - smtpd -o smtpd_sasl_auth_enable=no -o smtpd_relay_restrictions=defer
`

// relayScript makes a host with Debian's Postfix and sasl2-bin a relay: accounts by saslauthd (PAM) and, for those that no
// system user could have, by sasldb. Addresses of refused.example.test belong to somebody else's account. One mailbox takes one
// message at a time: many at once wait long for its lock. Port 2590 takes STARTTLS away on the way to 2589, and keeps what it is
// sent.
const relayScript = `
sed -i /^START=/d /etc/default/saslauthd; echo START=yes >> /etc/default/saslauthd
update-rc.d saslauthd enable; adduser -q postfix sasl
printf 'pwcheck_method: auxprop saslauthd\nmech_list: PLAIN LOGIN\n' > /etc/postfix/sasl/smtpd.conf
useradd -m bert; useradd -m anna; echo 'anna:` + pass + `' | chpasswd
postconf -e myhostname=relay.example.test 'mydestination=relay.example.test, dest.test' inet_protocols=all mynetworks=127.0.0.1 \
  mailbox_command= local_destination_concurrency_limit=1 smtpd_sasl_local_domain=relay.example.test cyrus_sasl_config_path=/etc/postfix/sasl smtpd_tls_security_level=may smtpd_tls_auth_only=yes \
  smtpd_tls_cert_file=/etc/postfix/tls/good.pem 'smtpd_tls_key_file=$smtpd_tls_cert_file' \
  'smtpd_sender_login_maps=regexp:{{/@refused\.example\.test$$/ somebody.else}}' \
  smtpd_relay_restrictions=permit_sasl_authenticated,reject_unauth_destination \
  smtpd_sender_restrictions=reject_known_sender_login_mismatch
cat >> /etc/postfix/master.cf
cat > /usr/local/bin/strip-tls <<'END'
#!/bin/bash
tee -a /var/log/stripped | nc 127.0.0.1 2589 | sed -u 's/STARTTLS/XXXXXXXX/'
END
chmod +x /usr/local/bin/strip-tls
printf '[Socket]\nListenStream=2590\nAccept=yes\n[Install]\nWantedBy=sockets.target\n' > /etc/systemd/system/strip.socket
printf '[Service]\nExecStart=-/usr/local/bin/strip-tls\nStandardInput=socket\n' > /etc/systemd/system/strip@.service
systemctl enable strip.socket
`

// relayOptions is the relay, set up but for its certificates.
func relayOptions(ctx context.Context, t *testing.T) hosts.Options {
	t.Helper()
	base := hosts.Options{Release: "bookworm", Binds: maps.Clone(installed(ctx, t, "bookworm", product.Debian).Binds)}
	more, err := session.Packages(ctx, base.Release, "relay", "sasl2-bin")
	if err != nil {
		t.Fatal(err)
	}
	base.Binds[more] = "/more"
	opt, err := session.Layer(ctx, "relay", base, func(h *hosts.Host) error {
		if err := h.Boot(ctx); err != nil {
			return err
		}
		if err := product.Preseed(ctx, h, product.Answers{"main_mailer_type": "Internet Site", "mailname": "relay.example.test"}); err != nil {
			return err
		}
		if _, err := h.Sh(ctx, "dpkg -i /more/*.deb /packages/postfix_*.deb"); err != nil {
			return err
		}
		cmd := h.Command(ctx, "bash", "-euc", relayScript)
		cmd.Stdin = strings.NewReader(relayServices)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("cannot set the relay up: %w: %s", err, out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return opt
}

// clientOptions is a host with Debian's own Postfix and our program beside it.
func clientOptions(ctx context.Context, t *testing.T, release string) hosts.Options {
	t.Helper()
	opt := installed(ctx, t, release, product.Debian)
	for dir := range source(ctx, t, release, product.Ours).Binds {
		opt.Binds = map[string]string{dir: "/ours"}
	}
	opt, err := session.Layer(ctx, "smarthost-"+release, opt, func(h *hosts.Host) error {
		_, err := h.Sh(ctx, "dpkg -i /ours/postfix-maint_*.deb; useradd -m local; for i in 0 1 2 3 4 5 6 7 8 9; do useradd -m user$i; done")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return opt
}

// issuer is a CA.
type issuer struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	ca := &issuer{t: t}
	ca.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"}, NotBefore: time.Now().Add(-48 * time.Hour),
		NotAfter: time.Now().Add(48 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	var err error
	if ca.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, ca.cert, ca.cert, &ca.key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	if ca.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return ca
}

// issue gives key and certificate for a name, and others, in one PEM file.
func (ca *issuer) issue(name string, until time.Duration, also ...string) []byte {
	ca.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		ca.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: append(also, name),
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(until), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		ca.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		ca.t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
}

// withRelay boots a relay and a client of each release, laid with options, on one network, gives the clients the CA, and runs a scenario on
// each of them.
func withRelay(t *testing.T, options func(ctx context.Context, t *testing.T, release string) hosts.Options, do func(ctx context.Context, t *testing.T, relay, client *hosts.Host)) {
	ctx := scenario(t, 1+len(releases()))
	lan := newNetwork(ctx, t)
	opt := relayOptions(ctx, t)
	opt.Network, opt.Names = lan, providerHosts
	relay, ca := newHost(ctx, t, "relay", opt), newIssuer(t)
	all, clients := []*hosts.Host{relay}, map[string]*hosts.Host{}
	for _, release := range releases() {
		opt := options(ctx, t, release)
		opt.Network = lan
		clients[release] = newHost(ctx, t, release, opt)
		all = append(all, clients[release])
		write(t, clients[release], "/etc/ssl/test-ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}))
	}
	if err := os.Mkdir(relay.Root()+"/etc/postfix/tls", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, relay, "/etc/postfix/tls/good.pem", ca.issue("relay.example.test", 24*time.Hour, providerHosts...))
	write(t, relay, "/etc/postfix/tls/expired.pem", ca.issue("relay.example.test", -time.Hour))
	write(t, relay, "/etc/postfix/tls/other.pem", ca.issue("other.example.test", 24*time.Hour))
	for _, h := range all {
		if err := h.Boot(ctx); err != nil {
			t.Fatal(err)
		}
		sh(ctx, t, h, "ip -6 addr add fd77::"+strings.TrimPrefix(h.Address(), "10.99.0.")+"/64 dev eth0 nodad")
	}
	await(ctx, t, relay, "the relay's ports", "for p in 25 465 587 2587 2588 2589 2590 2591; do ss -Hltn sport = $p | grep -q .; done; systemctl is-active -q saslauthd")
	t.Run("on", func(t *testing.T) { // ends when both releases are through; the hosts go after that
		for release, client := range clients {
			t.Run(release, func(t *testing.T) {
				t.Parallel()
				do(ctx, t, relay, client)
			})
		}
	})
}

func write(t *testing.T, h *hosts.Host, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(h.Root(), name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// smarthost runs our command; a password goes in on standard input. Postfix's programs wait more than a second for a fresh main.cf
// to cool down, which adds up to minutes over many settings: it is made old.
func smarthost(ctx context.Context, h *hosts.Host, password string, args ...string) (string, error) {
	if password != "" {
		args = append(args, "--password-stdin")
	}
	cmd := h.Command(ctx, append([]string{"sh", "-c", `postfix-maint smarthost "$@"; status=$?; touch -d 2020-01-01 /etc/postfix/main.cf; exit $status`, "-"}, args...)...)
	cmd.Stdin = strings.NewReader(password)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%q: %w: %s", args, err, out)
	}
	return string(out), err
}

// setSmarthost is smarthost for what must succeed.
func setSmarthost(ctx context.Context, t *testing.T, h *hosts.Host, password string, args ...string) string {
	t.Helper()
	out, err := smarthost(ctx, h, password, append([]string{"set"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// outcome is what the tests look at in the JSON of "smarthost test".
type outcome struct {
	Submitted, Delivered                                  bool
	Sender, Status, Reply, Problem, Advice, TLS, Queue_ID string
	Probe                                                 struct {
		TLS, Mechanism, Address string
		Certificate             *struct{ Trusted, Matched bool }
		Failure                 *struct{ Cause string }
	}
}

// tryRelay runs "smarthost test" and gives what it found and whether it said so by its exit status.
func tryRelay(ctx context.Context, t *testing.T, h *hosts.Host, options ...string) (outcome, bool) {
	t.Helper()
	var stderr bytes.Buffer
	cmd := h.Command(ctx, append(append([]string{"postfix-maint", "smarthost", "test", "--json"}, options...), target)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var o outcome
	if err := json.Unmarshal(out, &o); err != nil {
		t.Fatalf("smarthost test: %v: %s %s", err, out, stderr.String())
	}
	return o, exit == nil
}

var rewritten = []string{"--rewrite", "generic=" + account, "--from", account}

// TestSmarthost delivers by both ports, at both levels, with both ways to log in, and looks at what arrives.
func TestSmarthost(t *testing.T) {
	withRelay(t, clientOptions, func(ctx context.Context, t *testing.T, relay, client *hosts.Host) {
		before := sh(ctx, t, client, "postconf -n; cat /etc/aliases")
		for _, c := range []struct{ relay, level, mechanism string }{
			{"[relay.example.test]:587", "verify", "PLAIN"}, {"[relay.example.test]:587", "secure", "PLAIN"},
			{"[relay.example.test]:465", "verify", "LOGIN"}, {"[relay.example.test]:465", "secure", "LOGIN"},
			{"relay.example.test:587", "secure", "PLAIN"},
		} {
			setSmarthost(ctx, t, client, pass, append(rewritten, "--relay", c.relay, "--tls", c.level, "--ca-file", "/etc/ssl/test-ca.pem", "--user", "anna")...)
			o, ok := tryRelay(ctx, t, client)
			if cert := o.Probe.Certificate; !ok || !o.Delivered || o.Probe.Mechanism != c.mechanism || o.Sender != account || o.TLS != c.level ||
				cert == nil || !cert.Trusted || !cert.Matched {
				t.Errorf("%+v: %+v", c, o)
			}
		}
		again := setSmarthost(ctx, t, client, "", "--root", account)
		if !strings.Contains(again, "/etc/aliases") || setSmarthost(ctx, t, client, "") != "nothing to do\n" {
			t.Errorf("a second set is not idempotent, or root's alias is missing: %s", again)
		}
		mail(ctx, t, client, "local", "stays", "-f user1")
		mail(ctx, t, client, "root", "to-root-"+client.Name, "-f user1 -F 'User <One>'")
		sh(ctx, t, client, "until grep -q '^Subject: stays' /var/mail/local; do sleep 0.1; done")
		if got := sh(ctx, t, client, "cat /var/mail/local"); !strings.Contains(got, "Return-Path: <user1@") || strings.Contains(got, account) {
			t.Errorf("local mail was rewritten:\n%s", got)
		}
		got := arrived(ctx, t, relay, "anna", "to-root-"+client.Name)
		if !strings.Contains(got, "\nReturn-Path: <"+account+">\n") || !strings.Contains(got, "\nFrom: \"User <One>\" <"+account+">\n") {
			t.Errorf("root's mail at the relay:\n%s", got)
		}
		tenUsers(ctx, t, relay, client)
		literal(ctx, t, relay, client)
		anotherInstance(ctx, t, client)
		sh(ctx, t, client, "rm -f /etc/aliases."+indexName(ctx, t, client)+"; newaliases")
		if _, err := smarthost(ctx, client, "", "unset"); err != nil {
			t.Error(err)
		}
		if after := sh(ctx, t, client, "postconf -n; cat /etc/aliases"); after != before {
			t.Errorf("unset left\n%s\nbefore it was\n%s", after, before)
		}
		if left := sh(ctx, t, client, "ls -A /etc/postfix | grep -E 'sasl_passwd|generic|canonical|header|maint' || true; ls /var/lib/postfix-maint/smarthost"); left != "" {
			t.Errorf("unset left files: %s", left)
		}
	})
}

func mail(ctx context.Context, t *testing.T, h *hosts.Host, to, subject, options string) {
	t.Helper()
	sh(ctx, t, h, fmt.Sprintf("printf 'Subject: %s\\n\\nhello\\n' | sendmail %s %s", subject, options, to))
}

// arrived waits for a message in a mailbox and gives it.
func arrived(ctx context.Context, t *testing.T, h *hosts.Host, user, subject string) string {
	t.Helper()
	await(ctx, t, h, subject, fmt.Sprintf("grep -q '^Subject: %s$' /var/mail/%s", subject, user))
	for _, m := range strings.Split("\n"+sh(ctx, t, h, "cat /var/mail/"+user), "\nFrom ") {
		if strings.Contains(m, "\nSubject: "+subject+"\n") {
			return "\n" + m
		}
	}
	return ""
}

// tenUsers gives each user an address, by each kind of canonical table that is there.
func tenUsers(ctx context.Context, t *testing.T, relay, client *hosts.Host) {
	t.Helper()
	var plain strings.Builder
	for i := range 10 {
		fmt.Fprintf(&plain, "user%d u%d@relay.example.test\n", i, i)
	}
	write(t, client, "/root/plain", []byte("# users\n"+plain.String()))
	write(t, client, "/root/regexp", []byte(`/^user([0-9])@/ u$1@relay.example.test`+"\n"))
	for _, kind := range []string{"users=/root/plain", "regexp=/root/regexp"} {
		setSmarthost(ctx, t, client, "", "--rewrite", kind, "--from", "none")
		for i := range 10 {
			mail(ctx, t, client, target, fmt.Sprintf("%.5s-%d-%s", kind, i, client.Name), fmt.Sprintf("-f user%d", i))
		}
		for i := range 10 {
			got := arrived(ctx, t, relay, "bert", fmt.Sprintf("%.5s-%d-%s", kind, i, client.Name))
			want := fmt.Sprintf("u%d@relay.example.test", i)
			if !strings.Contains(got, "\nReturn-Path: <"+want+">") || !strings.Contains(got, "\nFrom: root <"+want+">\n") {
				t.Errorf("%s: the mail of user%d at the relay:\n%s", kind, i, got)
			}
		}
	}
	if said, err := smarthost(ctx, client, "", "set", "--rewrite", "pcre=/root/regexp"); err == nil || !strings.Contains(said, "postfix-pcre") {
		t.Errorf("without the package postfix-pcre: %v: %s", err, said)
	}
	write(t, client, "/root/regexp", []byte("/^user([0-9@/ u$1@relay.example.test\n"))
	before := sh(ctx, t, client, "md5sum /etc/postfix/*.cf /etc/postfix/sender*")
	if said, err := smarthost(ctx, client, "", "set", "--rewrite", "regexp=/root/regexp"); err == nil {
		t.Errorf("a broken pattern is taken: %s", said)
	}
	if after := sh(ctx, t, client, "md5sum /etc/postfix/*.cf /etc/postfix/sender*"); after != before {
		t.Errorf("a broken pattern changed files:\n%s\n%s", before, after)
	}
}

// literal uses addresses as relay, and accounts and passwords that are hard to write down.
func literal(ctx context.Context, t *testing.T, relay, client *hosts.Host) {
	t.Helper()
	number := strings.TrimPrefix(relay.Address(), "10.99.0.")
	printable := ""
	for c := '!'; c <= '~'; c++ {
		printable += string(c)
	}
	for n, c := range []struct{ relay, user, password string }{
		{"[fd77::" + number + "]:587", "odd", printable}, {"[IPv6:fd77::" + number + "]:465", "odd", "  both ends  "},
		{"[" + relay.Address() + "]:587", "odd@relay.example.test", strings.Repeat("5:1 2", 102) + "ö"},
		{"[relay.example.test]:587", "o\"d+d'", "käse☃<end>"}, {"[relay.example.test]:587", "o\"d+d'", strings.Repeat("☃", 170) + "# "},
	} {
		c.user = strings.Replace(c.user, "o", client.Name[:1], 1) // each client has accounts of its own
		cmd := relay.Command(ctx, "bash", "-euc", `exec 9>/run/sasl.lock; flock 9
			saslpasswd2 -p -c -u relay.example.test -- "$1"; chgrp sasl /etc/sasldb2; chmod 640 /etc/sasldb2`,
			"-", strings.TrimSuffix(c.user, "@relay.example.test"))
		cmd.Stdin = strings.NewReader(c.password)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("saslpasswd2: %v: %s", err, out)
		}
		from := "generic=root@dest.test" // an address of nobody, which any account may use
		setSmarthost(ctx, t, client, c.password, "--relay", c.relay, "--tls", "encrypt", "--user", c.user, "--rewrite", from)
		if o, ok := tryRelay(ctx, t, client); !ok || !o.Delivered {
			t.Errorf("case %d, password of %d bytes: %+v", n, len(c.password), o)
		}
	}
}

// anotherInstance gives a second instance a smarthost of its own; the first one's stays as it is.
func anotherInstance(ctx context.Context, t *testing.T, client *hosts.Host) {
	t.Helper()
	sh(ctx, t, client, `exec 2>&1; postmulti -e init; postmulti -I postfix-out -e create
		postconf -c /etc/postfix-out -X authorized_submit_users; postconf -c /etc/postfix-out -F '*/*/chroot = n'
		postmulti -i postfix-out -e enable; postmulti -i postfix-out -p start`)
	const state = "postconf -n; cd /etc/postfix; md5sum sasl_passwd generic sender_canonical smtp_header_checks 2>/dev/null || true"
	before := sh(ctx, t, client, state)
	instance := []string{"--instance", "postfix-out"}
	set := append([]string{"--relay", "[relay.example.test]:465", "--ca-file", "/etc/ssl/test-ca.pem", "--user", "anna", "--rewrite", "generic=" + account}, instance...)
	setSmarthost(ctx, t, client, pass, set...)
	if o, ok := tryRelay(ctx, t, client, instance...); !ok || !o.Delivered || o.Probe.Mechanism != "LOGIN" || o.Sender != account {
		t.Errorf("the second instance: %+v", o)
	}
	if mode := sh(ctx, t, client, "stat -c '%a %n' /etc/postfix-out/sasl_passwd*"); mode != "600 /etc/postfix-out/sasl_passwd\n600 /etc/postfix-out/sasl_passwd."+indexName(ctx, t, client)+"\n" {
		t.Errorf("the second instance's table: %s", mode)
	}
	if _, err := smarthost(ctx, client, "", append([]string{"unset"}, instance...)...); err != nil {
		t.Error(err)
	}
	if after := sh(ctx, t, client, state); after != before {
		t.Errorf("the first instance became\n%s\nit was\n%s", after, before)
	}
	sh(ctx, t, client, "postmulti -i postfix-out -p stop; postmulti -i postfix-out -e disable; postmulti -i postfix-out -e destroy; postconf -X multi_instance_wrapper multi_instance_enable multi_instance_directories")
}

// TestSmarthostRefused meets what goes wrong: each case is explained, nothing goes out in clear, and unset leads back to the
// settings that worked.
func TestSmarthostRefused(t *testing.T) {
	withRelay(t, clientOptions, func(ctx context.Context, t *testing.T, relay, client *hosts.Host) {
		sh(ctx, t, client, "postconf -e relayhost=[relay.example.test] smtp_tls_security_level=may; systemctl reload postfix")
		works := sh(ctx, t, client, "postconf -n")
		ca := []string{"--ca-file", "/etc/ssl/test-ca.pem"}
		const deadDNS = "a DNS server that is dead"
		for name, c := range map[string]struct {
			relay, password string
			args            []string
			cause, advice   string
		}{
			deadDNS:                          {"[relay.example.test]:587", pass, ca, "name", "does the DNS server answer"},
			"a wrong password":               {"[relay.example.test]:587", "wrong", ca, "credentials", "smtp_sasl_password_maps"},
			"an unknown CA":                  {"[relay.example.test]:587", pass, nil, "untrusted", "smtp_tls_CAfile"},
			"a certificate for another name": {"[relay.example.test]:2588", pass, ca, "mismatch", "other.example.test"},
			"an expired certificate":         {"[relay.example.test]:2587", pass, ca, "expired", "renew"},
			"STARTTLS taken away":            {"[relay.example.test]:2590", pass, ca, "starttls", "smtp_tls_security_level"},
			"a relay without login":          {"[relay.example.test]:2591", pass, ca, "noauth", "587"},
			"nobody at the port":             {"[relay.example.test]:2599", pass, ca, "connect", "relay's port"},
			"a relay that is down":           {"[10.99.0.250]:587", pass, ca, "connect", "is the relay up"},
			"a name that nobody has":         {"[nobody.example.test]:587", pass, ca, "name", "relayhost"},
			"a sender that is refused":       {"[relay.example.test]:587", pass, append([]string{"--rewrite", "generic=x@refused.example.test"}, ca...), "", "smtp_generic_maps"},
		} {
			setSmarthost(ctx, t, client, c.password, append([]string{"--relay", c.relay, "--user", "anna"}, c.args...)...)
			if name == deadDNS {
				sh(ctx, t, client, "cp /etc/resolv.conf /root/; echo 'nameserver 10.99.0.251' > /etc/resolv.conf")
			}
			o, ok := tryRelay(ctx, t, client)
			cause := ""
			if o.Probe.Failure != nil {
				cause = o.Probe.Failure.Cause
			}
			if ok || o.Delivered || cause != c.cause || !strings.Contains(o.Advice, c.advice) || o.Submitted != (cause == "") {
				t.Errorf("%s: %+v, failure %q", name, o, cause)
			}
			refusedByPostfix(ctx, t, client, name, o.Submitted || name == deadDNS) // in its chroot the client has another resolv.conf
			if name == deadDNS {
				if sh(ctx, t, client, "cp /root/resolv.conf /etc/"); !strings.Contains(o.Problem, "the DNS does not answer") {
					t.Errorf("%s: the problem is %q", name, o.Problem)
				}
			}
			if _, err := smarthost(ctx, client, "", "unset"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if back := sh(ctx, t, client, "postconf -n"); back != works {
				t.Errorf("%s: unset left\n%s\nnot\n%s", name, back, works)
			}
		}
		if heard := sh(ctx, t, relay, "cat /var/log/stripped"); !strings.Contains(heard, "EHLO") || strings.Contains(heard, "AUTH") || strings.Contains(heard, "MAIL") {
			t.Errorf("without TLS the client said:\n%s", heard)
		}
		if o, ok := tryRelay(ctx, t, client); !ok || !o.Delivered {
			t.Errorf("the former settings do not work again: %+v", o)
		}
		sh(ctx, t, client, "dpkg --force-depends -r libsasl2-modules; echo '/^a/ a@dest.test' > /root/patterns")
		for missing, option := range map[string][]string{"libsasl2-modules": {"--user", "anna"}, "postfix-pcre": {"--rewrite", "pcre=/root/patterns"}} {
			password := map[bool]string{true: pass}[option[0] == "--user"]
			_, err := smarthost(ctx, client, password, append(append([]string{"set", "--relay", "[relay.example.test]:587"}, ca...), option...)...)
			if now := sh(ctx, t, client, "postconf -n"); err == nil || !strings.Contains(err.Error(), missing) || now != works {
				t.Errorf("without %s: %v, and in force is\n%s", missing, err, now)
			}
		}
	})
}

// refusedByPostfix lets Postfix itself try: it must keep the message, and the test must have left none of its own.
func refusedByPostfix(ctx context.Context, t *testing.T, client *hosts.Host, name string, sent bool) {
	t.Helper()
	if queue := sh(ctx, t, client, "postqueue -j"); queue != "" {
		t.Errorf("%s: the test left a message behind: %s", name, queue)
	}
	if sent {
		return
	}
	mail(ctx, t, client, target, "refused", "-N never -f local")
	await(ctx, t, client, name, "postqueue -j | grep -q delay_reason")
	sh(ctx, t, client, "postsuper -d ALL")
}

// itsPlace is a call that may hold the password: our reading of it, and whatever concerns the table and its index.
var itsPlace = regexp.MustCompile(`^(read\(0<|p?(read|write)(64)?\(\d+</etc/postfix/[^>]*sasl_passwd)`)

// TestSmarthostSecret searches for the password: in every file of the host, and in every call of every process of the runs.
func TestSmarthostSecret(t *testing.T) {
	withRelay(t, clientOptions, func(ctx context.Context, t *testing.T, _, client *hosts.Host) {
		run := "strace -ff -v -yy -s 4096 -o /root/trace.$RANDOM$RANDOM postfix-maint smarthost "
		set := run + "set --relay [relay.example.test]:587 --ca-file /etc/ssl/test-ca.pem --user anna --rewrite generic=" + account
		for _, script := range []string{
			set + " --password-stdin --dry-run --json", set + " --password-stdin", run + "show --json", run + "test " + target,
			set + " --relay [relay.example.test]:465 --json --password-stdin", run + "test --json " + target,
		} {
			cmd := client.Command(ctx, "bash", "-euc", script)
			cmd.Stdin = strings.NewReader(pass)
			out, err := cmd.CombinedOutput()
			if err != nil || bytes.Contains(out, []byte(pass)) {
				t.Fatalf("%s: %v: %s", script, err, out)
			}
		}
		searchTraces(t, client, passwordForms(), aPassword(itsPlace))
		searchDisk(ctx, t, client, passwordForms(), passwordTables(ctx, t, client)...)
	})
}

// passwordTables are where the password of a relay is.
func passwordTables(ctx context.Context, t *testing.T, client *hosts.Host) []string {
	t.Helper()
	return []string{"/etc/postfix/sasl_passwd", "/etc/postfix/sasl_passwd." + indexName(ctx, t, client)}
}

// searchDisk looks for secrets, by their names as they may be written, in every file that differs from the layers below, and in the journal.
// They are in these places alone, which nobody else can read.
func searchDisk(ctx context.Context, t *testing.T, client *hosts.Host, forms map[string]string, places ...string) {
	t.Helper()
	var holders []string
	err := filepath.WalkDir(client.Changes(), func(name string, e fs.DirEntry, err error) error {
		there := strings.TrimPrefix(name, client.Changes())
		if err != nil || !e.Type().IsRegular() || strings.HasPrefix(there, "/root/trace.") {
			return err
		}
		data, err := os.ReadFile(name)
		for _, text := range forms {
			if bytes.Contains(data, []byte(text)) {
				holders = append(holders, there)
				break
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(holders) != fmt.Sprint(places) {
		t.Errorf("the secret is in %v, want %v", holders, places)
	}
	for _, place := range places {
		owner := "root"
		if strings.HasPrefix(place, paths.OAuthState) { // the OAuth relay's own
			owner = "[^r].*"
		}
		if mode := sh(ctx, t, client, "stat -c %a%U "+place); !regexp.MustCompile("^600" + owner + "\n$").MatchString(mode) {
			t.Errorf("%s: mode and owner %s", place, mode)
		}
	}
	logs := sh(ctx, t, client, "journalctl -q --no-pager -o export -a; cat /var/cache/debconf/*.dat; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' || true")
	for form, text := range forms {
		if strings.Contains(logs, text) {
			t.Errorf("the secret (%s) is in a log, debconf's database or a process", form)
		}
	}
}

// TestSmarthostByHand follows the description step by step in one directory, and uses our command in the other: main.cf has to
// mean the same, but for what ours does more strictly: mechanisms that send the password as it is are for TLS only, and anonymous
// ones for nobody.
func TestSmarthostByHand(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := newHost(ctx, t, "client", clientOptions(ctx, t, release))
		sh(ctx, t, h, tableWords+`cp -a /etc/postfix /by-hand
			postconf -c /by-hand -e 'relayhost = [relayhost.example.com]:465' 'smtp_tls_security_level = verify' \
				'smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt' 'smtp_tls_wrappermode = yes' 'smtp_sasl_auth_enable = yes' \
				'smtp_sasl_security_options =' "smtp_sasl_password_maps = $type:/by-hand/example-passwd" "smtp_generic_maps = $type:/by-hand/generic_mapping"
			echo 'relayhost.example.com username@example.com:secret_password' > /by-hand/example-passwd
			echo "@$(cat /etc/mailname) username@example.com" > /by-hand/generic_mapping
			postmap /by-hand/example-passwd /by-hand/generic_mapping`)
		setSmarthost(ctx, t, h, "secret_password", "--relay", "[relayhost.example.com]:465", "--user", "username@example.com",
			"--rewrite", "generic=username@example.com", "--root", "someuser@somehost.com")
		want := sh(ctx, t, h, `postconf -c /by-hand -n | sed '/^config_directory/d; s,/by-hand/example-passwd,/etc/postfix/sasl_passwd,
			s,/by-hand/generic_mapping,/etc/postfix/generic,; s/^smtp_sasl_security_options =$/smtp_sasl_tls_security_options = noanonymous/' | sort`)
		if got := sh(ctx, t, h, "postconf -n | sort"); got != want {
			t.Errorf("by our command:\n%s\nby hand:\n%s", got, want)
		}
		for name, c := range map[string][2]string{
			"the sender":    {"postmap -q @$(cat /etc/mailname) $type:/etc/postfix/generic", "postmap -q @$(cat /etc/mailname) $type:/by-hand/generic_mapping"},
			"the account":   {"postmap -q [relayhost.example.com]:465 $type:/etc/postfix/sasl_passwd", "postmap -q relayhost.example.com $type:/by-hand/example-passwd"},
			"root's alias":  {"postmap -q root $type:/etc/aliases", "echo someuser@somehost.com"},
			"what is left":  {"ls -A /etc/postfix", "ls -A /by-hand | sed 's/^example-passwd/sasl_passwd/; s/^generic_mapping/generic/' | sort"},
			"Postfix check": {"postfix check 2>&1 | grep -v ^updating || true", "true"},
		} {
			if got, want := sh(ctx, t, h, tableWords+c[0]), sh(ctx, t, h, tableWords+c[1]); got != want {
				t.Errorf("%s: by our command %q, by hand %q", name, got, want)
			}
		}
	})
}

// killScript kills a change at each call by which it changes a file, and looks at what is in force right after: all of the old
// smarthost or all of the new one. Then the change is made again; the files must be those of a run that nobody killed.
const killScript = tableWords + `
cd /root; kind=$1
mkdir /memory; mount -t tmpfs memory /memory # each run waits for some forty fsync(2), which memory answers at once
mkdir -p /memory/save /var/lib/postfix-maint; cp -a /etc /memory/etc; mount --bind /memory/etc /etc
mkdir /memory/maint; mount --bind /memory/maint /var/lib/postfix-maint; ln -s /memory/save /save
base() { rm -rf /etc/postfix /var/lib/postfix-maint/*; cp -a /save/postfix /etc/postfix; cp -a /save/aliases /save/aliases.$suffix /etc/; cp -a /save/maint/. /var/lib/postfix-maint; }
change() {
  if [ $kind = senders ]; then
    "$@" /usr/sbin/postfix-maint smarthost add --sender b@example.org --relay [b.example.test]:465 --user b@x --password-file /root/pw-b >/root/said 2>&1; return
  fi
  "$@" /usr/sbin/postfix-maint smarthost set --relay [b.example.test]:465 --user b@x --password-file /root/pw-b --rewrite generic=b@x.test --from b@x.test --root b@x.test >/root/said 2>&1
}
meaning() {
  touch -d 2020-01-01 /etc/postfix/main.cf # Postfix's programs wait a second for a fresh one to cool down
  postconf -xn | sed 's,/etc/postfix/.postfix-maint/aliases,/etc/aliases,; s,/\.postfix-maint/,/,g'
  for p in smtp_sasl_password_maps smtp_generic_maps sender_dependent_relayhost_maps sender_dependent_default_transport_maps smtp_tls_policy_maps; do for m in $(postconf -xh $p | grep -o "$type:/[^ ,}]*"); do echo $p; postmap -s $m | sort; done; done
  for m in $(postconf -xh sender_dependent_default_transport_maps); do # a service that nothing names means nothing
    if postmap -s $m | grep -q smtp-wrapper && ! postconf -M | grep -q ^smtp-wrapper; then echo "no smtp-wrapper"; fi
  done
  for m in $(postconf -xh smtp_header_checks); do grep -v ^# ${m#regexp:}; done
  for m in $(postconf -xh alias_maps | tr , ' '); do case $m in $type:*) postalias -q root $m;; esac; done
}
files() { find /etc/postfix /etc/aliases /var/lib/postfix-maint -type f ! -name "*.$suffix" ! -path '*/history/*' -exec md5sum {} + | sort; find /etc/postfix /etc/aliases.$suffix /var/lib/postfix-maint/* ! -name history -printf '%p %m %u %y\n' | sort; }
printf 'a secret ' > pw-a; printf 'b secret' > pw-b; chmod 600 pw-*
if [ $1 = second ]; then
  postfix-maint smarthost set --relay [a.example.test]:587 --user a@x --password-file pw-a --rewrite generic=a@x.test --root a@x.test >/root/said
fi
if [ $kind = senders ]; then
  postfix-maint smarthost add --sender a@example.org --relay [a.example.test]:587 --user a@x --password-file pw-a >/root/said
fi
old=$(meaning)
rm -rf /save/*; cp -a /etc/postfix /save/postfix; cp -a /etc/aliases /etc/aliases.$suffix /save/; cp -a /var/lib/postfix-maint /save/maint
base; change killat -n 0 -log /root/calls; new=$(meaning); whole=$(files); n=$(wc -l < calls)
[ "$old" != "$new" ] && [ $n -gt 30 ] || { echo "nothing to kill: $n calls"; cat /root/said; exit 1; }
sawold=0; sawnew=0
for i in $(seq 1 $2 $n); do
  case $(sed -n ${i}p calls) in *' call '7[45]' '*) continue;; esac # fsync: to the processes that live on it changes nothing
  base; change killat -n $i -log /root/calls.now && { echo "call $i: not killed"; continue; }
  now=$(meaning)
  case $now in
  "$old") sawold=$((sawold+1)) ;;
  "$new") sawnew=$((sawnew+1)) ;;
  *) echo "call $i ($(sed -n ${i}p calls)): neither old nor new"; diff <(echo "$new") <(echo "$now") ;;
  esac
  change || { echo "call $i: cannot be made again"; cat /root/said; }
  [ "$(files)" = "$whole" ] || { echo "call $i ($(sed -n ${i}p calls)): other files"; diff <(echo "$whole") <(files); }
done
[ $sawold -gt 0 ] && [ $sawnew -gt 0 ] || echo "old after $sawold kills, new after $sawnew"
`

// TestSmarthostKilled does that for a first smarthost on one release, and on the other for one that replaces another, where every
// table in use changes.
func TestSmarthostKilled(t *testing.T) {
	smarthostKilled(t, map[string]string{"bookworm": "first", "trixie": "second", hosts.Sid: "second"})
}

// TestSmarthostSendersKilled does it for a sender's relay that is added beside another's, and that needs a client of its own in master.cf.
func TestSmarthostSendersKilled(t *testing.T) {
	smarthostKilled(t, map[string]string{"bookworm": "senders", "trixie": "senders", hosts.Sid: "senders"})
}

func smarthostKilled(t *testing.T, kinds map[string]string) {
	t.Helper()
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := killatHost(ctx, t, release)
		sh(ctx, t, h, "systemctl stop postfix")
		if out, err := h.Run(ctx, "bash", "-uc", killScript, "-", kinds[release], fmt.Sprint(*killStep)); out != "" || err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// killatHost is a booted host with Postfix and the program that kills others.
func killatHost(ctx context.Context, t *testing.T, release string) *hosts.Host {
	t.Helper()
	program, err := os.ReadFile(buildKillat(ctx, t))
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(ctx, t, "client", clientOptions(ctx, t, release))
	if err := os.WriteFile(h.Root()+"/usr/local/sbin/killat", program, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := h.Boot(ctx); err != nil {
		t.Fatal(err)
	}
	return h
}
