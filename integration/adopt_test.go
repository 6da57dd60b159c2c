//go:build integration

package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// adoptWords are shell functions of the scenarios about "postfix-maint adopt --install". Debian's archive is a folder of the host here,
// so that a security update can come out when the story needs it.
const adoptWords = `
STOCK=$(dpkg-deb -f /packages/postfix_*.deb Version)
# debian VERSION [CODE]: Debian publishes a version of postfix and postfix-pcre; CODE changes the tree $d of postfix
debian() {
	mkdir -p /srv/debian
	for p in postfix postfix-pcre; do
		d=/tmp/d; rm -rf $d; dpkg-deb -R /packages/${p}_*.deb $d
		sed -i "s/$STOCK/$1/g" $d/DEBIAN/control
		if [ $p = postfix ] && [ -n "${2:-}" ]; then eval "$2"; fi
		dpkg-deb --root-owner-group -Zgzip -z1 -b $d /srv/debian > /dev/null
	done
	index
}
# index: what the folder holds is what Debian's archive offers
index() { (
	cd /srv/debian; rm -f Release; apt-ftparchive packages . > Packages
	apt-ftparchive -o APT::FTPArchive::Release::Origin=Debian -o APT::FTPArchive::Release::Label=Debian-Security \
		-o APT::FTPArchive::Release::Suite=stable-security -o APT::FTPArchive::Release::Codename="$(. /etc/os-release; echo $VERSION_CODENAME)-security" \
		release . > /tmp/Release; mv /tmp/Release Release
) }
has() { dpkg-query -W -f '${Version}' "$1"; }
# is VERSION: installed are this version of postfix and this one of postfix-pcre
is() {
	if [ "$(has postfix)" != "$1" ]; then echo "postfix is $(has postfix), not $1"; apt-cache policy postfix; return 1; fi
	if [ "$(has postfix-pcre)" != "${1%+a[0-9]*}" ]; then echo "postfix-pcre is $(has postfix-pcre) beside postfix $1"; return 1; fi
	apt-get check -qq; [ -z "$(dpkg --audit)" ]; postconf -m | grep -qx pcre
}
# traces: what adopt --install leaves on a host
traces() { find /etc/apt /var/lib/apt /var/lib/postfix-maint -name '*postfix-maint*' ! -path /var/lib/postfix-maint -o -path '/var/lib/postfix-maint/*rchive*' -o -name 'adopt.work' 2>/dev/null || true; }
# further NAME PORT DIR: make a further instance
further() {
	postfix-maint instance create $1 --disabled --config-dir $3 --set inet_interfaces=127.0.0.1 --set master_service_disable=
	sed -i "s/^smtp *inet/$2 inet/" $3/master.cf; postfix-maint instance enable $1
}
# ours: all that is left of our package on a host, and a chroot that Debian's layer would not have filled so
ours() { find /etc /var/lib /var/spool /run/systemd -xdev -name '*postfix-maint*' ! -path '/var/lib/dpkg/*' ! -name 60-postfix-maint-directory.conf; filled | diff /var/tmp/filled -; find /etc/systemd -type d -empty -name 'postfix*'; }
filled() { (cd /var/spool/postfix; find . -mindepth 2 ! -path './pid/*' ! -path './private/*' ! -path './public/*' ! -path './dev/*' | sort); }
# limit: a drop-in for Debian 13's daemon, which no unit that is not a daemon bears
limit() {
	! grep -q debian-systemd-start /lib/systemd/system/postfix.service || (d=/etc/systemd/system/postfix.service.d; mkdir $d
		printf '[Service]\nRestart=always\nLimitNOFILE=4321\n' > $d/limit.conf; systemctl daemon-reload; systemctl restart postfix; touch /var/tmp/limit)
}
# own: an instance as Debian 13 documents it
own() {
	cp -a /etc/postfix /etc/postfix-own; sed -i 's/^smtp *inet/2527 inet/' /etc/postfix-own/master.cf; mkdir /var/spool/postfix-own; install -d -o postfix /var/lib/postfix-own
	postconf -c /etc/postfix-own -e queue_directory=/var/spool/postfix-own data_directory=/var/lib/postfix-own inet_interfaces=127.0.0.1; systemctl enable --now postfix@own
}
# limited UNIT: it reaches the daemon there
limited() { [ ! -e /var/tmp/limit ] || grep -q 'open files *4321 ' /proc/$(systemctl show -P MainPID $1)/limits; }
state() { find /etc/apt /var/lib/postfix-maint /var/lib/apt/lists -printf '%p %m %u:%g %T@ %l\n' | grep -vE 'partial|lock ' | sort; }
`

