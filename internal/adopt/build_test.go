package adopt

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/paths"
)

// unpacked is the tree of a package, as debian/rules has it before dpkg-deb packs it.
func unpacked(t *testing.T, deb string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	if out, err := exec.Command("dpkg-deb", "--raw-extract", deb, dir).CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb: %v\n%s", err, out)
	}
	return dir
}

// files are the paths of a tree with what is in them, but those that a build makes by itself.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := strings.TrimPrefix(p, dir+"/")
		if name == "DEBIAN/control" || name == "DEBIAN/md5sums" || strings.HasSuffix(name, "changelog.Debian.gz") {
			return nil
		}
		if d.Type()&os.ModeSymlink != 0 {
			all[name], err = os.Readlink(p)
			return err
		}
		fi, err := d.Info()
		must(t, err)
		text, err := os.ReadFile(p)
		all[name] = fi.Mode().String() + " " + string(text)
		return err
	}))
	return all
}

// A package that is built with the layer has the files of an adopted one, whether Debian's own stood in their place or not.
func TestABuiltTreeIsTheAdoptedPackage(t *testing.T) {
	t.Parallel()
	for _, v := range []string{bookwormVersion, trixieVersion} {
		stock := stockFake(v)
		tree := unpacked(t, stock.build(t))
		for _, gone := range []string{"DEBIAN/config", "DEBIAN/preinst", "DEBIAN/postinst", "DEBIAN/prerm", "DEBIAN/postrm", "DEBIAN/triggers", "usr/lib/postfix/syncfiles.pl", "usr/share/doc/postfix/README.Debian.gz"} {
			if err := os.Remove(filepath.Join(tree, gone)); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
		res, err := Lay(tree, layerFake(t))
		must(t, err)
		if res.Stock != v {
			t.Errorf("the tree's version is %q", res.Stock)
		}
		want, err := adopted(t, stock)
		must(t, err)
		if d := cmp.Diff(files(t, unpacked(t, want.Path)), files(t, tree)); d != "" {
			t.Errorf("%s (-adopted +built):\n%s", v, d)
		}
	}
}

func TestTreesThatAreNone(t *testing.T) {
	t.Parallel()
	empty, other := t.TempDir(), t.TempDir()
	must(t, os.MkdirAll(filepath.Dir(other+paths.PackageChangelog), 0o755))
	for text, want := range map[string]string{
		"postfix (2.11.0-1) unstable; urgency=low\n": "of no known release",
		"exim4 (4.96-1) unstable; urgency=low\n":     "no changelog of postfix",
		"":                                           "no changelog of postfix",
	} {
		must(t, os.WriteFile(other+paths.PackageChangelog, squeezed(text), 0o644))
		if _, err := Lay(other, layerFake(t)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	must(t, os.WriteFile(other+paths.PackageChangelog, []byte("postfix (3.10.1-1) unstable; urgency=low\n"), 0o644))
	for _, dir := range []string{empty, other, empty + "/none"} {
		if _, err := Lay(dir, layerFake(t)); err == nil {
			t.Errorf("%s was accepted", dir)
		}
	}
}
