//go:build integration

package integration

// removals take the package away, and some bring it back.
var removals = []life{
	{name: "removed", start: ours, end: removed, do: "edits; keep; dpkg -r postfix", check: "kept"},
	{
		name: "removed with mail queued, and installed again", start: ours, end: works,
		do: `edits; systemctl stop postfix; printf 'Subject: kept\n\nx\n' | timeout 20 sendmail anna; keep
			dpkg -r postfix; ls /var/spool/postfix/maildrop/*; dpkg -i /debs/o1/postfix.deb`,
		says: "mail is queued in /var/spool/postfix, which stays.*messages: 1", check: "kept\nawait grep -rqs '^Subject: kept' /var/mail /home/anna",
	},
	{name: "removed and purged", start: ours, end: purged, do: "dpkg -r postfix; dpkg -P postfix; dpkg -P postfix-maint"},
	{name: "purged at once, with postfix-maint", start: ours, end: purged, do: "apt-get purge -y postfix postfix-maint"},
	{name: "purged and installed again", start: ours, end: works, do: "dpkg -P postfix; install_ours"},
	{
		name: "purged where keys, own files and mail lie about", start: ours, end: asChecked,
		do: `echo key > /etc/postfix/dkim.key; mkdir -p /etc/systemd/system/postfix@.service.d; printf '[Unit]\n' > /etc/systemd/system/postfix@.service.d/mine.conf
			postsuper -h ALL; systemctl stop postfix; printf 'Subject: x\n\nx\n' | timeout 20 sendmail anna; echo mine > /var/spool/postfix/etc/mine
			postfix-maint instance create out; systemctl mask --runtime --now postfix-takeover.path; systemctl stop postfix@postfix-out
			INVOCATION_ID=x postfix -c /etc/postfix-out start; pgrep -x master
			dpkg -P postfix > /root/said 2>&1; cat /root/said; not pgrep -x master; grep 'instance in /etc/postfix-out is kept' /root/said`,
		says: "mail is queued",
		check: `[ "$(cat /etc/postfix/dkim.key)" = key ]
			[ -e /etc/systemd/system/postfix@.service.d/mine.conf ]
			ls /var/spool/postfix/maildrop/*
			[ "$(cat /var/spool/postfix/etc/mine)" = mine ]
			[ -e /etc/postfix-out/main.cf ]
			! find /etc/systemd -name 'postfix@postfix-out*' | grep .
			[ ! -e /etc/postfix/main.cf ]`,
	},
	{
		name: "purged when debconf has gone", start: ours, end: asChecked,
		do:    "dpkg -r postfix; dpkg --force-all --purge debconf; dpkg -P postfix",
		check: "[ ! -e /etc/postfix/main.cf ]\n! dpkg -s postfix 2>/dev/null | grep Status",
	},
	{
		name: "removed and purged when postfix-maint has gone", start: ours, end: asChecked,
		do: "dpkg --force-depends -P postfix-maint; dpkg -r postfix; not pgrep -x master; dpkg -P postfix",
		check: `[ ! -e /etc/postfix ]
			[ ! -e /var/spool/postfix/maildrop ]
			! dpkg-statoverride --list | grep postdrop
			! find /etc/systemd /etc/rc?.d /var/lib/systemd /var/lib/postfix* -name '*postfix*' | grep .`,
	},
	{
		name: "purged by Debian's layer after ours", start: ours, end: asChecked,
		do: "dpkg -i /debs/d2/postfix.deb; cp /var/lib/dpkg/info/postfix.postrm /tmp/; dpkg -P postfix; dpkg -P postfix-maint",
		// From sid on Debian's own leaves main.cf behind.
		check: "[ ! -e /var/lib/postfix-maint ]\n[ ! -e /etc/postfix ] || ! grep -q /etc/postfix /tmp/postfix.postrm\n! systemctl --failed --no-legend --plain | grep .",
	},
	{
		name: "removed with host directories mounted in the chroot", start: ours, end: asChecked,
		do: `mkdir -p /var/spool/postfix/etc/ssl/certs /srv/sock /var/spool/postfix/var/run/mysqld; echo data > /srv/sock/data
			mount --bind /etc/ssl/certs /var/spool/postfix/etc/ssl/certs; mount --bind /srv/sock /var/spool/postfix/var/run/mysqld
			ls /etc/ssl/certs | wc -l > /tmp/certs; systemctl restart postfix; $reconfigure; dpkg -r postfix; dpkg -P postfix`,
		check: "[ \"$(ls /etc/ssl/certs | wc -l)\" = \"$(cat /tmp/certs)\" ]\n[ \"$(cat /srv/sock/data)\" = data ]",
	},
	{
		name: "the removal fails: Postfix runs again", start: ours, end: works,
		do: `sed -i 's/^    exec \(.*\)/    \1; exit 1/' /var/lib/dpkg/info/postfix.prerm; not dpkg -r postfix`,
	},
	{
		name: "map packages come and go", start: ours, end: works,
		do:    `postconf -m > /tmp/types; dpkg -i /debs/d1/postfix-pcre.deb /debs/d1/postfix-lmdb.deb; postconf -m | grep -x lmdb; postconf -m | grep -x pcre; dpkg -r postfix-pcre; dpkg -P postfix-lmdb`,
		check: "! grep -E '^(pcre|lmdb)' /etc/postfix/dynamicmaps.cf\npostconf -m | diff /tmp/types -",
	},
}
