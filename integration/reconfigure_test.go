//go:build integration

package integration

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/measure"
	"postfix-maint/integration/product"
)

var reconfigure = []string{"dpkg-reconfigure", "-f", "noninteractive", "postfix"}

// TestReconfigureNothing runs dpkg-reconfigure where nothing changes: few programs, no byte written, no connection refused.
func TestReconfigureNothing(t *testing.T) {
	sidToo(t, 1, func(ctx context.Context, t *testing.T, release string) {
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
		if t.Logf("%d programs:\n%s", len(programs), strings.Join(programs, "\n")); len(programs) > 13 {
			t.Errorf("%d programs were executed, at most 13 may be:\n%s", len(programs), strings.Join(programs, "\n"))
		}
		if n := databaseReads(ctx, t, h); n != 1 {
			t.Errorf("debconf's database was read %d times, want once", n)
		}

		answered(ctx, t, h, "dpkg-reconfigure, three times", func() error {
			for range 3 {
				if _, err := h.Run(ctx, reconfigure...); err != nil {
					return err
				}
			}
			return nil
		})

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

// databaseReads counts how often dpkg-reconfigure reads all of debconf's templates.
func databaseReads(ctx context.Context, t *testing.T, h *hosts.Host) (n int) {
	t.Helper()
	calls, err := measure.Trace(ctx, h, "open,openat", reconfigure...)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range calls {
		if strings.Contains(c, `"/var/cache/debconf/templates.dat", `) && !strings.Contains(c, " = -1 ") {
			n++
		}
	}
	return n
}

// everySetting says what dpkg-reconfigure has to leave as it is: our state, the configuration, debconf's answers and flags.
const everySetting = `find /etc /var/lib/postfix-maint -printf '%p %y %s %m %u %T@\n' | sort; debconf-get-selections | grep -a 'postfix/' | sort; debconf-show postfix | sort`

// TestReconfigureRelay configures hosts with and without a relay, and then three times again without a wish: from the first time on no
// file and no answer changes. TestReconfigureSettles has more kinds, in memory.
func TestReconfigureRelay(t *testing.T) {
	login := map[string]string{"maint_relay_account": "anna@relay.example.test", "maint_relay_password": pass}
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		opt := source(ctx, t, release, product.Ours)
		for _, relay := range []map[string]string{
			{"main_mailer_type": "Internet Site"}, {"relayhost": "[relay.example.test]"},
			{"relayhost": "[relay.example.test]", "maint_relay_port": "587"},
		} {
			for _, more := range []map[string]string{nil, login} {
				answers := product.Answers{"main_mailer_type": "Satellite system", "mailname": "mail.example.test"}
				maps.Copy(answers, more)
				maps.Copy(answers, relay)
				if more != nil && relay["relayhost"] == "" {
					continue
				}
				h := newHost(ctx, t, "host", opt)
				if err := product.Preseed(ctx, h, answers); err != nil {
					t.Fatal(err)
				}
				said := sh(ctx, t, h, "dpkg -i /packages/postfix-maint_*.deb /packages/postfix_*.deb 2>&1; postconf -h relayhost")
				before := sh(ctx, t, h, everySetting)
				for range 3 {
					said += sh(ctx, t, h, strings.Join(reconfigure, " ")+" 2>&1")
					if after := sh(ctx, t, h, everySetting); after != before {
						t.Errorf("%q, login %v: changed %s\nit was said:\n%s", relay, more != nil, onlyIn("before", before, after)+onlyIn("after", after, before), said)
						break
					}
				}
				h.Remove()
			}
		}
	})
}

// upgradable boots a healthy host of our layer that has the next versions in /new.
func upgradable(ctx context.Context, t *testing.T, release string) *hosts.Host {
	t.Helper()
	opt, err := product.Upgradable(ctx, session, release, product.Ours)
	if err != nil {
		t.Fatal(err)
	}
	h := boot(ctx, t, "host", opt)
	healthy(ctx, t, h)
	return h
}

// TestServiceGoesOn changes an answer and upgrades postfix-maint: the one is a reload, the other nothing at all, so that every connect to
// port 25 is answered by the same daemon.
func TestServiceGoesOn(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := upgradable(ctx, t, release)
		master := sh(ctx, t, h, "cat /var/spool/postfix/pid/master.pid")
		for name, script := range map[string]string{
			"another relay host": "debconf-set-selections <<< 'postfix postfix/relayhost string [relay.example.test]'; " +
				strings.Join(reconfigure, " ") + "; [ $(postconf -h relayhost) = '[relay.example.test]' ]",
			"the next postfix-maint": "dpkg -i /new/postfix-maint.deb",
		} {
			answered(ctx, t, h, name, func() error {
				_, err := h.Sh(ctx, script)
				return err
			})
		}
		if now := sh(ctx, t, h, "cat /var/spool/postfix/pid/master.pid"); now != master {
			t.Errorf("the daemon was restarted: %s -> %s", master, now)
		}
	})
}

// answered does something while it connects to port 25: none may fail.
func answered(ctx context.Context, t *testing.T, h *hosts.Host, name string, do func() error) {
	t.Helper()
	probe, err := measure.During(ctx, h, do)
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if probe.Failed > 0 || probe.Tries < 20 {
		t.Errorf("%s: %d of %d connects to port 25 failed, the longest time without one was %v", name, probe.Failed, probe.Tries, probe.Longest)
	}
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
