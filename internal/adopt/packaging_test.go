package adopt

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What lies in debian/man is installed: dh_installman(1) takes what the list names, and says nothing of the others.
func TestEveryManualPageIsInstalled(t *testing.T) {
	t.Parallel()
	list, err := os.ReadFile(filepath.Join(project, "debian/postfix-maint.manpages"))
	must(t, err)
	pages, err := filepath.Glob(filepath.Join(project, "debian/man/*"))
	must(t, err)
	if len(pages) == 0 {
		t.Fatal("no manual pages at all")
	}
	for _, p := range pages {
		if name := "debian/man/" + filepath.Base(p); !slices.Contains(strings.Fields(string(list)), name) {
			t.Errorf("%s is not in the list", name)
		}
	}
}

// debhelper must not choose the build system by what is installed on the machine that builds: dh-golang would take over.
func TestTheBuildSystemIsNamed(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile(filepath.Join(project, "debian/rules"))
	must(t, err)
	for line := range strings.Lines(string(rules)) {
		if strings.HasPrefix(line, "\tdh $@") && strings.Contains(line, "--buildsystem=none") {
			return
		}
	}
	t.Error("debian/rules calls dh without --buildsystem")
}
