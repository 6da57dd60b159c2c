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

// debhelper must not choose the build system by what is installed on the machine that builds: dh-golang would take over, or not.
func TestTheBuildSystemIsNamed(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile(filepath.Join(project, "debian/rules"))
	must(t, err)
	var named []string
	for line := range strings.Lines(string(rules)) {
		if strings.HasPrefix(line, "\tdh $@") {
			_, system, _ := strings.Cut(strings.TrimSpace(line), "--buildsystem=")
			named = append(named, system)
		}
	}
	if want := []string{"golang --builddirectory=_build", "none"}; !slices.Equal(named, want) {
		t.Errorf("debian/rules calls dh with build system %q, want %q: from Debian's libraries, and from vendor/", named, want)
	}
}

// Debian's build knows no go.mod: which defaults of Go's library a program has (https://go.dev/doc/godebug) says the program itself.
func TestEveryProgramHasTheDefaultsOfGoMod(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile(filepath.Join(project, "go.mod"))
	must(t, err)
	_, line, _ := strings.Cut(string(mod), "\ngo ")
	release := strings.Join(strings.SplitN(strings.Fields(line)[0], ".", 3)[:2], ".")
	mains, err := filepath.Glob(filepath.Join(project, "cmd/*/main.go"))
	must(t, err)
	if len(mains) != 4 {
		t.Errorf("there are %d of four programs", len(mains))
	}
	for _, name := range mains {
		source, err := os.ReadFile(name)
		must(t, err)
		if want := "//go:debug default=go" + release + "\n\n"; !strings.HasPrefix(string(source), want) {
			t.Errorf("%s does not begin with %q", name, want)
		}
	}
}
