//go:build integration

package integration

// changes are answers given to an installed package.
var changes = []life{
	{
		name: "every value confirmed as shown", start: ours, end: works,
		do:    "edits; keep; master > /tmp/master; confirm; kept; confirm; $reconfigure",
		check: "kept\nsame_master",
	},
	{
		name: "exactly the wishes of a preseed", start: ours, end: works,
		do: `edits; answer relayhost '[other.example.test]:25'; answer recipient_delim -; $reconfigure`,
		check: `has relayhost [other.example.test]:25
			has recipient_delimiter -
			has mailbox_size_limit 99000000
			has inet_interfaces 127.0.0.1`,
	},
	{
		name: "a wish, then the same by hand undone, stays undone", start: ours, end: works,
		do:    "answer relayhost '[a.example.test]'; $reconfigure; has relayhost '[a.example.test]'; postconf -e relayhost=; systemctl reload postfix; $reconfigure",
		check: "has relayhost ''",
	},
	{
		name: "root's alias", start: ours, end: works,
		do: "answer root_address bert; $reconfigure", check: "[ \"$(postmap -q root $type:/etc/aliases)\" = bert ]\n[ \"$(grep -ci '^root' /etc/aliases)\" = 1 ]\ndelivered bert",
	},
	{
		name: "root's alias in the file that alias_database names", start: ours, end: works,
		do:    "mkdir /etc/mail; cp /etc/aliases /etc/mail/; postconf -e alias_maps=$type:/etc/mail/aliases alias_database=$type:/etc/mail/aliases; cp /etc/aliases /tmp; answer root_address bert; $reconfigure",
		check: "cmp /tmp/aliases /etc/aliases\n[ \"$(postmap -q root $type:/etc/mail/aliases)\" = bert ]",
	},
	{
		name: "local only and back", start: ours, end: works,
		do: `postconf -e default_transport=smtp:; answer main_mailer_type 'Local only'; $reconfigure; has default_transport error; await greets
			answer main_mailer_type 'Internet Site'; $reconfigure; has inet_interfaces all; has default_transport smtp:; has relay_transport relay`,
	},
	{
		name: "satellite and back", start: ours, end: works,
		do: `answer main_mailer_type 'Satellite system'; answer relayhost '[relay.example.test]'; $reconfigure; has inet_interfaces loopback-only; has relayhost '[relay.example.test]'
			answer main_mailer_type 'Internet Site'; answer relayhost ''; $reconfigure`,
		check: "has inet_interfaces all\nhas relayhost ''",
	},
	{
		name: "main.cf removed, and Postfix listens where the old one said", start: ours, end: works,
		do: `postconf -e inet_interfaces=127.0.0.1; systemctl restart postfix; await greets; ss -ltnH | not grep '0.0.0.0:25 '
			rm /etc/postfix/main.cf; $reconfigure`,
		check: "has inet_interfaces all\nss -ltnH | grep '0.0.0.0:25 '",
	},
	{
		name: "a relay that is set between config and postinst", start: ours, end: works,
		do: `sed -i '2i [ -e /tmp/once ] || { touch /tmp/once; postfix-maint smarthost set --relay "[relay.example.test]:587" --tls encrypt > /tmp/set; }' \
				/var/lib/dpkg/info/postfix.postinst
			answer recipient_delim -; $reconfigure; grep relayhost /tmp/set`,
		check: "has relayhost [relay.example.test]:587\nhas smtp_tls_security_level encrypt\nhas recipient_delimiter -\nhas inet_interfaces all\nhas default_transport smtp",
	},
	{
		name: "no configuration", start: ours, end: works,
		do: "answer main_mailer_type 'No configuration'; answer relayhost '[x.example.test]'; keep; $reconfigure", check: "kept",
	},
	{
		name: "a value that Postfix refuses", start: ours, end: works,
		do: "answer mynetworks 10.0.0.0/33; answer relayhost '[x.example.test]'; $reconfigure", says: "WARNING.*mynetworks",
		check: "! postconf -h mynetworks | grep 10.0.0\nhas relayhost [x.example.test]",
	},
	{
		name: "two at once", start: ours, end: works,
		do:    `answer relayhost '[two.example.test]'; ($reconfigure; echo first $?) & ($reconfigure; echo second $?) & wait; $reconfigure`,
		check: "has relayhost [two.example.test]",
	},
	{
		name: "interrupted by a kill, then done again", start: ours, end: works,
		do: `answer relayhost '[k.example.test]'; answer recipient_delim -
			# debconf itself is not what is killed: between two renames of its own it has no database. It takes a signal for success
			mv /usr/sbin/postfix-maint /usr/sbin/postfix-maint.real
			printf '#!/bin/sh\nkill="$1"; set -- /usr/sbin/postfix-maint.real "$@"\n[ "$kill" != postinst ] || set -- strace -f -qq -o /dev/null -e trace=renameat,renameat2,rename -e inject=renameat,renameat2,rename:signal=KILL:when=1 "$@"\n"$@"\n' > /usr/sbin/postfix-maint
			chmod +x /usr/sbin/postfix-maint; not $reconfigure; mv /usr/sbin/postfix-maint.real /usr/sbin/postfix-maint; $reconfigure`,
		check: "has relayhost [k.example.test]\nhas recipient_delimiter -",
	},
	{
		name: "main.cf can't be understood", start: ours, end: asChecked,
		do:   "master > /tmp/master; echo 'no setting' >> /etc/postfix/main.cf; keep; answer relayhost '[x.example.test]'; $reconfigure",
		says: "WARNING.*main.cf", check: "kept\nsame_master",
	},
	{
		name: "synchronous updates of the queue", start: ours, end: works, only: "bookworm",
		do: "answer chattr true; $reconfigure", check: "lsattr -d /var/spool/postfix/incoming | grep -q '^..S' || ! chattr +S /tmp",
	},
	{
		name: "networks that were never set, a mailbox command of one's own", start: ours, end: asChecked,
		do: `postconf -X mynetworks; postconf -e mynetworks_style=host 'mailbox_command=/usr/local/bin/deliver "$USER"'; systemctl reload postfix; keep
			confirm; answer procmail false; $reconfigure`,
		check: "kept",
	},
	{
		name: "newaliases fails: the old alias database stays", start: ours, end: asChecked,
		do:   `postconf -e "alias_database=$type:/etc/aliases, nosuch:/etc/other"; cp /etc/aliases.$suffix /tmp; answer root_address bert; $reconfigure; dpkg -i /debs/o1b/postfix.deb`,
		says: "WARNING.*newaliases", check: "postmap -q root $type:/etc/aliases\nawait greets\ndelivered",
	},
	{
		name: "newaliases fails and leaves an index without entries: the next run makes it anew", start: ours, end: works,
		do: `: > /tmp/none; postalias $type:/tmp/none; mv /usr/bin/newaliases /usr/bin/newaliases.whole
			printf '#!/bin/sh\nsleep 1; cat /tmp/none.%s > /etc/aliases.%s; exit 1\n' $suffix $suffix > /usr/bin/newaliases; chmod +x /usr/bin/newaliases
			answer root_address bert; $reconfigure; mv /usr/bin/newaliases.whole /usr/bin/newaliases; not postmap -q root $type:/etc/aliases
			$reconfigure; postmap -q root $type:/etc/aliases | grep bert; $reconfigure; not grep due /var/lib/postfix-maint/applied.json`,
		says: "WARNING.*alias database",
	},
	{
		name: "two commands of ours at once", start: ours, end: works,
		do:   `( flock 9; sleep 3 ) 9>/run/postfix-maint.lock & sleep 1; not postfix-maint apply; wait; postfix-maint apply`,
		says: "another postfix-maint is at work",
	},
	{
		name: "a command of ours at work: the scripts wait for it", start: ours, end: works,
		do: `( flock 9; echo "process $BASHPID (smarthost set) since now" > /run/postfix-maint.lock; sleep 4 ) 9>> /run/postfix-maint.lock &
			sleep 1; answer relayhost '[w.example.test]'; $reconfigure; wait`,
		says:  `waiting: another postfix-maint is at work on this system: process [0-9]+ \(smarthost set\)`,
		check: "has relayhost [w.example.test]",
	},
	{
		name: "a command of ours that runs dpkg lends the scripts its lock", start: ours, end: works,
		do: `( flock 9; echo "process $BASHPID (adopt --install) since now" > /run/postfix-maint.lock
			dpkg -i /debs/o1b/postfix.deb 9>&-; answer relayhost '[l.example.test]'; $reconfigure 9>&- ) 9>> /run/postfix-maint.lock`,
		never: "another postfix-maint", check: "has relayhost [l.example.test]",
	},
	{
		name: "the talk with debconf ends before the service acts", start: ours, end: works,
		do:    `answer relayhost '[s.example.test]'; strace -f -q -o /tmp/trace -s 512 -e trace=write,sendmsg,writev $reconfigure`,
		check: `line() { grep -nE -m 1 "$1" /tmp/trace | cut -d: -f1; }; [ "$(line '"STOP.n"')" -lt "$(line 'ReloadOr')" ]`,
	},
	{
		name: "the caller's environment names another instance", start: ours, end: works,
		do:    "export MAIL_CONFIG=/nowhere; answer root_address bert; $reconfigure; dpkg -i /debs/o1b/postfix.deb; unset MAIL_CONFIG",
		never: "WARNING", check: "[ \"$(postmap -q root $type:/etc/aliases)\" = bert ]",
	},
	{
		name: "several relay hosts", start: ours, end: works,
		do: "answer relayhost '[r1.example.test]:587, r2.example.test'; $reconfigure; $reconfigure", never: "WARNING",
		check: "has relayhost '[r1.example.test]:587, r2.example.test'",
	},
	{
		name: "a mail name that was lost and is there again holds no wish back", start: ours, end: works,
		do:    "rm /etc/mailname; $reconfigure; answer relayhost '[m.example.test]'; $reconfigure",
		never: "is not usable", check: "has relayhost [m.example.test]\n[ \"$(cat /etc/mailname)\" = mail.example.test ]",
	},
	{
		name: "an outdated setting is told on upgrade and edited on request", start: ours, end: works,
		do: `printf 'milter_protocol = 2\n' >> /etc/postfix/main.cf; keep; dpkg -i /debs/o1b/postfix.deb; kept
			postfix-maint check-config --fix milter-protocol; systemctl reload postfix`,
		says: "NOTE: /etc/postfix/main.cf:[0-9]+: milter_protocol = 2", check: "[ -z \"$(postconf -n milter_protocol)\" ]",
	},
}
