package chroot

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

// TestQueueDirectoryOfSomebodyElse shows that a queue directory that is not the instance's own is refused by name, before a byte is written.
func TestQueueDirectoryOfSomebodyElse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		queue, whose string
		files        map[string]string
	}{
		"the root":                   {"/", `holds the host's directory "/etc/postfix"`, nil},
		"the configuration's parent": {"/etc", `"/etc/postfix"`, nil},
		"the configuration":          {"/etc/postfix", `"/etc/postfix"`, nil},
		"what holds all spools":      {"/var/spool", `"/var/spool"`, nil},
		"one of the host's":          {"/var", `"/var`, nil},
		"by ..":                      {"/var/spool/postfix/..", `"/var/spool"`, nil},
		"by a link":                  {"/srv/link", `"/etc/postfix"`, map[string]string{"srv/link": "-> ../etc"}},
		"by a link to the root":      {"/srv/link", `"/etc/postfix"`, map[string]string{"srv/link": "-> /"}},
		"that of another instance":   {"/srv/q", `instance postfix-out, "/srv/q"`, nil},
		"one that holds another's":   {"/srv", `instance postfix-out, "/srv/q"`, nil},
		"one that lies in another's": {"/srv/q/etc", `instance postfix-out, "/srv/q"`, nil},
		"another's by a link":        {"/srv/link", `instance postfix-out, "/srv/q"`, map[string]string{"srv/link": "-> q"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{
				"etc/postfix/main.cf": "compatibility_level=2\nmyhostname=a.example\nmulti_instance_directories=/srv/out\n",
				"srv/out/main.cf":     "compatibility_level=2\nmyhostname=a.example\nmulti_instance_name=postfix-out\nqueue_directory=/srv/q\n",
				"srv/out/master.cf":   chrooted, "srv/q/etc/": "",
			}
			maps.Copy(files, c.files)
			root := host(t, files)
			for _, each := range []string{"-", "postfix-out"} { // at home in their own
				if _, err := planFor(t, root, each).Apply(); err != nil {
					t.Fatal(err)
				}
			}
			put(t, root, "etc/postfix/main.cf", get(t, root, "etc/postfix/main.cf")+"queue_directory="+c.queue+"\n")
			refusedEverywhere(t, root, c.whose)
			if _, err := planFor(t, root, "postfix-out").Apply(); err != nil {
				t.Errorf("the other instance suffers: %v", err)
			}
		})
	}
}

// refusedEverywhere tries whatever changes the queue directory of the primary instance.
func refusedEverywhere(t *testing.T, root *sysroot.Root, whose string) {
	t.Helper()
	inst, err := instance.Find(root, instance.Primary)
	if err != nil {
		t.Fatal(err)
	}
	d := Deps{Root: root}
	before := sysroottest.Dump(t, root.Dir(), true)
	apply := func(p *Plan, err error) error {
		_, applied := p.Apply()
		return errors.Join(err, applied)
	}
	for name, do := range map[string]func() error{
		"sync":  func() error { return apply(NewPlan(d, inst)) },
		"hook":  func() error { return apply(NewResolverPlan(d, inst)) },
		"clear": func() error { _, err := Clear(d, inst); return err },
		"check": func() error { _, err := planFor(t, root, "-").Inspect(); return err },
		"off": func() error {
			s, err := NewSwitch(d, inst, false)
			if err == nil {
				_, err = s.Apply(context.Background(), func(context.Context, instance.Instance) error { return nil })
			}
			return err
		},
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), whose) || !strings.Contains(err.Error(), "set queue_directory") {
			t.Errorf("%s: got %v, want %s", name, err, whose)
		}
	}
	if after := sysroottest.Dump(t, root.Dir(), true); !reflect.DeepEqual(before, after) {
		t.Errorf("something was touched:\n%v\n%v", before, after)
	}
}

