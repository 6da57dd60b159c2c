//go:build integration

package integration

import (
	"context"
	"strings"
	"testing"

	"postfix-maint/integration/product"
)

// grouped makes two instances that share a group, as postmulti(1) says, and a third one in another group.
const grouped = `
	postconf -e inet_interfaces=127.0.0.1 inet_protocols=ipv4
	systemctl restart postfix
	postmulti -e init
	for n in 2 3 4; do
		ip addr add 127.0.0.$n/8 dev lo
		group=mta; [ $n != 4 ] || group=spare
		postmulti -e create -I postfix-g$n -G $group
		postconf -c /etc/postfix-g$n -e inet_interfaces=127.0.0.$n inet_protocols=ipv4 master_service_disable= authorized_submit_users=
		postmulti -i postfix-g$n -e enable
	done
	systemctl daemon-reload
`

// TestPostmultiGroups works on a group of instances with postmulti(1): what it starts goes on in the units, what it stops is no failure,
// and the instances outside of the group do not notice.
func TestPostmultiGroups(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := boot(ctx, t, "host", installed(ctx, t, release, product.Ours))
		sh(ctx, t, h, grouped)
		primary := sh(ctx, t, h, pid("-"))
		within := ""
		for _, n := range []string{"g2", "g3"} {
			within += "systemctl is-active postfix@postfix-" + n + " && grep -q '/postfix@postfix-" + n + "\\.service$' /proc/$(" + pid("postfix-"+n) + ")/cgroup &&"
		}
		for _, start := range []string{"postmulti -g mta -p start", "systemctl start postfix@g2 postfix@g3"} {
			sh(ctx, t, h, start)
			await(ctx, t, h, start+": each in its unit", within+greeting("127.0.0.2/25")+"&&"+greeting("127.0.0.3/25"))
			sh(ctx, t, h, words+"down postfix@postfix-g4; postmulti -g mta -p status; postmulti -g mta -p reload; postmulti -g mta -p stop")
			sh(ctx, t, h, words+"down postfix@postfix-g2 postfix@postfix-g3; refuse postmulti -g mta -p status; healthy")
		}
		sh(ctx, t, h, words+`postmulti -i postfix-g3 -e assign -G other
			[ "$(postmulti -g mta -x postconf -h multi_instance_name | xargs)" = postfix-g2 ]
			postmulti -g other -p start`)
		// Not while it is on its way into its unit: it does not run for a moment then.
		await(ctx, t, h, "an instance that came to another group", "systemctl is-active postfix@postfix-g3 && "+greeting("127.0.0.3/25"))
		sh(ctx, t, h, words+"down postfix@postfix-g2 postfix@postfix-g4; postmulti -g other -p stop; down postfix@postfix-g3")
		if now := sh(ctx, t, h, pid("-")); now != primary {
			t.Errorf("the primary instance was process %s, then %s", primary, now)
		}
	})
}

// serveGroup installs what postfix_groups.pl needs, and sets it up as its manual says: a group of two members in LDAP.
const serveGroup = `echo 'deb [trusted=yes] file:/groups ./' >> /etc/apt/sources.list
	apt-get update -q >/dev/null 2>&1
	printf 'slapd slapd/%s\n' 'password1 password secret' 'password2 password secret' 'domain string example.test' | debconf-set-selections
	apt-get install -y --no-install-recommends GROUPPACKAGES >/root/apt.log 2>&1
	useradd -m anna; useradd -m bert
	ldapadd -x -D cn=admin,dc=example,dc=test -w secret >/dev/null <<-END
		dn: cn=anna,dc=example,dc=test
		objectClass: inetOrgPerson
		cn: anna
		sn: anna
		mail: anna@example.test

		dn: cn=bert,dc=example,dc=test
		objectClass: inetOrgPerson
		cn: bert
		sn: bert
		mail: bert@example.test

		dn: cn=hackers,dc=example,dc=test
		objectClass: extensibleObject
		objectClass: groupOfNames
		cn: hackers
		mail: hackers@groups.example.test
		member: cn=anna,dc=example,dc=test
		member: cn=bert,dc=example,dc=test
	END
	postconf -M 'groups/unix=groups unix - n n - - pipe flags=q user=nobody argv=/usr/lib/postfix/postfix_groups.pl ${sender} ${nexthop} ${recipient}'
	postconf -e mydestination=localhost,example.test transport_maps=inline:{groups.example.test=groups:groups} groups_destination_recipient_limit=1 \
		groups_server_host=127.0.0.1 groups_search_base=dc=example,dc=test groups_result_attribute=mail
	systemctl reload postfix
`

// send writes to the group.
const send = "\nprintf 'From: anna@example.test\\nSubject: to a group\\n\\nhello\\n' | sendmail -f anna@example.test hackers@groups.example.test\n"

// TestPostfixGroups is about Debian 12's postfix_groups.pl, which pipe(8) runs to expand a group in LDAP: it reads main.cf, asks LDAP and
// gives the message back by SMTP. As it is shipped no Perl of Debian 12 compiles it, for it wants names that Net::LDAP has not; with that
// word mended in a copy it delivers, with our layer as with Debian's. Debian 13 has it no more.
func TestPostfixGroups(t *testing.T) {
	needs := strings.Fields("slapd ldap-utils libnet-ldap-perl libmailtools-perl liburi-perl")
	for _, layer := range []product.Layer{product.Debian, product.Ours} {
		t.Run(string(layer), func(t *testing.T) {
			ctx := scenario(t, 1)
			opt := installed(ctx, t, "bookworm", layer)
			packages, err := session.Packages(ctx, "bookworm", "groups", needs...)
			if err != nil {
				t.Fatal(err)
			}
			opt.Binds[packages] = "/groups"
			h := boot(ctx, t, "mx", opt)
			sh(ctx, t, h, strings.Replace(serveGroup, "GROUPPACKAGES", strings.Join(needs, " "), 1)+send)
			await(ctx, t, h, "what Perl says of the program as it is shipped", `grep -q 'status=bounced.*"all" is not defined in %Net::LDAP' /var/log/mail.log`)
			sh(ctx, t, h, `sed 's/^use Net::LDAP qw (:all);/use Net::LDAP qw(LDAP_NO_SUCH_OBJECT);/' /usr/lib/postfix/postfix_groups.pl >/usr/local/bin/postfix_groups
				chmod 755 /usr/local/bin/postfix_groups
				sed -i 's:/usr/lib/postfix/postfix_groups.pl:/usr/local/bin/postfix_groups:' /etc/postfix/master.cf
				systemctl reload postfix`+send)
			for _, member := range []string{"anna", "bert"} {
				await(ctx, t, h, "the message to the group for "+member, "grep -q '^List-Id: <*hackers.list-id.groups.example.test' /var/mail/"+member)
			}
		})
	}
	t.Run("trixie", func(t *testing.T) {
		ctx := scenario(t, 1)
		h := boot(ctx, t, "host", installed(ctx, t, "trixie", product.Ours))
		sh(ctx, t, h, "! dpkg-query -L postfix | grep postfix_groups")
	})
}
