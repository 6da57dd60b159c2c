//go:build integration

package integration

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// TestAliasTypes has the alias database in types of libraries of their own: their package is missing, comes, is installed again and
// goes. newaliases is run when it is needed, and only then; nothing that it says leaves a package unconfigured.
// From sid on every type that has an index is in the package postfix.
func TestAliasTypes(t *testing.T) {
	onReleases(t, hosts.Releases(), 1, func(ctx context.Context, t *testing.T, release string) {
		h := boot(ctx, t, "host", mapHost(ctx, t, release, product.Ours))
		sh(ctx, t, h, `cat >> /etc/aliases <<< 'help: bert'
			postconf -e alias_maps=lmdb:/etc/aliases alias_database=lmdb:/etc/aliases; systemctl reload postfix; rm /etc/aliases.db`)
		for _, step := range []struct{ do, says, never string }{
			{do: "dpkg-reconfigure -f noninteractive postfix", says: "install the package postfix-lmdb", never: "newaliases"},
			{do: "apt-get install -y --no-install-recommends postfix-lmdb", says: "running newaliases"},
			{do: "[ $(postalias -q help lmdb:/etc/aliases) = bert ]; " + delivery("help"), never: "."},
			{do: "apt-get install -y --reinstall postfix-lmdb", never: "newaliases"},
			{do: "dpkg-reconfigure -f noninteractive postfix", never: "newaliases|install the package"},
			{do: "sleep 1; echo 'desk: bert' >> /etc/aliases; apt-get install -y --reinstall postfix-lmdb", says: "running newaliases"},
			{do: delivery("desk"), never: "."},
			{do: "apt-get remove -y postfix-lmdb", says: "main.cf still names tables of type lmdb"},
			{do: "dpkg-reconfigure -f noninteractive postfix; systemctl is-active postfix", says: "install the package postfix-lmdb", never: "newaliases"},
			// One table that Postfix has never heard of beside one that can be made.
			{do: "postconf -e alias_maps=cdb:/etc/aliases 'alias_database=cdb:/etc/aliases, nosuch:/etc/other'; systemctl reload postfix"},
			{do: "apt-get install -y --no-install-recommends postfix-cdb", says: "WARNING: the alias database could not be made"},
			{do: "[ \"$(dpkg-query -Wf '${db:Status-Abbrev}' postfix-cdb)\" = 'ii ' ]; [ $(postalias -q help cdb:/etc/aliases) = bert ]; " + delivery("help"), never: "."},
			// Another one whose package is missing: the rest is made without it.
			{do: "postconf -e 'alias_database=lmdb:/etc/other, cdb:/etc/aliases'; rm /etc/aliases.cdb"},
			{do: "dpkg-reconfigure -f noninteractive postfix; " + delivery("help"), says: "(?s)run postalias.*install the package postfix-lmdb"},
			{do: "[ -z \"$(dpkg --audit)\" ]; apt-get purge -y postfix-cdb postfix-lmdb; [ -e /etc/aliases.cdb ]"},
		} {
			walk(ctx, t, h, step.do, step.says, step.never)
		}
	})
}

// walk does a script and looks at what it said: regular expressions, "" for no matter what.
func walk(ctx context.Context, t *testing.T, h *hosts.Host, do, says, never string) {
	t.Helper()
	said := sh(ctx, t, h, do)
	if !regexp.MustCompile(says).MatchString(said) || never != "" && regexp.MustCompile(never).MatchString(said) {
		t.Errorf("%s\nshould say %q and never %q, but says:\n%s", do, says, never, said)
	}
}

// delivery is a script that sends mail to an alias and waits until bert has it.
func delivery(alias string) string {
	return strings.ReplaceAll(`printf 'Subject: to-ALIAS-%s\n\nx\n' $$ | sendmail ALIAS
		for i in $(seq 300); do if grep -rqs "^Subject: to-ALIAS-$$\$" /var/mail /home/bert; then break; fi; postqueue -f; sleep 0.2; done
		grep -rqs "^Subject: to-ALIAS-$$\$" /var/mail /home/bert`, "ALIAS", alias)
}
