package chroot

import (
	"fmt"
	"testing"
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
