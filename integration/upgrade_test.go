//go:build integration

package integration

import (
	"context"
	"strings"
	"testing"

	"postfix-maint/integration/measure"
)

// TestUpgradePrograms counts the programs that dpkg and the scripts execute for the next version. Debian's are 164 on Debian 12, and 67
// on Debian 13; more than half of ours are Postfix's own check before the restart, which Debian's do not run.
func TestUpgradePrograms(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := upgradable(ctx, t, release)
		programs, err := measure.Execs(ctx, h, "dpkg", "-i", "/new/postfix.deb")
		if err != nil {
			t.Fatal(err)
		}
		if len(programs) > 62 {
			t.Errorf("%d programs were executed, at most 62 may be:\n%s", len(programs), strings.Join(programs, "\n"))
		}
	})
}
