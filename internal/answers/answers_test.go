package answers

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseType(t *testing.T) {
	for value, want := range map[string]Type{
		"Internet Site":                InternetSite,
		"'No configuration'":           NoConfiguration,
		"\"Local only\"":               LocalOnly,
		"  internet   with SMARTHOST ": Smarthost,
		" 'satellite system' ":         Satellite,
		"'Satellite system":            "",
		"Internet":                     "",
		"":                             "",
	} {
		got, ok := ParseType(value)
		if got != want || ok != (want != "") {
			t.Errorf("ParseType(%q) = %q, %v; want %q", value, got, ok, want)
		}
	}
}

func TestCheck(t *testing.T) {
	long := strings.Repeat("a", 63)
	cases := map[Question]struct{ good, bad []string }{
		MailerType: {
			good: []string{"Internet Site", "'local only'"},
			bad:  []string{"", "Internet", "HP"},
		},
		Mailname: {
			good: []string{
				"example.com", "==default==", "==DEFAULT==", "a.b", "3com.com", "x-1.example.org", long + ".org",
				"1.2.3.a", strings.Repeat("abcdefghi.", 25) + "abc",
			},
			bad: []string{
				"", "bad name!", "host", "debian.org", "Ubuntu.com", "host.example.com.", "-a.org", "a-.org", "a..org", ".org",
				"12345", "192.0.2.1", long + "a.org", strings.Repeat("abcdefghi.", 25) + "abcd", "my_host.example.com",
				"exämple.com", "a.org b.org", "/etc/mailname", "a.org\nb.org",
			},
		},
		RelayHost: {
			good: []string{
				"", "example.com", "mail", "mail.example.com:587", "mail.example.com:submission", "[mail.example.com]",
				"[mail.example.com]:465", "[192.0.2.1]", "[192.0.2.1]:25", "192.0.2.1", "[2001:db8::1]", "[2001:db8::1]:587",
				"[IPv6:2001:db8::1]:25", "[ipv6:2001:db8::1]", "$mydomain", "[mail.$mydomain]:587", "my_relay.lan",
				"a.org b.org", "[a.org]:587,[b.org]:587", "a.org, $mydomain",
			},
			bad: []string{
				"a.org b.org:", "a.org, 587", ",", "2001:db8::1", "[mail.example.com", "mail.example.com]:25",
				"mail.example.com:", "mail.example.com:0", "mail.example.com:65536", "mail.example.com:25x", "[mail.example.com]25",
				"$relayhost", "[$relayhost]:25", "$", "a$", "${x", "a.org\x7f", "$(..)", "${x?{a}",
				"[mail.example.com]:", "[]", ":25", "bad!host", "12345", "mail.example.com.", "[2001:db8::zz]", "[fe80::1%eth0]",
			},
		},
		MyNetworks: {
			good: []string{
				"", loopback, "10.0.0.0/8", "10.1.2.3", "10.1.2.3/32", "0.0.0.0/0", "!192.168.0.0/28, 192.168.0.0/24",
				"/etc/postfix/nets", "hash:/etc/postfix/nets", "cidr:{{10.0.0.0/8 OK}}", "[::1]", "[2001:db8::]/32", "[::1/128]",
				"[192.0.2.0/24]", "$mynetworks_extra", "client.example.com", ".example.com", "dead.beef",
			},
			bad: []string{
				"10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/x", "10.0.0.0/255.0.0.0", "10.0.0/24", "::1", "::1/128", "[::1]/129",
				"[2001:db8::1]/32", "[::1", "[::1]x", "[::1]a", "!", "10.0.0.0/8 # inside", "300.1.1.1", "10.0.0.0/", "10.0.0.0/-1", "BAD:/x",
				"$mynetworks, 10.0.0.0/8", "10.0.0.0/8 ${mynetworks}", "$", "10.0.0.0/8, $", "${x", "$(..)", "$-", "10.0.0.0/8\x00",
				"hash:", "bad!client", "[fe80::1%eth0]", "[::ffff:127.0.0.1]/104", "010.0.0.1",
			},
		},
		Destinations: {
			good: []string{
				"", "$myhostname, localhost", "example.com,example.org", "/etc/postfix/dest", "hash:/etc/postfix/dest", "localhost",
				"!a.example.com example.com", "inline:{ a.org=x, b.org=y }, localhost",
			},
			bad: []string{"localhost., localhost", "bad!name", "10.0.0.1", "a.org; b.org", "!", ":x", "-x.org", "$mydestination, example.org",
				"$(mydestination) a.org", "$", "a$", "${x", "$(..)", "${{a}==b?{c}}", "a.org\x07", `"a.org b.org`},
		},
		RootAddress: {
			good: []string{"", "NONE", "none", "alice", "alice+root", "alice@example.com", "alice, bob@example.com", "a@[192.0.2.1]"},
			bad:  []string{"|/bin/sh", "/etc/passwd", ":include:/x", "alice@", "@example.com", "alice@bad!dom", "a@[::zz]", "ali\x1bce", "alice\x00"},
		},
		RecipientDelim: {good: []string{"", "+", "-", "=", "'", "+-", "ab"}, bad: []string{"$", "+$", "+ -", "ü", "\x01"}},
		MailboxLimit:   {good: []string{"0", "51200000", " 7 "}, bad: []string{"", "-1", "1k", "1.5", "99999999999999999999", "0x10"}},
		Protocols:      {good: []string{"all", "ipv4", "ipv6", "ipv4, ipv6", "ipv6 ipv4", "IPv4"}, bad: []string{"", "ipv5", "none", "$x"}},
		RelayPort:      {good: []string{"", "25", "587", "submission", "65535"}, bad: []string{"0", "65536", "a b", "-1", "587x!"}},
		RelayTLS:       {good: append(TLSWays(), ""), bad: []string{"verify", "yes"}},
		RelayAccount:   {good: []string{"", "u", "u@example.com", "u+x", `a"b'c`, "ü"}, bad: []string{"a:b", "a\x01b"}},
		Rewriting:      {good: append(Rewritings(), ""), bad: []string{"canonical"}},
		SenderAddress:  {good: []string{"", "u@example.com"}, bad: []string{"u", "U <u@example.com>", "a@b, c@d"}},
		Procmail:       {good: []string{"true", "false", ""}, bad: []string{"yes"}},
		Chattr:         {good: []string{"true", "false", ""}, bad: []string{"maybe"}},
	}
	for q, c := range cases {
		for _, value := range c.good {
			if err := Check(q, value, Answers{}); err != nil {
				t.Errorf("%s: %q is refused: %v", q, value, err)
			}
		}
		for _, value := range c.bad {
			if err := Check(q, value, Answers{}); err == nil {
				t.Errorf("%s: %q is taken", q, value)
			} else if strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %q: the text has more than one line: %q", q, value, err)
			}
		}
	}
}

