//go:build integration

package integration

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// motley makes the instances that units have to cope with, each on an address of its own, in one list with commas: made by
// postmulti(1), by hand below /etc/postfix and /srv, without a name, disabled though its unit is enabled; and broken ones.
const motley = `
	postconf -e inet_interfaces=127.0.0.1 inet_protocols=ipv4
	postmulti -e init
	n=1
	instance() { # NAME DIRECTORY ENABLED
		n=$((n + 1))
		ip addr add 127.0.0.$n/8 dev lo
		mkdir -p $2 /var/spool/motley-$n /var/lib/motley-$n
		chown postfix /var/lib/motley-$n
		cp /etc/postfix/master.cf $2/
		cat >$2/main.cf <<-END
			compatibility_level = 3.6
			multi_instance_name = $1
			multi_instance_enable = $3
			inet_interfaces = 127.0.0.$n
			inet_protocols = ipv4
			queue_directory = /var/spool/motley-$n
			data_directory = /var/lib/motley-$n
		END
	}
	instance postfix-two /etc/postfix-two yes
	instance three /srv/mail/three yes
	instance '' /etc/postfix-four yes
	instance five /etc/postfix/five no
	mkdir /etc/postfix-fifo /etc/postfix-large /etc/postfix-loop /srv/unnamed /srv/garbage
	mkfifo /etc/postfix-fifo/main.cf
	truncate -s 4G /etc/postfix-large/main.cf
	ln -s main.cf /etc/postfix-loop/main.cf
	echo 'multi_instance_enable = yes' >/srv/unnamed/main.cf
	head -c 100000 /bin/ls >/srv/garbage/main.cf
	cat >>/etc/postfix/main.cf <<-'END'
		multi_instance_directories = /etc/postfix-fifo,/etc/postfix-large, /etc/postfix-two /etc/postfix,/srv/mail/three,
		# not the end of it
		    /etc/postfix-loop /srv/unnamed,/srv/garbage relative /etc/none /etc/postfix-four,/etc/postfix/five
	END
	systemctl enable -q postfix@five.service
	systemctl daemon-reload
`

// others are the instances of motley that run beside the primary one.
var others = []string{"postfix-two", "three", "four"}

// pid says which process systemd takes for the master of an instance.
func pid(instance string) string { return "systemctl show -P MainPID postfix@" + instance + ".service" }

// alone runs a script, after which every instance but the one named must still be the same process.
func alone(ctx context.Context, t *testing.T, h *hosts.Host, instance, script string) {
	t.Helper()
	var rest []string
	for _, other := range append([]string{"-"}, others...) {
		if other != instance {
			rest = append(rest, pid(other))
		}
	}
	before := sh(ctx, t, h, strings.Join(rest, "\n"))
	sh(ctx, t, h, words+script)
	if after := sh(ctx, t, h, strings.Join(rest, "\n")); after != before || strings.Contains(before, "\n0\n") {
		t.Errorf("%s\nchanged other instances' processes: %q, then %q", script, before, after)
	}
}

