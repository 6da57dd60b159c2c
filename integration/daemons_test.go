//go:build integration

package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// daemon is one of Debian's, unchanged as its package installs it, that Postfix is led to.
type daemon struct {
	name     string
	packages string
	unit     string // of systemd
	set      string // what an administrator sets up in the daemon, for its work and not for its socket
	main     string // parameters of main.cf, an argument of postconf -e each; those of daemons with the same name are one list
	ready    string // holds once it answers
	header   string // of a message that went through it
	seen     string // a command that finds the message $qid or $subject with it, where no header tells
	wrong    []wrong
}

// wrong is one thing that is wrong with a daemon or its path, and what "chroot check" says of it: a parameter, with the line, and why.
type wrong struct {
	what, do, undo string
	says           string // a regular expression
}

// led are the daemons that Postfix is led to, the order in which a message meets them.
var led = []daemon{
	{
		name: "Dovecot's auth", packages: "dovecot-core libsasl2-modules", unit: "dovecot", main: "smtpd_sasl_auth_enable=yes smtpd_sasl_type=dovecot smtpd_sasl_path=/run/dovecot/auth-client",
		seen: `grep -q 'Authentication succeeded\|235 2.7.0' /tmp/swaks`,
		wrong: []wrong{
			{"a slip in the path", "postconf -e smtpd_sasl_path=/run/dovecot/auth-clien", "", `SASL server "/run/dovecot/auth-clien" \(smtpd_sasl_path, /etc/postfix/main.cf:[0-9]+\): nobody listens .*no such socket.*somebody listens at "/run/dovecot/auth-client"`},
		},
	},
	{
		name: "memcached", packages: "memcached", unit: "memcached", header: "X-Memcached: seen",
		set:  `printf 'memcache = inet:localhost:11211\nkey_format = postfix:%%s\n' > /etc/postfix/memcached.cf`,
		main: "smtpd_recipient_restrictions=check_client_access,memcache:/etc/postfix/memcached.cf",
		// It forgets all when it is restarted.
		ready: `printf 'set postfix:127.0.0.1 0 0 25\r\nPREPEND X-Memcached: seen\r\nquit\r\n' | nc -N 127.0.0.1 11211 | grep STORED`,
		wrong: []wrong{{"stopped", "systemctl stop memcached", "systemctl start memcached", `memcache server "localhost:11211" \(memcache, /etc/postfix/memcached.cf:1\): nobody listens`}},
	},
	{
		name: "MariaDB", packages: "mariadb-server postfix-mysql", unit: "mariadb", header: "X-MariaDB: seen",
		// It lets in whom the account of the client names.
		set: `mariadb -e "CREATE DATABASE mail; CREATE TABLE mail.a (v text); INSERT INTO mail.a VALUES ('PREPEND X-MariaDB: seen');
				CREATE USER postfix@localhost IDENTIFIED VIA unix_socket; GRANT SELECT ON mail.* TO postfix@localhost"
			printf 'user = postfix\ndbname = mail\nquery = SELECT v FROM a\n' > /etc/postfix/mariadb.cf`,
		main: "smtpd_recipient_restrictions=check_sender_access,mysql:/etc/postfix/mariadb.cf",
		wrong: []wrong{
			{"stopped", "systemctl stop mariadb", "systemctl start mariadb", `database server "/run/mysqld/mysqld.sock" \(hosts, /etc/postfix/mariadb.cf.*nobody listens .* start its daemon`},
			{"private", "chmod 0700 /run/mysqld", "chmod 0755 /run/mysqld", `database server "/run/mysqld/mysqld.sock".*account postfix may not use .*"/run/mysqld" has the mode 0700; let its daemon`},
			{"another path", "echo hosts = unix:/run/mysqld/my.sock >> /etc/postfix/mariadb.cf", "sed -i /hosts/d /etc/postfix/mariadb.cf", `"/run/mysqld/my.sock" \(hosts, /etc/postfix/mariadb.cf:4\): .*no such socket.*correct the path`},
			{"a slip in the path", "echo hosts = unix:/run/mysqld/mysql.sock >> /etc/postfix/mariadb.cf", "sed -i /hosts/d /etc/postfix/mariadb.cf", `\(hosts, /etc/postfix/mariadb.cf:4\): .*somebody listens at "/run/mysqld/mysqld.sock"`},
		},
	},
	{
		name: "MariaDB by proxymap", header: "X-Proxied-MariaDB: seen",
		set:  `sed "s/SELECT v/SELECT REPLACE(v, 'X-', 'X-Proxied-')/" /etc/postfix/mariadb.cf > /etc/postfix/mariadb-proxied.cf`,
		main: "smtpd_recipient_restrictions=check_sender_access,proxy:mysql:/etc/postfix/mariadb-proxied.cf",
	},
	{
		name: "PostgreSQL", packages: "postgresql postfix-pgsql", unit: "postgresql", header: "X-PostgreSQL: seen",
		set: `cd /; runuser -u postgres -- psql -qc 'CREATE ROLE postfix LOGIN' -c 'CREATE DATABASE mail OWNER postfix'
			runuser -u postgres -- psql -q mail -c 'CREATE TABLE a (v text)' -c "INSERT INTO a VALUES ('PREPEND X-PostgreSQL: seen')" -c 'GRANT SELECT ON a TO postfix'
			printf 'hosts = unix:/run/postgresql\nuser = postfix\ndbname = mail\nquery = SELECT v FROM a\n' > /etc/postfix/postgresql.cf`,
		main: "smtpd_recipient_restrictions=check_sender_access,pgsql:/etc/postfix/postgresql.cf",
		wrong: []wrong{
			{"stopped", "systemctl stop 'postgresql@*-main.service'", "systemctl restart postgresql", `database server "/run/postgresql/.s.PGSQL.5432" \(hosts, /etc/postfix/postgresql.cf:1\): nobody listens`},
			{"private", "chmod 0700 /run/postgresql", "chmod 2775 /run/postgresql", `database server "/run/postgresql/.s.PGSQL.5432".*account postfix may not use .*"/run/postgresql" has the mode 0700`},
			{"another path", "sed -i s,/run/postgresql,/run/pg, /etc/postfix/postgresql.cf", "sed -i s,/run/pg,/run/postgresql, /etc/postfix/postgresql.cf", `"/run/pg/.s.PGSQL.5432" \(hosts, /etc/postfix/postgresql.cf:1\): .*no such socket`},
		},
	},
	{
		name: "PostgreSQL by proxymap", header: "X-Proxied-PostgreSQL: seen",
		set:  `sed "s/SELECT v/SELECT REPLACE(v, 'X-', 'X-Proxied-')/" /etc/postfix/postgresql.cf > /etc/postfix/postgresql-proxied.cf`,
		main: "smtpd_recipient_restrictions=check_sender_access,proxy:pgsql:/etc/postfix/postgresql-proxied.cf",
	},
	{
		name: "postgrey", packages: "postgrey", unit: "postgrey", set: "echo anna@localhost > /etc/postgrey/whitelist_recipients.local; systemctl restart postgrey",
		main: "smtpd_recipient_restrictions=check_policy_service,inet:127.0.0.1:10023", ready: "nc -z 127.0.0.1 10023",
		seen:  `[ "$(journalctl -q --no-pager -t postgrey | grep -c 'action=pass')" -gt "$grey" ]`,
		wrong: []wrong{{"stopped", "systemctl stop postgrey", "systemctl start postgrey", `policy service "127.0.0.1:10023" \(smtpd_recipient_restrictions, /etc/postfix/main.cf:[0-9]+\): nobody listens`}},
	},
	{
		name: "policyd-spf", packages: "postfix-policyd-spf-python", header: "X-Comment: SPF",
		set: `for c in /etc/postfix*; do if [ -e $c/main.cf ]; then
			postconf -c $c -M 'policyd-spf/unix=policyd-spf unix - n n - 0 spawn user=policyd-spf argv=/usr/bin/policyd-spf'; fi; done`,
		main: "smtpd_recipient_restrictions=check_policy_service,unix:private/policyd-spf",
		wrong: []wrong{
			{"a slip in the name", `postconf -e "$(postconf smtpd_recipient_restrictions | sed s,private/policyd-spf,private/policy-spf,)"`, "", `policy service "private/policy-spf" \(smtpd_recipient_restrictions, /etc/postfix/main.cf:[0-9]+\): nobody listens .*no such socket`},
		},
	},
	{
		name: "opendkim", packages: "opendkim opendkim-tools", unit: "opendkim", main: "smtpd_milters=unix:/run/opendkim/opendkim.sock", header: "DKIM-Signature: ",
		set: `opendkim-genkey -D /etc/dkimkeys -d localhost -s s; chown opendkim /etc/dkimkeys/s.*
			printf 'Domain localhost\nSelector s\nKeyFile /etc/dkimkeys/s.private\n' >> /etc/opendkim.conf; systemctl restart opendkim`,
		wrong: []wrong{
			{"stopped", "systemctl stop opendkim", "systemctl start opendkim", `milter "/run/opendkim/opendkim.sock" \(smtpd_milters, /etc/postfix/main.cf:[0-9]+\): nobody listens .* start its daemon`},
			{"another path", "postconf -e smtpd_milters=unix:/run/opendkim/dkim", "", `milter "/run/opendkim/dkim" \(smtpd_milters, .*no such socket: start its daemon, or correct the path`},
			{"a slip in the path", "postconf -e smtpd_milters=unix:/run/opendkm/opendkim.sock", "", `milter "/run/opendkm/opendkim.sock" \(smtpd_milters, .*somebody listens at "/run/opendkim/opendkim.sock"`},
			{"a slash too few", "postconf -e smtpd_milters=unix:run/opendkim/opendkim.sock", "", `milter "run/opendkim/opendkim.sock" \(smtpd_milters, .*no such socket.*somebody listens at "/run/opendkim/opendkim.sock"`},
		},
	},
	{
		name: "rspamd", packages: "rspamd redis-server", unit: "rspamd redis-server", main: "smtpd_milters=inet:localhost:11332", ready: "nc -z 127.0.0.1 11332",
		seen:  `grep -q "qid: <$qid>" /var/log/rspamd/rspamd.log`,
		wrong: []wrong{{"stopped", "systemctl stop rspamd", "systemctl start rspamd", `milter "localhost:11332" \(smtpd_milters, /etc/postfix/main.cf:[0-9]+\): nobody listens`}},
	},
	{
		name: "Dovecot's LMTP", packages: "dovecot-lmtpd", main: "mailbox_transport=lmtp:unix:/run/dovecot/lmtp", header: "Received: .*with LMTP",
		set: `format=%Ln; [ RELEASE = bookworm ] || format='%{user|username|lower}'
			echo "auth_username_format = $format" > /etc/dovecot/conf.d/99-name.conf; systemctl restart dovecot`,
		wrong: []wrong{
			{"stopped", "systemctl stop dovecot", "systemctl start dovecot", `delivery "/run/dovecot/lmtp" \(mailbox_transport, /etc/postfix/main.cf:[0-9]+\): nobody listens`},
			{"a slip in the path", "postconf -e mailbox_transport=lmtp:unix:/run/dovecot/lmpt", "", `delivery "/run/dovecot/lmpt" .*somebody listens at "/run/dovecot/lmtp"`},
		},
	},
}

