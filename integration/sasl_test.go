//go:build integration

package integration

import (
	"context"
	"strings"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// withSASL gives the options of a host with our Postfix and all that checks passwords, with an account of the system.
func withSASL(ctx context.Context, t *testing.T, release string) hosts.Options {
	t.Helper()
	opt, err := product.With(ctx, session, installed(ctx, t, release, product.Ours), "sasl",
		"sasl2-bin", "libsasl2-modules-db", "dovecot-core", "swaks")
	if err != nil {
		t.Fatal(err)
	}
	opt, err = session.Layer(ctx, "sasl-ready-"+release, opt, func(h *hosts.Host) error {
		if err := h.Boot(ctx); err != nil {
			return err
		}
		_, err := h.Sh(ctx, `apt-get install -y --no-install-recommends sasl2-bin libsasl2-modules-db dovecot-core swaks
			useradd -m anna; echo anna:secret-A | chpasswd
			grep -q ^START= /etc/default/saslauthd || echo START=yes >> /etc/default/saslauthd
			systemctl disable --now saslauthd dovecot`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return opt
}

// logIn tries mechanisms with a right and a wrong password on a port, as "MECHANISM right|wrong RESULT" lines; 235 is success, 535 not.
const logIn = `cat > /usr/local/bin/log-in <<'END'
#!/bin/sh
# log-in PORT USER PASSWORD
for password in "$3" "no-$3"; do
	for mech in PLAIN LOGIN; do
		swaks --server 127.0.0.1 --port $1 -q AUTH -a $mech -au $2 -ap "$password" > /tmp/swaks 2>&1
		[ "$password" = "$3" ] && which=right || which=wrong
		echo "$mech $which $(sed -nE 's/^<[-*~ ]+ ([245]35) .*/\1/p' /tmp/swaks)"
	done
done
END
chmod +x /usr/local/bin/log-in
`

const loggedIn = "PLAIN right 235\nLOGIN right 235\nPLAIN wrong 535\nLOGIN wrong 535\n"

// way is one of the ways to check a password.
type way struct {
	name, set string // set up
	port      string
	user      string
	restart   string // of what checks passwords
	units     string // ours that must stand then
	left      string // below the queue directory then
}

var ways = []way{
	{
		name: "saslauthd", port: "25", user: "anna",
		set:     `printf 'pwcheck_method: saslauthd\nmech_list: PLAIN LOGIN\n' > /etc/postfix/sasl/smtpd.conf; postconf -e smtpd_sasl_auth_enable=yes`,
		restart: "systemctl restart saslauthd", units: "postfix-saslauthd@-.socket", left: "var/run/saslauthd/mux",
	},
	{
		name: "saslauthd that starts after Postfix, in a directory that was not there", port: "25", user: "anna",
		set:     "systemctl stop saslauthd; rm -rf /run/saslauthd; systemctl restart postfix; systemctl start saslauthd",
		restart: "systemctl stop saslauthd; rm -rf /run/saslauthd; systemctl start saslauthd", units: "postfix-saslauthd@-.socket",
		left: "var/run/saslauthd/mux",
	},
	{
		name: "sasldb", port: "25", user: "dora@mail.example.test",
		set: `printf 'pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n' > /etc/postfix/sasl/smtpd.conf
			echo secret-A | saslpasswd2 -p -c -u mail.example.test dora`,
		// No daemon here: another account comes, and the password must hold on without a restart of Postfix.
		restart: `echo other | saslpasswd2 -p -c -u mail.example.test emma
			timeout 30 sh -c 'until cmp -s /etc/sasldb2 /var/spool/postfix/etc/sasldb2; do sleep 0.1; done'`, left: "etc/sasldb2",
	},
	{
		name: "Dovecot's socket in the queue directory, for one service of master.cf", port: "587", user: "anna",
		set: `postconf -e smtpd_sasl_auth_enable=no
			printf '587 inet n - y - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_sasl_type=dovecot -o smtpd_sasl_path=private/auth\n' >> /etc/postfix/master.cf
			printf '%s\n' 'service auth {' 'unix_listener /var/spool/postfix/private/auth {' 'mode = 0600' 'user = postfix' '}' '}' 'auth_mechanisms = plain login' \
				> /etc/dovecot/conf.d/99-postfix.conf`,
		restart: "systemctl restart dovecot", left: "private/auth",
	},
	{
		name: "Dovecot's own socket", port: "587", user: "anna",
		set:     "sed -i s,private/auth,/run/dovecot/auth-client, /etc/postfix/master.cf; printf 'auth_mechanisms = plain login\n' > /etc/dovecot/conf.d/99-postfix.conf",
		restart: "systemctl restart dovecot", units: "postfix-dovecot@-.socket", left: "run/dovecot/auth-client",
	},
}

// TestSASL shows that SMTP AUTH works in a chrooted smtpd, before and after a restart of what checks the passwords (T05), and that
// nothing of it is left without need.
func TestSASL(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := boot(ctx, t, "mail", withSASL(ctx, t, release))
		sh(ctx, t, h, logIn+"postconf -e smtpd_sasl_local_domain=mail.example.test; systemctl start saslauthd dovecot")
		units := func() string {
			return strings.TrimSpace(sh(ctx, t, h, "systemctl list-units --plain --no-legend --state=active 'postfix-*.socket' | cut -d' ' -f1"))
		}
		for _, w := range ways {
			sh(ctx, t, h, w.set+"\nsystemctl restart dovecot; systemctl reload postfix")
			await(ctx, t, h, "port "+w.port+" answers", "nc -z 127.0.0.1 "+w.port)
			for _, when := range []string{"at first", "after a restart"} {
				if got := sh(ctx, t, h, "log-in "+w.port+" "+w.user+" secret-A"); got != loggedIn {
					t.Errorf("%s, %s:\n%s%s", w.name, when, got, sh(ctx, t, h, "tail -n 20 /var/log/mail.log; journalctl -n 20 --no-pager"))
				}
				sh(ctx, t, h, w.restart)
			}
			if got := units(); got != w.units {
				t.Errorf("%s: units %q, want %q", w.name, got, w.units)
			}
			sh(ctx, t, h, "ls /var/spool/postfix/"+w.left)
			await(ctx, t, h, w.name+": the check finds nothing wrong", "postfix-maint chroot check")
		}
		// In a directory of another account nothing is made by its name: not at a restart, when systemd binds again by itself, nor later.
		sh(ctx, t, h, `cd /var/spool/postfix; chown postfix run/dovecot; systemctl restart postfix
			if systemctl -q is-active postfix-dovecot@-.socket; then exit 1; fi
			postfix-maint chroot check 2>&1 | grep 'no relay.*"/var/spool/postfix/run/dovecot", which belongs to .*(chown root)'
			chown root run/dovecot; systemctl restart postfix`)
		await(ctx, t, h, "port 587 answers", "nc -z 127.0.0.1 587")
		if got := sh(ctx, t, h, "log-in 587 anna secret-A"); got != loggedIn {
			t.Errorf("root's again:\n%s", got)
		}
		sh(ctx, t, h, "sed -i /^587/d /etc/postfix/master.cf; systemctl reload postfix")
		if got := units(); got != "" {
			t.Errorf("without SMTP AUTH there are units %q", got)
		}
		if got := sh(ctx, t, h, "cd /var/spool/postfix; ls -d var run etc/sasldb2 2>/dev/null || true; systemctl --failed --no-legend --plain"); got != "" {
			t.Errorf("without SMTP AUTH there is left: %s", got)
		}
	})
}

// TestSASLSysV shows SMTP AUTH by saslauthd where systemd does not run: its directory is mounted in the chroot, for Postfix alone. First
// it shows what a host without a running syslog daemon says (L02, L03).
func TestSASLSysV(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := newHost(ctx, t, "mail", withSASL(ctx, t, release))
		out := sh(ctx, t, h, logIn+`
{ postfix-maint chroot check || true; } 2>&1 | grep -oE 'nobody takes the log|listen on /var/spool/postfix/dev/log as' | sort
rm -f /dev/log; rsyslogd; until [ -S /dev/log ]; do sleep 0.1; done
printf 'pwcheck_method: saslauthd\nmech_list: PLAIN LOGIN\n' > /etc/postfix/sasl/smtpd.conf; postconf -e smtpd_sasl_auth_enable=yes
sed -i 's/^START=.*/START=yes/' /etc/default/saslauthd
answers() { for _ in $(seq 100); do testsaslauthd -u anna -p secret-A > /dev/null 2>&1 && return; sleep 0.1; done; } # the script ends before the daemon listens
rm -rf /run/saslauthd; /etc/init.d/saslauthd start > /dev/null; answers
/etc/init.d/postfix start > /dev/null 2> /tmp/said
{ postfix-maint chroot check || true; } 2>&1 | grep -o 'adduser postfix sasl' # the one thing that stays the administrator's here
/etc/init.d/postfix stop > /dev/null; usermod -aG sasl postfix; /etc/init.d/postfix start > /dev/null 2>> /tmp/said
grep warning /tmp/said || true
log-in 25 anna secret-A
/etc/init.d/saslauthd restart > /dev/null; answers; log-in 25 anna secret-A
ls /var/spool/postfix/var/run/saslauthd
postfix-maint chroot check; /etc/init.d/postfix stop > /dev/null; ls /run/saslauthd/mux`)
		if want := "listen on /var/spool/postfix/dev/log as\nnobody takes the log\nadduser postfix sasl\n" + loggedIn + loggedIn + "/run/saslauthd/mux\n"; out != want {
			t.Errorf("got:\n%s\nwant:\n%s", out, want)
		}
	})
}
