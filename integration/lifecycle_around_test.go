//go:build integration

package integration

// surroundings are hosts that lack what others have.
var surroundings = []life{
	{
		name: "no D-Bus", start: ours, end: works,
		do: `systemctl mask --now dbus.socket dbus.service 2>&1 || :; rm -f /run/dbus/system_bus_socket
			edits; keep; dpkg -i /debs/o1b/postfix.deb; $reconfigure; kept; systemctl unmask dbus.socket dbus.service; systemctl start dbus.socket`,
	},
	{
		name: "a full disk", start: ours, end: works,
		do: `keep; answer relayhost '[full.example.test]'
			strace -f -q -o /tmp/trace -e trace=write,fsync -e 'inject=fsync:error=ENOSPC' $reconfigure && exit 1
			kept; $reconfigure`,
		says: "(?i)no space left", check: "has relayhost [full.example.test]",
	},
	{
		name: "a build root: no systemd, services forbidden", start: nothing, end: inImage, off: true,
		do: forbid + `install_ours; printf 'Subject: early\n\nx\n' | timeout 20 sendmail anna
			edits 2>/dev/null || :; keep; dpkg -i /debs/o1b/postfix.deb; $reconfigure; kept`,
		check: "! pgrep -x master\nls /var/spool/postfix/maildrop/*\n[ -L /etc/systemd/system/multi-user.target.wants/postfix.service ]",
	},
	{
		name: "a build root, by apt, removed and purged", start: nothing, end: asChecked, off: true,
		do: forbid + "apt-get install -y --no-install-recommends postfix; apt-get remove -y postfix; apt-get install -y postfix; apt-get purge -y postfix postfix-maint",
		check: `[ ! -e /etc/postfix ]
			[ ! -e /var/spool/postfix ]
			[ ! -e /var/lib/postfix-maint ]
			! find /etc/systemd /etc/rc?.d /var/lib/systemd -name '*postfix*' | grep .`,
	},
	{
		name: "a build root without /proc", start: nothing, end: asChecked, off: true,
		do: forbid + `mkdir /bare; mount --bind / /bare; not ls /bare/proc/self 2>/dev/null
			chroot /bare sh -ec 'dpkg -i /debs/m1/postfix-maint.deb; dpkg -i /debs/o1/postfix.deb'`,
		check: "has inet_protocols all\nexpect /etc/aliases.$suffix 644 root:root | { ! grep .; }",
	},
	{
		name: "an image worked on with DPKG_ROOT", start: nothing, end: asChecked, off: true,
		do: `mkdir /tmp/up /tmp/work /tree; mount -t overlay tree -o lowerdir=/,upperdir=/tmp/up,workdir=/tmp/work /tree
			touch /tmp/before; sleep 0.1
			dpkg --root=/tree --force-script-chrootless -i /debs/m1/postfix-maint.deb /debs/o1/postfix.deb
			dpkg --root=/tree --force-script-chrootless -i /debs/o1b/postfix.deb`,
		check: `[ -e /tree/etc/postfix/main.cf ]
			grep -q ^postdrop: /tree/etc/group
			[ "$(stat -c %a:%g /tree/usr/sbin/postdrop)" = "2555:$(sed -n 's/^postdrop:x:\([0-9]*\):.*/\1/p' /tree/etc/group)" ]
			[ -L /tree/etc/systemd/system/multi-user.target.wants/postfix.service ]
			[ ! -e /etc/postfix ] && [ ! -e /usr/sbin/postfix ] && ! grep ^postdrop: /etc/group
			! find / -xdev -newer /tmp/before -type f ! -path '/tmp/*' ! -path '/tree/*' ! -path '/var/cache/debconf/*' ! -path '/proc/*' ! -path '/sys/*' ! -path '/run/*' ! -path /complaints ! -path '/var/log/*' ! -path '/dev/*' | grep .`,
	},
	{
		name: "purged from an image with DPKG_ROOT", start: nothing, end: asChecked, off: true,
		do: `mkdir /tmp/up /tmp/work /tree; mount -t overlay tree -o lowerdir=/,upperdir=/tmp/up,workdir=/tmp/work /tree
			dpkg --root=/tree --force-script-chrootless -i /debs/m1/postfix-maint.deb /debs/o1/postfix.deb; ls /tree/etc/rc2.d/*postfix
			dpkg --root=/tree --force-script-chrootless -P postfix`,
		check: `[ ! -e /tree/etc/postfix ] && [ ! -e /tree/var/spool/postfix ] && [ ! -e /tree/var/lib/postfix-maint ]
			! find /tree/etc/systemd /tree/etc/rc*.d /tree/var/lib/systemd -name '*postfix*' | grep .
			! grep postdrop /tree/var/lib/dpkg/statoverride`,
	},
	{
		name: "sysv init: the whole way", start: nothing, end: asChecked, off: true,
		do: `rm -f /sbin/runlevel; printf '#!/bin/sh\necho N 2\n' > /sbin/runlevel; chmod +x /sbin/runlevel # all that invoke-rc.d asks of sysv init
` + sysvWay,
		check: "[ ! -e /etc/postfix/main.cf ]\n! ls /etc/rc2.d/*postfix",
	},
}

const forbid = "printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d\n"

// sysvWay is a package's life where an init script starts Postfix.
const sysvWay = `
pidof rsyslogd > /dev/null || rsyslogd; install_ours; await greets; delivered; master > /tmp/master
$reconfigure; same_master; answer relayhost ''; answer recipient_delim -; $reconfigure; same_master; has recipient_delimiter -; await greets
edits 2>/dev/null || :; keep; dpkg -i /debs/o1b/postfix.deb; kept; not same_master; await greets
invoke-rc.d postfix stop; not greets; dpkg -i /debs/o1/postfix.deb; not greets
invoke-rc.d postfix start; await greets; dpkg -r postfix; not greets; dpkg -i /debs/o1/postfix.deb; await greets; dpkg -P postfix; not greets
`
