package setup

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

// The line of root in shadow(5) looks like an alias: from there the password would go into debconf's database, and a new one over it.
func TestAliasesInADirectoryOfAnotherAccountNeedsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to give a directory away")
	}
	root := sysroottest.New(t, map[string]string{
		"etc/shadow": "root:$y$secret:1:0:9:7:::\n", "var/lib/lists/aliases": "-> /etc/shadow", "etc/postfix/aliases": "-> ../aliases", "etc/aliases": "root: anna\n",
	})
	if err := os.Chown(filepath.Join(root.Dir(), "var/lib/lists"), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if f, data, err := readAliases(root, "/var/lib/lists/aliases"); f != nil || data != nil || !errors.As(err, new(*sysroot.UntrustedError)) {
		t.Errorf("another account's: %q, %v", data, err)
	}
	if f, _, err := readAliases(root, "/etc/postfix/aliases"); f == nil || err != nil {
		t.Errorf("a link of root's: %v", err)
	}
}

// newaliases(1) opens each source as it is, and waits for whoever writes into a named pipe: it is told, and left out.
func TestANamedPipeAmongTheAliases(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"etc/aliases": "root: anna\n"})
	if err := unix.Mkfifo(filepath.Join(root.Dir(), "etc/pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	main, err := maincf.Parse([]byte("alias_database = hash:/etc/aliases, hash:/etc/pipe\n"))
	if err != nil {
		t.Fatal(err)
	}
	p := &Plan{d: Deps{Root: root}}
	p.h.after = main
	if err := p.aliasDatabase(t.Context()); err != nil || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "/etc/pipe") {
		t.Errorf("%v, warnings %q", err, p.Warnings)
	}
	if got := aliasTool([][2]string{{"hash", "/etc/aliases"}}, [][2]string{{"hash", "/etc/pipe"}}); !slices.Equal(got, []string{paths.Postalias, "hash:/etc/aliases"}) {
		t.Errorf("it runs %q", got)
	}
}

// Where main.cf names no alias database, it is the one that this release's Postfix has compiled in.
func TestAliasTablesByDefault(t *testing.T) {
	for name, c := range map[string]struct{ template, main, want string }{
		"12 and 13":                          {want: "hash"},
		"12 and 13, another type for tables": {main: "default_database_type = lmdb\n", want: "hash"},
		"sid":                                {template: "default_database_type = cdb\n", want: "cdb"},
		"sid, upgraded from 13":              {template: "default_database_type = cdb\n", main: "default_database_type = hash\n", want: "hash"},
	} {
		t.Run(name, func(t *testing.T) {
			root := sysroottest.New(t, map[string]string{"usr/share/postfix/main.cf.debian": c.template})
			for _, more := range []string{"", "alias_database = $alias_maps\n"} {
				main, err := maincf.Parse([]byte(c.main + more))
				if err != nil {
					t.Fatal(err)
				}
				if got := aliasTables(main, TableType(root)); len(got) != 1 || got[0] != [2]string{c.want, paths.Aliases} {
					t.Errorf("with %q: %q, want %s", more, got, c.want)
				}
			}
		})
	}
}
