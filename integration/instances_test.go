//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"postfix-maint/integration/measure"
	"postfix-maint/integration/product"
)

// greeting is a condition: something greets on an address and port.
func greeting(address string) string {
	return fmt.Sprintf("timeout 5 bash -c 'read -r line < /dev/tcp/%s; case $line in 220*) ;; *) exit 1;; esac'", address)
}

// words are what the scripts say of units. A "!" would not end a script that runs with -e, and is-active is content with one of many.
const words = `
	refuse() { if "$@" >/dev/null 2>&1; then echo "succeeds: $*"; return 1; fi; }
	up() { for unit; do systemctl is-active -q "$unit" || { echo "$unit does not run"; return 1; }; done; }
	down() { # neither running nor failed
		for try in $(seq 600); do [ "$(systemctl is-active "$@" | sort -u)" != inactive ] || return 0; sleep 0.1; done
		systemctl is-active "$@"; return 1
	}
	healthy() { failed=$(systemctl --failed --no-legend --plain); [ -z "$failed" ] || { echo "$failed"; return 1; }; }
`

// TestInstanceByHand takes the steps that the description gives for another instance, with Postfix's and systemd's own commands.
func TestInstanceByHand(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := boot(ctx, t, "host", installed(ctx, t, release, product.Ours))
		sh(ctx, t, h, `postconf -e inet_interfaces=127.0.0.1; ip addr add 127.0.0.2/8 dev lo
			postmulti -e init
			postmulti -I postfix-out -G mta -e create
			postconf -c /etc/postfix-out -e master_service_disable= inet_interfaces=127.0.0.2 inet_protocols=ipv4
			postmulti -i postfix-out -e enable
			systemctl daemon-reload
			systemctl enable postfix@postfix-out.service
			systemctl restart postfix@-.service
			systemctl start postfix@postfix-out.service`)
		up := func() {
			t.Helper()
			await(ctx, t, h, "both instances", words+"up postfix postfix@- postfix@postfix-out && "+
				greeting("127.0.0.1/25")+" && "+greeting("127.0.0.2/25"))
			if status := sh(ctx, t, h, "systemctl status --no-pager 'postfix*' || test $? = 3"); !strings.Contains(status, "postfix@postfix-out.service - ") {
				t.Errorf("systemctl status 'postfix*' does not show the instance:\n%s", status)
			}
		}
		up()
		sh(ctx, t, h, `before=$(journalctl -q -t postfix-out/master -t postfix-out/postfix-script | grep -c reload || true)
			systemctl reload postfix
			for try in $(seq 300); do
				after=$(journalctl -q -t postfix-out/master -t postfix-out/postfix-script | grep -c reload || true)
				[ "$after" = "$before" ] || exit 0; sleep 0.1
			done; echo "the reload of postfix.service did not reach it"; exit 1`)
		sh(ctx, t, h, words+"systemctl stop postfix; down postfix@postfix-out; refuse pgrep -x master; systemctl start postfix")
		up()
		if got := sh(ctx, t, h, "postmulti -g mta -p status 2>&1; postmulti -g mta -l"); !strings.Contains(got, "postfix-out") || strings.Contains(got, "/etc/postfix\n") {
			t.Errorf("the group mta is %q", got)
		}
		if err := h.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := h.Boot(ctx); err != nil {
			t.Fatal(err)
		}
		sh(ctx, t, h, "ip addr add 127.0.0.2/8 dev lo || true") // it comes late, and the instance is tried again
		up()
	})
}

// address of the instance number n on the network.
func address(n int) string { return fmt.Sprintf("10.99.0.%d", 100+n) }

