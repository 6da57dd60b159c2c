package history

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
	"postfix-maint/internal/sysroot/transaction"
)

func host(root *sysroot.Root) transaction.Host {
	return transaction.Host{Root: root, Journal: paths.Transaction}
}

// change is one of ours: files by their texts, "" for none, in one transaction.
func change(root *sysroot.Root, texts map[string]string) error {
	root.Recorder = NewLog(root, "a test")
	_, err := host(root).Run(context.Background(), func() (*transaction.Transaction, error) {
		t := &transaction.Transaction{Title: "a test"}
		for _, name := range slices.Sorted(maps.Keys(texts)) {
			seen, err := root.See(name)
			if err != nil {
				return nil, err
			}
			f := transaction.File{Path: name, Seen: seen, Attr: sysroot.Attr{UID: os.Getuid(), GID: os.Getgid()}}
			if texts[name] != "" {
				f.New = []byte(texts[name])
			}
			t.Files = append(t.Files, f)
		}
		return t, nil
	})
	return err
}

// takeBack undoes an entry and gives the warnings.
func takeBack(root *sysroot.Root, e Entry) ([]string, error) {
	log := NewLog(root, "an undo")
	log.Undoes = e.Number
	root.Recorder = log
	var u *Undo
	_, err := host(root).Run(context.Background(), func() (t *transaction.Transaction, err error) {
		if u, err = PlanUndo(root, e); err != nil {
			return nil, err
		}
		return u.Transaction(func(_ context.Context, program string, args ...string) error {
			_, name, _ := strings.Cut(args[len(args)-1], ":")
			text, err := root.ReadFile(name)
			if err == nil {
				_, err = root.WriteFile(name+".db", append([]byte("\x00"+program), text...), sysroot.Attr{UID: os.Getuid(), GID: os.Getgid()})
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return u.Warnings, nil
}

func entries(t interface{ Fatal(...any) }, root *sysroot.Root) []Entry {
	all, warnings, err := Load(root)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	return all
}

func read(root *sysroot.Root, name string) string {
	data, _ := root.ReadFile(name)
	return string(data)
}

func write(t testing.TB, root *sysroot.Root, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root.Dir(), name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The undo of all of ours, newest first, ends in the files of the beginning with what was edited by hand, and nothing else.
func TestUndoOfAllKeepsHandEdits(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		root := sysroottest.New(t, map[string]string{"etc/postfix/main.cf": "# head\na = 0\n\nb = 0\n# about c\nc = 0\n"})
		want, err := maincf.Parse([]byte(read(root, paths.MainCF)))
		if err != nil {
			t.Fatal(err)
		}
		// Ours are a to f, by hand g to k: somebody who edits ours is in the tables.
		one := func(f *maincf.File, names string) {
			name := string(names[rapid.IntRange(0, len(names)-1).Draw(r, "name")])
			value := fmt.Sprint(rapid.IntRange(0, 3).Draw(r, "value"))
			edit := maincf.Set(name, value)
			if value == "3" {
				edit = maincf.Unset(name)
			}
			if _, err := f.Apply(edit); err != nil {
				t.Fatal(err)
			}
		}
		for range rapid.IntRange(1, 8).Draw(r, "steps") {
			f, err := maincf.Parse([]byte(read(root, paths.MainCF)))
			if err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(r, "ours") {
				for range rapid.IntRange(1, 3).Draw(r, "edits") {
					one(f, "abcdef")
				}
				if err := change(root, map[string]string{paths.MainCF: string(f.Bytes())}); err != nil {
					t.Fatal(err)
				}
				continue
			}
			one(f, "ghijk")
			write(t, root, paths.MainCF, string(f.Bytes()))
			for _, name := range strings.Split("ghijk", "") {
				value, set := f.Get(name)
				edit := maincf.Unset(name)
				if set {
					edit = maincf.Set(name, value)
				}
				if _, err := want.Apply(edit); err != nil {
					t.Fatal(err)
				}
			}
		}
		all := entries(t, root)
		for _, e := range slices.Backward(all) {
			if warnings, err := takeBack(root, e); err != nil || len(warnings) > 0 {
				t.Fatalf("undo %d: %v, %q", e.Number, err, warnings)
			}
		}
		got, err := maincf.Parse([]byte(read(root, paths.MainCF)))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(ours(got), ours(want)) {
			t.Fatalf("main.cf says\n%s\nwant what we changed to be as in\n%s", got.Bytes(), want.Bytes())
		}
		if a, b := sortedLines(got), sortedLines(want); !slices.Equal(a, b) {
			t.Fatalf("main.cf says\n%s\nwant the lines of\n%s", got.Bytes(), want.Bytes())
		}
	})
}

// ours is a main.cf without what is edited by hand, which may stand elsewhere.
func ours(f *maincf.File) []string {
	return slices.DeleteFunc(slices.Collect(strings.Lines(string(f.Bytes()))), func(line string) bool { return strings.ContainsAny(line[:1], "ghijk") })
}

func sortedLines(f *maincf.File) []string { return slices.Sorted(strings.Lines(string(f.Bytes()))) }

func TestUndoOfAnUndoAndOfTables(t *testing.T) {
	sysroottest.NeedsRoot(t)
	const table, secret = "/etc/postfix/generic", "/etc/postfix/sasl_passwd"
	main := "a = 1\n"
	root := sysroottest.New(t, map[string]string{"etc/postfix/main.cf": main})
	write(t, root, secret, "relay u:old-pw\n")
	if err := os.Chmod(filepath.Join(root.Dir(), secret), 0o600); err != nil {
		t.Fatal(err)
	}
	set := "a = 1\nsmtp_generic_maps = hash:" + table + "\n"
	if err := change(root, map[string]string{paths.MainCF: set, table: "x y\n", table + ".db": "\x00index", secret: "relay u:new-pw\n"}); err != nil {
		t.Fatal(err)
	}
	all := entries(t, root)
	warnings, err := takeBack(root, all[0])
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], secret) || read(root, secret) != "relay u:new-pw\n" {
		t.Errorf("undo: %q, %v; the login is %q", warnings, err, read(root, secret))
	}
	if is := read(root, paths.MainCF); is != main {
		t.Errorf("main.cf says %q", is)
	}
	for _, name := range []string{table, table + ".db", draftsDir} {
		if _, err := root.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there", name)
		}
	}
	all = entries(t, root)
	if n := Last(all); n != 0 || TakenBack(all, 1) != 2 {
		t.Errorf("an undo without a number would take back %d; 1 is taken back by %d", n, TakenBack(all, 1))
	}
	if _, err := takeBack(root, all[1]); err != nil || read(root, paths.MainCF) != set || read(root, table) != "x y\n" {
		t.Errorf("the undo of the undo: %v, main.cf says %q, the table %q", err, read(root, paths.MainCF), read(root, table))
	}
	if is := read(root, table+".db"); !strings.HasPrefix(is, "\x00"+paths.Postmap) || !strings.HasSuffix(is, "x y\n") {
		t.Errorf("the index is %q", is)
	}
	if all = entries(t, root); Last(all) != 1 || TakenBack(all, 1) != 0 {
		t.Errorf("an undo without a number would take back %d", Last(all))
	}
	for _, d := range []string{paths.History} {
		files, _ := root.ReadDir(d)
		for _, f := range files {
			if fi, err := f.Info(); err != nil || fi.Mode().Perm() != 0o600 {
				t.Errorf("%s has the mode %v", f.Name(), fi.Mode())
			}
		}
		if fi, err := root.Stat(d); err != nil || fi.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", d, fi.Mode(), err)
		}
	}
	for _, e := range all {
		if text := fmt.Sprintf("%+v %s", e, e.Parts[0].Files[0].Before); strings.Contains(text, "-pw") {
			t.Errorf("a password is kept: %s", text)
		}
	}
}

