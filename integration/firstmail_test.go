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

// TestFirstMail is the whole way on a fresh host: answers preseeded, packages installed, mail within the host, in and out.
func TestFirstMail(t *testing.T) {
	sidToo(t, 2, func(ctx context.Context, t *testing.T, release string) {
		lan := newNetwork(ctx, t)
		opt := source(ctx, t, release, product.Ours)
		opt.Network = lan
		peerOpt := installed(ctx, t, "bookworm", product.Debian)
		peerOpt.Network = lan
		mx, peer := boot(ctx, t, "mx", opt), boot(ctx, t, "peer", peerOpt)
		sh(ctx, t, mx, "useradd -m anna")
		sh(ctx, t, peer, "useradd -m bert; postconf -e myhostname=peer.example.test mydestination=peer.example.test; systemctl reload postfix")

		answers := product.Answers{"main_mailer_type": "Internet Site", "mailname": "mx.example.test"}
		if err := product.Preseed(ctx, mx, answers); err != nil {
			t.Fatal(err)
		}
		said, err := product.Install(ctx, mx, product.Ours)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("apt-get said:\n%s", said)
		healthy(ctx, t, mx)
		deliver(ctx, t, mx, "anna", mx, "anna", "within the host")
		deliver(ctx, t, peer, "anna@mx.example.test", mx, "anna", "from another host")
		deliver(ctx, t, mx, "bert@peer.example.test", peer, "bert", "to another host")

		if err := mx.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := mx.Boot(ctx); err != nil {
			t.Fatal(err)
		}
		healthy(ctx, t, mx)
		deliver(ctx, t, peer, "anna@mx.example.test", mx, "anna", "after a reboot")
	})
}

// healthy checks that the service runs and is chrooted, and that both of its units are to be seen.
func healthy(ctx context.Context, t *testing.T, h *hosts.Host) {
	t.Helper()
	await(ctx, t, h, "both units active", "systemctl is-active -q postfix.service && systemctl is-active -q postfix@-.service")
	await(ctx, t, h, "a greeting on port 25", "timeout 5 bash -c 'read -r line < /dev/tcp/127.0.0.1/25; case $line in 220*) ;; *) exit 1;; esac'")
	// The oldest one, which has greeted: a newer one may be on its way into the chroot.
	await(ctx, t, h, "a chrooted smtpd", `exec 3<>/dev/tcp/127.0.0.1/25; read -r line <&3; test "$(readlink /proc/$(pgrep -ox smtpd)/root)" = /var/spool/postfix`)
	status := sh(ctx, t, h, "systemctl status --no-pager 'postfix*' || test $? = 3")
	for _, unit := range []string{"postfix.service", "postfix@-.service"} {
		if !strings.Contains(status, unit+" - ") {
			t.Errorf("systemctl status 'postfix*' does not show %s:\n%s", unit, status)
		}
	}
	if failed := sh(ctx, t, h, "systemctl --failed --no-legend --plain"); failed != "" {
		t.Errorf("failed units: %s", failed)
	}
	if said := sh(ctx, t, h, "postfix check 2>&1"); said != "" {
		t.Errorf("postfix check says: %s", said)
	}
	if bad := sh(ctx, t, h, "grep -hE 'postfix.*(fatal|panic|error|warning):' /var/log/mail.log || true"); bad != "" {
		t.Errorf("in the mail log:\n%s", bad)
	}
}

// deliver sends a message from one host and waits until it is in a mailbox of another.
func deliver(ctx context.Context, t *testing.T, from *hosts.Host, to string, at *hosts.Host, user, story string) {
	t.Helper()
	subject := strings.ReplaceAll(story, " ", "-")
	sh(ctx, t, from, fmt.Sprintf("printf 'Subject: %s\\n\\nhello\\n' | sendmail -f root %s", subject, to))
	await(ctx, t, at, "the message "+story, fmt.Sprintf("grep -q '^Subject: %s$' /var/mail/%s", subject, user))
}
