package adopt

import (
	"compress/gzip"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/run"
)

const (
	bookwormVersion = "3.7.11-0+deb12u1"
	trixieVersion   = "3.10.13-0+deb13u1"
	sidVersion      = "3.11.7-1"
)

func TestAdoptedPackageIsDebiansWithOurLayer(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		version, units, generator string
		wantAdded, wantGone       []string
	}{
		"Debian 12, units in /lib": {
			version: bookwormVersion, units: "lib/systemd/system/", generator: "/usr/libexec/postfix-maint/postfix-instance-generator",
			wantAdded: []string{"DEBIAN/triggers", "lib/systemd/system/postfix-resolvconf-watch.service",
				"lib/systemd/system/postfix-takeover-look.service", "lib/systemd/system/postfix-takeover.path", "lib/systemd/system/postfix-takeover.service",
				"lib/systemd/system/postfix-watch-look.service", "lib/systemd/system/postfix-watch.service", "usr/lib/NetworkManager/", "usr/lib/NetworkManager/dispatcher.d/", "usr/lib/NetworkManager/dispatcher.d/postfix"},
		},
		"Debian 13, units in /usr/lib": {
			version: trixieVersion, units: "usr/lib/systemd/system/", generator: "../../../libexec/postfix-maint/postfix-instance-generator",
			wantAdded: []string{"usr/lib/systemd/system-generators/", "usr/lib/systemd/system-generators/postfix-instance-generator",
				"usr/lib/systemd/system/postfix-resolvconf-watch.service", "usr/lib/systemd/system/postfix-takeover-look.service", "usr/lib/systemd/system/postfix-takeover.path",
				"usr/lib/systemd/system/postfix-takeover.service", "usr/lib/systemd/system/postfix-watch-look.service", "usr/lib/systemd/system/postfix-watch.service"},
			wantGone: []string{"usr/lib/postfix/syncfiles.pl"},
		},
		"sid, accounts declared": {
			version: sidVersion, units: "usr/lib/systemd/system/", generator: "../../../libexec/postfix-maint/postfix-instance-generator",
			wantAdded: []string{"usr/lib/systemd/system-generators/", "usr/lib/systemd/system-generators/postfix-instance-generator",
				"usr/lib/systemd/system/postfix-resolvconf-watch.service", "usr/lib/systemd/system/postfix-takeover-look.service", "usr/lib/systemd/system/postfix-takeover.path",
				"usr/lib/systemd/system/postfix-takeover.service", "usr/lib/systemd/system/postfix-watch-look.service", "usr/lib/systemd/system/postfix-watch.service"},
			wantGone: []string{"usr/lib/postfix/syncfiles.pl"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stock := stockFake(tc.version)
			before := members(t, stock.build(t))
			res, err := adopted(t, stock)
			must(t, err)
			after := members(t, res.Path)
			rel, _ := releaseOf(tc.version)

			if want := []string{tc.version, tc.version + "+a1.2", rel.name}; !slices.Equal(want, []string{res.Stock, res.Version, res.Release}) {
				t.Errorf("result %+v, want %v", res, want)
			}
			if want := "/postfix_" + tc.version + "+a1.2_amd64.deb"; !strings.HasSuffix(res.Path, want) {
				t.Errorf("written as %q, want %q at its end", res.Path, want)
			}
			var added, gone []string
			for name := range after {
				if _, ok := before[name]; !ok {
					added = append(added, name)
				}
			}
			for name := range before {
				if _, ok := after[name]; !ok {
					gone = append(gone, name)
				}
			}
			slices.Sort(added)
			if d := cmp.Diff(tc.wantAdded, added); d != "" {
				t.Errorf("added paths (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tc.wantGone, gone); d != "" {
				t.Errorf("left out paths (-want +got):\n%s", d)
			}

			checkMembers(t, rel, tc.version, before, after)
			if got := after[rel.generators+"postfix-instance-generator"].Linkname; got != tc.generator {
				t.Errorf("generator leads to %q, want %q", got, tc.generator)
			}
			if want := before["DEBIAN/templates"].text + "\nTemplate: postfix/more\nType: note\nDescription: More\n"; after["DEBIAN/templates"].text != want {
				t.Errorf("templates are %q, want %q", after["DEBIAN/templates"].text, want)
			}
			if got := after["DEBIAN/triggers"].text; got != "interest-noawait ours\n" {
				t.Errorf("triggers are %q: Debian's must be gone", got)
			}
		})
	}
}

