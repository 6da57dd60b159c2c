//go:build integration

package integration

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"postfix-maint/integration/measure"
	"postfix-maint/integration/product"
)

var reconfigure = []string{"dpkg-reconfigure", "-f", "noninteractive", "postfix"}

// TestReconfigureNothing runs dpkg-reconfigure where nothing changes: few programs, no byte written, no connection refused.
func TestReconfigureNothing(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := boot(ctx, t, "host", installed(ctx, t, release, product.Ours))
		healthy(ctx, t, h)
		configuration := []string{"/etc", "/var/lib/postfix-maint", "/var/spool/postfix/etc", "/var/spool/postfix/usr", "/var/spool/postfix/lib"}
		before, err := measure.Stamps(h, existing(h, configuration)...)
		if err != nil {
			t.Fatal(err)
		}
		master := sh(ctx, t, h, "cat /var/spool/postfix/pid/master.pid")

		programs, err := measure.Execs(ctx, h, reconfigure...)
		if err != nil {
			t.Fatal(err)
		}
		if t.Logf("%d programs:\n%s", len(programs), strings.Join(programs, "\n")); len(programs) > 20 {
			t.Errorf("%d programs were executed, at most 20 may be:\n%s", len(programs), strings.Join(programs, "\n"))
		}

		stop, found := make(chan struct{}), make(chan measure.Probe)
		go func() { found <- measure.Port(ctx, h, "127.0.0.1:25", stop) }()
		for range 3 {
			if _, err := h.Run(ctx, reconfigure...); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(500 * time.Millisecond)
		close(stop)
		if probe := <-found; probe.Failed > 0 || probe.Tries < 20 {
			t.Errorf("%d of %d connects to port 25 failed, the longest time without one was %v", probe.Failed, probe.Tries, probe.Longest)
		}

		after, err := measure.Stamps(h, existing(h, configuration)...)
		if err != nil {
			t.Fatal(err)
		}
		if changed := differing(before, after); len(changed) > 0 {
			t.Errorf("%d files were written, made or removed: %.20q", len(changed), changed)
		}
		if now := sh(ctx, t, h, "cat /var/spool/postfix/pid/master.pid"); now != master {
			t.Errorf("the daemon was restarted: %s -> %s", master, now)
		}
	})
}

// differing lists the keys whose values are not the same in both.
func differing(a, b map[string]string) []string {
	keys := map[string]bool{}
	for key, value := range a {
		if other, ok := b[key]; !ok || other != value {
			keys[key] = true
		}
	}
	for key := range b {
		if _, ok := a[key]; !ok {
			keys[key] = true
		}
	}
	return slices.Sorted(maps.Keys(keys))
}
