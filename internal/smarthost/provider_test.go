package smarthost_test

import (
	"context"
	"strings"
	"testing"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/providers"
	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/sysroot/sysroottest"
)

func provider(t *testing.T, name string) providers.Provider {
	t.Helper()
	p, ok := providers.Find(name)
	if !ok {
		t.Fatalf("no %s", name)
	}
	return p
}

// Every row makes a plan: its relay is one, its certificate is checked, TLS begins as the row says, its limits are in main.cf, and the way back
// leaves nothing of it.
func TestEveryProviderCanBeSet(t *testing.T) {
	for _, p := range providers.All {
		for i := range p.Relays() {
			region := ""
			if len(p.Regions) > 0 {
				region = p.Regions[i].Name
			}
			d, _ := lay(t, nil)
			o, err := smarthost.Options{User: "me@example.net"}.At(p, region, "")
			if err != nil {
				t.Fatalf("%s in %q: %v", p.Name, region, err)
			}
			o.User, o.Password = "me@example.net", secret
			set(t, d, o)
			for param, want := range map[string]string{
				"relayhost": p.Relays()[i], "smtp_tls_security_level": "verify",
				"smtp_tls_wrappermode":               map[bool]string{true: "yes", false: "(unset)"}[p.Wrapper],
				"smtp_destination_concurrency_limit": orUnset(p.Concurrency), "smtp_destination_rate_delay": orUnset(p.Delay),
			} {
				if got := value(t, d, param); got != want {
					t.Errorf("%s in %q: %s = %q, want %q", p.Name, region, param, got, want)
				}
			}
			unset(t, d)
			if got := read(t, d, "/etc/postfix/main.cf"); got != mainCF {
				t.Errorf("%s in %q: unset leaves\n%s", p.Name, region, got)
			}
		}
	}
}

func orUnset(value string) string {
	if value == "" {
		return "(unset)"
	}
	return value
}

// What is named beside a provider wins where it is the same relay, and is refused where it is another one or less safe.
func TestBesideAProvider(t *testing.T) {
	yes, no := true, false
	for name, c := range map[string]struct {
		provider, region, relay, tls string
		wrapper                      *bool
		want, err                    string
	}{
		"another port":             {provider: "google", relay: "[smtp.gmail.com]:465", want: "[smtp.gmail.com]:465 verify true"},
		"without brackets":         {provider: "google", relay: "smtp.gmail.com:587", want: "smtp.gmail.com:587 verify false"},
		"the level secure":         {provider: "google", tls: "secure", want: "[smtp.gmail.com]:587 secure false"},
		"the TLS that is usual":    {provider: "fastmail", wrapper: &yes, want: "[smtp.fastmail.com]:465 verify true"},
		"another region's host":    {provider: "mailgun", relay: "[smtp.eu.mailgun.org]:587", want: "[smtp.eu.mailgun.org]:587 verify false"},
		"another host":             {provider: "google", relay: "[smtp.example.net]:587", err: "smtp.example.net is no host of Gmail and Google Workspace, whose relay is [smtp.gmail.com]:587"},
		"a host of another region": {provider: "mailgun", region: "us", relay: "[smtp.eu.mailgun.org]:587", err: "is not the relay of the region us"},
		"a region that is none":    {provider: "mailgun", region: "mars", err: "use one of us, eu"},
		"no check":                 {provider: "google", tls: "encrypt", err: "is not checked: use verify or secure"},
		"no TLS":                   {provider: "google", tls: "none", err: "use encrypt, verify or secure"},
		"TLS at the wrong port":    {provider: "google", wrapper: &yes, err: "has STARTTLS at port 587, and TLS from the first byte was asked for"},
		"STARTTLS at 465":          {provider: "fastmail", wrapper: &no, err: "has TLS from the first byte at port 465, and STARTTLS was asked for"},
	} {
		d, _ := lay(t, nil)
		o, err := smarthost.Options{TLS: "may"}.At(provider(t, c.provider), c.region, c.relay)
		if err == nil {
			o.User, o.Password = "me", secret
			if c.tls != "" {
				o.TLS = c.tls
			}
			o.Wrapper = c.wrapper
			_, err = smarthost.Set(context.Background(), d, primary, o)
		}
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		set(t, d, o)
		want := strings.Fields(c.want)
		if got := value(t, d, "smtp_tls_security_level"); got != want[1] {
			t.Errorf("%s: level %s", name, got)
		}
		if got := value(t, d, "smtp_tls_wrappermode") == "yes"; got != (want[2] == "true") {
			t.Errorf("%s: wrapper %v", name, got)
		}
	}
}