// A setting may need a service of master.cf, and the last file is the moment: main.cf comes after all others.
func TestMainCFComesLast(t *testing.T) {
	const mainCF, masterCF, table = "/etc/postfix/main.cf", "/etc/postfix/master.cf", "/etc/postfix/transport"
	root := sysroottest.New(t, map[string]string{"etc/postfix/main.cf": "a = 1\n", "etc/postfix/master.cf": "smtp inet n - y - - smtpd\n", "etc/postfix/transport": "x y\n"})
	if err := change(root, map[string]string{mainCF: "a = 2\n", masterCF: "smtp inet n - n - - smtpd\n", table: "x z\n"}); err != nil {
		t.Fatal(err)
	}
	u, err := PlanUndo(root, entries(t, root)[0])
	if err != nil {
		t.Fatal(err)
	}
	tr, err := u.Transaction(func(context.Context, string, ...string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range tr.Files {
		got = append(got, f.Path)
	}
	if want := []string{table, masterCF, mainCF}; !slices.Equal(got, want) {
		t.Errorf("the order is %q, want %q", got, want)
	}
}

func TestUndoIsRefused(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"etc/postfix/": ""})
	if err := change(root, map[string]string{paths.MainCF: "a = 1\n"}); err != nil {
		t.Fatal(err)
	}
	e := entries(t, root)[0]
	if _, err := PlanUndo(root, e); err == nil || !strings.Contains(err.Error(), "removal of the package") {
		t.Errorf("PlanUndo = %v", err)
	}
	e.Parts[0].Final, e.Parts[0].Files = "for a reason", e.Parts[0].Files[:0]
	if _, err := PlanUndo(root, e); err == nil || !strings.Contains(err.Error(), "for a reason") {
		t.Errorf("PlanUndo = %v", err)
	}
}

