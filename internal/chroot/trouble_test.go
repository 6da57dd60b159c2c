package chroot

import (
	"fmt"
	"testing"

	"postfix-maint/internal/inventory"
)

func TestSummaryIsShort(t *testing.T) {
	t.Parallel()
	names := []string{"etc/hosts"}
	for i := range 9 {
		names = append(names, fmt.Sprintf("etc/ssl/certs/%08d.0", i))
	}
	want(t, "summary", Summary(append(names, "usr/lib/a")), []string{"etc/hosts", "9 files in etc/ssl/certs", "usr/lib/a"})
	want(t, "of eight", Summary(names[1:9]), names[1:9])
}

// What another account has named cannot write to the terminal of who looks.
func TestNamesAreShownPlainly(t *testing.T) {
	t.Parallel()
	names := []string{"etc/\x1b[2Ja", "etc/a\nmissing etc/b", "etc/\xff", "etc/ü\u202e", "etc/straße"}
	want(t, "summary", Summary(names), []string{`"etc/\x1b[2Ja"`, `"etc/a\nmissing etc/b"`, `"etc/\xff"`, `"etc/ü\u202e"`, "etc/straße"})
	e := Endpoint{Endpoint: inventory.Endpoint{Use: inventory.Milter, Socket: "/run/\x1b[2J", Parameter: "smtpd_milter_maps", File: "/m", Line: 1}}
	want(t, "endpoint", []string{e.Names()}, []string{`milter "/run/\x1b[2J" (smtpd_milter_maps, /m:1)`})
}