// TestUnits takes the units of instances through what happens to them: the areas systemd and instances of the failures.
func TestUnits(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := boot(ctx, t, "host", installed(ctx, t, release, product.Ours))
		sh(ctx, t, h, motley+"systemctl restart postfix")
		all := "postfix@- postfix@" + strings.Join(others, " postfix@")
		running := func(meaning string) {
			t.Helper()
			await(ctx, t, h, meaning, words+"up postfix "+all+" && down postfix@five")
			for n := range 4 {
				await(ctx, t, h, meaning, greeting(fmt.Sprintf("127.0.0.%d/25", n+1)))
			}
		}
		running("good instances beside broken ones")
		said, err := h.Sh(ctx, "rm -rf /run/gen; mkdir /run/gen; /usr/libexec/postfix-maint/postfix-instance-generator /run/gen 2>&1 || echo exit $?")
		for _, bad := range []string{"postfix-fifo", "postfix-large", "postfix-loop", "/srv/unnamed", "/srv/garbage", "relative", "/etc/none", "exit 1"} {
			if err != nil || !strings.Contains(said, bad) {
				t.Errorf("the log does not name %s: %v: %s", bad, err, said)
			}
		}
		log := sh(ctx, t, h, "journalctl -q --no-pager -o cat _SYSTEMD_INVOCATION_ID=$(systemctl show -P InvocationID postfix)")
		for _, bad := range []string{"postfix-fifo", "postfix-large", "postfix-loop", "/srv/unnamed", "/srv/garbage", `"relative"`, "/etc/none", `"/etc/postfix"`} {
			if lines := len(regexp.MustCompile("(?m)^cannot .*"+bad+".*$").FindAllString(log, -1)); lines != 1 {
				t.Errorf("postfix.service names %s in %d lines:\n%s", bad, lines, log)
			}
		}
		sh(ctx, t, h, words+"systemctl stop postfix; refuse pgrep -x master; down postfix "+all+"; systemctl start postfix")
		running("S06: the same instances after stop and start")
		t.Run("one alone", func(t *testing.T) { oneAlone(ctx, t, h) })
		t.Run("short name", func(t *testing.T) { shortName(ctx, t, h) })
		t.Run("by hand", func(t *testing.T) { byHand(ctx, t, h) })
		t.Run("failing", func(t *testing.T) { failing(ctx, t, h) })
		running("all that was mended")
		// A look at resolv.conf fails, and says so, as long as there is an instance that cannot be read.
		sh(ctx, t, h, words+"systemctl start postfix-resolvconf; healthy")
	})
}

// oneAlone changes the state of one instance.
func oneAlone(ctx context.Context, t *testing.T, h *hosts.Host) {
	alone(ctx, t, h, "-", "systemctl restart postfix@-") // I07
	alone(ctx, t, h, "three", "systemctl restart postfix@three")
	alone(ctx, t, h, "three", "systemctl stop postfix@three; up postfix postfix@-; systemctl start postfix@three")
	alone(ctx, t, h, "none", "systemctl reload postfix@postfix-two; systemctl reload postfix")
	alone(ctx, t, h, "four", "kill -9 $("+pid("four")+")") // S02
	await(ctx, t, h, "S02: the killed one", words+"up postfix@four postfix")
	if got := sh(ctx, t, h, "systemctl show -P Slice postfix@- postfix@postfix-two | grep ."); got != "system-postfix.slice\nsystem-postfix-postfix\\x2dtwo.slice\n" {
		t.Errorf("the slices are %q", got)
	}
	if got := sh(ctx, t, h, "systemctl show -P After,Wants,Requires postfix postfix@- | tr ' ' '\\n' | grep network-online || true"); got != "" {
		t.Errorf("S05: a host with an unplugged cable would wait: %q", got)
	}
	if got := sh(ctx, t, h, "systemctl show -P RequiresMountsFor postfix@three"); !strings.Contains(got, "/srv/mail/three") || !strings.Contains(got, "/var/spool/motley-3") {
		t.Errorf("the mounts needed are %q", got)
	}
}

// shortName manages postfix-two by the name that lacks the prefix.
func shortName(ctx context.Context, t *testing.T, h *hosts.Host) {
	alone(ctx, t, h, "none", "systemctl start postfix@two; systemctl reload postfix@two")
	alone(ctx, t, h, "postfix-two", "old=$("+pid("postfix-two")+"); systemctl restart postfix@two; [ $old != $("+pid("postfix-two")+") ]")
	alone(ctx, t, h, "postfix-two", "systemctl stop postfix@two; down postfix@postfix-two postfix@two")
	alone(ctx, t, h, "postfix-two", "systemctl start postfix@two; up postfix@postfix-two; systemctl enable -q postfix@two; systemctl disable -q postfix@two")
	alone(ctx, t, h, "postfix-two", "kill -9 $("+pid("postfix-two")+")")
	await(ctx, t, h, "the killed one", words+"up postfix@postfix-two postfix@two postfix")
}

