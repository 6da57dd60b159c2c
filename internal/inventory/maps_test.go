package inventory_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/inventory"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
)

// What the files of tables name, and what their results lead to.
func TestListOfTables(t *testing.T) {
	const smtpd, client = "25 inet n - y - - smtpd\n", "lmtp unix - - y - - lmtp\n"
	const pm = "proxymap unix - - y - - proxymap\n"
	for name, c := range map[string]struct {
		main, master string
		files        map[string]string
		want         []string
	}{
		"PostgreSQL, by every way of naming a server": {"relay_recipient_maps = pgsql:/p\n", smtpd, map[string]string{
			"/p": "hosts = unix:/run/pg, /run/pg:5433 inet:db:5432 postgresql://u@%2Frun%2Furi/d postgresql:///d\n",
		}, []string{
			"25/inet chrooted: database server /run/pg/.s.PGSQL.5432 by hosts in /p:1",
			"25/inet chrooted: database server /run/pg/.s.PGSQL.5433 by hosts in /p:1",
			"25/inet chrooted: database server db:5432 by hosts in /p:1",
			"25/inet chrooted: database server /run/uri/.s.PGSQL.5432 by hosts in /p:1",
			"25/inet chrooted: database server /var/run/postgresql/.s.PGSQL.5432 by hosts in /p:1",
		}},
		"no login and no option of a URI is shown": {"relay_recipient_maps = pgsql:/p ldap:/l mysql:/m\n", smtpd, map[string]string{
			"/p": "hosts = postgresql://a?user=u&password=secret postgresql://u:secret@b:5433?x=y postgresql://u:sec/ret@none postgresql://u:secr?t@none\n" +
				" postgresql:u:secret@c/d postgresql:///d?host=/run/pg&port=5433&password=secret u:secret@e f/d?password=secret postgresql://g?password=s@cret\n",
			"/l": "server_host = ldap://a:390/dc=secret??sub?bindname=secret ldapi://%2Frun%2Fldapi/????secret\n", "/m": "hosts = u:secret@h\n",
		}, []string{
			"25/inet chrooted: database server a:5432 by hosts in /p:1",
			"25/inet chrooted: database server b:5433 by hosts in /p:1",
			"25/inet chrooted: database server c:5432 by hosts in /p:1",
			"25/inet chrooted: database server /run/pg/.s.PGSQL.5433 by hosts in /p:1",
			"25/inet chrooted: database server e:5432 by hosts in /p:1",
			"25/inet chrooted: database server f:5432 by hosts in /p:1",
			"25/inet chrooted: database server a:390 by server_host in /l:1",
			"25/inet chrooted: database server /run/ldapi by server_host in /l:1",
			"25/inet chrooted: database server h:3306 by hosts in /m:1",
		}},
		"LDAP's ports": {"relay_recipient_maps = ldap:/l\n", smtpd, map[string]string{"/l": "server_host = ldaps://a/ b ldap://[::1] ldap://c:390\nserver_port = 391\n"}, []string{
			"25/inet chrooted: database server a:636 by server_host in /l:1",
			"25/inet chrooted: database server b:391 by server_host in /l:1",
			"25/inet chrooted: database server [::1]:389 by server_host in /l:1",
			"25/inet chrooted: database server c:390 by server_host in /l:1",
		}},
		"MariaDB's localhost is a socket even behind inet:": {"relay_recipient_maps = mysql:/m\n", smtpd, map[string]string{"/m": "hosts = inet:localhost:3306 /run/my\n"}, []string{
			"25/inet chrooted: database server /run/mysqld/mysqld.sock by hosts in /m:1",
			"25/inet chrooted: database server /run/my by hosts in /m:1",
		}},
		"memcache, its default, and what stands behind it": {"relay_recipient_maps = memcache:/m\n", smtpd, map[string]string{
			"/m": "backup = memcache:/n\n", "/n": "memcache = unix:/run/memcached\nbackup = memcache:/m\n",
		}, []string{
			"25/inet chrooted: memcache server localhost:11211 by memcache in /m:0",
			"25/inet chrooted: memcache server /run/memcached by memcache in /n:1",
		}},
		"a database file, and keys of a client, in a pipemap behind proxymap": {
			"relay_recipient_maps = proxy:pipemap:{sqlite:/s, mysql:/m}, pipemap:{inline:{a=b} proxy:sqlite:/s}\nproxy_read_maps = $relay_recipient_maps\n", smtpd + pm,
			map[string]string{"/s": "dbpath = /srv/x.db\n", "/m": "hosts = h\ntls_key_file = /etc/key.pem\ntls_CAfile = /etc/ca.pem\n"}, []string{
				"proxymap/unix chrooted: database file /srv/x.db by dbpath in /s:1",
				"proxymap/unix chrooted: database server h:3306 by hosts in /m:1",
				"proxymap/unix chrooted: certificate /etc/ca.pem by tls_CAfile in /m:3",
				"proxymap/unix chrooted: private key /etc/key.pem by tls_key_file in /m:2",
			},
		},
		"proxymap opens what options of other services name": {"", "25 inet n - y - - smtpd\n  -o { relay_recipient_maps = proxy:mysql:/m }\n" + pm, map[string]string{"/m": "hosts = unix:/run/my\n"}, []string{
			"proxymap/unix chrooted: database server /run/my by hosts in /m:1",
		}},
		"what proxymap only reads, and what it writes": {
			"relay_recipient_maps = proxy:mysql:/m\naddress_verify_map = proxy:memcache:/n\n", pm + "proxywrite unix - - n - 1 proxymap\n",
			map[string]string{"/m": "hosts = unix:/run/my\n", "/n": "memcache = unix:/run/mc\n"}, []string{
				"proxymap/unix chrooted: database server /run/my by hosts in /m:1",
				"proxywrite/unix outside: memcache server /run/mc by memcache in /n:1",
			},
		},
		"the old way, all in main.cf": {"relay_recipient_maps = ldap:dir\ndir_server_host = ldapi:///\n", smtpd, nil, []string{
			"25/inet chrooted: database server /var/run/slapd/ldapi by dir_server_host in /etc/postfix/main.cf:3",
		}},
		"a class of restrictions": {"smtpd_restriction_classes = c\nc = check_client_access mysql:/m\n", smtpd, map[string]string{"/m": "hosts = unix:/run/my\n"}, []string{
			"25/inet chrooted: database server /run/my by hosts in /m:1",
		}},
		"transports: inline, static, in the parts of a union, by a pattern": {
			"transport_maps = inline:{ {a.example = lmtp:unix:/run/a}, b.example=lmtp:unix:/run/b } static:lmtp:unix:/run/c unionmap:{regexp:/r, proxy:hash:/h} randmap:{lmtp:unix:/run/d, lmtp:unix:/run/e}\n",
			client, map[string]string{"/r": "# /x/ lmtp:unix:/none\n!/a b\\/ c/i   lmtp:unix:/run/f\n/open\n", "/h": "\nx\ty lmtp:unix:/run/g\nz lmtp:unix:/run/h\n"}, []string{
				"lmtp/unix chrooted: delivery /run/a by transport_maps in /etc/postfix/main.cf:2",
				"lmtp/unix chrooted: delivery /run/b by transport_maps in /etc/postfix/main.cf:2",
				"lmtp/unix chrooted: delivery /run/c by transport_maps in /etc/postfix/main.cf:2",
				"lmtp/unix chrooted: delivery /run/f by transport_maps in /r:2",
				"lmtp/unix chrooted: delivery /run/h by transport_maps in /h:3",
				"lmtp/unix chrooted: delivery /run/d by transport_maps in /etc/postfix/main.cf:2",
				"lmtp/unix chrooted: delivery /run/e by transport_maps in /etc/postfix/main.cf:2",
			},
		},
		"a filter that access(5), a header or another service's option names": {
			"smtpd_client_restrictions = check_client_access cidr:/c\nheader_checks = pcre:/h\n", "1 inet n - n - - smtpd -o content_filter=lmtp:unix:/run/o\n" + client,
			map[string]string{"/c": "10.0.0.0/8 FILTER lmtp:unix:/run/c\n", "/h": "/^x:/ filter lmtp:unix:/run/h\n/y/ FILTER smtp:unix:/none\n"}, []string{
				"lmtp/unix chrooted: delivery /run/o by content_filter in /etc/postfix/master.cf:1",
				"lmtp/unix chrooted: delivery /run/h by header_checks in /h:1",
				"lmtp/unix chrooted: delivery /run/c by smtpd_client_restrictions in /c:1",
			},
		},
		"milters and policies by clients": {"smtpd_milter_maps = cidr:/m\nsmtpd_restriction_classes = c d\nc = check_policy_service unix:/run/p\nsmtpd_recipient_restrictions = check_client_access texthash:/a\n", smtpd, map[string]string{
			"/m": "10.0.0.0/8 DISABLE\n0.0.0.0/0 unix:/run/m, {unix:/run/n, connect_timeout=1s}\n", "/a": "x reject_unauth_destination c\ny check_policy_service unix:/none\n",
		}, []string{
			"25/inet chrooted: milter /run/m by smtpd_milter_maps in /m:2",
			"25/inet chrooted: milter /run/n by smtpd_milter_maps in /m:2",
			"25/inet chrooted: policy service /run/p by c in /etc/postfix/main.cf:4",
		}},
		"trust anchors": {"smtp_tls_trust_anchor_file = /etc/a.pem b.pem\nsmtp_tls_policy_maps = texthash:/p\n", "smtp unix - - y - - smtp\n", map[string]string{
			"/p": "x secure tafile=/etc/c.pem tafile=/etc/d.pem\n",
		}, []string{
			"smtp/unix chrooted: trust anchor /etc/a.pem by smtp_tls_trust_anchor_file in /etc/postfix/main.cf:2",
			"smtp/unix chrooted: trust anchor /etc/c.pem by smtp_tls_policy_maps in /p:1",
			"smtp/unix chrooted: trust anchor /etc/d.pem by smtp_tls_policy_maps in /p:1",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, list(t, c.main, c.master, c.files)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A table with a line for each of a hundred thousand users leads to one socket, and costs a start no time to speak of.
func TestALargeTableNamesASocketOnce(t *testing.T) {
	var text strings.Builder
	for n := range 100_000 {
		fmt.Fprintf(&text, "user%d@example.com lmtp:unix:/run/lmtp\n", n)
	}
	got := list(t, "transport_maps = hash:/t\n", "lmtp unix - - y - - lmtp\n", map[string]string{"/t": text.String()})
	if diff := cmp.Diff([]string{"lmtp/unix chrooted: delivery /run/lmtp by transport_maps in /t:1"}, got); diff != "" {
		t.Error(diff)
	}
}

// What could not be read is told, with the place that names it.
func TestUnread(t *testing.T) {
	f, err := maincf.Parse([]byte("compatibility_level = 3.6\nrelay_recipient_maps = proxy:mysql:/m\ntransport_maps = hash:/h\n"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := mastercf.Parse([]byte("proxymap unix - - y - - proxymap\nlmtp unix - - n - - lmtp\n"))
	if err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	var got []inventory.Unread
	found := inventory.List(inventory.Input{Dir: "/etc/postfix", Main: f, Master: m,
		Read: func(string) ([]byte, error) { return nil, refused }, Unread: func(u inventory.Unread) { got = append(got, u) }})
	want := []inventory.Unread{
		{"proxymap/unix", true, "relay_recipient_maps", "/etc/postfix/main.cf", 2, "/m", refused},
		{"lmtp/unix", false, "transport_maps", "/etc/postfix/main.cf", 3, "/h", refused},
	}
	if len(found) > 0 || !cmp.Equal(got, want, cmp.Comparer(func(a, b error) bool { return a == b })) {
		t.Errorf("found %v, unread %v", found, got)
	}
}
