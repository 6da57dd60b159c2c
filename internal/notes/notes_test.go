package notes_test

import (
	"strconv"
	"strings"
	"testing"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/notes"
)

const dist = "smtp inet n - y - - smtpd\npostlog unix-dgram n - n - 1 postlogd\ndnsblog unix - - y - 0 dnsblog\n" +
	"tlsproxy unix - - y - 0 tlsproxy\nproxywrite unix - - n - 1 proxymap\n"

// config is a configuration in which nothing is outdated, with these lines added.
func config(t *testing.T, main, master string) *notes.Config {
	t.Helper()
	f, err := maincf.Parse([]byte("compatibility_level = 3.6\nalias_maps = hash:/etc/aliases\n" + main))
	if err != nil {
		t.Fatal(err)
	}
	m, err := mastercf.Parse([]byte(dist + master))
	if err != nil {
		t.Fatal(err)
	}
	d, err := mastercf.Parse([]byte(dist))
	if err != nil {
		t.Fatal(err)
	}
	return &notes.Config{Main: f, Master: m, Dist: d}
}

func TestTable(t *testing.T) {
	cases := map[string]struct {
		main, master string
		pair         bool   // ssl-cert's
		note         string // its name and line, "" for none
		offers       string
	}{
		"nothing outdated":                 {},
		"a milter protocol of long ago":    {main: "milter_protocol = 2\n", note: "milter-protocol main.cf:3", offers: "without milter_protocol"},
		"today's milter protocol":          {main: "milter_protocol = 6\n"},
		"an old one for one service":       {master: "x inet n - y - - smtpd\n  -o milter_protocol=4\n", note: "milter-protocol master.cf:6"},
		"the whole directory of CAs":       {main: "smtp_tls_CApath = /etc/ssl/certs\n", note: "smtp-ca-path main.cf:3", offers: "smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt; without smtp_tls_CApath"},
		"a directory of own CAs":           {main: "smtp_tls_CApath = /srv/ca\n"},
		"TLS for servers by the old name":  {main: "smtpd_use_tls=yes\n", note: "smtpd-tls-level main.cf:3", offers: "smtpd_tls_security_level = may; without smtpd_use_tls"},
		"TLS switched off by the old name": {main: "smtpd_use_tls=no\n", note: "smtpd-tls-level main.cf:3", offers: "smtpd_tls_security_level = none; without smtpd_use_tls"},
		"both names of TLS":                {main: "smtpd_use_tls=yes\nsmtpd_tls_security_level = encrypt\n", note: "smtpd-tls-level main.cf:3", offers: "without smtpd_use_tls"},
		"TLS enforced on clients":          {main: "smtp_enforce_tls = yes\n", note: "smtp-tls-level main.cf:3", offers: "smtp_tls_security_level = verify; without smtp_enforce_tls"},
		"enforced, names not looked at":    {main: "smtp_tls_enforce_peername = no\nsmtp_enforce_tls = yes\n", note: "smtp-tls-level main.cf:4", offers: "smtp_tls_security_level = encrypt; without smtp_enforce_tls"},
		"a key for TLS that came later": {pair: true, note: "server-tls main.cf:0",
			offers: "smtpd_tls_cert_file = /etc/ssl/certs/ssl-cert-snakeoil.pem; smtpd_tls_key_file = /etc/ssl/private/ssl-cert-snakeoil.key; smtpd_tls_security_level = may"},
		"no TLS on purpose":              {pair: true, main: "smtpd_tls_security_level = none\n"},
		"a key for TLS of one's own":     {pair: true, main: "smtpd_tls_chain_files = /srv/k\n"},
		"a key, and nobody from outside": {pair: true, main: "inet_interfaces = loopback-only\n"},
		"TLS per site":                   {main: "smtp_tls_per_site = hash:/x\n", note: "tls-per-site main.cf:3"},
		"no DNS":                         {main: "disable_dns_lookups = yes\n", note: "dns-lookups main.cf:3", offers: "smtp_dns_support_level = disabled; without disable_dns_lookups"},
		"short primes":                   {main: "smtpd_tls_dh1024_param_file = /x\n", note: "tls-key-exchange main.cf:3", offers: "without smtpd_tls_dh1024_param_file"},
		"a removed restriction":          {main: "smtpd_recipient_restrictions = permit_mynetworks,\n  check_relay_domains\n", note: "restrictions main.cf:3"},
		"NIS that nobody set up":         {main: "alias_maps = hash:/etc/aliases, nis:mail.aliases\n", note: "nis-aliases main.cf:3", offers: "alias_maps = hash:/etc/aliases"},
		"left over from local only":      {main: "default_transport = error\nrelayhost = [x]\n", note: "local-only-left-over main.cf:3", offers: "without default_transport; without relay_transport"},
		"local only":                     {main: "default_transport = error\nrelayhost =\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			conf := config(t, c.main, c.master)
			conf.KeyPair = c.pair
			got := notes.Check(conf)
			if c.note == "" {
				if len(got) > 0 {
					t.Errorf("notes %+v, want none", got)
				}
				return
			}
			if len(got) != 1 {
				t.Fatalf("%d notes %+v, want one", len(got), got)
			}
			n := got[0]
			where, line, _ := strings.Cut(c.note, ":")
			if n.Name+" "+n.File != where || line != "" && line != strconv.Itoa(n.Line) || n.Offer != c.offers || n.Reason == "" {
				t.Errorf("note %+v\nwant %s, offer %q", n, c.note, c.offers)
			}
			if err := n.Apply(conf); err != nil {
				t.Fatal(err)
			}
			if left := notes.Check(conf); n.Offer != "" && len(left) > 0 {
				t.Errorf("after the edit: %+v\n%s", left, conf.Main.Bytes())
			}
		})
	}
}

