package transaction_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
	"postfix-maint/internal/sysroot/transaction"
)

const drafts = "/etc/.postfix-maint"

// detourTree has a file "main" that names two others in force.
func detourTree() map[string]string {
	return map[string]string{"etc/main": "old: /etc/a /etc/b", "etc/a": "old a", "etc/b": "old b", "etc/gone": "old", "etc/note": "old note"}
}

// detour changes both, what stands beside them, and with the seed "detour" also what main says itself.
func detour(root *sysroot.Root, seed string) *transaction.Transaction {
	own := sysroot.Attr{UID: os.Getuid(), GID: os.Getgid(), Mode: 0o600}
	file := func(path, text string) transaction.File {
		seen, err := root.See(path)
		if err != nil {
			panic(err)
		}
		f := transaction.File{Path: path, Seen: seen, Attr: own}
		if text != "" {
			f.New = []byte(text)
		}
		return f
	}
	word := map[bool]string{true: "new", false: "old"}[seed == "detour"]
	t := &transaction.Transaction{
		Title: seed, Drafts: drafts, Detour: []byte(word + ": " + drafts + "/a " + drafts + "/b"),
		Files: []transaction.File{file("/etc/note", "new note"), file("/etc/made", "new"), file("/etc/main", word+": /etc/a /etc/b")},
		Live:  []transaction.File{file("/etc/a", "new a"), file("/etc/b", "")},
		Later: []transaction.File{file("/etc/gone", "")},
	}
	t.Before = []transaction.Step{{What: "make the drafts", Do: func(context.Context) error {
		dir := own
		dir.Mode = 0o700
		if _, err := root.MkdirAll(drafts, dir); err != nil {
			return err
		}
		t.Live[1].New = []byte("new b") // as a program makes it
		for _, f := range t.Live {
			if _, err := root.WriteFile(drafts+strings.TrimPrefix(f.Path, "/etc"), f.New, own); err != nil {
				return err
			}
		}
		return nil
	}}}
	return t
}

// force is what main brings into force.
func force(root *sysroot.Root) string {
	main, _ := root.ReadFile("/etc/main")
	words := strings.Fields(string(main))
	for i := 1; i < len(words); i++ {
		text, _ := root.ReadFile(words[i])
		words[i] = string(text)
	}
	return strings.Join(words, ", ")
}

// TestKilledOnADetour ends changes of files in force before their calls: what is in force is all old or all new even before anybody
// recovers. Where not each call is hit, the two changes, whose calls are nearly the same, are hit at different ones.
func TestKilledOnADetour(t *testing.T) {
	killat, step := buildKillat(t), killStep(t)
	first := map[string]int{"detour": 1, "detour to the same": 1 + step/2}
	for seed, in := range map[string]string{"detour": "new:, new a, new b", "detour to the same": "old:, new a, new b"} {
		forward, back := 0, 0
		for n, killed := first[seed], true; killed; n += step {
			var root *sysroot.Root
			root, killed = runKilled(t, killat, seed, detourTree(), n)
			now := force(root)
			r, err := host(root).Recover()
			if err != nil || len(r.Warnings) > 0 || force(root) != now || now != in && now != "old:, old a, old b" {
				t.Errorf("%s, call %d: in force is %q, then %q; Recover = %+v, %v", seed, n, now, force(root), r, err)
			}
			want := detourTree()
			if now == in {
				forward++
				want = map[string]string{"etc/main": in[:4] + " /etc/a /etc/b", "etc/a": "new a", "etc/b": "new b", "etc/note": "new note", "etc/made": "new"}
			} else {
				back++
			}
			if got, want := names(dump(t, root)), names(dump(t, sysroottest.New(t, want))); got != want {
				t.Errorf("%s, call %d: left %s, want %s", seed, n, got, want)
			}
			for name, text := range want {
				if data, _ := root.ReadFile("/" + name); string(data) != text {
					t.Errorf("%s, call %d: %s says %q, want %q", seed, n, name, data, text)
				}
			}
		}
		if forward*step < 10 || back*step < 10 {
			t.Errorf("%s: only %d kills were completed and %d taken back", seed, forward, back)
		}
	}
}

func names(tree map[string]string) string {
	var all []string
	for name := range tree {
		all = append(all, name)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// editor is a context that counts how often it is asked, and edits a file then.
type editor struct {
	context.Context
	asked func()
}

func (e editor) Err() error {
	e.asked()
	return nil
}

// What somebody writes behind the moment stays, the other files get to their places, and the caller plans anew.
func TestAnEditBehindTheMoment(t *testing.T) {
	root := sysroottest.New(t, detourTree())
	n := 0
	_, err := host(root).Apply(editor{t.Context(), func() {
		if n++; n == 10 { // seven are staged, and two in their places: the moment comes
			if err := os.WriteFile(root.Dir()+"/etc/b", []byte("edited"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}}, detour(root, "detour"))
	if !errors.Is(err, sysroot.ErrChanged) || n != 10 {
		t.Errorf("Apply = %v after %d looks", err, n)
	}
	if got := force(root); got != "new:, new a, edited" {
		t.Errorf("in force is %q", got)
	}
	if got := names(dump(t, root)); got != "etc etc/a etc/b etc/made etc/main etc/note" {
		t.Errorf("left %s", got)
	}
}