// expanded is the text of a compressed file.
func expanded(t *testing.T, data string) string {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(data))
	must(t, err)
	text, err := io.ReadAll(r)
	must(t, err)
	return string(text)
}

// checkMembers wants every path to be either ours by the table or Debian's, byte for byte, with Debian's time stamp.
func checkMembers(t *testing.T, rel release, stock string, before, after map[string]member) {
	t.Helper()
	items := map[string]item{}
	for _, i := range itemsOf(rel) {
		items[i.to] = i
	}
	for name, m := range after {
		i, ours := items[name]
		switch {
		case m.Uid != 0 || m.Gid != 0 || m.Uname != "root":
			t.Errorf("%s belongs to %d:%d", name, m.Uid, m.Gid)
		case m.ModTime.Unix() > 1700000000:
			t.Errorf("%s has the time stamp %v of this run", name, m.ModTime)
		case strings.HasSuffix(name, "/"):
			if m.Mode != 0o755 {
				t.Errorf("%s has mode %o", name, m.Mode)
			}
		case name == "DEBIAN/control" || name == "DEBIAN/md5sums":
		case !ours:
			if b := before[name]; m.text != b.text || m.Mode != b.Mode || m.Linkname != b.Linkname {
				t.Errorf("%s of Debian's was changed", name)
			}
		case i.do == put:
			if want := "# ours: " + i.from + "\n"; m.text != want && i.from != "debian/postfix.triggers" || m.Mode != int64(i.mode) {
				t.Errorf("%s has mode %o and says %q, want %o %q", name, m.Mode, m.text, i.mode, want)
			}
		case i.do == pack:
			if want := string(squeezed("# ours: " + i.from + "\n")); m.text != want {
				t.Errorf("%s is not ours: %q", name, m.text)
			}
		case i.do == enter:
			want := "postfix (" + stock + "+a1.2) trixie-security; urgency=high\n\n  * Adopted by postfix-maint 1.2: its maintainer scripts, units, hooks\n" +
				"    and init script are in the place of Debian's; README.Debian is about them.\n" +
				"  * All else is " + stock + ", byte for byte.\n\n" +
				" -- Ours <us@example.org>  Tue, 14 Nov 2023 22:13:21 +0000\n\npostfix (" + stock + ") trixie-security; urgency=high\n\n  * Mended.\n"
			if got := expanded(t, m.text); got != want {
				t.Errorf("the changelog says %q, want %q", got, want)
			}
		case i.do == insert:
			if strings.Count(m.text, "ours: "+i.from) != map[string]int{"bookworm": 1, "trixie": 0}[rel.name] || m.Mode != 0o755 {
				t.Errorf("%s has mode %o and says %q", name, m.Mode, m.text)
			}
		case i.do == extend:
			if !strings.HasPrefix(m.text, before[name].text) || len(m.text) == len(before[name].text) {
				t.Errorf("%s is not Debian's and ours: %q", name, m.text)
			}
		}
	}
}

func TestControlFileOfAdoptedPackage(t *testing.T) {
	t.Parallel()
	res, err := adopted(t, stockFake(trixieVersion))
	must(t, err)
	// The size: 4029, one file less (syncfiles.pl), one directory, one link (the generator) and two units more, each 1.
	want := `Package: postfix
Source: postfix (3.10.13-0+deb13u1)
Version: 3.10.13-0+deb13u1+a1.2
Architecture: amd64
Maintainer: Ours <us@example.org>
Original-Maintainer: Debian Postfix Team <team+postfix@tracker.debian.org>
Installed-Size: 4036
Depends: adduser, netbase, postfix-maint (>= 1.2)
Replaces: mail-transport-agent
Provides: mail-transport-agent, postfix (= 3.10.13-0+deb13u1)
Description: mail transport agent
 Several lines
 .
 of it.
`
	if d := cmp.Diff(want, members(t, res.Path)["DEBIAN/control"].text); d != "" {
		t.Errorf("control file (-want +got):\n%s", d)
	}
}

