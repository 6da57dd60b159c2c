package setup_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postfix-maint/internal/dynamicmaps"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

const (
	pcreLine = "pcre\tpostfix-pcre.so\tdict_pcre_open\n"
	lmdbLine = "lmdb\tpostfix-lmdb.so\tdict_lmdb_open\tmkmap_lmdb_open\n"
	official = dynamicmaps.Head + lmdbLine + "odd\tpostfix-odd.so\tdict_odd_open\tmkmap_odd_open\n" + pcreLine
)

// maps gives the flow over a tree, in a maintainer script; what it says comes as one text.
func maps(root *sysroot.Root, said *strings.Builder) setup.Maps {
	say := func(text string) { said.WriteString(text + "\n") }
	return setup.Maps{Deps: setup.Deps{Root: root, Run: noRunner{}}, Say: say, Warn: func(text string) { say("WARNING: " + text) }, Dpkg: true}
}

func TestMapRegistry(t *testing.T) {
	t.Parallel()
	sysroottest.NeedsRoot(t)
	const old, moved = "etc/postfix/dynamicmaps.cf", "usr/share/postfix/dynamicmaps.cf.d/"
	for name, tc := range map[string]struct {
		files map[string]string // "official" stands for Debian's list in its place
		do    string            // type to add, or "-type"
		file  string
		want  string // "-": not there
	}{
		"a type is added at the end":                  {map[string]string{old: "a\tb"}, "pcre", old, "a\tb\n" + pcreLine},
		"no registry yet":                             {nil, "pcre", old, dynamicmaps.Head + pcreLine},
		"the official line brings its mkmap":          {map[string]string{old: "", "official": official}, "odd", old, "odd\tpostfix-odd.so\tdict_odd_open\tmkmap_odd_open\n"},
		"a type that Debian's list has not":           {map[string]string{old: "", "official": "x"}, "lmdb", old, lmdbLine},
		"a registered type stays as it is":            {map[string]string{old: "pcre /opt/my.so f\n"}, "pcre", old, "pcre /opt/my.so f\n"},
		"registered in a file of its own":             {map[string]string{old: "#\n", old + ".d/my.cf": pcreLine}, "pcre", old, "#\n"},
		"a removal takes it out":                      {map[string]string{old: "# c\n" + pcreLine + lmdbLine}, "-pcre", old, "# c\n" + lmdbLine},
		"with Debian's library by its path as well":   {map[string]string{old: "pcre  /usr/lib/postfix/postfix-pcre.so  x\n" + lmdbLine}, "-pcre", old, lmdbLine},
		"a removal leaves another library's line":     {map[string]string{old: "pcre /opt/postfix-pcre2.so f\n"}, "-pcre", old, "pcre /opt/postfix-pcre2.so f\n"},
		"a removal leaves a type with a longer name":  {map[string]string{old: "pcre2 postfix-pcre.so f\n"}, "-pcre", old, "pcre2 postfix-pcre.so f\n"},
		"the last type goes":                          {map[string]string{old: pcreLine}, "-pcre", old, ""},
		"a removal without a registry":                {nil, "-pcre", old, "-"},
		"3.11: the package has its own file":          {map[string]string{moved + "pcre.cf": pcreLine}, "pcre", old, "-"},
		"3.11: another package's type":                {map[string]string{moved: "", "official": "# none\n"}, "odd", moved + "odd.cf", "odd\tpostfix-odd.so\tdict_odd_open\n"},
		"3.11: the old place counts no more":          {map[string]string{moved: "", old: pcreLine, "official": "#\n"}, "pcre", moved + "pcre.cf", pcreLine},
		"3.11: its own file goes":                     {map[string]string{moved + "pcre.cf": pcreLine}, "-pcre", moved + "pcre.cf", "-"},
		"3.11: an edited file stays":                  {map[string]string{moved + "pcre.cf": "pcre /opt/my.so f\n"}, "-pcre", moved + "pcre.cf", "pcre /opt/my.so f\n"},
		"3.11: its own file has another type as well": {map[string]string{moved + "pcre.cf": pcreLine + lmdbLine}, "-pcre", moved + "pcre.cf", lmdbLine},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"etc/postfix/": "", "usr/share/postfix/dynamicmaps.cf": official}
			for p, text := range tc.files {
				files[p] = text
			}
			if text, ok := files["official"]; ok {
				files["usr/share/postfix/dynamicmaps.cf"] = text
			}
			root := sysroottest.New(t, files)
			var said strings.Builder
			do := func() {
				t.Helper()
				var err error
				if typ, remove := strings.CutPrefix(tc.do, "-"); remove {
					err = maps(root, &said).Remove(typ)
				} else {
					err = maps(root, &said).Add(context.Background(), typ, "")
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			do()
			got, err := root.ReadFile("/" + tc.file)
			if err != nil {
				got = []byte("-")
			}
			if string(got) != tc.want {
				t.Errorf("%s is %q, want %q", tc.file, got, tc.want)
			}
			said.Reset()
			before := sysroottest.Dump(t, root.Dir(), true)
			if do(); said.Len() > 0 {
				t.Errorf("the second run says %q", said.String())
			}
			if !equal(before, sysroottest.Dump(t, root.Dir(), true)) {
				t.Error("the second run touched something")
			}
		})
	}
}

