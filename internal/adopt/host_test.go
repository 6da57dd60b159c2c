package adopt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
	"postfix-maint/internal/version"
)

func TestTextsForApt(t *testing.T) {
	t.Parallel()
	pin := pinText(990)
	for _, part := range []string{"\nPackage: postfix\nPin: release o=postfix-maint\nPin-Priority: 990\n", "\nPackage: *\nPin: release o=postfix-maint\nPin-Priority: -1\n"} {
		if !strings.Contains(pin, part) {
			t.Errorf("the pin has no %q:\n%s", part, pin)
		}
	}
	for text, want := range map[string]bool{pin: true, pinText(-5): true, pin + "\n": false, "# mine\n" + pin: false, "": false} {
		if _, ours := pinPriority(text); ours != want {
			t.Errorf("taken for ours: %v, want %v:\n%s", ours, want, text)
		}
	}
	for text, part := range map[string]string{
		sourceText(): "\nURIs: file:/var/lib/postfix-maint/archive\n",
		confText():   "timeout -k 10 300 /usr/sbin/postfix-maint adopt --refresh </dev/null || true; fi\"; };\n",
		stanza("Package: postfix\nDescription: x\n y\n\n", "p.deb", []byte("abc")): "Description: x\n y\nFilename: ./p.deb\nSize: 3\nSHA256: ba7816bf",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in:\n%s", part, text)
		}
	}
	date := time.Date(2026, 11, 26, 1, 2, 3, 9, time.UTC)
	release := releaseText("x", date)
	if got := dateOf(release); !got.Equal(date.Truncate(time.Second)) {
		t.Errorf("the date reads as %v in:\n%s", got, release)
	}
	if !dateOf("Date: yesterday\n").IsZero() || !dateOf("").IsZero() {
		t.Error("a date was read where none is")
	}
}

// hostFake is a host with apt and dpkg in a tree of its own: Debian's archive holds debs, and what apt is told to install is installed.
type hostFake struct {
	host      Host
	debs      map[string]string // Debian's version -> package
	order     []string          // these versions, the highest first
	installed string
	status    string // dpkg's; "" is a package that is installed as a whole
	fail      string // the command that fails
	hold      bool
	lost      int64 // bytes of a package that do not arrive
	said      []string
}

func newHostFake(t *testing.T, versions ...string) *hostFake {
	t.Helper()
	f := &hostFake{debs: map[string]string{}, order: versions}
	for _, v := range versions {
		f.debs[v] = stockFake(v).build(t)
	}
	root := sysroottest.New(t, map[string]string{
		"etc/apt/sources.list.d/": "", "etc/apt/preferences.d/": "", "etc/apt/apt.conf.d/": "", "var/lib/apt/lists/": "",
		"var/lib/postfix-maint/applied.json": "{}",
	})
	f.host = Host{Root: root, Layer: layerFake(t), Runner: f, Attach: f.attach, Say: func(line string) { f.said = append(f.said, line) }}
	return f
}

func (f *hostFake) Output(ctx context.Context, name string, args ...string) ([]byte, error) {
	line := name + " " + strings.Join(args, " ")
	switch {
	case f.fail != "" && strings.Contains(line, f.fail):
		return nil, errors.New("it fails")
	case strings.Contains(line, "apt-cache policy"):
		return []byte(f.policy()), nil
	case strings.Contains(line, " download postfix="):
		_, version, _ := strings.Cut(line, "postfix=")
		data, err := os.ReadFile(f.debs[version])
		if err != nil {
			return nil, err
		}
		return nil, os.WriteFile(filepath.Join(args[1], "postfix_"+version+"_amd64.deb"), data, 0o644)
	case strings.Contains(line, "--print-uris"):
		_, version, _ := strings.Cut(line, "postfix=")
		info, err := os.Stat(f.debs[version])
		if err != nil {
			return nil, err
		}
		return fmt.Appendf(nil, "'http://x/p.deb' p.deb %d SHA256:0\n", info.Size()+f.lost), nil
	case strings.HasPrefix(line, "apt-get update"):
		data, err := f.host.Root.ReadFile(paths.Archive + "/Release")
		if err == nil {
			_, err = f.host.Root.WriteFile(paths.ArchiveList+"Release", data, own(0))
		}
		return nil, err
	case strings.Contains(line, "Status-Want"):
		return []byte(map[bool]string{true: "hold", false: "install"}[f.hold]), nil
	case name == "dpkg-query":
		if f.status != "" {
			return fmt.Appendf(nil, "%s\n%s\n", f.status, f.installed), nil
		}
		return fmt.Appendf(nil, "installedok\n%s\nadduser, postfix-maint (>= 1.2)", f.installed), nil
	}
	return run.Runner{}.Output(ctx, name, args...)
}

