//go:build integration

package integration

// scenes are the failures that a host shows. What the ids mean stands in failures.md.
var scenes = []scene{
	{
		name: "six edits by hand, then every value confirmed", start: ours,
		script: `
edits; keep; confirm
holds edit-relayhost 'has relayhost [relay.example.test]:587'
holds edit-mailbox_size_limit 'has mailbox_size_limit 99000000'
holds edit-recipient_delimiter 'has recipient_delimiter _'
holds edit-inet_interfaces 'has inet_interfaces 127.0.0.1'
holds edit-mydestination '[ "$(postconf -hx mydestination)" = "$(postconf -hx myhostname), mail.example.test, localhost" ]'
holds edit-mynetworks 'has mynetworks "127.0.0.0/8, 10.9.0.0/16"'
holds D01 kept
holds D03 'postconf -h mydestination | grep myhostname'
holds D02 '! listens_to_all'
holds D06 'has relayhost [relay.example.test]:587'
cp /tmp/keep/postfix/main.cf /etc/postfix/main.cf; dpkg -i "$upgrade"; confirm
holds D01-upgrade kept
`,
		fails: "edit-relayhost edit-mailbox_size_limit edit-recipient_delimiter edit-inet_interfaces D01 D02 D03 D06 D01-upgrade",
	},
	{
		name: "a configuration of one's own, reconfigured", start: ours,
		script: `
postconf -X mynetworks; postconf -e mynetworks_style=subnet 'mailbox_command=/usr/local/bin/deliver "$USER"'; systemctl reload postfix; confirm
holds D04 '! postconf -n mynetworks 2>/dev/null | grep .'
answer procmail false; $reconfigure
holds D07 'postconf -h mailbox_command | grep deliver'
printf 'compatibility_level = 3.6\nmydestination = here.test, there.test\nrelayhost = [up.test]\nmyhostname = mail.here.test\n' > /etc/postfix/main.cf
cp /etc/postfix/main.cf /tmp/ansible.cf; confirm
holds D18 'cmp /tmp/ansible.cf /etc/postfix/main.cf'
chgrp mail /etc/postfix/main.cf; chmod 640 /etc/postfix/main.cf; mkdir -p /srv/cf
answer recipient_delim =; $reconfigure
holds P03 'has recipient_delimiter ='
confirm
holds M05 '[ "$(stat -c "%a %U:%G" /etc/postfix/main.cf)" = "640 root:mail" ]'
mv /etc/postfix/main.cf /srv/cf/; ln -s /srv/cf/main.cf /etc/postfix/main.cf; dpkg -i "$upgrade"
answer main_mailer_type 'Local only'; $reconfigure; confirm
holds M06 '[ -L /etc/postfix/main.cf ]'
`,
		fails: "D04 D07 D18 M05 P03 M06",
	},
	{
		name: "a security update", start: ours,
		script: `
dpkg -i /debs/d1/postfix-pcre.deb; await greets
postconf -MX scache/unix; sed -i /^root/d /etc/aliases; newaliases
dpkg-statoverride --remove /usr/sbin/postdrop 2>/dev/null; dpkg-statoverride --update --add root root 0755 /usr/sbin/postdrop
mkdir -p /etc/systemd/system/postfix.service.d; printf '[Unit]\n' > /etc/systemd/system/postfix.service.d/mine.conf
dpkg -i "$broken"; sleep 1
holds U04 'await greets'
dpkg --unpack "$upgrade" /debs/d2/postfix-pcre.deb
holds U03 greets
holds U01 'grep -q ^pcre /etc/postfix/dynamicmaps.cf /usr/share/postfix/dynamicmaps.cf.d/* 2>/dev/null'
dpkg --configure -a
holds M10 '! postconf -M scache/unix | grep .'
holds A05 '! grep -i ^root /etc/aliases'
holds U06 '[ "$(dpkg-statoverride --list /usr/sbin/postdrop)" = "root root 755 /usr/sbin/postdrop" ]'
dpkg-statoverride --remove /usr/sbin/postdrop; dpkg-statoverride --update --add root postdrop 02555 /usr/sbin/postdrop
postconf -e alias_maps= alias_database=; rm -f /etc/aliases*; dpkg -i "$upgrade"
holds A06 '[ ! -e /etc/aliases ]'
printf '#!/bin/sh\ntouch /tmp/foreign; exec /usr/sbin/postfix "$@"\n' > /usr/local/sbin/postfix; chmod +x /usr/local/sbin/postfix
systemctl restart postfix
holds S13 '[ ! -e /tmp/foreign ]'
rm -f /usr/local/sbin/postfix; await pgrep -u postfix -x qmgr; echo 'this is no setting' >> /etc/postfix/main.cf; master > /tmp/master; dpkg -i "$upgrade" > /tmp/said 2>&1; sleep 1
holds S11 'same_master && pgrep -x qmgr && grep -i warning.*main.cf /tmp/said'
sed -i '$d' /etc/postfix/main.cf; systemctl restart postfix; postconf -e myorigin=/etc/mailname; rm -f /etc/mailname; dpkg -i "$upgrade"; systemctl restart postfix; sleep 1
holds M09 'await greets'
`,
		fails: "U04/bookworm U03/bookworm U01/bookworm M10/bookworm A05/trixie U06/bookworm A06 S13/trixie S11 M09",
	},
	{
		name: "removal and purge", start: ours,
		script: `
mkdir -p /var/spool/postfix/etc/mnt /srv/etc /var/spool/postfix/var/run/mysqld /srv/sock
echo mine > /var/spool/postfix/etc/mine; echo data > /srv/etc/data; echo data > /srv/sock/data
echo key > /etc/postfix/dkim.key; mkdir -p /etc/systemd/system/postfix.service.d; printf '[Unit]\n' > /etc/systemd/system/postfix.service.d/mine.conf
postconf -e default_transport=retry:later; systemctl reload postfix; printf 'Subject: x\n\nx\n' | timeout 20 sendmail x@elsewhere.test
deferred() { find /var/spool/postfix/deferred -type f | grep .; }; await deferred
mount --bind /srv/etc /var/spool/postfix/etc/mnt; dpkg -r postfix
holds C02 '[ -e /srv/etc/data ] && dpkg -s postfix | grep "^Status: deinstall ok config-files"'
holds C03 '[ -e /var/spool/postfix/etc/mine ]'
umount /var/spool/postfix/etc/mnt; dpkg -r postfix
holds G06 '! grep postdrop /var/lib/dpkg/statoverride'
mount --bind /srv/sock /var/spool/postfix/var/run/mysqld; dpkg -P postfix
holds G05 '[ -e /srv/sock/data ]'
umount /var/spool/postfix/var/run/mysqld; dpkg -P postfix
holds G01 deferred
holds G02 '[ "$(cat /etc/postfix/dkim.key)" = key ]'
holds G03 'getent passwd postfix'
holds G04 '[ -e /etc/systemd/system/postfix.service.d/mine.conf ]'
`,
		fails: "C02 C03 G05 G01 G02 G03/bookworm G04/bookworm G06/trixie",
	},
	{
		name: "host certificates mounted in the chroot", start: ours,
		script: `
mkdir -p /var/spool/postfix/etc/ssl/certs; mount --bind /etc/ssl/certs /var/spool/postfix/etc/ssl/certs; ls /etc/ssl/certs | wc -l > /tmp/n
systemctl restart postfix; postfix check; sleep 0.5
holds C01 '[ "$(ls /etc/ssl/certs | wc -l)" = "$(cat /tmp/n)" ]'
`,
		fails: "C01",
	},
	{
		name: "preseeded installations", start: nothing, off: true,
		script: forbid + `

anew 'Internet Site' mail.example.test; answer destinations 'corp.example, localhost'; install_it
holds P01 'postconf -hx mydestination | grep corp.example'
anew "'No configuration'" mail.example.test; install_it
holds P02 '! listens_to_all'
anew 'Satellite system' mail.example.test; install_it
holds P04 '! postconf -h relayhost | grep smtp'
anew 'Satellite system' corp.example; answer relayhost '[relay.example.test]'; install_it
holds D14 '! postconf -hx mydestination | grep corp.example'
anew 'Internet Site' box.example.test; install_it
holds D12 '[ -z "$(postconf -h mydestination | tr -d " " | tr , "\n" | sort | uniq -d)" ] && ! postconf -h mydestination | grep -E ", *,"'
holds D10 'grep -q "^root: *anna" /etc/aliases'
anew 'Internet Site' box.example.test; hostname box.example.test; install_it
holds M04 '! grep ^myhostname /etc/postfix/main.cf'
anew '' ''; install_it > /tmp/said 2>&1
holds D17 '! listens_to_all'
holds D16 'dpkg -s postfix | grep -q "^Status: install ok installed"'
anew '' ''; mkdir -p /etc/postfix; printf 'compatibility_level = 3.6\nalias_maps = hash:/etc/aliases\nalias_database = hash:/etc/aliases\n' > /etc/postfix/main.cf; install_it
holds P06 '[ -s /etc/aliases.db ]'
anew '' ''; mkdir -p /etc/postfix; printf 'compatibility_level = 3.6\nalias_maps = nosuch:/etc/aliases\nalias_database = nosuch:/etc/aliases\n' > /etc/postfix/main.cf; install_it
holds A01 'dpkg -s postfix | grep -q "^Status: install ok installed"'
anew 'Internet Site' mail.example.test; printf 'postmaster: anna\nwww: bert' > /etc/aliases; answer root_address anna; install_it
holds A03 'grep -qx "www: bert" /etc/aliases'
anew 'Internet Site' mail.example.test; printf 'ROOT : bert\n' > /etc/aliases; answer root_address anna; install_it
holds A04 '[ "$(grep -ci ^root /etc/aliases)" = 1 ]'
anew 'Internet Site' mail.example.test; timeout 100 sh -c "$(declare -f install_ours install_it); install_it"; printf 'Subject: early\n\nx\n' | timeout 25 sendmail anna; echo $? > /tmp/rc
holds K02 '[ "$(cat /tmp/rc)" = 0 ] && ls /var/spool/postfix/maildrop/*'
`,
		fails: "P01 P02 P04 D14 D12 M04 D10 D17 P06/trixie A01/bookworm K02/trixie A03 A04",
	},
	{
		name: "host names", start: nothing, off: true,
		script: forbid + `
try() { install_it; dpkg --audit | grep . && return 1; postfix check; newaliases; }
anew 'Internet Site' ''; printf 'search .\n' > /etc/resolv.conf; printf '127.0.0.1 localhost\n127.0.1.1 box\n' > /etc/hosts
holds M01 try
anew 'Internet Site' ''; hostname 12345; printf '127.0.0.1 localhost\n' > /etc/hosts
holds M02 try
anew 'Internet Site' ''; printf '127.0.0.1 localhost\n127.0.1.1 box.. box\n' > /etc/hosts
holds M02-dots try
`,
		fails: "M02 M02-dots",
	},
	{
		name: "build roots", start: nothing, off: true,
		script: forbid + `
mkdir /bare; mount --bind / /bare
anew 'Internet Site' mail.example.test; chroot /bare bash -c "$(declare -f install_ours install_it); install_it"
holds K01 '! [ "$(postconf -h inet_protocols)" = "" ]'
umount /bare
anew 'Internet Site' mail.example.test; strace -f -qq -o /dev/null -e trace=socket -e inject=socket:error=EAFNOSUPPORT bash -c "$(declare -f install_ours install_it); install_it"
holds K03 'dpkg -s postfix | grep -q "^Status: install ok installed"'
`,
		fails: "K01",
	},
	{
		name: "an image", start: nothing, off: true,
		script: `
mkdir /tmp/up /tmp/work /tree; mount -t overlay tree -o lowerdir=/,upperdir=/tmp/up,workdir=/tmp/work /tree
alias dpkg=x; dpkg() { command dpkg --root=/tree --force-script-chrootless "$@"; }; install_it; unset -f dpkg
holds K04 '[ -e /tree/etc/postfix/main.cf ] && [ ! -e /etc/postfix/main.cf ]'
`,
		fails: "K04",
	},
}