// TestQueueDirectoryByAMountNeedsRoot is the same by a bind mount, which neither a name nor a link shows.
func TestQueueDirectoryByAMountNeedsRoot(t *testing.T) {
	t.Parallel()
	needRoot(t)
	root := host(t, map[string]string{
		"etc/postfix/main.cf": "compatibility_level=2\nmyhostname=a.example\nqueue_directory=/srv/q\n", "srv/q/": "",
	})
	bind(t, root, "", "srv/q")
	refusedEverywhere(t, root, `"/etc/postfix"`)
}

// TestTheHostsOwnFile shows that what is the host's file by another name is never ours: not when it is found, and not when the list says so.
func TestTheHostsOwnFile(t *testing.T) {
	t.Parallel()
	root := host(t, nil)
	own := filepath.Join(root.Dir(), queueDir, "etc/hosts")
	if err := os.MkdirAll(filepath.Dir(own), 0o755); err != nil {
		t.Fatal(err)
	}
	link := func() {
		if err := os.Link(filepath.Join(root.Dir(), "etc/hosts"), own); err != nil {
			t.Fatal(err)
		}
	}
	link()
	apply(t, root)
	put(t, root, "etc/postfix/master.cf", nothing)
	if r := apply(t, root); len(r.Removed) == 0 || !reflect.DeepEqual(inQueue(t, root), []string{"etc/hosts"}) {
		t.Errorf("a link of the administrator's was taken for ours: %q, left %q", r.Removed, inQueue(t, root))
	}
	put(t, root, "etc/postfix/master.cf", chrooted)
	apply(t, root)
	put(t, root, "etc/hosts", "") // an editor makes a new file: what was linked is only the administrator's now
	put(t, root, "etc/hosts", "new\n")
	put(t, root, "etc/postfix/master.cf", nothing)
	apply(t, root)
	want(t, "left", inQueue(t, root), []string{"etc/hosts"})

	put(t, root, "etc/postfix/master.cf", chrooted)
	put(t, root, queueDir+"/etc/hosts", "")
	apply(t, root)
	put(t, root, queueDir+"/etc/hosts", "")
	link()
	put(t, root, "etc/postfix/master.cf", nothing)
	apply(t, root)
	want(t, "left", inQueue(t, root), []string{"etc/hosts"})
}

// TestTheWayIsTheSameByOneLook holds the quick way to a directory against resolving each name by itself, in any order.
func TestTheWayIsTheSameByOneLook(t *testing.T) {
	t.Parallel()
	root := sysroottest.New(t, map[string]string{
		"usr/bin/a": "", "bin": "-> usr/bin", "var/spool/postfix/x": "", "srv/far": "-> /var/spool", "srv/near": "-> far/postfix", "srv/lost": "-> nowhere",
		"srv/round": "-> round", "file": "",
	})
	names := []string{
		"/", "/usr/bin", "/bin", "/bin/", "/var/spool/postfix", "/srv/far/postfix", "/srv/near", "/srv/near/x", "/srv/lost", "/srv/lost/x", "/srv/round", "/file/x",
		"/none", "/none/x", "/var/../bin", "/srv", "/usr",
	}
	slow := func(p string) map[fileID]bool {
		ids := map[fileID]bool{}
		all := []string{filepath.Clean(p)}
		if real, err := root.Resolve(p); err == nil {
			all = append(all, filepath.Clean("/"+real[len(root.Dir()):]))
		}
		for _, name := range all {
			for ; name != "/"; name = filepath.Dir(name) {
				ids[idOf(root.Stat(name))] = true
			}
			ids[idOf(root.Stat("/"))] = true
		}
		return ids
	}
	for turn := range names {
		w := newWay()
		for n := range names {
			name := names[(n*7+turn)%len(names)]
			got := map[fileID]bool{}
			ids := w.to(root, name)
			for _, id := range ids {
				got[id] = true
			}
			if want := slow(name); !maps.Equal(got, want) || ids[0] != idOf(root.Stat(name)) {
				t.Errorf("the way to %s is %v, want %v", name, got, want)
			}
		}
	}
}
