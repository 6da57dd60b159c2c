package smarthost_test

import (
	"testing"

	"postfix-maint/internal/smarthost"
)

// FuzzRules shows that no file of rules ends in a panic.
func FuzzRules(f *testing.F) {
	f.Add("hash", []byte("a@b c@d\n@b [relay]:587\n# x\n"))
	f.Add("regexp", []byte("/^a/ b\n  c\n"))
	f.Fuzz(func(t *testing.T, typ string, text []byte) {
		_, _ = smarthost.ParseRules(typ, text)
	})
}
