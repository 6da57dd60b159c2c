//go:build integration

package integration

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// TestPiuparts has piuparts(1) install and purge our packages, and upgrade Debian's Postfix to them and purge that: no file may
// stay behind, none of another package may change.
func TestPiuparts(t *testing.T) {
	sidToo(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := newHost(ctx, t, "tree", source(ctx, t, release, product.Debian)) // not booted: piuparts takes a copy of the tree
		for from, to := range folders(ctx, t, release) {
			if err := os.CopyFS(h.Root()+to, os.DirFS(from)); err != nil {
				t.Fatal(err)
			}
		}
		debs, err := filepath.Glob(h.Root() + "/ours/*.deb")
		if err != nil || len(debs) < 2 { // what was built from source has map types beside them
			t.Fatalf("our packages are %q, %v", debs, err)
		}
		args := []string{
			"--distribution=" + release, "--existing-chroot=" + h.Root(), "--tmpdir=" + filepath.Dir(h.Root()), "--keep-sources-list", "--no-eatmydata",
			"--ignore-regex=/var/cache/debconf/tmp.ci.*", // of apt-utils, which is in the tree already
			// As /etc/aliases and aliases.db, which piuparts leaves out itself; where the index is cdb, Debian's own package fails here.
			"--ignore=/etc/aliases.cdb",
		}
		cmd := exec.CommandContext(ctx, "piuparts", append(args, debs...)...)
		cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "PASS: All tests") {
			t.Errorf("%v\n%s", err, out[max(0, len(out)-6000):])
		}
		for _, part := range []string{"PASS: Installation and purging", "PASS: Installation, upgrade and purging"} {
			if !strings.Contains(string(out), part) {
				t.Errorf("piuparts does not say %q", part)
			}
		}
	})
}

// folders are Debian's and our packages, with a place in a tree for each.
func folders(ctx context.Context, t *testing.T, release string) map[string]string {
	t.Helper()
	places := map[string]string{}
	for layer, place := range map[product.Layer]string{product.Debian: "/packages", product.Ours: "/ours"} {
		dir, err := product.Folder(ctx, session, release, layer)
		if err != nil {
			t.Fatal(err)
		}
		places[dir] = place
	}
	return places
}

// TestDebianTests runs the autopkgtest of Debian's source package postfix, unmodified, on a host where apt installs our packages.
func TestDebianTests(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := boot(ctx, t, "host", debianTests(ctx, t, release, product.Ours))
		out := sh(ctx, t, h, "cd /src; bash debian/tests/postfix 2>&1; dpkg-query -W -f 'installed: ${Version}\\n' postfix")
		if !strings.Contains(out, "\nOK\n") || !regexp.MustCompile(`\+a[0-9a-z.~]+\n`).MatchString(out) {
			t.Errorf("the tests did not run with our package:\n%s", out)
		}
	})
}

// debianTests gives a host with the tests of Debian's source package in /src and all that they need but Postfix.
func debianTests(ctx context.Context, t *testing.T, release string, l product.Layer) hosts.Options {
	t.Helper()
	needs := []string{"procmail", "sasl2-bin", "python3-pexpect", "lsb-release", "python3", "libsasl2-modules", "ssl-cert"} // debian/tests/control
	packages, err := session.Packages(ctx, release, "autopkgtest", needs...)
	if err != nil {
		t.Fatal(err)
	}
	sources, err := session.Archive(ctx, release, "source", `sed -i 's/^deb /deb-src /' /etc/apt/sources.list
		apt-get update -q; apt-get source -q --download-only --diff-only postfix`)
	if err != nil {
		t.Fatal(err)
	}
	tars, err := filepath.Glob(sources + "/*.debian.tar.xz")
	if err != nil || len(tars) != 1 {
		t.Fatalf("the packaging of Debian's Postfix is %q, %v", tars, err)
	}
	opt := source(ctx, t, release, l)
	opt.Binds[packages] = "/needs"
	opt, err = session.Layer(ctx, "autopkgtest-"+release, opt, func(h *hosts.Host) error {
		_, err := h.Sh(ctx, "mkdir /src; dpkg -i /needs/*.deb")
		if err != nil {
			return err
		}
		return exec.CommandContext(ctx, "tar", "-xJf", tars[0], "-C", h.Root()+"/src").Run()
	})
	if err != nil {
		t.Fatal(err)
	}
	return opt
}
