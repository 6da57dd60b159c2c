package history

import (
	"os"
	"strings"
	"testing"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot/sysroottest"
)

// The index of aliases is postalias(1)'s, whichever parameters name the table besides and wherever they stand.
func TestTheIndexOfAliasesIsMadeByPostalias(t *testing.T) {
	sysroottest.NeedsRoot(t)
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

// A table that main.cf names by its former type again gets the index of that type again, though its text is what it was.
func TestTheIndexOfTheFormerTypeComesBack(t *testing.T) {
	sysroottest.NeedsRoot(t)
	const table = "/etc/postfix/generic"
	main := "smtp_generic_maps = hash:" + table + "\n"
	root := sysroottest.New(t, map[string]string{"etc/postfix/main.cf": main, table[1:]: "x y\n", table[1:] + ".db": "\x00old"})
	if err := os.Chmod(root.Dir()+table, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := change(root, map[string]string{paths.MainCF: strings.Replace(main, "hash", "lmdb", 1), table + ".db": "", table + ".lmdb": "\x00new"}); err != nil {
		t.Fatal(err)
	}
	if _, err := takeBack(root, entries(t, root)[0]); err != nil || read(root, paths.MainCF) != main {
		t.Errorf("%v, main.cf says %q", err, read(root, paths.MainCF))
	}
	if is := read(root, table+".db"); !strings.HasSuffix(is, "x y\n") {
		t.Errorf("the index is %q", is)
	}
	if fi, err := root.Stat(table + ".db"); err != nil || fi.Mode().Perm() != 0o640 {
		t.Errorf("the index: %v, %v", fi, err)
	}
}

// A text that is hidden by now does not get out, neither by its index nor on the screen.
func TestATextThatIsHiddenByNow(t *testing.T) {
	sysroottest.NeedsRoot(t)
	const table = "/etc/postfix/generic"
	root := sysroottest.New(t, map[string]string{"etc/postfix/main.cf": "smtp_generic_maps = hash:" + table + "\n", table[1:]: "x y\n"})
	if err := change(root, map[string]string{table: "x y\nu v\n"}); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root.Dir()+table, 0o600); err != nil {
		t.Fatal(err)
	}
	if u, err := PlanUndo(root, entries(t, root)[0]); err != nil || len(u.Changes) != 1 || u.Changes[0].Diff != "" {
		t.Errorf("%+v, %v", u, err)
	}
	if _, err := takeBack(root, entries(t, root)[0]); err != nil || read(root, table) != "x y\n" {
		t.Errorf("%v, the table says %q", err, read(root, table))
	}
	if fi, err := root.Stat(table + ".db"); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the index: %v, %v", fi, err)
	}
}
