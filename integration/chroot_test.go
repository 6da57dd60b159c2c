//go:build integration

package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// makeCerts makes a certificate authority and a certificate of peer.example.test.
const makeCerts = `mkdir -p /etc/tls; cd /etc/tls
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 30 -subj '/CN=Authority of the test' 2>/dev/null
openssl req -newkey rsa:2048 -nodes -keyout peer.key -out peer.csr -subj '/CN=peer.example.test' \
	-addext subjectAltName=DNS:peer.example.test 2>/dev/null
openssl x509 -req -in peer.csr -CA ca.pem -CAkey ca.key -CAcreateserial -copy_extensions copy -days 30 -out peer.pem 2>/dev/null
`

// servePeer makes the peer receive mail under TLS with that certificate, and mail by LMTP on port 24: a script that takes all.
const servePeer = `useradd -m bert
postconf -e myhostname=peer.example.test mydestination='peer.example.test, lmtp.test, onlyhosts.test' \
	smtpd_tls_cert_file=/etc/tls/peer.pem smtpd_tls_key_file=/etc/tls/peer.key
systemctl restart postfix
cat > /usr/local/bin/lmtp <<'SCRIPT'
#!/bin/bash
say() { printf '%s\r\n' "$1"; }
say '220 lmtp'
while read -r line; do
	case ${line%$'\r'} in
	LHLO*) say '250 lmtp' ;;
	DATA) say '354 go'; while read -r line && [ "${line%$'\r'}" != . ]; do :; done; say '250 taken' ;;
	QUIT) say '221 bye'; exit ;;
	*) say '250 ok' ;;
	esac
done
SCRIPT
chmod +x /usr/local/bin/lmtp
systemd-run -q systemd-socket-activate -l 24 --inetd -a /usr/local/bin/lmtp
ip addr add 10.99.0.77/24 dev eth0
`

// need is one ability that a chrooted daemon must have: settings, an action on a host, and the line that it leaves in mx's log.
type need struct {
	name, settings, onMX, onPeer, log string
}

var needs = []need{
	{
		name: "smtp finds a host by DNS", settings: "smtp_tls_security_level=may",
		onMX: "sendmail bert@peer.example.test", log: `postfix/smtp\[.*relay=peer.example.test\[10.99.0.2\].*status=sent`,
	},
	{
		name: "smtp finds a host by the hosts file", settings: "smtp_host_lookup=native relayhost=[onlyhosts.test]",
		onMX: "sendmail bert@lmtp.test", log: `postfix/smtp\[.*relay=onlyhosts.test\[10.99.0.77\].*status=sent`,
	},
	{
		name:     "smtp verifies a certificate by CAfile",
		settings: "smtp_tls_security_level=verify smtp_tls_CAfile=/etc/ssl/certs/ca-certificates.crt smtp_tls_CApath=",
		onMX:     "sendmail bert@peer.example.test", log: `postfix/smtp\[.*Verified TLS connection established to peer.example.test`,
	},
	{
		name:     "smtp verifies a certificate by CApath",
		settings: "smtp_tls_security_level=verify smtp_tls_CAfile= smtp_tls_CApath=/etc/ssl/certs",
		onMX:     "sendmail bert@peer.example.test", log: `postfix/smtp\[.*Verified TLS connection established to peer.example.test`,
	},
	{
		name: "lmtp finds a host by DNS", settings: "default_transport=lmtp:inet:peer.example.test",
		onMX: "sendmail bert@lmtp.test", log: `postfix/lmtp\[.*relay=peer.example.test\[10.99.0.2\]:24.*status=sent`,
	},
	{
		name: "lmtp finds a host by the hosts file", settings: "default_transport=lmtp:inet:onlyhosts.test lmtp_host_lookup=native",
		onMX: "sendmail bert@lmtp.test", log: `postfix/lmtp\[.*relay=onlyhosts.test\[10.99.0.77\]:24.*status=sent`,
	},
	{
		name:   "smtpd names a client by DNS",
		onPeer: "nc -s 10.99.0.2 -w 1 10.99.0.1 25", log: `postfix/smtpd\[.* connect from peer.example.test\[10.99.0.2\]`,
	},
	{
		name:   "smtpd names a client by the hosts file",
		onPeer: "nc -s 10.99.0.77 -w 1 10.99.0.1 25", log: `postfix/smtpd\[.* connect from onlyhosts.test\[10.99.0.77\]`,
	},
	{
		name:     "smtpd verifies a client's certificate by CAfile",
		settings: "smtpd_tls_ask_ccert=yes smtpd_tls_loglevel=1 smtpd_tls_CAfile=/etc/ssl/certs/ca-certificates.crt smtpd_tls_CApath=",
		onPeer:   sendCert, log: `postfix/smtpd\[.*Trusted TLS connection established from peer.example.test`,
	},
	{
		name:     "smtpd verifies a client's certificate by CApath",
		settings: "smtpd_tls_ask_ccert=yes smtpd_tls_loglevel=1 smtpd_tls_CAfile= smtpd_tls_CApath=/etc/ssl/certs",
		onPeer:   sendCert, log: `postfix/smtpd\[.*Trusted TLS connection established from peer.example.test`,
	},
}

