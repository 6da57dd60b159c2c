package adopt

import (
	"context"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot/sysroottest"
)

const adminUnits = "etc/systemd/system/"

// withDropIns lays drop-ins for Debian's units, and for others, into a host.
func withDropIns(t *testing.T, f *hostFake, template string) {
	t.Helper()
	files := instances(template)
	for _, p := range []string{"postfix.service.d/limits.conf", "postfix.service.d/notes.txt", "../system.control/postfix.service.d/50-MemoryMax.conf", "postfix@out.service.d/override.conf", "postfix@.service.d/all.conf"} {
		files[adminUnits+p] = "[Service]\nRestart=always\n# " + p + "\n"
	}
	for p, text := range files {
		p = path.Clean(p)
		if strings.HasPrefix(text, "-> ") {
			continue
		}
		_, err := f.host.Root.MkdirAll("/"+p[:strings.LastIndex(p, "/")], own(0o755))
		must(t, err)
		_, err = f.host.Root.WriteFile("/"+p, []byte(text), own(0o644))
		must(t, err)
	}
}

// dropInFiles are those below systemd's directory of the administrator, directories too.
func dropInFiles(t *testing.T, f *hostFake) map[string]string {
	t.Helper()
	found := map[string]string{}
	for p, what := range sysroottest.Dump(t, f.host.Root.Dir(), false) {
		if rest, ok := strings.CutPrefix(p, adminUnits); ok && strings.Contains(rest, ".d") {
			found[rest] = what
		}
	}
	return found
}

func TestDropInsOfDebiansUnits(t *testing.T) {
	t.Parallel()
	const version = trixieVersion
	for name, tc := range map[string]struct {
		option, template string
		err, said        string
		moved            bool
	}{
		"nobody said what to do: nothing is done": {"", templateOfDebian13, "--drop-ins move", "", false},
		"they are moved and come back":            {MoveDropIns, templateOfDebian13, "", "to be moved: /etc/systemd/system/postfix.service.d/limits.conf to /etc/systemd/system/postfix@-.service.d/limits.conf", true},
		"they are left":                           {LeaveDropIns, templateOfDebian13, "", "without effect", false},
		"Debian 12's units have our names":        {"", templateOfDebian12, "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, f := context.Background(), newHostFake(t, version)
			f.installed, f.host.DropIns = version, tc.option
			withDropIns(t, f, tc.template)
			before, all := dropInFiles(t, f), sysroottest.Dump(t, f.host.Root.Dir(), false)
			_, err := f.host.Install(ctx)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) || !strings.Contains(err.Error(), "postfix@out.service.d/override.conf") {
					t.Errorf("error is %v", err)
				}
				if d := cmp.Diff(all, sysroottest.Dump(t, f.host.Root.Dir(), false)); d != "" || f.installed != version {
					t.Errorf("%s is installed, and this is changed:\n%s", f.installed, d)
				}
				return
			}
			must(t, err)
			if said := strings.Join(f.said, "\n"); !strings.Contains(said, tc.said) {
				t.Errorf("said: %s", said)
			}
			if err := f.host.TakeOver(version); (err == nil) == (tc.option == LeaveDropIns && tc.template == templateOfDebian13) && tc.template == templateOfDebian13 {
				t.Errorf("the maintainer script says: %v", err)
			}
			got := dropInFiles(t, f)
			if _, there := got["postfix@-.service.d/limits.conf"]; there != tc.moved {
				t.Errorf("moved: %v, want %v:\n%v", there, tc.moved, got)
			}
			if tc.moved {
				if there, err := f.host.Root.Exists("/etc/systemd/system.control/postfix@-.service.d/50-MemoryMax.conf"); err != nil || !there {
					t.Errorf("what systemctl set-property made is moved: %v, %v", there, err)
				}
				if got["postfix@postfix-out.service.d/override.conf"] == "" || got["postfix@out.service.d"] != "" || got["postfix.service.d/limits.conf"] != "" {
					t.Errorf("after the move: %v", got)
				}
				must(t, f.host.TakeOver(version)) // a run that was interrupted, once more
			}
			_, err = f.host.HandOver()
			must(t, err)
			back := dropInFiles(t, f)
			for p, what := range before {
				if back[p] != what {
					t.Errorf("after the return %s is %q, it was %q", p, back[p], what)
				}
			}
			if back["postfix@-.service.d"] != "" {
				t.Errorf("an empty directory is left: %v", back)
			}
			_, err = f.host.Revert(ctx)
			must(t, err)
			if there, err := f.host.Root.Exists(paths.DropInState); err != nil || there {
				t.Errorf("the list is left: %v, %v", there, err)
			}
		})
	}
}

