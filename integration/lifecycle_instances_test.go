//go:build integration

package integration

// enabledUnits lets "units" say which units of instances are enabled, and by which links: what a change of layers must not touch.
const enabledUnits = `
	cat >/usr/local/lib/units <<-'END'
		for unit in postfix postfix@- postfix@on postfix@off postfix@postfix-on postfix@postfix-off; do
			[ "$(systemctl is-enabled $unit.service 2>/dev/null)" != enabled ] || echo $unit
		done
		find /etc/systemd/system -name 'postfix@*' | sort
		for name in on off; do echo $name $(systemctl is-active postfix@$name postfix@postfix-$name | grep -xm1 active); done
	END
	units() { sh /usr/local/lib/units; }
	postmulti -e init
	for name in on off; do postmulti -e create -I postfix-$name 2>/dev/null; done
	postmulti -i postfix-on -e enable; systemctl daemon-reload
`

// moves take a host with instances from one layer to another and back.
var moves = []life{
	{
		name: "Debian 12's units stay enabled or disabled, to ours and back", start: debian, end: asChecked, only: "bookworm",
		do: enabledUnits + `systemctl enable -q postfix@postfix-on; systemctl restart postfix; units >/tmp/before
			install_ours; await greets; systemctl stop postfix; systemctl start postfix; units | diff /tmp/before -
			dpkg -i --force-downgrade /debs/d1/postfix.deb`,
		check: "systemctl restart postfix\nsh /usr/local/lib/units | diff /tmp/before -",
	},
	{
		name: "Debian 13's units stay enabled or disabled, to ours and back", start: debian, end: asChecked, only: "trixie",
		do: enabledUnits + `systemctl enable -q --now postfix@on; units >/tmp/before
			install_ours; await greets; systemctl stop postfix; systemctl start postfix; units | diff /tmp/before -
			dpkg -i --force-downgrade /debs/d1/postfix.deb; systemctl restart postfix@on`,
		check: "await greets\nsh /usr/local/lib/units | diff /tmp/before -",
	},
	{
		name: "instances that Debian 12 had, on Debian 13", start: debian, end: asChecked, only: "trixie", // the list is all that an upgrade leaves of them
		do: enabledUnits + `systemctl restart postfix; [ ! -e /var/spool/postfix-on/pid/master.pid ]
			install_ours; await greets; state postfix@postfix-on.service active`,
		check: "sh /usr/local/lib/units | grep -x 'on active'\nsh /usr/local/lib/units | grep -x off",
	},
	{
		name: "our units stay enabled or disabled, to Debian's and back", start: ours, end: asChecked,
		do: enabledUnits + `systemctl enable -q postfix@postfix-on; systemctl restart postfix; units >/tmp/before
			dpkg -i --force-downgrade /debs/d1/postfix.deb
			dpkg -i /debs/o1/postfix.deb; await greets; systemctl start postfix`,
		check: "await greets\nsh /usr/local/lib/units | diff /tmp/before -",
	},
}
