//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// latePackages are Debian's packages of map types, and the servers.
var latePackages = strings.Fields("postfix-pcre postfix-ldap postfix-mysql postfix-pgsql postfix-sqlite postfix-cdb postfix-lmdb " +
	"slapd ldap-utils mariadb-server postgresql sqlite3")

// serveMaps installs them and makes one table of each type, in which anna is to be rejected. The files with passwords are for group
// postfix only. MariaDB's account uses a way of authentication for which libmariadb has to load a plugin.
const serveMaps = `echo 'deb [trusted=yes] file:/maps ./' >> /etc/apt/sources.list
apt-get update -q >/dev/null 2>&1
debconf-set-selections <<END
slapd slapd/password1 password secret
slapd slapd/password2 password secret
slapd slapd/domain string example.test
END
apt-get install -y --no-install-recommends MAPPACKAGES >/root/apt.log 2>&1
ldapadd -x -D cn=admin,dc=example,dc=test -w secret >/dev/null <<END
dn: cn=anna,dc=example,dc=test
objectClass: inetOrgPerson
cn: anna
sn: anna
description: REJECT
END
mariadb -e "INSTALL SONAME 'auth_ed25519'; CREATE DATABASE m; CREATE TABLE m.t (k VARCHAR(20), v VARCHAR(20)); INSERT INTO m.t VALUES ('anna', 'REJECT');
	CREATE USER m@127.0.0.1 IDENTIFIED VIA ed25519 USING PASSWORD('secret'); GRANT SELECT ON m.* TO m@127.0.0.1"
cd /; runuser -u postgres -- psql -q -c "CREATE ROLE m LOGIN PASSWORD 'secret'" -c 'CREATE DATABASE m OWNER m'
PGPASSWORD=secret psql -q -h 127.0.0.1 -U m m -c 'CREATE TABLE t (k text, v text)' -c "INSERT INTO t VALUES ('anna', 'REJECT')"
cd /etc/postfix
sqlite3 t.db "CREATE TABLE t (k text, v text); INSERT INTO t VALUES ('anna', 'REJECT')"
printf 'server_host = ldap://127.0.0.1\nsearch_base = dc=example,dc=test\nquery_filter = (cn=%%u)\nresult_attribute = description\n' > t.ldap
for type in mysql pgsql; do
	printf "hosts = inet:127.0.0.1\nuser = m\npassword = secret\ndbname = m\nquery = SELECT v FROM t WHERE k='%%u'\n" > t.$type
	chgrp postfix t.$type; chmod 640 t.$type
done
printf "dbpath = /etc/postfix/t.db\nquery = SELECT v FROM t WHERE k='%%u'\n" > t.sqlite
echo '/^anna/ REJECT' > t.pcre
for type in cdb lmdb hash; do printf 'anna REJECT\nanna@ REJECT\n' > t.$type; postmap $type:t.$type; done
postconf -F proxymap/unix/chroot=y
postconf -e service_throttle_time=1s inet_protocols=ipv4 smtpd_delay_reject=yes mydestination=localhost,example.test smtpd_peername_lookup=no
systemctl restart postfix
`

// lateTypes are the types tested, with a file among those copied for it which a lookup can do without, as a pattern.
var lateTypes = map[string]string{
	"pcre": "", "sqlite": "", "cdb": "", "lmdb": "", "hash": "", "pgsql": "",
	"ldap":  "/ldap.conf$|/ca-certificates.crt$",
	"mysql": "/plugin/(dialog|mysql_clear|sha256|caching|auth_gssapi|auth_|zstd|parsec|[a-z]*_?kerberos)|libgssapi|libkrb5|libk5crypto|libcom_err|libkeyutils",
}

// askProxymap looks anna up through the running proxymap.
const askProxymap = `[ "$(timeout $2 postmap -q anna proxy:$1:/etc/postfix/t.$1)" = REJECT ]`

// askSMTPD has the running smtpd look the recipient up by itself.
const askSMTPD = `exec 3<>/dev/tcp/127.0.0.1/25; for line in 'HELO x' 'MAIL FROM:<>' 'RCPT TO:<anna@example.test>' QUIT; do
	read -r answer <&3; printf '%s\r\n' "$line" >&3; done; [[ $answer == "554 "*"rejected: Access denied"* ]]`

