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

// buildTree makes a system by mmdebstrap(1) with Postfix in it, on a machine of this name.
func buildTree(ctx context.Context, t *testing.T, release, name string) string {
	t.Helper()
	debs := ""
	for dir := range source(ctx, t, release, product.Ours).Binds {
		debs = dir
	}
	root := filepath.Join(t.TempDir(), "root")
	list := `"$1"/etc/apt/sources.list.d/ours.list`
	args := append(hosts.TreeOptions(release), "-q", "--variant=minbase", "--include=postfix,systemd-sysv,procps,dbus",
		`--setup-hook=echo "deb [trusted=yes] copy:`+debs+` ./" > `+list, `--essential-hook=echo `+name+` > "$1"/etc/hostname`,
		"--customize-hook=rm "+list, release, root)
	build := exec.CommandContext(ctx, "mmdebstrap", args...)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the tree: %v: %s", err, out)
	}
	return root
}

// chrooted runs a script in a tree, in which no systemd runs.
func chrooted(ctx context.Context, t *testing.T, root, script string) string {
	t.Helper()
	inside := exec.CommandContext(ctx, "chroot", root, "sh", "-euc", script)
	inside.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}
	out, err := inside.CombinedOutput()
	if err != nil {
		t.Errorf("in the tree: %v: %s", err, out)
	}
	return string(out)
}

// TestBuildRoot makes a system of each release by mmdebstrap(1) with Postfix in it, as image builders do: no systemd runs, nothing is
// started. The tree is then looked at from inside, and it boots: twice, as hosts of other names, which have nothing of its builder's.
func TestBuildRoot(t *testing.T) {
	eachRelease(t, 2, func(ctx context.Context, t *testing.T, release string) {
		root := buildTree(ctx, t, release, "thebuilder")
		chrooted(ctx, t, root, tableWords+`dpkg --audit
			dpkg-query -Wf '${Version} ${Status}' postfix | grep '+a[0-9a-z.~]* install ok installed'
			[ "$(postconf -h inet_interfaces)" = loopback-only ] # nobody was asked
			postfix check
			[ -s /etc/aliases.$suffix ] && [ -e /var/lib/postfix-maint/applied.json ] && [ ! -e /var/lib/postfix-maint/pending.json ]
			[ -L /etc/systemd/system/multi-user.target.wants/postfix.service ]
			printf 'Subject: early\n\nx\n' | timeout 20 sendmail root; ls /var/spool/postfix/maildrop/*`)
		const places = "/etc/postfix /etc/mailname /etc/aliases /var/lib/postfix"
		if left := chrooted(ctx, t, root, "grep -rs thebuilder "+places+" || true"); left != "" {
			t.Errorf("the builder's name is in:\n%s", left)
		}
		ids := map[string]bool{}
		for _, name := range []string{"image", "clone"} {
			h := boot(ctx, t, name, hosts.Options{Release: release, Tree: root})
			await(ctx, t, h, "the mail that was sent before the first boot", "grep -qs '^Subject: early' /var/mail/* && ! mailq | grep -q early")
			ids[sh(ctx, t, h, "cat /etc/machine-id")] = true
			sh(ctx, t, h, `[ "$(postconf -xh myhostname)" = `+name+`.localdomain ]; [ ! -e /etc/mailname ]; if postfix-maint check-config | grep thebuilder; then exit 1; fi
				hostname `+name+`.example.test; systemctl restart postfix@-; [ "$(postconf -xh myhostname)" = `+name+`.example.test ]; rm -f /var/mail/*
				printf 'Subject: later\n\nx\n' | sendmail root`)
			await(ctx, t, h, "mail of this name", "grep -qsx 'Return-Path: <root@"+name+".example.test>' /var/mail/*")
			// What the builder's run noted for itself goes with the first one of this host.
			sh(ctx, t, h, "dpkg-reconfigure -f noninteractive postfix; if grep -rs thebuilder "+places+" /var/lib/postfix-maint /var/cache/debconf/config.dat; then exit 1; fi")
		}
		if len(ids) != 2 {
			t.Errorf("the clones are one: %v", ids)
		}
	})
}
