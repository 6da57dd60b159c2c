package history

import (
	"strings"
	"testing"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot/sysroottest"
)

// A table that a configuration names by what somebody wrote since stays, with its index: a daemon that does not find it defers all mail.
func TestATableThatIsStillNamedStays(t *testing.T) {
	const table = "/etc/postfix/generic"
	for name, c := range map[string]struct {
		main, master string
		stays        bool
	}{
		"as the entry left it":          {"a = 1\nsmtp_generic_maps = hash:" + table + "\n", "", false},
		"in a longer list":              {"a = 1\nsmtp_generic_maps = hash:" + table + ", hash:/etc/postfix/other\n", "", true},
		"by another parameter":          {"a = 1\nsmtp_generic_maps = hash:" + table + "\ncanonical_maps = hash:${config_directory}/generic\n", "", true},
		"by a service":                  {"a = 1\nsmtp_generic_maps = hash:" + table + "\n", "smtp unix - - n - - smtp\n  -o smtp_generic_maps=hash:$config_directory/generic\n", true},
		"the beginning of another name": {"a = 1\nsmtp_generic_maps = hash:" + table + "\ncanonical_maps = hash:" + table + ".more\n", "# hash:" + table + "\n", false},
	} {
		root := sysroottest.New(t, map[string]string{"etc/postfix/main.cf": "a = 1\n"})
		if err := change(root, map[string]string{paths.MainCF: "a = 1\nsmtp_generic_maps = hash:" + table + "\n", table: "x y\n", table + ".db": "\x00index"}); err != nil {
			t.Fatal(err)
		}
		write(t, root, paths.MainCF, c.main)
		write(t, root, paths.MasterCF, c.master)
		warnings, err := takeBack(root, entries(t, root)[0])
		if err != nil {
			t.Fatal(err)
		}
		text, index := read(root, table), read(root, table+".db")
		if (text == "x y\n") != c.stays || (index != "") != c.stays || strings.Contains(strings.Join(warnings, "\n"), table+" stays") != c.stays {
			t.Errorf("%s: the table says %q, its index %q; %q", name, text, index, warnings)
		}
	}
}
