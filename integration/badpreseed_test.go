//go:build integration

package integration

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"postfix-maint/integration/product"
)

// TestBadPreseed installs with answers that no mail system can be made of: the installation says which, applies none of
// them, and leaves a Postfix that works and is open to nobody.
func TestBadPreseed(t *testing.T) {
	cases := map[string]struct {
		answers product.Answers
		says    string // of the answer that is wrong
		never   string // must stand nowhere in the configuration
	}{
		"a mail name with a blank": {product.Answers{"mailname": "bad name!"}, `postfix/mailname`, "bad name!"},
		"one of two relay hosts is none": {
			product.Answers{"main_mailer_type": "Satellite system", "relayhost": "one.example, two.example:"}, `postfix/relayhost`, "one.example",
		},
		"a relay mode without a relay host": {
			product.Answers{"main_mailer_type": "Internet with smarthost"}, `postfix/relayhost`, "smtp.",
		},
		"an unknown type":                {product.Answers{"main_mailer_type": "Mail hub"}, `postfix/main_mailer_type`, "Mail hub"},
		"networks that Postfix refuses":  {product.Answers{"mynetworks": "10.0.0.0/33"}, `postfix/mynetworks`, "10.0.0.0/33"},
		"a network with host bits":       {product.Answers{"mynetworks": "10.1.2.3/8"}, `postfix/mynetworks`, "10.1.2.3/8"},
		"a limit that is no number":      {product.Answers{"mailbox_limit": "lots"}, `postfix/mailbox_limit`, "lots"},
		"a delimiter of several letters": {product.Answers{"recipient_delim": "abc"}, `postfix/recipient_delim`, "abc"},
	}
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		opt := bare(ctx, t, release, product.Ours)
		for name, c := range cases {
			h := newHost(ctx, t, "mail", opt)
			answers := product.Answers{"main_mailer_type": "Internet Site"}
			maps.Copy(answers, c.answers)
			if err := product.Preseed(ctx, h, answers); err != nil {
				t.Fatal(err)
			}
			said, err := h.Sh(ctx, "dpkg -i /packages/postfix_*.deb 2>&1")
			if err != nil {
				t.Errorf("%s: the installation fails: %v", name, err)
				continue
			}
			if !regexp.MustCompile(c.says).MatchString(said) {
				t.Errorf("%s: nothing is said about %s:\n%s", name, c.says, said)
			}
			// The first check of Debian 13 fills the chroot and says so. Nobody takes the log of a tree that is not booted, which is said too.
			script := "postfix check >/dev/null 2>&1; set -o pipefail; postfix check 2>&1 | sed '/nobody takes the log/d'; postconf -h inet_interfaces"
			if out, err := h.Sh(ctx, script); err != nil || out != "loopback-only\n" {
				t.Errorf("%s: postfix check and inet_interfaces: %q, %v", name, out, err)
			}
			for _, file := range []string{"etc/postfix/main.cf", "etc/mailname"} {
				data, err := os.ReadFile(filepath.Join(h.Root(), file))
				if err == nil && strings.Contains(uncommented(string(data)), c.never) {
					t.Errorf("%s: %q stands in %s", name, c.never, file)
				}
			}
			if err := h.Remove(); err != nil {
				t.Error(err)
			}
		}
	})
}

// uncommented leaves out the lines that are comments.
func uncommented(text string) string {
	return regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(text, "")
}
