package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
	"postfix-maint/internal/sysroot/transaction"
)

// Each row with a repair has it where something safe mends what was found, and none where nothing does.
func TestRepairs(t *testing.T) {
	const dir, name = "/etc/postfix", "postfix@-.service"
	table := func(change func(t *Table)) breaks {
		return func(_ *Facts, i *Instance) { i.Tables[0].Safe = true; change(&i.Tables[0]) }
	}
	login := func(level string) breaks {
		return func(f *Facts, i *Instance) { set(t, f, "smtpd_sasl_auth_enable = yes\n"); i.TLS = level }
	}
	work := func(name string) breaks { return func(f *Facts, _ *Instance) { f.Work = []string{name} } }
	other := func(o Other) breaks { return func(_ *Facts, i *Instance) { i.Others = []Other{o} } }
	twice := func(file string) breaks {
		return func(_ *Facts, i *Instance) { i.Warnings = []string{file + ", line 9: overriding earlier entry: a=b"} }
	}
	offer := func(o Outdated) breaks { return func(_ *Facts, i *Instance) { i.Outdated = []Outdated{o} } }
	owned := func(root bool) breaks {
		return func(_ *Facts, i *Instance) { i.Owners = []Owned{{"/q/active", "w", "postfix", 7, root}} }
	}
	cases := []struct {
		id      string
		consent Consent
		do      breaks
		act     *Act
	}{
		{"unit-failed", ByID, func(_ *Facts, i *Instance) { i.Active = "failed" }, &Act{Deed: Unit, Name: name, Value: Restart}},
		{"not-running", ByID, func(_ *Facts, i *Instance) { i.Active, i.Master0 = "inactive", 0 }, &Act{Deed: Unit, Name: name, Value: Start}},
		{"not-listening", ByID, func(_ *Facts, i *Instance) { i.Missing = []string{"a:1"} }, &Act{Deed: Unit, Name: name, Value: Restart}},
		{"units-changed", ByID, func(_ *Facts, i *Instance) { i.NeedReload = true }, &Act{Deed: Unit, Value: Reread}},
		{"not-reloaded", ByID, func(_ *Facts, i *Instance) { i.Edited = true }, &Act{Deed: Unit, Name: name, Value: Reload}},
		{"parameter-twice", ByID, twice("/etc/postfix/main.cf"), &Act{Deed: Once, Name: "a"}},
		{"parameter-twice", ByID, twice("/elsewhere/main.cf"), nil},
		{"writable-by-others", ByID, other(Other{"/f", "/d", "w", 0o022}), &Act{Deed: Mode, Path: "/d", Bits: 0o022}},
		{"writable-by-others", ByID, other(Other{"/f", "/d", "w", 0}), nil},
		{"outdated-setting", ByID, offer(Outdated{Name: "n", Offer: "o"}), &Act{Deed: Offer, Name: "n"}},
		{"outdated-setting", ByID, offer(Outdated{Name: "n"}), nil},
		{"index-missing", Safe, table(func(t *Table) { t.Index = false }), &Act{Deed: Index, Path: "/etc/aliases", Name: "hash", Value: paths.Postalias}},
		{"index-missing", Safe, table(func(t *Table) { t.Index, t.Safe = false, false }), nil},
		{"index-old", Safe, table(func(t *Table) { t.Old, t.Aliases, t.Parameter = true, false, "x_maps" }),
			&Act{Deed: Index, Path: "/etc/aliases", Name: "hash", Value: paths.Postmap}},
		{"chroot-stale", Safe, func(_ *Facts, i *Instance) { i.Missed = []string{"a"} }, &Act{Deed: Chroot}},
		{"secret-readable", ByID, func(_ *Facts, i *Instance) { i.Files[0].Readable = true }, &Act{Deed: Mode, Path: "/k", Bits: 0o007}},
		{"login-without-tls", ByID, login("may"), &Act{Deed: Set, Name: "smtpd_tls_auth_only", Value: "yes"}},
		{"login-without-tls", ByID, login(""), nil},
		{"queue-owner", Safe, owned(true), &Act{Deed: Owner, Path: "/q/active", Name: "postfix", ID: 7}},
		{"queue-owner", Safe, owned(false), nil},
		{"setgid-lost", ByID, func(_ *Facts, i *Instance) { i.NoSetgid, i.SetgidGroup, i.SetgidGID = []string{"/p"}, "pd", 9 },
			&Act{Deed: Group, Path: "/p", Name: "pd", ID: 9, Bits: fs.ModeSetgid}},
		{"queue-group", ByID, func(_ *Facts, i *Instance) { i.Groups, i.SetgidGID = []Other{{File: "/q/public", Bits: 0o710}}, 9 },
			&Act{Deed: Group, Path: "/q/public", ID: 9, Bits: 0o710}},
		{"work-interrupted", Safe, work(paths.Transaction), &Act{Deed: Ended, Path: paths.Transaction}},
		{"work-interrupted", Safe, work(paths.InstanceWork), nil},
	}
	seen := map[string]bool{}
	for _, c := range cases {
		seen[c.id] = true
		f := healthy(t)
		c.do(f, &f.Instances[0])
		r := Run(f, false)
		if len(r.Findings) != 1 || r.Findings[0].ID != c.id {
			t.Errorf("%s: found %+v", c.id, r.Findings)
			continue
		}
		got := r.Findings[0]
		var want []Act
		if c.act != nil {
			c.act.Dir = dir
			want = []Act{*c.act}
		}
		if !reflect.DeepEqual(got.Acts(), want) || got.Fixable != (c.act != nil) || got.Fixable && got.Consent != c.consent {
			t.Errorf("%s: %+v by %q, want %+v by %q", c.id, got.Acts(), got.Consent, want, c.consent)
		}
		byFix, byID := got.Chosen(true, nil), got.Chosen(false, []string{"x", c.id})
		if byFix != (c.act != nil && c.consent == Safe) || byID != (c.act != nil) || got.Chosen(false, []string{"x"}) {
			t.Errorf("%s: --fix does it: %t, its id: %t", c.id, byFix, byID)
		}
		if remedy := got.Remedy(); (remedy == "") == got.Fixable || got.Fixable && strings.HasSuffix(remedy, "="+c.id) != (c.consent == ByID) {
			t.Errorf("%s: %q", c.id, remedy)
		}
	}
	for _, id := range FixableIDs() {
		if !seen[id] {
			t.Errorf("%s has a repair and no case", id)
		}
	}
}

