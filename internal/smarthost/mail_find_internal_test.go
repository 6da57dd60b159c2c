package smarthost

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/run"
	"postfix-maint/internal/smarthost/probe"
	"postfix-maint/internal/smarthost/resolve"
	"postfix-maint/internal/sysroot/sysroottest"
)

// tablesOf answer postmap(1): element and key to value. One called "broken" cannot be asked.
type tablesOf map[string]string

func (m tablesOf) Run(context.Context, string, ...string) error { return nil }

func (m tablesOf) Output(_ context.Context, _ string, args ...string) ([]byte, error) {
	element, key := args[len(args)-1], args[len(args)-2]
	if strings.Contains(element, "broken") {
		return nil, &run.ExitError{Code: 1, Stderr: "open broken.db: no such file"}
	}
	if value, ok := m[element+" "+key]; ok {
		return []byte(value + "\n"), nil
	}
	return nil, &run.ExitError{Code: 1}
}

// rewriter stands for trivial-rewrite(8): h.test is local, v.test has virtual mailboxes, what begins with a transport's name goes there.
func rewriter(t *testing.T) *resolve.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = theirs.Close() })
	go func() {
		in := bufio.NewReader(theirs)
		for {
			request := map[string]string{}
			for {
				name, err := in.ReadString(0)
				if err != nil {
					return
				}
				if name == "\x00" {
					break
				}
				value, _ := in.ReadString(0)
				request[strings.TrimSuffix(name, "\x00")] = strings.TrimSuffix(value, "\x00")
			}
			address := request["address"]
			if _, domain, ok := strings.Cut(address, "@"); request["request"] == "rewrite" {
				if !ok {
					address += "@h.test"
				}
				_, _ = fmt.Fprintf(theirs, "flags\x000\x00address\x00%s\x00\x00", address)
			} else {
				transport, class := strings.TrimSuffix(domain, ".test"), 4096
				switch domain {
				case "h.test":
					transport, class = "local", 256
				case "v.test":
					transport, class = "virtual", 2048
				}
				_, _ = fmt.Fprintf(theirs, "flags\x000\x00transport\x00%s\x00nexthop\x00%s\x00recipient\x00%s\x00flags\x00%d\x00\x00", transport, domain, address, class)
			}
		}
	}()
	return resolve.New(ours)
}

const masterOfTest = `local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
maildrop unix - n n - - pipe flags=DRhu user=vmail argv=/usr/bin/maildrop
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
`

