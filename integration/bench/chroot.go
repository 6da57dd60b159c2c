package main

import (
	"context"
	"fmt"
	"time"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/measure"
)

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

// reasons are why a chroot is refreshed: what has happened since the last time.
var reasons = []struct{ name, happened string }{
	{"nothing to do", ":"},
	{"one file changed", "echo '# more' >> /etc/hosts"},
	{"a new libc", `for f in /usr/lib/*-linux-gnu/libnss_*.so.2 /usr/lib/*-linux-gnu/libgcc_s.so.1; do
		cp --remove-destination -p "$(readlink -f $f)" /root/lib; printf x >> /root/lib; mv /root/lib "$(readlink -f $f)"; done`},
}

// chroots measures the refresh of all chroots, of 1 and of 50 instances. The path units rest meanwhile: they would do the work before.
func chroots(ctx context.Context, debian, ours side) error {
	for _, h := range []side{debian, ours} {
		if _, err := h.Sh(ctx, "systemctl stop '*resolvconf.path'"); err != nil {
			return err
		}
	}
	const each = "/etc/postfix $(postconf -h multi_instance_directories)"
	all := [2]string{debian.refreshEach(each), ourTools + "configure-instance --all"}
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
		fmt.Printf("refresh of the chroots, instances: %d\n", n)
		for _, r := range reasons {
			// strace slows Debian's script down so much that it is watched for one instance, and the figures are multiplied.
			watched := [2]string{debian.refreshEach("/etc/postfix"), all[1]}
			if err := refreshAll(ctx, debian.Host, ours.Host, all, watched, n, r.name, r.happened); err != nil {
				return err
			}
		}
		const hook = "/etc/resolvconf/update-libc.d/postfix"
		hooks := [2]string{hook, hook}
		if err := refreshAll(ctx, debian.Host, ours.Host, hooks, hooks, 1, "the hook, nothing to do", ":"); err != nil {
			return err
		}
		if err := refreshAll(ctx, debian.Host, ours.Host, hooks, hooks, 1, "the hook, resolv.conf changed", "echo '# more' >> /etc/resolv.conf"); err != nil {
			return err
		}
	}
	for _, h := range []side{debian, ours} { // the next step counts the instances itself
		if _, err := h.Sh(ctx, "postconf -X multi_instance_enable multi_instance_directories"); err != nil {
			return err
		}
	}
	return nil
}

// refreshEach is the layer's program run for every instance, by configuration directories.
func (s side) refreshEach(dirs string) string {
	if s.byName {
		return `for d in ` + dirs + `; do n=${d#/etc/}; [ $n != postfix ] || n=-
			/usr/lib/postfix/configure-instance.sh $n || exit 1; done`
	}
	return `for d in ` + dirs + `; do q=/var/spool/${d#/etc/}
		env MAIL_CONFIG=$d config_directory=$d command_directory=/usr/sbin daemon_directory=/usr/lib/postfix/sbin queue_directory=$q mail_owner=postfix \
			/usr/lib/postfix/configure-instance.sh || exit 1; done`
}

// refreshAll measures one reason: how long all takes, the median of 3 for one instance, and programs and bytes of what is watched;
// Debian's is one of times.
func refreshAll(ctx context.Context, debian, ours *hosts.Host, all, watched [2]string, times int, name, happened string) error {
	var execs, bytes [2]int
	var took [2]time.Duration
	for i, h := range []*hosts.Host{debian, ours} {
		args := []string{"sh", "-c", watched[i]}
		if _, err := h.Sh(ctx, happened); err != nil {
			return err
		}
		programs, err := measure.Execs(ctx, h, args...)
		if err != nil {
			return err
		}
		execs[i] = len(programs) - 1
		if _, err := h.Sh(ctx, happened); err != nil {
			return err
		}
		if _, bytes[i], err = measure.Writes(ctx, h, args...); err != nil {
			return err
		}
		var some []time.Duration
		for range map[bool]int{true: 3, false: 1}[times == 1] { // Debian's script takes a second an instance on a busy machine
			if _, err := h.Sh(ctx, happened); err != nil {
				return err
			}
			once, err := measure.Time(ctx, h, 1, all[i])
			if err != nil {
				return err
			}
			some = append(some, once...)
		}
		took[i] = measure.Median(some)
	}
	span("  "+name, took[0], took[1], "")
	count("    programs executed", execs[0]*times, execs[1], "")
	count("    bytes written", bytes[0]*times, bytes[1], "")
	return nil
}