// bench is a host with things to mend, and who mends them.
type bench struct {
	*testing.T
	root *sysroot.Root
	Mender
	ran   []string
	shown []transaction.Change
	fails error
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t, root: sysroottest.New(t, map[string]string{
		"etc/postfix/main.cf": "# one\na = 1\n  2\n# two\nb = 3\na=4\n", "etc/postfix/master.cf": "", "etc/postfix/table": "k v\n", "var/q/active/": "", "run/": "",
		paths.StateDir[1:] + "/": "",
	})}
	b.Mender = Mender{
		Root: b.root, Files: transaction.Host{Root: b.root, Journal: paths.StateDir + "/journal"},
		Run: func(_ context.Context, name string, args ...string) error {
			b.ran = append(b.ran, filepath.Base(name))
			draft := b.root.Dir() + strings.TrimPrefix(args[len(args)-1], "hash:")
			text, err := os.ReadFile(draft)
			if b.fails != nil {
				return errors.New(strings.TrimPrefix(args[len(args)-1], "hash:") + ": no")
			}
			return errors.Join(err, os.WriteFile(draft+".db", append([]byte("index of "), text...), 0o600))
		},
		Show: func(ch transaction.Change) { b.shown = append(b.shown, ch) },
	}
	return b
}

func (b *bench) real(name string) string { return filepath.Join(b.root.Dir(), name) }

