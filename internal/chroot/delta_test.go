package chroot

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

// hookRun runs the plan of the hooks.
func hookRun(t *testing.T, root *sysroot.Root) Result {
	t.Helper()
	inst, err := instance.Find(root, instance.Primary)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewResolverPlan(Deps{Root: root}, inst)
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Apply()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestAChangeOfOneFileIsSmall shows that a new resolv.conf leaves the list as it is and writes a few hundred bytes beside it, and that what
// stands there counts: for the next hook, for what is ours in the end, and not for another list.
func TestAChangeOfOneFileIsSmall(t *testing.T) {
	t.Parallel()
	const list = "var/lib/postfix-maint/chroot/-"
	root := host(t, nil)
	time.Sleep(60 * time.Millisecond) // a file that was just made is looked at again by the next run, which would change more lines of the list
	apply(t, root)
	full, before := get(t, root, list), 0
	for _, text := range []string{"nameserver 10.0.0.2\n", "nameserver 10.0.0.3\n"} {
		put(t, root, "run/resolve/stub.conf", text)
		want(t, "changed", hookRun(t, root).Changed, []string{"etc/resolv.conf"})
		if get(t, root, list) != full {
			t.Error("the list was written anew")
		}
		beside := get(t, root, list+"+")
		if written := len(beside) - before; written > 700 {
			t.Errorf("%d bytes beside the list: %s", written, beside)
		}
		before = len(beside)
	}
	put(t, root, "etc/hosts", "") // not ours any more, by the delta alone
	want(t, "removed", apply(t, root).Removed, []string{"etc/hosts"})
	if get(t, root, list) != full {
		t.Error("the list was written anew")
	}
	put(t, root, queueDir+"/etc/hosts", "127.0.0.1 localhost\n") // somebody's, as ours was
	put(t, root, "etc/postfix/master.cf", nothing)
	wanted := slices.DeleteFunc(slices.Clone(standard), func(name string) bool { return name == "etc/hosts" })
	want(t, "removed", apply(t, root).Removed, wanted)
	put(t, root, queueDir+"/etc/hosts", "")
	apply(t, root)
	if entries, err := os.ReadDir(filepath.Join(root.Dir(), filepath.Dir(list))); err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}

	put(t, root, "etc/postfix/master.cf", chrooted)
	put(t, root, "etc/hosts", "new\n")
	apply(t, root)
	put(t, root, list+"+", `{"serial":"OTHER","files":{"etc/services":null}}`+"\n") // of a list that is gone
	put(t, root, "etc/postfix/master.cf", nothing)
	want(t, "removed", apply(t, root).Removed, standard)
	put(t, root, "etc/postfix/master.cf", chrooted)
	apply(t, root)
	put(t, root, list+"+", "{\n{\n")
	if r := apply(t, root); len(r.Warnings) != 1 {
		t.Errorf("of a delta that is no use: %q", r.Warnings)
	}
	put(t, root, "etc/postfix/master.cf", nothing)
	want(t, "removed", apply(t, root).Removed, standard)
}

// TestADeltaStaysShort shows that with more than a few files the list is written anew.
func TestADeltaStaysShort(t *testing.T) {
	t.Parallel()
	root := host(t, nil)
	apply(t, root)
	for _, name := range standard {
		put(t, root, queueDir+"/"+name, "old")
	}
	apply(t, root)
	if there, err := root.Exists("/var/lib/postfix-maint/chroot/-+"); there || err != nil {
		t.Errorf("a delta of all files is there: %v, %v", there, err)
	}
	put(t, root, "etc/postfix/master.cf", nothing)
	want(t, "removed", apply(t, root).Removed, standard)
}

// TestALineThatWasCutOff is what a power loss may leave beside the list: the last line ends somewhere, in zeros or not, and the change that it
// is about may or may not have been lost with it. The next run ends as if nothing had happened, and knows what is ours.
func TestALineThatWasCutOff(t *testing.T) {
	t.Parallel()
	for n, whole := 0, 1; n < whole; n += 97 {
		for _, zeros := range []string{"", "\x00\x00"} {
			for _, master := range []string{chrooted, nothing} {
				whole = cutOff(t, n, zeros, master)
			}
		}
	}
}

// cutOff has n bytes of the lines of a change left, and zeros behind them; it gives how many there were.
func cutOff(t *testing.T, n int, zeros, master string) int {
	t.Helper()
	const lines = "/var/lib/postfix-maint/chroot/-+"
	root := host(t, nil)
	time.Sleep(60 * time.Millisecond)
	apply(t, root)
	put(t, root, "etc/hosts", "10.0.0.1 new\n")
	time.Sleep(60 * time.Millisecond)
	apply(t, root)
	whole := get(t, root, lines)
	if strings.Count(whole, "\n") != 2 {
		t.Fatalf("not two lines: %q", whole)
	}
	if n <= strings.IndexByte(whole, '\n') {
		put(t, root, queueDir+"/etc/hosts", "127.0.0.1 localhost\n") // nothing had begun
	}
	put(t, root, queueDir+"/etc/.postfix-maint-tmp.hosts.AAAA", "half")
	if err := os.WriteFile(filepath.Join(root.Dir(), lines), []byte(whole[:n]+zeros), 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, root, "etc/postfix/master.cf", master)
	warned(t, apply(t, root))
	should := standard
	if master == nothing {
		should = nil
	} else if got := get(t, root, queueDir+"/etc/hosts"); got != "10.0.0.1 new\n" {
		t.Errorf("cut off at %d%q: the copy holds %q", n, zeros, got)
	}
	want(t, fmt.Sprintf("cut off at %d%q", n, zeros), inQueue(t, root), should)
	before := sysroottest.Dump(t, root.Dir(), true)
	apply(t, root)
	if !reflect.DeepEqual(before, sysroottest.Dump(t, root.Dir(), true)) {
		t.Errorf("cut off at %d%q: the run after the next has something to do", n, zeros)
	}
	return len(whole)
}
