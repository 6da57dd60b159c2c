package answers

import (
	"strings"
	"testing"
)

func TestFromProvider(t *testing.T) {
	for name, c := range map[string]struct {
		provider  string
		port      Answer
		relay, of string // what the provider means, and which provider that relay host stands for
	}{
		"none":             {provider: "other", of: "other"},
		"nothing":          {of: "other"},
		"unknown":          {provider: "nobody", of: "other"},
		"one":              {provider: "google", relay: "[smtp.gmail.com]:587", of: "google"},
		"the first region": {provider: "mailgun", relay: "[smtp.mailgun.org]:587", of: "mailgun"},
		"a port":           {provider: "google", port: Answer{Value: "465", Answered: true}, relay: "[smtp.gmail.com]:465", of: "google"},
		"the guess":        {provider: "google", port: Answer{Value: "465"}, relay: "[smtp.gmail.com]:587", of: "google"},
		"the usual port":   {provider: "google", port: Answer{Value: "25", Answered: true}, relay: "[smtp.gmail.com]:587", of: "google"},
	} {
		a := Answers{RelayProvider: {Value: c.provider, Answered: true}, RelayPort: c.port}
		if got := a.ProviderRelay(); got != c.relay || ProviderOf(got) != c.of {
			t.Errorf("%s: %q, which is %q", name, got, ProviderOf(got))
		}
		if _, ok := a.FromProvider(RelayAccount); ok {
			t.Errorf("%s: names an account", name)
		}
		if got := Default(RelayHost, Facts{}, a); got != c.relay {
			t.Errorf("%s: the guess is %q", name, got)
		}
	}
	if got := ProviderOf("[smtp.gmail.com]:587, [b.example]:587"); got != OtherProvider {
		t.Errorf("several relays are %q", got)
	}
}

func TestProviderAnswers(t *testing.T) {
	for value, want := range map[string]struct{ clean, err string }{
		"": {}, "other": {clean: "other"}, " 'Gmail' ": {clean: "google"}, "mailbox.org": {clean: "mailbox-org"}, "gogle": {"gogle", `"gogle" is none of other, amazon-ses`},
		"Office365": {"microsoft", `"postfix-maint smarthost login --provider microsoft"`},
	} {
		clean := Clean(RelayProvider, value)
		err := Check(RelayProvider, clean, nil)
		if clean != want.clean || (err == nil) != (want.err == "") || err != nil && !strings.Contains(err.Error(), want.err) {
			t.Errorf("%q: %q, %v", value, clean, err)
		}
	}
	if got := Default(RelayHost, Facts{}, Answers{RelayProvider: {Value: "microsoft", Answered: true}}); got != "" {
		t.Errorf("a refused provider means %q", got)
	}
}
