package main

import (
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
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/measure"
	"postfix-maint/integration/product"
)

// relayPart is measured on hosts of its own.
const relayPart = "relay"

// Ways to the provider: through the relay that logs in by OAuth 2.0, and directly with a password, where Postfix keeps TLS connections open for
// the next message (TLS_README, "Client-side TLS connection reuse"; else each message has a handshake of its own).
const (
	directWay = `postfix-maint smarthost set --relay '[provider.example.test]:587' --user anna@example.test --password-file /root/password --ca-file /etc/ssl/test-ca.pem
		postconf -e smtp_tls_connection_reuse=yes`
	throughWay = `postfix-maint smarthost login --relay '[provider.example.test]:587' --user anna@example.test --token-url https://provider.example.test/token \
			--ca-file /etc/ssl/test-ca.pem --client-id daemon --client-secret-file /root/password --flow client-credentials
		postconf -X smtp_tls_connection_reuse 2>/dev/null || true`
)

// load is what is sent.
type load struct {
	name           string
	messages, size int
}

var loads = []load{{"400 messages of 5 kB", 400, 5000}, {"10 messages of 10 MB", 10, 10_000_000}, {"20 messages of 10 MB, 20 connections", 20, 10_000_000}}

// relayBench is a provider and a host that sends to it.
type relayBench struct{ provider, client *hosts.Host }

// relayed measures how fast mail gets to a provider, directly and through the relay that logs in by OAuth 2.0, in turn.
func relayed(ctx context.Context, s *hosts.Session, r *report, release string) (err error) {
	lan, err := s.NewNetwork(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lan.Remove()) }()
	var b relayBench
	for name, host := range map[string]**hosts.Host{"provider": &b.provider, "client": &b.client} {
		opt, err := product.Installed(ctx, s, release, product.Ours)
		if err != nil {
			return err
		}
		opt.Network = lan
		if *host, err = s.NewHost(ctx, name, opt); err != nil {
			return err
		}
		if err := (*host).Boot(ctx); err != nil {
			return err
		}
	}
	err = b.begin(ctx)
	if err == nil {
		err = b.figures(ctx, r, release)
	}
	return errors.Join(err, b.client.Remove(), b.provider.Remove())
}

// begin starts the provider and has the host trust it.
func (b relayBench) begin(ctx context.Context) error {
	build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(b.provider.Root(), "/usr/local/bin/provider"), ".")
	build.Dir, build.Env, build.WaitDelay = "integration/provider", append(os.Environ(), "CGO_ENABLED=0"), time.Second
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the provider: %w: %s", err, out)
	}
	key, cert, err := selfSigned("provider.example.test")
	if err != nil {
		return err
	}
	const password = "/root/password"
	for name, text := range map[string][]byte{b.provider.Root() + "/root/cert.pem": append(key, cert...), b.client.Root() + "/etc/ssl/test-ca.pem": cert,
		b.provider.Root() + password: []byte("gehe1m\n"), b.client.Root() + password: []byte("gehe1m\n")} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			return err
		}
	}
	if _, err := b.provider.Sh(ctx, "systemd-run -q --unit=provider provider -cert /root/cert.pem -secret-file /root/password -password-file /root/password"); err != nil {
		return err
	}
	if err := product.Await(ctx, b.provider, "the provider's ports", "for p in 443 587 8080; do ss -Hltn sport = $p | grep -q .; done"); err != nil {
		return err
	}
	// Debian's master.cf has no tlsproxy, without which no TLS connection is kept; outside of the chroot it finds the CA.
	_, err = b.client.Sh(ctx, "chmod 0644 /etc/ssl/test-ca.pem; "+
		"postconf -M tlsproxy/unix='tlsproxy unix - - n - 0 tlsproxy'; "+
		"postconf -e smtp_destination_concurrency_limit=20 initial_destination_concurrency=20 message_size_limit=20480000")
	return err
}

// selfSigned is a key, and a certificate that answers for itself.
func selfSigned(name string) (key, cert []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &private.PublicKey, private)
	if err != nil {
		return nil, nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}

