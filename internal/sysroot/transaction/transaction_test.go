package transaction_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
	"postfix-maint/internal/sysroot/transaction"
)

func host(root *sysroot.Root) transaction.Host {
	return transaction.Host{Root: root, Journal: "/var/lib/postfix-maint/transaction.json"}
}

// edit makes the file of a transaction that gives path a new text; "" removes it.
func edit(t *testing.T, root *sysroot.Root, path, text string) transaction.File {
	t.Helper()
	seen, err := root.See(path)
	if err != nil {
		t.Fatal(err)
	}
	f := transaction.File{Path: path, Seen: seen, Attr: sysroot.Attr{UID: os.Getuid(), GID: os.Getgid()}}
	if text != "" {
		f.New = []byte(text)
	}
	return f
}

// dump is the tree but for our own directory.
func dump(t *testing.T, root *sysroot.Root) map[string]string {
	t.Helper()
	tree := sysroottest.Dump(t, root.Dir(), false)
	for _, p := range []string{"var", "var/lib", "var/lib/postfix-maint"} {
		delete(tree, p)
	}
	return tree
}

func same(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for p, what := range a {
		if b[p] != what {
			return false
		}
	}
	return true
}

func before() map[string]string {
	return map[string]string{"etc/a": "old a", "etc/b": "old b", "etc/gone": "old", "etc/link": "-> real", "etc/real": "old real", "sub/": ""}
}

func TestApply(t *testing.T) {
	type edits map[string]string // by path, what somebody does while the transaction is applied
	for name, c := range map[string]struct {
		edits  edits
		fail   string // the file whose staging fails, because its directory is gone
		before error
		want   map[string]string // of the tree afterwards, nil for the one before with the edits
		err    error
	}{
		"all is in force": {want: map[string]string{
			"etc/a": "new a", "etc/b": "old b", "etc/link": "-> real", "etc/real": "new real", "sub/made": "new",
		}},
		"the first was edited":              {edits: edits{"etc/a": "edited"}, err: sysroot.ErrChanged},
		"the last was edited":               {edits: edits{"etc/real": "edited"}, err: sysroot.ErrChanged},
		"one that is to go was edited":      {edits: edits{"etc/gone": "edited"}, err: sysroot.ErrChanged},
		"one that is to be made is there":   {edits: edits{"sub/made": "edited"}, err: sysroot.ErrChanged},
		"a program that comes before fails": {before: errors.ErrUnsupported, err: errors.ErrUnsupported},
		"a directory is not there":          {fail: "/none/file", err: os.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			root := sysroottest.New(t, before())
			tr := &transaction.Transaction{Title: "a test", Before: []transaction.Step{{What: "run", Do: func(context.Context) error {
				for p, text := range c.edits {
					if err := os.WriteFile(filepath.Join(root.Dir(), p), []byte(text), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				return c.before
			}}}}
			tr.Files = []transaction.File{edit(t, root, "/etc/a", "new a"), edit(t, root, "/etc/b", "old b"), edit(t, root, "/etc/gone", ""),
				edit(t, root, "/sub/made", "new"), edit(t, root, "/etc/link", "new real")}
			if c.fail != "" {
				tr.Files = append(tr.Files[:2:2], edit(t, root, c.fail, "text"), tr.Files[4])
			}
			_, err := host(root).Apply(t.Context(), tr)
			if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
				t.Errorf("Apply = %v, want %v", err, c.err)
			}
			want := c.want
			if want == nil {
				want = before()
				for p, text := range c.edits {
					want[p] = text
				}
			}
			if got, want := dump(t, root), dump(t, sysroottest.New(t, want)); !same(got, want) {
				t.Errorf("left %v\nwant %v", got, want)
			}
		})
	}
}

func TestRunPlansAnewFromWhatSomebodyWrote(t *testing.T) {
	root := sysroottest.New(t, before())
	plans := 0
	plan := func(last int) func() (*transaction.Transaction, error) {
		return func() (*transaction.Transaction, error) {
			f := edit(t, root, "/etc/a", "")
			f.New = append(f.Seen.Data, "+ours"...)
			if plans++; plans <= last { // between the plan and the write
				_ = os.WriteFile(filepath.Join(root.Dir(), "etc/a"), append([]byte("theirs "), f.Seen.Data...), 0o644)
			}
			return &transaction.Transaction{Title: "a test", Files: []transaction.File{f}}, nil
		}
	}
	if _, err := host(root).Run(t.Context(), plan(2)); err != nil || plans != 3 {
		t.Errorf("Run = %v after %d plans", err, plans)
	}
	if data, _ := root.ReadFile("/etc/a"); string(data) != "theirs theirs old a+ours" {
		t.Errorf("the file says %q", data)
	}
	plans = 0
	if _, err := host(root).Run(t.Context(), plan(1000)); !errors.Is(err, sysroot.ErrChanged) || plans > 10 {
		t.Errorf("edited for ever: %v after %d plans", err, plans)
	}
}

func TestWhatFollowsTheMomentIsAWarning(t *testing.T) {
	root := sysroottest.New(t, before())
	tr := &transaction.Transaction{Title: "a test", Files: []transaction.File{edit(t, root, "/etc/a", "new a")}}
	tr.After = []transaction.Step{{What: "reload it", Do: func(context.Context) error { return errors.New("it is ill") }}}
	warnings, err := host(root).Apply(t.Context(), tr)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "cannot reload it: it is ill") {
		t.Errorf("Apply = %q, %v", warnings, err)
	}
	if data, _ := root.ReadFile("/etc/a"); string(data) != "new a" {
		t.Errorf("the file says %q", data)
	}
}

func TestAJournalThatCannotBeUsedIsSetAside(t *testing.T) {
	for name, journal := range map[string]string{
		"empty":                   "",
		"no JSON":                 "{",
		"no files":                `{"title":"x","files":[]}`,
		"a path out of it":        `{"files":[{"directory":"/etc","name":"../a","temporary":".postfix-maint-staged.a.X","old":"1","new":"2"}]}`,
		"a temporary of others":   `{"files":[{"directory":"/etc","name":"a","temporary":"b","old":"1","new":"2"}]}`,
		"a directory that is not": `{"files":[{"directory":"/none","name":"a","temporary":".postfix-maint-staged.a.X","old":"1","new":"2"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			tree := before()
			tree["var/lib/postfix-maint/transaction.json"] = journal
			root := sysroottest.New(t, tree)
			r, err := host(root).Recover()
			if err != nil || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], `transaction.json.damaged"`) {
				t.Errorf("Recover = %+v, %v", r, err)
			}
			tr := &transaction.Transaction{Title: "a test", Files: []transaction.File{edit(t, root, "/etc/a", "new a")}}
			if _, err := host(root).Apply(t.Context(), tr); err != nil {
				t.Errorf("the next change: %v", err)
			}
		})
	}
}
