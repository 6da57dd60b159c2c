package smarthost_test

import (
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/smarthost"
)

type qa map[answers.Question]string

func (q qa) answers() answers.Answers {
	a := answers.Answers{}
	for question, value := range q {
		a[question] = answers.Answer{Value: value, Answered: true}
	}
	return a
}

// bring brings answers into force, as postinst does, and gives the live ones after it.
func bring(t *testing.T, d smarthost.Deps, q qa, password smarthost.Secret, others ...maincf.Edit) map[answers.Question]string {
	t.Helper()
	if bad := smarthost.CheckAnswers(context.Background(), d, primary, q.answers(), password, true); len(bad) > 0 {
		t.Fatalf("%+v", bad)
	}
	p, err := smarthost.SetAnswers(context.Background(), d, primary, q.answers(), password, others...)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(context.Background(), func(smarthost.Change) {}); err != nil {
		t.Fatal(err)
	}
	live, ours, err := smarthost.Live(d.Root, primary)
	if err != nil || !ours {
		t.Fatalf("live is %v, ours %v: %v", live, ours, err)
	}
	return live
}

func TestAnswersComeIntoForce(t *testing.T) {
	for name, c := range map[string]struct {
		given    qa
		password smarthost.Secret
		params   map[string]string
		live     qa // where it is not what was given
	}{
		"the port decides": {
			given:  qa{answers.RelayHost: "[r.example]", answers.RelayPort: "465"},
			params: map[string]string{"relayhost": "[r.example]:465", "smtp_tls_wrappermode": "yes", "smtp_tls_security_level": "verify"},
			live:   qa{answers.RelayPort: ""},
		},
		"STARTTLS at an unusual port, without a look at the certificate": {
			given:  qa{answers.RelayHost: "[r.example]:2525", answers.RelayTLS: answers.Unchecked},
			params: map[string]string{"smtp_tls_security_level": "encrypt", "smtp_tls_wrappermode": "(unset)"},
		},
		"what the port means anyway": {
			given:  qa{answers.RelayHost: "[r.example]:587", answers.RelayTLS: answers.StartTLS},
			params: map[string]string{"smtp_tls_security_level": "verify"}, live: qa{answers.RelayTLS: answers.ByPort},
		},
		"a login, one address for all": {
			given: qa{answers.RelayHost: "[r.example]:587", answers.RelayAccount: "u@r.example",
				answers.Rewriting: answers.GenericMap, answers.SenderAddress: "u@r.example"},
			password: secret,
			params:   map[string]string{"smtp_sasl_auth_enable": "yes", "smtp_generic_maps": "hash:/etc/postfix/generic"},
		},
		"users": {
			given:  qa{answers.RelayHost: "[r.example]:587", answers.Rewriting: answers.UserMap, answers.SenderMap: "a a@r.example, b b@r.example"},
			params: map[string]string{"sender_canonical_maps": "hash:/etc/postfix/sender_canonical"},
		},
		"patterns with commas": {
			given: qa{answers.RelayHost: "[r.example]:587", answers.Rewriting: answers.RegexpMap,
				answers.SenderMap: `/^(a{1,2}, b)@h$/ $1@r.example, /^c d$/i c@r.example`},
			params: map[string]string{"sender_canonical_maps": "regexp:/etc/postfix/sender_canonical.regexp"},
		},
		"a file of users": {
			given:  qa{answers.RelayHost: "[r.example]:587", answers.Rewriting: answers.UserMap, answers.SenderMap: "/root/users"},
			params: map[string]string{"sender_canonical_maps": "hash:/etc/postfix/sender_canonical"},
			live:   qa{answers.SenderMap: "c c@r.example, d d@r.example"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := lay(t, map[string]string{"root/users": "# users\nc c@r.example\nd d@r.example\n"})
			live := bring(t, d, c.given, c.password, maincf.Set("relayhost", c.given[answers.RelayHost]))
			for param, want := range c.params {
				if got := value(t, d, param); got != want {
					t.Errorf("%s = %q, want %q", param, got, want)
				}
			}
			if got, want := live[answers.RelayHost], value(t, d, "relayhost"); got != want {
				t.Errorf("live relay host is %q, want %q", got, want)
			}
			delete(live, answers.RelayHost)
			for q, v := range live {
				want := c.given[q]
				if other, ok := c.live[q]; ok {
					want = other
				}
				if !answers.Equal(q, v, want) {
					t.Errorf("live %s is %q, want %q", q, v, want)
				}
			}
			again := maps.Clone(c.given)
			again[answers.RelayHost] = value(t, d, "relayhost")
			again[answers.RelayPort] = ""
			for q, v := range live {
				again[q] = v
			}
			p, err := smarthost.SetAnswers(context.Background(), d, primary, again.answers(), "")
			if err != nil || len(p.Changes) > 0 {
				t.Errorf("what is in force, as answers, changes %v: %v", p.Changes, err)
			}
			unset(t, d)
			if got := value(t, d, "relayhost"); got != c.given[answers.RelayHost] {
				t.Errorf("unset goes back to %q", got)
			}
		})
	}
}

