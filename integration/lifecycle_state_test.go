//go:build integration

package integration

import (
	"fmt"
	"strings"
)

// lifeWords are shell functions for the tables.
const lifeWords = `
umask 022
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
reconfigure='dpkg-reconfigure -f noninteractive postfix'
# the type of this release's tables, how the name of their index ends, and the registry of types
if type=$(postconf -h default_database_type 2>/dev/null); then suffix=$type; [ "$type" != hash ] || suffix=db; fi
registered() { cat $(postconf -h meta_directory)/dynamicmaps.cf $(postconf -h meta_directory)/dynamicmaps.cf.d/* 2>/dev/null; }
# third: the file for a type of an administrator's, which no package brings
third() { case $(postconf -h meta_directory) in /etc/*) echo /etc/postfix/dynamicmaps.cf ;; *) echo $(postconf -h meta_directory)/dynamicmaps.cf.d/third.cf ;; esac; }
# not COMMAND...: it must fail. The shell's own ! would not end a script under set -e.
not() { if "$@"; then echo "did not fail: $*" >&2; return 1; fi; }
# answer QUESTION VALUE: as debconf-set-selections of a person or a tool
answer() {
	case $1 in main_mailer_type | protocols) kind=select ;; procmail | chattr) kind=boolean ;; *) kind=string ;; esac
	printf 'postfix postfix/%s %s %s\n' "$1" $kind "$2" | debconf-set-selections
}
# confirm: a person is shown every question and leaves each value as it stands
confirm() {
	printf '#!/bin/sh\ncat "$1" >> /tmp/shown\n' > /usr/local/bin/look; chmod +x /usr/local/bin/look; rm -f /tmp/shown
	env -u DEBIAN_FRONTEND EDITOR=look VISUAL=look dpkg-reconfigure -p low -f editor postfix 2>&1 | { grep -v redefined || :; }
	grep -q main_mailer_type /tmp/shown && grep -q mynetworks /tmp/shown
}
install_ours() { dpkg -i /debs/m1/postfix-maint.deb; dpkg -i /debs/o1/postfix.deb; }
# the edits by hand that Debian's layer loses
edits() {
	postconf -e relayhost=[relay.example.test]:587 mailbox_size_limit=99000000 recipient_delimiter=_ inet_interfaces=127.0.0.1 \
		'mydestination=$myhostname, mail.example.test, localhost' 'mynetworks=127.0.0.0/8, 10.9.0.0/16'
	printf '\n# by hand\n' >> /etc/postfix/main.cf
	systemctl restart postfix@- 2>/dev/null || systemctl restart postfix
}
# keep: remembers the configuration; kept: it is still that
keep() { rm -rf /tmp/keep; mkdir /tmp/keep; cp -a /etc/postfix /etc/aliases /etc/mailname /tmp/keep; }
kept() {
	for f in main.cf master.cf; do cmp /etc/postfix/$f /tmp/keep/postfix/$f || { diff -u /tmp/keep/postfix/$f /etc/postfix/$f; return 1; }; done
	cmp /etc/aliases /tmp/keep/aliases && cmp /etc/mailname /tmp/keep/mailname
}
has() { [ "$(postconf -h "$1")" = "$2" ] || { echo "$1 is $(postconf -h "$1")"; return 1; }; }
master() { tr -d ' ' < /var/spool/postfix/pid/master.pid; }
same_master() { [ "$(master)" = "$(cat /tmp/master)" ]; }
greets() { timeout 5 bash -c 'read -r l < /dev/tcp/127.0.0.1/25 && case $l in 220*) ;; *) exit 1; esac' 2>/dev/null; }
out_greets() { timeout 5 bash -c 'read -r l < /dev/tcp/127.0.0.1/2525 && case $l in 220*) ;; *) exit 1; esac' 2>/dev/null; }
await() { end=$((SECONDS + 60)); while [ $SECONDS -lt $end ]; do if "$@" >/dev/null 2>&1; then return 0; fi; sleep 0.1; done; echo "in vain: $*"; return 1; }
# delivered [USER]: a message to USER comes
delivered() {
	word=life-$RANDOM$RANDOM
	printf 'Subject: %s\n\nhello\n' $word | timeout 20 sendmail -f root "${1-anna}" || return 1
	await grep -rqs "^Subject: $word$" /var/mail "/home/${1-anna}" || { postqueue -p; tail -n 20 /var/log/mail.log; return 1; }
}
expect() { # PATH MODE OWNER
	got=$(stat -c '%a %U:%G' "$1" 2>&1) || true
	case "$got" in ${2%%|*}\ "$3" | ${2##*|}\ "$3") ;; *) echo "$1 is $got, should be $2 $3" ;; esac
}
# complaints [REGEXP]: what Postfix logged and should not have, but for REGEXP
complaints() { grep -hE 'postfix.*(fatal|panic|error):' /var/log/mail.log | grep -vE "is not running\$|master_sigdeath: kill process group: No such process\$${1:+|$1}"; }
# named N: so many lines name the primary's socket to rsyslogd
named() {
	out=$(grep -hE '^[^#]*/var/spool/postfix/dev/log' /etc/rsyslog.conf /etc/rsyslog.d/*.conf | wc -l)
	[ "$out" = "$1" ] || { echo "the socket in the chroot is named $out times"; grep -r dev/log /etc/rsyslog.d; }
}
absent() { for f; do if [ -e "$f" ] || [ -L "$f" ]; then echo "$f is there"; fi; done; }
state() { # UNIT STATE
	got=$(systemctl is-active "$1") || true
	[ "$got" = "$2" ] || { echo "$1 is $got, should be $2"; systemctl status --no-pager -n 20 "$1"; }
}
`

