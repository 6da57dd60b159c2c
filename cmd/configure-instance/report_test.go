package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestReportIsShort(t *testing.T) {
	names := []string{"etc/hosts"}
	for i := range 9 {
		names = append(names, fmt.Sprintf("etc/ssl/certs/%08d.0", i))
	}
	names = append(names, "usr/lib/a")
	var out strings.Builder
	report(&out, "updated", names, false)
	if want := "updated etc/hosts\nupdated 9 files in etc/ssl/certs\nupdated usr/lib/a\n"; out.String() != want {
		t.Errorf("said %q, want %q", out.String(), want)
	}
	out.Reset()
	report(&out, "would update", names, true)
	if n := strings.Count(out.String(), "\n"); n != len(names) {
		t.Errorf("a dry run says %d lines, want %d", n, len(names))
	}
}