// The names of this host that come with the relay are those that its senders have.
func TestAnswersWithOtherNames(t *testing.T) {
	d, _ := lay(t, nil)
	given := qa{answers.RelayHost: "[r.example]:587", answers.Rewriting: answers.GenericMap, answers.SenderAddress: "u@r.example"}
	bring(t, d, given, "", maincf.Set("mydestination", "new.example, $myhostname"))
	if got := read(t, d, "/etc/postfix/generic"); !strings.Contains(got, "@new.example u@r.example\n") || !strings.Contains(got, "@mail.example.test u@r.example\n") {
		t.Errorf("the table says\n%s", got)
	}
}

// What the administrator made by hand, or by the command in more detail than there are answers, is not undone by another answer.
func TestAnswersKeepWhatTheyDoNotChange(t *testing.T) {
	d, _ := lay(t, nil)
	o := options()
	o.TLS = "secure"
	set(t, d, o)
	live, _, err := smarthost.Live(d.Root, primary)
	if err != nil {
		t.Fatal(err)
	}
	want := map[answers.Question]string{
		answers.RelayHost: o.Relay, answers.RelayPort: "", answers.RelayTLS: answers.StartTLS, answers.RelayAccount: "u@example.net", answers.Rewriting: answers.GenericMap,
		answers.SenderAddress: "u@example.net", answers.SenderMap: "", answers.RelayProvider: answers.OtherProvider,
	}
	if diff := cmp.Diff(want, live); diff != "" {
		t.Error(diff)
	}
	given := qa{answers.RelayHost: o.Relay}
	for q, v := range live {
		given[q] = v
	}
	given[answers.SenderAddress] = "v@example.net"
	bring(t, d, given, "")
	for param, want := range map[string]string{"smtp_tls_security_level": "secure", "smtp_header_checks": "regexp:/etc/postfix/smtp_header_checks"} {
		if got := value(t, d, param); got != want {
			t.Errorf("%s = %q, want %q", param, got, want)
		}
	}
	if got := read(t, d, "/etc/postfix/generic"); !strings.Contains(got, "v@example.net") {
		t.Errorf("the answer is not in force:\n%s", got)
	}
}

// A login that is added to a relay at hand raises a level that was none, though the question about TLS may not have been shown.
func TestALoginRaisesTheLevel(t *testing.T) {
	for level, want := range map[string]string{"may": "verify", "none": "verify", "encrypt": "encrypt"} {
		edited := strings.NewReplacer("relayhost =", "relayhost = [r.example]:587", "level=may", "level="+level).Replace(mainCF)
		d, _ := lay(t, map[string]string{"etc/postfix/main.cf": edited})
		live, _, err := smarthost.Live(d.Root, primary)
		if err != nil {
			t.Fatal(err)
		}
		live[answers.RelayAccount] = "u"
		bring(t, d, live, secret)
		if got := value(t, d, "smtp_tls_security_level"); got != want || value(t, d, "smtp_sasl_auth_enable") != "yes" {
			t.Errorf("%q becomes %q", level, got)
		}
	}
}

// The first registry of map types has each whose library is there: pcre can be used as soon as its package is unpacked.
func TestPCREInAFirstInstallation(t *testing.T) {
	given := qa{answers.RelayHost: "[r.example]:587", answers.Rewriting: answers.PCREMap, answers.SenderMap: "/a/ b@r.example"}
	for library, problems := range map[string]int{"usr/lib/postfix/postfix-pcre.so": 0, "usr/lib/postfix/postfix-lmdb.so": 1} {
		d, _ := lay(t, map[string]string{"etc/postfix/main.cf": "-", library: ""})
		if bad := smarthost.CheckAnswers(context.Background(), d, primary, given.answers(), "", true); len(bad) != problems {
			t.Errorf("with %s: %+v", library, bad)
		}
	}
}

