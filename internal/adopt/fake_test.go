package adopt

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"postfix-maint/internal/run"
	"postfix-maint/internal/version"
)

// fake is a small package with the paths of Debian's, "/" at the end for a directory, "-> " before a link's target.
type fake struct {
	files map[string]string
	owner bool // pack with the owner of the files instead of root
}

// stockPaths are what both releases have; UNITS and GENERATORS as in layer.go.
const stockPaths = `
	etc/init.d/postfix etc/insserv.conf.d/postfix etc/network/if-up.d/postfix etc/network/if-down.d/postfix etc/postfix/postfix-files
	etc/ppp/ip-up.d/postfix etc/ppp/ip-down.d/postfix etc/resolvconf/update-libc.d/postfix etc/rsyslog.d/postfix.conf
	etc/ufw/applications.d/postfix usr/lib/networkd-dispatcher/off.d/postfix usr/lib/networkd-dispatcher/routable.d/postfix
	usr/lib/postfix/configure-instance.sh usr/lib/postfix/sbin/master usr/lib/postfix/sbin/post-install usr/sbin/postfix usr/share/doc/postfix/copyright usr/share/lintian/overrides/postfix
	usr/share/postfix/postinst.functions UNITSpostfix.service UNITSpostfix@.service UNITSpostfix-resolvconf.path
	UNITSpostfix-resolvconf.service DEBIAN/config DEBIAN/postinst DEBIAN/postrm DEBIAN/preinst DEBIAN/prerm DEBIAN/md5sums`

// stockFake lays out the package of a release as Debian has it, as far as a layer is concerned.
func stockFake(version string) *fake {
	rel, known := releaseOf(version)
	if !known {
		rel = nearest(version)
	}
	f := &fake{files: map[string]string{}}
	for _, p := range strings.Fields(strings.NewReplacer("UNITS", rel.units, "GENERATORS", rel.generators).Replace(stockPaths)) {
		f.files[p] = "#!/bin/sh\n# Debian's " + p + "\n"
	}
	f.files["DEBIAN/control"] = "Package: postfix\nVersion: " + version + "\nArchitecture: amd64\n" +
		"Maintainer: Debian Postfix Team <team+postfix@tracker.debian.org>\nInstalled-Size: 4029\n" +
		"Depends: adduser, netbase\nReplaces: mail-transport-agent\nProvides: mail-transport-agent\n" +
		"Description: mail transport agent\n Several lines\n .\n of it.\n"
	f.files["DEBIAN/conffiles"] = "/etc/init.d/postfix\n/etc/rsyslog.d/postfix.conf\n/etc/postfix/postfix-files\n"
	f.files["DEBIAN/templates"] = "Template: postfix/mailname\nType: string\nDescription: Name?\nDescription-de.UTF-8: Schöner Name?\n"
	f.files["var/spool/postfix/"] = ""
	f.files["usr/lib/postfix/sbin/post-install"] = "#!/bin/sh\ntest -n \"$create\" && {\n    done\n" + postInstallEnd + "exit 0\n"
	f.files["usr/share/doc/postfix/README.Debian.gz"] = string(squeezed("Debian's layer.\n"))
	f.files["usr/share/doc/postfix/changelog.Debian.gz"] = string(squeezed("postfix (" + version + ") trixie-security; urgency=high\n\n  * Mended.\n"))
	f.files["usr/bin/mailq"] = "-> ../sbin/sendmail"
	switch rel.name {
	case "bookworm":
		f.files[rel.generators+"postfix-instance-generator"] = "#!/bin/sh\n"
	case "trixie", "sid":
		f.files["usr/lib/postfix/sbin/post-install"] = "#!/bin/sh\ntest -n \"$create\" && {\n    /usr/lib/postfix/configure-instance.sh || exit 1\n" + postInstallEnd
		f.files["usr/lib/postfix/syncfiles.pl"] = "#!/usr/bin/perl\n"
		f.files["usr/lib/NetworkManager/dispatcher.d/postfix"] = "#!/bin/sh\n"
		f.files["DEBIAN/triggers"] = "interest-noawait /usr/lib/postfix\n"
		f.files["DEBIAN/conffiles"] += "remove-on-upgrade /etc/postfix/post-install\n"
	}
	if rel.name == "sid" {
		f.control("adduser,", "systemd | systemd-standalone-sysusers | systemd-sysusers,")
		f.files["usr/lib/sysusers.d/postfix.conf"] = "g postdrop\n"
		f.files["usr/lib/tmpfiles.d/postfix.conf"] = "z /var/lib/postfix - postfix postfix\n"
	}
	return f
}

