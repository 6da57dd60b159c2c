//go:build integration

package integration

import (
	"context"
	"strings"
	"testing"

	"postfix-maint/integration/product"
)

// doctorBroken breaks one thing after the other: each is found, at its place, and nothing else; what is mended is healthy again.
const doctorBroken = tableWords + `
cd /etc/postfix; m=/etc/postfix/main.cf
doctor() { postfix-maint doctor --json > /root/said 2> /root/errs; rc=$?; }
healthy() {
  out=$(postfix-maint doctor 2>&1); rc=$?
  case "$rc $out" in "0 healthy: nothing found by "*) [ $(echo "$out" | wc -l) = 1 ] && return ;; esac
  echo "$1: $rc: $out"
}
lines() { wc -l < $1; }
# broken ID FILE LINE: what doctor says now; "-" for no line
broken() {
  doctor
  [ $rc = 1 ] && [ $(grep -c '"id":' /root/said) = 1 ] && grep -q "\"id\": \"$1\"" /root/said && grep -q "\"file\": \"$2\"" /root/said || { echo "$1: $rc"; cat /root/said /root/errs; }
  case $3 in -) ! grep '"line":' /root/said ;; *) grep -q "\"line\": $3,\?$" /root/said || { echo "$1: not line $3"; grep '"line":' /root/said; } ;; esac
}
# setting ID LINE-OF-MAIN: the setting is wrong, and nothing runs with it
setting() { s=$1; echo "$2" >> main.cf; touch -d '1 minute ago' main.cf; broken $s $m $(lines main.cf); cp -a /root/save main.cf; }
postfix-maint doctor | cat; systemctl is-active postfix
touch -d '1 minute ago' main.cf; systemctl reload postfix; cp -a main.cf /root/save; healthy fresh
setting parameter-unused 'virtual_alias_mapz = x'
setting table-missing 'transport_maps = regexp:/etc/postfix/none'
echo '/a/ b' > virtual; setting table-type-missing 'virtual_alias_maps = pcre:/etc/postfix/virtual'
setting postfix-refuses 'message_size_limit = many'
setting main-unreadable 'nonsense'
setting login-without-tls 'smtpd_sasl_auth_enable = yes'
setting parameter-twice 'myhostname = again.example.test'
sed -i 's/^myhostname = .*/myhostname = box/' main.cf; touch -d '1 minute ago' main.cf; broken name-not-full $m $(grep -n ^myhostname main.cf | cut -d: -f1); cp -a /root/save main.cf
setting file-missing 'smtpd_tls_eccert_file = /etc/ssl/none.pem'
setting outdated-setting 'milter_protocol = 2'
echo 'a b' > virtual; setting index-missing "virtual_alias_maps = $type:/etc/postfix/virtual"
postmap $type:virtual; touch -d '1 hour ago' virtual.$suffix; setting index-old "virtual_alias_maps = $type:/etc/postfix/virtual"; rm virtual virtual.$suffix
echo nonsense >> master.cf; broken master-unreadable /etc/postfix/master.cf $(lines master.cf); sed -i '$d' master.cf
chmod 666 master.cf; broken writable-by-others /etc/postfix/master.cf -; chmod 644 master.cf
: > main.cf.dpkg-dist; broken conffile-question $m.dpkg-dist -; rm main.cf.dpkg-dist
echo 'root: nobodythere' >> /etc/aliases; cp /etc/aliases /root/aliases; newaliases; sed -i '/^root: [^n]/d' /etc/aliases; newaliases; broken root-mail /etc/aliases $(grep -n ^root: /etc/aliases | cut -d: -f1); sed -i '/^root: nobodythere/d' /etc/aliases; newaliases
chown root /var/spool/postfix/active; broken queue-owner /var/spool/postfix -; chown postfix /var/spool/postfix/active
: > /var/spool/postfix/corrupt/1; broken corrupt-mail /var/spool/postfix/corrupt -; rm /var/spool/postfix/corrupt/1
echo x > /var/spool/postfix/etc/services; broken chroot-stale /var/spool/postfix -; postfix-maint chroot sync > /dev/null
healthy mended
sleep 2; touch main.cf; broken not-reloaded $m -; systemctl reload postfix
systemctl stop postfix@-; doctor; grep -q '"id": "not-running"' /root/said && [ $rc = 1 ] || cat /root/said
postfix-maint doctor --gate > /dev/null || echo "a stopped instance has a wrong configuration"
systemctl start postfix@-; healthy started
ip addr add 127.0.0.5/8 dev lo; postconf -e inet_interfaces=127.0.0.1; systemctl restart postfix@-
postfix-maint instance create out --set inet_interfaces=127.0.0.5 --set master_service_disable= > /dev/null 2>&1; healthy "a second instance"
postfix-maint instance remove out > /dev/null 2>&1; healthy "removed again"
su -s /bin/sh nobody -c 'postfix-maint doctor' 2> /dev/null; [ $? = 2 ] || echo "an ordinary user sees all"
postfix-maint status > /root/screen; grep -q '^  state    running since ' /root/screen && grep -q '^  listens  .*:25' /root/screen && ! grep -q problem /root/screen || cat /root/screen
su -s /bin/sh nobody -c 'postfix-maint status' | grep -q '^  unseen   the queues' || echo "an ordinary user is not told what he cannot see"
`