func TestTheHistoryIsBounded(t *testing.T) {
	root := withLog(sysroottest.New(t, map[string]string{"etc/x": "0\n", "etc/y": "0\n"}))
	one := func(name string) {
		t.Helper()
		if err := transaction.Write(root, transaction.File{Path: name, Seen: &sysroot.Seen{Data: []byte("0\n")}, New: []byte("1\n")}); err != nil {
			t.Fatal(err)
		}
	}
	one("/etc/x")
	data, err := root.ReadFile(partName(1, 1))
	if err != nil {
		t.Fatal(err)
	}
	for n := range mostEntries - 1 {
		write(t, root, partName(n+2, 1), string(data))
	}
	withLog(root)
	one("/etc/y")
	all := entries(t, root)
	if len(all) != mostEntries || all[0].Number != 2 || all[len(all)-1].Number != mostEntries+1 {
		t.Errorf("%d entries, from %d to %d", len(all), all[0].Number, all[len(all)-1].Number)
	}
	found := []place{{1, 1, "a", 3 << 20}, {1, 2, "b", 3 << 20}, {2, 1, "c", 1 << 20}}
	if gone := surplus(found, 3, 2<<20); len(gone) != 2 || gone[1].name != "b" {
		t.Errorf("surplus = %v", gone)
	}
	if gone := surplus(found, 2, 1<<20); len(gone) != 0 {
		t.Errorf("surplus = %v", gone)
	}
}

func withLog(root *sysroot.Root) *sysroot.Root {
	root.Recorder = NewLog(root, "a test")
	return root
}

func TestOneRunIsOneEntryAndADamagedOneIsSaid(t *testing.T) {
	root := withLog(sysroottest.New(t, map[string]string{"etc/x": "0\n", "etc/y": "0\n"}))
	for _, name := range []string{"/etc/x", "/etc/y"} {
		if err := transaction.Write(root, transaction.File{Path: name, Seen: &sysroot.Seen{Data: []byte("0\n")}, New: []byte("1\n")}); err != nil {
			t.Fatal(err)
		}
	}
	all := entries(t, root)
	if len(all) != 1 || !slices.Equal(all[0].Names(), []string{"/etc/x", "/etc/y"}) {
		t.Fatalf("%+v", all)
	}
	if e, noted := root.Recorder.(*Log).Noted(); !noted || e.Number != 1 {
		t.Errorf("Noted = %+v, %v", e, noted)
	}
	write(t, root, partName(7, 1), "no entry")
	_, warnings, err := Load(root)
	if err != nil || len(warnings) != 1 {
		t.Errorf("Load: %q, %v", warnings, err)
	}
	if err := change(root, map[string]string{"/etc/x": "2\n"}); err != nil {
		t.Fatal(err)
	}
	if _, err := root.Stat(partName(8, 1)); err != nil {
		t.Error(err)
	}
}

