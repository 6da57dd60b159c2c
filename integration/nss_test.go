//go:build integration

package integration

import (
	"context"
	"strings"
	"testing"

	"postfix-maint/integration/product"
)

// nssPackages are Debian's packages of NSS modules.
var nssPackages = strings.Fields("libnss-mdns libnss-myhostname libnss-systemd libnss-resolve libnss-ldapd libnss-sss libnss-winbind")

// nameModules installs them, with the daemons behind them, and has nsswitch.conf name all.
const nameModules = `echo 'deb [trusted=yes] file:/nss ./' >> /etc/apt/sources.list; apt-get update -q >/dev/null 2>&1
DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends NSSPACKAGES >/root/apt.log 2>&1
cat > /etc/nsswitch.conf <<END
passwd:   files systemd sss winbind ldap
group:    files systemd sss winbind ldap
hosts:    files mdns4_minimal [NOTFOUND=return] resolve [!UNAVAIL=return] myhostname wins mdns6 mdns4 dns
END
postconf -e inet_protocols=ipv4
`

// closureTools: modules are those that nsswitch.conf names; whole MODULE: ld.so finds all that it needs, with the chroot for its root. What
// every process of Postfix has already by then, the C library, is lent meanwhile.
const closureTools = careTools + `hosts='mdns4_minimal resolve myhostname wins mdns6 mdns4'; modules="systemd sss winbind ldap $hosts"; ld=/lib64/ld-linux-x86-64.so.2
whole() { chroot $q /test/ld --list "/$lib/libnss_$1.so.2" >/root/list 2>&1 && ! grep -q 'not found' /root/list; }
lend() { mkdir $q/test; cp -L $ld $q/test/ld; cp -L /$lib/libc.so.6 $q/test/; export LD_LIBRARY_PATH=/test; }
takeback() { unset LD_LIBRARY_PATH; rm -r $q/test; }
# deferred RELAY: a message goes to that host, which is looked up; the process of smtp(8) waits for more then
deferred() { postconf -e "relayhost=[$1]"; systemctl restart postfix; : > /var/log/mail.log; echo x | sendmail "bert@$1.test"
	eventually grep -q "to=<bert@$1.test>.*status=" /var/log/mail.log; [ "$(root_of smtp)" = $q ]; }
named() { grep -o 'NSS module [a-z0-9_]*' | sort | tr '\n' ' ' | sed 's/NSS module //g'; }
`

// nssSteps go on from one another on one host.
var nssSteps = []struct{ name, script string }{
	{"every module comes with all that it needs", `fill >/dev/null 2>&1; lend; for m in $modules; do whole $m || die "$m: $(cat /root/list)"; done
		for extra in libcap.so.2 libbsd.so.0; do mv $q/$lib/$extra /root/; ok=1; for m in systemd winbind; do whole $m || ok=; done
			mv /root/$extra $q/$lib/; [ -z "$ok" ] || die "$extra is not needed"; done; takeback`},
	{"a chrooted smtp asks the modules", `postconf -e smtp_host_lookup=native; deferred printer.local; maps=$(cat /proc/$(pgrep -x smtp | head -n 1)/maps)
		for m in $hosts; do echo "$maps" | grep -q "$q/.*libnss_$m.so" || die "$m is not loaded: $(echo "$maps" | grep libnss)"; done`},
	{"what a module cannot do in the chroot is said", `asked='mdns4 mdns4_minimal mdns6 resolve wins '; rest='ldap sss systemd winbind '
		[ "$(fill 2>&1 | named)" = "$asked" ] || die "$(fill 2>&1)"; [ "$(postfix-maint chroot check 2>&1 | grep 'hosts that' | named)" = "$asked" ]
		[ "$(postfix-maint chroot check 2>&1 | grep 'users that' | named)" = "$rest" ] || die "$(postfix-maint chroot check 2>&1)"
		postconf -e smtp_host_lookup=dns smtpd_sender_login_maps=unix:passwd.byname; [ "$(fill 2>&1 | named)" = "$rest" ]
		[ "$(fill 2>&1 | grep -c 'proxy:unix:passwd.byname')" = 4 ]; postconf -e smtpd_sender_login_maps=proxy:unix:passwd.byname; [ -z "$(fill 2>&1)" ]`},
	{"a socket that is there is not missed", `mkdir -p $q/var/lib/sss/pipes; touch $q/var/lib/sss/pipes/nss; [ "$(postfix-maint chroot check 2>&1 | grep 'users that' | named)" = 'ldap systemd winbind ' ]`},
	{"myhostname answers a chrooted smtp", `sed -i '/^hosts/s/:.*/: files myhostname/' /etc/nsswitch.conf; postconf -e smtp_host_lookup=native; deferred x.localhost
		grep -q 'mail for x.localhost loops back' /var/log/mail.log || die "$(cat /var/log/mail.log)"; [ ! -e $q/$lib/libnss_wins.so.2 ]
		rm $q/$lib/libnss_myhostname.so.2; kill $(pgrep -x smtp); : > /var/log/mail.log; echo x | sendmail cora@x.test
		eventually grep -q 'to=<cora@x.test>.*status=' /var/log/mail.log; refused grep 'loops back' /var/log/mail.log`},
}

// TestChrootModules has the chroot hold the NSS modules that Debian packages, each with its libraries (C11); what they cannot do in there is said.
func TestChrootModules(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		opt := installed(ctx, t, release, product.Ours)
		packages, err := session.Packages(ctx, release, "nss", nssPackages...)
		if err != nil {
			t.Fatal(err)
		}
		opt.Binds[packages] = "/nss"
		h := boot(ctx, t, "mx", opt)
		sh(ctx, t, h, strings.Replace(nameModules, "NSSPACKAGES", strings.Join(nssPackages, " "), 1))
		for _, s := range nssSteps {
			if out, err := h.Sh(ctx, closureTools+s.script); err != nil {
				t.Errorf("%s: %v\n%s", s.name, err, out)
			}
		}
	})
}
