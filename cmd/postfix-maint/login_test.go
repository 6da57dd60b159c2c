package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/sysroot/sysroottest"
)

// A login's file of CAs is one that the OAuth relay can read and that nobody but root can exchange; that is said before anybody logs in.
func TestCAsOfALogin(t *testing.T) {
	sysroottest.NeedsRoot(t)
	root := sysroottest.New(t, map[string]string{"etc/ca.pem": "", "etc/closed.pem": "", "srv/ca.pem": "", "var/tmp/ca.pem": "", "home/anna/ca.pem": ""})
	for name, mode := range map[string]os.FileMode{"etc/closed.pem": 0o600, "srv": 0o777, "var/tmp": 0o777 | os.ModeSticky} {
		if err := os.Chmod(filepath.Join(root.Dir(), name), mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"": "", "/etc/ca.pem": "", "/etc/closed.pem": "chmod a+r", "/srv/ca.pem": "others than root", "/var/tmp/ca.pem": "cannot see", "/var/../srv/ca.pem": "others than root",
		"/home/anna/ca.pem": "cannot see", "ca.pem": "not an absolute path", "/none": "no such file",
	} {
		err := checkCAs(smarthost.Deps{Root: root}, name)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
}