func TestChecksumsNameEveryFileButConffiles(t *testing.T) {
	t.Parallel()
	res, err := adopted(t, stockFake(bookwormVersion))
	must(t, err)
	all := members(t, res.Path)
	conffiles := strings.Fields(all["DEBIAN/conffiles"].text)
	var want strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m := all[name]
		if strings.HasPrefix(name, "DEBIAN/") || m.Typeflag != '0' || slices.Contains(conffiles, "/"+name) {
			continue
		}
		fmt.Fprintf(&want, "%x  %s\n", md5.Sum([]byte(m.text)), name)
	}
	if d := cmp.Diff(want.String(), all["DEBIAN/md5sums"].text); d != "" {
		t.Errorf("md5sums (-want +got):\n%s", d)
	}
}

func TestWhatIsNotUnderstoodIsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		version string // bookworm's if empty
		change  func(*fake)
		want    string
	}{
		"another package": {
			change: func(f *fake) { f.control("Package: postfix", "Package: exim4") }, want: `it is the package "exim4", not postfix`,
		},
		"a package adopted by the first layer": {
			version: bookwormVersion + "+maint1", change: func(*fake) {}, want: `is adopted already`,
		},
		"an adopted package": {
			version: bookwormVersion + "+a1.2", change: func(*fake) {}, want: `is adopted already`,
		},
		"another source": {
			change: func(f *fake) { f.control("Version", "Source: mail-suite (1.0)\nVersion") }, want: `built from the source "mail-suite", not postfix`,
		},
		"a derivative's build": {
			change: func(f *fake) { f.control("team+postfix@tracker.debian.org", "devel@lists.ubuntu.com") },
			want:   `its maintainer "Debian Postfix Team <devel@lists.ubuntu.com>" is not Debian`,
		},
		"a maintainer who only looks like Debian's": {
			change: func(f *fake) { f.control("team+postfix@tracker.debian.org", "x@debian.org.example") }, want: `is not Debian`,
		},
		"an unknown release": {
			version: "3.9.1-10", change: func(*fake) {},
			want: `version "3.9.1-10" is of no known release: 3.7 (bookworm), 3.10 (trixie), 3.11 (sid); trixie is the nearest, and this package does not differ`,
		},
		"a version that only begins alike": {
			version: "3.70.1-1", change: func(*fake) {}, want: `no known release`,
		},
		"no config script": {
			change: func(f *fake) { delete(f.files, "DEBIAN/config") }, want: `it has no control file "config"`,
		},
		"a unit that is gone": {
			change: func(f *fake) { delete(f.files, "lib/systemd/system/postfix@.service") },
			want:   `it has no "lib/systemd/system/postfix@.service" to replace`,
		},
		"units in another place": {
			version: trixieVersion, change: func(f *fake) {
				f.files["lib/systemd/system/postfix.service"] = f.files["usr/lib/systemd/system/postfix.service"]
				delete(f.files, "usr/lib/systemd/system/postfix.service")
			},
			want: `it has no "usr/lib/systemd/system/postfix.service" to replace`,
		},
		"a unit nobody knows": {
			change: func(f *fake) { f.files["lib/systemd/system/postfix-new.timer"] = "[Timer]\n" },
			want:   `it has "lib/systemd/system/postfix-new.timer", which this version does not know`,
		},
		"a unit of users": {
			change: func(f *fake) { f.files["usr/lib/systemd/user/postfix.service"] = "[Unit]\n" },
			want:   `it has "usr/lib/systemd/user/postfix.service", which`,
		},
		"accounts that are declared where the release declares none": {
			version: trixieVersion, change: func(f *fake) { f.files["usr/lib/sysusers.d/postfix.conf"] = "g postdrop\n" },
			want: `it has "usr/lib/sysusers.d/postfix.conf", which`,
		},
		"accounts that are not declared where the release declares them": {
			version: sidVersion, change: func(f *fake) { delete(f.files, "usr/lib/sysusers.d/postfix.conf") },
			want: `it has no "usr/lib/sysusers.d/postfix.conf"`,
		},
		"no program that makes accounts": {
			version: trixieVersion, change: func(f *fake) { f.control("adduser,", "adduser-ng,") }, want: `it does not depend on "adduser"`,
		},
		"a script beside the libraries": {
			version: sidVersion, change: func(f *fake) { f.files["usr/lib/postfix/sync.sh"] = "#!/bin/sh\n" }, want: `it has "usr/lib/postfix/sync.sh", which`,
		},
		"a hook nobody knows": {
			change: func(f *fake) { f.files["etc/dhcp/dhclient-exit-hooks.d/postfix"] = "#!/bin/sh\n" },
			want:   `it has "etc/dhcp/dhclient-exit-hooks.d/postfix", which`,
		},
		"a control file nobody knows": {
			change: func(f *fake) { f.files["DEBIAN/isinstallable"] = "#!/bin/sh\n" }, want: `it has "DEBIAN/isinstallable", which`,
		},
		"a generator where the release has none": {
			version: trixieVersion, change: func(f *fake) {
				f.files["usr/lib/systemd/system-generators/postfix-instance-generator"] = "#!/bin/sh\n"
			},
			want: `it has a "usr/lib/systemd/system-generators/postfix-instance-generator" of its own, which the package of trixie has not`,
		},
		"an init script that is a link": {
			change: func(f *fake) { f.files["etc/init.d/postfix"] = "-> /bin/true" }, want: `its "etc/init.d/postfix" is no plain file`,
		},
		"another layer's adoption of the same questions": {
			change: func(f *fake) {
				f.files["DEBIAN/templates"] += "\nTemplate: postfix/more\nType: note\nDescription: More\n"
			},
			want: `Debian has "Template: postfix/more" too`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.version == "" {
				tc.version = bookwormVersion
			}
			f := stockFake(tc.version)
			tc.change(f)
			res, err := adopted(t, f)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %v, want %q in it", err, tc.want)
			}
			if res.Path != "" {
				t.Errorf("%q was written all the same", res.Path)
			}
		})
	}
}

