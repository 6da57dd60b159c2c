package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/measure"
)

// refresh measures the refresh of a chroot in which nothing is stale.
func refresh(ctx context.Context, debian, ours side) error {
	var execs, bytes [2]int
	for i, h := range []side{debian, ours} {
		args := []string{"sh", "-c", "exec " + h.refresh} // the shell becomes the program: no exec of its own is counted
		if _, err := h.Run(ctx, args...); err != nil {
			return err
		}
		programs, err := measure.Execs(ctx, h.Host, args...)
		if err != nil {
			return err
		}
		execs[i] = len(programs) - 1
		if _, bytes[i], err = measure.Writes(ctx, h.Host, args...); err != nil {
			return err
		}
	}
	times, err := inTurn(ctx, 11, ":", debian.Host, debian.refresh, ours.Host, ours.refresh)
	if err != nil {
		return err
	}
	postconf, err := inTurn(ctx, 11, ":", ours.Host, "postconf", ours.Host, ours.refresh)
	if err != nil {
		return err
	}
	r := ours.report
	r.title("chroot refresh, nothing to do")
	r.span("wall time, median of 11", times[0], times[1], want{})
	r.span("the same; left: one postconf run", postconf[0], postconf[1], share(2))
	r.count("programs executed, itself included", execs[0], execs[1], most(2, ""))
	r.count("bytes written", bytes[0], bytes[1], most(0, ""))
	return nil
}

// manyChroots makes 50 instances of the primary one's shape; names with the prefix that postmulti(1) wants. The services verify
// certificates by a directory of them, so that there is something to copy.
const manyChroots = `dirs=
for i in $(seq 49); do
	n=postfix-c$i
	mkdir -p /etc/$n /var/spool/$n/pid /var/lib/$n
	printf 'compatibility_level = 3.6\nmyhostname = a.example.test\nsmtp_tls_CApath = /etc/ssl/certs\nmulti_instance_name = %s\nmulti_instance_enable = yes\nqueue_directory = /var/spool/%s\ndata_directory = /var/lib/%s\n' \
		$n $n $n > /etc/$n/main.cf
	cp /etc/postfix/master.cf /etc/$n/
	dirs="$dirs /etc/$n"
done
postconf -e multi_instance_enable=yes "multi_instance_directories=$dirs"
`

// reason is why a chroot is refreshed: what has happened since the last time.
type reason struct {
	name, happened string
	dear           bool // to bring about: no CPU time is measured
}

// reasons are those of all instances.
var reasons = []reason{
	{name: "nothing to do", happened: ":"},
	{name: "one file changed", happened: "echo '# more' >> /etc/hosts"},
	{"a new libc", `for f in /usr/lib/*-linux-gnu/libnss_*.so.2 /usr/lib/*-linux-gnu/libgcc_s.so.1; do
		cp --remove-destination -p "$(readlink -f $f)" /root/lib; printf x >> /root/lib; mv /root/lib "$(readlink -f $f)"; done`, true},
}

// chroots measures the refresh of all chroots, of 1 and of 50 instances. The path units rest meanwhile: they would do the work before.
func chroots(ctx context.Context, debian, ours side) error {
	for _, h := range []side{debian, ours} {
		if _, err := h.Sh(ctx, "systemctl stop '*resolvconf.path'"); err != nil {
			return err
		}
	}
	all := [2]string{debian.refreshOne(), ourTools + "configure-instance --all"}
	idle := map[int]time.Duration{}
	for _, n := range []int{1, 50} {
		for i, h := range []side{debian, ours} {
			setup := "postconf -e smtp_tls_CApath=/etc/ssl/certs"
			if n > 1 {
				setup += "\n" + manyChroots
			}
			if _, err := h.Sh(ctx, setup+"\n"+all[i]+" >/dev/null 2>&1"); err != nil {
				return err
			}
		}
		ours.report.title(fmt.Sprintf("refresh of the chroots, instances: %d%s", n, map[int]string{50: " (Debian: 50 times one)"}[n]))
		for _, r := range reasons {
			// Debian's script does one instance after the other and takes a second each on a busy machine: it is run for one, and the
			// figures are multiplied.
			took, err := refreshAll(ctx, debian, ours, all, n, r, want{}, want{})
			if err != nil {
				return err
			}
			if r.happened == ":" {
				idle[n] = took[1]
			}
			if err := memory(ctx, ours, r, all[1]); err != nil {
				return err
			}
		}
		if err := hook(ctx, debian, ours, n); err != nil {
			return err
		}
	}
	ours.report.alone("nothing to do, of 50 instances each beyond the first", inMillis(idle[50]-idle[1])/49, "ms", most(2, "ms"))
	return forget(ctx, "c", debian, ours) // the next step counts the instances itself
}

