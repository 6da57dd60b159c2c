//go:build integration

package integration

import (
	"context"
	"strings"
	"testing"
)

// adoptDiskWords run "adopt --install" and "adopt --revert" again and again, each time in a fresh copy of the host, where the disk is full
// or broken at another place. They print what is wrong.
const adoptDiskWords = `
set +e; runs=0; failures=0
mkdir -p /tree /tmp/up /tmp/work
fresh() {
	mkdir -p /tmp/up /tmp/work
	mount -t overlay tree -o lowerdir=/,upperdir=/tmp/up,workdir=/tmp/work /tree || exit 1
	mount --rbind /proc /tree/proc; mount --rbind /dev /tree/dev; mount --bind /packages /tree/packages; chmod 1777 /tree/tmp
}
gone() { umount -R /tree; rm -rf /tmp/up /tmp/work; }
adopt() { chroot /tree $wrap postfix-maint adopt $command > /tmp/said 2>&1; }
list() { # all of ours: mode, owner, link, content (the list of what is in the chroot has times in it); and what is installed
	(cd /tree; find etc/apt var/lib/postfix-maint ! -path '*/history*' -printf '%p %y %m %U:%G %l\n' | sort
	find etc/apt var/lib/postfix-maint -type f ! -path '*/chroot/*' ! -path '*/history/*' | sort | while read -r f; do echo "$f $(grep -av '^Date: ' "$f" | md5sum)"; done
	chroot /tree dpkg-query -W postfix postfix-pcre; chroot /tree dpkg --audit)
}
# heal WHAT: a failure was said, apt works in spite of it, and the next run ends where an undisturbed one does
heal() {
	runs=$((runs + 1))
	if [ "$rc" != 0 ]; then
		failures=$((failures + 1))
		grep -qiE 'no space left|input/output error|disk full' /tmp/said || { echo "$1: nobody says why:"; tail -n 5 /tmp/said; }
		chroot /tree sh -c 'apt-get check -qq && apt-get update -qq' > /tmp/apt 2>&1 || { echo "$1: apt is broken:"; cat /tmp/apt; }
	fi
	wrap=''
	adopt || { echo "$1: does not heal:"; tail -n 5 /tmp/said; }
	list > /tmp/got
	diff /tmp/want /tmp/got > /tmp/diff || { echo "$1: ends elsewhere:"; head -n 12 /tmp/diff; }
}
# full DIR KB...: so much is free on the file system of DIR
full() {
	dir=$1; shift
	for free in "$@"; do
		fresh; mkdir -p /tmp/small "/tree$dir"; mount -t tmpfs -o mode=755 small /tmp/small; cp -a "/tree$dir/." /tmp/small
		mount -o remount,size=$(($(df -k --output=used /tmp/small | tail -n 1) + free))k /tmp/small
		mount --bind /tmp/small "/tree$dir"
		adopt; rc=$?
		mount -o remount,size=1g /tmp/small
		heal "adopt $command, $free KB free in $dir"
		gone; umount /tmp/small
	done
}
# failing CALL ERROR WHEN: every such call of the program itself fails from then on
failing() {
	fresh
	wrap="strace -f -b execve -qq -o /dev/null -e trace=$1 -e inject=$1:error=$2:when=$3+"; adopt; rc=$?
	heal "adopt $command, $1 fails with $2 from call $3 on"; gone
}
`

// TestAdoptDisk has the disk full, or calls that write fail, under "adopt --install" and "adopt --revert": an error that names the cause, apt
// that works, and healed it ends as if nothing had been.
func TestAdoptDisk(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		install := "full /var/lib/postfix-maint 3000; full /etc/apt 4"
		if release == "bookworm" { // the same program makes the same calls on the other
			install = "full /var/lib/postfix-maint 4 3000 12000; full /etc/apt 4 8\n" +
				"for call in fsync renameat mkdirat unlinkat; do failing $call EIO 1; done; failing renameat ENOSPC 3; failing fsync EIO 8"
		}
		for command, script := range map[string]string{"--install": install, "--revert": "failing unlinkat EIO 1; failing fsync EIO 2"} {
			opt := adoptedHost(ctx, t, release, map[string]string{"--revert": "postfix-maint adopt --install"}[command])
			h := newHost(ctx, t, "mail", opt)
			out := sh(ctx, t, h, adoptDiskWords+"command="+command+"\n"+`wrap=''
				fresh; adopt || cat /tmp/said; list > /tmp/want; gone
				[ "$(wc -l < /tmp/want)" -gt 10 ] || { echo "too little is compared:"; cat /tmp/want; }
				`+script+`
				echo "$runs runs, $failures of them failed" > /runs`)
			runs := strings.TrimSpace(sh(ctx, t, h, "cat /runs"))
			if t.Logf("adopt %s: %s", command, runs); out != "" {
				t.Errorf("%s", out)
			}
			if strings.Contains(runs, " 0 of") {
				t.Errorf("adopt %s: nothing failed: the test shows nothing", command)
			}
		}
	})
}