// figures measures both ways in turn.
func (b relayBench) figures(ctx context.Context, r *report, release string) error {
	var times [2][][]time.Duration
	var logins [2][]int
	memory, most := 0, 0
	for i := range times {
		times[i], logins[i] = make([][]time.Duration, len(loads)), make([]int, len(loads))
	}
	for range min(runs, 3) {
		for i, way := range []string{directWay, throughWay} {
			if _, err := b.client.Sh(ctx, way); err != nil {
				return err
			}
			for j, l := range loads {
				took, c, err := b.send(ctx, l)
				if err != nil {
					return fmt.Errorf("%s: %w", l.name, err)
				}
				fmt.Printf("... %s, %s: %v, %d logins, %d connections at once\n", []string{"directly", "through"}[i], l.name, took.Round(time.Millisecond), c.Logins, c.Most)
				times[i][j], logins[i][j] = append(times[i][j], took), c.Logins
				most = max(most, i*c.Most)
			}
		}
		kib, err := b.memory(ctx)
		if err != nil {
			return err
		}
		memory = max(memory, kib)
	}
	r.table(release+", mail to a provider with a login", "directly", "through", "ratio", "asked for")
	for j, l := range loads {
		r.span(fmt.Sprintf("%s, median of %d", l.name, len(times[0][j])), measure.Median(times[0][j]), measure.Median(times[1][j]), share(1/0.9))
		r.count(l.name+": logins", logins[0][j], logins[1][j], want{})
	}
	r.alone(fmt.Sprintf("memory of the OAuth relay, up to %d connections at once", most), float64(memory)*1024/1e6, "MB", most25)
	return nil
}

var most25 = most(25, "MB")

// counted is what the provider has taken since it was asked last.
type counted struct {
	Messages, Logins, Most int
	Last                   time.Time
}

// send has mail wait in the queue, lets it go, and gives the time until the provider has the last of it. A message goes before, for all that
// is only done once.
func (b relayBench) send(ctx context.Context, l load) (time.Duration, counted, error) {
	queue := func(n, size int) string {
		return fmt.Sprintf("smtp-source -m %d -s 2 -l %d -f local@example.test -t you@dest.test 127.0.0.1:25", n, size)
	}
	if _, err := b.client.Sh(ctx, "postconf -e defer_transports=; postfix reload 2>/dev/null; "+queue(1, 5000)); err != nil {
		return 0, counted{}, err
	}
	if _, err := b.await(ctx, 1); err != nil {
		return 0, counted{}, err
	}
	if _, err := b.client.Sh(ctx, "postconf -e defer_transports=smtp; postfix reload 2>/dev/null; sleep 1; "+queue(l.messages, l.size)+
		"; until [ $(find /var/spool/postfix/deferred -type f | wc -l) = "+strconv.Itoa(l.messages)+
		" ]; do sleep 0.1; done; postconf -e defer_transports=; postfix reload 2>/dev/null; sleep 2"); err != nil {
		return 0, counted{}, err
	}
	start := time.Now()
	if _, err := b.client.Sh(ctx, "postqueue -f"); err != nil {
		return 0, counted{}, err
	}
	c, err := b.await(ctx, l.messages)
	return c.Last.Sub(start), c, err
}

// await asks the provider until it has so many more messages, which are forgotten then.
func (b relayBench) await(ctx context.Context, n int) (c counted, err error) {
	client := &http.Client{Transport: &http.Transport{DialContext: b.provider.Dial, DisableKeepAlives: true}}
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("http://127.0.0.1:8080/count?n=%d", n), nil)
		if err != nil {
			return c, err
		}
		answer, err := client.Do(req)
		if err != nil {
			return c, err
		}
		err = json.NewDecoder(answer.Body).Decode(&c)
		if err = errors.Join(err, answer.Body.Close()); err != nil || c.Messages >= n {
			return c, err
		}
	}
	queue, _ := b.client.Sh(ctx, "postqueue -p | tail -n 20")
	return c, fmt.Errorf("the provider has %d of %d messages: %s", c.Messages, n, queue)
}

// memory is the most that the relay's process has had, in KiB.
func (b relayBench) memory(ctx context.Context) (int, error) {
	out, err := b.client.Sh(ctx, `sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' /proc/$(pgrep -f 'postfix-oauth-relay serv[e]')/status`)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(out))
}