const sendCert = "openssl s_client -connect 10.99.0.1:25 -bind 10.99.0.2:0 -starttls smtp -cert /etc/tls/peer.pem -key /etc/tls/peer.key -quiet"

// TestChrootSuffices shows that chrooted daemons can do all that they could outside.
func TestChrootSuffices(t *testing.T) {
	sidToo(t, 2, func(ctx context.Context, t *testing.T, release string) {
		lan := newNetwork(ctx, t)
		opt, peerOpt := installed(ctx, t, release, product.Ours), installed(ctx, t, "bookworm", product.Debian)
		opt.Network, peerOpt.Network = lan, lan
		mx, peer := boot(ctx, t, "mx", opt), boot(ctx, t, "peer", peerOpt)
		sh(ctx, t, peer, makeCerts+servePeer)
		ca, err := os.ReadFile(filepath.Join(peer.Root(), "/etc/tls/ca.pem"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(mx.Root(), "/usr/local/share/ca-certificates/test.crt"), ca, 0o644); err != nil {
			t.Fatal(err)
		}
		sh(ctx, t, mx, "update-ca-certificates >/dev/null 2>&1; echo 10.99.0.77 onlyhosts.test >> /etc/hosts; cp /etc/postfix/main.cf /root/")
		for _, n := range needs {
			if err := try(ctx, mx, peer, n); err != nil {
				t.Errorf("%s: %v", n.name, err)
			}
		}
	})
}

// try sets what a need calls for, restarts the service, acts, and looks for the line in the log.
func try(ctx context.Context, mx, peer *hosts.Host, n need) error {
	settings := ""
	for word := range strings.FieldsSeq(n.settings) {
		settings += fmt.Sprintf("postconf -e '%s'\n", word)
	}
	if _, err := mx.Sh(ctx, "cp /root/main.cf /etc/postfix/main.cf\npostconf -e smtp_tls_loglevel=1\n"+settings+
		"systemctl restart postfix; postsuper -d ALL >/dev/null 2>&1; : > /var/log/mail.log"); err != nil {
		return err
	}
	if n.onMX != "" {
		if _, err := mx.Sh(ctx, "printf 'Subject: x\n\nhello\n' | "+n.onMX); err != nil {
			return err
		}
	}
	if n.onPeer != "" {
		// How the program likes the end of the conversation is not the question.
		_, _ = peer.Sh(ctx, "{ sleep 1; printf 'QUIT\r\n'; sleep 0.2; } | timeout 5 "+n.onPeer)
	}
	return product.Await(ctx, mx, n.log, "grep -qE '"+n.log+"' /var/log/mail.log")
}
