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
	prerm12    = "set -e; . %s; case \"$1\" in remove|purge|upgrade) delmap pcre ;; esac"
	prerm391   = "set -e; DPKG_MAINTSCRIPT_PACKAGE=postfix-pcre; . %s; prerm_delmap \"$1\""
	post391    = "set -e; DPKG_MAINTSCRIPT_PACKAGE=postfix-pcre; . %s; postinst_addmap \"$1\""
)

const (
	registryHead = "# dict-type\tso-name (pathname)\tdict-function\tmkmap-function\n"
	official     = registryHead + "lmdb\tpostfix-lmdb.so\tdict_lmdb_open\tmkmap_lmdb_open\npcre\tpostfix-pcre.so\tdict_pcre_open\n"
	pcreLine     = "pcre\tpostfix-pcre.so\tdict_pcre_open\n"
	lmdbLine     = "lmdb\tpostfix-lmdb.so\tdict_lmdb_open\tmkmap_lmdb_open\n"
)

func TestRegistryOfMapTypes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		registry, official string // official: "" is Debian's
		script, arg        string
		want               string
	}{
		"a type is added at the end":                 {registry: registryHead, script: postinst13, arg: "configure", want: registryHead + pcreLine},
		"a registry without its last line end":       {registry: "a\tb", script: postinst13, arg: "configure", want: "a\tb\n" + pcreLine},
		"no registry yet":                            {registry: "-", script: postinst13, arg: "configure", want: registryHead + pcreLine},
		"the official line brings its mkmap":         {registry: registryHead, script: postinst12, arg: "configure", want: registryHead + lmdbLine},
		"a type that Debian's list has not":          {registry: registryHead, official: "x", script: postinst13, arg: "configure", want: registryHead + "pcre\tpostfix-pcre.so\tdict_pcre_open\t\n"},
		"its mkmap comes from the caller":            {registry: registryHead, official: "x", script: postinst12, arg: "configure", want: registryHead + lmdbLine},
		"a registered type stays as it is":           {registry: "pcre /opt/my.so f\n" + registryHead, script: postinst13, arg: "configure", want: "pcre /opt/my.so f\n" + registryHead},
		"other calls of postinst add nothing":        {registry: registryHead, script: postinst13, arg: "abort-upgrade", want: registryHead},
		"3.9.1's name for adding":                    {registry: registryHead, script: post391, arg: "configure", want: registryHead + pcreLine},
		"an upgrade keeps the type (#1075756)":       {registry: registryHead + pcreLine, script: prerm12, arg: "upgrade", want: registryHead + pcreLine},
		"a removal takes it out":                     {registry: registryHead + pcreLine + lmdbLine, script: prerm12, arg: "remove", want: registryHead + lmdbLine},
		"with Debian's library by its path as well":  {registry: "pcre  /usr/lib/postfix/postfix-pcre.so  dict_pcre_open\n" + lmdbLine, script: prerm12, arg: "remove", want: lmdbLine},
		"3.9.1's name for removing":                  {registry: registryHead + pcreLine, script: prerm391, arg: "remove", want: registryHead},
		"3.9.1's name on an upgrade":                 {registry: registryHead + pcreLine, script: prerm391, arg: "upgrade", want: registryHead + pcreLine},
		"a removal leaves another library's line":    {registry: "pcre /opt/postfix-pcre2.so f\n", script: prerm12, arg: "remove", want: "pcre /opt/postfix-pcre2.so f\n"},
		"a removal leaves a type with a longer name": {registry: "pcre2 postfix-pcre.so f\n", script: prerm12, arg: "remove", want: "pcre2 postfix-pcre.so f\n"},
		"a removal without a registry":               {registry: "-", script: prerm12, arg: "remove", want: "-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.official == "" {
				tc.official = official
			}
			files := map[string]string{"etc/postfix/": "", "usr/share/postfix/dynamicmaps.cf": tc.official}
			if tc.registry != "-" {
				files["etc/postfix/dynamicmaps.cf"] = tc.registry
			}
			h := newHost(t, files)
			for range 2 {
				h.functions(t, tc.script, tc.arg)
				got, err := os.ReadFile(filepath.Join(h.root, "etc/postfix/dynamicmaps.cf"))
				if err != nil {
					got = []byte("-")
				}
				if string(got) != tc.want {
					t.Errorf("registry is %q, want %q", got, tc.want)
				}
			}
			if c := h.calls(); c != "" {
				t.Errorf("programs were called in spite of DPKG_ROOT: %s", c)
			}
		})
	}
}

// functions runs sh code that sources the functions where the code says %s.
func (h host) functions(t *testing.T, code, arg string) {
	t.Helper()
	abs, err := filepath.Abs(filepath.Join(project, "debian/postfix.functions"))
	must(t, err)
	if out, err := h.sh(t, "-c", strings.ReplaceAll(code, "%s", abs), "postinst", arg); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestRegistryKeepsModeAndLinkAndNothingChangedMeansNothingWritten(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string]string{
		"srv/maps": registryHead, "etc/postfix/dynamicmaps.cf": "-> ../../srv/maps", "usr/share/postfix/dynamicmaps.cf": official,
		"srv/maps.postfix-maint": "left by an interrupted run",
	})
	real := filepath.Join(h.root, "srv/maps")
	must(t, os.Chmod(real, 0o640))
	h.functions(t, postinst13, "configure")
	first, err := os.Stat(real)
	must(t, err)
	if target, err := os.Readlink(filepath.Join(h.root, "etc/postfix/dynamicmaps.cf")); err != nil || target != "../../srv/maps" {
		t.Errorf("the link says %q, %v", target, err)
	}
	if first.Mode().Perm() != 0o640 {
		t.Errorf("mode is %v, want 0640", first.Mode())
	}
	if left := h.left(t); strings.Contains(strings.Join(left, " "), "postfix-maint") {
		t.Errorf("a copy is left: %v", left)
	}
	h.functions(t, postinst13, "configure")
	second, err := os.Stat(real)
	must(t, err)
	if !os.SameFile(first, second) || !first.ModTime().Equal(second.ModTime()) {
		t.Error("the second run wrote the registry again")
	}
}
