//go:build integration

package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// withSockets gives the options of a host with our Postfix, Dovecot's LMTP server at its own socket, and a policy service that systemd
// listens for, each for root alone.
func withSockets(ctx context.Context, t *testing.T, release string) hosts.Options {
	t.Helper()
	opt, err := product.With(ctx, session, installed(ctx, t, release, product.Ours), "sockets", "dovecot-lmtpd", "swaks")
	if err != nil {
		t.Fatal(err)
	}
	format := "%Ln"
	if release == "trixie" {
		format = "%{user|username|lower}"
	}
	opt, err = session.Layer(ctx, "sockets-ready-"+release, opt, func(h *hosts.Host) error {
		if err := h.Boot(ctx); err != nil {
			return err
		}
		_, err := h.Sh(ctx, `apt-get install -y --no-install-recommends dovecot-lmtpd swaks; useradd -m anna
			echo 'auth_username_format = `+format+`' > /etc/dovecot/conf.d/99-name.conf
			printf '[Socket]\nListenStream=/run/policy/socket\nSocketMode=0600\nAccept=yes\n[Install]\nWantedBy=sockets.target\n' > /etc/systemd/system/policy.socket
			printf '[Service]\nExecStart=/usr/local/bin/policy\nStandardInput=socket\nStandardOutput=socket\n' > /etc/systemd/system/policy@.service
			printf '#!/bin/sh\nwhile read line; do [ "$line" ] || printf "action=PREPEND X-Policy: seen\\n\\n"; done\n' > /usr/local/bin/policy
			chmod +x /usr/local/bin/policy; systemctl enable --now policy.socket`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return opt
}

// TestSockets shows that chrooted services reach the host's sockets at their own paths, after restarts of either side, and that nothing
// of it is left without need.
func TestSockets(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := boot(ctx, t, "mail", withSockets(ctx, t, release))
		for n, before := range []string{
			`postconf -e mailbox_transport=lmtp:unix:/run/dovecot/lmtp 'smtpd_recipient_restrictions=check_policy_service unix:/run/policy/socket'
				systemctl reload postfix; postfix-maint chroot check`,
			"systemctl restart dovecot policy.socket", "systemctl stop dovecot policy.socket; systemctl restart postfix; systemctl start dovecot policy.socket",
		} {
			sh(ctx, t, h, before)
			await(ctx, t, h, "port 25 answers", "nc -z 127.0.0.1 25")
			sh(ctx, t, h, "swaks --server 127.0.0.1 --from anna@localhost --to anna@localhost > /tmp/swaks || { cat /tmp/swaks; tail -n 20 /var/log/mail.log; exit 1; }")
			await(ctx, t, h, "the message "+fmt.Sprint(n+1)+" is in the mailbox", fmt.Sprintf(`[ "$(grep -c '^X-Policy: seen' /var/mail/anna)" = %d ]`, n+1))
		}
		sh(ctx, t, h, `postconf -X mailbox_transport; printf 'localhost lmtp:unix:/run/dovecot/lmtp\n' > /etc/postfix/transport
			postconf -e transport_maps=texthash:/etc/postfix/transport smtpd_restriction_classes=asked 'asked = check_policy_service unix:/run/policy/socket' \
				'smtpd_recipient_restrictions = check_recipient_access inline:{localhost=asked}'
			systemctl reload postfix; postfix-maint chroot check; postfix-maint chroot status
			swaks --server 127.0.0.1 --from anna@localhost --to anna@localhost > /tmp/swaks || { cat /tmp/swaks; exit 1; }`)
		await(ctx, t, h, "what only tables name is reached", `[ "$(grep -c '^X-Policy: seen' /var/mail/anna)" = 4 ]`)
		sh(ctx, t, h, "systemctl stop policy.socket; if postfix-maint chroot check > /tmp/said 2>&1; then exit 1; fi; grep 'nobody listens at \"/run/policy/socket\"' /tmp/said")
		got := sh(ctx, t, h, `postconf -X transport_maps smtpd_recipient_restrictions smtpd_restriction_classes asked; systemctl reload postfix
			systemctl list-units --plain --no-legend 'postfix-socket-*'; ls -d /var/spool/postfix/run 2> /dev/null || true`)
		if strings.TrimSpace(got) != "" {
			t.Errorf("without need there is left: %s", got)
		}
	})
}
