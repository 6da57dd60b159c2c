package doctor

import (
	"strings"
	"testing"
	"time"
)

const (
	main   = "/etc/postfix/main.cf"
	master = "/etc/postfix/master.cf"
)

// laterCases are those of the rows outside of checks.go, config.go and service.go.
func laterCases(t *testing.T) map[string]broken {
	text := func(text string) breaks { return func(f *Facts, _ *Instance) { set(t, f, text) } }
	more := func(text string) breaks { return func(f *Facts, _ *Instance) { setMaster(t, f, text) } }
	now := time.Unix(1_000_000_000, 0)
	return map[string]broken{
		"daemon-ended": {func(_ *Facts, i *Instance) {
			i.Fatal = []Fatal{{"smtpd", "fatal: no SASL authentication mechanisms", now, 2}}
		}, "", "Dovecot"},
		"clock-unsynchronised": {func(f *Facts, _ *Instance) { f.TimeService = "chrony.service" }, "", "status chrony.service"},
		"relayhost-malformed":  {text("a = b\nrelayhost = [mail.example.com\n"), main + ":2", "[HOST]"},
		"relay-is-self":        {text("myhostname = mx.example.com\nrelayhost = [mx.example.com]\n"), main + ":2", "name the host"},
		"relay-unused":         {text("relayhost = [r.example]\ndefault_transport = error:no\n"), main + ":2", "take default_transport"},
		"protocols-empty":      {text("inet_protocols =\n"), main + ":1", "all"},
		"limits-contradict":    {text("message_size_limit = 100000000\n"), main + ":1", "raise"},
		"domain-twice":         {text("mydestination = a.example, b.example\nvirtual_alias_domains = b.example\n"), main + ":2", "one of the two"},
		"bounces-kept":         {text("soft_bounce = yes\n"), main + ":1", "trial"},
		"origin-missing":       {func(f *Facts, i *Instance) { set(t, f, "a = b\nmyorigin = /m\n"); i.NoOrigin = "/m" }, main + ":2", "mail name"},
		"program-missing":      {func(f *Facts, i *Instance) { set(t, f, "mailbox_command = /p -a\n"); i.NoProgram = "/p" }, main + ":1", "install"},
		"spool-missing":        {func(_ *Facts, i *Instance) { i.NoSpool = "/var/mail" }, "/var/mail", "2775"},
		"service-missing":      {text("content_filter = scan:[127.0.0.1]:10024\n"), main + ":1", "put its line back"},
		"service-twice":        {more("smtp inet n - y - - smtpd\n"), master + ":13", "take out"},
		"service-verbose":      {more("other inet n - y - - smtpd -vv -o a=-v\n"), master + ":13", "take -v out"},
		"type-given-up": {func(f *Facts, i *Instance) { // that there is no index either is no other finding
			f.Types = map[string]bool{"lmdb": true}
			i.Tables[0].Index, i.Tables[0].Aliases = false, false
		}, main + ":3",
			"write lmdb:/etc/aliases, in alias_database too"},
		"line-ignored": {func(_ *Facts, i *Instance) { i.Ignored = []Ignored{{"/etc/postfix/virtual", 7, lonely}} }, "/etc/postfix/virtual:7", "white space"},
		"alias-loop": {func(_ *Facts, i *Instance) { i.Loops = []AliasLoop{{"/etc/aliases", 4, []string{"a", "b"}}} }, "/etc/aliases:4",
			"newaliases"},
		"open-relay":              {text("mynetworks = 127.0.0.0/8 0.0.0.0/0\n"), main + ":1", "your own networks"},
		"relay-unprotected":       {text("smtpd_relay_restrictions = permit_mynetworks, permit\n"), main + ":1", "defer_unauth_destination"},
		"restriction-unknown":     {text("smtpd_recipient_restrictions = permit_mynetwork, reject\n"), main + ":1", "correct"},
		"networks-malformed":      {text("mynetworks = 192.168.1.1/24\n"), main + ":1", "write 192.168.1.0/24"},
		"tls-level-unknown":       {text("smtp_tls_security_level = most\n"), main + ":1", "may or encrypt"},
		"certificate-unusable":    {func(_ *Facts, i *Instance) { i.Certs = []Certificate{{File: main, Line: 4, Unusable: "no PEM"}} }, main + ":4", "in PEM form"},
		"key-mismatch":            {func(_ *Facts, i *Instance) { i.Certs = []Certificate{{File: main, Line: 4, Apart: true}} }, main + ":4", "belong together"},
		"tls-without-certificate": {text("smtpd_tls_security_level = encrypt\n"), main + ":1", "chain_files"},
		"tls-at-wrong-port":       {more("submissions inet n - y - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_tls_auth_only=yes\n"), master + ":13", "wrappermode"},
		"submission-without-login": {func(f *Facts, _ *Instance) {
			set(t, f, "mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128\n")
			setMaster(t, f, "submission inet n - y - - smtpd\n")
		}, master + ":13", "smtpd_sasl_auth_enable=yes"},
		"service-login-without-tls": {more("submission inet n - y - - smtpd\n  -o smtpd_sasl_auth_enable=yes\n"), master + ":13", "auth_only"},
		"certificate-snakeoil": {func(f *Facts, _ *Instance) {
			f.Public = "198.51.100.1"
			set(t, f, "smtpd_tls_security_level = may\nsmtpd_tls_cert_file = /etc/ssl/certs/ssl-cert-snakeoil.pem\n")
		}, main + ":2", "chain_files"},
		"certificate-name": {func(_ *Facts, i *Instance) {
			i.Certs = []Certificate{{File: main, Line: 4, Names: []string{"other.example", "*.example.net"}, Issued: true}}
		}, main + ":4", "myhostname"},
		"anchors-missing":     {text("smtp_tls_security_level = verify\n"), main + ":1", "smtp_tls_CAfile"},
		"dane-without-dnssec": {text("smtp_tls_security_level = dane\n"), main + ":1", "dnssec"},
		"passwords-missing":   {text("smtp_sasl_auth_enable = yes\n"), main + ":1", "smarthost set"},
		"mechanisms-missing": {func(f *Facts, _ *Instance) {
			set(t, f, "smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = hash:/x\n")
			f.NoMechanisms = true
		}, main + ":1", "libsasl2-modules"},
		"mail-deferred": {func(_ *Facts, i *Instance) {
			i.Waiting = Waiting{Deferred: 3, Oldest: now.Add(-5 * time.Hour), Reason: "connect to HOST: Connection timed out", Reasons: 2, Deferrals: 3}
		}, "/q", "port 25 outbound"},
		"mail-old":    {func(_ *Facts, i *Instance) { i.Waiting = Waiting{Held: 1, Oldest: now.Add(-6 * 24 * time.Hour)} }, "/q", "postsuper"},
		"setgid-lost": {func(_ *Facts, i *Instance) { i.NoSetgid = []string{"/usr/sbin/postdrop"} }, "/usr/sbin/postdrop", "set-permissions"},
		"queue-group": {func(_ *Facts, i *Instance) { i.Groups = []Other{{File: "/q/maildrop", Why: "its mode"}} }, "/q/maildrop", "set-permissions"},
		"drop-in-unreached": {func(f *Facts, _ *Instance) {
			f.DropIns = []DropIn{{"/d/postfix.service.d/a.conf", "postfix.service", "and", "/d/postfix@-.service.d"}}
		}, "/d/postfix.service.d/a.conf", "move it to /d/postfix@-.service.d"},
	}
}