// policy is the version table of Debian's archive and of what is installed.
func (f *hostFake) policy() string {
	text, here := "  Version table:\n", " *** "+f.installed+" 100\n        100 /var/lib/dpkg/status\n"
	if _, adopted := version.Stock(f.installed); adopted && len(f.order) == 0 {
		return text + here
	}
	for _, v := range f.order {
		if stock, adopted := version.Stock(f.installed); adopted && stock == v {
			text += here
		}
		mark := map[bool]string{true: " *** ", false: "     "}[f.installed == v]
		text += mark + v + " 500\n        500 http://deb.debian.org/debian stable/main\n"
	}
	return text
}

func (f *hostFake) attach(_ context.Context, name string, args ...string) error {
	for _, a := range args {
		if v, ok := strings.CutPrefix(a, "postfix="); ok && name == "apt-get" {
			f.installed, f.status = v, ""
		}
	}
	return nil
}

func TestHostIsAdoptedAndGoesBack(t *testing.T) {
	t.Parallel()
	ctx, f := context.Background(), newHostFake(t, bookwormVersion)
	f.installed = bookwormVersion
	before := sysroottest.Dump(t, f.host.Root.Dir(), false)

	dry := f.host
	dry.DryRun = true
	report, err := dry.Install(ctx)
	must(t, err)
	if diff := cmp.Diff(before, sysroottest.Dump(t, f.host.Root.Dir(), false)); diff != "" || len(report.Changes) != 6 {
		t.Errorf("a dry run says %q and changes:\n%s", report.Changes, diff)
	}
	report, err = f.host.Install(ctx)
	must(t, err)
	if want := bookwormVersion + "+a1.2"; f.installed != want || report.Installed != want || !report.Adopted || !report.InForce || len(report.Changes) != 6 {
		t.Errorf("report is %+v", report)
	}
	after := sysroottest.Dump(t, f.host.Root.Dir(), true)
	for name, again := range map[string]func(context.Context) (Report, error){"install": f.host.Install, "refresh": f.host.Refresh} {
		report, err = again(ctx)
		must(t, err)
		if diff := cmp.Diff(after, sysroottest.Dump(t, f.host.Root.Dir(), true)); diff != "" || len(report.Changes) != 0 {
			t.Errorf("a second %s does %q:\n%s", name, report.Changes, diff)
		}
	}
	_, err = f.host.Revert(ctx)
	must(t, err)
	if diff := cmp.Diff(before, sysroottest.Dump(t, f.host.Root.Dir(), false)); diff != "" || f.installed != bookwormVersion {
		t.Errorf("%s is installed, and this is left:\n%s", f.installed, diff)
	}
	report, err = f.host.Revert(ctx)
	must(t, err)
	if len(report.Changes) != 0 {
		t.Errorf("a second revert does %q", report.Changes)
	}
}

func TestAPackageOnHoldStays(t *testing.T) {
	t.Parallel()
	ctx, f := context.Background(), newHostFake(t, bookwormVersion)
	f.installed, f.hold = bookwormVersion, true
	before := sysroottest.Dump(t, f.host.Root.Dir(), false)
	if _, err := f.host.Install(ctx); err == nil || !strings.Contains(err.Error(), "apt-mark unhold") {
		t.Errorf("it is adopted: %v", err)
	}
	r, err := f.host.Status(ctx)
	if err != nil || !r.Held {
		t.Errorf("the status is %+v, %v", r, err)
	}
	if diff := cmp.Diff(before, sysroottest.Dump(t, f.host.Root.Dir(), false)); diff != "" || f.installed != bookwormVersion {
		t.Errorf("%s is installed, and this is changed:\n%s", f.installed, diff)
	}
	f.hold = false
	r, err = f.host.Install(ctx)
	must(t, err)
	if r.Held {
		t.Error("what was released is on hold")
	}
	f.hold = true
	before = sysroottest.Dump(t, f.host.Root.Dir(), false)
	_, err = f.host.Install(ctx) // nothing to do, so nothing to refuse
	must(t, err)
	if _, err := f.host.Revert(ctx); err == nil || !strings.Contains(err.Error(), "apt-mark unhold") {
		t.Errorf("it goes back: %v", err)
	}
	if diff := cmp.Diff(before, sysroottest.Dump(t, f.host.Root.Dir(), false)); diff != "" {
		t.Errorf("this is changed:\n%s", diff)
	}
}