func TestAllDifferencesAreNamedAtOnce(t *testing.T) {
	t.Parallel()
	f := stockFake(bookwormVersion)
	delete(f.files, "DEBIAN/prerm")
	delete(f.files, "etc/ppp/ip-up.d/postfix")
	_, err := adopted(t, f)
	refused := (*RefusedError)(nil)
	if !errors.As(err, &refused) || len(refused.Reasons) != 2 {
		t.Errorf("error is %v, want two reasons", err)
	}
}

// What a coming release has otherwise is told at once, as what it has otherwise than the nearest that is known.
func TestAllDifferencesOfAnUnknownRelease(t *testing.T) {
	t.Parallel()
	f := stockFake(sidVersion)
	f.control("Version: "+sidVersion, "Version: 3.12.0-1")
	f.control("systemd | systemd-standalone-sysusers | systemd-sysusers,", "")
	delete(f.files, "etc/ppp/ip-up.d/postfix")
	f.files["usr/lib/systemd/system/postfix.socket"] = "[Socket]\n"
	f.files["etc/cron.daily/postfix"] = "#!/bin/sh\n"
	_, err := adopted(t, f)
	refused := (*RefusedError)(nil)
	if !errors.As(err, &refused) {
		t.Fatalf("error is %v", err)
	}
	want := []string{
		`version "3.12.0-1" is of no known release: 3.7 (bookworm), 3.10 (trixie), 3.11 (sid); sid is the nearest, and this package differs from it`,
		`it has no "etc/ppp/ip-up.d/postfix" to replace`,
		`it has "etc/cron.daily/postfix", which this version does not know`,
		`it has "usr/lib/systemd/system/postfix.socket", which this version does not know`,
		`it does not depend on "systemd-sysusers", which accounts are made with`,
	}
	if d := cmp.Diff(want, refused.Reasons); d != "" {
		t.Errorf("reasons (-want +got):\n%s", d)
	}
}

