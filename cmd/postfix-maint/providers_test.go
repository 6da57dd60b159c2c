package main

import (
	"encoding/json"
	"strings"
	"testing"

	"postfix-maint/internal/providers"
	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/sysroot/sysroottest"
)

func runCall(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	code = execute(t.Context(), append([]string{"postfix-maint"}, args...), &out, &errs)
	return code, out.String(), errs.String()
}

func TestProviderOptions(t *testing.T) {
	root := sysroottest.New(t, map[string]string{
		"etc/postfix/main.cf":                            "",
		"var/lib/postfix-maint/smarthost/postfix@-.json": `{"options": {"relay": "[smtp.gmail.com]:465", "tls": "encrypt", "user": "me", "rewrite": {}}}`,
	})
	d := smarthost.Deps{Root: root}
	for args, want := range map[string]string{
		"--provider google":                                      "[smtp.gmail.com]:587 google me",
		"--provider Gmail --relay [smtp.gmail.com]:465":          "[smtp.gmail.com]:465 google me",
		"--provider fastmail --user you":                         "[smtp.fastmail.com]:465 fastmail you",
		"--provider mailgun --region eu --user none":             "[smtp.eu.mailgun.org]:587 mailgun ",
		"--provider google --tls secure":                         "[smtp.gmail.com]:587 google me",
		"--tls secure":                                           "[smtp.gmail.com]:465  me",
		"--provider zoho --relay [smtppro.zoho.in]:465 --user x": "[smtppro.zoho.in]:465 zoho x",
	} {
		o, err := smarthostSet(t, d, strings.Fields(args)...)
		if got := strings.Join([]string{o.Relay, o.Provider, o.User}, " "); err != nil || got != want {
			t.Errorf("%s: %q, %v", args, got, err)
		}
		if o.TLS == "encrypt" {
			t.Errorf("%s: the level of the relay before is kept", args)
		}
	}
	if _, err := smarthostSet(t, d, "--provider", "fastmail"); err == nil || !strings.Contains(err.Error(), "the login me belongs to the relay [smtp.gmail.com]:465") {
		t.Errorf("another provider takes the login over: %v", err)
	}
}

func TestProvidersAreListed(t *testing.T) {
	code, stdout, _ := runCall(t, "smarthost", "providers")
	for _, p := range providers.All {
		if !strings.Contains(stdout, "\n"+p.Name+" ") || code != 0 {
			t.Errorf("exit status %d, %s is not in\n%s", code, p.Name, stdout)
		}
	}
	_, stdout, _ = runCall(t, "smarthost", "providers", "gmail")
	if !strings.Contains(stdout, "app password") || !strings.Contains(stdout, "STARTTLS") || strings.Contains(stdout, "fastmail") {
		t.Errorf("one provider:\n%s", stdout)
	}
	_, stdout, _ = runCall(t, "smarthost", "providers", "--json")
	var list providerList
	if err := json.Unmarshal([]byte(stdout), &list); err != nil || len(list.Providers) != len(providers.All) {
		t.Errorf("%v, %d providers", err, len(list.Providers))
	}
	if code, _, stderr := runCall(t, "smarthost", "providers", "gogle"); code != 2 || !strings.Contains(stderr, "did you mean google?") {
		t.Errorf("exit status %d: %s", code, stderr)
	}
}

func TestProvidersAreCompleted(t *testing.T) {
	for line, want := range map[string]string{
		"smarthost set --provider f":                  "fastmail",
		"smarthost set --provider=go":                 "--provider=google --provider=google-relay",
		"smarthost set --provider mailgun --region ":  "us eu",
		"smarthost set --provider=mailgun --region=e": "--region=eu",
		"smarthost set --region ":                     "",
		"smarthost providers ma":                      "mailbox-org mailgun mailjet",
	} {
		if got := offered(line); got != want {
			t.Errorf("%q is completed with %q, want %q", line, got, want)
		}
	}
}