// places are where releases differ: the map registry, and the index of the aliases.
const places = `registry=/etc/postfix/dynamicmaps.cf index=/etc/aliases.db
[ ! -d /usr/share/postfix/dynamicmaps.cf.d ] || registry=/usr/share/postfix/dynamicmaps.cf
case $(postconf -hx alias_database) in cdb:*) index=/etc/aliases.cdb ;; esac
`

// modes are the files of a working Postfix: mode and owner.
var modes = [][3]string{
	{"/etc/postfix/main.cf", "644", "root:root"},
	{"/etc/postfix/master.cf", "644", "root:root"},
	{"$registry", "644", "root:root"},
	{"/etc/mailname", "644", "root:root"},
	{"/etc/aliases", "644", "root:root"},
	{"$index", "644", "root:root"},
	{"/usr/sbin/postdrop", "2555", "root:postdrop"},
	{"/usr/sbin/postqueue", "2555", "root:postdrop"},
	{"/var/lib/postfix", "755", "postfix:postfix"},
	{"/var/spool/postfix", "755", "root:root"},
	{"/var/spool/postfix/pid", "755", "root:root"},
	{"/var/spool/postfix/private", "700", "postfix:root"},
	{"/var/spool/postfix/public", "2710|710", "postfix:postdrop"}, // the shorter ones are what Debian 13's unit lets "postfix check" make
	{"/var/spool/postfix/maildrop", "1730|730", "postfix:postdrop"},
	{"/var/spool/postfix/incoming", "700", "postfix:root"},
	{"/var/spool/postfix/active", "700", "postfix:root"},
	{"/var/spool/postfix/hold", "700", "postfix:root"},
}

// script prints what of the state does not hold.
func (e ending) script() string {
	var s strings.Builder
	s.WriteString("out=$(dpkg --audit); [ -z \"$out\" ] || echo \"$out\"\n")
	switch e {
	case works, worksDebian, stopped, inImage:
		s.WriteString(places)
		for _, m := range modes {
			fmt.Fprintf(&s, "expect %s '%s' %s\n", m[0], m[1], m[2])
		}
		s.WriteString("out=$(postfix check 2>&1 | grep -vE '^(updated|removed) |nobody takes the log|ackwards.compatib|COMPATIBILITY_README'); [ -z \"$out\" ] || echo \"postfix check: $out\"\n")
	}
	s.WriteString(endings[e])
	return s.String()
}

