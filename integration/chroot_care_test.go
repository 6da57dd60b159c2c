//go:build integration

package integration

import (
	"context"
	"errors"
	"testing"

	"postfix-maint/integration/product"
)

// careTools are what the scripts below share: the queue directory, the place of a daemon's root, a state of the host that must not
// change, a package that brings a library.
const careTools = `q=/var/spool/postfix; lib=$(cd / && ls -d usr/lib/*-linux-gnu | head -n 1)
die() { echo "$@" >&2; exit 1; }
refused() { if "$@"; then die "no failure: $*"; fi; }
fill() { /usr/libexec/postfix-maint/configure-instance -; }
root_of() { readlink "/proc/$(pgrep -x "$1" | head -n1)/root"; }
tree() { find "$@" -xdev \( -type f -o -type l \) -printf '%p %m %u %s %l ' -a \( -type f -exec md5sum {} \; -o -print \) 2>/dev/null | md5sum; }
rooted() { [ "$(root_of "$1")" = "$2" ]; }
still() { [ "$(systemctl show -P ActiveState postfix-resolvconf-watch.service)" = inactive ]; }
daemons() { for d in master qmgr pickup; do pgrep -x $d; done; }
gone() { [ ! -e "$1" ]; }
eventually() { for _ in $(seq 300); do if "$@"; then return 0; fi; sleep 0.1; done; die "never: $*"; }
# deb VERSION BYTES: install a package with an NSS module, as dh_makeshlibs would make it
deb() {
	rm -rf /root/deb; mkdir -p /root/deb/DEBIAN /root/deb/$lib
	cp /$lib/libnss_compat.so.2 /root/deb/$lib/libnss_test.so.2; printf '%s' "$2" >> /root/deb/$lib/libnss_test.so.2
	printf 'Package: libnss-test\nVersion: %s\nArchitecture: all\nMaintainer: T <t@example.test>\nDescription: t\n' "$1" > /root/deb/DEBIAN/control
	echo 'activate-noawait ldconfig' > /root/deb/DEBIAN/triggers
	dpkg-deb --root-owner-group -b /root/deb /root/t.deb >/dev/null; dpkg -i /root/t.deb 2>&1
}
`

