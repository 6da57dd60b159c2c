package chroot

import (
	"reflect"
	"slices"
	"testing"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

func resolve(t *testing.T, root *sysroot.Root) Result {
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

func TestResolverPlan(t *testing.T) {
	t.Parallel()
	root := host(t, nil)
	apply(t, root)
	put(t, root, "etc/services", "")                           // a full run would remove its copy
	put(t, root, multi+"libgcc_s.so.1", "no library any more") // and copy this
	put(t, root, "etc/hosts", "")                              // somebody is writing it anew
	put(t, root, "run/resolve/stub.conf", "nameserver 10.0.0.9\n")
	r := resolve(t, root)
	want(t, "changed", r.Changed, []string{"etc/resolv.conf"})
	warned(t, r)
	want(t, "in the queue directory", inQueue(t, root), standard)
	if got := get(t, root, queueDir+"/etc/resolv.conf"); got != "nameserver 10.0.0.9\n" {
		t.Errorf("resolv.conf holds %q", got)
	}
	before := sysroottest.Dump(t, root.Dir(), true)
	if again := resolve(t, root); !reflect.DeepEqual(again, Result{}) {
		t.Errorf("the second run says %+v", again)
	}
	if after := sysroottest.Dump(t, root.Dir(), true); !reflect.DeepEqual(before, after) {
		t.Errorf("the second run touched something:\n%v\n%v", before, after)
	}
	full := apply(t, root)
	want(t, "removed by the next full run", full.Removed, []string{"etc/hosts", "etc/services", multi + "libgcc_s.so.1"})
}

// An account that is made is known to a chrooted proxymap without a reload.
func TestResolverPlanFollowsAccounts(t *testing.T) {
	t.Parallel()
	root := host(t, map[string]string{"etc/postfix/main.cf": "compatibility_level=2\n", "etc/postfix/master.cf": "proxymap unix - - y - - proxymap\n"})
	apply(t, root)
	put(t, root, "etc/passwd", "anna:x:1000:1000::/:/bin/sh\n")
	r := resolve(t, root)
	want(t, "changed", r.Changed, []string{"etc/passwd"})
	if !slices.Contains(LookupFiles(), "/etc/passwd") {
		t.Error("it is not watched")
	}
}

func TestResolverPlanLeavesAlone(t *testing.T) {
	t.Parallel()
	for name, over := range map[string]map[string]string{
		"no service chrooted":          {"etc/postfix/master.cf": nothing},
		"synchronisation switched off": {"etc/default/postfix": "SYNC_CHROOT=\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := host(t, over)
			if r := resolve(t, root); !reflect.DeepEqual(r, Result{}) || len(inQueue(t, root)) > 0 {
				t.Errorf("got %+v, in the queue directory %q", r, inQueue(t, root))
			}
		})
	}
}
