//go:build integration

package integration

import (
	"context"
	"strings"
	"testing"

	"postfix-maint/integration/measure"
)

// TestUpgradePrograms counts the programs that dpkg and the scripts execute for the next version. Debian's are 164 on Debian 12, and 67
// on Debian 13. Units that have not changed are not read again.
func TestUpgradePrograms(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := upgradable(ctx, t, release)
		reads := func() string { return sh(ctx, t, h, "systemctl show -P UnitsLoadTimestampMonotonic") }
		before := reads()
		programs, err := measure.Execs(ctx, h, "dpkg", "-i", "/new/postfix.deb")
		if err != nil {
			t.Fatal(err)
		}
		if len(programs) > 40 {
			t.Errorf("%d programs were executed, at most 40 may be:\n%s", len(programs), strings.Join(programs, "\n"))
		}
		if reads() != before {
			t.Error("systemd has read its units again: none has changed")
		}
		sh(ctx, t, h, "touch /usr/libexec/postfix-maint/postfix-instance-generator; dpkg -i --force-downgrade /old/postfix.deb")
		if reads() == before {
			t.Error("systemd has not run a generator that has changed")
		}
		sh(ctx, t, h, "mkdir /etc/systemd/system/postfix@later.service.d; printf '[Service]\\nLimitNOFILE=4321\\n' >/etc/systemd/system/postfix@later.service.d/limit.conf")
		sh(ctx, t, h, "systemctl show -P LimitNOFILE postfix@later; dpkg -i /new/postfix.deb")
		before = reads()
		sh(ctx, t, h, "sed -i s/4321/5432/ /etc/systemd/system/postfix@later.service.d/limit.conf; dpkg -i --force-downgrade /old/postfix.deb")
		if reads() == before {
			t.Error("systemd has not read a drop-in that has changed")
		}
		before = reads()
		sh(ctx, t, h, "dpkg -i /new/postfix.deb")
		if reads() != before {
			t.Error("systemd has read its units again, with a drop-in that has not changed")
		}
	})
}