// doctorMended goes on where that ends: each thing that has a repair is broken, mended and healthy, and main.cf differs by the repair alone.
const doctorMended = tableWords + `
cd /etc/postfix; m=/etc/postfix/main.cf
loaded() { touch -d '1 minute ago' main.cf; systemctl reload postfix@-; }
# mends ID FIX DIFF: what is broken is found, told and mended; DIFF is what changes in main.cf
mends() {
  cp main.cf /root/before; cp master.cf /root/master
  postfix-maint doctor $2 --dry-run --json > /root/said 2> /root/errs
  [ $? = 1 ] && [ $(grep -c '"id":' /root/said) = 1 ] && grep -q "\"id\": \"$1\"" /root/said && grep -q '"repairs": ' /root/said && cmp -s main.cf /root/before && ! grep -q '"fixed": true' /root/said || { echo "$1: dry run"; cat /root/said; }
  postfix-maint doctor $2 --detailed-exitcode > /root/said 2> /root/errs; rc=$?
  [ $rc = 3 ] && grep -q "^mended: $1: " /root/said && grep -q '^healthy: nothing found' /root/said || { echo "$1: $rc"; cat /root/said /root/errs; postfix-maint doctor; }
  changed=$(diff /root/before main.cf | grep '^[<>]'); [ "$changed" = "$3" ] && cmp -s master.cf /root/master || { echo "$1: main.cf:"; echo "$changed"; }
}
cp main.cf /root/start
echo 'a b' > virtual; echo "virtual_alias_maps = $type:/etc/postfix/virtual" >> main.cf; loaded; mends index-missing --fix ""; postmap -q a $type:virtual | grep -qx b || echo "no index"
echo 'c d' >> virtual; touch -d '1 hour ago' virtual.$suffix; mends index-old --fix ""; postmap -q c $type:virtual | grep -qx d || echo "an old index"
postfix-maint history | grep -A1 'doctor --fix' | grep -q virtual.$suffix || { echo "no history"; postfix-maint history; }
cp /etc/aliases /root/aliases; echo 'x: postmaster' >> /etc/aliases; touch -d '1 hour ago' /etc/aliases.$suffix; mends index-old --fix=index-old ""; postalias -q x $type:/etc/aliases | grep -qx postmaster || echo "old aliases"
cp /root/aliases /etc/aliases; newaliases; rm virtual virtual.$suffix; cp /root/start main.cf; loaded
echo x > /var/spool/postfix/etc/services; mends chroot-stale --fix ""
chown root /var/spool/postfix/active; mends queue-owner --fix ""; [ "$(stat -c %U /var/spool/postfix/active)" = postfix ] || echo "active is root's"
chmod g-s /usr/sbin/postdrop; mends setgid-lost --fix=setgid-lost ""; [ "$(stat -c %a.%G /usr/sbin/postdrop)" = 2555.postdrop ] || ls -l /usr/sbin/postdrop
p=/var/spool/postfix/public; was=$(stat -c %a.%G $p); chgrp root $p; chmod g-x $p; mends queue-group --fix=queue-group ""; [ "$(stat -c %a.%G $p)" = $was ] || ls -ld $p
sed -i '1i # kept\nmydestination = first' main.cf; loaded; mends parameter-twice --fix=parameter-twice "< mydestination = first"
grep -q '^undo with: postfix-maint undo' /root/said && postfix-maint undo > /root/said 2>&1 && cmp main.cf /root/before || cat /root/said
cp /root/start main.cf; echo 'milter_protocol = 2' >> main.cf; cp main.cf /root/wrong; loaded; postfix-maint doctor --fix > /root/said 2>&1; [ $? = 1 ] && ! grep mended /root/said && cmp main.cf /root/wrong || cat /root/said; mends outdated-setting --fix=outdated-setting "< milter_protocol = 2"
echo 'smtpd_sasl_auth_enable = yes' >> main.cf; loaded; mends login-without-tls --fix=login-without-tls "> smtpd_tls_auth_only = yes"; cp /root/start main.cf; loaded
chmod 666 master.cf; mends writable-by-others --fix=writable-by-others ""; [ $(stat -c %a master.cf) = 664 ] || ls -l master.cf
key=$(postconf -hx smtpd_tls_key_file); chmod o+r $key; mends secret-readable --fix=secret-readable ""; [ $(stat -c %a $key) = 640 ] || ls -l $key
sleep 2; touch main.cf; touch -d '1 hour ago' /var/lib/postfix-maint/instances; mends not-reloaded --fix=not-reloaded ""
systemctl stop postfix@-; mends not-running --fix=not-running ""; systemctl is-active -q postfix@- || echo "not started"
cp -a master.cf /root/services; echo '2525 inet n - y - - smtpd' >> master.cf; mends not-listening --fix=not-listening ""; cp -a /root/services master.cf; systemctl restart postfix@-
d=/run/systemd/system/postfix@-.service.d; mkdir -p $d; echo '[Service]' > $d/x.conf; systemctl daemon-reload; touch -d '1 hour' $d/x.conf; mends units-changed --fix=units-changed ""
rm -r /run/systemd/system/postfix@-.service.d; systemctl daemon-reload
mkdir -p /run/systemd/system/postfix@-.service.d; printf '[Service]\nRestart=no\n' > /run/systemd/system/postfix@-.service.d/x.conf; systemctl daemon-reload; systemctl kill -s KILL postfix@-
for i in $(seq 100); do systemctl is-failed -q postfix@- && break; sleep 0.3; done; mends unit-failed --fix=unit-failed ""
rm -r /run/systemd/system/postfix@-.service.d; systemctl daemon-reload
echo '{' > /var/lib/postfix-maint/transaction.json; postfix-maint doctor 2> /dev/null | grep -q '(work-interrupted)' || echo "work is not found"; postfix-maint doctor --fix > /root/said 2>&1 && [ ! -e /var/lib/postfix-maint/transaction.json ] || cat /root/said
postfix-maint doctor --fix --detailed-exitcode > /root/said 2>&1 || cat /root/said
postfix-maint doctor --fix=nonsense 2> /root/errs; [ $? = 2 ] && grep -q 'index-old' /root/errs || cat /root/errs
su -s /bin/sh nobody -c 'postfix-maint doctor --fix' 2> /dev/null && echo "anybody may mend"
postfix-maint doctor | grep -v '^healthy: nothing'
cp /var/spool/postfix/etc/resolv.conf /root/resolv.conf; echo 'nameserver 127.0.0.1' > /var/spool/postfix/etc/resolv.conf; echo 'relayhost = [127.0.0.1]:1' >> main.cf; loaded
postfix-maint doctor --online --json > /root/said 2> /root/errs; [ $? = 1 ] && grep -q '"id": "resolvers-silent"' /root/said && grep -q '"id": "relay-fails"' /root/said && grep -q "\"line\": $(grep -c '' main.cf)," /root/said || cat /root/said /root/errs
cp /root/resolv.conf /var/spool/postfix/etc/resolv.conf; cp /root/start main.cf; loaded; postfix-maint doctor --gate --online 2> /dev/null; [ $? = 2 ] || echo "the gate asks others"
true
`

// TestDoctor does that, and looks at the screen that status shows. The host keeps the name with
// which it was installed: another one is a finding.
func TestDoctor(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := boot(ctx, t, "installed-"+release+"-ours", installed(ctx, t, release, product.Ours))
		out, err := h.Run(ctx, "bash", "-uc", doctorBroken)
		if want := "active\n"; err != nil || !strings.HasPrefix(out, "healthy: nothing found by ") || !strings.HasSuffix(out, want) || strings.Count(out, "\n") != 2 {
			t.Errorf("%v: %s", err, out)
		}
		if out, err := h.Run(ctx, "bash", "-uc", doctorMended); err != nil || out != "" {
			t.Errorf("%v: %s", err, out)
		}
	})
}