// byHand uses Postfix's own commands, and programs of other origin.
func byHand(ctx context.Context, t *testing.T, h *hosts.Host) {
	all := "postfix@- postfix@" + strings.Join(others, " postfix@")
	within := func(instance string) string {
		return "systemctl is-active postfix@" + instance + " && grep -q '/postfix@" + instance + "\\.service$' /proc/$(" + pid(instance) + ")/cgroup"
	}
	// Postfix's own commands give up at the first instance that is broken, or wait for ever for the named pipe.
	sh(ctx, t, h, "postconf -e 'multi_instance_directories = /etc/postfix-two,/srv/mail/three,/etc/postfix-four,/etc/postfix/five'; systemctl daemon-reload")
	alone(ctx, t, h, "-", "postfix -c /etc/postfix stop; down postfix@-") // S03
	sh(ctx, t, h, "postfix -c /etc/postfix start")
	await(ctx, t, h, "what was started by hand goes on in its unit", within("-"))
	await(ctx, t, h, "its greeting", greeting("127.0.0.1/25"))
	sh(ctx, t, h, "postfix -c /etc/postfix stop; systemd-run -q --scope /usr/sbin/postfix -c /etc/postfix start") // S07
	await(ctx, t, h, "what another service started goes on in its unit", within("-"))
	sh(ctx, t, h, words+"postfix stop; down postfix@- postfix@postfix-two postfix@three postfix@four; postfix start || true") // Debian 13's starts all by systemctl, then each once more // all, by postmulti(1)
	for _, instance := range append([]string{"-"}, others...) {
		await(ctx, t, h, "all were started by hand: "+instance, within(instance))
	}
	// Whatever way it ends or starts, the units tell the truth, and it goes on where somebody asked for it.
	sh(ctx, t, h, "postfix stop || true")
	await(ctx, t, h, "postfix.service tells that all were stopped", words+"down postfix "+all)
	sh(ctx, t, h, "systemd-run -q --wait -p Type=oneshot /usr/sbin/postfix -c /etc/postfix start")
	await(ctx, t, h, "what a service started that ended at once goes on", within("-"))
	await(ctx, t, h, "postfix.service tells so", "systemctl is-active postfix && systemctl reload postfix")
	sh(ctx, t, h, "systemctl kill --kill-who=main postfix@-")
	await(ctx, t, h, "postfix.service tells that the last one was ended", words+"down postfix "+all)
	sh(ctx, t, h, words+"systemctl start postfix; up postfix "+all)
	// S13: an old self-built copy.
	sh(ctx, t, h, `for dir in /usr/local/sbin /usr/local/bin; do printf '#!/bin/sh\necho "$0" >>/root/ran\n' >$dir/postfix; cp $dir/postfix $dir/postconf; cp $dir/postfix $dir/systemctl; done
		chmod 755 /usr/local/*bin/post* /usr/local/*bin/systemctl
		/bin/systemctl restart postfix@-; /bin/systemctl reload postfix@-; /bin/systemctl restart postfix
		rm -f /usr/local/*bin/post* /usr/local/*bin/systemctl; [ ! -e /root/ran ] || { cat /root/ran; exit 1; }`)
}

// failing breaks instances.
func failing(ctx context.Context, t *testing.T, h *hosts.Host) {
	// S01: postfix.service does not say that all is well.
	alone(ctx, t, h, "three", `postconf -c /srv/mail/three -e inet_protocols=nonsense; refuse systemctl restart postfix@three`)
	await(ctx, t, h, "S01: postfix.service tells of the one that does not run", "systemctl is-failed postfix")
	alone(ctx, t, h, "three", "refuse systemctl start postfix")
	alone(ctx, t, h, "three", "postconf -c /srv/mail/three -e inet_protocols=ipv4; systemctl restart postfix@three")
	await(ctx, t, h, "postfix.service tells that all is well again", "systemctl is-active postfix")
	sh(ctx, t, h, words+"cp -a /etc/postfix/main.cf /root/; echo rubbish >>/etc/postfix/main.cf; refuse systemctl restart postfix; refuse systemctl is-active postfix; cp -a /root/main.cf /etc/postfix/; systemctl restart postfix")
	// S04: an address that comes late.
	alone(ctx, t, h, "four", "postconf -c /etc/postfix-four -e inet_interfaces=10.77.0.4; refuse systemctl restart postfix@four; ip addr add 10.77.0.4/32 dev lo")
	await(ctx, t, h, "S04: the address that came late", greeting("10.77.0.4/25")+" && systemctl is-active postfix@four")
	sh(ctx, t, h, "postconf -c /etc/postfix-four -e inet_interfaces=127.0.0.4; systemctl restart postfix@four")
}
