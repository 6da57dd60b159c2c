//go:build integration

package integration

import (
	"context"
	"fmt"
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

// TestInstanceAsPostmulti makes, enables, disables and removes an instance by postmulti(1), by us, and by us and postmulti(1) in turn, and
// compares what main.cf says after each step, byte for byte. Then it counts our programs.
func TestInstanceAsPostmulti(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := boot(ctx, t, "host", installed(ctx, t, release, product.Ours))
		order := "cat"
		if release == "bookworm" {
			order = "sort" // its postconf(1) adds settings in any order
		}
		sh(ctx, t, h, fmt.Sprintf(asPostmulti, order))
		for _, args := range [][]string{{"create", "few"}, {"disable", "few"}, {"enable", "few"}, {"remove", "few"}} {
			programs, err := measure.Execs(ctx, h, append([]string{"postfix-maint", "instance"}, args...)...)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("instance %s: %d programs", args[0], len(programs))
			if len(programs) > 12 {
				t.Errorf("instance %s executes\n%s", args[0], strings.Join(programs, "\n"))
			}
		}
	})
}

const asPostmulti = `
	postfix-maint instance create keep --disabled
	steps() { # NAME COMMAND...
		name=$1 n=0; shift; mkdir /tmp/$name
		for command; do
			n=$((n + 1)); eval "$command"
			for dir in /etc/postfix /etc/postfix-$name; do
				[ ! -e $dir/main.cf ] || sed "s/postfix-$name/postfix-NAME/g" $dir/main.cf | %s >/tmp/$name/$n-$(basename $dir | sed s/-$name/-NAME/)
			done
		done
	}
	with="postmulti -i postfix"
	steps up "postmulti -I postfix-up -G g -e create" "$with-up -e enable" "$with-up -e disable" "$with-up -e destroy"
	we="postfix-maint instance"
	steps our "$we create our --group g --disabled" "$we enable our" "$we disable our" "$we remove our"
	steps turn "$we create turn --group g --disabled" "$with-turn -e enable" "$with-turn -e disable" "$with-turn -e destroy"
	[ $(ls /tmp/up | wc -l) = 7 ]
	diff -r /tmp/up /tmp/our
	diff -r /tmp/up /tmp/turn
	`