func TestMapRegistryKeepsModeAndLink(t *testing.T) {
	t.Parallel()
	root := sysroottest.New(t, map[string]string{"srv/maps": "# mine\n", "etc/postfix/dynamicmaps.cf": "-> ../../srv/maps", "srv/.maps.abc~": "x"})
	real := filepath.Join(root.Dir(), "srv/maps")
	if err := os.Chmod(real, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := maps(root, &strings.Builder{}).Add(context.Background(), "pcre", ""); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(real)
	if err != nil || fi.Mode().Perm() != 0o640 {
		t.Errorf("mode is %v, %v", fi.Mode(), err)
	}
	if to, err := root.Readlink("/etc/postfix/dynamicmaps.cf"); err != nil || to != "../../srv/maps" {
		t.Errorf("the link says %q, %v", to, err)
	}
	if data, _ := root.ReadFile("/srv/maps"); string(data) != "# mine\n"+pcreLine {
		t.Errorf("registry is %q", data)
	}
}

func TestMapRegistryWarnsOfUsers(t *testing.T) {
	t.Parallel()
	for use, warned := range map[string]bool{
		"virtual_alias_maps = hash:/x,\n\tpcre:/etc/postfix/virtual\n": true,
		"# virtual_alias_maps = pcre:/etc/postfix/virtual\n":           false,
		"virtual_alias_maps = mypcre:/x\n":                             false,
	} {
		root := sysroottest.New(t, map[string]string{"etc/postfix/dynamicmaps.cf": pcreLine, "etc/postfix/main.cf": use})
		var said strings.Builder
		if err := maps(root, &said).Remove("pcre"); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(said.String(), "WARNING: /etc/postfix/main.cf still names tables of type pcre"); got != warned {
			t.Errorf("%q: it says %q", use, said.String())
		}
	}
}

func TestAliasDatabaseOfAMissingType(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		registry, library string
		warned            bool
	}{
		"its package is missing":                    {registry: dynamicmaps.Head, warned: true},
		"it is registered":                          {registry: lmdbLine},
		"the registry is made by this very run":     {registry: "", library: "x"},
		"it is not, and the package is missing too": {registry: "", warned: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{
				"etc/postfix/main.cf": "alias_maps = lmdb:/etc/aliases\nalias_database = lmdb:/etc/aliases\n", "etc/aliases": "root: anna\n",
				"usr/share/postfix/dynamicmaps.cf": official,
			}
			if tc.registry != "" {
				files["etc/postfix/dynamicmaps.cf"] = tc.registry
			}
			if tc.library != "" {
				files["usr/lib/postfix/postfix-lmdb.so"] = tc.library
			}
			p := plan(t, host(t, files), nil)
			if got := strings.Contains(strings.Join(p.Warnings, "\n"), "install the package postfix-lmdb"); got != tc.warned {
				t.Errorf("warnings are %q", p.Warnings)
			}
		})
	}
}

// What somebody else writes into the registry between our reading and our writing stays, and so does our change.
func TestMapRegistryKeepsWhatOthersWrite(t *testing.T) {
	t.Parallel()
	const file, hand = "/etc/postfix/dynamicmaps.cf", "mine /opt/mine.so f\n"
	for name, do := range map[string]func(setup.Maps) error{
		"added":   func(m setup.Maps) error { return m.Add(context.Background(), "pcre", "") },
		"removed": func(m setup.Maps) error { return m.Remove("lmdb") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := sysroottest.New(t, map[string]string{"etc/postfix/": "", file[1:]: lmdbLine, "usr/share/postfix/dynamicmaps.cf": official})
			m := maps(root, &strings.Builder{})
			said := 0
			m.Say = func(string) { // right before the write
				if said++; said == 1 {
					if err := os.WriteFile(root.Dir()+file, []byte(lmdbLine+hand), 0o644); err != nil {
						t.Error(err)
					}
				}
			}
			err := do(m)
			want := map[string]string{"added": lmdbLine + hand + pcreLine, "removed": hand}[name]
			if data, _ := root.ReadFile(file); err != nil || string(data) != want {
				t.Errorf("error %v, got\n%s, want\n%s", err, data, want)
			}
		})
	}
}
