package maincf_test

import (
	"strings"
	"testing"

	"postfix-maint/internal/maincf"
)

func TestMask(t *testing.T) {
	const text = "relayhost = r\n# smtp_sasl_password_maps = static:u:geheim\nsmtp_sasl_password_maps = hash:/q,\n  static:u:geheim\n  more geheim\nother = x\n"
	masked := string(maincf.Mask([]byte(text)))
	if strings.Contains(masked, "geheim") || !strings.Contains(masked, "hash:/q") || !strings.Contains(masked, "\nother = x\n") {
		t.Errorf("masked:\n%s", masked)
	}
}
