package transaction_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
	"postfix-maint/internal/sysroot/transaction"
)

func reloads(root *sysroot.Root) transaction.Due {
	return transaction.Due{Root: root, Dir: "/var/lib/postfix-maint/due"}
}

// followed changes a file, and then tells of it, by another file.
func followed(root *sysroot.Root) error {
	seen, err := root.See("/dir/file")
	if err != nil {
		return err
	}
	own := sysroot.Attr{UID: os.Getuid(), GID: os.Getgid()}
	tr := &transaction.Transaction{Title: "followed", Files: []transaction.File{{Path: "/dir/file", Seen: seen, New: []byte("new"), Attr: own}}}
	tr.After = []transaction.Step{{What: "tell", Do: func(context.Context) error {
		if _, err := root.WriteFile("/dir/told", []byte("told"), own); err != nil {
			return err
		}
		return reloads(root).Done("x")
	}}}
	if err := reloads(root).Join(tr, "x", "a test"); err != nil {
		return err
	}
	_, err = host(root).Apply(context.Background(), tr)
	return err
}

// Whenever a change was killed, what has to follow it is due if and only if it is in force and that was not done; once done it may be due
// once more, at the worst.
func TestDueIfInForce(t *testing.T) {
	killat := buildKillat(t)
	is := map[string]int{}
	for n := 1; ; n++ {
		root, killed := runKilled(t, killat, "due", map[string]string{"dir/file": "old"}, n)
		if r, err := host(root).Recover(); err != nil || len(r.Warnings) > 0 {
			t.Errorf("call %d: Recover = %+v, %v", n, r, err)
		}
		text, _ := root.ReadFile("/dir/file")
		told, _ := root.Exists("/dir/told")
		due, err := reloads(root).Is("x")
		switch inForce := string(text) == "new"; {
		case err != nil:
			t.Error(err)
		case due && !inForce, inForce && !told && !due:
			t.Errorf("call %d: it says %q, told: %v, due: %v", n, text, told, due)
		case due:
			is["due"]++
		case !inForce:
			is["not in force"]++
		}
		if !killed {
			if due || !told {
				t.Errorf("in the end: told %v, due %v", told, due)
			}
			break
		}
	}
	if is["due"] < 3 || is["not in force"] < 3 {
		t.Errorf("%v: the test no longer reaches what it is about", is)
	}
}

// What is due stays so until it is done, and what a killed run left half written is none.
func TestDue(t *testing.T) {
	sysroottest.NeedsRoot(t)
	root := sysroottest.New(t, map[string]string{"var/lib/postfix-maint/due/.postfix-maint-tmp.x.AAAA": "half", "dir/": ""})
	due := reloads(root)
	keys := func(want ...string) {
		t.Helper()
		got, err := due.Keys()
		if err != nil || len(got) != len(want) || len(want) > 0 && got[0] != want[0] {
			t.Errorf("due is %q, %v; want %q", got, err, want)
		}
	}
	keys()
	if err := due.Set("x", "a test"); err != nil {
		t.Fatal(err)
	}
	keys("x")
	tr := &transaction.Transaction{Title: "fails", Files: []transaction.File{{Path: "/dir/f", Seen: &sysroot.Seen{Missing: true}, New: []byte("new")}}}
	failure := errors.New("of the step")
	tr.After = []transaction.Step{{What: "tell", Do: func(context.Context) error { return failure }}}
	if err := due.Join(tr, "x", "another"); err != nil {
		t.Fatal(err)
	}
	if warnings, err := host(root).Apply(t.Context(), tr); err != nil || len(warnings) != 1 {
		t.Errorf("%q, %v", warnings, err)
	}
	keys("x")
	if err := due.Done("x"); err != nil {
		t.Fatal(err)
	}
	keys()
	if _, err := root.Remove(due.Dir + "/.postfix-maint-tmp.x.AAAA"); err != nil {
		t.Fatal(err)
	}
	if _, err := root.Remove(due.Dir); err != nil {
		t.Fatal(err)
	}
	keys()
}

// An edit of the last moment of a file that follows has it planned anew, and the new plan may find nothing to do: what follows the change is
// done all the same.
func TestWhatFollowsAnEditedOne(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"dir/file": "old", "dir/gone": "old", "var/lib/postfix-maint/": ""})
	own := sysroot.Attr{UID: os.Getuid(), GID: os.Getgid()}
	told, plans := 0, 0
	warnings, err := host(root).Run(t.Context(), func() (*transaction.Transaction, error) {
		if plans++; plans > 1 {
			return nil, nil
		}
		old := &sysroot.Seen{Data: []byte("old")}
		return &transaction.Transaction{
			Title: "a test", Files: []transaction.File{{Path: "/dir/file", Seen: old, New: []byte("new"), Attr: own}}, Later: []transaction.File{{Path: "/dir/gone", Seen: old}},
			Before: []transaction.Step{{What: "edit", Do: func(context.Context) error {
				_, err := root.WriteFile("/dir/gone", []byte("edited"), own)
				return err
			}}},
			After: []transaction.Step{{What: "tell", Do: func(context.Context) error { told++; return errors.New("deaf") }}},
		}, nil
	})
	file, _ := root.ReadFile("/dir/file")
	gone, _ := root.ReadFile("/dir/gone")
	if err != nil || plans != 2 || told != 1 || len(warnings) != 1 || string(file) != "new" || string(gone) != "edited" {
		t.Errorf("%d plans, told %d times, %q, %v; the files say %q and %q", plans, told, warnings, err, file, gone)
	}
}