func (b *bench) text(name string) string {
	data, err := os.ReadFile(b.real(name))
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// mend takes a step as a dry run, which shows the same and changes nothing, and then in earnest.
func (b *bench) mend(a Act, watched string) {
	b.Helper()
	before, mode := b.text(watched), b.mode(watched)
	b.Dry = true
	if err := b.Mend(b.Context(), a); err != nil || b.text(watched) != before || b.mode(watched) != mode || len(b.ran) > 0 {
		b.Errorf("a dry run: %v, ran %q", err, b.ran)
	}
	shown := b.shown
	b.Dry, b.shown = false, nil
	if err := b.Mend(b.Context(), a); err != nil || !reflect.DeepEqual(shown, b.shown) {
		b.Errorf("%v: %+v, by a dry run %+v", err, b.shown, shown)
	}
}

func (b *bench) mode(name string) fs.FileMode {
	fi, err := os.Stat(b.real(name))
	if err != nil {
		return 0
	}
	return fi.Mode()
}

func TestMendIndex(t *testing.T) {
	sysroottest.NeedsRoot(t)
	b := newBench(t)
	if err := os.Chmod(b.real("etc/postfix/table"), 0o640); err != nil {
		t.Fatal(err)
	}
	act := Act{Deed: Index, Dir: "/etc/postfix", Path: "/etc/postfix/table", Name: "hash", Value: paths.Postmap}
	b.mend(act, "etc/postfix/table.db")
	if got := b.text("etc/postfix/table.db"); got != "index of k v\n" || b.mode("etc/postfix/table.db") != 0o640 || len(b.ran) != 1 || b.ran[0] != "postmap" {
		t.Errorf("%q, mode %v, ran %q", got, b.mode("etc/postfix/table.db"), b.ran)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(b.real("etc/postfix/table.db"), old, old); err != nil {
		t.Fatal(err)
	}
	if err := b.Mend(t.Context(), act); err != nil { // it says the same, and must not look old
		t.Fatal(err)
	}
	if fi, err := os.Stat(b.real("etc/postfix/table.db")); err != nil || fi.ModTime().Before(time.Now().Add(-time.Minute)) {
		t.Errorf("%v, %v", fi.ModTime(), err)
	}
	b.fails = errors.New("no")
	if err := b.Mend(t.Context(), act); err == nil || !strings.Contains(err.Error(), "/etc/postfix/table: no") || b.text("etc/postfix/table.db") != "index of k v\n" {
		t.Errorf("%v, %q", err, b.text("etc/postfix/table.db"))
	}
	if names, _ := filepath.Glob(b.real("etc/postfix/.*")); len(names) > 0 {
		t.Errorf("left: %q", names)
	}
	b.fails = nil
	if err := os.Chmod(b.real("etc/postfix/table"), 0o666); err != nil {
		t.Fatal(err)
	}
	var no *sysroot.UntrustedError
	if err := b.Mend(t.Context(), act); !errors.As(err, &no) {
		t.Errorf("what anybody may write is indexed: %v", err)
	}
}

func TestMendMainCF(t *testing.T) {
	b := newBench(t)
	b.mend(Act{Deed: Once, Dir: "/etc/postfix", Name: "a"}, "etc/postfix/main.cf")
	if got := b.text("etc/postfix/main.cf"); got != "# one\n# two\nb = 3\na=4\n" || len(b.shown) != 1 || !strings.Contains(b.shown[0].Diff, "-a = 1\n") {
		t.Errorf("%q, %+v", got, b.shown)
	}
	b.shown = nil
	b.mend(Act{Deed: Once, Dir: "/etc/postfix", Name: "a"}, "etc/postfix/main.cf")
	if len(b.shown) > 0 {
		t.Errorf("once more: %+v", b.shown)
	}
	b.mend(Act{Deed: Set, Dir: "/etc/postfix", Name: "c", Value: "yes"}, "etc/postfix/main.cf")
	if got := b.text("etc/postfix/main.cf"); got != "# one\n# two\nb = 3\na=4\nc = yes\n" {
		t.Errorf("%q", got)
	}
}

func TestMendModesAndOwners(t *testing.T) {
	b := newBench(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root: a directory gets another owner")
	}
	if err := os.Chmod(b.real("etc/postfix/table"), 0o646); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("table", b.real("etc/postfix/link")); err != nil {
		t.Fatal(err)
	}
	b.mend(Act{Deed: Mode, Path: "/etc/postfix/link", Bits: 0o002}, "etc/postfix/table")
	if got := b.mode("etc/postfix/table"); got != 0o644 || len(b.shown) != 1 || b.shown[0].What != "chmod 0644 /etc/postfix/link (it was 0646)" {
		t.Errorf("%v, %+v", got, b.shown)
	}
	if err := os.Chmod(b.real("var/q/active"), 0o2730|fs.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	b.shown = nil
	b.mend(Act{Deed: Owner, Path: "/var/q/active", ID: 99, Name: "me"}, "var/q/active")
	fi, err := os.Stat(b.real("var/q/active"))
	if err != nil {
		t.Fatal(err)
	}
	if uid, gid := sysroot.Owner(fi); uid != 99 || gid != 0 || fi.Mode()&fs.ModeSetgid == 0 {
		t.Errorf("%d:%d %v", uid, gid, fi.Mode())
	}
	b.shown = nil
	b.mend(Act{Deed: Owner, Path: "/var/q/active", ID: 7, Name: "me"}, "var/q/active") // it is somebody's by now
	if err := os.Symlink("/etc", b.real("var/q/link")); err != nil {
		t.Fatal(err)
	}
	b.mend(Act{Deed: Owner, Path: "/var/q/link", ID: 7, Name: "me"}, "var/q/link")
	if len(b.shown) > 0 {
		t.Errorf("%+v", b.shown)
	}
	if err := errors.Join(os.MkdirAll(b.real("var/srv/data"), 0o755), os.Mkdir(b.real("var/joe"), 0o755), os.Symlink("/var/srv", b.real("var/joe/sub")),
		os.Chown(b.real("var/joe"), 99, 0)); err != nil {
		t.Fatal(err)
	}
	for _, act := range []Act{{Deed: Owner, Path: "/var/joe/sub/data", ID: 7, Name: "me"}, {Deed: Group, Path: "/var/joe/sub/data", ID: 7, Bits: 0o710}} {
		var no *sysroot.UntrustedError
		if err := b.Mend(t.Context(), act); !errors.As(err, &no) || len(b.shown) > 0 {
			t.Errorf("%s, where another account's link leads: %v, %+v", act.Deed, err, b.shown)
		}
	}
}

func TestMendGroups(t *testing.T) {
	b := newBench(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root: a directory gets another group")
	}
	look := func(name string, gid int, mode fs.FileMode) {
		t.Helper()
		fi, err := os.Stat(b.real(name))
		if err != nil {
			t.Fatal(err)
		}
		if _, have := sysroot.Owner(fi); have != gid || fi.Mode()&^fs.ModeDir != mode || len(b.shown) != 1 {
			t.Errorf("group %d, %v, %+v", have, fi.Mode(), b.shown)
		}
		b.shown = nil
	}
	if err := os.Chmod(b.real("var/q/active"), 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	b.mend(Act{Deed: Group, Path: "/var/q/active", ID: 99, Bits: 0o730}, "var/q/active")
	look("var/q/active", 99, 0o730|fs.ModeSticky)
	program := Act{Deed: Group, Path: "/etc/postfix/table", ID: 99, Bits: fs.ModeSetgid}
	if err := os.Chmod(b.real("etc/postfix/table"), 0o545); err != nil {
		t.Fatal(err)
	}
	b.mend(program, "etc/postfix/table")
	look("etc/postfix/table", 99, 0o555|fs.ModeSetgid)
	b.mend(program, "etc/postfix/table")
	b.mend(Act{Deed: Group, Path: "/etc/postfix/table", ID: 7, Bits: 0o710}, "etc/postfix/table") // no directory
	if len(b.shown) > 0 {
		t.Errorf("%+v", b.shown)
	}
	if err := os.Chmod(b.real("etc/postfix/table"), 0o757); err != nil {
		t.Fatal(err)
	}
	if err := b.Mend(t.Context(), program); !errors.As(err, new(*sysroot.UntrustedError)) || b.mode("etc/postfix/table") != 0o757 {
		t.Errorf("what anybody may write runs as a group: %v", err)
	}
}

// What is mended is told as such and counts no more.
func TestMended(t *testing.T) {
	f := healthy(t)
	f.Instances[0].Missed = []string{"a"}
	before := Run(f, false)
	after := Run(healthy(t), false)
	after.Mended(before.Findings)
	if len(after.Left()) != 0 || len(after.Findings) != 1 || !after.Findings[0].Fixed {
		t.Errorf("%+v", after)
	}
	if text := after.Text(); !strings.HasPrefix(text, "mended: chroot-stale: the chroot is not in step with the host\nhealthy: nothing found by ") {
		t.Error(text)
	}
	still := Run(f, false)
	still.Mended(before.Findings)
	if len(still.Left()) != 1 || len(still.Findings) != 1 {
		t.Errorf("%+v", still)
	}
}