// TestThreeInstances sends mail through instances for submission, incoming and outgoing mail to another host.
func TestThreeInstances(t *testing.T) {
	eachRelease(t, 2, func(ctx context.Context, t *testing.T, release string) {
		lan := newNetwork(ctx, t)
		opt, peerOpt := installed(ctx, t, release, product.Ours), installed(ctx, t, "bookworm", product.Debian)
		opt.Network, peerOpt.Network = lan, lan
		mx, peer := boot(ctx, t, "mx", opt), boot(ctx, t, "peer", peerOpt)
		sh(ctx, t, peer, "useradd -m bert; postconf -e myhostname=peer.example.test mydestination=peer.example.test; systemctl reload postfix")

		common := "--set inet_protocols=ipv4 --set mydestination= --set mynetworks=10.99.0.0/24 --set master_service_disable="
		sh(ctx, t, mx, "postconf -e inet_interfaces=127.0.0.1 inet_protocols=ipv4 relayhost=["+address(1)+"]; systemctl restart postfix@-")
		for n, name := range []string{"sub", "in", "out"} {
			relay := ""
			if name != "out" {
				relay = fmt.Sprintf("[%s]", address(n+2))
			}
			sh(ctx, t, mx, fmt.Sprintf("ip addr add %s/24 dev eth0; postfix-maint instance create %s %s --set inet_interfaces=%s --set myhostname=%s.example.test --set relayhost=%s",
				address(n+1), name, common, address(n+1), name, relay))
		}
		send := func(story string) { t.Helper(); deliver(ctx, t, mx, "bert@peer.example.test", peer, "bert", story) }
		send("through all three")
		for _, name := range []string{"sub", "in", "out"} {
			await(ctx, t, mx, name+" logs under its name", "grep -q ' postfix-"+name+"/smtp\\[.*status=sent' /var/log/mail.log")
			root := sh(ctx, t, mx, "readlink /proc/$(pgrep -P $(cat /var/spool/postfix-"+name+"/pid/master.pid) -x smtpd | head -1)/root")
			if root != "/var/spool/postfix-"+name+"\n" {
				t.Errorf("the root of %s's smtpd is %q", name, root)
			}
		}
		if got := sh(ctx, t, mx, "grep -E ' postfix/(smtp|relay|smtpd)' /var/log/mail.log | grep -v 127.0.0.1 | grep -v "+address(1)+" || true"); got != "" {
			t.Errorf("logged under the primary instance's name:\n%s", got)
		}
		sh(ctx, t, mx, "systemctl restart rsyslog; wc -l < /var/log/mail.log > /root/before")
		send("after a restart of the syslog daemon")
		for _, name := range []string{"sub", "in", "out"} {
			await(ctx, t, mx, name+" logs from its chroot", "tail -n +$(cat /root/before) /var/log/mail.log | grep -q ' postfix-"+name+"/smtp\\[.*status=sent'")
		}
		// One dies: the others go on, and it comes back by itself.
		pids := "systemctl show -P MainPID postfix@- postfix@postfix-in postfix@postfix-out"
		before := sh(ctx, t, mx, pids)
		sh(ctx, t, mx, "kill -9 $(cat /var/spool/postfix-sub/pid/master.pid); postconf -e relayhost=["+address(2)+"]; systemctl reload postfix@-")
		send("while one is dead")
		await(ctx, t, mx, "it comes back", words+"up postfix postfix@postfix-sub && "+greeting(address(1)+"/25"))
		if after := sh(ctx, t, mx, pids); after != before {
			t.Errorf("the others were restarted: %q, then %q", before, after)
		}
	})
}

// left lists what an instance called k leaves on a host, and what a command left unfinished.
const left = `ls -d /etc/postfix-k /var/lib/postfix-k /var/spool/postfix-k /etc/systemd/system/*.wants/postfix@*k* \
	/etc/postfix/*.tmp /etc/postfix/.main* /var/lib/postfix-maint/chroot/postfix-k* /var/lib/postfix-maint/instances/* 2>/dev/null || true
	grep -l postfix-k /etc/rsyslog.d/* || true; postmulti -l | grep postfix-k || true; systemctl list-units --all --plain --no-legend 'postfix@postfix-k*'`