// Where alias_maps is not set, what is offered is its default without NIS, in the type that this release's aliases have.
func TestNISByDefault(t *testing.T) {
	for name, c := range map[string]struct{ main, usual, offers string }{
		"12 and 13":                          {offers: "alias_maps = hash:/etc/aliases"},
		"12 and 13, another type for tables": {main: "default_database_type = lmdb\n", offers: "alias_maps = hash:/etc/aliases"},
		"sid":                                {usual: "cdb", offers: "alias_maps = cdb:/etc/aliases"},
		"sid, upgraded from 13":              {usual: "cdb", main: "default_database_type = hash\n", offers: "alias_maps = hash:/etc/aliases"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := maincf.Parse([]byte("compatibility_level = 3.6\n" + c.main))
			if err != nil {
				t.Fatal(err)
			}
			got := notes.Check(&notes.Config{Main: f, TableType: c.usual})
			if len(got) != 1 || got[0].Name != "nis-aliases" || got[0].Offer != c.offers {
				t.Errorf("notes %+v, want nis-aliases with %q", got, c.offers)
			}
		})
	}
}

// The edit that ends the "backwards-compatible" mode writes the old defaults down and keeps chrooted what was.
func TestCompatibilityLevel(t *testing.T) {
	f, err := maincf.Parse([]byte("mynetworks = 127.0.0.0/8\nalias_maps =\nappend_dot_mydomain = no\n"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := mastercf.Parse([]byte("smtp inet n - - - - smtpd\nlocal unix - n n - - local\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := &notes.Config{Main: f, Master: m}
	got := notes.Check(c)
	if len(got) != 1 || got[0].Name != "compatibility-level" {
		t.Fatalf("notes %+v", got)
	}
	if err := got[0].Apply(c); err != nil {
		t.Fatal(err)
	}
	for param, want := range map[string]string{
		"compatibility_level": "3.6", "append_dot_mydomain": "no", "relay_domains": "$mydestination", "smtpd_relay_restrictions": "",
	} {
		if v, ok := f.Get(param); !ok || v != want {
			t.Errorf("%s = %q, want %q", param, v, want)
		}
	}
	if v, ok := f.Get("mynetworks_style"); ok {
		t.Errorf("mynetworks_style = %q, though mynetworks is set", v)
	}
	if got := string(m.Bytes()); got != "smtp inet n - y - - smtpd\nlocal unix - n n - - local\n" {
		t.Errorf("master.cf became %q", got)
	}
}

func TestMissingServices(t *testing.T) {
	c := config(t, "", "")
	m, err := mastercf.Parse([]byte(strings.Replace(dist, "postlog unix-dgram n - n - 1 postlogd\n", "", 1)))
	if err != nil {
		t.Fatal(err)
	}
	c.Master = m
	got := notes.Check(c)
	if len(got) != 1 || got[0].Offer != "postlog unix-dgram n - n - 1 postlogd" {
		t.Fatalf("notes %+v", got)
	}
	if err := got[0].Apply(c); err != nil {
		t.Fatal(err)
	}
	if left := notes.Check(c); len(left) > 0 || !strings.HasSuffix(string(m.Bytes()), "postlogd\n") {
		t.Errorf("after the edit: %+v\n%s", left, m.Bytes())
	}
}