// TestChrootMaps looks tables of every type up through a chrooted proxymap and a chrooted smtpd; each file that was copied for a type is
// needed.
func TestChrootMaps(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		opt := installed(ctx, t, release, product.Ours)
		packages, err := session.Packages(ctx, release, "map-servers", latePackages...)
		if err != nil {
			t.Fatal(err)
		}
		opt.Binds[packages] = "/maps"
		h := boot(ctx, t, "mx", opt)
		sh(ctx, t, h, strings.Replace(serveMaps, "MAPPACKAGES", strings.Join(latePackages, " "), 1))
		plain := kept(ctx, t, h)
		for _, typ := range slices.Sorted(maps.Keys(lateTypes)) {
			table := typ + ":/etc/postfix/t." + typ
			sh(ctx, t, h, fmt.Sprintf("postconf -e 'virtual_alias_maps = proxy:%s' 'smtpd_recipient_restrictions = check_recipient_access %s, reject'\n"+
				"systemctl reload postfix@-\n"+fresh, table, table))
			// A proxymap that lacks a library ends, and postmap(1) tries again and again: that is given up after 2 seconds.
			ask := func(script string, limit int) error {
				_, err := h.Sh(ctx, fmt.Sprintf("set -- %s %d\n%s", typ, limit, script))
				return err
			}
			for service, script := range map[string]string{"proxymap": askProxymap, "smtpd": askSMTPD} {
				if err := ask(script, 60); err != nil {
					t.Errorf("%s through %s: %v\n%s", typ, service, err, sh(ctx, t, h, "tail -n 20 /var/log/mail.log"))
				}
			}
			for _, name := range kept(ctx, t, h) {
				if slices.Contains(plain, name) {
					continue
				}
				hide(ctx, t, h, name, lateTypes[typ], func() error { return ask(askProxymap, 2) })
			}
		}
		secrets(ctx, t, h)
	})
}

// fresh makes the next lookup start another proxymap.
const fresh = "if p=$(pgrep -x proxymap); then kill $p || true; while pgrep -x proxymap >/dev/null; do sleep 0.02; done; fi"

// hide takes a copied file away and asks a fresh proxymap: that must fail, unless the file is one that a lookup can do without.
func hide(ctx context.Context, t *testing.T, h *hosts.Host, name, spare string, ask func() error) {
	t.Helper()
	file := "/var/spool/postfix/" + name
	sh(ctx, t, h, fmt.Sprintf("mv %s /root/hidden; %s", file, fresh))
	err := ask()
	sh(ctx, t, h, fmt.Sprintf("mv /root/hidden %s; %s", file, fresh))
	if _, spared := h.Sh(ctx, fmt.Sprintf("[ -n %q ] && echo %s | grep -qE %q", spare, name, spare)); err == nil && spared != nil {
		t.Errorf("%s is not needed", name)
	}
}

// secrets looks at owner and mode of what holds a password (C05).
func secrets(ctx context.Context, t *testing.T, h *hosts.Host) {
	t.Helper()
	out := sh(ctx, t, h, `postconf -e 'virtual_alias_maps = proxy:mysql:/etc/postfix/t.mysql'; systemctl reload postfix@-
		stat -c '%a %U %G' /var/spool/postfix/etc/postfix/t.mysql`)
	if strings.TrimSpace(out) != "640 root postfix" {
		t.Errorf("the copy of a file with a password is %s", out)
	}
}

// kept lists the files that are ours in the primary instance's queue directory.
func kept(ctx context.Context, t *testing.T, h *hosts.Host) []string {
	t.Helper()
	ours := map[string]bool{}
	lists := json.NewDecoder(strings.NewReader(sh(ctx, t, h, "cd /var/lib/postfix-maint/chroot; cat ./-; cat ./-+ 2>/dev/null || :")))
	for lists.More() { // the list, and a line for each change since it was written
		var list struct {
			Files map[string]*string `json:"files"`
		}
		if err := lists.Decode(&list); err != nil {
			t.Fatal(err)
		}
		for name, line := range list.Files {
			if ours[name] = true; line == nil {
				delete(ours, name)
			}
		}
	}
	return slices.Sorted(maps.Keys(ours))
}