// An entry of which a part is lost is not taken back by halves.
func TestATornEntry(t *testing.T) {
	for _, lost := range []int{1, 2, 3} {
		root := withLog(sysroottest.New(t, map[string]string{"etc/x": "0\n", "etc/y": "0\n", "etc/z": "0\n"}))
		for _, name := range []string{"/etc/x", "/etc/y", "/etc/z"} {
			if err := transaction.Write(root, transaction.File{Path: name, Seen: &sysroot.Seen{Data: []byte("0\n")}, New: []byte("1\n")}); err != nil {
				t.Fatal(err)
			}
		}
		if e := entries(t, root)[0]; len(e.Parts) != 3 || e.Final() != "" {
			t.Fatalf("%+v", e)
		}
		write(t, root, partName(1, lost), "no entry")
		all, warnings, err := Load(root)
		if err != nil || len(all) != 1 || len(warnings) != 1 || !strings.Contains(all[0].Final(), "a part of it") {
			t.Errorf("part %d damaged: %+v, %q, %v", lost, all, warnings, err)
		}
		if _, err := root.Remove(partName(1, lost)); err != nil {
			t.Fatal(err)
		}
		if all, _, err = Load(root); err != nil || (all[0].Final() != "") != (lost < 3) {
			t.Errorf("part %d removed: %+v, %v", lost, all, err)
		}
	}
}

// What is noted can be read again, however well it is packed.
func TestManyLargeTexts(t *testing.T) {
	sysroottest.NeedsRoot(t)
	root := withLog(sysroottest.New(t, map[string]string{"etc/": ""}))
	tx := &transaction.Transaction{Title: "a test"}
	for n := range 14 {
		text := []byte(strings.Repeat("x", mostText-1) + "\n")
		name := fmt.Sprintf("/etc/%d", n)
		tx.Files = append(tx.Files, transaction.File{Path: name, Seen: &sysroot.Seen{Missing: true}, New: text, Secret: n == 0})
	}
	if _, err := host(root).Apply(context.Background(), tx); err != nil {
		t.Fatal(err)
	}
	files := entries(t, root)[0].Parts[0].Files
	if len(files) != 14 || files[0].Kind != Secret || files[1].Kind != Large {
		t.Errorf("%d files, of the kinds %q and %q", len(files), files[0].Kind, files[1].Kind)
	}
}

// What follows the chroots by itself is shown, and is nothing to take back.
func TestWhatFollows(t *testing.T) {
	change := func(number int, names ...string) Entry {
		p := Part{Files: []File{}}
		for _, name := range names {
			f := File{Path: name}
			if isIndex(name) {
				f.Kind = Index
			}
			p.Files = append(p.Files, f)
		}
		return Entry{Number: number, Parts: []Part{p}}
	}
	const syslog = "/etc/rsyslog.d/postfix-maint.conf"
	for name, c := range map[string]struct {
		files   []string
		refused bool
	}{
		"the syslog daemon's file alone": {[]string{syslog}, true},
		"with the change that it is for": {[]string{"/etc/postfix/master.cf", syslog}, false},
		"an index alone":                 {[]string{"/etc/aliases.db"}, true},
		"an index with its text":         {[]string{"/etc/aliases", "/etc/aliases.db"}, false},
	} {
		e := change(2, c.files...)
		if got := e.Final() != ""; got != c.refused {
			t.Errorf("%s: %q", name, e.Final())
		}
		if want := map[bool]int{true: 1, false: 2}[c.refused]; Last([]Entry{change(1, "/etc/postfix/main.cf"), e}) != want {
			t.Errorf("%s: an undo without a number does not take back %d", name, want)
		}
	}
}

// A file that a flow calls secret is kept by name, whoever may read it.
func TestASecretIsNotKept(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"etc/postfix/table": "old\n", "run/": ""})
	f := transaction.File{Path: "/etc/postfix/table", Seen: &sysroot.Seen{Data: []byte("old\n")}, New: []byte("relay me:hidden\n"), Secret: true}
	if err := transaction.Write(withLog(root), f); err != nil {
		t.Fatal(err)
	}
	all := entries(t, root)
	if len(all) != 1 {
		t.Fatalf("%d entries", len(all))
	}
	if kept := all[0].Parts[0].Files[0]; kept.Kind != Secret || kept.Before != nil || kept.After != nil {
		t.Errorf("kept: %+v", kept)
	}
}
