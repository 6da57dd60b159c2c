//go:build integration

package integration

import (
	"context"
	"strings"
	"testing"

	"postfix-maint/integration/measure"
	"postfix-maint/integration/product"
)

const configureInstance = "/usr/libexec/postfix-maint/configure-instance"

// TestConfigureInstanceNothing refreshes a chroot in which nothing is stale.
func TestConfigureInstanceNothing(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := boot(ctx, t, "host", installed(ctx, t, release, product.Ours))
		healthy(ctx, t, h)
		calls, bytes, err := measure.Writes(ctx, h, configureInstance, "-")
		if err != nil {
			t.Fatal(err)
		}
		if len(calls) > 0 || bytes > 0 {
			t.Errorf("%d bytes were written:\n%s", bytes, strings.Join(calls, "\n"))
		}
		programs, err := measure.Execs(ctx, h, configureInstance, "-")
		if err != nil {
			t.Fatal(err)
		}
		if len(programs) > 2 { // itself and at most one more
			t.Errorf("programs were executed:\n%s", strings.Join(programs, "\n"))
		}
	})
}
