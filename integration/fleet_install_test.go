//go:build integration

package integration

import (
	"context"
	"os"
	"testing"

	"postfix-maint/integration/product"
)

// TestFleetPreseed installs with the preseed file that others may copy as Debian's installer does, in a tree in which nothing runs: the
// answers first, then the packages. The system then boots as it was asked for.
func TestFleetPreseed(t *testing.T) {
	fleet(t, func(ctx context.Context, t *testing.T, release string) {
		h := newHost(ctx, t, "desk", source(ctx, t, release, product.Ours))
		if err := os.CopyFS(h.Root()+"/root/fleet", os.DirFS("fleet/preseed")); err != nil {
			t.Fatal(err)
		}
		sh(ctx, t, h, `[ ! -e /run/systemd/system ]; cd /root/fleet
			debconf-set-selections preseed.cfg
			apt-get install -y -q --no-install-recommends $(sed -n 's/^d-i pkgsel.include string //p' preseed.cfg)
			dpkg --audit; [ -z "$(pgrep -x master)" ]; postfix check`)
		if err := h.Boot(ctx); err != nil {
			t.Fatal(err)
		}
		sh(ctx, t, h, `systemctl is-active postfix@- postfix
			[ "$(postconf -h relayhost)" = '[relay.example.test]:587' ]; [ "$(postconf -h inet_interfaces)" = loopback-only ]
			[ "$(cat /etc/mailname)" = example.test ]; grep -qx 'root: *ops@example.test' /etc/aliases
			postfix-maint doctor --gate; [ -z "$(dpkg-reconfigure -f noninteractive postfix 2>&1 | grep '^[-+]')" ]
			printf 'Subject: x\n\nx\n' | sendmail root@localhost`)
		await(ctx, t, h, "root's mail on its way to the relay", "postqueue -p | grep -q ops@example.test && postqueue -p | grep -q relay.example.test")
	})
}
