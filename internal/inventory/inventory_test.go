package inventory_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/inventory"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
)

const master = `smtp inet n - y - - smtpd
submission inet n - n - - smtpd
  -o smtpd_milters=unix:/run/other/milter
cleanup unix n - y - 0 cleanup
rewrite unix - - y - - trivial-rewrite
proxymap unix - - n - - proxymap
smtp unix - - y - - smtp
lmtp unix - - y - - lmtp
virtual unix - n n - - virtual
`

func list(t *testing.T, main, master string, files map[string]string) []string {
	t.Helper()
	f, err := maincf.Parse([]byte("compatibility_level = 3.6\n" + main))
	if err != nil {
		t.Fatal(err)
	}
	m, err := mastercf.Parse([]byte(master))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range inventory.List(inventory.Input{Dir: "/etc/postfix", Main: f, Master: m, Read: func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return []byte(text), nil
		}
		return nil, errors.New("not there")
	}}) {
		in := map[bool]string{true: "chrooted", false: "outside"}[e.Chrooted]
		all = append(all, fmt.Sprintf("%s %s: %s %s%s%s by %s in %s:%d", e.Service, in, e.Use, e.Socket, e.Address, e.Path+e.Wrong, e.Parameter, e.File, e.Line))
	}
	return all
}

func TestList(t *testing.T) {
	const plain = `smtp inet n - y - - smtpd
cleanup unix n - n - 0 cleanup
`
	for name, c := range map[string]struct {
		main, master string
		files        map[string]string
		want         []string
	}{
		"nothing": {master: plain},
		"milters": {"rspamd = inet:localhost:11332\nsmtpd_milters = unix:/run/opendkim/opendkim.sock, $rspamd\n  { inet:localhost:8891, connect_timeout=10s }\nnon_smtpd_milters = $smtpd_milters\n",
			plain, nil, []string{
				"smtp/inet chrooted: milter /run/opendkim/opendkim.sock by smtpd_milters in /etc/postfix/main.cf:3",
				"smtp/inet chrooted: milter localhost:11332 by smtpd_milters in /etc/postfix/main.cf:3",
				"smtp/inet chrooted: milter localhost:8891 by smtpd_milters in /etc/postfix/main.cf:3",
				"cleanup/unix outside: milter /run/opendkim/opendkim.sock by non_smtpd_milters in /etc/postfix/main.cf:5",
				"cleanup/unix outside: milter localhost:11332 by non_smtpd_milters in /etc/postfix/main.cf:5",
				"cleanup/unix outside: milter localhost:8891 by non_smtpd_milters in /etc/postfix/main.cf:5",
			}},
		"an option of a service": {"smtpd_milters = inet:localhost:11332\n", "smtp inet n - y - - smtpd\n465 inet n - n - - smtpd\n  -o smtpd_milters=unix:milter/x\n", nil, []string{
			"smtp/inet chrooted: milter localhost:11332 by smtpd_milters in /etc/postfix/main.cf:2",
			"465/inet outside: milter milter/x by smtpd_milters in /etc/postfix/master.cf:2",
		}},
		"policy services, in a class as well": {"smtpd_restriction_classes = greylist, loop\ngreylist = check_policy_service inet:127.0.0.1:10023\nloop = loop\n" +
			"smtpd_recipient_restrictions = permit_mynetworks greylist check_policy_service { unix:private/policy, default_action=DUNNO } loop\n", plain, nil, []string{
			"smtp/inet chrooted: policy service 127.0.0.1:10023 by greylist in /etc/postfix/main.cf:3",
			"smtp/inet chrooted: policy service private/policy by smtpd_recipient_restrictions in /etc/postfix/main.cf:5",
		}},
		"classes that name each other over and over": {"smtpd_restriction_classes = a, b\na = b b b a check_policy_service inet:127.0.0.1:1 b\n" +
			"b = a a a b check_policy_service inet:127.0.0.1:2 a\nsmtpd_helo_restrictions = a b\nsmtpd_data_restrictions = b a\n", plain, nil, []string{
			"smtp/inet chrooted: policy service 127.0.0.1:2 by b in /etc/postfix/main.cf:4",
			"smtp/inet chrooted: policy service 127.0.0.1:1 by a in /etc/postfix/main.cf:3",
		}},
		"a proxy filter, three forms": {"", "1 inet n - y - - smtpd -o smtpd_proxy_filter=127.0.0.1:10024\n2 inet n - y - - smtpd -o smtpd_proxy_filter=unix:/run/f\n" +
			"3 inet n - y - - smtpd -o smtpd_proxy_filter=inet:[::1]:10024\n", nil, []string{
			"1/inet chrooted: proxy filter 127.0.0.1:10024 by smtpd_proxy_filter in /etc/postfix/master.cf:1",
			"2/inet chrooted: proxy filter /run/f by smtpd_proxy_filter in /etc/postfix/master.cf:2",
			"3/inet chrooted: proxy filter [::1]:10024 by smtpd_proxy_filter in /etc/postfix/master.cf:3",
		}},
		"Dovecot's SASL": {"smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = private/auth\n", plain, nil, []string{
			"smtp/inet chrooted: SASL server private/auth by smtpd_sasl_path in /etc/postfix/main.cf:4",
		}},
		"Cyrus SASL, and Dovecot's switched off": {"smtpd_sasl_path = smtpd\nsmtpd_sasl_auth_enable = yes\n", "1 inet n - y - - smtpd\n2 inet n - y - - smtpd -o smtpd_sasl_type=dovecot -o smtpd_sasl_auth_enable=no\n", nil, nil},
		"LMTP, by parameters and by a table": {"virtual_transport = lmtp:unix:/run/dovecot/lmtp\nmailbox_transport = lmtp:unix:private/dovecot-lmtp\nlocal_transport = local:$myhostname\n" +
			"transport_maps = hash:/etc/postfix/transport\n", "lmtp unix - - y - - lmtp\nsmtp unix - - y - - smtp\n",
			map[string]string{"/etc/postfix/transport": "# cyrus\nexample.org lmtp:unix:/run/cyrus/lmtp\nexample.net smtp:[192.0.2.1]\n"}, []string{
				"lmtp/unix chrooted: delivery private/dovecot-lmtp by mailbox_transport in /etc/postfix/main.cf:3",
				"lmtp/unix chrooted: delivery /run/dovecot/lmtp by virtual_transport in /etc/postfix/main.cf:2",
				"lmtp/unix chrooted: delivery /run/cyrus/lmtp by transport_maps in /etc/postfix/transport:2",
			}},
		"tables of servers, by who opens them": {"virtual_alias_maps = mysql:/etc/postfix/mysql.cf\ntransport_maps = socketmap:unix:/run/map:transport, proxy:pgsql:/etc/postfix/pg.cf\n" +
			"smtpd_sender_login_maps = ldap:/etc/postfix/ldap.cf\nsmtp_tls_policy_maps = tcp:127.0.0.1:8461\n", master, map[string]string{
			"/etc/postfix/mysql.cf": "user = x\nhosts = unix:/run/my.sock inet:db.example.net localhost\n", "/etc/postfix/pg.cf": "dbname = x\n",
			"/etc/postfix/ldap.cf": "server_host = ldapi://%2Frun%2Fslapd%2Fldapi ldap://ldap.example.net:389\n",
		}, []string{
			"smtp/inet chrooted: database server /run/my.sock by hosts in /etc/postfix/mysql.cf:2",
			"smtp/inet chrooted: database server db.example.net:3306 by hosts in /etc/postfix/mysql.cf:2",
			"smtp/inet chrooted: database server /run/mysqld/mysqld.sock by hosts in /etc/postfix/mysql.cf:2",
			"smtp/inet chrooted: database server /run/slapd/ldapi by server_host in /etc/postfix/ldap.cf:1",
			"smtp/inet chrooted: database server ldap.example.net:389 by server_host in /etc/postfix/ldap.cf:1",
			"submission/inet outside: milter /run/other/milter by smtpd_milters in /etc/postfix/master.cf:2",
			"submission/inet outside: database server /run/my.sock by hosts in /etc/postfix/mysql.cf:2",
			"submission/inet outside: database server db.example.net:3306 by hosts in /etc/postfix/mysql.cf:2",
			"submission/inet outside: database server /run/mysqld/mysqld.sock by hosts in /etc/postfix/mysql.cf:2",
			"submission/inet outside: database server /run/slapd/ldapi by server_host in /etc/postfix/ldap.cf:1",
			"submission/inet outside: database server ldap.example.net:389 by server_host in /etc/postfix/ldap.cf:1",
			"cleanup/unix chrooted: database server /run/my.sock by hosts in /etc/postfix/mysql.cf:2",
			"cleanup/unix chrooted: database server db.example.net:3306 by hosts in /etc/postfix/mysql.cf:2",
			"cleanup/unix chrooted: database server /run/mysqld/mysqld.sock by hosts in /etc/postfix/mysql.cf:2",
			"rewrite/unix chrooted: socketmap server /run/map by transport_maps in /etc/postfix/main.cf:3",
			"proxymap/unix outside: database server localhost:5432 by hosts in /etc/postfix/pg.cf:0",
			"smtp/unix chrooted: tcp table server 127.0.0.1:8461 by smtp_tls_policy_maps in /etc/postfix/main.cf:5",
		}},
		"what Postfix would refuse": {"smtpd_milters = ${x\nsmtpd_proxy_filter = $smtpd_proxy_filter\nnon_smtpd_milters = { } unix: nothing\n", plain, nil, []string{
			"cleanup/unix outside: milter unix: by non_smtpd_milters in /etc/postfix/main.cf:4",
			"cleanup/unix outside: milter nothing by non_smtpd_milters in /etc/postfix/main.cf:4",
		}},
		"slips of the pen": {"smtpd_milters = unx:/run/m unix/run/n localhost:8891\nsmtpd_data_restrictions = check_policy_service localhost:10023\n", "1 inet n - y - - smtpd\n", nil, []string{
			"1/inet chrooted: milter unx:/run/m by smtpd_milters in /etc/postfix/main.cf:2",
			"1/inet chrooted: milter unix/run/n by smtpd_milters in /etc/postfix/main.cf:2",
			"1/inet chrooted: milter localhost:8891 by smtpd_milters in /etc/postfix/main.cf:2",
			"1/inet chrooted: policy service localhost:10023 by smtpd_data_restrictions in /etc/postfix/main.cf:3",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, list(t, c.main, c.master, c.files)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPlace(t *testing.T) {
	for name, c := range map[string]struct {
		e       inventory.Endpoint
		place   string
		outside bool
	}{
		"chrooted, absolute":     {inventory.Endpoint{Chrooted: true, Socket: "/run/x/sock"}, "/queue/run/x/sock", true},
		"chrooted, relative":     {inventory.Endpoint{Chrooted: true, Socket: "private/auth"}, "/queue/private/auth", false},
		"not chrooted, absolute": {inventory.Endpoint{Socket: "/run/x/sock"}, "/run/x/sock", false},
		"not chrooted, relative": {inventory.Endpoint{Socket: "private/auth"}, "/queue/private/auth", false},
		"a port":                 {inventory.Endpoint{Chrooted: true, Address: "127.0.0.1:1"}, "/queue", false},
	} {
		if got := c.e.Place("/queue"); got != c.place || c.e.Outside("/queue") != c.outside {
			t.Errorf("%s: Place = %q, Outside = %v", name, got, c.e.Outside("/queue"))
		}
	}
}
