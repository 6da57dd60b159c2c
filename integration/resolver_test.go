//go:build integration

package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/measure"
	"postfix-maint/integration/product"
)

// nameServers are the two of the test: each knows its own name only, NAME.test, whose mail goes to an address of the host on which
// smtp-sink(1) takes it.
var nameServers = []string{"10.99.0.251", "10.99.0.252"}

// resolvWays are how a host's resolv.conf is changed: prepare makes the host one on which $1 is done in that way.
var resolvWays = []struct{ name, prepare, change string }{
	{"a write in place", "rm -f /etc/resolv.conf", `printf 'nameserver %s\n' "$1" > /etc/resolv.conf`},
	{"an editor's rename", "", `printf 'nameserver %s\n' "$1" > /etc/.resolv.conf.swp; mv /etc/.resolv.conf.swp /etc/resolv.conf`},
	{"a link to another file, older and of equal size (R02)", `for n in 1 2; do
		printf 'nameserver 10.99.0.25%s\n' $n > /etc/resolv.10.99.0.25$n; touch -d "2001-01-0$n" /etc/resolv.10.99.0.25$n; done`,
		`ln -sfn resolv.$1 /etc/resolv.conf`},
	{"NetworkManager: a link, its target replaced", "mkdir -p /run/NetworkManager; ln -sfn /run/NetworkManager/resolv.conf /etc/resolv.conf",
		`printf 'nameserver %s\n' "$1" > /run/NetworkManager/resolv.conf.new; mv /run/NetworkManager/resolv.conf.new /run/NetworkManager/resolv.conf`},
	{"NetworkManager: the file itself, by a temporary one (rc-manager=file)", "", // src/core/dns/nm-dns-manager.c: unlink, then rename
		`printf 'nameserver %s\n' "$1" > /etc/resolv.conf.nm; mv /etc/resolv.conf.nm /etc/resolv.conf`},
	{"resolvconf(8)", "apt-get install -y resolvconf >/dev/null 2>&1; ln -sfn ../run/resolvconf/resolv.conf /etc/resolv.conf",
		`printf 'nameserver %s\n' "$1" | resolvconf -a eth0.test`},
	{"systemd-resolved, as networkd tells it", `apt-get purge -y resolvconf >/dev/null 2>&1; apt-get install -y systemd-resolved >/dev/null 2>&1
		systemctl reload dbus; systemctl restart systemd-resolved; ln -sfn ../run/systemd/resolve/resolv.conf /etc/resolv.conf`, `resolvectl dns eth0 "$1"`},
}

// resolvNames are further ways in which the name comes to mean other bytes, by what is on the way to the file.
var resolvNames = []struct{ name, change string }{
	{"a link whose target comes after the watch, with its directory", `rm -rf /run/net; ln -sfn /run/net/resolv.conf /etc/resolv.conf
		systemctl restart postfix-resolvconf.path; sleep 1; mkdir /run/net; sleep 0.5; printf 'nameserver %s\n' "$1" > /run/net/resolv.conf`},
	{"the target's directory removed and made again", `rm -rf /run/net; mkdir /run/net; printf 'nameserver %s\n' "$1" > /run/net/resolv.conf`},
	{"a chain of two links", `printf 'nameserver %s\n' "$1" > /run/net/1; ln -s 1 /run/net/link; ln -sfn /run/net/link /etc/resolv.conf`},
	{"its second link re-pointed", `printf 'nameserver %s\n' "$1" > /run/net/2; ln -sfn 2 /run/net/link`},
	{"a mount over the file", `printf 'nameserver %s\n' "$1" > /run/net/3; mount --bind /run/net/3 /run/net/2`},
	{"its end, after the watch was killed", `printf 'nameserver %s\n' "$1" > /run/net/4; cat /run/net/4 > /run/net/1; ln -sfn 1 /run/net/link
		systemctl kill -s KILL postfix-resolvconf-watch.service; umount /run/net/2; cp /run/net/4 /run/net/2; ln -sfn 2 /run/net/link`},
}

