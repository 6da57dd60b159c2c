//go:build integration

package integration

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// TestBuildRoot makes a system of each release by mmdebstrap(1) with Postfix in it, as image builders do: no systemd runs, nothing is
// started. The tree is then looked at from inside, and it boots.
func TestBuildRoot(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		debs := ""
		for dir := range source(ctx, t, release, product.Ours).Binds {
			debs = dir
		}
		root := filepath.Join(t.TempDir(), "root")
		list := `"$1"/etc/apt/sources.list.d/ours.list`
		build := exec.CommandContext(ctx, "mmdebstrap", "-q", "--variant=minbase", "--include=postfix,systemd-sysv,procps",
			`--setup-hook=echo "deb [trusted=yes] copy:`+debs+` ./" > `+list, "--customize-hook=rm "+list, release, root)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("cannot build the tree: %v: %s", err, out)
		}
		inside := exec.CommandContext(ctx, "chroot", root, "sh", "-exc", `dpkg --audit
			dpkg-query -Wf '${Version} ${Status}' postfix | grep '+a[0-9a-z.~]* install ok installed'
			[ "$(postconf -h inet_interfaces)" = loopback-only ] # nobody was asked
			postfix check
			[ -s /etc/aliases.db ] && [ -e /var/lib/postfix-maint/applied.json ] && [ ! -e /var/lib/postfix-maint/pending.json ]
			[ -L /etc/systemd/system/multi-user.target.wants/postfix.service ]
			printf 'Subject: early\n\nx\n' | timeout 20 sendmail root; ls /var/spool/postfix/maildrop/*`)
		inside.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}
		if out, err := inside.CombinedOutput(); err != nil {
			t.Errorf("in the tree: %v: %s", err, out)
		}
		h := boot(ctx, t, "image", hosts.Options{Release: release, Tree: root})
		await(ctx, t, h, "the mail that was sent before the first boot", "grep -qs '^Subject: early' /var/mail/* && ! mailq | grep -q early")
	})
}
