package smarthost_test

import (
	"strings"
	"testing"

	"postfix-maint/internal/smarthost"
)

// What would come back here for ever is refused before anything is changed.
func TestMailThatWouldComeBackIsRefused(t *testing.T) {
	with := func(relay, root string) smarthost.Options { return smarthost.Options{Relay: relay, Root: root} }
	for what, o := range map[string]smarthost.Options{
		"localhost":                     with("localhost", ""),
		"localhost as a host":           with("[LOCALHOST]:25", ""),
		"its address":                   with("127.0.0.1", ""),
		"its IPv6 address":              with("[::1]:smtp", ""),
		"the own name":                  with("Mail.example.test", ""),
		"root to postmaster":            with("[r.example]", "Postmaster"),
		"one of several":                with("[r.example]", "anna@r.example, postmaster@localhost"),
		"root at this host":             with("[r.example]", "root@mail.example.test"),
		"by way of somebody in aliases": with("[r.example]", "ops"),
	} {
		d, _ := lay(t, map[string]string{"etc/aliases": "postmaster: root\nops: night,\n  day\nday: ops, postmaster\nroot: anna\n",
			"etc/mailname": "mail.example.test\n"})
		if _, err := smarthost.Set(t.Context(), d, primary, o); err == nil || !strings.Contains(err.Error(), "back") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, o := range map[string]smarthost.Options{
		"a tunnel":                               with("[127.0.0.1]:2525", ""),
		"root somewhere else":                    with("[r.example]", "root@r.example, postmaster@r.example"),
		"a name that gets another host's domain": with("[r.example]", "postmaster"),
		"a user":                                 with("[r.example]", "anna"),
	} {
		d, _ := lay(t, nil)
		if _, err := smarthost.Set(t.Context(), d, primary, o); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}
