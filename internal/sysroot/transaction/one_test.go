package transaction_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
	"postfix-maint/internal/sysroot/transaction"
)

func TestOne(t *testing.T) {
	type file = *transaction.File
	add := func(f file) file { f.New = append(f.Seen.Data, '+'); return f }
	drop := func(f file) file { return f }
	for name, c := range map[string]struct {
		old   string // "" is no file
		edits int    // how many plans somebody is quicker than, with a "!" at the end of the file
		plan  func(file) file
		want  string // "" is no file
		err   error
	}{
		"a new file":               {"", 0, add, "+", nil},
		"an edit":                  {"old", 0, add, "old+", nil},
		"an edit, after theirs":    {"old", 2, add, "old!!+", nil},
		"an edit, again and again": {"old", 9, add, "old!!!!", sysroot.ErrChanged},
		"a removal":                {"old", 0, drop, "", nil},
		"a removal of nothing":     {"", 0, drop, "", nil},
		"a removal, after theirs":  {"old", 2, drop, "", nil},
		"a removal, for ever":      {"old", 9, drop, "old!!!!", sysroot.ErrChanged},
		"nothing to do":            {"old", 1, func(file) file { return nil }, "old!", nil},
		"to stay as it was":        {"old", 9, func(f file) file { f.New = f.Seen.Data; return f }, "old!!!!", sysroot.ErrChanged},
	} {
		t.Run(name, func(t *testing.T) {
			root := sysroottest.New(t, map[string]string{"etc/.postfix-maint-tmp.a.HALF": "of a process that was killed"})
			write := func(text string) {
				if err := os.WriteFile(filepath.Join(root.Dir(), "etc/a"), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if c.old != "" {
				write(c.old)
			}
			plans, planned := 0, false
			err := transaction.One(root, func() (*transaction.File, error) {
				f := edit(t, root, "/etc/a", "")
				if plans++; plans <= c.edits {
					write(string(f.Seen.Data) + "!")
				}
				made := c.plan(&f)
				planned = made != nil
				return made, nil
			})
			if data, _ := root.ReadFile("/etc/a"); !errors.Is(err, c.err) || (err == nil) != (c.err == nil) || string(data) != c.want {
				t.Errorf("One = %v, want %v; the file says %q, want %q", err, c.err, data, c.want)
			}
			files := 0
			if c.want != "" {
				files++
			}
			if tree := dump(t, root); planned && len(tree) != 1+files {
				t.Errorf("left behind: %v", tree)
			}
		})
	}
}

// An empty file is not one that is to go.
func TestOneEmptiesAFile(t *testing.T) {
	root := sysroottest.New(t, before())
	err := transaction.One(root, func() (*transaction.File, error) {
		f := edit(t, root, "/etc/link", "")
		f.New = []byte{}
		return &f, nil
	})
	if data, readErr := root.ReadFile("/etc/real"); err != nil || readErr != nil || len(data) > 0 {
		t.Errorf("One = %v; the file says %q, %v", err, data, readErr)
	}
}

// one makes /dir/file say "new".
func one(root *sysroot.Root) error {
	return transaction.One(root, func() (*transaction.File, error) {
		seen, err := root.See("/dir/file")
		return &transaction.File{Path: "/dir/file", Seen: seen, New: []byte("new"), Attr: sysroot.Attr{UID: os.Getuid(), GID: os.Getgid()}}, err
	})
}

// A kill at whatever call leaves the old file or the new one, and the next run nothing else.
func TestOneKilledAtEachCall(t *testing.T) {
	killat := buildKillat(t)
	said := map[string]int{}
	for n, killed := 1, true; killed; n++ {
		var root *sysroot.Root
		root, killed = runKilled(t, killat, "one", map[string]string{"dir/file": "old"}, n)
		data, _ := root.ReadFile("/dir/file")
		said[string(data)]++
		if err := one(root); err != nil {
			t.Errorf("call %d: %v", n, err)
		}
		if data, _ := root.ReadFile("/dir/file"); string(data) != "new" {
			t.Errorf("call %d: the file says %q in the end", n, data)
		}
		if tree := dump(t, root); len(tree) != 2 {
			t.Errorf("call %d: left behind: %v", n, tree)
		}
	}
	if len(said) != 2 || said["old"] < 3 || said["new"] < 2 {
		t.Errorf("after the kills the file said %v", said)
	}
}