// found gives steps and ways as "address > to" and "recipient: place or problem".
func found(t *testing.T, address string, settings map[string]string, tables tablesOf) (text string, res *Mail) {
	t.Helper()
	m, err := mastercf.Parse([]byte(masterOfTest))
	if err != nil {
		t.Fatal(err)
	}
	res = &Mail{Address: address}
	h := &host{d: Deps{Run: tables, Root: sysroottest.New(t, map[string]string{"home/anna/.forward": "-> /etc/shadow", "home/bert/": ""})}, effective: map[string]string{
		"alias_maps": "hash:a", "recipient_delimiter": "+", "mail_spool_directory": "/var/mail", "virtual_alias_maps": "hash:va",
		"virtual_mailbox_maps": "hash:vm", "virtual_mailbox_base": "/srv/mail",
	}}
	for name, value := range settings {
		h.effective[name] = value
	}
	for user, home := range map[string]string{"anna": "/home/anna", "bert": "/home/bert"} {
		tables[accounts+" "+user] = user + ":x:1:1::" + home + ":/bin/sh"
	}
	w := &finder{h: h, ask: rewriter(t), res: res, services: m.Services(), seen: map[string]bool{}, tried: map[string]Way{}}
	if err := w.address(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, s := range res.Steps {
		lines = append(lines, s.Address+" > "+strings.Join(s.To, " "))
	}
	for _, r := range res.Routes {
		lines = append(lines, r.Recipient+": "+r.Place+r.Problem)
	}
	return strings.Join(lines, "\n"), res
}

func TestWaysOfMail(t *testing.T) {
	for name, c := range map[string]struct {
		address  string
		settings map[string]string
		tables   tablesOf
		want     string
	}{
		"a mailbox":              {"bert", nil, tablesOf{}, "bert@h.test: the mailbox /var/mail/bert"},
		"with an extension":      {"bert+x", nil, tablesOf{}, "bert+x@h.test: the mailbox /var/mail/bert"},
		"in other letters":       {"Bert@h.test", nil, tablesOf{}, "Bert@h.test: the mailbox /var/mail/bert"},
		"a maildir":              {"bert", map[string]string{"home_mailbox": "Maildir/"}, tablesOf{}, "bert@h.test: the maildir /home/bert/Maildir/"},
		"maildirs in one place":  {"bert", map[string]string{"mail_spool_directory": "/srv/"}, tablesOf{}, "bert@h.test: the maildir /srv/bert/"},
		"a program":              {"bert", map[string]string{"mailbox_command": "procmail"}, tablesOf{}, `bert@h.test: the program "procmail" (mailbox_command)`},
		"a program of a user":    {"bert", map[string]string{"mailbox_command": "procmail", "mailbox_command_maps": "hash:c"}, tablesOf{"hash:c bert": "sieve"}, `bert@h.test: the program "sieve" (mailbox_command)`},
		"LMTP for all":           {"nobody", map[string]string{"mailbox_transport": "lmtp:unix:x"}, tablesOf{}, "nobody@h.test: the transport lmtp:unix:x (mailbox_transport)"},
		"for those without":      {"nobody", map[string]string{"fallback_transport": "lmtp:unix:x"}, tablesOf{}, "nobody@h.test: the transport lmtp:unix:x (fallback_transport)"},
		"luser_relay":            {"nobody", map[string]string{"luser_relay": "anna"}, tablesOf{}, "nobody@h.test: luser_relay: anna"},
		"nobody":                 {"nobody", nil, tablesOf{}, `nobody@h.test: nobody@h.test is unknown: neither alias nor account has the name "nobody"`},
		"aliases":                {"a", nil, tablesOf{"hash:a a": "b, bert", "hash:a b": `"|cat -n", /var/x, /var/d/, ":include:/etc/list"`}, "a@h.test > b bert\nb@h.test > \"|cat -n\" /var/x /var/d/ \":include:/etc/list\"\n" + "|cat -n: the program \"cat -n\"\n/var/x: the file /var/x\n/var/d/: the maildir /var/d/\n:include:/etc/list: whom the file /etc/list names\nbert@h.test: the mailbox /var/mail/bert"},
		"an alias with a user's": {"bert", nil, tablesOf{"hash:a bert": `\bert, x`, "hash:a x": "bert"}, "bert@h.test > bert x\nx@h.test > bert\nbert@h.test: the mailbox /var/mail/bert"},
		"two aliases for one":    {"a", nil, tablesOf{"hash:a a": "b, c", "hash:a b": "c", "hash:a c": "bert"}, "a@h.test > b c\nb@h.test > c\nc@h.test > bert\nbert@h.test: the mailbox /var/mail/bert"},
		"a circle":               {"a", nil, tablesOf{"hash:a a": "b", "hash:a b": "a"}, "a@h.test > b\nb@h.test > a\na@h.test: the aliases lead in a circle, at \"a\""},
		"virtual aliases":        {"x+y@v.test", nil, tablesOf{"hash:va x@v.test": "bert@h.test, bert"}, "x+y@v.test > bert+y@h.test bert\nbert+y@h.test: the mailbox /var/mail/bert\nbert@h.test: the mailbox /var/mail/bert"},
		"a whole domain":         {"x@v.test", nil, tablesOf{"hash:va @v.test": "@h.test", "hash:a x": "bert"}, "x@v.test > x@h.test\nx@h.test > bert\nbert@h.test: the mailbox /var/mail/bert"},
		"of the user alone":      {"x@h.test", nil, tablesOf{"hash:va x": "bert"}, "x@h.test > bert\nbert@h.test: the mailbox /var/mail/bert"},
		"to itself":              {"bert", nil, tablesOf{"hash:va bert@h.test": "bert@h.test"}, "bert@h.test: the mailbox /var/mail/bert"},
		"a virtual mailbox":      {"x@v.test", nil, tablesOf{"hash:vm x@v.test": "v/x/"}, "x@v.test: the maildir /srv/mail/v/x/"},
		"named as its address":   {"x+t@v.test", nil, tablesOf{"hash:vm x@v.test": "v.test/x@v.test/"}, "x+t@v.test: the maildir /srv/mail/v.test/x@v.test/"},
		"with odd letters":       {"x@v.test", nil, tablesOf{"hash:vm @v.test": "a, b (c)@d"}, "x@v.test: the mailbox /srv/mail/a, b (c)@d"},
		"no virtual mailbox":     {"y@v.test", nil, tablesOf{}, "y@v.test: y@v.test is unknown: virtual_mailbox_maps has no mailbox for it"},
		"LMTP":                   {"x@lmtp.test", nil, tablesOf{}, "x@lmtp.test: an LMTP server at lmtp.test"},
		"a pipe":                 {"x@maildrop.test", nil, tablesOf{}, "x@maildrop.test: the program of the service maildrop in master.cf"},
		"refused":                {"x@error.test", nil, tablesOf{}, "x@error.test: Postfix refuses mail for it: error.test"},
		"kept":                   {"x@retry.test", nil, tablesOf{}, "x@retry.test: Postfix keeps mail for it in the queue: retry.test"},
		"thrown away":            {"x@discard.test", nil, tablesOf{}, "x@discard.test: Postfix throws mail for it away: discard.test"},
		"no such service":        {"x@none.test", nil, tablesOf{}, `x@none.test: "master.cf" has no service "none"`},
		"a table that is broken": {"bert", map[string]string{"alias_maps": "hash:broken"}, tablesOf{}, `bert@h.test: cannot ask alias_maps = hash:broken for "bert": : exit status 1: open broken.db: no such file`},
	} {
		if got, _ := found(t, c.address, c.settings, c.tables); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

// A user's file that leads mail elsewhere is named, and neither read nor followed.
func TestAForwardIsNamed(t *testing.T) {
	for user, want := range map[string]int{"anna": 1, "bert": 0} {
		if _, res := found(t, user, nil, tablesOf{}); len(res.Routes) != 1 || len(res.Routes[0].Notes) != want {
			t.Errorf("%s: %+v", user, res.Routes)
		}
	}
}

// However many others an address stands for, the end is said.
func TestWaysAreBounded(t *testing.T) {
	many := tablesOf{}
	var users []string
	for i := range 100 {
		name := fmt.Sprint("u", i)
		users = append(users, name)
		many["hash:a "+name] = fmt.Sprint("u", i+1)
	}
	if _, res := found(t, "u0", nil, many); len(res.Steps) != mostSteps || !strings.Contains(res.Routes[len(res.Routes)-1].Problem, "more than 50 aliases") {
		t.Errorf("%d steps, %+v", len(res.Steps), res.Routes)
	}
	if _, res := found(t, "all", map[string]string{"luser_relay": "x"}, tablesOf{"hash:a all": strings.Join(users, ",")}); len(res.Routes) != mostRoutes+1 ||
		!strings.Contains(res.Routes[mostRoutes].Problem, "more than 20 recipients") {
		t.Errorf("%+v", res.Routes)
	}
}

func TestMailText(t *testing.T) {
	res := &Mail{
		Address: "a", Steps: []Step{{"a@h.test", "alias_maps hash:a", []string{"b@x.test"}}},
		Routes: []Way{{Recipient: "b@x.test", Transport: "smtp", NextHop: "x.test", TLS: "may", Servers: []Server{
			{5, "dead.x.test", &probe.Report{Addresses: []string{"192.0.2.1"}, Failure: &probe.Failure{Cause: probe.NoAnswer, Text: "refused"}}},
			{20, "mx.x.test", &probe.Report{Host: "mx.x.test", Address: "192.0.2.2", Greeting: "220 mx \x1b[2J", TLS: "TLS 1.3", Certificate: &probe.Certificate{Subject: "CN=mx", Why: "unknown"}}},
		}}},
		Fate:       Fate{Submitted: true, QueueID: "AAA", Status: "deferred"},
		Deliveries: []Delivery{{Recipient: "b@x.test", Via: "mx.x.test[192.0.2.2]:25", Status: "deferred", Reply: "450 later", Delay: "1.5", Delays: "0/0/1/0.5"}},
		Problem:    "450 later",
	}
	want := `address:      a
alias:        a@h.test becomes b@x.test (alias_maps hash:a)
way:          b@x.test goes to x.test, by the transport smtp
mail server:  5 dead.x.test
addresses:    192.0.2.1
failed:       refused
mail server:  20 mx.x.test
connected:    to mx.x.test (192.0.2.2)
TLS:          TLS 1.3, by STARTTLS; level may
certificate:  CN=mx
issued by:    
names:        
valid:        0001-01-01 to 0001-01-01
check:        none at level may
trust:        none, which nobody asks for: unknown
greeting:     220 mx ?[2J
queue id:     AAA
outcome:      b@x.test: deferred, by mx.x.test[192.0.2.2]:25, in 1.5 s (received 0, queue 0, connection 1, transfer 0.5)
reply:        450 later
result:       not delivered: 450 later
`
	if got := res.Text(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestAdviceForOtherSides(t *testing.T) {
	w := &finder{res: &Mail{}}
	for reply, want := range map[string]string{
		"host mx said: 550 5.1.1 <a@b>: no (in reply to RCPT TO command)":                       "this recipient",
		"host mx said: 450 4.2.0 <a@b>: Greylisted, see http://x (in reply to RCPT TO command)": "a later attempt",
		"host mx said: 451 4.7.1 try later (in reply to MAIL FROM command)":                     "a later attempt",
		"host mx said: 554 5.7.1 blocked using x (in reply to end of DATA command)":             "PTR",
		"mail for x.test loops back to myself":                                                  "mydestination",
		`unknown user: "x"`:                                                                     "newaliases",
		"Host or domain name not found. Name service error for name=x type=MX: Host not found":  "chroot",
		"unable to create lock file: Permission denied":                                         "sandbox",
		"something else": "",
	} {
		if got := w.adviseReply(reply); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%q: %q", reply, got)
		}
	}
}