func TestAnInterruptedMoveIsTakenUp(t *testing.T) {
	t.Parallel()
	f := newHostFake(t, trixieVersion)
	withDropIns(t, f, templateOfDebian13)
	must(t, f.host.writeMoved(moved{}))
	data, err := f.host.Root.ReadFile("/" + adminUnits + "postfix.service.d/limits.conf")
	must(t, err)
	_, err = f.host.Root.MkdirAll("/"+adminUnits+"postfix@-.service.d", own(0o755))
	must(t, err)
	_, err = f.host.Root.WriteFile("/"+adminUnits+"postfix@-.service.d/limits.conf", data, own(0o644)) // written, and then the power went
	must(t, err)
	must(t, f.host.TakeOver(trixieVersion))
	if got := dropInFiles(t, f); got["postfix.service.d/limits.conf"] != "" || got["postfix@-.service.d/limits.conf"] == "" {
		t.Errorf("there are %v", got)
	}
}

// Another drop-in that came to the place meanwhile is nobody's to replace.
func TestAMoveReplacesNoOther(t *testing.T) {
	t.Parallel()
	f := newHostFake(t, trixieVersion)
	withDropIns(t, f, templateOfDebian13)
	must(t, f.host.writeMoved(moved{}))
	_, err := f.host.Root.MkdirAll("/"+adminUnits+"postfix@-.service.d", own(0o755))
	must(t, err)
	_, err = f.host.Root.WriteFile("/"+adminUnits+"postfix@-.service.d/limits.conf", []byte("[Service]\nNice=5\n"), own(0o644))
	must(t, err)
	before := dropInFiles(t, f)
	if err := f.host.TakeOver(trixieVersion); err == nil || !strings.Contains(err.Error(), "there is another") {
		t.Errorf("the maintainer script says: %v", err)
	}
	after := dropInFiles(t, f)
	for _, name := range []string{"postfix.service.d/limits.conf", "postfix@-.service.d/limits.conf"} {
		if after[name] != before[name] {
			t.Errorf("%s became %q", name, after[name])
		}
	}
}

func TestAUnitOfTheAdministratorsInPlaceOfDebians(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		unit, text, template string
		refused              bool
	}{
		"a whole unit":                  {"postfix.service", "[Service]\n", templateOfDebian13, true},
		"a whole template":              {"postfix@.service", "[Service]\n", templateOfDebian12, true},
		"a mask is a choice":            {"postfix.service", "-> /dev/null", templateOfDebian13, false},
		"none":                          {"other.service", "[Service]\n", templateOfDebian13, false},
		"adopted already, it is theirs": {"postfix.service", "[Service]\n", templateOfOurs, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := sysroottest.New(t, map[string]string{"usr/lib/systemd/system/postfix@.service": tc.template, adminUnits + tc.unit: tc.text})
			w := &work{Host: Host{Root: root, Say: func(string) {}}}
			if _, err := w.dropIns(); (err != nil) != tc.refused || tc.refused && !strings.Contains(err.Error(), tc.unit) {
				t.Errorf("error is %v, want one: %v", err, tc.refused)
			}
		})
	}
}
