package transaction_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
	"postfix-maint/internal/sysroot/transaction"
)

// A kill right between the exchange of two files and the look at what had been there: an edit of the last moment stands beside the file
// then. It wins, as it does without the kill.
func TestKilledBeforeTheLookAtAnEdit(t *testing.T) {
	for name, c := range map[string]struct {
		path string // the file that is edited
		swap int    // the look before its swap
		over string // swapped as well before that
		plan func(*testing.T, *sysroot.Root) *transaction.Transaction
		want map[string]string // those of the files that are another one's than before
	}{
		"the moment":           {"/etc/b", 4, "", twoFiles, map[string]string{"etc/b": "edited"}},
		"a file before it":     {"/etc/a", 3, "", twoFiles, map[string]string{"etc/a": "edited"}},
		"a file that is to go": {"/etc/gone", 4, "", goes, map[string]string{"etc/gone": "edited"}},
		"one behind the moment": {"/etc/a", 10, "/etc/main", onDetour, map[string]string{
			"etc/a": "edited", "etc/b": "new b", "etc/main": "new: /etc/a /etc/b", "etc/note": "new note", "etc/gone": "",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			root := sysroottest.New(t, detourTree())
			looks := 0
			killed := func() (killed bool) {
				defer func() { killed = recover() != nil }()
				_, _ = host(root).Apply(editor{t.Context(), func() {
					if looks++; looks == c.swap {
						panic("killed")
					}
				}}, c.plan(t, root))
				return false
			}()
			if !killed {
				t.Fatalf("not killed after %d looks", looks)
			}
			if c.over != "" {
				exchange(t, root, c.over)
			}
			at := filepath.Join(root.Dir(), c.path)
			if err := os.WriteFile(at, []byte("edited"), 0o600); err != nil {
				t.Fatal(err)
			}
			exchange(t, root, c.path)
			r, err := host(root).Recover()
			if err != nil {
				t.Fatalf("%+v, %v", r, err)
			}
			for name, was := range detourTree() {
				want, ok := c.want[name]
				if !ok {
					want = was
				}
				if data, _ := root.ReadFile("/" + name); string(data) != want {
					t.Errorf("%s says %q, want %q; %+v", name, data, want, r)
				}
			}
			if left, _ := filepath.Glob(root.Dir() + "/etc/.postfix-maint*"); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
		})
	}
}

// Of a detour that leads back to the same text the last file is in its place before it is written: what a kill left half written beside it
// is no edit.
func TestHalfStagedIsNoEdit(t *testing.T) {
	root := sysroottest.New(t, detourTree())
	looks := 0
	func() {
		defer func() { _ = recover() }()
		_, _ = host(root).Apply(editor{t.Context(), func() {
			if looks++; looks == 6 {
				panic("killed")
			}
		}}, detour(root, "detour to the same"))
	}()
	var half sysroot.Staged
	for _, s := range staged(t, root) {
		if s.Path() == "/etc/main" {
			half = s // the second of two
		}
	}
	if err := os.WriteFile(filepath.Join(root.Dir(), half.Beside()), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := host(root).Recover(); err != nil || len(r.Warnings) > 0 || r.Forward {
		t.Errorf("Recover = %+v, %v", r, err)
	}
	if got := force(root); got != "old:, old a, old b" {
		t.Errorf("in force is %q", got)
	}
}

func twoFiles(t *testing.T, root *sysroot.Root) *transaction.Transaction {
	return &transaction.Transaction{Title: "two files", Files: []transaction.File{edit(t, root, "/etc/a", "new a"), edit(t, root, "/etc/b", "new b")}}
}

func goes(t *testing.T, root *sysroot.Root) *transaction.Transaction {
	return &transaction.Transaction{Title: "one goes", Files: []transaction.File{edit(t, root, "/etc/a", "new a"), edit(t, root, "/etc/gone", "")}}
}

func onDetour(_ *testing.T, root *sysroot.Root) *transaction.Transaction {
	return detour(root, "detour")
}

// staged are the files in the journal.
func staged(t *testing.T, root *sysroot.Root) []sysroot.Staged {
	t.Helper()
	var j struct {
		Files []sysroot.Staged `json:"files"`
	}
	data, err := root.ReadFile(host(root).Journal)
	if err == nil {
		err = json.Unmarshal(data, &j)
	}
	if err != nil {
		t.Fatal(err)
	}
	return j.Files
}

// exchange does the first half of a swap.
func exchange(t *testing.T, root *sysroot.Root, name string) {
	t.Helper()
	for _, s := range staged(t, root) {
		if s.Path() != name {
			continue
		}
		flags := uint(unix.RENAME_EXCHANGE)
		from, to := filepath.Join(root.Dir(), s.Path()), filepath.Join(root.Dir(), s.Beside())
		if _, err := os.Lstat(to); err != nil {
			flags = unix.RENAME_NOREPLACE
		}
		if err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, flags); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("%s is not in the journal", name)
}