// message sends one through the instance at the port, and names each daemon that has not seen it.
func message(ctx context.Context, t *testing.T, h *hosts.Host, step string, port int) {
	t.Helper()
	var asks strings.Builder
	for _, d := range led {
		seen := d.seen
		if d.header != "" {
			seen = fmt.Sprintf("tr '\\n\\t' '  ' < /var/mail/anna | grep -q '%s'", d.header)
		}
		fmt.Fprintf(&asks, "if ! { %s; }; then echo %q; fi\n", seen, d.name)
	}
	out, err := h.Sh(ctx, fmt.Sprintf(`: > /var/mail/anna; grey=$(journalctl -q --no-pager -t postgrey | grep -c 'action=pass' || true)
		swaks --server 127.0.0.1:%d --from anna@localhost --to anna@localhost --auth PLAIN --au anna --ap secret > /tmp/swaks || { tail -n 9 /tmp/swaks; tail -n 30 /var/log/mail.log; exit 1; }
		qid=$(sed -n 's/.*queued as //p' /tmp/swaks | tr -dc A-Za-z0-9)
		for n in $(seq 600); do if [ -s /var/mail/anna ]; then break; fi; sleep .1; done
		[ -s /var/mail/anna ] || { postqueue -p; tail -n 30 /var/log/mail.log; exit 1; }
		sleep .1
		%s`, port, asks.String()))
	if err != nil || strings.TrimSpace(out) != "" {
		t.Errorf("%s: the message has not been with: %s %v", step, out, err)
	}
}

