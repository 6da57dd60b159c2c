package adopt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The scripts below are what Debian's map packages do with the functions, in the forms of both releases.
const (
	postinst12 = "set -e; . %s; case $1 in configure) addmap lmdb mkmap_lmdb_open; runnewaliases ;; esac"
	postinst13 = "set -e; . %s; [ configure != \"$1\" ] || addmap pcre"
	prerm12    = "set -e; . %s; case \"$1\" in remove|purge|upgrade|deconfigure) delmap pcre ;; esac"
	prerm391   = "set -e; DPKG_MAINTSCRIPT_PACKAGE=postfix-pcre; . %s; prerm_delmap \"$1\""
	post391    = "set -e; DPKG_MAINTSCRIPT_PACKAGE=postfix-pcre; . %s; postinst_addmap \"$1\""
)

func TestFunctionsReachTheProgram(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ script, arg, want string }{
		"a type":                              {postinst13, "configure", "add pcre"},
		"a type and its function to build":    {postinst12, "configure", "add lmdb mkmap_lmdb_open"},
		"other calls of postinst add nothing": {postinst13, "abort-upgrade", ""},
		"3.9.1's name for adding":             {post391, "configure", "add pcre"},
		"a removal":                           {prerm12, "remove", "remove pcre"},
		"3.9.1's name for removing":           {prerm391, "remove", "remove pcre"},
		"an upgrade keeps the type":           {prerm12, "upgrade", ""},
		"3.9.1's name on an upgrade":          {prerm391, "upgrade", ""},
		"postfix goes for a moment":           {prerm12, "deconfigure", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, map[string]string{"etc/postfix/": ""})
			h.program(t, filepath.Join(h.root, "usr/sbin"), "postfix-maint", "cat >> '"+h.bin+"/calls'") // debconf's replies are not for it
			if _, err := h.functions(t, tc.script, tc.arg); err != nil {
				t.Error(err)
			}
			want := ""
			if tc.want != "" {
				want = "postfix-maint dynamicmap " + tc.want + "\n"
			}
			if got := h.calls(); got != want {
				t.Errorf("calls are %q, want %q", got, want)
			}
		})
	}
}

func TestFunctionsWhenTheProgramFails(t *testing.T) {
	t.Parallel()
	for script, fails := range map[string]bool{postinst13: true, prerm12: false} {
		h := newHost(t, map[string]string{"etc/postfix/": ""})
		h.program(t, filepath.Join(h.root, "usr/sbin"), "postfix-maint", "exit 1")
		action := map[bool]string{true: "configure", false: "remove"}[fails]
		if out, err := h.functions(t, script, action); (err != nil) != fails {
			t.Errorf("%s: %v, want a failure: %v\n%s", action, err, fails, out)
		}
	}
}

func TestFunctionsWithoutTheProgram(t *testing.T) {
	t.Parallel()
	const (
		pcre = "pcre\tpostfix-pcre.so\tdict_pcre_open\n"
		lmdb = "lmdb\tpostfix-lmdb.so\tdict_lmdb_open\tmkmap_lmdb_open\n"
	)
	for name, tc := range map[string]struct{ registry, script, arg, want string }{
		"nothing is added":                {lmdb, postinst13, "configure", lmdb},
		"a removal takes the type out":    {pcre + lmdb, prerm12, "remove", lmdb},
		"with its path as well":           {"pcre  /usr/lib/postfix/postfix-pcre.so  dict_pcre_open\n" + lmdb, prerm12, "remove", lmdb},
		"an upgrade does not":             {pcre + lmdb, prerm12, "upgrade", pcre + lmdb},
		"another library's line stays":    {"pcre /opt/postfix-pcre2.so f\n", prerm12, "remove", "pcre /opt/postfix-pcre2.so f\n"},
		"a type with a longer name stays": {"pcre2 postfix-pcre.so f\n", prerm12, "remove", "pcre2 postfix-pcre.so f\n"},
		"a removal without a registry":    {"-", prerm12, "remove", "-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"etc/postfix/": ""}
			if tc.registry != "-" {
				files["srv/maps"], files["etc/postfix/dynamicmaps.cf"] = tc.registry, "-> ../../srv/maps"
			}
			h := newHost(t, files)
			out, err := h.functions(t, tc.script, tc.arg)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if told := strings.Contains(out, "WARNING"); told != (tc.arg == "configure") {
				t.Errorf("it says %q", out)
			}
			got, err := os.ReadFile(filepath.Join(h.root, "srv/maps"))
			if err != nil {
				got = []byte("-")
			}
			if string(got) != tc.want {
				t.Errorf("registry is %q, want %q", got, tc.want)
			}
		})
	}
}

// functions runs sh code that sources the functions where the code says %s.
func (h host) functions(t *testing.T, code, arg string) (string, error) {
	t.Helper()
	abs, err := filepath.Abs(filepath.Join(project, "debian/postfix.functions"))
	must(t, err)
	return h.sh(t, "-c", strings.ReplaceAll(code, "%s", abs), "postinst", arg)
}