func TestCheckSaysWhatToDo(t *testing.T) {
	for _, c := range []struct {
		q           Question
		value, want string
	}{
		{Mailname, "host.example.com.", `write "host.example.com"`},
		{MyNetworks, "10.0.0.1/8", "perhaps 10.0.0.0/8"},
		{MyNetworks, "[2001:db8::1]/32", "perhaps [2001:db8::]/32"},
		{MyNetworks, "[::ffff:127.0.0.1]/104", "perhaps [::ffff:127.0.0.0]/104"},
		{MyNetworks, "10.1.255.2/20", "perhaps 10.1.240.0/20"},
		{RelayHost, "2001:db8::1", "brackets"},
		{RelayHost, "[.]:587", "blank"},
		{MyNetworks, "::1/128", "brackets"},
	} {
		if err := Check(c.q, c.value, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q: %v, want %q in it", c.q, c.value, err, c.want)
		}
	}
	for value, insist := range map[string]bool{
		"my_host.example.com": true, "a..example.com": true, "bad name!": false, "debian.org": false, "host": false, "10.0.0.1": false,
	} {
		if err := Check(Mailname, value, nil); errors.Is(err, ErrRFC1035) != insist {
			t.Errorf("%q: %v; may be insisted on: want %v", value, err, insist)
		}
	}
}

