//go:build integration

package integration

import (
	"context"
	"testing"
)

// fixKilled kills an edit of both files at each call by which it changes a file. Whatever command comes next leaves both old or both new.
const fixKilled = `
cd /root
postconf -X compatibility_level; sed -Ei '/^(smtp|pickup) /s/ y / - /' /etc/postfix/master.cf; cp -a /etc/postfix save
base() { rm -rf /etc/postfix; cp -a save /etc/postfix; }
files() { (cd /etc/postfix; md5sum main.cf master.cf; ls -A); ls -A -I history /var/lib/postfix-maint; }
fix() { "$@" /usr/sbin/postfix-maint check-config --fix compatibility-level > said 2>&1; }
next() { postfix-maint chroot sync > said 2>&1 || cat said; }
next; fix; base; next; old=$(files) # each of the runs that follow finds a history
fix killat -n 0 -log /root/calls; new=$(files); n=$(wc -l < calls)
[ "$(postconf -h compatibility_level)" = 3.6 ] && grep -Eq '^smtp .* y ' /etc/postfix/master.cf && [ $n -gt 15 ] || { echo "nothing to kill: $n calls"; cat said; exit 1; }
sawold=0; sawnew=0
for i in $(seq 1 $n); do
  base; fix killat -n $i -log /root/calls.now && { echo "call $i: not killed"; continue; }
  next; now=$(files)
  case $now in
  "$old") sawold=$((sawold+1)) ;;
  "$new") sawnew=$((sawnew+1)) ;;
  *) echo "call $i ($(sed -n ${i}p calls)): neither old nor new"; diff <(echo "$new") <(echo "$now") ;;
  esac
done
[ $sawold -gt 0 ] && [ $sawnew -gt 0 ] || echo "old after $sawold kills, new after $sawnew"
`

// TestCheckConfigKilled does that.
func TestCheckConfigKilled(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := killatHost(ctx, t, release)
		if out, err := h.Run(ctx, "bash", "-uc", fixKilled); out != "" || err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
}
