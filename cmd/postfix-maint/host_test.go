package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

// While dpkg runs, the status file is that of before the run: a first installation must not take the release for the newest one.
func TestInstalledVersion(t *testing.T) {
	const other = "Package: postfix-doc\nVersion: 1\n\n"
	cases := map[string]struct {
		files map[string]string
		want  string
	}{
		"no database":          {nil, ""},
		"another package only": {map[string]string{paths.DpkgStatus: other}, ""},
		"in the status file":   {map[string]string{paths.DpkgStatus: other + "Package: postfix\nStatus: install ok installed\nVersion: 3.7.11-0+deb12u1\n"}, "3.7.11-0+deb12u1"},
		"a first installation that runs": {map[string]string{
			paths.DpkgStatus: other, paths.DpkgUpdates + "/0003": "Package: postfix\nStatus: install ok half-configured\nVersion: 3.7.11\nDescription: x\n",
		}, "3.7.11"},
		"an upgrade that runs": {map[string]string{
			paths.DpkgStatus: "Package: postfix\nVersion: 3.7\n", paths.DpkgUpdates + "/0001": "Package: postfix\nVersion: 3.8\n",
			paths.DpkgUpdates + "/0002": "Package: postfix\nVersion: 3.9\n", paths.DpkgUpdates + "/0003": other,
		}, "3.9"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := installedVersion(sysroottest.New(t, c.files)); got != c.want {
				t.Errorf("installedVersion() = %q, want %q", got, c.want)
			}
		})
	}
}

// Whoever has the lock takes back what a command that was killed between two files left; one that only looks leaves it alone.
func TestAKilledChangeIsEndedByWhoeverComesNext(t *testing.T) {
	needsRoot(t)
	const beside = "etc/postfix/.postfix-maint-staged."
	const master, newMaster = "smtp inet n - n - - smtpd\n", "smtp inet n - y - - smtpd\n"
	const main, newMain = "compatibility_level = 3.6\n", "compatibility_level = 2\n"
	entry := func(name, from, to string) string {
		return fmt.Sprintf(`{"directory":"/etc/postfix","name":%q,"temporary":".postfix-maint-staged.%s.X","old":"%x","new":"%x"}`,
			name, name, sha256.Sum256([]byte(from)), sha256.Sum256([]byte(to)))
	}
	files := map[string]string{
		"etc/postfix/master.cf": newMaster, beside + "master.cf.X": master, "etc/postfix/main.cf": main, beside + "main.cf.X": newMain,
		"var/spool/postfix/": "", "etc/default/postfix": "SYNC_CHROOT=\n", "run/": "",
		paths.Transaction[1:]: fmt.Sprintf(`{"title":"a test","files":[%s,%s],"moment":1}`, entry("master.cf", master, newMaster), entry("main.cf", main, newMain)),
	}
	call := func(args string) func(*testing.T, *sysroot.Root) {
		return func(t *testing.T, root *sysroot.Root) {
			if code, _, errs := runOn(t, root, args); code != 0 || errs != "" {
				t.Errorf("%s: exit status %d: %s", args, code, errs)
			}
		}
	}
	for name, c := range map[string]struct {
		do    func(*testing.T, *sysroot.Root)
		there bool // the journal, afterwards
	}{
		"a command":           {call("chroot sync"), false},
		"a dry run":           {call("chroot sync --dry-run"), true},
		"one that only looks": {call("chroot status"), true},
		"a maintainer script": {func(t *testing.T, root *sysroot.Root) {
			lockForScript(t.Context(), root, "postinst", io.Discard).Release()
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			root := sysroottest.New(t, maps.Clone(files))
			t.Setenv("DPKG_ROOT", root.Dir())
			c.do(t, root)
			there, err := root.Exists(paths.Transaction)
			text, _ := root.ReadFile(paths.MasterCF)
			left, _ := root.Exists("/" + beside + "main.cf.X")
			if err != nil || there != c.there || left != c.there || (string(text) == master) == c.there {
				t.Errorf("journal %v, %v; staged %v; master.cf says %q", there, err, left, text)
			}
		})
	}
}

// What an earlier command could not reload is reloaded by the next one; it stays due while that fails, and nobody waits for an instance that
// is gone, unless one cannot be read.
func TestReloadDue(t *testing.T) {
	const unit, gone = "postfix@-.service", "postfix@gone.service"
	for name, c := range map[string]struct {
		main     string
		fails    error
		want     []string // reloaded
		due, say string
	}{
		"done":                      {main: "compatibility_level = 2\n", want: []string{"-"}},
		"it fails again":            {main: "compatibility_level = 2\n", fails: errors.New("no bus"), want: []string{"-"}, due: unit, say: "no bus"},
		"nobody knows what is gone": {main: "nonsense\n", due: unit + " " + gone},
	} {
		t.Run(name, func(t *testing.T) {
			root := sysroottest.New(t, map[string]string{
				"etc/postfix/main.cf": c.main, "var/spool/postfix/": "", paths.ReloadDue[1:] + "/" + unit: "x\n", paths.ReloadDue[1:] + "/" + gone: "x\n",
			})
			var told []string
			var said strings.Builder
			reloadDue(t.Context(), root, func(_ context.Context, i instance.Instance) error {
				told = append(told, i.Name)
				return c.fails
			}, &said)
			left, err := reloads(root).Keys()
			if !slices.Equal(told, c.want) || strings.Join(left, " ") != c.due || err != nil || !strings.Contains(said.String(), c.say) || (c.say == "") != (said.Len() == 0) {
				t.Errorf("reloaded %q, due %q, %v, said %q", told, left, err, said.String())
			}
		})
	}
}