func TestEqual(t *testing.T) {
	for _, c := range []struct {
		q    Question
		a, b string
		want bool
	}{
		{Destinations, "a.org, , b.org", "a.org b.org", true},
		{Destinations, "A.org,b.org", "a.org b.ORG", true},
		{Destinations, "a.org b.org", "b.org a.org", false}, // the first match counts where a ! is in the list
		{Destinations, "hash:/A", "hash:/a", false},
		{MyNetworks, "10.0.0.0/8\n\t[::1]", "10.0.0.0/8 [::1]", true},
		{MyNetworks, "10.0.0.0/8", "", false},
		{MailerType, "'internet site'", "Internet Site", true},
		{MailerType, "Internet Site", "Local only", false},
		{Mailname, "Example.Com", " example.com", true},
		{RelayHost, "[Mail.example.com]", "[mail.example.com]", true},
		{RelayHost, "[mail.example.com]", "mail.example.com", false},
		{Protocols, "ipv4, ipv6", "all", true},
		{Protocols, "ipv4", "all", false},
		{Protocols, "", "all", false},
		{RootAddress, "NONE", "", true},
		{RootAddress, "a,b", "a, b", true},
		{Procmail, "", "false", true},
		{Chattr, "true", "false", false},
		{MailboxLimit, "00", "0", true},
		{MailboxLimit, "", "0", false},
		{MailboxLimit, "10", "1", false},
		{RecipientDelim, "+", "", false},
		{RecipientDelim, "+", " + ", true},
	} {
		for range 2 {
			if got := Equal(c.q, c.a, c.b); got != c.want {
				t.Errorf("Equal(%s, %q, %q) = %v", c.q, c.a, c.b, got)
			}
			c.a, c.b = c.b, c.a
		}
	}
}

func TestDestinationsOfAFreshHost(t *testing.T) {
	full := Facts{FQDN: "box.lan.example", Domain: "lan.example"}
	cases := map[string]struct {
		facts    Facts
		typ      Type
		mailname string
		want     string
	}{
		"internet site whose mail name is the host's": {full, InternetSite, "box.lan.example",
			"$myhostname, box.lan.example, localhost.lan.example, localhost"},
		"internet site with the organisation's mail name": {full, InternetSite, "corp.example",
			"$myhostname, corp.example, box.lan.example, localhost.lan.example, localhost"},
		"internet site with Debian's word for the host's name": {full, InternetSite, "==default==",
			"$myhostname, box.lan.example, localhost.lan.example, localhost"},
		"smarthost never claims an unrelated mail name": {full, Smarthost, "corp.example",
			"$myhostname, box.lan.example, localhost.lan.example, localhost"},
		"satellite never claims an unrelated mail name": {full, Satellite, "corp.example",
			"$myhostname, box.lan.example, localhost.lan.example, localhost"},
		"local only claims an unrelated mail name": {full, LocalOnly, "corp.example",
			"corp.example, $myhostname, box.lan.example, localhost.lan.example, localhost"},
		"local only leaves its own domain out": {full, LocalOnly, "lan.example",
			"$myhostname, box.lan.example, localhost.lan.example, localhost"},
		"a host with a plain name": {Facts{FQDN: "box"}, InternetSite, "box",
			"$myhostname, localhost.localdomain, localhost"},
		"a host without any name": {Facts{}, InternetSite, "localdomain",
			"$myhostname, localhost.localdomain, localhost"},
		"a host whose name is a number": {Facts{FQDN: "12345"}, Satellite, "x.example",
			"$myhostname, localhost.localdomain, localhost"},
		"a domain with the resolver's last dot": {Facts{FQDN: "box.example.", Domain: "example."}, Satellite, "",
			"$myhostname, box.example, localhost.example, localhost"},
		"an unknown type claims least": {full, "HP", "corp.example",
			"$myhostname, box.lan.example, localhost.lan.example, localhost"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := Answers{MailerType: {Value: string(c.typ)}, Mailname: {Value: c.mailname}}
			got := Default(Destinations, c.facts, a)
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if err := Check(Destinations, got, a); err != nil {
				t.Errorf("the guess %q is refused: %v", got, err)
			}
		})
	}
}