// withDaemons gives the options of a host with our Postfix and all of the daemons.
func withDaemons(ctx context.Context, t *testing.T, release string) hosts.Options {
	t.Helper()
	packages := []string{"swaks"}
	for _, d := range led {
		packages = append(packages, strings.Fields(d.packages)...)
	}
	opt, err := product.With(ctx, session, installed(ctx, t, release, product.Ours), "daemons", packages...)
	if err != nil {
		t.Fatal(err)
	}
	opt, err = session.Layer(ctx, "daemons-ready-"+release, opt, func(h *hosts.Host) error {
		if err := h.Boot(ctx); err != nil {
			return err
		}
		_, err := h.Sh(ctx, `apt-get install -y --no-install-recommends `+strings.Join(packages, " ")+`
			useradd -m anna; echo anna:secret | chpasswd; touch /var/mail/anna; chown anna:mail /var/mail/anna`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return opt
}

// leadTo sets up the daemons, and the instance's configuration for all of them.
func leadTo(release string) string {
	var script strings.Builder
	values := map[string][]string{}
	var order []string
	for _, d := range led {
		script.WriteString("(" + strings.ReplaceAll(d.set+"\n:", "RELEASE", release) + ")\n")
		for _, setting := range strings.Fields(d.main) {
			name, value, _ := strings.Cut(setting, "=")
			if values[name] == nil {
				order = append(order, name)
			}
			values[name] = append(values[name], strings.ReplaceAll(value, ",", " "))
		}
	}
	for _, name := range order {
		fmt.Fprintf(&script, "postconf -e '%s=%s'\n", name, strings.Join(values[name], " "))
	}
	return script.String() + "postconf -e service_throttle_time=1s; postconf -F proxymap/unix/chroot=y\n"
}

// afresh has the next message handled by processes without old connections: one of Postfix 3.7 whose connection to MariaDB ended answers 451
// once, in a chroot and out of it. For one that ends before it has served anybody, master waits for service_throttle_time.
const afresh = "pkill -x smtpd || true; pkill -x proxymap || true"

// TestDaemons sends mail through Debian's daemons at their own sockets from the chroot, through every kind of restart, and breaks each of
// them in turn.
func TestDaemons(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := boot(ctx, t, "mail", withDaemons(ctx, t, release))
		const postfixIsIn = "id -Gn postfix"
		groups := sh(ctx, t, h, postfixIsIn)
		sh(ctx, t, h, leadTo(release)+"systemctl restart postfix")
		var units []string
		ready := "postfix-maint chroot check"
		for _, d := range led {
			units = append(units, strings.Fields(d.unit)...)
			if d.ready != "" {
				ready += " && " + d.ready
			}
		}
		arrive := func(step string, port int) {
			t.Helper()
			// MariaDB and rspamd take their time on a machine with other work.
			sh(ctx, t, h, fmt.Sprintf(`n=0; until { %s; } > /tmp/ready 2>&1; do n=$((n+1)); if [ $n = 240 ]; then
				echo '%s: not all daemons answer'; cat /tmp/ready; exit 1; fi; sleep .5; done`, ready+fmt.Sprintf(" && nc -z 127.0.0.1 %d", port), step))
			message(ctx, t, h, step, port)
		}
		arrive("at first", 25)
		sh(ctx, t, h, "systemctl restart "+strings.Join(units, " ")+"\n"+afresh)
		arrive("the daemons were restarted", 25)
		sh(ctx, t, h, "systemctl restart postfix")
		arrive("Postfix was restarted", 25)
		if err := h.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := h.Boot(ctx); err != nil {
			t.Fatal(err)
		}
		arrive("the host was rebooted", 25)
		sh(ctx, t, h, "postfix-maint chroot off; postfix-maint chroot on; postconf -F proxymap/unix/chroot=y; systemctl reload postfix@-")
		arrive("the chroot was off and on", 25)
		sh(ctx, t, h, `postfix-maint instance create two --from - --disabled; cd /etc/postfix-two
			postconf -c . -MX smtp/inet; postconf -c . -M '2525/inet=2525 inet n - y - - smtpd'; postfix-maint instance enable two`)
		await(ctx, t, h, "the second instance runs", "nc -z 127.0.0.1 2525")
		arrive("the second instance", 2525)
		if got := sh(ctx, t, h, postfixIsIn); got != groups {
			t.Errorf("Postfix is in the groups %s now, and was in %s", got, groups)
		}
		for _, d := range led {
			for _, w := range d.wrong {
				brokenDaemon(ctx, t, h, d.name+", "+w.what, w)
			}
		}
		sh(ctx, t, h, afresh)
		arrive("all is mended", 25)
	})
}

// brokenDaemon looks for what the check says when one thing is wrong.
func brokenDaemon(ctx context.Context, t *testing.T, h *hosts.Host, name string, w wrong) {
	t.Helper()
	out, err := h.Sh(ctx, fmt.Sprintf(`cp -p /etc/postfix/main.cf /root/main.cf
		%s
		code=0; postfix-maint chroot check - > /tmp/said 2>&1 || code=$?
		cp -p /root/main.cf /etc/postfix/main.cf
		%s
		if [ $code != 1 ] || ! grep -qE '%s' /tmp/said; then echo "exit $code"; grep -v ^foreign /tmp/said || true; fi`, w.do, w.undo, w.says))
	if err != nil || strings.TrimSpace(out) != "" {
		t.Errorf("%s: %s %v, want %s", name, out, err, w.says)
	}
}