func TestPlain(t *testing.T) {
	for _, c := range []struct {
		given qa
		want  bool
	}{
		{qa{answers.RelayHost: "r.example"}, true},
		{qa{answers.RelayHost: "[r.example]:25", answers.RelayTLS: answers.ByPort, answers.Rewriting: answers.NoRewriting}, true},
		{qa{answers.RelayHost: "[mail.$mydomain]", answers.RelayPort: "25"}, true},
		{qa{answers.RelayHost: "[mail.$mydomain]", answers.RelayPort: "587"}, false},
		{qa{answers.RelayHost: "[mail.$mydomain]", answers.RelayAccount: "u"}, false},
		{qa{answers.RelayHost: "r.example", answers.RelayTLS: answers.StartTLS}, false},
		{qa{answers.RelayHost: "r.example", answers.Rewriting: answers.UserMap}, false},
		{qa{answers.RelayHost: "r.example:587"}, false},
		{qa{answers.RelayHost: "r.example:"}, false},
	} {
		if got := smarthost.Plain(c.given.answers()); got != c.want {
			t.Errorf("%v: %v", c.given, got)
		}
	}
}

func TestSeveralRelaysArePlain(t *testing.T) {
	for want, q := range map[bool]qa{
		true:  {answers.RelayHost: "[a.example]:587, b.example", answers.RelayTLS: answers.ByPort, answers.RelayPort: "25"},
		false: {answers.RelayHost: "[a.example]:587, b.example", answers.RelayAccount: "me"},
	} {
		if got := smarthost.Plain(q.answers()); got != want {
			t.Errorf("%v: %v", q, got)
		}
		d, _ := lay(t, nil)
		bad := smarthost.CheckAnswers(context.Background(), d, primary, q.answers(), "x", true)
		if len(bad) != 1 || bad[0].Question != answers.RelayHost { // a login at several is refused, not half set up
			t.Errorf("%v: %+v", q, bad)
		}
	}
}

func TestAnswersThatCannotBe(t *testing.T) {
	login := qa{answers.RelayHost: "[r.example]:587", answers.RelayAccount: "u"}
	for name, c := range map[string]struct {
		given    qa
		password smarthost.Secret
		files    map[string]string
		q        answers.Question
		text     string
	}{
		"no password":                {given: login, q: answers.RelayPassword, text: "no password for account"},
		"no account":                 {given: qa{answers.RelayHost: "[r.example]:587"}, password: "pw", q: answers.RelayAccount, text: "no account"},
		"a login that could leak":    {given: qa{answers.RelayHost: "[r.example]:587", answers.RelayAccount: "u", answers.RelayTLS: answers.Opportunistic}, password: "pw", q: answers.RelayTLS, text: "in clear: use by-port, starttls"},
		"no plug-ins":                {given: login, password: "pw", files: map[string]string{"usr/lib/x86_64/sasl2/libplain.so": "-"}, q: answers.RelayAccount, text: "libsasl2-modules"},
		"no CAs":                     {given: login, password: "pw", files: map[string]string{"etc/ssl/certs/ca-certificates.crt": "-"}, q: answers.RelayTLS, text: "ca-certificates"},
		"pcre that is not installed": {given: qa{answers.RelayHost: "[r.example]:587", answers.Rewriting: answers.PCREMap, answers.SenderMap: "/a/ b@r.example"}, q: answers.Rewriting, text: "postfix-pcre"},
		"pcre before Postfix":        {given: qa{answers.RelayHost: "[r.example]:587", answers.Rewriting: answers.PCREMap, answers.SenderMap: "/a/ b@r.example"}, files: map[string]string{"etc/postfix/main.cf": "-"}, q: answers.Rewriting, text: "postfix-pcre"},
		"senders without addresses":  {given: qa{answers.RelayHost: "[r.example]:587", answers.Rewriting: answers.UserMap, answers.SenderMap: "a, b"}, q: answers.SenderMap, text: "no sender and address"},
		"a file that is not there":   {given: qa{answers.RelayHost: "[r.example]:587", answers.Rewriting: answers.UserMap, answers.SenderMap: "/nowhere"}, q: answers.SenderMap, text: "/nowhere"},
		"a relay that is a name":     {given: qa{answers.RelayHost: "[mail.$mydomain]:587"}, q: answers.RelayHost, text: "write the host out"},
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := lay(t, c.files)
			bad := smarthost.CheckAnswers(context.Background(), d, primary, c.given.answers(), c.password, true)
			if len(bad) != 1 || bad[0].Question != c.q || !strings.Contains(bad[0].Text, c.text) {
				t.Errorf("%+v, want %s: %q", bad, c.q, c.text)
			}
		})
	}
}