// TestInstanceCommand makes, breaks, kills and removes an instance by our own command.
func TestInstanceCommand(t *testing.T) {
	sidToo(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := boot(ctx, t, "host", installed(ctx, t, release, product.Ours))
		const create = "postfix-maint instance create k --set inet_protocols=ipv4 --set master_service_disable= --set inet_interfaces=127.0.0.2"
		before := sh(ctx, t, h, "ip addr add 127.0.0.2/8 dev lo; cat /etc/postfix/main.cf; "+left)
		refuse := func(command, want string) {
			t.Helper()
			if said, err := h.Sh(ctx, command); err == nil || !strings.Contains(said, want) {
				t.Errorf("%s: %v: %s; want %q", command, err, said, want)
			}
			if after := sh(ctx, t, h, "cat /etc/postfix/main.cf; "+left); after != before {
				t.Errorf("%s leaves\n%s\nthere was\n%s", command, after, before)
			}
		}
		refuse(create, "its service smtp (127.0.0.2:25 of inet_interfaces = 127.0.0.2) meets service smtp (0.0.0.0:25 of inet_interfaces = all) of instance -")
		sh(ctx, t, h, "postconf -e inet_interfaces=127.0.0.1; systemctl restart postfix@-")
		before = sh(ctx, t, h, "cat /etc/postfix/main.cf; "+left)
		refuse(create+" --set inet_protocols=nonsense", "nonsense")
		refuse(create+" --set inet_interfaces=127.0.0.3", "taken back") // no such address on this host: the start fails

		refuse(create+" --set mynetwork=127.0.0.0/8", "did you mean mynetworks?")

		// Killed: the second one ends as one that was never killed.
		const after = "0.4"
		sh(ctx, t, h, "timeout --foreground -s KILL "+after+" "+create+" || true; "+create+" || postfix-maint instance list | grep postfix-k")
		await(ctx, t, h, "the instance", "systemctl is-active postfix@postfix-k && "+greeting("127.0.0.2/25"))
		if got := sh(ctx, t, h, create+" --detailed-exitcode; postfix-maint instance enable k --detailed-exitcode"); got != "nothing to do\nnothing to do\n" {
			t.Errorf("a second create and enable: %s", got)
		}
		if got := sh(ctx, t, h, "ls /var/lib/postfix-maint/instances /etc/postfix*/*.tmp 2>/dev/null || true"); strings.TrimSpace(strings.ReplaceAll(got, "/var/lib/postfix-maint/instances:", "")) != "" {
			t.Errorf("killed after %s s, it leaves %s", after, got)
		}
		sh(ctx, t, h, "timeout --foreground -s KILL "+after+" postfix-maint instance remove k || true; postfix-maint instance remove k || true")
		if got := sh(ctx, t, h, left); got != "" {
			t.Errorf("killed after %s s, remove leaves %s", after, got)
		}

		sh(ctx, t, h, create+" --group g --set relayhost=[127.0.0.9] --set authorized_submit_users=static:all")
		sh(ctx, t, h, "echo x | sendmail -C /etc/postfix-k x@example.org")
		await(ctx, t, h, "mail in its queue", "postfix-maint instance list --json | grep -q '\"deferred\": 1'")
		var list struct {
			Instances []struct {
				Name, Active, Group string
				Enabled             bool
				Listen, Problems    []string
				Chroot              struct{ State string }
			}
		}
		if err := json.Unmarshal([]byte(sh(ctx, t, h, "postfix-maint instance list --json")), &list); err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%+v", list.Instances[len(list.Instances)-1])
		if want := "{Name:postfix-k Active:active Group:g Enabled:true Listen:[127.0.0.2:25] Problems:[] Chroot:{State:current}}"; got != want {
			t.Errorf("list shows %s, want %s", got, want)
		}
		if said := sh(ctx, t, h, asNobody); said != "" {
			t.Errorf("as an ordinary user: %s", said)
		}
		if said, err := h.Sh(ctx, "postfix-maint instance remove k"); err == nil || !strings.Contains(said, "1 messages") {
			t.Errorf("an instance with mail is removed: %v: %s", err, said)
		}
		sh(ctx, t, h, words+"postfix-maint instance disable k; down postfix@postfix-k; systemctl restart postfix; down postfix@postfix-k")
		sh(ctx, t, h, "postfix-maint instance enable k; systemctl is-active postfix@postfix-k; postfix-maint instance remove k --purge-queue")
		if got := sh(ctx, t, h, left); got != "" {
			t.Errorf("remove leaves %s", got)
		}
		asUpstream := "cmp" // Debian 12's postconf(1) adds settings in any order
		if release == "bookworm" {
			asUpstream = "same() { sort $1 >/tmp/1; sort $2 >/tmp/2; cmp /tmp/1 /tmp/2; }; same"
		}
		sh(ctx, t, h, "postconf -e mail_owner=postfix; "+skeletons+asUpstream+" /tmp/up/main.cf /tmp/our/main.cf")
		sh(ctx, t, h, "postfix-maint instance remove our; postfix-maint instance remove up")
		sh(ctx, t, h, words+"up postfix postfix@-; healthy")
	})
}