// endings say what else belongs to a state.
var endings = map[ending]string{
	works: `
await greets
state postfix.service active
state postfix@-.service active
[ "$(systemctl is-enabled postfix.service)" = enabled ] || echo "postfix.service is $(systemctl is-enabled postfix.service)"
out=$(systemctl --failed --no-legend --plain); [ -z "$out" ] || echo "failed: $out"
expect /var/lib/postfix-maint/applied.json 600 root:root
absent /var/lib/postfix-maint/pending.json /var/lib/postfix-maint/installing
if [ -d /usr/share/postfix/dynamicmaps.cf.d ] && postconf -M pickup/unix | grep -qE '^pickup +unix +n +- +n '; then
	named 0 # Debian's own layer of sid was there first
else
	for p in $(pgrep -x pickup); do
		case $(readlink "/proc/$p/root") in /var/spool/postfix | /var/spool/postfix-out) ;; *) echo "a pickup is not chrooted" ;; esac
	done
	named 1
fi
delivered
out=$(complaints); [ -z "$out" ] || echo "mail.log: $out"
`,
	worksDebian: `
await greets
state postfix.service active
[ "$(systemctl is-enabled postfix.service)" = enabled ] || echo "postfix.service is $(systemctl is-enabled postfix.service)"
out=$(systemctl --failed --no-legend --plain); [ -z "$out" ] || echo "failed: $out"
named 1; absent /etc/rsyslog.d/postfix-maint.conf
delivered
`,
	stopped: `
greets && echo "port 25 answers"
pgrep -x master >/dev/null && echo "a master runs"
absent /var/lib/postfix-maint/pending.json
`,
	removed: `
greets && echo "port 25 answers"
pgrep -x master >/dev/null && echo "a master runs"
absent /usr/sbin/postfix /usr/lib/postfix/sbin/master /etc/rsyslog.d/postfix-maint.conf
named 0
for f in /etc/postfix/main.cf /etc/postfix/master.cf /etc/aliases /etc/mailname /var/spool/postfix/maildrop; do
	[ -e $f ] || echo "$f is gone"
done
getent passwd postfix >/dev/null || echo "the user is gone"
grep -q postdrop /var/lib/dpkg/statoverride && echo "a statoverride is left"
out=$(systemctl --failed --no-legend --plain); [ -z "$out" ] || echo "failed: $out"
[ "$(systemctl list-units --all --plain --no-legend 'postfix*' | grep -v not-found)" = "" ] || systemctl list-units --all 'postfix*'
`,
	purged: `
greets && echo "port 25 answers"
pgrep -x master >/dev/null && echo "a master runs"
absent /usr/sbin/postfix /etc/postfix/main.cf /etc/postfix/master.cf /etc/postfix/dynamicmaps.cf /etc/init.d/postfix
out=$(find / -xdev \( -path /proc -o -path /sys -o -path /debs -o -path /packages -o -path /stock -o -path /tmp -o -path /run \
	-o -path /usr/share -o -path /var/log -o -path /var/cache/apt -o -path /var/lib/apt \) -prune -o -name '*postfix*' -print |
	grep -vE '^/(usr/(s?bin|libexec)/postfix-maint|var/lib/dpkg/info/postfix-maint\.|root/)')
[ -z "$out" ] || echo "left behind: $out"
for f in /etc/aliases /etc/mailname; do [ -e $f ] || echo "$f is gone"; done
getent passwd postfix >/dev/null || echo "the user is gone"
debconf-show postfix 2>/dev/null | grep . && echo "answers are left in debconf"
out=$(systemctl --failed --no-legend --plain); [ -z "$out" ] || echo "failed: $out"
`,
}