// hooks are what the programs of the network run; the variables are theirs.
var hooks = []string{
	"IFACE=eth0 MODE=start /etc/network/if-up.d/postfix", "IFACE=eth0 MODE=stop /etc/network/if-down.d/postfix",
	"PPP_IFACE=ppp0 /etc/ppp/ip-up.d/postfix", "PPP_IFACE=ppp0 /etc/ppp/ip-down.d/postfix", "/etc/resolvconf/update-libc.d/postfix",
	"IFACE=eth0 /usr/lib/networkd-dispatcher/routable.d/postfix", "IFACE=eth0 /usr/lib/networkd-dispatcher/off.d/postfix",
	"/usr/lib/NetworkManager/dispatcher.d/postfix eth0 up",
}

// follower is a host whose resolv.conf is switched to and fro.
type follower struct {
	*hosts.Host
	server, sent int // the number of the server in use, of messages
}

// mail sends a message to the name that the current server alone knows; it must leave.
func (f *follower) mail(ctx context.Context) error {
	f.sent++
	to := fmt.Sprintf("m%d@%s", f.sent, f.name())
	if _, err := f.Sh(ctx, "printf 'Subject: x\n\nx\n' | sendmail "+to); err != nil {
		return err
	}
	return product.Await(ctx, f.Host, "a message to "+to+" leaves", `grep -q 'to=<`+to+`>.*status=sent' /var/log/mail.log`)
}

func (f *follower) name() string { return fmt.Sprintf("name%d.test", f.server) }

// switched changes the host's resolv.conf to the other server, waits for the copies, and sends a message. Before, an smtp process is
// made that has asked the old server and waits for work.
func (f *follower) switched(ctx context.Context, change string) error {
	if err := f.mail(ctx); err != nil {
		return err
	}
	f.server = 1 - f.server
	if _, err := f.Sh(ctx, "set -- "+nameServers[f.server]+"\n"+change); err != nil {
		return err
	}
	if err := f.copied(ctx); err != nil {
		return err
	}
	return f.mail(ctx)
}

// copied waits until both instances' chroots have the host's resolv.conf, and the run that saw to that has ended.
func (f *follower) copied(ctx context.Context) error {
	return product.Await(ctx, f.Host, "the chroots have "+nameServers[f.server], `for q in postfix postfix-out; do
		grep -qx 'nameserver `+nameServers[f.server]+`' /var/spool/$q/etc/resolv.conf; cmp -s /etc/resolv.conf /var/spool/$q/etc/resolv.conf; done
		[ "$(pgrep -c -x configure-insta)" -le 1 ]`) // the watch
}

// daemons are the processes that a reload or a restart would replace.
const daemons = `for d in master qmgr; do pgrep -d' ' -x $d; done; systemctl show -P NRestarts postfix@-`

// TestResolver shows that mail to a name that only the new name server knows leaves, whoever changed resolv.conf and how (R01, R02,
// R06), that bursts do no harm (R03), and that nothing is reloaded, restarted or flushed for it (R07).
func TestResolver(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		f := &follower{Host: resolverHost(ctx, t, release)}
		before := sh(ctx, t, f.Host, daemons)
		for _, w := range resolvWays {
			sh(ctx, t, f.Host, w.prepare)
			sh(ctx, t, f.Host, "set -- "+nameServers[f.server]+"\n"+w.change)
			if err := f.copied(ctx); err != nil {
				t.Fatalf("%s: %v", w.name, err)
			}
			for range 2 {
				if err := f.switched(ctx, w.change); err != nil {
					t.Fatalf("%s: %v", w.name, err)
				}
			}
		}
		for _, w := range resolvNames {
			f.server = 1 - f.server
			sh(ctx, t, f.Host, "set -- "+nameServers[f.server]+"\n"+w.change)
			if err := f.copied(ctx); err != nil {
				t.Fatalf("%s: %v", w.name, err)
			}
		}
		sh(ctx, t, f.Host, "rm /etc/resolv.conf; echo nameserver "+nameServers[f.server]+" > /etc/resolv.conf; sleep 2")
		burst(ctx, t, f)
		sh(ctx, t, f.Host, "systemctl stop postfix-resolvconf.path")
		for _, hook := range hooks {
			if err := f.switched(ctx, resolvWays[0].change+"\n"+hook); err != nil {
				t.Errorf("%s: %v", hook, err)
			}
		}
		fewSyncs(ctx, t, f.Host)
		if after := sh(ctx, t, f.Host, daemons); after != before {
			t.Errorf("daemons before and after:\n%s%s", before, after)
		}
		if out, err := f.Sh(ctx, `! grep -E 'reload|throttl|fatal|panic' /var/log/mail.log`); err != nil {
			t.Errorf("the log of the mail system: %s", out)
		}
	})
}