// asNobody has an ordinary user try what everybody can, and what only root can, which is said at once and is no wrong use; and what the
// shells complete. It prints what is not so.
const asNobody = `
	as() { runuser -u nobody -- postfix-maint "$@" > /tmp/out 2> /tmp/errs; }
	for c in status 'status k' 'status --json' 'chroot status' 'sandbox status' check-config 'check-config --json' help 'help smarthost set'; do
		as $c && [ ! -s /tmp/errs ] && [ -s /tmp/out ] || echo "$c: $(cat /tmp/errs)"
	done
	for c in history 'history show 1' 'undo --dry-run' 'apply --dry-run' 'instance list' 'instance create x --dry-run' 'instance disable k' \
		'chroot check' 'chroot sync' 'chroot off --dry-run' 'smarthost show' 'smarthost unset' 'smarthost test a@example.org' 'sandbox strict' \
		'dynamicmap add pcre' 'check-config --fix nis-aliases' 'adopt --revert'; do
		rc=0; as $c || rc=$?
		[ $rc = 1 ] && [ ! -s /tmp/out ] && [ "$(wc -l < /tmp/errs)" = 1 ] && grep -q '^postfix-maint: only root can ' /tmp/errs || echo "$c: $rc $(cat /tmp/out /tmp/errs)"
	done
	as complete instance remove '' && grep -q '^postfix-k.*/etc/postfix-k$' /tmp/out || echo "no instance is completed: $(cat /tmp/out /tmp/errs)"
	as complete undo '' && [ ! -s /tmp/out ] && [ ! -s /tmp/errs ] || echo "the history is completed"
	postfix-maint complete undo '' | grep -q 'instance create' || echo "root sees no history"
	for f in bash-completion/completions/postfix-maint zsh/vendor-completions/_postfix-maint fish/vendor_completions.d/postfix-maint.fish; do [ -s /usr/share/$f ] || echo "no $f"; done
`

// skeletons makes an instance by upstream's scripts and one by ours, while the primary one names an address that is not up, and compares
// all but main.cf, which is left in /tmp under the same name. The log names in master.cf differ on purpose.
const skeletons = `
	postmulti -e init; postmulti -I postfix-up -e create; postfix-maint chroot on postfix-up # Debian's prototype of sid has its services outside
	value=$(postconf -h inet_interfaces); postconf -e inet_interfaces=10.98.7.6
	postfix-maint instance create our --disabled
	postconf -e "inet_interfaces=$value"
	[ "$(postconf -h multi_instance_directories)" = "/etc/postfix-up /etc/postfix-our" ]
	for n in up our; do
		mkdir /tmp/$n
		for d in /etc /var/spool /var/lib; do find $d/postfix-$n -maxdepth 1 -printf "$d %P %M %u %g\n"; done | sort >/tmp/$n/dirs
		sed "s/postfix-$n/postfix-NAME/" /etc/postfix-$n/main.cf >/tmp/$n/main.cf
		sed 's|syslog_name=postfix/|syslog_name=${multi_instance_name?{$multi_instance_name}:{postfix}}/|' /etc/postfix-$n/master.cf >/tmp/$n/master.cf
	done
	diff /tmp/up/dirs /tmp/our/dirs
	cmp /tmp/up/master.cf /tmp/our/master.cf
	`

