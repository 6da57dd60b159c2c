//go:build integration

package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"postfix-maint/integration/product"
)

// TestFormats compares our readers and editors of main.cf, master.cf and aliases with the real postconf and postalias of both
// releases. The comparison stands beside each format (files *_test.go with the build tag integration); this scenario brings
// the trees with Postfix in them.
func TestFormats(t *testing.T) {
	ctx := scenario(t, 1)
	var trees []string
	for _, release := range releases() {
		trees = append(trees, newHost(ctx, t, "formats-"+release, installed(ctx, t, release, product.Debian)).Root())
	}
	top, err := product.Top()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-tags", "integration", "-run", "Postconf|Postalias", "-v",
		"./internal/maincf", "./internal/mastercf", "./internal/aliases")
	cmd.Dir = filepath.Clean(top)
	cmd.Env = append(os.Environ(), "POSTFIX_ROOTS="+strings.Join(trees, ":"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, pkg := range []string{"maincf", "mastercf", "aliases"} { // a pattern that matches nothing would pass as well
		if !strings.Contains(string(out), "ok  \tpostfix-maint/internal/"+pkg+"\t") || strings.Contains(string(out), "[no tests to run]") {
			t.Errorf("nothing was compared for %s:\n%s", pkg, out)
		}
	}
}
