//go:build integration

package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// syslogFlow sends mail through chrooted daemons to a program that takes all, while something is restarted.
const syslogFlow = `sink() {
	for dir in /etc/postfix "$@"; do
		postconf -c $dir -e 'relayhost=[127.0.0.1]:2525' mydestination= inet_protocols=ipv4
	done
	setsid smtp-sink -u postfix 127.0.0.1:2525 100 < /dev/null > /dev/null 2>&1 &
}
send() { smtp-source -m $2 -s 2 -f a@a.test -t b@b.test $1:25; }
# sent LOG NAME: lines of deliveries by one instance
sent() { cat $1 2>/dev/null | grep -cE "$2/smtp\[[0-9]+\]: .* status=sent" || true; }
# drained: all queues are empty and, a moment later, all is written
drained() {
	for n in $(seq 600); do
		left=0
		for dir in /etc/postfix /etc/postfix-out; do
			[ ! -e $dir/main.cf ] || postqueue -c $dir -p | grep -q 'queue is empty' || left=1
		done
		[ $left = 1 ] || break
		sleep 0.1
	done
	sleep 1
}
# listening: all sockets are heard
listening() {
	for socket in /dev/log $(ls /var/spool/postfix*/dev/log 2>/dev/null); do
		until logger -u $socket ready 2>/dev/null; do sleep 0.1; done
	done
}
# again UNIT: restarts it, however often it was restarted in the last seconds (systemd.unit(5), StartLimitBurst=)
again() { systemctl reset-failed $1; systemctl restart $1; }
# flow UNIT: mail flows while it is restarted
flow() {
	send 127.0.0.1 20 & one=$!; send 127.0.0.2 20 & two=$!
	again $1; wait $one $two
}
# bursts UNIT: mail flows after it was restarted. While a daemon that holds /dev/log itself is down nobody keeps anybody's lines.
bursts() {
	drained; again $1; listening
	send 127.0.0.1 20; send 127.0.0.2 20
}
`

// second makes a second instance the way MULTI_INSTANCE_README(5) says, on an address of its own.
const second = `ip addr add 127.0.0.2/8 dev lo
postmulti -e init; postmulti -I postfix-out -e create
postconf -c /etc/postfix-out -X master_service_disable
postconf -c /etc/postfix-out -e inet_interfaces=127.0.0.2 authorized_submit_users=root mynetworks=127.0.0.0/8
postconf -e inet_interfaces=127.0.0.1 mynetworks=127.0.0.0/8
postmulti -i postfix-out -e enable
`

// logger is a syslog daemon as Debian packages it.
type logger struct {
	name, pkg, unit string
	log             string // its files
	socket          bool   // whether it makes a socket in the first chroot
	only            string // release; "" means all
	one             bool   // it can do so for one instance only, and says so
	holds           bool   // it takes /dev/log for itself, also under systemd
	set             string // what it needs first
}

var loggers = []logger{
	{name: "rsyslog", pkg: "rsyslog", unit: "rsyslog", log: "/var/log/mail.log", socket: true},
	{name: "syslog-ng", pkg: "syslog-ng-core", unit: "syslog-ng", log: "/var/log/mail.log", socket: true},
	{name: "inetutils", pkg: "inetutils-syslogd", unit: "inetutils-syslogd", log: "/var/log/mail.log", socket: true, holds: true},
	{name: "busybox, fed by journald", pkg: "busybox-syslogd", unit: "busybox-syslogd", log: "/var/log/mail.log*", only: "trixie"},
	{
		name: "busybox with one socket", pkg: "busybox-syslogd", unit: "busybox-syslogd", log: "/var/log/messages*", only: "bookworm",
		socket: true, one: true, holds: true,
		set: `sed -i 's,^SYSLOG_OPTS=.*,SYSLOG_OPTS="-O /var/log/messages",' /etc/default/busybox-syslogd; systemctl restart busybox-syslogd` + "\n",
	},
}