// manyInstances lays a number of instances without services on the network beside one that Postfix made.
const manyInstances = `postfix-maint instance create n1 --disabled >/dev/null
	for i in $(seq 2 %[1]d); do
		for d in /etc /var/spool /var/lib; do cp -a $d/postfix-n1 $d/postfix-n$i; done
		sed -i "s/postfix-n1\$/postfix-n$i/" /etc/postfix-n$i/main.cf
	done
	for i in $(seq 1 %[1]d); do echo 'multi_instance_enable = yes' >> /etc/postfix-n$i/main.cf; done
	postconf -e "multi_instance_directories = $(seq -f /etc/postfix-n%%.0f -s ' ' 1 %[1]d)"`

// TestManyInstances runs the generator and systemd with 200 instances, and some of them.
func TestManyInstances(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := boot(ctx, t, "host", installed(ctx, t, release, product.Ours))
		const number = 200
		sh(ctx, t, h, fmt.Sprintf(manyInstances, number))
		start := time.Now()
		sh(ctx, t, h, "systemctl daemon-reload")
		t.Logf("daemon-reload with %d instances: %v", number, time.Since(start).Round(time.Millisecond))
		if got := sh(ctx, t, h, "systemctl show -P Wants postfix | tr ' ' '\\n' | grep -c '^postfix@postfix-n'"); got != fmt.Sprintln(number) {
			t.Errorf("postfix.service wants %s of %d instances", got, number)
		}
		units := sh(ctx, t, h, "seq -f postfix@postfix-n%.0f -s ' ' 1 4")
		sh(ctx, t, h, "systemctl start "+units)
		await(ctx, t, h, "four of them", words+"up "+units)
		start = time.Now()
		table := sh(ctx, t, h, "postfix-maint instance list")
		t.Logf("list: %v", time.Since(start).Round(time.Millisecond))
		if n := strings.Count(table, " active "); n != 5 {
			t.Errorf("%d are active, want 5:\n%s", n, table)
		}
		// What each costs must not grow with the number of the others.
		for _, args := range [][]string{{"list"}, {"create", "more", "--disabled"}, {"remove", "more"}} {
			opens, err := measure.Trace(ctx, h, "openat,openat2", append([]string{"postfix-maint", "instance"}, args...)...)
			if err != nil {
				t.Fatal(err)
			}
			reads := strings.Count(strings.Join(opens, "\n"), `main.cf"`)
			t.Logf("instance %s: a main.cf is opened %d times", args[0], reads)
			if reads > 10*number || reads < number {
				t.Errorf("instance %s opens a main.cf %d times, with %d instances", args[0], reads, number)
			}
		}
		sh(ctx, t, h, "kill -9 $(cat /var/spool/postfix-n3/pid/master.pid); "+words+"up postfix@postfix-n2 postfix@postfix-n4")
		await(ctx, t, h, "the killed one", "systemctl is-active postfix@postfix-n3")
		// No matter how many there are to watch. postfix.service has failed while the killed one waits for its restart; then a stop does not
		// wait for the instances.
		sh(ctx, t, h, "systemctl stop postfix")
		await(ctx, t, h, "the end of all", words+"refuse pgrep -x master && up postfix-takeover.path || { systemctl list-jobs; systemctl list-units -a 'postfix*' | grep -v inactive; exit 1; }")
	})
}