// Each of these settings is found by one row, and by no other.
func TestSettings(t *testing.T) {
	const noLogin = "mynetworks = 127.0.0.0/8\n"
	for _, c := range []struct{ id, main, master, place string }{
		{"relayhost-malformed", "relayhost = mail.example.com]\n", "", main + ":1"},
		{"relayhost-malformed", "relayhost = [a.example]25\n", "", main + ":1"},
		{"relayhost-malformed", "relayhost = [a.example]:\n", "", main + ":1"},
		{"relayhost-malformed", "relayhost = a.example:99999\n", "", main + ":1"},
		{"relayhost-malformed", "relayhost = smtp:[a.example]\n", "", main + ":1"},
		{"relayhost-malformed", "relayhost = user@a.example\n", "", main + ":1"},
		{"relayhost-malformed", "relayhost = []\n", "", main + ":1"},
		{"relayhost-malformed", "relayhost = [a.example], [b.example\n", "", main + ":1"},
		{"relay-is-self", "relayhost = [127.0.0.1]:25\n", "", main + ":1"},
		{"relay-is-self", "relayhost = [localhost]\n", "", main + ":1"},
		{"limits-contradict", "mailbox_size_limit = 1000\n", "", main + ":1"},
		{"limits-contradict", "message_size_limit = 0\n", "", main + ":1"},
		{"limits-contradict", "virtual_mailbox_limit = 1000\nvirtual_mailbox_domains = a.example\n", "", main + ":1"},
		{"domain-twice", "virtual_mailbox_domains = b.example\nmydestination = b.example\n", "", main + ":1"},
		{"service-missing", "mailbox_transport = lmtp:unix:private/lmtp\n", "", main + ":1"},
		{"service-missing", "maillog_file = /var/log/x\n", "", main + ":1"},
		{"service-missing", "a = b\nalias_maps = proxy:hash:/x\n", "", main + ":2"},
		{"service-missing", "", "other inet n - - - - smtpd -o content_filter=x\nsecond inet n - - - - smtpd -o virtual_alias_maps=proxy:hash:/x\n", master + ":14"},
		{"service-twice", "", "qmgr unix n - n - 1 qmgr\n", master + ":13"},
		{"open-relay", "mynetworks = ::/0\nsmtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n", "", main + ":1"},
		{"open-relay", "a = b\nmynetworks = 0.0.0.0/1, 128.0.0.0/1\n", "", main + ":2"},
		{"open-relay", "mynetworks = 0.0.0.0/0\nsmtpd_recipient_restrictions = check_recipient_access hash:/x, reject_rbl_client b.example, permit\n", "", main + ":1"},
		{"open-relay", "mynetworks = 0.0.0.0/0\nsmtpd_relay_restrictions =\nsmtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination\n", "", main + ":1"},
		{"open-relay", "", "26 inet n - - - - smtpd\n  -o mynetworks=0.0.0.0/0\n", master + ":13"},
		{"open-relay", "smtpd_restriction_classes = ours\nours = permit_mynetworks\nsmtpd_relay_restrictions = ours, reject\nmynetworks = 0.0.0.0/0\n", "", main + ":4"},
		{"relay-unprotected", "smtpd_relay_restrictions =\n", "", main + ":1"},
		{"relay-unprotected", "smtpd_relay_restrictions = permit, reject\n", "", main + ":1"},
		{"relay-unprotected", "smtpd_relay_restrictions = warn_if_reject reject\n", "", main + ":1"},
		{"restriction-unknown", "a = b\nsmtpd_client_restrictions = reject_all\n", "", main + ":2"},
		{"restriction-unknown", "", "26 inet n - - - - smtpd -o smtpd_helo_restrictions=nonsense\n", master + ":13"},
		{"networks-malformed", "mynetworks = 10.0.0.0/33\n", "", main + ":1"},
		{"networks-malformed", "mynetworks = [fd00::1]/64\n", "", main + ":1"},
		{"tls-level-unknown", "lmtp_tls_security_level = yes\n", "", main + ":1"},
		{"tls-level-unknown", "", "26 inet n - - - - smtpd -o smtpd_tls_security_level=encryp\n", master + ":13"},
		{"tls-without-certificate", "", "26 inet n - - - - smtpd -o smtpd_tls_security_level=encrypt\n", master + ":13"},
		{"tls-at-wrong-port", "smtpd_tls_cert_file = none\n", "submission inet n - - - - smtpd -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes\n", master + ":13"},
		{"submission-without-login", noLogin, "0.0.0.0:587 inet n - - - - smtpd\n", master + ":13"},
		{"anchors-missing", "smtp_tls_security_level = secure\n", "", main + ":1"},
	} {
		f := healthy(t)
		set(t, f, c.main)
		setMaster(t, f, c.master)
		r := Run(f, false)
		if len(r.Findings) != 1 || r.Findings[0].ID != c.id || r.Findings[0].Place() != c.place {
			t.Errorf("%s of %q and %q: %s", c.id, c.main, c.master, r.Text())
		}
	}
}

