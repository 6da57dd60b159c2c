package debconf_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postfix-maint/internal/debconf"
)

func TestForgetLeavesTheValueInNoFile(t *testing.T) {
	const before = "Name: postfix/mailname\nTemplate: postfix/mailname\nValue: geheim.example\nOwners: postfix\n\n" +
		"Name: postfix/secret\nTemplate: postfix/secret\nValue: geheim\\nzwei\nOwners: postfix\nFlags: seen\n\n" +
		"Name: postfix/secret2\nValue: bleibt\n\nName: postfix/secret\nValue: geheim"
	for dir, after := range map[string]string{
		"var/cache/debconf": strings.NewReplacer("Value: geheim\\nzwei", ":                  ", "Flags: seen", ":          ").Replace(before[:len(before)-13]) + ":            ",
		"var/lib/cdebconf":  strings.NewReplacer("Value: geheim\\nzwei", "Value:             ", "Flags: seen", "Flags:     ").Replace(before[:len(before)-13]) + "Value:       ",
	} {
		root := t.TempDir()
		at := filepath.Join(root, dir)
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		other := filepath.Join(root, "other")
		for _, name := range []string{other, at + "/config.dat", at + "/config.dat-old", at + "/passwords.dat", at + "/questions.dat-old"} {
			if err := os.WriteFile(name, []byte(before), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Link(at+"/config.dat", root+"/same"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := debconf.Forget(root, "postfix/secret"); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"/config.dat", "/config.dat-old", "/passwords.dat", "/questions.dat-old", "/../../../same"} {
			if got, err := os.ReadFile(at + name); err != nil || string(got) != after {
				t.Errorf("%s%s, %v:\n%q, want\n%q", dir, name, err, got, after)
			}
		}
		if err := os.Symlink(other, at+"/passwords.dat-old"); err != nil {
			t.Fatal(err)
		}
		if err := debconf.Forget(root, "postfix/secret"); err == nil {
			t.Error("a link is followed, or nobody is told")
		}
		if got, _ := os.ReadFile(other); string(got) != before {
			t.Errorf("what a link leads to became %q", got)
		}
	}
}
