//go:build integration

package integration

// earlier makes a package as our layer was once: its conffile named the primary's socket to rsyslogd.
const earlier = `ours=/etc/rsyslog.d/postfix-maint.conf; theirs=/etc/rsyslog.d/postfix.conf
	dpkg-deb -R /debs/o1/postfix.deb /tmp/earlier; echo 'input(type="imuxsock" Socket="/var/spool/postfix/dev/log")' > /tmp/earlier$theirs
	dpkg-deb --root-owner-group -Znone -b /tmp/earlier /tmp/earlier.deb > /dev/null; rm -r /tmp/earlier
	`

// upgrades are new versions and old ones, of our layer and Debian's.
var upgrades = []life{
	{
		name: "the same version again", start: ours, end: works,
		do: "edits; keep; dpkg -i /debs/o1/postfix.deb", check: "kept",
	},
	{
		name: "the next version of the layer", start: ours, end: works,
		do: "edits; keep; dpkg -i /debs/o1b/postfix.deb", check: "kept",
	},
	{
		name: "the version before", start: ours, end: works,
		do: "dpkg -i /debs/o1b/postfix.deb; edits; keep; dpkg -i /debs/o1/postfix.deb", check: "kept",
	},
	{
		name: "postfix-maint alone: the daemon stays", start: ours, end: works,
		do: "keep; master > /tmp/master; dpkg -i /debs/m2/postfix-maint.deb", check: "kept\nsame_master",
	},
	{
		name: "a security update with maps in use", start: ours, end: works,
		do: `dpkg -i /debs/d1/postfix-pcre.deb /debs/d1/postfix-lmdb.deb
			printf 'third third.so dict_third_open\n' >> $(third)
			printf '/^x@y$/ bert\n' > /etc/postfix/virtual; postconf -e virtual_alias_maps=pcre:/etc/postfix/virtual; systemctl reload postfix
			keep; dpkg -i /debs/o2/postfix.deb /debs/d2/postfix-pcre.deb /debs/d2/postfix-lmdb.deb`,
		never: "Taking map type",
		check: `kept
			postconf -m | grep -x pcre
			grep -q ^third $(third)
			[ "$(registered | grep -c ^pcre)" = 1 ]
			printf 'Subject: bypcre\n\nx\n' | sendmail x@y && await grep -rqs '^Subject: bypcre' /var/mail /home/bert
			! grep 'unsupported dictionary' /var/log/mail.log`,
	},
	{
		name: "stopped by hand: stays stopped", start: ours, end: stopped,
		do: "systemctl stop postfix; dpkg -i /debs/o1b/postfix.deb", check: "systemctl is-enabled postfix.service",
	},
	{
		name: "switched off for good: stays so", start: ours, end: stopped,
		do:    "systemctl disable --now postfix.service; dpkg -i /debs/o1b/postfix.deb",
		check: "[ \"$(systemctl is-enabled postfix.service)\" = disabled ]",
	},
	{
		name: "masked: stays so", start: ours, end: stopped,
		do:    "systemctl mask --now postfix.service; dpkg -i /debs/o1b/postfix.deb",
		check: "[ \"$(systemctl is-enabled postfix.service)\" = masked ]",
	},
	{
		name: "main.cf is broken: the old daemon goes on", start: ours, end: asChecked,
		do:   "master > /tmp/master; echo 'this is no setting' >> /etc/postfix/main.cf; keep; dpkg -i /debs/o1b/postfix.deb",
		says: "WARNING.*main.cf", check: "kept\nsame_master\npgrep -x qmgr",
	},
	{
		name: "Postfix would refuse to start: the old daemon goes on", start: ours, end: asChecked,
		do: `postconf -MX postlog/unix-dgram; postconf -e maillog_file=/var/log/postfix.log; master > /tmp/master; keep
			dpkg -i /debs/o1b/postfix.deb`,
		says: "WARNING.*the Postfix that runs is kept", check: "kept\nsame_master\npgrep -x qmgr",
	},
	{
		name: "main.cf is a link to a file of an odd mode", start: ours, end: asChecked,
		do: `mkdir /srv/cf; mv /etc/postfix/main.cf /srv/cf/; ln -s /srv/cf/main.cf /etc/postfix/main.cf; chmod 640 /srv/cf/main.cf; chgrp mail /srv/cf/main.cf
			answer relayhost '[relay.example.test]'; $reconfigure; dpkg -i /debs/o1b/postfix.deb`,
		check: "[ -L /etc/postfix/main.cf ]\n[ \"$(stat -c '%a %U:%G' /srv/cf/main.cf)\" = '640 root:mail' ]\nhas relayhost [relay.example.test]\nawait greets",
	},
	{
		name: "main.cf's link leads to what is not mounted: no other is made there", start: ours, end: asChecked,
		do: `mkdir /srv/cf; mv /etc/postfix/main.cf /srv/kept.cf; ln -s /srv/cf/main.cf /etc/postfix; master > /tmp/master; dpkg -i /debs/o1b/postfix.deb
			same_master; [ ! -e /srv/cf/main.cf ]; cp /srv/kept.cf /srv/cf/main.cf; $reconfigure`,
		says: "WARNING.*link to nothing", check: "cmp /srv/kept.cf /srv/cf/main.cf\nawait greets\ndelivered",
	},
	{
		name: "an alias file that can't be read is no reason to fail", start: ours, end: works,
		do: `cp /etc/aliases /tmp; for how in 'mkdir' 'mkfifo' 'ln -s /srv/none'; do
				rm -r /etc/aliases; $how /etc/aliases; dpkg -i /debs/o1b/postfix.deb; dpkg -i /debs/o1/postfix.deb
				systemctl reset-failed rsyslog # its own trigger restarts it each time, which systemd allows five times in ten seconds
			done; rm /etc/aliases; printf 'x: y\0\n' > /etc/aliases; dpkg -i /debs/o1b/postfix.deb; rm /etc/aliases; cp /tmp/aliases /etc`,
		says: "WARNING.*/etc/aliases.*the aliases are left alone",
	},
	{
		name: "edited conffiles are kept without a question", start: ours, end: works,
		do: `for f in /etc/init.d/postfix /etc/rsyslog.d/postfix.conf; do echo '# by hand' >> $f; done
			dpkg -i /debs/o1b/postfix.deb </dev/null`,
		check: "grep -q 'by hand' /etc/init.d/postfix\ngrep -q 'by hand' /etc/rsyslog.d/postfix.conf\n! find /etc -name '*.dpkg-*' | grep .",
	},
	{
		name: "a version whose conffile names the socket, and back", start: ours, end: works,
		do: earlier + `dpkg -i /tmp/earlier.deb; named 1; absent $ours; dpkg -i /debs/o1b/postfix.deb; not grep -v '^#' $theirs; [ -e $ours ]; named 1
			dpkg -i /tmp/earlier.deb; dpkg -i /debs/o1b/postfix.deb`,
		check: "[ -S /var/spool/postfix/dev/log ]\n! find /etc -name '*.dpkg-*' | grep .",
	},
	{
		name: "the same, edited: it stays, until the line is taken out", start: ours, end: works,
		do: earlier + `dpkg -i /tmp/earlier.deb; echo '# by hand' >> $theirs; dpkg -i --force-confold /debs/o1b/postfix.deb; absent $ours; named 1
			grep -q 'by hand' $theirs; postfix-maint chroot check; sed -i '/^input/d' $theirs; postfix-maint chroot sync; [ -e $ours ]`,
		check: "[ -S /var/spool/postfix/dev/log ]",
	},
	{
		name: "unpacking fails: the old version runs on", start: ours, end: works,
		do: "edits; keep; master > /tmp/master; not dpkg -i /debs/broken/postfix.deb", says: "trying to overwrite",
		check: "kept\nsame_master\n[ \"$(dpkg-query -Wf '${Version}' postfix)\" = \"$(dpkg-deb -f /debs/o1/postfix.deb Version)\" ]",
	},
	{
		name: "the old prerm fails: the new one helps", start: ours, end: works,
		do: `printf '#!/bin/sh\nexit 1\n' > /var/lib/dpkg/info/postfix.prerm; dpkg -i /debs/o1b/postfix.deb`,
	},
	{
		name: "interrupted between unpacking and configuring", start: ours, end: works,
		do:    "edits; keep; dpkg --unpack /debs/o1b/postfix.deb; greets; dpkg --configure -a",
		check: "kept",
	},
	{
		name: "a service taken out of master.cf stays out", start: ours, end: works,
		do:    "postconf -MX tlsproxy/unix; keep; dpkg -i /debs/o1b/postfix.deb; $reconfigure",
		check: "kept\n! postconf -M tlsproxy/unix | grep .",
	},
	{
		name: "root's alias taken out stays out", start: ours, end: works,
		do:    "sed -i /^root/d /etc/aliases; newaliases; keep; dpkg -i /debs/o1b/postfix.deb; $reconfigure",
		check: "kept",
	},
	{
		name: "no alias file by choice", start: ours, end: asChecked,
		do:    "postconf -e alias_database= alias_maps=; rm /etc/aliases /etc/aliases.$suffix; dpkg -i /debs/o1b/postfix.deb; $reconfigure",
		check: "[ ! -e /etc/aliases ]\nawait greets\ndelivered",
	},
	{
		name: "the mail name's file is lost", start: ours, end: asChecked,
		do: "rm /etc/mailname; dpkg -i /debs/o1b/postfix.deb", says: "WARNING.*mailname|create /etc/mailname",
		check: "await greets\ndelivered",
	},
	{
		name: "Debian's layer to ours", start: debian, end: works, sid: true,
		do: "edits; keep; install_ours", check: "kept\nhas inet_interfaces 127.0.0.1",
	},
	{
		name: "Debian's layer to ours, with maps", start: debian, end: works,
		do:    `dpkg -i /debs/d1/postfix-pcre.deb /debs/d1/postfix-lmdb.deb; keep; install_ours`,
		check: "kept\npostconf -m | grep -x pcre\npostconf -m | grep -x lmdb\n[ \"$(dpkg-query -Wf '${Status}' postfix-pcre)\" = 'install ok installed' ]",
	},
	{
		name: "Debian's, ours, Debian's next, ours again", start: debian, end: works,
		do: `edits; keep; install_ours; kept; await greets
			dpkg -i /debs/d2/postfix.deb; kept; await greets; delivered
			dpkg -i /debs/o2/postfix.deb`,
		check: "kept",
	},
	{
		name: "ours to Debian's next version", start: ours, end: worksDebian,
		do: "edits; keep; dpkg -i /debs/d2/postfix.deb", check: "kept",
	},
	{
		name: "ours back to Debian's own version, postfix-maint gone", start: ours, end: worksDebian, sid: true,
		do: "edits; keep; dpkg -i --force-downgrade /debs/d1/postfix.deb; dpkg -P postfix-maint", check: "kept\n[ ! -e /var/lib/postfix-maint ]",
	},
	{
		name: "stopped with Debian's layer: stays stopped with ours", start: debian, end: stopped,
		do: "systemctl stop postfix; install_ours",
	},
	{
		name: "switched off with Debian's layer: stays so with ours", start: debian, end: stopped,
		do:    "systemctl disable --now postfix.service; install_ours",
		check: "[ \"$(systemctl is-enabled postfix.service)\" = disabled ]",
	},
	{
		name: "Debian 13's instances by path, to ours and back", start: debian, end: worksDebian, only: "trixie",
		do: makeOut + `systemctl enable --now postfix@out; out_greets
			install_ours; await greets; await out_greets; state postfix@out.service active; state postfix@-.service active
			dpkg -i --force-downgrade /debs/d1/postfix.deb`,
		check: "await out_greets\nstate postfix@out.service active",
	},
	{
		name: "Debian 12's instances by name, to ours and back", start: debian, end: worksDebian, only: "bookworm",
		do: `postmulti -e init; postmulti -e create -I postfix-out 2>/dev/null
			postconf -c /etc/postfix-out -e master_service_disable= inet_interfaces=127.0.0.1
			sed -i 's/^smtp  *inet/2525 inet/' /etc/postfix-out/master.cf
			postmulti -i postfix-out -e enable; systemctl daemon-reload; systemctl restart postfix; await out_greets
			install_ours; await greets; await out_greets; state postfix@postfix-out.service active; delivered
			systemctl restart postfix; await out_greets
			dpkg -i --force-downgrade /debs/d1/postfix.deb`,
		check: "await out_greets",
	},
	{
		name: "an instance through an upgrade of the layer", start: ours, end: works,
		do: `postmulti -e init; postmulti -e create -I postfix-out 2>/dev/null
			cp /etc/postfix/master.cf /etc/postfix-out/ # chrooted as the primary instance, which upstream's own file is not on sid
			postconf -c /etc/postfix-out -e master_service_disable= inet_interfaces=127.0.0.1
			sed -i 's/^smtp  *inet/2525 inet/' /etc/postfix-out/master.cf
			postmulti -i postfix-out -e enable; systemctl daemon-reload; systemctl enable --now postfix@postfix-out; await out_greets
			cp /etc/postfix-out/main.cf /tmp/out.cf; dpkg -i /debs/o1b/postfix.deb`,
		check: "await out_greets\nstate postfix@postfix-out.service active\ncmp /tmp/out.cf /etc/postfix-out/main.cf",
	},
}

// makeOut makes a second configuration that listens on port 2525.
const makeOut = `
cp -a /etc/postfix /etc/postfix-out; mkdir -p /var/spool/postfix-out; install -d -o postfix -g postfix /var/lib/postfix-out
postconf -c /etc/postfix-out -e queue_directory=/var/spool/postfix-out data_directory=/var/lib/postfix-out multi_instance_name=out multi_instance_enable=yes
sed -i 's/^smtp  *inet/2525 inet/' /etc/postfix-out/master.cf
postconf -e alternate_config_directories=/etc/postfix-out
postfix -c /etc/postfix-out check 2>/dev/null || :
`
