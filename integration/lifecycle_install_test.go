//go:build integration

package integration

// installs are first installations.
var installs = []life{
	{
		name: "answers preseeded", start: nothing, end: works,
		do:    "install_ours",
		check: "has inet_interfaces all\nhas myorigin /etc/mailname\ngrep -q '^root: *anna$' /etc/aliases",
	},
	{
		name: "nobody answers: open to nobody, and it says so", start: nothing, end: works,
		do:    "echo PURGE | debconf-communicate postfix; echo mail.example.test > /etc/mailname; install_ours",
		says:  "nobody chose the type",
		check: "has inet_interfaces loopback-only\ndelivered",
	},
	{
		name: "apt brings postfix-maint along", start: nothing, end: works,
		do: "apt-get install -y --no-install-recommends postfix",
	},
	{
		name: "with its map packages in one go", start: nothing, end: works,
		do:    "dpkg -i /debs/m1/*.deb /debs/o1/postfix.deb /debs/d1/postfix-pcre.deb /debs/d1/postfix-lmdb.deb",
		check: "postconf -m | grep -x pcre\npostconf -m | grep -x lmdb\npostmap -q x pcre:<(echo '/x/ y')",
	},
	{
		name: "no configuration, then configured", start: nothing, end: works,
		do: `answer main_mailer_type 'No configuration'; install_ours
			test ! -e /etc/postfix/main.cf; not greets
			answer main_mailer_type 'Internet Site'; $reconfigure`,
	},
	{
		name: "main.cf was there first", start: nothing, end: works,
		do: `mkdir -p /etc/postfix; printf 'compatibility_level = 3.6\nmydestination = $myhostname, localhost, here.test\n' > /etc/postfix/main.cf
			echo PURGE | debconf-communicate postfix; echo mail.example.test > /etc/mailname; cp /etc/postfix/main.cf /tmp; install_ours`,
		check: "cmp /tmp/main.cf /etc/postfix/main.cf\ndelivered anna@here.test",
	},
	{
		name: "an alias file without a final newline was there first", start: nothing, end: works,
		do:    "printf 'postmaster: root\\nROOT : bert' > /etc/aliases; install_ours",
		check: "[ \"$(cat /etc/aliases)\" = \"$(printf 'postmaster: root\\nROOT : bert')\" ]",
	},
	{
		name: "root forwards already", start: nothing, end: works,
		do:    "echo bert > /root/.forward; install_ours",
		says:  `/root/\.forward`,
		check: "! grep -i ^root: /etc/aliases",
	},
	{
		name: "the user exists without the group", start: nothing, end: works, sid: true,
		do:    "useradd -r -N -g nogroup postfix; install_ours",
		check: "[ $(id -gn postfix) = postfix ]",
	},
	{
		name: "an administrator's statoverride on postdrop", start: nothing, end: asChecked,
		do:    "dpkg-statoverride --add root root 0755 /usr/sbin/postdrop; install_ours",
		check: "[ \"$(dpkg-statoverride --list /usr/sbin/postdrop)\" = 'root root 755 /usr/sbin/postdrop' ]\nexpect /usr/sbin/postqueue 2555 root:postdrop | { ! grep .; }",
	},
	{
		name: "the policy forbids services", start: nothing, end: works,
		do: `printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; install_ours
			not greets; printf 'Subject: early\n\nx\n' | timeout 20 sendmail anna
			rm /usr/sbin/policy-rc.d; systemctl start postfix; $reconfigure`,
		check: "await grep -rqs '^Subject: early' /var/mail /home/anna",
	},
	{
		name: "the unit was masked", start: nothing, end: stopped,
		do:    "systemctl mask postfix.service; install_ours",
		check: "[ \"$(systemctl is-enabled postfix.service)\" = masked ]",
	},
	{
		name: "unpacking fails, then it does not", start: nothing, end: works,
		do:    "dpkg -i /debs/m1/*.deb; not dpkg -i /debs/broken/postfix.deb; not greets; install_ours",
		says:  "trying to overwrite",
		check: "[ ! -e /usr/bin/strace ] || [ \"$(cat /usr/bin/strace)\" != mine ]",
	},
	{
		name: "unpacked only, configured by dpkg --configure -a", start: nothing, end: works,
		do: "dpkg --unpack /debs/m1/*.deb /debs/o1/postfix.deb; dpkg --configure -a",
	},
	{
		name: "the power goes while postinst works", start: nothing, end: works,
		do: `dpkg -i /debs/m1/*.deb; dpkg --unpack /debs/o1/postfix.deb
			strace -f -q -o /tmp/trace -e trace=renameat,renameat2,rename -e inject=renameat,renameat2,rename:signal=KILL:when=3 dpkg --configure postfix || :
			dpkg --configure -a`,
	},
	{
		name: "/etc can't be written, then it can", start: nothing, end: works,
		do: `dpkg -i /debs/m1/*.deb; dpkg --unpack /debs/o1/postfix.deb; groupadd -r postdrop; groupadd -r postfix; useradd -r -g postfix -d /var/spool/postfix postfix
			mount --bind /etc /etc; mount -o remount,ro,bind /etc; not dpkg --configure postfix; umount /etc
			dpkg --configure -a`,
		says: `(?i)read-only file system`,
	},
	{
		name: "alias_database of a type that is not there", start: nothing, end: asChecked, until: "trixie", // from then on lmdb is in the package postfix
		do: `mkdir -p /etc/postfix; printf 'compatibility_level = 2\nalias_maps = lmdb:/etc/aliases\nalias_database = lmdb:/etc/aliases\n' > /etc/postfix/main.cf
			install_ours`,
		says: "WARNING.*alias",
		check: `dpkg -i /debs/d1/postfix-lmdb.deb && [ -e /etc/aliases.lmdb ]
			await greets && delivered
			dpkg -P postfix-lmdb && ! grep lmdb /etc/postfix/dynamicmaps.cf
			dpkg --configure -a && $reconfigure`,
	},
	{
		name: "a relay mode claims no domain of the organisation", start: nothing, end: asChecked,
		do:    "answer main_mailer_type 'Satellite system'; answer relayhost '[relay.example.test]'; answer mailname corp.example; install_ours",
		check: "! postconf -hx mydestination | grep corp.example\nhas inet_interfaces loopback-only\nawait greets",
	},
	{
		name: "mail waits for a relay host that a script names later", start: nothing, end: asChecked,
		do: `answer main_mailer_type 'Satellite system'; install_ours; await greets
			printf 'Subject: away\n\nx\n' | sendmail -f anna@mail.example.test x@elsewhere.test; await sh -c 'mailq | grep "no relay host is set"'
			smtp-sink -u postfix 127.0.0.1:2525 100 >/dev/null 2>&1 & sink=$!
			postconf -e 'relayhost=[127.0.0.1]:2525'; systemctl reload postfix; sleep 1; postqueue -f; await sh -c 'mailq | grep empty'
			$reconfigure; kill $sink`,
		says: "WARNING.*no relay host", check: "has default_transport smtp\nhas relay_transport relay\nhas relayhost [127.0.0.1]:2525",
	},
	{
		name: "host names that no mail system can have", start: nothing, end: asChecked, off: true,
		do: forbid + `dpkg -i /debs/m1/postfix-maint.deb
			for name in 12345 1.2.3.4 "$(printf 'a%.0s' $(seq 64))" localhost dot; do
				hostname "$name"; printf '127.0.0.1 localhost\n127.0.1.1 dot.example. dot\n' > /etc/hosts
				echo PURGE | debconf-communicate postfix; answer main_mailer_type 'Internet Site'; rm -f /etc/mailname
				dpkg -i /debs/o1/postfix.deb; postfix check; newaliases; dpkg -P postfix; rm -f /etc/aliases*
			done`,
		says: "(?i)warning.*name",
	},
	{
		name: "an image does not keep its builder's name", start: nothing, end: asChecked, off: true,
		do: forbid + `hostname builder.example.test; install_ours; not grep '^myhostname' /etc/postfix/main.cf
			hostname clone.example.test`,
		check: "has myhostname clone.example.test",
	},
	{
		name: "answers are text, whatever they look like", start: nothing, end: works,
		do:    "answer root_address '$(touch /tmp/pwned)'; answer mailname '`touch /tmp/pwned`'; answer destinations '; touch /tmp/pwned #'; install_ours || :; dpkg --configure -a",
		check: "[ ! -e /tmp/pwned ]",
	},
}