// debianHost gives a host with Debian's Postfix and postfix-pcre at the version of the release, unattended-upgrades, and our
// package to be installed at /ours. Mail for anna is taken.
func debianHost(ctx context.Context, t *testing.T, release string) hosts.Options {
	t.Helper()
	opt := installed(ctx, t, release, product.Debian)
	tools, err := session.Packages(ctx, release, "unattended-upgrades", "unattended-upgrades")
	if err != nil {
		t.Fatal(err)
	}
	ours := source(ctx, t, release, product.Ours)
	binds := map[string]string{tools: "/tools"}
	for from, to := range opt.Binds {
		binds[from] = to
	}
	for from := range ours.Binds {
		binds[from] = "/ours"
	}
	opt.Binds = binds
	opt, err = session.Layer(ctx, "adopt-"+release, opt, func(h *hosts.Host) error {
		if err := os.WriteFile(filepath.Join(h.Root(), "usr/local/lib/adopt"), []byte(adoptWords), 0o644); err != nil {
			return err
		}
		if err := h.Boot(ctx); err != nil {
			return err
		}
		_, err := h.Sh(ctx, `. /usr/local/lib/adopt
			apt-get install -y -q /tools/*.deb
			debian "$STOCK"
			echo 'deb [trusted=yes] file:/srv/debian ./' > /etc/apt/sources.list
			apt-get update -q; apt-get install -y -q postfix-pcre
			useradd -m anna; is "$STOCK"`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return opt
}

// dryRun, takenOver and andBack are the steps of the way there and back.
const (
	dryRun    = "a dry run changes nothing"
	takenOver = "Debian's package is taken over"
	andBack   = "and back"
)

// newLayer is the step from which on version 99 of the layer makes the adopted packages; "+A" stands for the end of their versions.
const newLayer = "a newer postfix-maint brings its layer"

// withInstances is the step from which on the host has two further instances, one of them not in /etc/postfix-NAME.
const withInstances = "with further instances"

// awaitInstances waits until each of these addresses is greeted from.
func awaitInstances(ctx context.Context, t *testing.T, h *hosts.Host, step string, addresses []string) {
	t.Helper()
	for _, a := range addresses {
		await(ctx, t, h, "the instance at "+a+" after: "+step, greeting(a))
	}
}

// TestAdoptInstall lives through a host's time with "adopt --install": taken over, security updates by apt-get upgrade and by
// unattended-upgrade, one that cannot be adopted, and back to Debian's layer. Mail flows after each step, and main.cf stays. What sid goes
// through every time is the way there and back.
func TestAdoptInstall(t *testing.T) {
	sidToo(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := boot(ctx, t, "mail", debianHost(ctx, t, release))
		words := ". /usr/local/lib/adopt\n"
		stock := strings.TrimSpace(sh(ctx, t, h, words+"echo $STOCK"))
		layer := strings.TrimSpace(sh(ctx, t, h, `v=$(dpkg-deb -f /ours/postfix_*.deb Version); echo "+a${v##*+a}"`))
		config, further := sh(ctx, t, h, "md5sum /etc/postfix/main.cf"), []string(nil)
		short := release == hosts.Sid && !*sid
		for n, step := range []struct{ name, do, says, never string }{
			{dryRun, `filled > /var/tmp/filled; apt-get install -y -q /ours/postfix-maint_*.deb; state > /tmp/before
				postfix-maint adopt --install --dry-run; postfix-maint adopt --status; state | diff /tmp/before -; is STOCK`,
				`adopt: postfix STOCK\n(.*\n)*.*apt: install postfix STOCK\+A\n(.*\n)*postfix: STOCK, Debian's own\n`, ""},
			{"on hold it stays as it is", `apt-mark hold postfix; if postfix-maint adopt --install; then exit 1; fi; [ -z "$(traces)" ]; apt-mark unhold postfix; is STOCK`,
				`apt-mark unhold`, ""},
			{takenOver, `limit; limited postfix
				if [ -e /var/tmp/limit ]; then own; state > /tmp/before; if postfix-maint adopt --install; then exit 1; fi; state | diff /tmp/before -; is STOCK; fi
				postfix-maint adopt --install --drop-ins move; is STOCK+A; limited postfix@-`, "", "WARNING|W:"},
			{withInstances, `further out 2525 /etc/postfix-out; further in 2526 /srv/in`, "", "WARNING"},
			{"a second run does nothing", `state > /tmp/before; postfix-maint adopt --install; state | diff /tmp/before -
				apt-get update; apt-get -s dist-upgrade; postfix-maint adopt --status; postfix-maint adopt --status --json`,
				`^nothing to do\n(.*\n)*0 upgraded(.*\n)*postfix: STOCK\+A, this layer's\n(.*\n)*.*"in_force": true`, "W:|E:"},
			{"the lock is somebody else's, the program is broken, or gone: apt-get update goes on", `flock /run/postfix-maint.lock sh -c 'if postfix-maint adopt --install; then exit 1; fi; apt-get update -q'
				mv /usr/sbin/postfix-maint /tmp; apt-get update -q; printf '#!/bin/sh\nexit 1\n' > /usr/sbin/postfix-maint; chmod +x /usr/sbin/postfix-maint; apt-get update -q
				mv /tmp/postfix-maint /usr/sbin; is STOCK+A`,
				`^postfix-maint: another postfix-maint is at work on this system\n(.*\n)*postfix-maint: no look for a newer Postfix to adopt this time: another`, "W:|E:"},
			{newLayer, `dpkg-deb -R /ours/postfix-maint_*.deb /tmp/m; sed -i 's/^Version: .*/Version: 99/' /tmp/m/DEBIAN/control
				cd /tmp/m/usr/share/postfix-maint/layer; sed -i '1s/(.*)/(99)/' debian/changelog; echo '# new' >> systemd/postfix.service; dpkg-deb -Zgzip -z1 -b /tmp/m /tmp/m.deb
				apt-get install -y -q /tmp/m.deb; apt-get update -q && apt-get upgrade -y -q; is STOCK+A; systemctl cat postfix.service | grep -x '# new'`, "", "W:|E:"},
			{"apt-get upgrade takes the adopted security update", `debian 'NEXT1'; apt-get update -q && apt-get upgrade -y -q; is NEXT1+A`,
				`adopt: postfix NEXT1`, "W:|E:"},
			{"so does unattended-upgrade", `debian 'NEXT2'; apt-get update -qq; unattended-upgrade -v; is NEXT2+A`, "", "W:|E:|ERROR"},
			{"one that cannot be adopted comes as Debian's own", `debian 'NEXT3' 'mkdir -p $d/etc/new.d; echo x > $d/etc/new.d/postfix'
				apt-get update -q && unattended-upgrade -v; is NEXT3; limited postfix; apt-get update -q; postfix-maint adopt --status
				if postfix-maint adopt --install; then exit 1; fi; is NEXT3`,
				`NEXT3 cannot be adopted, so apt installs Debian's own: it has "etc/new.d/postfix"(.*\n)*postfix: NEXT3, Debian's own\n(.*\n)*cannot be adopted: NEXT3: it has "etc/new.d/postfix"`, "E:"},
			{"and runs every instance after a boot", `postfix-maint adopt --status; [ -z "$(systemctl list-units --failed --no-legend 'postfix*')" ]`,
				`instance postfix-out: postfix@\S+\.service, active\ninstance postfix-in: postfix@\S+\.service, active\n`, ""},
			{"the next one is adopted again", `debian 'NEXT4'; apt-get update -q && apt-get upgrade -y -q; is NEXT4+A; limited postfix@-`, "", "W:|E:|cannot be adopted"},
			{andBack, `postfix-maint sandbox strict; postfix-maint adopt --revert; is NEXT4; limited postfix; [ ! -L /etc/systemd/system/postfix@.service.d/50-postfix-maint-strict.conf ]; [ -z "$(traces)" ] || { traces; exit 1; }
				apt-get update -q; apt-get -s dist-upgrade; is NEXT4; postfix-maint adopt --revert`, `\n0 upgraded(.*\n)*nothing to do\n`, "W:|E:"},
			{"which has every instance too, after a boot", `[ -z "$(systemctl list-units --failed --no-legend 'postfix*')" ]`, "", ""},
			{"and again, and our package is purged", `postfix-maint adopt --install --drop-ins move; is NEXT4+A; postfix-maint adopt --revert; is NEXT4; apt-get purge -y -q postfix-maint
				[ -z "$(traces)" ] || { traces; exit 1; }; [ ! -e /var/lib/postfix-maint ]; ours > /tmp/left || :; [ ! -s /tmp/left ] || { cat /tmp/left; exit 1; }; apt-get update -q; is NEXT4`, "", "W:|E:"},
		} {
			if short && !slices.Contains([]string{dryRun, takenOver, andBack}, step.name) {
				continue
			}
			if step.name == newLayer {
				layer = "+a99"
			}
			next := func(text string) string {
				text = strings.NewReplacer("STOCK", stock, "+A", layer).Replace(text)
				if short { // nothing newer comes between
					return regexp.MustCompile(`NEXT\d`).ReplaceAllString(text, stock)
				}
				return regexp.MustCompile(`NEXT(\d)`).ReplaceAllString(text, stock+".$1")
			}
			if strings.HasSuffix(step.name, "after a boot") {
				if err := errors.Join(h.Kill(), h.Boot(ctx)); err != nil {
					t.Fatal(err)
				}
				awaitInstances(ctx, t, h, step.name, further)
			}
			out := sh(ctx, t, h, words+next(step.do))
			if step.name == withInstances {
				config, further = sh(ctx, t, h, "md5sum /etc/postfix/main.cf"), []string{"127.0.0.1/2525", "127.0.0.1/2526"}
				if release == "trixie" {
					further = append(further, "127.0.0.1/2527")
				}
			}
			t.Logf("%s:\n%s", step.name, out)
			quoted := regexp.MustCompile(`STOCK|NEXT\d`).ReplaceAllStringFunc(strings.ReplaceAll(step.says, `\+A`, regexp.QuoteMeta(layer)), func(v string) string { return regexp.QuoteMeta(next(v)) })
			if !regexp.MustCompile("(?m)" + quoted).MatchString(out) {
				t.Errorf("%s: nothing like %q is said:\n%s", step.name, quoted, out)
			}
			if step.never != "" && regexp.MustCompile("(?m)^("+step.never+")").MatchString(out) {
				t.Errorf("%s: said:\n%s", step.name, out)
			}
			await(ctx, t, h, "port 25 after: "+step.name, "timeout 5 bash -c 'read -r line < /dev/tcp/127.0.0.1/25; case $line in 220*) ;; *) exit 1;; esac'")
			awaitInstances(ctx, t, h, step.name, further)
			deliver(ctx, t, h, "anna", h, "anna", fmt.Sprintf("step %d", n))
			if now := sh(ctx, t, h, "md5sum /etc/postfix/main.cf"); now != config {
				t.Errorf("%s: main.cf is another one", step.name)
			}
		}
	})
}
