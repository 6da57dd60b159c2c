//go:build integration

package integration

import (
	"context"
	"strings"
	"testing"

	"postfix-maint/integration/product"
)

// TestUsersPrograms runs from ~/.forward what the default profile must not get in the way of (S08, S09).
func TestUsersPrograms(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := boot(ctx, t, "host", installed(ctx, t, release, product.Ours))
		sh(ctx, t, h, `useradd -m bert; install -d -o bert /usr/local/shared /etc/maps; postconf -e 'mailbox_command='
			cat >/home/bert/filter <<-'END'
				#!/bin/sh
				exec >/home/bert/said 2>&1
				trap 'echo exit $?' EXIT
				set -ex
				date >/usr/local/shared/file
				echo 'a b' >/etc/maps/table
				/usr/sbin/postmap hash:/etc/maps/table
				grep MemTotal /proc/meminfo
				unshare -Ur true
				unshare -Urm mount -t tmpfs none /mnt
				perl -e 'exit(syscall(9, 0, 4096, 7, 0x22, -1, 0) == -1)' # mmap: to write and to execute
			END
			chmod 755 /home/bert/filter; echo '|/home/bert/filter' >/home/bert/.forward; chown -R bert: /home/bert
			echo hello | sendmail bert`)
		await(ctx, t, h, "the end of the user's program", "grep -q ^exit /home/bert/said")
		if said := sh(ctx, t, h, "cat /home/bert/said"); !strings.HasSuffix(said, "\nexit 0\n") {
			t.Errorf("the user's program fails:\n%s", said)
		}
	})
}
