package main

import (
	"context"
	"io"
	"strings"
	"testing"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/sysroot/sysroottest"
)

// Nothing of a sender's login by OAuth 2.0 is taken over by an add with a password, and what takes a login away or makes one is not undone: its
// tokens are kept nowhere.
func TestCommandsBesideASendersLogin(t *testing.T) {
	root := sysroottest.New(t, map[string]string{
		"etc/postfix/main.cf": "",
		"var/lib/postfix-maint/smarthost/postfix@-.json": `{"options": {"relay": ""}, "senders": {"accounts": [
			{"sender": "olga@example.org", "relay": "[127.0.0.1]:914", "tls": "none", "user": "o", "oauth": {"port": 914, "relay": "[r.example]:587", "flow": "device"}},
			{"sender": "anna@example.org", "relay": "[r.example]:587", "tls": "verify", "user": "a"}]}}`,
	})
	for args, want := range map[string]string{
		"remove OLGA@example.org":                               "login --sender olga@example.org",
		"remove anna@example.org":                               "",
		"add --sender olga@example.org --user me":               "login --sender olga@example.org",
		"add --sender anna@example.org --user me":               "",
		"login --sender olga@example.org":                       "smarthost remove olga@example.org",
		"login --provider google":                               "smarthost unset",
		"add --sender olga@example.org --user a --relay [a]:25": "login --sender olga@example.org",
	} {
		said, planned := "", error(nil)
		rows := emptied(func(ctx context.Context, c *call) error {
			c.root = root
			if said = c.lastLogin(); args == "add --sender olga@example.org --user me" {
				_, planned = addSender(ctx, c, smarthost.Deps{Root: root}, instance.Instance{Name: "-", ConfigDir: "/etc/postfix"})
			}
			return nil
		})
		var stderr strings.Builder
		if code := executeRows(t.Context(), rows, append([]string{"postfix-maint", "smarthost"}, strings.Fields(args)...), io.Discard, &stderr); code != 0 {
			t.Fatalf("%s: exit status %d: %s", args, code, stderr.String())
		}
		if (want == "") != (said == "") || !strings.Contains(said, want) {
			t.Errorf("%s cannot be undone: %q, want %q", args, said, want)
		}
		if args == "add --sender olga@example.org --user me" && (planned == nil || !strings.Contains(planned.Error(), "needs a relay")) {
			t.Errorf("%s: %v", args, planned)
		}
	}
}