// A stricter limit of an administrator's stays, and comes back with unset where it was looser.
func TestLimitsOfOnesOwn(t *testing.T) {
	for own, want := range map[string]string{"1": "1", "3": "3", "20": "3", "0": "3", "$default_destination_concurrency_limit": "3"} {
		line := "smtp_destination_concurrency_limit = " + own + "\n"
		d, _ := lay(t, map[string]string{"etc/postfix/main.cf": mainCF + line})
		o, err := smarthost.Options{}.At(provider(t, "microsoft"), "", "")
		if err != nil {
			t.Fatal(err)
		}
		set(t, d, o)
		if got := value(t, d, "smtp_destination_concurrency_limit"); got != want {
			t.Errorf("own %s: %s", own, got)
		}
		if o = o.To("[relay.example.net]:587"); o.Provider != "" {
			t.Errorf("another relay keeps the provider %s", o.Provider)
		}
		set(t, d, o)
		if got := value(t, d, "smtp_destination_concurrency_limit"); got != own {
			t.Errorf("own %s: with another relay %s", own, got)
		}
		unset(t, d)
		if got := read(t, d, "/etc/postfix/main.cf"); got != mainCF+line {
			t.Errorf("own %s: unset leaves\n%s", own, got)
		}
	}
}

// The answer about the provider is what the relay host says, and an answered one's limits are kept to unless another answer says less.
func TestAnswersWithAProvider(t *testing.T) {
	for name, c := range map[string]struct {
		given       qa
		relay, live string
	}{
		"provider and account": {qa{answers.RelayProvider: "fastmail", answers.RelayHost: "[smtp.fastmail.com]:465"}, "[smtp.fastmail.com]:465", "fastmail"},
		"another relay host":   {qa{answers.RelayProvider: "fastmail", answers.RelayHost: "[r.example]:587"}, "[r.example]:587", "other"},
		"no provider":          {qa{answers.RelayProvider: "other", answers.RelayHost: "[smtp.gmail.com]:465"}, "[smtp.gmail.com]:465", "google"},
		"a certificate that is not looked at": {
			qa{answers.RelayProvider: "google", answers.RelayHost: "[smtp.gmail.com]:587", answers.RelayTLS: answers.Unchecked}, "[smtp.gmail.com]:587", "google",
		},
	} {
		d, _ := lay(t, nil)
		c.given[answers.RelayAccount] = "me"
		live := bring(t, d, c.given, secret)
		if got := value(t, d, "relayhost"); got != c.relay || live[answers.RelayProvider] != c.live {
			t.Errorf("%s: relay %s, provider %s", name, got, live[answers.RelayProvider])
		}
	}
}

// Whose relay is in force is told by its host, whoever set it.
func TestShowNamesTheProvider(t *testing.T) {
	for relay, want := range map[string]string{
		"[smtp.gmail.com]:587": "provider:     Gmail and Google Workspace (--provider google)\n", "[smtp.eu.mailgun.org]:2525": "(--provider mailgun)",
		"[relay.example.net]:587": "", "": "",
	} {
		d, _ := lay(t, map[string]string{"etc/postfix/main.cf": strings.Replace(mainCF, "relayhost =", "relayhost = "+relay, 1)})
		before := sysroottest.Dump(t, d.Root.Dir(), true)
		s, err := smarthost.Show(t.Context(), d, primary)
		text := s.Text()
		if err != nil || !strings.Contains(text, want) || (want == "") != (s.Provider == "") || (want == "") != !strings.Contains(text, "to know:") {
			t.Errorf("%s: %v\n%s", relay, err, text)
		}
		if len(sysroottest.Dump(t, d.Root.Dir(), true)) != len(before) {
			t.Errorf("%s: something was written", relay)
		}
	}
}