func TestUpdateThatIsRefusedIsNotedOnce(t *testing.T) {
	t.Parallel()
	const good, bad = bookwormVersion, bookwormVersion + ".1"
	ctx, f := context.Background(), newHostFake(t, good)
	_, err := f.host.Install(ctx)
	must(t, err)
	strange := stockFake(bad)
	strange.files["etc/new.d/postfix"] = "x"
	f.debs[bad], f.order, f.said = strange.build(t), []string{bad, good}, nil
	report, err := f.host.Refresh(ctx)
	must(t, err)
	if len(report.Refused[bad]) != 1 || strings.Join(report.Ready, " ") != good+"+a1.2" {
		t.Errorf("report is %+v", report)
	}
	if said := strings.Join(f.said, "\n"); strings.Count(said, "cannot be adopted, so apt installs Debian's own") != 1 {
		t.Errorf("said: %s", said)
	}
	f.said, f.fail = nil, "download" // not even fetched again
	_, err = f.host.Refresh(ctx)
	must(t, err)
	if len(f.said) != 0 {
		t.Errorf("said again: %q", f.said)
	}
	if report, err = f.host.Status(ctx); err != nil || len(report.Refused) != 1 {
		t.Errorf("status: %+v, %v", report, err)
	}
	if _, err = f.host.Install(ctx); err != nil || !strings.Contains(strings.Join(f.said, "\n"), bad+" cannot be adopted") {
		t.Errorf("the next run of the command says %q, %v", f.said, err)
	}
}

func TestNothingIsLeftWhereNothingCanBeAdopted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		version, fail string
		lost          int64
		want          string
	}{
		"another release":             {"3.9.1-10", "", 0, "is of no known release"},
		"a fetch that fails":          {bookwormVersion, "download", 0, "cannot fetch postfix"},
		"a package that came in part": {bookwormVersion, "", 5, "is the disk full?"},
		"a package not described":     {bookwormVersion, "--field", 0, "cannot describe the adopted package"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newHostFake(t, tc.version)
			f.fail, f.lost = tc.fail, tc.lost
			before := sysroottest.Dump(t, f.host.Root.Dir(), false)
			if _, err := f.host.Install(context.Background()); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %v, want %q in it", err, tc.want)
			}
			if diff := cmp.Diff(before, sysroottest.Dump(t, f.host.Root.Dir(), false)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEditedFilesStayAndDamagedOnesAreMadeAgain(t *testing.T) {
	t.Parallel()
	ctx, f := context.Background(), newHostFake(t, bookwormVersion)
	_, err := f.host.Install(ctx)
	must(t, err)
	write := func(p, text string) {
		_, err := f.host.Root.WriteFile(p, []byte(text), sysroot.Attr{UID: os.Getuid(), GID: os.Getgid()})
		must(t, err)
	}
	edits := map[string]string{paths.AptSource: sourceText() + "Enabled: no\n", paths.AptPin: "# none\n", paths.AptConf: ""}
	for p, text := range edits {
		write(p, text)
	}
	release, err := f.host.Root.ReadFile(paths.Archive + "/Release")
	must(t, err)
	write(paths.Archive+archiveManifest, "{")
	_, err = f.host.Install(ctx)
	must(t, err)
	for p, text := range edits {
		if have, err := f.host.Root.ReadFile(p); err != nil || string(have) != text {
			t.Errorf("%s is now %q, %v", p, have, err)
		}
	}
	again, err := f.host.Root.ReadFile(paths.Archive + "/Release")
	must(t, err)
	if !dateOf(string(again)).After(dateOf(string(release))) {
		t.Errorf("apt would not take\n%sfor newer than\n%s", again, release)
	}
	if _, err := readArchive(f.host.Root, "1.2"); err != nil {
		t.Error(err)
	}
	write(paths.AptPin, pinText(700)) // as it was before the administrator's own pin went
	_, err = f.host.Refresh(ctx)
	must(t, err)
	if have, err := f.host.Root.ReadFile(paths.AptPin); err != nil || string(have) != pinText(500) {
		t.Errorf("the pin is %q, %v", have, err)
	}
}

// What somebody writes between the look at one of apt's files and its rename stays, as what was there before does.
func TestEditsMadeMeanwhileStay(t *testing.T) {
	t.Parallel()
	for _, p := range []string{paths.AptSource, paths.AptPin, paths.AptConf} {
		ctx, f := context.Background(), newHostFake(t, bookwormVersion)
		f.host.Say = func(line string) {
			if line == "write: "+p {
				_, err := f.host.Root.MkdirAll(path.Dir(p), own(0o755))
				must(t, err)
				_, err = f.host.Root.WriteFile(p, []byte("mine"), sysroot.Attr{UID: os.Getuid(), GID: os.Getgid()})
				must(t, err)
			}
		}
		if _, err := f.host.Install(ctx); err == nil || !strings.Contains(err.Error(), p) {
			t.Errorf("%s: the run ends with %v", p, err)
		}
		if have, err := f.host.Root.ReadFile(p); err != nil || string(have) != "mine" {
			t.Errorf("%s is now %q, %v", p, have, err)
		}
	}
}

// The script that runs when the program is gone has to name what Install makes once more.
func TestRemovalOfThePackageNamesTheSameFiles(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile(filepath.Join(project, "debian/postfix-maint.postrm"))
	must(t, err)
	for _, p := range []string{paths.AptSource, paths.AptPin, paths.AptConf, paths.ArchiveList + "*", paths.Archive + "*"} {
		if !strings.Contains(strings.ReplaceAll(string(script), `"`, ""), "${DPKG_ROOT:-}"+p) {
			t.Errorf("the script does not remove %s", p)
		}
	}
}

func TestHalfUnpackedPackageIsInstalledAgain(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]func(Host, context.Context) (Report, error){"install": Host.Install, "revert": Host.Revert} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, f := context.Background(), newHostFake(t, bookwormVersion)
			f.installed = bookwormVersion
			_, err := f.host.Install(ctx)
			must(t, err)
			if name == "revert" {
				f.installed = bookwormVersion
			}
			f.status = "half-installedreinstreq"
			_, err = command(f.host, ctx)
			must(t, err)
			if f.status != "" {
				t.Errorf("%s is left %s", f.installed, f.status)
			}
		})
	}
}

