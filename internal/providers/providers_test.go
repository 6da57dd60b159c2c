package providers

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFind(t *testing.T) {
	for _, want := range All {
		for _, name := range append(want.Aliases, want.Name) {
			if got, ok := Find(name); !ok || got.Title != want.Title {
				t.Errorf("%s: %v %v", name, got.Title, ok)
			}
		}
	}
	if _, ok := Find("nobody"); ok {
		t.Error("a name of no row is found")
	}
}

// The form of all rows: what the commands, the questions and the advice rely on.
func TestRows(t *testing.T) {
	names := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	relays := regexp.MustCompile(`^\[[a-z0-9]+([.-][a-z0-9]+)*\.[a-z]+\]:(465|587)$`)
	if !slices.IsSorted(Names()) {
		t.Errorf("not sorted: %v", Names())
	}
	taken, hosts := map[string]string{"other": "none", "none": "none"}, map[string]string{} // words of the question and of the command line
	for _, p := range All {
		for _, name := range append(p.Aliases, p.Name) {
			if had := taken[name]; had != "" {
				t.Errorf("%s: the name %q is one of %s as well", p.Name, name, had)
			}
			taken[name] = p.Name
		}
		if !names.MatchString(p.Name) || p.Title == "" || strings.Contains(p.Title, ",") { // a comma divides debconf's choices
			t.Errorf("%s: the name or the title %q can't be used", p.Name, p.Title)
		}
		if strings.Contains(p.Relay, "{region}") != (len(p.Regions) > 0) {
			t.Errorf("%s: regions %v for %s", p.Name, p.Regions, p.Relay)
		}
		for _, relay := range p.Relays() {
			switch {
			case !relays.MatchString(relay):
				t.Errorf("%s: %s is no relay of the form [HOST]:PORT for submission", p.Name, relay)
			case p.Wrapper != strings.HasSuffix(relay, ":465"): // so the port alone says which TLS it is, in every question and option
				t.Errorf("%s: wrapper %v at %s", p.Name, p.Wrapper, relay)
			case hosts[relay] != "":
				t.Errorf("%s: %s is also that of %s", p.Name, relay, hosts[relay])
			}
			hosts[relay] = p.Name
		}
	}
}

// What is said of a row has a source, and its values are what Postfix and SASL take.
func TestValues(t *testing.T) {
	logins := []string{"PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2", "OAUTHBEARER"}
	delay, number := regexp.MustCompile(`^([1-9][0-9]*s)?$`), regexp.MustCompile(`^([1-9][0-9]*)?$`)
	for _, p := range All {
		for _, m := range p.Logins {
			if !slices.Contains(logins, m) {
				t.Errorf("%s: login %s", p.Name, m)
			}
		}
		if len(p.Logins) == 0 || len(p.Notes) == 0 || !p.Passwords() && p.OAuth == nil {
			t.Errorf("%s: no login that can be made, or nothing to know", p.Name)
		}
		for _, note := range p.Notes {
			if strings.TrimSpace(note) != note || strings.HasSuffix(note, ".") || strings.Contains(note, "\n") {
				t.Errorf("%s: note %q", p.Name, note)
			}
		}
		if !delay.MatchString(p.Delay) || !number.MatchString(p.Concurrency) {
			t.Errorf("%s: limits %q, %q", p.Name, p.Delay, p.Concurrency)
		}
		if u, err := url.Parse(p.Source); err != nil || !strings.HasPrefix(u.Scheme, "http") || !strings.Contains(u.Host, ".") {
			t.Errorf("%s: source %q", p.Name, p.Source)
		}
		if _, err := time.Parse(time.DateOnly, p.Checked); err != nil && p.Checked != "" {
			t.Errorf("%s: checked %q", p.Name, p.Checked)
		}
		if strings.HasPrefix(p.Source, ispdb) && p.Checked != "" {
			t.Errorf("%s: what somebody else says is no page of the provider's", p.Name)
		}
	}
}

// The providers that the table was made for.
func TestWhoIsThere(t *testing.T) {
	for name := range strings.FieldsSeq("google google-relay microsoft outlook icloud yahoo fastmail zoho proton gmx web-de mailbox-org posteo ovh hetzner ionos strato " +
		"infomaniak gandi amazon-ses sendgrid mailgun postmark brevo mailjet smtp2go sparkpost") {
		if _, ok := Find(name); !ok {
			t.Errorf("no %s", name)
		}
	}
}

func TestRegions(t *testing.T) {
	for _, c := range []struct{ name, region, relay, err string }{
		{"google", "", "[smtp.gmail.com]:587", ""},
		{"google", "eu", "", "Gmail and Google Workspace has no regions"},
		{"mailgun", "", "[smtp.mailgun.org]:587", ""},
		{"mailgun", "eu", "[smtp.eu.mailgun.org]:587", ""},
		{"amazon-ses", "eu-central-1", "[email-smtp.eu-central-1.amazonaws.com]:587", ""},
		{"zoho", "eu-pro", "[smtppro.zoho.eu]:465", ""},
		{"sparkpost", "mars", "", `"mars" is no region of SparkPost: use one of us, eu`},
	} {
		p, _ := Find(c.name)
		relay, err := p.At(c.region)
		if got := ""; relay != c.relay || err != nil && err.Error() != c.err || err == nil && c.err != got {
			t.Errorf("%s in %q: %q, %v", c.name, c.region, relay, err)
		}
	}
}

func TestByHost(t *testing.T) {
	for host, want := range map[string]string{
		"smtp.gmail.com": "google", "SMTP.Gmail.com.": "google", "smtp.eu.mailgun.org": "mailgun", "email-smtp.eu-north-1.amazonaws.com": "amazon-ses",
		"": "", "gmail.com": "", "127.0.0.1": "", "email-smtp..amazonaws.com": "",
	} {
		if got, ok := ByHost(host); got.Name != want || ok != (want != "") {
			t.Errorf("%q: %q", host, got.Name)
		}
	}
}

func TestPasswords(t *testing.T) {
	for name, want := range map[string]bool{"google": true, "microsoft": false, "outlook": false, "sparkpost": true} {
		if p, _ := Find(name); p.Passwords() != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}