// fewSyncs shows that a hook with a changed resolv.conf has two files of each of the two instances synced: the copy, and the line beside the
// list that announces it. Now and then there are more, when the lines become one.
func fewSyncs(ctx context.Context, t *testing.T, h *hosts.Host) {
	t.Helper()
	least := 1000
	for range 3 {
		calls, err := measure.Trace(ctx, h, "fsync,fdatasync,sync,syncfs", "sh", "-c",
			"echo '# more' >>/etc/resolv.conf; exec /usr/libexec/postfix-maint/configure-instance --resolver")
		if err != nil {
			t.Fatal(err)
		}
		least = min(least, strings.Count(strings.Join(calls, "\n"), "sync("))
	}
	if t.Logf("syncs of a hook: %d", least); least > 4 || least < 2 {
		t.Errorf("a hook with two instances syncs %d times", least)
	}
}

// burst switches 20 times within 10 seconds, in several ways.
func burst(ctx context.Context, t *testing.T, f *follower) {
	t.Helper()
	if err := f.mail(ctx); err != nil {
		t.Fatal(err)
	}
	f.server = 1 - f.server
	sh(ctx, t, f.Host, fmt.Sprintf(`a=%s b=%s
		for n in 1 2 3 4 5 6 7 8 9 10; do
			echo "nameserver $b" > /etc/resolv.conf; sleep 0.3
			echo "nameserver $a" > /etc/new; mv /etc/new /etc/resolv.conf; sleep 0.3
		done; echo "nameserver $b" > /etc/resolv.conf`, nameServers[1-f.server], nameServers[f.server]))
	if err := f.copied(ctx); err != nil {
		t.Fatalf("after 20 switches: %v", err)
	}
	if err := f.mail(ctx); err != nil {
		t.Fatalf("after 20 switches: %v", err)
	}
	if state := strings.TrimSpace(sh(ctx, t, f.Host, "systemctl show -P ActiveState postfix-resolvconf.path")); state != "active" {
		t.Errorf("after 20 switches the path unit is %s", state)
	}
}

// resolverHost is a host with a second instance, on a network with two more name servers.
func resolverHost(ctx context.Context, t *testing.T, release string) *hosts.Host {
	t.Helper()
	lan := newNetwork(ctx, t)
	const sink = "10.99.0.77"
	for n := range nameServers {
		if _, err := lan.AddDNS(ctx, 251+n, map[string]string{fmt.Sprintf("name%d.test", n): sink}); err != nil {
			t.Fatal(err)
		}
	}
	opt := installed(ctx, t, release, product.Ours)
	opt.Network = lan
	packages, err := session.Packages(ctx, release, "resolvers", "resolvconf", "systemd-resolved")
	if err != nil {
		t.Fatal(err)
	}
	opt.Binds[packages] = "/resolvers"
	h := boot(ctx, t, "mx", opt)
	sh(ctx, t, h, `echo 'deb [trusted=yes] file:/resolvers ./' >> /etc/apt/sources.list; apt-get update -q
		ip addr add `+sink+`/24 dev eth0; systemd-run -q smtp-sink -u postfix `+sink+`:25 100
		postconf -e inet_interfaces=10.99.0.1,127.0.0.1 inet_protocols=ipv4
		postmulti -e init; postmulti -I postfix-out -e create; cp /etc/postfix/master.cf /etc/postfix-out/ # the services chrooted as those of the primary instance
		systemctl restart postfix; rm -f /etc/resolv.conf; echo nameserver `+nameServers[0]+` > /etc/resolv.conf
		/usr/libexec/postfix-maint/configure-instance --all; systemctl is-active postfix-resolvconf.path`)
	return h
}
