//go:build integration

package integration

import (
	"context"
	"maps"
	"regexp"
	"strings"
	"testing"

	"postfix-maint/integration/product"
)

// badPreseeds are answers of which Postfix would refuse one. What it falls back to is given, "" for local only, the rest of the answers
// is carried out.
var badPreseeds = map[string]struct {
	answers product.Answers
	says    string // of the answer that is wrong
	never   string // must stand nowhere in the configuration
	want    string // what main.cf says instead
}{
	"a mail name with a blank": {product.Answers{"mailname": "bad name!"}, `postfix/mailname`, "bad name!", "myorigin /etc/mailname"},
	"one of two relay hosts is wrong": {
		product.Answers{"main_mailer_type": "Internet with smarthost", "relayhost": "one.example, two.example:"}, `postfix/relayhost`, "one.example",
		"default_transport ${relayhost?{smtp}:{retry:4.3.0 no relay host is set}}",
	},
	"a relay mode without a relay host": {
		product.Answers{"main_mailer_type": "Internet with smarthost"}, `postfix/relayhost`, "smtp.",
		"relay_transport ${relayhost?{relay}:{retry:4.3.0 no relay host is set}}",
	},
	"an unknown type":               {product.Answers{"main_mailer_type": "Mail hub"}, `postfix/main_mailer_type`, "Mail hub", ""},
	"networks that Postfix refuses": {product.Answers{"mynetworks": "10.0.0.0/33"}, `postfix/mynetworks`, "10.0.0.0/33", networks},
	"a network with host bits":      {product.Answers{"mynetworks": "10.1.2.3/8"}, `perhaps 10.0.0.0/8`, "10.1.2.3/8", networks},
	"networks that contain themselves": {
		product.Answers{"mynetworks": "$mynetworks, 10.0.0.0/8"}, `postfix/mynetworks`, "$mynetworks,", networks,
	},
	"networks in a file that is not there": {product.Answers{"mynetworks": "/etc/postfix/nosuch"}, `postfix/mynetworks`, "nosuch", networks},
	"networks in a table that is not there": {
		product.Answers{"mynetworks": "hash:/etc/postfix/nosuch"}, `nosuch.db: No such file`, "nosuch", networks,
	},
	"destinations that lead to themselves by a default of Postfix's": {
		product.Answers{"destinations": "$virtual_mailbox_domains, $virtual_mailbox_maps, $proxy_read_maps"}, `postconf says`, "proxy_read", destinations,
	},
	"a stray quote":  {product.Answers{"destinations": `"mail.example.test`}, `postfix/destinations`, `"mail`, destinations},
	"a broken macro": {product.Answers{"destinations": "localhost ${x"}, `postfix/destinations`, "${x", destinations},
	"a relay host that is itself": {
		product.Answers{"main_mailer_type": "Internet with smarthost", "relayhost": "$relayhost"}, `postfix/relayhost`, "$relayhost", "relayhost ",
	},
	"root's mail with a control character": {product.Answers{"root_address": "an\x01na"}, `postfix/root_address`, "an\x01na", destinations},
	"a limit that is no number":            {product.Answers{"mailbox_limit": "lots"}, `postfix/mailbox_limit`, "lots", "mailbox_size_limit 0"},
	"a dollar as delimiter":                {product.Answers{"recipient_delim": "$"}, `postfix/recipient_delim`, "recipient_delimiter = $", "recipient_delimiter +"},
}

const (
	networks     = "mynetworks 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128"
	destinations = "mydestination $myhostname, mail.example.test, localhost.example.test, localhost"
)

// TestBadPreseed installs with answers of which one is wrong: the installation says which, and writes all others. Postfix's programs
// start with it.
func TestBadPreseed(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := newHost(ctx, t, "mail", bare(ctx, t, release, product.Ours))
		for name, c := range badPreseeds {
			answers := product.Answers{"main_mailer_type": "Internet Site", "mailbox_limit": "77000000", "protocols": "ipv4"}
			maps.Copy(answers, c.answers)
			// The one before may have ended half-way.
			if _, err := h.Sh(ctx, `dpkg -P postfix >/dev/null 2>&1 || :; rm -rf /etc/postfix /etc/mailname /etc/aliases*; echo PURGE | debconf-communicate postfix`); err != nil {
				t.Fatal(err)
			}
			if err := product.Preseed(ctx, h, answers); err != nil {
				t.Fatal(err)
			}
			// The first check of Debian 13 fills the chroot and says so. Nobody takes the log of a tree that is not booted, which is said too.
			out, err := h.Sh(ctx, `dpkg -i /packages/postfix_*.deb 2>&1; echo ==
				postfix check >/dev/null 2>&1; set -o pipefail; postfix check 2>&1 | sed '/nobody takes the log/d'; postmap -q postmaster static:ok; echo ==
				for p in inet_interfaces inet_protocols mailbox_size_limit default_transport relay_transport mydestination mynetworks relayhost myorigin recipient_delimiter; do
					echo "$p $(postconf -h $p)"; done; grep -v '^#' /etc/postfix/main.cf; cat /etc/mailname`)
			said, rest, _ := strings.Cut(out, "\n==\n")
			check, settings, whole := strings.Cut(rest, "\n==\n")
			if err != nil || !whole {
				t.Errorf("%s: the installation fails: %v\n%s", name, err, out)
				continue
			}
			if !regexp.MustCompile(c.says).MatchString(said) {
				t.Errorf("%s: nothing is said about %s:\n%s", name, c.says, said)
			}
			if check != "ok" {
				t.Errorf("%s: Postfix says %s", name, check)
			}
			want := []string{"inet_interfaces all", "inet_protocols ipv4", c.want}
			if c.want == "" {
				want = []string{"inet_interfaces loopback-only", "inet_protocols ipv4", "default_transport error"}
			}
			for _, line := range want {
				if !strings.Contains(settings, line+"\n") {
					t.Errorf("%s: no %q in\n%s", name, line, settings)
				}
			}
			if strings.Contains(settings, c.never) {
				t.Errorf("%s: %q stands in the configuration:\n%s", name, c.never, settings)
			}
		}
	})
}
