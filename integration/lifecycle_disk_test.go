//go:build integration

package integration

import (
	"context"
	"testing"

	"postfix-maint/integration/hosts"
)

// diskWords are shell functions that configure the unpacked package again and again, each time in a fresh copy of the host, with
// a disk that is full or broken at another place. They print what is wrong.
const diskWords = `
set +e; runs=0
mkdir -p /tree
# fresh: the host as it is, in /tree, to be thrown away
fresh() {
	mkdir -p /tmp/up /tmp/work
	mount -t overlay tree -o lowerdir=/,upperdir=/tmp/up,workdir=/tmp/work /tree || exit 1
	mount --rbind /proc /tree/proc; mount --rbind /dev /tree/dev
}
gone() { umount -R /tree; rm -rf /tmp/up /tmp/work; }
list() { # every file of ours: mode, owner, link, content
	(cd /tree && find etc/postfix etc/aliases* etc/mailname etc/group etc/passwd var/lib/postfix var/lib/postfix-maint var/spool/postfix \
		var/lib/dpkg/statoverride ! -name '*-' ! -name '*.db' ! -name '*.cdb' ! -path '*/history*' -printf '%p %y %m %U:%G %l\n' | sort
	find etc/postfix etc/aliases etc/mailname etc/group etc/passwd var/lib/postfix-maint -type f ! -name '*-' ! -path '*/history/*' -exec sha256sum {} + | sort)
}
configure() { chroot /tree dpkg --configure -a > /tmp/said 2>&1; }
# heal WHAT: a failure is said, and the next run ends where an undisturbed one does
heal() {
	if [ "$rc" != 0 ] && ! grep -qiE "$2" /tmp/said; then echo "$1: nobody says why:"; grep -iE 'error|cannot|fatal' /tmp/said; fi
	warned=$(grep -c WARNING /tmp/said)
	if ! configure; then echo "$1: does not heal:"; tail -n 5 /tmp/said; fi
	if [ "$warned" != 0 ]; then chroot /tree $reconfigure > /tmp/again 2>&1 || cat /tmp/again; fi; [ -s /tree/etc/aliases.db ] || [ -s /tree/etc/aliases.cdb ] || echo "$1: no alias database"; list > /tmp/got
	diff /tmp/want /tmp/got > /tmp/diff || { echo "$1: ends elsewhere:"; head -n 12 /tmp/diff; }
}
# full DIR: all but a few pages of the file system of DIR are in use; each time a page more is free, until it is enough
full() {
	for free in 0 1 2 4 6 9 14 32; do
		fresh; mkdir -p /tmp/small; mount -t tmpfs -o mode=755 small /tmp/small; cp -a "/tree$1/." /tmp/small
		mount -o remount,size=$(($(df -k --output=used /tmp/small | tail -n 1) + free * 4 + 4))k /tmp/small
		mount --bind /tmp/small "/tree$1"
		configure; rc=$?; runs=$((runs + 1))
		said=$(grep -c WARNING /tmp/said)
		mount -o remount,size=1g /tmp/small
		heal "$free pages free in $1" 'no space left|failure while writing'
		gone; umount /tmp/small
		if [ $rc = 0 ] && [ "$said" = 0 ]; then return; fi
	done
	echo "$1: never enough"
}
# failing CALL ERROR WHEN: every such call of postfix-maint and its children fails
failing() {
	fresh; mv /tree/usr/sbin/postfix-maint /tree/usr/sbin/postfix-maint.real
	printf '#!/bin/sh\nexec strace -f -qq -o /dev/null -e trace=%s -e inject=%s:error=%s:when=%s /usr/sbin/postfix-maint.real "$@"\n' "$1" "$1" "$2" "$3" > /tree/usr/sbin/postfix-maint
	chmod +x /tree/usr/sbin/postfix-maint
	configure; rc=$?; runs=$((runs + 1))
	mv /tree/usr/sbin/postfix-maint.real /tree/usr/sbin/postfix-maint
	heal "$1 fails with $2 from call $3 on" 'no space left|input/output error|failure while writing|WARNING'
	gone
}
`

// TestDisk configures a first installation where the disk is full, at every amount of free space that makes a difference, and
// where calls that write fail. It ends with an error that names the cause, and healed it ends as if nothing had been.
func TestDisk(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		opt, err := session.Layer(ctx, "life-unpacked-"+release, begin(ctx, t, release, nothing), func(h *hosts.Host) error {
			_, err := h.Sh(ctx, forbid+"dpkg -i /debs/m1/postfix-maint.deb; dpkg --unpack /debs/o1/postfix.deb")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		h := newHost(ctx, t, "mail", opt)
		out := sh(ctx, t, h, ". /usr/local/lib/life\n"+diskWords+`
fresh; configure || cat /tmp/said; list > /tmp/want; gone
[ "$(wc -l < /tmp/want)" -gt 40 ] || { echo "too little is compared:"; cat /tmp/want; }
full /etc; full /var/lib/postfix-maint; full /var/spool/postfix
for call in fsync renameat fchmod mkdirat; do
	failing $call EIO 1+; failing $call ENOSPC 2+
done
echo "runs: $runs" > /runs`)
		runs := sh(ctx, t, h, "cat /runs")
		if t.Logf("%s", runs); out != "" {
			t.Errorf("%s", out)
		}
	})
}