// control changes a field of the fake's control file.
func (f *fake) control(old, new string) {
	f.files["DEBIAN/control"] = strings.Replace(f.files["DEBIAN/control"], old, new, 1)
}

// build packs the fake with dpkg-deb.
func (f *fake) build(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Fatal("dpkg-deb is needed to make packages for these tests (Debian package dpkg)")
	}
	dir := t.TempDir()
	root := filepath.Join(dir, "tree")
	for name, text := range f.files {
		p := filepath.Join(root, name)
		must(t, os.MkdirAll(filepath.Dir(p), 0o755))
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		switch target, link := strings.CutPrefix(text, "-> "); {
		case strings.HasSuffix(name, "/"):
			must(t, os.MkdirAll(p, 0o755))
		case link:
			must(t, os.Symlink(target, p))
		default:
			must(t, os.WriteFile(p, []byte(text), mode))
			must(t, os.Chmod(p, mode))
		}
	}
	must(t, filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error { // whatever the umask
		if err == nil && d.IsDir() {
			err = os.Chmod(p, 0o755)
		}
		return err
	}))
	deb := filepath.Join(dir, "stock.deb")
	args := []string{"SOURCE_DATE_EPOCH=1700000000", "dpkg-deb", "--root-owner-group", "-Znone", "-b", root, deb}
	if f.owner {
		must(t, os.Chown(filepath.Join(root, "usr/sbin/postfix"), 1234, 1234))
		args = append(args[:2], args[3:]...)
	}
	out, err := exec.Command("env", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("dpkg-deb: %v\n%s", err, out)
	}
	return deb
}

// layerFake writes a layer folder whose files say which one they are.
func layerFake(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, i := range layerItems() {
		if !i.ofLayer() {
			continue
		}
		p := filepath.Join(dir, i.from)
		must(t, os.MkdirAll(filepath.Dir(p), 0o755))
		must(t, os.WriteFile(p, []byte("# ours: "+i.from+"\n"), 0o600)) // no mode of the layer may leak
	}
	must(t, os.WriteFile(filepath.Join(dir, "debian/postfix.templates"), []byte("Template: postfix/more\nType: note\nDescription: More\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "debian/postfix.triggers"), []byte("interest-noawait ours\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "debian/changelog"),
		[]byte("postfix-maint (1.2) unstable; urgency=medium\n\n  * New.\n\n -- Ours <us@example.org>  Mon, 23 Nov 2026 00:00:00 +0000\n"), 0o644))
	return dir
}

// adopted runs the adoption of a fake with the fake layer.
func adopted(t *testing.T, f *fake) (Result, error) {
	t.Helper()
	return Run(context.Background(), Options{Deb: f.build(t), Output: t.TempDir(), Layer: layerFake(t), Runner: run.Runner{}})
}

// member is what a package says of one path.
type member struct {
	tar.Header
	text string
}

// members lists a package, control files below DEBIAN/.
func members(t *testing.T, deb string) map[string]member {
	t.Helper()
	all := map[string]member{}
	for option, prefix := range map[string]string{"--ctrl-tarfile": "DEBIAN/", "--fsys-tarfile": ""} {
		archive, err := exec.Command("dpkg-deb", option, deb).Output()
		must(t, err)
		tr := tar.NewReader(bytes.NewReader(archive))
		for h, err := tr.Next(); err != io.EOF; h, err = tr.Next() {
			must(t, err)
			text, err := io.ReadAll(tr)
			must(t, err)
			all[prefix+strings.TrimPrefix(h.Name, "./")] = member{*h, string(text)}
		}
	}
	return all
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// adoptedVersion is what layerFake makes of a version of Debian's.
func adoptedVersion(stock string) string { return version.Adopted(stock, "1.2", "") }

// squeezed is packed for a text that cannot fail.
func squeezed(text string) []byte {
	data, err := packed([]byte(text))
	if err != nil {
		panic(err)
	}
	return data
}