// care are the failures of Debian's layer that a host must not show, in the order in which they are tried on one host.
var care = []struct{ name, script string }{
	{"certificates that are mounted into the chroot stay the host's", `postconf -e smtp_tls_CApath=/etc/ssl/certs; fill >/dev/null
		rm -rf $q/etc/ssl/certs; mkdir -p $q/etc/ssl/certs; mount --bind /etc/ssl/certs $q/etc/ssl/certs; before=$(tree /etc/ssl)
		systemctl restart postfix; postfix check; postfix-maint chroot off >/dev/null; postfix-maint chroot on >/dev/null
		[ "$before" = "$(tree /etc/ssl)" ]; umount $q/etc/ssl/certs`},
	{"a file that few may read stays so", `install -m 600 /dev/null /etc/key; install -m 640 -g mail /dev/null /etc/key2
		echo 'chroot_extra_files="etc/key etc/key2"' > /etc/default/postfix; fill >/dev/null
		[ "$(stat -c '%a %U %G' $q/etc/key $q/etc/key2)" = "600 root root
640 root mail" ]`},
	{"what cannot be copied does not keep Postfix from starting", `ln -s gone.pem /etc/ssl/certs/12345678.0; ln -s loop /etc/loop
		echo 'chroot_extra_files="etc/gone etc/loop"' > /etc/default/postfix; systemctl restart postfix; systemctl is-active postfix@-
		rm /etc/default/postfix /etc/ssl/certs/12345678.0 /etc/loop; fill >/dev/null`},
	{"a start does not touch certificates that are right", `before=$(stat -c '%i %z' $q/etc/ssl/certs $q/etc/ssl/certs/*); systemctl restart postfix
		[ "$before" = "$(stat -c '%i %z' $q/etc/ssl/certs $q/etc/ssl/certs/*)" ]; [ "$(ls $q/etc/ssl/certs | wc -l)" -gt 100 ]`},
	{"restarts in a row do not end the watch of resolv.conf", `for _ in 1 2 3 4 5 6 7; do systemctl restart postfix-resolvconf.path postfix-takeover.path; done
		systemctl is-active postfix-resolvconf.path postfix-takeover.path`},
	{"the host's own certificate is nobody's authority", `[ -e /etc/ssl/certs/ssl-cert-snakeoil.pem ]; [ -z "$(ls $q/etc/ssl/certs | grep -v '^[0-9a-f]*\.[0-9]*$')" ]
		for f in $q/etc/ssl/certs/*; do ! cmp -s $f /etc/ssl/certs/ssl-cert-snakeoil.pem || [ -e /etc/ssl/certs/${f##*/} ]; done`},
	{"new certificates come without a restart", `before=$(daemons); openssl req -x509 -newkey rsa:2048 -nodes -keyout /root/k -out /usr/local/share/ca-certificates/t.crt -subj /CN=t -days 9 2>/dev/null
		name=$(openssl x509 -hash -noout -in /usr/local/share/ca-certificates/t.crt).0; update-ca-certificates >/dev/null 2>&1
		cmp /usr/local/share/ca-certificates/t.crt $q/etc/ssl/certs/$name; [ "$before" = "$(daemons)" ]`},
	{"a new library comes at the end of the dpkg run, without a restart", `sed -i 's/^hosts:.*/& test/' /etc/nsswitch.conf; before=$(daemons)
		deb 1 one; cmp /$lib/libnss_test.so.2 $q/$lib/libnss_test.so.2
		deb 2 two | grep -c 'postfix-maint: 1 files brought up to date'; cmp /$lib/libnss_test.so.2 $q/$lib/libnss_test.so.2
		[ "$before" = "$(daemons)" ]`},
	{"a dpkg run that brings nothing new is silent and writes nothing", `systemctl stop postfix-resolvconf.path; eventually still; before=$(tree $q/etc $q/usr; stat -c '%i %z' /var/lib/postfix-maint/chroot/-)
		case $(dpkg-trigger --by-package=libc-bin ldconfig; dpkg --triggers-only --pending 2>&1) in *postfix-maint:*) die it says something ;; esac; [ "$before" = "$(tree $q/etc $q/usr; stat -c '%i %z' /var/lib/postfix-maint/chroot/-)" ]
		systemctl start postfix-resolvconf.path`},
	{"a module comes with what it needs", `for f in $q/$lib/*.so*; do ldd $f | awk '/=> \//{print $3}'; done | sort -u | while read -r l; do
		case $l in */libc.so.6) continue ;; esac; [ -e "$q/$lib/${l##*/}" ] || die "$l is missing"; done; postfix-maint chroot check`},
	{"the time zone, hosts and ports follow, for a reload too", `echo TZif2 > /etc/zone; ln -sfn /etc/zone /etc/localtime
		eventually cmp -s /etc/localtime $q/etc/localtime
		echo '10.9.9.9 nine' >> /etc/hosts; echo 'nine 9/tcp' >> /etc/services; systemctl reload postfix
		cmp /etc/hosts $q/etc/hosts; cmp /etc/services $q/etc/services`},
	{"check says what is missing, stale and foreign", `systemctl stop postfix-resolvconf.path; eventually still; postfix-maint chroot check; echo own > $q/etc/own; rm $q/etc/hosts; echo x >> $q/etc/services
		refused postfix-maint chroot check > /root/out 2>/dev/null; grep -qx 'missing etc/hosts' /root/out; grep -qx 'stale etc/services' /root/out
		grep -qx 'not ours etc/own' /root/out; refused postfix-maint chroot check --json - > /root/out 2>/dev/null
		perl -MJSON::PP -0e '$r = decode_json(<>)->{instances}[0]; exit "@{$r->{missing}} @{$r->{stale}}" ne "etc/hosts etc/services"' /root/out
		postfix-maint chroot sync --dry-run | grep -q etc/hosts; [ ! -e $q/etc/hosts ]; postfix-maint chroot sync >/dev/null; postfix-maint chroot check
		systemctl start postfix-resolvconf.path`},
	{"the syslog daemon's file belongs to the chroot", `export conf=/etc/rsyslog.d/postfix-maint.conf; grep -qx "input(type=\"imuxsock\" Socket=\"$q/dev/log\")" $conf; cp -a $conf /root/conf
		refused grep -v '^#' /etc/rsyslog.d/postfix.conf; eventually test -S $q/dev/log; rm $conf; refused postfix-maint chroot check > /root/out 2>/dev/null
		[ "$(grep -v 'not ours' /root/out)" = "stale $conf" ]; refused postfix-maint chroot check --json > /root/out 2>/dev/null
		perl -MJSON::PP -0e '$r = decode_json(<>)->{instances}[0]; exit "@{$r->{syslog}}" ne $ENV{conf}' /root/out
		[ "$(postfix-maint chroot sync --dry-run)" = "would update $conf" ]; [ "$(postfix-maint chroot sync)" = "updated $conf" ]; cmp $conf /root/conf
		[ "$(postfix-maint chroot sync)" = 'nothing to do' ]; postfix-maint chroot check; systemctl stop rsyslog syslog.socket
		postfix-maint chroot check --json | perl -MJSON::PP -0e '$r = decode_json(<>)->{instances}[0]; exit !grep /not listen on/, @{$r->{warnings}}'
		systemctl start rsyslog; cp -a /etc/rsyslog.d/postfix.conf /root; echo "\$AddUnixListenSocket $q/dev/log" >> /etc/rsyslog.d/postfix.conf
		postfix-maint chroot sync; [ ! -e $conf ]; postfix-maint chroot check; [ "$(postfix-maint chroot sync)" = 'nothing to do' ]
		mv /root/postfix.conf /etc/rsyslog.d/; postfix-maint chroot sync; cmp $conf /root/conf; postfix-maint chroot check`},
	{"nothing in a directory of another account's is named to the syslog daemon, which is said, and is again once it is root's", `conf=/etc/rsyslog.d/postfix-maint.conf
		cd $q; find . -printf '%U:%G %p\n' > /root/owners; cd /; mkdir -m 700 /root/swap; (umask 077; echo own > /root/swap/log); chown -R postfix $q
		told() { journalctl --no-pager -u postfix@- | grep -q 'told to listen.*(chown root)'; }; systemctl restart postfix; eventually told; refused grep -r $q /etc/rsyslog.conf /etc/rsyslog.d
		systemctl restart rsyslog; eventually gone $q/dev/log; postfix-maint chroot sync 2>&1 >/dev/null | grep "\"$q\", which belongs to the account.*(chown root)"
		runuser -u postfix -- sh -c "mv $q/dev $q/d; ln -s /root/swap $q/dev"
		[ -z "$(postfix-maint chroot sync 2>/dev/null | grep rsyslog)" ]; systemctl reset-failed rsyslog; systemctl restart rsyslog
		[ "$(cat /root/swap/log; stat -c '%a %U' /root/swap/log)" = "own
600 root" ]; refused grep "$q/dev\|/root/swap" /proc/net/unix; postfix-maint chroot check 2>&1 | grep '(chown root)'
		rm $q/dev; mv $q/d $q/dev; cd $q; while read -r o p; do if [ -e "$p" ] || [ -L "$p" ]; then chown -h "$o" "$p"; fi; done < /root/owners; cd /; postfix-maint chroot sync
		cmp $conf /root/conf; eventually test -S $q/dev/log; logger -u $q/dev/log root is again; eventually grep -q 'root is again' /var/log/syslog; postfix-maint chroot check
		[ "$(postfix-maint chroot sync)" = 'nothing to do' ]`},
	{"on is on where the column is -, off is off", `cp /etc/postfix/master.cf /root/; postconf -e compatibility_level=2; postconf -F '*/*/chroot=-'
		systemctl restart postfix; eventually rooted pickup /; postfix-maint chroot status | grep -q '^chroot *off'
		postfix-maint chroot on --dry-run | grep -q '^+pickup'; rooted pickup /; postfix-maint chroot on; eventually rooted pickup $q
		eventually rooted qmgr /; [ -e $q/etc/resolv.conf ]; [ "$(postfix-maint chroot on)" = 'nothing to do' ]
		postconf -F | grep -E '^(local|virtual|proxymap|proxywrite|postlog)/.*/chroot = y' && die never chrooted; postconf -F pickup/unix/chroot`},
	{"the primary queue directory is elsewhere", `systemctl reset-failed rsyslog; postfix-maint chroot sync >/dev/null; systemctl stop postfix; mv $q /srv/queue; postconf -e queue_directory=/srv/queue
		systemctl start postfix; eventually rooted pickup /srv/queue; [ ! -e $q/etc ]; postfix-maint chroot sync >/dev/null; postfix-maint chroot check
		cp /etc/resolv.conf /root/; echo 'nameserver 192.0.2.1' > /etc/resolv.conf; eventually cmp -s /etc/resolv.conf /srv/queue/etc/resolv.conf
		systemctl stop postfix-resolvconf.path; eventually still; echo 'nameserver 192.0.2.2' > /etc/resolv.conf; /etc/resolvconf/update-libc.d/postfix
		cmp /etc/resolv.conf /srv/queue/etc/resolv.conf; cp /root/resolv.conf /etc/; systemctl reset-failed rsyslog; systemctl restart rsyslog; : > /var/log/mail.log
		echo x | sendmail root; eventually grep -q 'postfix/pickup.*from=<root>' /var/log/mail.log; [ ! -e $q/etc ]
		systemctl stop postfix; rm -rf $q; mv /srv/queue $q; postconf -X queue_directory; systemctl start postfix; postfix-maint chroot sync >/dev/null`},
	{"off leaves no files of ours, and stays off over an upgrade", `postfix-maint chroot off; eventually rooted pickup /; [ -e $q/etc/own ]
		refused grep -r $q /etc/rsyslog.conf /etc/rsyslog.d; eventually gone $q/dev/log
		[ "$(find $q/etc $q/usr $q/lib $q/lib64 -type f 2>/dev/null)" = $q/etc/own ] || die "$(find $q/etc $q/usr $q/lib -type f)"
		apt-get install -y --reinstall postfix >/dev/null 2>&1; dpkg-reconfigure -f noninteractive postfix; systemctl restart postfix
		postfix-maint chroot status | grep -q '^chroot *off'; [ "$(find $q/etc $q/usr -type f 2>/dev/null)" = $q/etc/own ]
		cp /root/master.cf /etc/postfix/; systemctl restart postfix; [ -e $q/etc/resolv.conf ]; postfix-maint chroot sync; eventually test -S $q/dev/log`},
	{"a hostile queue directory", `rm -rf $q/etc $q/usr $q/lib $q/dev; mkdir -p $q/etc /root/lib $q/$lib; echo victim > /root/victim
		ln -s /etc/shadow $q/etc/resolv.conf; mkfifo $q/etc/hosts; ln /root/victim $q/etc/services; mkdir -p $q/etc/nsswitch.conf/x
		mknod $q/etc/localtime c 1 5; ln -s /root/victim $q/$lib/libgcc_s.so.1; ln -s /dev $q/dev; ln -s /root/lib $q/lib; ln -s /etc/ssl $q/etc/ssl
		mkfifo $q/etc/host.conf; ln -s . $q/usr/loop
		before=$(tree /etc/[!r]* /etc/r[!s]* /root /lib64); dev=$(ls -l /dev | md5sum)
		timeout 20 /usr/libexec/postfix-maint/configure-instance -; timeout 20 /usr/libexec/postfix-maint/configure-instance --resolver
		timeout 20 postfix-maint chroot check >/dev/null 2>&1 || [ $? -eq 1 ]
		[ ! -e /etc/rsyslog.d/postfix-maint.conf ]; [ "$before" = "$(tree /etc/[!r]* /etc/r[!s]* /root /lib64)" ] || die the host was changed; [ "$dev" = "$(ls -l /dev | md5sum)" ]; [ "$(cat /root/victim)" = victim ]
		cmp /etc/resolv.conf $q/etc/resolv.conf; cmp /etc/hosts $q/etc/hosts; cmp /etc/services $q/etc/services; [ ! -L $q/etc/resolv.conf ]
		[ -z "$(find $q -xdev -type f -exec grep -l '^root:[^x]' {} +)" ]
		timeout 60 systemctl restart postfix; timeout 60 postfix-maint chroot off >/dev/null 2>&1; [ "$(cat /root/victim)" = victim ]
		[ -e /etc/ssl/certs/ca-certificates.crt ]; rm -rf $q/etc $q/usr $q/lib $q/dev; cp /root/master.cf /etc/postfix/; systemctl restart postfix; postfix-maint chroot sync`},
	{"nobody's lock keeps nothing from starting", `fill >/dev/null; for f in $q $q/etc $q/etc/hosts $q/pid; do runuser -u nobody -- flock $f sleep 300 & done
		refused runuser -u nobody -- flock -n /run/postfix-maint true; held() { ! runuser -u nobody -- flock -n $q true; }; eventually held; echo '10.9.9.8 eight' >> /etc/hosts
		timeout 25 /usr/libexec/postfix-maint/configure-instance --resolver; cmp /etc/hosts $q/etc/hosts; systemctl restart postfix; systemctl is-active postfix@-
		timeout 25 postfix-maint chroot check; kill $(jobs -p)`},
	{"nobody's settings are nobody's, and no byte of root's keeps Postfix from starting", `d=/etc/default/postfix; echo 'chroot_extra_files=/etc/shadow' > $d
		chown nobody $d; fill 2>&1 | grep -q "$d"; [ ! -e $q/etc/shadow ]; chown root $d; chmod 666 $d; fill >/dev/null 2>&1; [ ! -e $q/etc/shadow ]; chmod 644 $d
		echo '. /etc/shadow' > $d; fill > /root/out 2>&1; grep -q /etc/shadow:1: /root/out; if cut -d: -f1,2 /etc/shadow | grep -qwFf - /root/out; then die printed; fi
		printf 'x=1; # gr\374n\n; \344\n>/dev/null\n' > $d; systemctl restart postfix; systemctl is-active postfix@-; rm $d; fill >/dev/null`},
	{"a queue directory of the host's is refused before a byte is written", `cp -a /etc/postfix/main.cf /root/; mkdir -p /srv/bound; mount --bind / /srv/bound
		for d in / /etc /var /var/spool /etc/postfix /usr /srv/bound; do postconf -e queue_directory=$d; before=$(tree /etc /root /usr/lib/postfix; ls -a /)
		for c in 'chroot sync' 'chroot off' 'chroot on' 'chroot check'; do refused postfix-maint $c > /root/said 2>&1; grep -q "cannot use \"$d\"" /root/said; rm /root/said; done
		refused fill 2>/dev/null; refused /usr/libexec/postfix-maint/configure-instance --resolver 2>/dev/null; /etc/resolvconf/update-libc.d/postfix
		[ "$before" = "$(tree /etc /root /usr/lib/postfix; ls -a /)" ] || die "$d: the host was changed"; done; umount /srv/bound; cp -a /root/main.cf /etc/postfix/; fill >/dev/null`},
	{"an account postfix that owns the queue directory leads root nowhere", `cp -a $q /root/q; chown -R postfix: $q; postfix-maint chroot sync >/dev/null 2>&1 || :; before=$(tree /etc/[!p]* /etc/p[!o]* /usr/lib /root/victim)
		runuser -u postfix -- sh -c "cd $q; rm -f etc/hosts etc/services etc/nsswitch.conf pid/master.pid; mkfifo etc/hosts pid/master.pid; ln -s /etc/shadow etc/services
		truncate -s 1T etc/nsswitch.conf; ln -s /etc .postfix-maint-tmp.etc.X; mkfifo .postfix-maint-tmp.usr.X; i=0; while [ \$i -lt 400 ]; do mkdir d && cd d; i=\$((i+1)); done"
		timeout 60 /usr/libexec/postfix-maint/configure-instance --resolver >/dev/null 2>&1 || [ $? = 1 ]; rm $q/pid/master.pid; cp /root/q/pid/master.pid $q/pid
		cd $q; runuser -u postfix -- perl -e 'while (1) { for (qw(etc usr)) { rename $_, "x$_"; symlink "/$_", $_; unlink $_; rename "x$_", $_; select undef, undef, undef, 0.001 } }' & cd /
		for c in sync check off on check; do timeout 60 postfix-maint chroot $c >/dev/null 2>&1 || [ $? = 1 ] || die $c; timeout 60 /usr/libexec/postfix-maint/configure-instance >/dev/null 2>&1 || [ $? = 1 ]; done
		pkill -u postfix perl; [ "$before" = "$(tree /etc/[!p]* /etc/p[!o]* /usr/lib /root/victim)" ] || die the host was changed; [ -z "$(find $q -type f -exec grep -l '^root:[^x]' {} +)" ]
		systemctl stop postfix; rm -rf $q; cp -a /root/q $q; cp /root/master.cf /etc/postfix/; systemctl start postfix; postfix-maint chroot sync >/dev/null; postfix-maint chroot check`},
	{"a removal leaves what is mounted in the chroot, and the administrator's files", `mkdir -p $q/dev/m $q/etc/m; mount --bind /etc/ssl $q/etc/m
		mount --bind /etc/pam.d $q/dev/m; echo own > $q/etc/own; before=$(tree /etc/ssl /etc/pam.d)
		apt-get remove -y postfix >/dev/null 2>&1; [ "$before" = "$(tree /etc/ssl /etc/pam.d)" ]; [ "$(cat $q/etc/own)" = own ]; [ ! -e $q/etc/resolv.conf ]
		apt-get purge -y postfix >/dev/null 2>&1; [ -e /etc/ssl/certs/ca-certificates.crt ]`},
}

// TestChrootCare goes through the failures that Debian's layer has with the chroot.
func TestChrootCare(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := boot(ctx, t, "mx", installed(ctx, t, release, product.Ours))
		for _, c := range care {
			if out, err := h.Sh(ctx, careTools+c.script); err != nil {
				t.Errorf("%s: %v\n%s", c.name, errors.Unwrap(err), out)
			}
		}
	})
}

// TestPostfixStart fills the chroot without any service manager, as in a container (C15): post-install, which "postfix start" runs, has a
// call of our program, on Debian 12 one that adoption puts there.
func TestPostfixStart(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := newHost(ctx, t, "mail", begin(ctx, t, release, nothing))
		sh(ctx, t, h, ". /usr/local/lib/life\n"+sceneWords+layerWords[product.Ours]+forbid+`
anew 'Internet Site' mail.example.test; install_it; set -e; q=/var/spool/postfix; rm -rf $q/etc $q/usr $q/lib; postfix start
for f in services hosts resolv.conf nsswitch.conf; do cmp /etc/$f $q/etc/$f; done; ls $q/usr/lib/*/libgcc_s.so.1 $q/lib/*/libgcc_s.so.1 2>/dev/null | grep libgcc; postfix stop`)
	})
}
