//go:build integration

package integration

import (
	"maps"
	"strings"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// releaseUpgrade is a server's way from a release of Debian to the next by apt, with adopted packages on both sides: six edits by hand, a
// map package, and a second instance that upstream's postmulti(1) made.
var releaseUpgrade = life{
	end: works,
	do: `edits; dpkg -i /debs/d1/postfix-pcre.deb
		postmulti -e init; postmulti -e create -I postfix-out 2>/dev/null
		postconf -c /etc/postfix-out -e master_service_disable= inet_interfaces=127.0.0.1
		sed -i 's/^smtp  *inet/2525 inet/' /etc/postfix-out/master.cf
		postmulti -i postfix-out -e enable; systemctl daemon-reload; systemctl enable --now postfix@postfix-out; await out_greets
		# no mailbox_command: a procmail that dpkg unpacked before its libc cannot run, and local(8) returns mail to its sender then
		postconf -e queue_run_delay=1h minimal_backoff_time=1h maximal_backoff_time=2h mailbox_command=; postfix reload; useradd -m flow
		(while [ ! -e /tmp/enough ]; do echo text | sendmail -f root flow@localhost && echo >> /tmp/sent; sleep 0.1; done) > /dev/null 2>&1 &
		cp /etc/postfix/main.cf /tmp/main.cf
		printf 'deb [trusted=yes] file:/upgrade ./\ndeb [trusted=yes] file:/packages-next ./\n' > /etc/apt/sources.list
		apt-get update -q; apt-get dist-upgrade -q -y --no-install-recommends < /dev/null
		touch /tmp/enough; wait
		# dpkg replaces programs and libraries one by one: what cannot be handed over then stays with its sender, who is told
		if complaints 'sendmail.*unable to execute .*postdrop -r: Application error$'; then exit 1; fi; : > /var/log/mail.log
		find /var/spool/postfix/incoming -name '*.*' ! -newer /tmp/sent -delete # by a cleanup(8) of whose libraries half were new; no sender was told yes
		dpkg --audit; postconf -h mail_version`,
	check: `has relayhost [relay.example.test]:587
		has mailbox_size_limit 99000000
		has recipient_delimiter _
		has inet_interfaces 127.0.0.1
		has mydestination '$myhostname, mail.example.test, localhost'
		has mynetworks '127.0.0.0/8, 10.9.0.0/16'
		! diff /tmp/main.cf /etc/postfix/main.cf | grep '^<' # nothing is taken away
		postconf -m | grep -x pcre
		await out_greets
		arrived() { [ "$(grep -c '^From ' /var/mail/flow)" -ge "$(wc -l < /tmp/sent)" ]; }; await arrived # what was deferred too, long before the queue run
		state postfix@postfix-out.service active | { ! grep .; }
		[ ! -e /etc/postfix/makedefs.out ] || dpkg -S /etc/postfix/makedefs.out
		! find /etc -name '*.dpkg-*' -path '*postfix*' | grep .`,
}

// newRelease downloads all that makes the next release of the base tree of OLD with Postfix, into the working directory.
const newRelease = `apt-get install -q -y --no-install-recommends --download-only postfix postfix-pcre; dpkg --unpack /var/cache/apt/archives/*.deb
apt-get install -q -y -f --no-install-recommends || :; apt-get clean
find /etc/apt/sources.list* -type f -exec sed -i 's/OLD/NEW/g' {} +; find /etc/apt/sources.list* -type f -exec sed -i '/sid-/d' {} +
apt-get -o Acquire::Check-Valid-Until=false update -q; apt-get dist-upgrade -q -y --download-only --no-install-recommends
mv /var/cache/apt/archives/*.deb .`

// releaseWays are the upgrades from release to release, with what must be so at the end besides.
var releaseWays = []struct{ from, to, check string }{
	{"bookworm", "trixie", `
		dpkg-query -Wf '${Version}' postfix | grep '^3\.10.*+a[0-9a-z.~]*$'
		grep -q ^13 /etc/debian_version`},
	{"trixie", hosts.Sid, `
		dpkg-query -Wf '${Version}' postfix | grep '^3\.11.*+a[0-9a-z.~]*$'
		[ ! -e /etc/postfix/dynamicmaps.cf ]
		has default_database_type hash
		[ "$(postconf -c /etc/postfix-out -h default_database_type)" = hash ]
		has alias_maps hash:/etc/aliases
		postconf -M smtp/inet | grep -E '^smtp +inet +n +- +y ' # chrooted as before`},
}

// TestReleaseUpgrade goes each way on a booted host.
func TestReleaseUpgrade(t *testing.T) {
	t.Parallel()
	for _, way := range releaseWays {
		t.Run(way.from+"-"+way.to, func(t *testing.T) {
			ctx := scenario(t, 1)
			opt := begin(ctx, t, way.from, ours)
			debs, err := session.Archive(ctx, way.from, "to-"+way.to, strings.NewReplacer("OLD", way.from, "NEW", way.to).Replace(newRelease))
			if err != nil {
				t.Fatal(err)
			}
			opt.Binds = maps.Clone(opt.Binds)
			opt.Binds[debs] = "/upgrade"
			for dir := range source(ctx, t, way.to, product.Ours).Binds {
				opt.Binds[dir] = "/packages-next"
			}
			l := releaseUpgrade
			l.check += way.check
			live(ctx, t, opt, l)
		})
	}
}

// underSysV is the whole way on a host that sysvinit-core boots.
var underSysV = life{
	name: "sysv init", end: asChecked,
	do: sysvWay + `dpkg -i /debs/o1/postfix.deb; await greets`,
	check: `ls /etc/rc2.d/S*postfix
		[ "$(cat /proc/1/comm)" = init ] && [ ! -d /run/systemd/system ]`,
}

// TestSysV goes through the package's life on a booted Debian 12 without systemd, and boots it once more: Postfix is there again.
func TestSysV(t *testing.T) {
	ctx := scenario(t, 1)
	opt, err := product.With(ctx, session, begin(ctx, t, "bookworm", nothing), "sysv", "sysvinit-core")
	if err != nil {
		t.Fatal(err)
	}
	// systemd-nspawn boots systemd where it finds it, whatever /sbin/init is.
	opt, err = session.Layer(ctx, "sysv", opt, func(h *hosts.Host) error {
		_, err := h.Sh(ctx, "apt-get install -y --no-install-recommends sysvinit-core; mv /lib/systemd/systemd /lib/systemd/away")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	h := live(ctx, t, opt, underSysV)
	if err := h.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := h.Boot(ctx); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, h, "Postfix after the boot", "/etc/init.d/postfix status")
}
