package smarthost

import (
	"slices"
	"strings"
	"testing"
)

// A relay whose logins Postfix knows none of is told of before a message goes, with what helps.
func TestLoginsThatNobodyHereCanDo(t *testing.T) {
	for offered, c := range map[string]struct{ plugins, advice string }{
		"PLAIN LOGIN":             {"libplain.so", ""},
		"LOGIN":                   {"", "libsasl2-modules"},
		"XOAUTH2":                 {"libplain.so", "postfix-maint smarthost login"},
		"OAUTHBEARER XOAUTH2":     {"libplain.so", "postfix-maint smarthost login"},
		"PLAIN XOAUTH2":           {"libplain.so", ""},
		"GSSAPI XOAUTH2":          {"libplain.so", "postfix-maint smarthost login"},
		"GSSAPI NTLM":             {"libplain.so", "libsasl2-modules-gssapi-mit or libsasl2-modules"},
		"GSSAPI":                  {"libgssapiv2.so", ""},
		"NTLM":                    {"libntlm.so", ""},
		"DIGEST-MD5":              {"libplain.so", "libsasl2-modules"},
		"CRAM-MD5 DIGEST-MD5":     {"libdigestmd5.so", ""},
		"X-OF-A-VENDOR'S XOAUTH2": {"", ""},
	} {
		f, advice := unable(strings.Fields(offered), func(p string) bool { return slices.Contains(strings.Fields(c.plugins), p) })
		if (f == nil) != (c.advice == "") || !strings.Contains(advice, c.advice) || f != nil && !strings.Contains(f.Text, offered) {
			t.Errorf("%s: %v, %q", offered, f, advice)
		}
	}
}
