package history

import (
	"strings"
	"testing"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot/sysroottest"
)

// The index of aliases is postalias(1)'s, whichever parameters name the table besides and wherever they stand.
func TestTheIndexOfAliasesIsMadeByPostalias(t *testing.T) {
	for _, main := range []string{
		"alias_maps = hash:/etc/aliases\n",
		"# the default\n",
		"local_recipient_maps = proxy:unix:passwd.byname $alias_maps\nalias_maps = hash:/etc/aliases\n",
		"local_recipient_maps = hash:/etc/aliases\nalias_database = hash:/etc/aliases\n",
	} {
		root := sysroottest.New(t, map[string]string{"etc/postfix/main.cf": main, "etc/aliases": "root: a\n", "etc/aliases.db": "\x00old"})
		if err := change(root, map[string]string{paths.Aliases: "root: b\n", paths.Aliases + ".db": "\x00new"}); err != nil {
			t.Fatal(err)
		}
		if _, err := takeBack(root, entries(t, root)[0]); err != nil || read(root, paths.Aliases) != "root: a\n" {
			t.Errorf("%q: %v, the aliases are %q", main, err, read(root, paths.Aliases))
		}
		if is := read(root, paths.Aliases+".db"); !strings.HasPrefix(is, "\x00"+paths.Postalias) || !strings.HasSuffix(is, "root: a\n") {
			t.Errorf("%q: the index is %q", main, is)
		}
	}
}