// TestSyslogRestart shows that no line of a chrooted daemon is lost, and none comes twice, when the syslog daemon is restarted, whichever
// it is, in every instance's chroot (I05).
func TestSyslogRestart(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		opt, err := product.With(ctx, session, installed(ctx, t, release, product.Ours), "syslog", "syslog-ng-core", "inetutils-syslogd", "busybox-syslogd")
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range loggers {
			if l.only == "" || l.only == release {
				h := boot(ctx, t, "mail", opt)
				tryLogger(ctx, t, h, l)
				if err := h.Remove(); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// tryLogger restarts one syslog daemon five times while two instances deliver.
func tryLogger(ctx context.Context, t *testing.T, h *hosts.Host, l logger) {
	t.Helper()
	if l.pkg != "rsyslog" { // dpkg's trigger tells the new one of the first chroot
		sh(ctx, t, h, "apt-get install -y --no-install-recommends "+l.pkg)
		socket := strings.TrimSpace(sh(ctx, t, h, "ls /var/spool/postfix/dev/log 2>/dev/null || true")) != ""
		if socket != l.socket {
			t.Errorf("%s: a socket in the first chroot: %v, want %v", l.name, socket, l.socket)
		}
	}
	sh(ctx, t, h, l.set+second+"systemctl daemon-reload; postfix-maint chroot sync")
	during := map[bool]string{true: "bursts", false: "flow"}[l.holds]
	out := sh(ctx, t, h, fmt.Sprintf(`%s
sink /etc/postfix-out; systemctl restart postfix; rm -f %s; systemctl restart %s; listening
send 127.0.0.1 10; send 127.0.0.2 10
for n in 1 2 3 4 5; do
	systemctl reset-failed %[3]s || true; %[4]s %[3]s
done
drained
echo "first $(sent '%[2]s' postfix) second $(sent '%[2]s' postfix-out)"`, syslogFlow, l.log, l.unit, during))
	want := "first 110 second 110"
	if l.one {
		want = "first 110 second "
	}
	if lines := strings.Split(strings.TrimSpace(out), "\n"); !strings.HasPrefix(lines[len(lines)-1], want) {
		t.Errorf("%s: deliveries in the log: %s; want %s", l.name, out, want)
	}
	problems := sh(ctx, t, h, "postfix-maint chroot check 2>&1 | grep -i syslog || true")
	if said := strings.Contains(problems, "cannot listen on more than 1"); problems != "" && !l.one || l.one && !said {
		t.Errorf("%s: chroot check says: %s", l.name, problems)
	}
	sh(ctx, t, h, "apt-get purge -y postfix; ! grep -rs postfix-maint /etc/rsyslog.d /etc/syslog-ng /etc/default")
}

// TestJournalOnly shows that where systemd-journald alone logs nothing is needed in the chroot, and nothing is there.
func TestJournalOnly(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := boot(ctx, t, "mail", installed(ctx, t, release, product.Ours))
		out := sh(ctx, t, h, syslogFlow+`apt-get purge -y rsyslog > /dev/null 2>&1; rm -f /var/spool/postfix/dev/log
sink; systemctl restart postfix
for n in 1 2 3 4 5; do
	send 127.0.0.1 20 & one=$!
	again systemd-journald; wait $one
done
drained
journalctl --no-pager -o short > /tmp/journal; sent /tmp/journal postfix; ls /var/spool/postfix/dev; postfix-maint chroot sync`)
		if out != "100\nnothing to do\n" {
			t.Errorf("want 100 lines and no socket:\n%s", out)
		}
	})
}

// TestSyslogSysV shows the same without systemd, where rsyslogd holds /dev/log itself: of what is sent after a restart no line is lost.
// (While no daemon runs nobody's lines are kept, so nothing is sent then.) Debian's layer does as well for its one instance.
func TestSyslogSysV(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		for layer, c := range map[product.Layer]struct{ prepare, also, dirs, want string }{
			product.Debian: {"", "", "", "first 60 second 0"},
			product.Ours:   {second + "postfix-maint chroot sync", "send 127.0.0.2 10", "/etc/postfix-out", "first 60 second 60"},
		} {
			h := newHost(ctx, t, "mail", installed(ctx, t, release, layer))
			out := sh(ctx, t, h, syslogFlow+c.prepare+`
rm -f /dev/log /var/log/mail.log
start() { rsyslogd; for n in $(seq 100); do [ -S /dev/log ] && break; sleep 0.1; done; }
burst() { send 127.0.0.1 10; `+c.also+`
	drained; }
start; sink `+c.dirs+`; /etc/init.d/postfix start; burst
for n in 1 2 3 4 5; do
	pid=$(cat /run/rsyslogd.pid); kill $pid; while [ -e /proc/$pid ]; do sleep 0.1; done
	start; burst
done
echo "first $(sent /var/log/mail.log postfix) second $(sent /var/log/mail.log postfix-out)"`)
			if got := strings.TrimSpace(out); !strings.HasSuffix(got, c.want) {
				t.Errorf("%s: deliveries in the log: %s; want %s", layer, got, c.want)
			}
		}
	})
}