func TestDefault(t *testing.T) {
	for name, c := range map[string]struct {
		q     Question
		facts Facts
		want  string
	}{
		"mail name from the file":                 {Mailname, Facts{Mailname: "corp.example", FQDN: "a.b"}, "corp.example"},
		"mail name from the host":                 {Mailname, Facts{FQDN: "box.example"}, "box.example"},
		"mail name that is not ours":              {Mailname, Facts{Mailname: "debian.org", FQDN: "box.example"}, "box.example"},
		"mail name that is no name":               {Mailname, Facts{Mailname: "a b", FQDN: "box.example"}, "box.example"},
		"mail name with an underscore":            {Mailname, Facts{Mailname: "my_host.example", FQDN: "box.example"}, "my_host.example"},
		"mail name of a plain host":               {Mailname, Facts{FQDN: "box"}, "box"},
		"mail name of a plain host with a domain": {Mailname, Facts{FQDN: "box", Domain: "lan"}, "box.lan"},
		"mail name where nothing is known":        {Mailname, Facts{}, "localdomain"},
		"type of a fresh host":                    {MailerType, Facts{}, "Internet Site"},
		"type where a main.cf is there":           {MailerType, Facts{HasMainCF: true}, "No configuration"},
		"relay host":                              {RelayHost, Facts{FQDN: "box.example", Domain: "example"}, ""},
		"protocols where nothing is known":        {Protocols, Facts{}, "all"},
		"protocols of a kernel with both":         {Protocols, Facts{Protocols: "ipv4, ipv6"}, "all"},
		"protocols of a kernel with one":          {Protocols, Facts{Protocols: "ipv4"}, "ipv4"},
		"root's mail":                             {RootAddress, Facts{FirstUser: "alice"}, "alice"},
		"procmail":                                {Procmail, Facts{Procmail: true}, "true"},
		"no procmail":                             {Procmail, Facts{}, "false"},
		"mailbox limit":                           {MailboxLimit, Facts{}, "0"},
		"delimiter":                               {RecipientDelim, Facts{}, "+"},
		"networks":                                {MyNetworks, Facts{}, "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128"},
		"synchronous updates":                     {Chattr, Facts{Chattr: true}, "false"},
	} {
		if got := Default(c.q, c.facts, Answers{}); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestCheckAll(t *testing.T) {
	a := Answers{
		MailerType:     {Value: "Satellite system", Answered: true},
		Mailname:       {Value: "bad name!", Answered: true},
		RelayHost:      {Value: ""},
		RecipientDelim: {Value: "$", Changed: true},
		MailboxLimit:   {Value: "many"}, // nobody answered it
		MyNetworks:     {Value: "10.0.0.0/8", Answered: true},
	}
	var got []string
	for _, p := range CheckAll(a) {
		got = append(got, fmt.Sprintf("%s=%s", p.Question, p.Value))
	}
	want := []string{"postfix/mailname=bad name!", "postfix/recipient_delim=$"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	a[MailerType] = Answer{Value: "Internet Site"}
	delete(a, RecipientDelim)
	for _, name := range []string{"plain", "my_host.example"} {
		a[Mailname] = Answer{Value: name, Answered: true}
		if got := CheckAll(a); len(got) != 0 {
			t.Errorf("an internet site has problems: %v", got)
		}
	}
	a[Destinations], a[MyNetworks] = Answer{Value: "$mynetworks", Answered: true}, Answer{Value: "$mydestination", Answered: true}
	if got := CheckAll(a); len(got) != 2 {
		t.Errorf("two answers that refer to each other: %v", got)
	}
}

func TestWithOwnNames(t *testing.T) {
	f := Facts{FQDN: "box.lan.example", Computed: "box.localdomain"}
	for list, want := range map[string]string{
		"":                                  "$myhostname, localhost",
		"corp.example":                      "corp.example, $myhostname, localhost",
		"corp.example localhost":            "corp.example, localhost, $myhostname",
		"$myhostname, localhost":            "$myhostname, localhost",
		"Box.lan.example localhost":         "Box.lan.example localhost",
		"hash:/etc/d, ${myhostname}":        "hash:/etc/d, ${myhostname}, localhost",
		"!localhost, corp.example":          "!localhost, corp.example, $myhostname",
		"inline:{ a.org=x, b.org=y }, c.de": "inline:{ a.org=x, b.org=y }, c.de, $myhostname, localhost",
	} {
		if got, added := WithOwnNames(list, f); got != want || (len(added) > 0) != (got != list) {
			t.Errorf("%q became %q (%q), want %q", list, got, added, want)
		}
	}
}

type database map[string]string

func (d database) Get(q string) (string, error) {
	if value, ok := d[q]; ok {
		return value, nil
	}
	return "", fmt.Errorf("no %s: %w", q, fs.ErrNotExist)
}

func (d database) Flag(q, flag string) (bool, error) {
	if d[q+" "+flag] == "broken" {
		return false, errors.New("broken")
	}
	return d[q+" "+flag] == "true", nil
}

func TestLoad(t *testing.T) {
	got, err := Load(database{
		"postfix/main_mailer_type": "'no configuration'", "postfix/main_mailer_type seen": "true",
		"postfix/mailname": " example.com ", "postfix/mailname maint_changed": "true",
		"postfix/protocols": "ipv4, ipv6",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Answers{
		MailerType: {Value: "No configuration", Answered: true},
		Mailname:   {Value: "example.com", Changed: true},
		Protocols:  {Value: "all"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for q, value := range map[string]string{"mailname": " ", "mailbox_limit": "", "protocols": "''"} { // what says nothing is no answer
		a, err := Load(database{"postfix/" + q: value, "postfix/" + q + " seen": "true", "postfix/" + q + " maint_changed": "true"})
		if err != nil || a[Question("postfix/"+q)] != (Answer{}) {
			t.Errorf("%s %q: %+v, %v", q, value, a, err)
		}
	}
	cloned, err := Load(database{"postfix/mailname": "/etc/mailname", "postfix/mailname seen": "true", "postfix/relayhost": "", "postfix/relayhost seen": "true"})
	if err != nil || cloned[Mailname].Answered || !cloned[RelayHost].Answered {
		t.Errorf("the template's default: %+v, %v", cloned, err)
	}
	for keep, want := range map[string]bool{"true": true, "false": false} {
		a, err := Load(database{"postfix/mailname": "my_host.example", "postfix/rfc1035_violation": keep})
		if err != nil || a[Mailname].Insisted != want || (Check(Mailname, "my_host.example", a) == nil) != want {
			t.Errorf("keep=%s: %+v, %v, %v", keep, a[Mailname], err, Check(Mailname, "my_host.example", a))
		}
		if Check(Mailname, "other_host.example", a) == nil || Check(Mailname, "bad name!", a) == nil {
			t.Error("insisting on one name lets others pass")
		}
	}
	if _, err := Load(database{"postfix/mailname": "x", "postfix/mailname seen": "broken"}); err == nil {
		t.Error("a broken database is read")
	}
}

func TestRelayAndPort(t *testing.T) {
	for _, c := range []struct{ relay, port, want, wrong string }{
		{"[r.example]", "587", "[r.example]:587", ""},
		{"r.example", "465", "r.example:465", ""},
		{"[2001:db8::1]", "587", "[2001:db8::1]:587", ""},
		{"[r.example]", "25", "[r.example]", ""},
		{"[r.example]", "", "[r.example]", ""},
		{"[r.example]:587", "25", "[r.example]:587", ""},
		{"[r.example]:587", "587", "[r.example]:587", ""},
		{"[r.example]:587", "465", "[r.example]:587", "names another port"},
		{"", "587", "", ""},
		{"a.example, [b.example]", "25", "a.example, [b.example]", ""},
		{"a.example:587 b.example", "587", "a.example:587 b.example", "behind each"},
	} {
		a := Answers{RelayHost: {Value: c.relay}, RelayPort: {Value: c.port}}
		if got := a.Relay(); got != c.want {
			t.Errorf("%q with port %q is %q, want %q", c.relay, c.port, got, c.want)
		}
		if err := Check(RelayPort, c.port, a); (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%q with port %q: %v, want %q", c.relay, c.port, err, c.wrong)
		}
	}
	for way, want := range map[string]bool{GenericMap: true, UserMap: false} {
		if err := Check(SenderAddress, "", Answers{Rewriting: {Value: way}}); (err != nil) != want {
			t.Errorf("no address with %s: %v", way, err)
		}
		if err := Check(SenderMap, "", Answers{Rewriting: {Value: way}}); (err == nil) != want {
			t.Errorf("no table with %s: %v", way, err)
		}
	}
}