func TestWhatInterruptedRunsLeftIsCleared(t *testing.T) {
	t.Parallel()
	ctx, f := context.Background(), newHostFake(t, bookwormVersion)
	_, err := f.host.Install(ctx)
	must(t, err)
	want := sysroottest.Dump(t, f.host.Root.Dir(), false)
	const temp = ".postfix-maint-tmp."
	for _, dir := range []string{"adopt.work/tree", temp + "adopt.work.AB", "archive-0123456789ab", temp + "archive-0123456789ab.AB", temp + "archive.AB"} {
		real := filepath.Join(f.host.Root.Dir(), paths.StateDir, dir)
		must(t, os.MkdirAll(real, 0o755))
		must(t, os.WriteFile(filepath.Join(real, "file"), nil, 0o644))
	}
	_, err = f.host.Refresh(ctx)
	must(t, err)
	if diff := cmp.Diff(want, sysroottest.Dump(t, f.host.Root.Dir(), false)); diff != "" {
		t.Error(diff)
	}
}

func TestNewLayerMakesThePackagesAgain(t *testing.T) {
	t.Parallel()
	ctx, f := context.Background(), newHostFake(t, bookwormVersion)
	_, err := f.host.Install(ctx)
	must(t, err)
	changelog := filepath.Join(f.host.Layer, "debian/changelog")
	text, err := os.ReadFile(changelog)
	must(t, err)
	must(t, os.WriteFile(changelog, []byte(strings.Replace(string(text), "(1.2)", "(1.3)", 1)), 0o644))
	report, err := f.host.Refresh(ctx)
	must(t, err)
	index, err := f.host.Root.ReadFile(paths.Archive + "/Packages")
	must(t, err)
	if len(report.Changes) != 2 || strings.Count(string(index), "\nVersion: ") != 1 || !strings.Contains(string(index), dependency("1.3")) {
		t.Errorf("changes are %q, and the index is:\n%s", report.Changes, index)
	}
	f.order = nil // Debian's package is gone: what was made stays
	if report, err = f.host.Refresh(ctx); err != nil || len(report.Changes) != 0 {
		t.Errorf("changes are %q, %v", report.Changes, err)
	}
}

// A host where the first layer's package is installed: what is made now must be higher, or apt would not go to it.
func TestTheWayUpFromTheFirstLayer(t *testing.T) {
	t.Parallel()
	ctx, f := context.Background(), newHostFake(t, bookwormVersion)
	f.installed = bookwormVersion + "+maint1"
	for _, want := range []int{6, 0} {
		report, err := f.host.Install(ctx)
		must(t, err)
		if v := bookwormVersion + "+maint1+a1.2"; f.installed != v || report.Installed != v || !report.Adopted || len(report.Changes) != want {
			t.Errorf("installed is %s, report %+v, want %d changes", f.installed, report, want)
		}
	}
	next := bookwormVersion + ".1"
	f.debs[next], f.order = stockFake(next).build(t), []string{next, bookwormVersion}
	if report, err := f.host.Refresh(ctx); err != nil || len(report.Changes) == 0 {
		t.Errorf("%+v, %v", report, err)
	}
	index, err := f.host.Root.ReadFile(paths.Archive + "/Packages")
	must(t, err)
	for _, v := range []string{bookwormVersion + "+maint1+a1.2", next + "+a1.2"} {
		if !strings.Contains(string(index), "\nVersion: "+v+"\n") {
			t.Errorf("the archive has no %s:\n%s", v, index)
		}
	}
}
