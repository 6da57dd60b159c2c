//go:build integration

package integration

import (
	"testing"

	"postfix-maint/integration/product"
)

// pastScript changes a host by three commands, takes that back, and takes the taking back back.
const pastScript = `
cd /root; echo s3cr3t-pw > pw
must() { "$@" > said 2>&1 || { echo "$*:"; cat said; }; }
says() { grep -q -- "$1" said || { echo "not said: $1:"; cat said; }; }
is() { cmp -s "$1" /etc/postfix/main.cf || { echo "$2: main.cf is another"; diff "$1" /etc/postfix/main.cf; }; }
cp /etc/postfix/main.cf old; cp /etc/postfix/master.cf oldmaster
must postfix-maint smarthost set --relay '[relay.example.test]:587' --user anna --password-file pw --rewrite generic=anna@example.test
says '^undo with: postfix-maint undo [0-9]*$'; cp /etc/postfix/main.cf set
must postfix-maint history; says 'smarthost set --relay=\[relay.example.test\]:587'
n=$(sed -n 's/ .*smarthost set.*//p' said)
must postfix-maint history show $n; says '^+relayhost = \[relay'; says 'sasl.*holds a secret'
zcat /var/lib/postfix-maint/history/*.gz | grep -q s3cr3t && echo 'a password is kept'
postfix-maint undo --dry-run > said 2>&1; says '^-relayhost = '; is set 'after a dry run'
must postfix-maint undo $n; says "^undo with: postfix-maint undo $((n+1))$"; is old 'after undo'
postfix-maint smarthost show | grep -q relay.example && echo 'the smarthost is still known'
must postfix-maint undo $((n+1)); is set 'after the undo of it'
[ "$(postmap -q @$(postconf -h myhostname) $(postconf -h smtp_generic_maps))" = anna@example.test ] || echo "the table's index is not there"
must postfix-maint smarthost unset; is old 'after unset'
must postfix-maint chroot off; must postfix-maint undo; cmp oldmaster /etc/postfix/master.cf; must postfix-maint chroot check
systemctl is-active -q postfix@- || echo 'Postfix does not run'
cp /etc/postfix/main.cf alone; must postfix-maint instance create out --set inet_interfaces=127.0.0.1 --set master_service_disable=inet; says '^undo with: '; n=$(sed -n 's/^undo with: .* //p' said)
must postfix-maint instance disable out; must postfix-maint undo; systemctl is-active -q postfix@postfix-out || echo 'a disabled instance did not come back'
must postfix-maint undo $(sed -n 's/^undo with: .* //p' said); systemctl is-active -q postfix@postfix-out && echo 'an instance that was enabled by an undo stays'
must postfix-maint instance enable out; cp -p /etc/postfix-out/main.cf out; echo 'message_size_limit = 5' >> /etc/postfix-out/main.cf
postfix-maint undo $n > said 2>&1 && echo 'an edited instance is removed'; says 'was changed since'; cp -p out /etc/postfix-out/main.cf
must postfix-maint undo $n; [ ! -e /etc/postfix-out ] && [ ! -e /var/spool/postfix-out ] || echo 'the instance is there'; is alone 'after undo of create'
postfix-maint instance create no --set inet_interfaces=192.0.2.99 > said 2>&1 && echo 'an instance without its address is made'; grep '^undo with' said
postfix-maint undo --dry-run > said 2>&1; grep 'postfix-no' said
must postfix-maint sandbox strict; says '^undo with: '; must postfix-maint undo; k=$(sed -n 's/^undo with: .* //p' said); must postfix-maint sandbox status; says default
must postfix-maint undo $k; must postfix-maint sandbox status; says strict; must postfix-maint history show $k
[ "$(stat -c %a /var/lib/postfix-maint/history /var/lib/postfix-maint/history/*.gz | sort -u | xargs)" = '600 700' ] || echo 'others may read the history'
`

// TestHistory does that, on one release: nothing of it depends on which.
func TestHistory(t *testing.T) {
	all := releases()
	release := all[len(all)-1]
	ctx := scenario(t, 1)
	h := boot(ctx, t, "host", installed(ctx, t, release, product.Ours))
	if out, err := h.Run(ctx, "bash", "-uc", pastScript); out != "" || err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
