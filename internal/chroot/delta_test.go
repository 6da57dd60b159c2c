package chroot

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/sysroot"
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
	full := get(t, root, list)
	for _, text := range []string{"nameserver 10.0.0.2\n", "nameserver 10.0.0.3\n"} {
		put(t, root, "run/resolve/stub.conf", text)
		want(t, "changed", hookRun(t, root).Changed, []string{"etc/resolv.conf"})
		if get(t, root, list) != full {
			t.Error("the list was written anew")
		}
		if beside := get(t, root, list+"+"); len(beside) > 500 {
			t.Errorf("%d bytes beside the list: %s", len(beside), beside)
		}
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
	put(t, root, list+"+", `{"serial":"OTHER","files":{"etc/services":null}}`) // of a list that is gone
	put(t, root, "etc/postfix/master.cf", nothing)
	want(t, "removed", apply(t, root).Removed, standard)
	put(t, root, "etc/postfix/master.cf", chrooted)
	apply(t, root)
	put(t, root, list+"+", "{")
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
