package chroot

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

// Whoever owns a directory of the queue can fill it with large files; a start must not read them all to find that they are not ours.
func TestLargeFilesAreNotRead(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"host/large": "text", "queue/dir/large": ""})
	if err := os.Truncate(filepath.Join(root.Dir(), "queue/dir/large"), 200<<20); err != nil {
		t.Fatal(err)
	}
	q, err := openQueue(filepath.Join(root.Dir(), "queue"))
	if err != nil {
		t.Fatal(err)
	}
	defer q.close()
	d, err := q.open("dir")
	if err != nil {
		t.Fatal(err)
	}
	st, err := d.stat("large")
	if err != nil {
		t.Fatal(err)
	}
	written := keptFile{sums: []string{sum([]byte("text"))}, copy: signature{size: 4}}
	a := &applier{Plan: &Plan{deps: Deps{Root: root}}, q: q, k: &kept{Files: map[string]*keptFile{"dir/large": &written}}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, same := a.equalsHost(d, "dir/large", "/host/large"); same || a.ours("dir/large", st) {
		t.Error("it is taken for ours")
	}
	runtime.ReadMemStats(&after)
	if read := after.TotalAlloc - before.TotalAlloc; read > 10<<20 {
		t.Errorf("%d bytes were read", read)
	}
}

// Nor may a check keep a descriptor for each directory that somebody has made there.
func TestLookingAroundLeavesNothingOpen(t *testing.T) {
	files := map[string]string{"queue/etc/own": ""}
	for n := range 50 {
		files[fmt.Sprintf("queue/x/%d/deep/file", n)] = ""
	}
	root := sysroottest.New(t, files)
	q, err := openQueue(filepath.Join(root.Dir(), "queue"))
	if err != nil {
		t.Fatal(err)
	}
	defer q.close()
	if _, err := q.open("etc"); err != nil {
		t.Fatal(err)
	}
	a := &applier{Plan: &Plan{deps: Deps{Root: root}}, q: q, k: &kept{}}
	a.lookFor(".", nil)
	if len(a.result.Foreign) != 51 || len(a.result.Warnings) > 0 || len(q.dirs) != 2 || q.dirs["etc"] == nil {
		t.Errorf("%d files, warnings %q, %d directories open", len(a.result.Foreign), a.result.Warnings, len(q.dirs))
	}
}

// While one instance waits for the disk others are worked on: none of them may hold the large files that it has written.
func TestWhoWaitsHoldsNothingLarge(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"queue/dir/x": "", "state/x": ""})
	q, err := openQueue(filepath.Join(root.Dir(), "queue"))
	if err != nil {
		t.Fatal(err)
	}
	defer q.close()
	a := &applier{Plan: &Plan{deps: Deps{Root: root, Shared: &Shared{turns: &turns{free: make(chan struct{}, 1)}}, Logf: t.Logf}}, q: q, k: &kept{Files: map[string]*keptFile{}}, touched: map[*dir]bool{}}
	for n := range atOnce + 5 {
		a.changes = append(a.changes, change{Entry: Entry{Path: fmt.Sprintf("dir/%d", n)}, data: []byte("small"), attr: sysroot.Attr{Mode: 0o600, UID: os.Getuid(), GID: os.Getgid()}})
	}
	for _, n := range []int{atOnce + 1, atOnce + 4} {
		a.changes[n].data = make([]byte, 2*large)
	}
	largeFirst(a.changes)
	if got := []string{a.changes[0].Path, a.changes[1].Path, a.changes[2].Path}; got[0] != fmt.Sprint("dir/", atOnce+1) || got[1] != fmt.Sprint("dir/", atOnce+4) || got[2] != "dir/0" {
		t.Errorf("first come %q", got)
	}
	a.write(a.changes[:atOnce])
	held := 0
	for _, c := range a.changes {
		held += len(c.data)
	}
	if len(a.result.Changed) != atOnce || held != 5*len("small") {
		t.Errorf("%d are written, %d bytes are held", len(a.result.Changed), held)
	}
}
