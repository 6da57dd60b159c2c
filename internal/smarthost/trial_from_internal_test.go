package smarthost

import (
	"context"
	"strings"
	"testing"

	"postfix-maint/internal/run"
)

// answering stands in for postmap -q: "key table" -> value.
type answering map[string]string

func (a answering) Output(_ context.Context, _ string, args ...string) ([]byte, error) {
	value, ok := a[strings.Join(args[3:], " ")]
	if !ok {
		return nil, &run.ExitError{Code: 1}
	}
	return []byte(value + "\n"), nil
}

func (a answering) Run(context.Context, string, ...string) error { return nil }

// A sender's mail is tried at the relay, by the client and with the account that Postfix takes for it.
func TestTheWayOfASender(t *testing.T) {
	tables := answering{
		"anna@example.org hash:/r": "[one]:587", "@example.com hash:/r": "[two]:465", "@example.com hash:/t": "smtp-wrapper:[two]:465",
		"anna@example.org hash:/p": "a:x", "@example.com hash:/p": "c:z", "[all]:587 hash:/p": "all:y", "root@host.test hash:/r": "[root]:587",
		"dora@example.org hash:/r": "[bare]:587", "dora+tag@example.org hash:/p": "d:x", "emil+tag@example.org hash:/r": "[full]:587", "emil@example.org hash:/r": "[no]:587",
		"emil@example.org hash:/p": "e:x", "fritz hash:/r": "[local]:587", "fritz@example.com pcre:/x": "[no]:587", "@host.test hash:/r": "[no]:587",
		"@example.org pcre:/x": "[no]:587", "gerd+x hash:/r": "[tag]:587", "gerd hash:/r": "[no]:587", "gerd hash:/p": "g:x",
	}
	for from, want := range map[string][3]string{
		"Anna@example.org": {"[one]:587", "smtp", "a"}, "bert@example.com": {"[two]:465", "smtp-wrapper:[two]:465", "c"},
		"carl@example.net": {"[all]:587", "smtp", "all"}, "": {"[root]:587", "smtp", ""},
		"dora+Tag@example.org": {"[bare]:587", "smtp", "d"}, "emil+tag@example.org": {"[full]:587", "smtp", "e"}, "fritz+x@host.test": {"[local]:587", "smtp", ""},
		"bert+x@example.com": {"[two]:465", "smtp-wrapper:[two]:465", "c"}, "gerd+x@host.test": {"[tag]:587", "smtp", "g"}, "hans+x@example.org": {"[all]:587", "smtp", "all"},
	} {
		h := &host{d: Deps{Run: tables}, effective: map[string]string{
			"relayhost": "[all]:587", "default_transport": "smtp", "myorigin": "host.test", "sender_dependent_relayhost_maps": "hash:/none, proxy:pcre:/x, pcre:/x, hash:/r", "recipient_delimiter": "-+",
			"sender_dependent_default_transport_maps": "hash:/t", "smtp_sasl_auth_enable": "yes", "smtp_sasl_password_maps": "hash:/p",
			"smtp_sender_dependent_authentication": "yes", "smtp_sasl_password_result_delimiter": ":",
		}}
		if err := h.route(t.Context(), from); err != nil {
			t.Fatal(err)
		}
		r, err := parseRelay(h.effective["relayhost"])
		if err != nil {
			t.Fatal(err)
		}
		user, _, err := h.credentials(t.Context(), r)
		if got := [3]string{r.dest, h.effective["default_transport"], user}; got != want || err != nil {
			t.Errorf("%q: %q, want %q, %v", from, got, want, err)
		}
		h.effective["smtp_sender_dependent_authentication"] = "no"
		if user, _, _ := h.credentials(t.Context(), r); user != "" && user != "all" {
			t.Errorf("%q: the account %q counts without smtp_sender_dependent_authentication", from, user)
		}
	}
}
