package chroot

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/elfdep/elfdeptest"
)

const (
	proxymapped = chrooted + "proxymap unix - - y - - proxymap\n"
	level       = "compatibility_level = 3.6\nmyhostname = a.example\n"
)

// tables are the files of map types and of the tables that use them.
func tables() map[string]string {
	lib := func(needed ...string) string { return string(elfdeptest.Object{Needed: needed}.Bytes()) }
	return map[string]string{
		"usr/lib/postfix/sbin/proxymap":     lib("libpostfix-util.so", "libc.so.6"),
		multi + "libpostfix-util.so":        lib("libcrypto.so.3", "libc.so.6"), // as on sid
		multi + "libcrypto.so.3":            lib("libc.so.6"),
		"usr/lib/postfix/postfix-pcre.so":   lib("libpcre.so.3", "libpostfix-util.so", "libc.so.6"),
		"usr/lib/postfix/postfix-ldap.so":   lib("libldap.so.2"),
		multi + "libpcre.so.3":              lib("libc.so.6"),
		multi + "libldap.so.2":              lib("liblber.so.2"),
		multi + "liblber.so.2":              lib(),
		multi + "libmariadb3/plugin/ed.so":  lib("libdep.so.1", "libcrypto.so.3"),
		multi + "libmariadb3/plugin/x.conf": "none",
		"etc/postfix/dynamicmaps.cf":        "# type\npcre\tpostfix-pcre.so\tdict_pcre_open\nldap\t/usr/lib/postfix/postfix-ldap.so\tdict_ldap_open\n",
		"etc/postfix/t.pcre":                "/x/ y\n",
		"etc/postfix/t.db":                  "hash",
		"etc/postfix/sql":                   "dbpath = /srv/t.sqlite\n",
		"srv/t.sqlite":                      "data",
		"etc/postfix/dir":                   "server_host = h\ntls_ca_cert_file = /etc/dir.pem\n",
		"etc/dir.pem":                       "cert",
		"etc/ldap/ldap.conf":                "TLS_CACERT\t/etc/ca.pem\n",
		"etc/ca.pem":                        "cert",
		"etc/postfix/my":                    "hosts = inet:127.0.0.1\n",
		"etc/postfix/local":                 "user = m\n",
	}
}

// chain is a main.cf in which each parameter leads to the next.
func chain(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d = $a%d x\n", i, i+1)
	}
	return b.String()
}

func TestMaps(t *testing.T) {
	t.Parallel()
	const pcre = "etc/postfix/t.pcre " + multi + "libpcre.so.3 usr/lib/postfix/postfix-pcre.so"
	const dir = "etc/ca.pem etc/dir.pem etc/ldap/ldap.conf"
	for name, c := range map[string]struct {
		main, master string
		want         string // beyond standard
		warned       []string
	}{
		"through an unchrooted proxymap nothing is needed": {main: "virtual_alias_maps = proxy:pcre:/etc/postfix/t.pcre, proxy:ldap:/etc/postfix/dir\n"},
		"through a chrooted one the module and the table": {
			main: "virtual_alias_maps = proxy:pcre:/etc/postfix/t.pcre\n", master: proxymapped, want: pcre,
		},
		"in pipemap's braces, and behind a macro": {
			main: "d = $config_directory\nvirtual_alias_maps = pipemap:{proxy:pcre:$d/t.pcre, inline:{a=b}}\n", master: proxymapped, want: pcre,
		},
		"behind thousands of macros that lead to macros": {
			main: chain(2000) + "virtual_alias_maps = proxy:pcre:/etc/postfix/t.pcre\n", master: proxymapped, want: pcre,
		},
		"in an option of a service": {
			master: proxymapped + "x inet n - y - - smtpd -o { virtual_alias_maps = static:x proxy:pcre:/etc/postfix/t.pcre }\n", want: pcre,
		},
		"an indexed file, and a built-in type": {
			main: "transport_maps = proxy:hash:/etc/postfix/t\n", master: proxymapped, want: "etc/postfix/t.db",
		},
		"sqlite has a database beside": {
			main: "transport_maps = proxy:sqlite:/etc/postfix/sql\n", master: proxymapped, want: "etc/postfix/sql srv/t.sqlite",
		},
		"another service opens its table before, and connects later": {main: "virtual_alias_maps = ldap:/etc/postfix/dir\n", want: dir},
		"the module, the table and what the connection needs": {
			main: "virtual_alias_maps = proxy:ldap:/etc/postfix/dir\n", master: proxymapped,
			want: dir + " etc/postfix/dir " + multi + "liblber.so.2 " + multi + "libldap.so.2 usr/lib/postfix/postfix-ldap.so",
		},
		"plugins of libmariadb": {main: "transport_maps = mysql:/etc/postfix/my\n", want: multi + "libmariadb3/plugin/ed.so"},
		"a socket of the host's (C16)": {
			main: "transport_maps = mysql:/etc/postfix/local\n", want: multi + "libmariadb3/plugin/ed.so",
		},
		"a table that is not there": {
			main: "transport_maps = proxy:hash:/etc/postfix/none\n", master: proxymapped, warned: []string{`"/etc/postfix/none.db"`},
		},
		"tables of local(8)": {main: "mailbox_command_maps = mysql:/etc/postfix/local\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			over := tables()
			if c.master == "" {
				c.master = chrooted
			}
			maps.Copy(over, map[string]string{"etc/postfix/main.cf": level + "local_recipient_maps =\n" + c.main, "etc/postfix/master.cf": c.master})
			root := host(t, over)
			r := apply(t, root)
			warned(t, r, c.warned...)
			var got []string
			for _, name := range inQueue(t, root) {
				if !strings.Contains(" "+strings.Join(standard, " ")+" ", " "+name+" ") {
					got = append(got, name)
				}
			}
			want(t, "beyond the standard", got, sortedFields(c.want))
		})
	}
}

func sortedFields(s string) []string {
	if s == "" {
		return nil
	}
	f := strings.Fields(s)
	slices.Sort(f)
	return f
}
