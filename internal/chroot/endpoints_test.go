package chroot

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestUnreachableSockets(t *testing.T) {
	t.Parallel()
	const milter = "smtpd_milters = unix:/run/opendkim/opendkim.sock\n"
	for name, c := range map[string]struct {
		main   string
		listen string // in the queue directory
		mode   os.FileMode
		dead   bool
		want   []string // parts of each sentence
	}{
		"no socket":                         {},
		"a port":                            {main: "smtpd_milters = inet:127.0.0.1:8891\n"},
		"one of Postfix's own":              {main: "smtpd_recipient_restrictions = check_policy_service unix:private/policy\n"},
		"a daemon's in Postfix's directory": {main: "smtpd_milters = unix:private/milter\n", listen: "private/milter"},
		"none there":                        {main: "smtpd_milters = unix:private/milter\n", want: []string{`nobody listens at "/var/spool/postfix/private/milter", there is no such socket`}},
		"none outside, of a service that is not chrooted": {main: "non_smtpd_milters = unix:/run/none\n", want: []string{`the milter "/run/none" (non_smtpd_milters, /etc/postfix/main.cf:3): nobody listens at "/run/none"`}},
		"not permitted":    {main: milter, listen: "run/opendkim/opendkim.sock", mode: 0o066, want: []string{`the account postfix may not use "/var/spool/postfix/run/opendkim/opendkim.sock", which has the mode 0600`}},
		"a milter outside": {main: milter, want: []string{`cannot reach the milter "/run/opendkim/opendkim.sock" (smtpd_milters, /etc/postfix/main.cf:3)`}},
		"moved inside":     {main: milter, listen: "run/opendkim/opendkim.sock"},
		"dead":             {main: milter, listen: "run/opendkim/opendkim.sock", dead: true, want: []string{"nobody listens at"}},
		"a policy":         {main: "smtpd_end_of_data_restrictions = check_policy_service unix:/run/quota\n", want: []string{`the policy service "/run/quota"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := shortHost(t, map[string]string{"etc/postfix/main.cf": level + c.main, "etc/postfix/master.cf": chrooted + "cleanup unix n - n - 0 cleanup\npolicy unix - n n - 0 spawn\n", "etc/passwd": postfixes})
			if c.listen != "" {
				file := filepath.Join(root.Dir(), queueDir, c.listen)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				l, err := net.ListenUnix("unix", &net.UnixAddr{Name: file})
				if err != nil {
					t.Fatal(err)
				}
				l.SetUnlinkOnClose(false)
				if err := os.Chmod(file, 0o666&^c.mode); err != nil {
					t.Fatal(err)
				}
				if c.dead {
					l.Close()
				} else {
					t.Cleanup(func() { l.Close() })
				}
			}
			res, err := plan(t, root).Inspect()
			if c.mode != 0 {
				needRoot(t)
			}
			if err != nil || len(res.Unreachable) != len(c.want) {
				t.Fatalf("Inspect = %q, %v", res.Unreachable, err)
			}
			for i, text := range c.want {
				if !strings.Contains(res.Unreachable[i], text) {
					t.Errorf("said %q, want %q in it", res.Unreachable[i], text)
				}
			}
		})
	}
}

// A slip of the pen in a path is said with the one that is meant.
func TestNearest(t *testing.T) {
	const table = "Num       RefCount Protocol Flags    Type St Inode Path\n" +
		"0000000000000000: 00000002 00000000 00010000 0001 01 1 /run/opendkim/opendkim.sock\n" +
		"0000000000000000: 00000002 00000000 00010000 0001 01 1 /var/spool/postfix/run/opendkim/opendkim.sock\n" +
		"0000000000000000: 00000002 00000000 00010000 0001 01 1 /var/spool/postfix/run/gone/g\n" +
		"0000000000000000: 00000002 00000000 00010000 0001 01 2 /run/a/s\n0000000000000000: 00000002 00000000 00010000 0001 01 2 /run/b/s\n" +
		"0000000000000000: 00000002 00000000 00010000 0001 01 3 @/run/abstract\n0000000000000000: 00000003 00000000 00000000 0001 03 4 /run/connected\n0000000000000000: 00000003 00000000 00000000 0001 03 5\n"
	for socket, want := range map[string]string{
		"/run/opendkm/opendkim.sock": "/run/opendkim/opendkim.sock", "/var/run/dkim/opendkim.sock": "/run/opendkim/opendkim.sock", "/run/opendkim/opendkim.sokc": "/run/opendkim/opendkim.sock",
		"/run/opendkim/opendkim.sock": "", "/run/none": "", "/run/gone/g": "", "/run/connecte": "", "/run/c/s": "", "/x/y/s": "",
	} {
		if got := nearest(socket, listening(table)); got != want {
			t.Errorf("for %q there is %q, want %q", socket, got, want)
		}
	}
}

// What a table leads to whose file others can write gets no relay, and the check says why and what to do.
func TestADistrustedTableIsSaid(t *testing.T) {
	needRoot(t)
	root := host(t, map[string]string{
		"etc/postfix/main.cf": level + "relay_recipient_maps = mysql:/etc/postfix/m.cf\ntransport_maps = texthash:/etc/postfix/t\n",
		"etc/postfix/m.cf":    "hosts = unix:/run/my/s\n", "etc/postfix/t": "x lmtp:unix:/run/lmtp\ny smtp:[192.0.2.1]\n", "etc/passwd": postfixes,
		"etc/postfix/master.cf": chrooted + "lmtp unix - - y - - lmtp\n",
	})
	for _, name := range []string{"etc/postfix/m.cf", "etc/postfix/t"} {
		if err := os.Chown(filepath.Join(root.Dir(), name), 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	p := plan(t, root)
	if len(p.Relays) > 0 {
		t.Errorf("relays %v", p.Relays)
	}
	r, err := p.Inspect()
	said := strings.Join(r.Unreachable, "\n")
	for _, part := range []string{
		`smtp/inet cannot reach the database server "/run/my/s" (hosts, /etc/postfix/m.cf:1): it runs chrooted, and no relay leads there, for what names it is not obeyed: "/etc/postfix/m.cf" belongs to the account 65534, not to root (chown root)`,
		`lmtp/unix cannot reach the delivery "/run/lmtp" (transport_maps, /etc/postfix/t:1)`,
	} {
		if err != nil || !strings.Contains(said, part) {
			t.Errorf("said %q, %v, want %q", said, err, part)
		}
	}
	if len(r.Unreachable) != 2 {
		t.Errorf("said %q", r.Unreachable)
	}
}

// Whoever listens at many sockets does not hold up who looks for one.
func TestNearestOfMany(t *testing.T) {
	t.Parallel()
	const some = 50_000
	line := func(name string) string {
		return "0000000000000000: 00000002 00000000 00010000 0001 01 1 " + name + "\n"
	}
	var table strings.Builder
	for n := range some {
		table.WriteString(line(fmt.Sprintf("/tmp/anna/a-socket-of-hers-%d", n)))
	}
	table.WriteString(line("/run/milter") + line("/var/spool/postfix/run/milter"))
	start := time.Now()
	names := listening(table.String())
	got := nearest("/run/milte", names)
	if took := time.Since(start); got != "/run/milter" || len(names) != some+1 || took > 10*time.Second {
		t.Errorf("%q of %d sockets after %v", got, len(names), took)
	}
}

// What SMTP AUTH asks, the account that a database sees, and a table that is not there.
func TestOtherEndpoints(t *testing.T) {
	const auth = "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = private/auth\n"
	const user = "hosts = unix:/run/my/s\nuser = mail\n"
	for name, c := range map[string]struct {
		main, table  string
		said, warned string
	}{
		"Dovecot does not run":              {main: auth, said: `cannot reach the SASL server "private/auth" (smtpd_sasl_path, /etc/postfix/main.cf:5): nobody listens`},
		"saslauthd does not run":            {main: "smtpd_sasl_auth_enable = yes\n", said: `SMTP AUTH of smtp/inet does not work now: no socket of saslauthd at "/var/run/saslauthd/mux"`},
		"a table with a slip of the pen":    {main: "relay_recipient_maps = mysql:/etc/postfix/mm.cf\n", said: `smtp/inet has no file "/etc/postfix/mm.cf" of a table (relay_recipient_maps, /etc/postfix/main.cf:3): correct the path`},
		"an indexed one needs no text":      {main: "transport_maps = hash:/etc/postfix/indexed\n"},
		"a database sees Postfix's account": {main: "relay_recipient_maps = mysql:/etc/postfix/m.cf\n", table: user, said: "/run/my/s", warned: `sees account "postfix", and the table gives no password for user "mail" (user, /etc/postfix/m.cf:2): write "user = postfix"`},
		"as the same user":                  {main: "relay_recipient_maps = mysql:/etc/postfix/m.cf\n", table: "hosts = unix:/run/my/s\nuser = postfix\n", said: "/run/my/s"},
		"with a password":                   {main: "relay_recipient_maps = mysql:/etc/postfix/m.cf\n", table: user + "password = x\n", said: "/run/my/s"},
		"with one in a URI":                 {main: "relay_recipient_maps = pgsql:/etc/postfix/m.cf\n", table: "hosts = postgresql://u:x@%2Frun%2Fpg/d\n", said: "/run/pg/.s.PGSQL.5432"},
		"with a file of options":            {main: "relay_recipient_maps = mysql:/etc/postfix/m.cf\n", table: user + "option_file = /etc/my.cnf\n", said: "/run/my/s"},
		"by a port":                         {main: "relay_recipient_maps = mysql:/etc/postfix/m.cf\n", table: "hosts = inet:127.0.0.1\nuser = mail\n"},
	} {
		t.Run(name, func(t *testing.T) {
			root := shortHost(t, map[string]string{"etc/postfix/main.cf": level + c.main, "etc/postfix/m.cf": c.table, "etc/postfix/indexed.db": "x", "etc/passwd": postfixes, smtpdConf: "pwcheck_method: saslauthd\n",
				"etc/postfix/master.cf": chrooted + "lmtp unix - - y - - lmtp\n"})
			r, err := plan(t, root).Inspect()
			said, warnings := strings.Join(r.Unreachable, "\n"), strings.Join(r.Warnings, "\n")
			if err != nil || (c.said == "") != (said == "") || !strings.Contains(said, c.said) {
				t.Errorf("said %q, %v, want %q", said, err, c.said)
			}
			if (c.warned == "") == strings.Contains(warnings, "sees account") || !strings.Contains(warnings, c.warned) {
				t.Errorf("warned %q, want %q", warnings, c.warned)
			}
		})
	}
}