// memory measures how much of it a refresh takes.
func memory(ctx context.Context, ours side, r reason, command string) error {
	if _, err := ours.Sh(ctx, r.happened); err != nil {
		return err
	}
	kib, err := measure.Memory(ctx, ours.Host, strings.Fields(command)...)
	if err != nil {
		return err
	}
	ours.report.alone("memory", float64(kib)*1024/1e6, "MB", most(40, "MB"))
	return nil
}

// hook measures the hook of resolvconf(8). For one instance it is asked to take no longer than Debian's copy and the start of one process.
func hook(ctx context.Context, debian, ours side, n int) error {
	const script = "/etc/resolvconf/update-libc.d/postfix"
	hooks := [2]string{script, script}
	if _, err := refreshAll(ctx, debian, ours, hooks, 1, reason{name: "the hook, nothing to do", happened: ":"}, want{}, want{}); err != nil {
		return err
	}
	changed := reason{name: "the hook, resolv.conf changed", happened: "echo '# more' >> /etc/resolv.conf"}
	quick, small := want{}, want{}
	if n == 1 {
		quick, small = most(3, "ms"), most(4000, "B")
	}
	took, err := refreshAll(ctx, debian, ours, hooks, 1, changed, quick, small)
	if err != nil || n > 1 {
		return err
	}
	process, err := inTurn(ctx, 11, ":", debian.Host, "/bin/true", ours.Host, "/bin/true")
	if err == nil {
		ours.report.span("the hook, resolv.conf changed; left: Debian's and one /bin/true", took[0]+process[1], took[1], share(1))
	}
	return err
}

// refreshOne is the layer's program for the primary instance.
func (s side) refreshOne() string {
	if s.byName {
		return "/usr/lib/postfix/configure-instance.sh -"
	}
	return "env MAIL_CONFIG=/etc/postfix config_directory=/etc/postfix command_directory=/usr/sbin daemon_directory=/usr/lib/postfix/sbin" +
		" queue_directory=/var/spool/postfix mail_owner=postfix /usr/lib/postfix/configure-instance.sh"
}

// refreshAll measures one reason: how long the work takes, programs and bytes; Debian's is one of times.
func refreshAll(ctx context.Context, debian, ours side, work [2]string, times int, why reason, quick, small want) (took [2]time.Duration, err error) {
	var execs, bytes [2]int
	var some [2][]time.Duration
	sides := []*hosts.Host{debian.Host, ours.Host}
	happens := func(h *hosts.Host, then func() error) {
		if err == nil {
			if _, err = h.Sh(ctx, why.happened); err == nil {
				err = then()
			}
		}
	}
	for i, h := range sides {
		args := []string{"sh", "-c", work[i]}
		happens(h, func() error {
			programs, err := measure.Execs(ctx, h, args...)
			execs[i] = len(programs) - 1
			return err
		})
		happens(h, func() (err error) {
			_, bytes[i], err = measure.Writes(ctx, h, args...)
			return err
		})
	}
	for range 2*runs + 1 {
		for i, h := range sides {
			happens(h, func() error {
				once, err := measure.Time(ctx, h, 1, work[i])
				some[i] = append(some[i], once...)
				return err
			})
		}
	}
	var busy [2]time.Duration
	for i, h := range sides {
		if err == nil && !why.dear {
			busy[i], err = measure.CPU(ctx, h, 2*runs+1, why.happened, work[i])
		}
	}
	if err != nil {
		return took, err
	}
	took = [2]time.Duration{measure.Median(some[0]) * time.Duration(times), measure.Median(some[1])}
	r := ours.report
	r.span(fmt.Sprintf("wall time, %s, median of %d", why.name, len(some[0])), took[0], took[1], quick)
	if !why.dear {
		r.span("CPU time", busy[0]*time.Duration(times), busy[1], want{})
	}
	r.count("programs executed", execs[0]*times, execs[1], want{})
	r.count("bytes written", bytes[0]*times, bytes[1], small)
	return took, nil
}