func TestNearestRelease(t *testing.T) {
	t.Parallel()
	for v, want := range map[string]string{
		"3.4.23-0+deb10u1": "bookworm", "3.8.0-1": "bookworm", "3.9.1-10": "trixie", "3.10.1-1": "trixie", "1:3.12.0-1": "sid", "4.0-1": "sid", "odd": "bookworm",
	} {
		if got := nearest(v).name; got != want {
			t.Errorf("%s: %s, want %s", v, got, want)
		}
	}
}

func TestForeignOwnerIsRefused(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("giving a file away needs root")
	}
	f := stockFake(bookwormVersion)
	f.owner = true
	_, err := adopted(t, f)
	if want := `"usr/sbin/postfix" belongs to 1234:1234, not to root`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error is %v, want %q in it", err, want)
	}
}

func TestSecondRunGivesTheSameBytesAndWritesNothing(t *testing.T) {
	t.Parallel()
	deb, layer, out := stockFake(trixieVersion).build(t), layerFake(t), t.TempDir()
	first, err := runWith(t, deb, layer, out)
	must(t, err)
	fi, err := os.Stat(first.Path)
	must(t, err)
	second, err := runWith(t, deb, layer, out)
	must(t, err)
	again, err := os.Stat(first.Path)
	must(t, err)
	if !first.Written || second.Written || !os.SameFile(fi, again) {
		t.Errorf("written %v, then %v; same file: %v", first.Written, second.Written, os.SameFile(fi, again))
	}
	elsewhere, err := runWith(t, deb, layer, t.TempDir())
	must(t, err)
	a, err := os.ReadFile(first.Path)
	must(t, err)
	b, err := os.ReadFile(elsewhere.Path)
	must(t, err)
	if string(a) != string(b) {
		t.Error("the same input gave other bytes")
	}
}

func TestEpochIsKeptInTheVersionAndNotInTheFileName(t *testing.T) {
	t.Parallel()
	if got := fileName(adoptedVersion("1:3.10.13-1"), "arm64"); got != "postfix_3.10.13-1+a1.2_arm64.deb" {
		t.Errorf("file name is %q", got)
	}
	if _, ok := releaseOf("1:3.10.13-1"); !ok {
		t.Error("an epoch hides the release")
	}
}

// swapper gives another package to whoever looks a second time.
type swapper struct {
	run.Runner
	deb, other string
}

func (s swapper) Output(ctx context.Context, name string, args ...string) ([]byte, error) {
	out, err := s.Runner.Output(ctx, name, args...)
	if len(args) > 0 && args[0] == "--ctrl-tarfile" {
		err = errors.Join(err, os.Rename(s.other, s.deb))
	}
	return out, err
}

func TestAPackageIsReadOnce(t *testing.T) {
	t.Parallel()
	other := stockFake(bookwormVersion)
	other.files["usr/sbin/postfix"] = "another program"
	s := swapper{deb: stockFake(bookwormVersion).build(t), other: other.build(t)}
	want := members(t, s.deb)["usr/sbin/postfix"].text
	res, err := Run(context.Background(), Options{Deb: s.deb, Output: t.TempDir(), Layer: layerFake(t), Runner: s})
	must(t, err)
	if got := members(t, res.Path)["usr/sbin/postfix"].text; got != want {
		t.Errorf("what was packed says %q, what was looked at %q", got, want)
	}
}

func TestANamedPipeIsNoPackage(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "-postfix.deb")
	must(t, syscall.Mkfifo(pipe, 0o600))
	if _, err := Run(context.Background(), Options{Deb: pipe, Output: t.TempDir(), Layer: layerFake(t), Runner: run.Runner{}}); err == nil ||
		!strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("error is %v", err)
	}
}