// None of these is wrong.
func TestRightSettings(t *testing.T) {
	for _, c := range []struct{ main, master string }{
		{"relayhost = [a.example]:587\n", ""},
		{"relayhost = a.example:smtp, [2001:db8::1]\nrelay_transport = error\n", ""},
		{"relayhost = 2001:db8::1\n", ""},
		{"relayhost = [127.0.0.1]:10025\n", ""},
		{"relayhost = $missing\n", ""},
		{"relayhost = [127.0.0.1]\ninet_interfaces = 192.0.2.1\n", ""},
		{"message_size_limit = 100000000\nmailbox_size_limit = 0\n", ""},
		{"virtual_mailbox_limit = 1000\n", ""},
		{"relay_domains = $mydestination\nmydestination = a.example\n", ""},
		{"virtual_alias_domains = hash:/x\nmydestination = hash:/x\n", ""},
		{"alias_maps = proxy:hash:/x\n", "proxymap unix - - n - - proxymap\n"},
		{"local_recipient_maps = proxy:unix:passwd.byname $alias_maps\n", ""},
		{"virtual_transport = lmtp:unix:private/lmtp\n", "lmtp unix - - - - - lmtp\n"},
		{"mynetworks = 10.0.0.0/8 [fe80::]/10 [::ffff:127.0.0.0]/104 !10.1.0.0/16 /etc/postfix/nets cidr:/etc/postfix/nets 192.0.2.1 hash:/x\n", ""},
		{"mynetworks = 0.0.0.0/0\ninet_interfaces = loopback-only\n", ""},
		{"mynetworks = 0.0.0.0/0\ninet_interfaces = 127.0.0.1, [::1]\n", ""},
		{"mynetworks = 0.0.0.0/0\ndefault_transport = error:local only\n", ""},
		{"mynetworks = 0.0.0.0/0\nsmtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination\n", ""},
		{"mynetworks = 0.0.0.0/0\nsmtpd_client_restrictions = permit_sasl_authenticated, reject\n", ""},
		{"mynetworks = 0.0.0.0/0\nsmtpd_relay_restrictions = check_policy_service unix:p, permit_mynetworks, reject\n", ""},
		{"mynetworks = 0.0.0.0/0\nsmtpd_recipient_restrictions = check_recipient_access pcre:/x\n", ""},
		{"", "127.0.0.1:10025 inet n - - - - smtpd -o mynetworks=0.0.0.0/0\n"},
		{"mynetworks = 0.0.0.0/0\nmaster_service_disable = inet\n", ""},
		{"smtpd_relay_restrictions = permit\nsmtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination\n", ""},
		{"smtpd_relay_restrictions = $mydomain\n", ""},
		{"smtpd_recipient_restrictions = hash:/x, { check_sender_access hash:/y }, sleep 1, Permit_MyNetworks, reject_rbl_client a.example\n", ""},
		{"smtp_tls_security_level = DANE\nsmtp_dns_support_level = dnssec\nsmtpd_tls_security_level = encrypt\nsmtpd_tls_chain_files = /x\n", ""},
		{"smtp_tls_security_level = verify\nsmtp_tls_CApath = /x\n", ""},
		{"smtpd_tls_security_level = may\nsmtpd_tls_cert_file = /etc/ssl/certs/ssl-cert-snakeoil.pem\n", ""},
		{"smtpd_tls_cert_file = /c\n", "smtps inet n - - - - smtpd -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes\n"},
		{"mynetworks = 10.0.0.0/8\n", "submission inet n - - - - smtpd\n"},
		{"mynetworks = 127.0.0.0/8\n", "127.0.0.1:587 inet n - - - - smtpd\n"},
		{"", "submission inet n - - - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_tls_security_level=encrypt -o smtpd_tls_cert_file=/c\n"},
		{"", "127.0.0.1:914 inet n - - - - smtpd -o smtpd_sasl_auth_enable=yes\n"},
		{"soft_bounce = no\n", "smtp unix - - - - - smtp -o { smtp_helo_name = -v }\n"},
	} {
		f := healthy(t)
		set(t, f, c.main)
		setMaster(t, f, c.master)
		if r := Run(f, false); len(r.Findings) > 0 {
			t.Errorf("%q and %q: %s", c.main, c.master, r.Text())
		}
	}
	f := healthy(t)
	f.Instances[0].Outdated = []Outdated{{Setting: "no service postlog"}}
	set(t, f, "maillog_file = /x\n")
	if r := Run(f, false); len(r.Findings) != 1 || r.Findings[0].ID != "outdated-setting" {
		t.Error(r.Text())
	}
	f = healthy(t)
	f.TimeService, f.Synchronised = "chrony.service", true
	i := &f.Instances[0]
	set(t, f, "myhostname = mx.example.com\nvirtual_alias_domains = example.org\n")
	i.Certs = []Certificate{
		{Names: []string{"other.example"}}, {Names: []string{"*.example.com"}, Issued: true}, {Issued: true}, {Names: []string{"Mail.example.com"}, Issued: true},
		{Names: []string{"mail.example.org"}, Issued: true}, {Names: []string{"example.org"}, Issued: true},
	}
	i.Waiting = Waiting{Deferred: 99, Oldest: f.Now.Add(-time.Hour), Reason: "no", Reasons: 1, Deferrals: 1}
	if r := Run(f, false); len(r.Findings) > 0 {
		t.Error(r.Text())
	}
}

// What is said of the ends of daemons and of deferred mail fits the words of Postfix's sources.
func TestWhatToDo(t *testing.T) {
	for text, want := range map[string]string{
		"fatal: bind 0.0.0.0 port 25: Address already in use":                                             "stop the program",
		"fatal: open database /etc/postfix/x.db: No such file or directory":                               "postmap(1)",
		"fatal: unsupported dictionary type: pcre":                                                        "postfix-TYPE",
		"fatal: in parameter smtpd_relay_restrictions, specify at least one working instance of: reject":  "end smtpd_relay",
		"fatal: main.cf configuration error: mailbox_size_limit is smaller than message_size_limit":       "raise that limit",
		"panic: vstream_fopen: bad file":                                                                  "fault of the program",
		"fatal: open lock file /var/lib/postfix/master.lock: unable to set exclusive lock: Resource busy": "another Postfix",
		"fatal: something else": "look at what stands around it",
	} {
		f := healthy(t)
		f.Instances[0].Fatal = []Fatal{{"smtpd", text, f.Now, 1}}
		if r := Run(f, false); len(r.Findings) != 1 || !strings.Contains(r.Findings[0].Do, want) {
			t.Errorf("%s: %+v", text, r.Findings)
		}
	}
	for text, want := range map[string]string{
		"connect to HOST: Connection refused": "nobody listens",
		"Host or domain name not found. Name service error for name=HOST type=MX: Host not found, try again": "try \"getent",
		"SASL authentication failed; server HOST said: 535 5.7.8 Error":                                      "\"postfix-maint smarthost test\"",
		"host HOST said: 450 4.2.0 <ADDRESS>: Recipient address rejected: Greylisted (in reply to RCPT TO)":  "wait",
		"Server certificate not trusted":     "see what TLS",
		"mail for HOST loops back to myself": "relayhost",
		"unsupported dictionary type: pcre":  "the other findings",
		"nobody knows":                       "see what is said",
	} {
		f := healthy(t)
		f.Instances[0].Waiting = Waiting{Deferred: 100, Reason: text}
		if r := Run(f, false); len(r.Findings) != 1 || !strings.Contains(r.Findings[0].Do, want) {
			t.Errorf("%s: %+v", text, r.Findings)
		}
	}
}
