package chroot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
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

var errCrash = errors.New("crash")

// crashing applies the plan and stops dead before the change number n; it tells whether it got that far.
func crashing(t *testing.T, root *sysroot.Root, n int) (crashed bool) {
	t.Helper()
	defer func() {
		if r := recover(); r == errCrash {
			crashed = true
		} else if r != nil {
			panic(r)
		}
	}()
	p, err := planned(root, func(string, ...any) {
		if n--; n < 0 {
			panic(errCrash)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Apply(); err != nil {
		t.Fatal(err)
	}
	return false
}

// TestCrashAnywhere stops a run before each of its changes: what is ours stays known, what is not never gets claimed, and
// the next run ends as if nothing had happened.
func TestCrashAnywhere(t *testing.T) {
	t.Parallel()
	theirs := map[string]string{queueDir + "/etc/own": "x", queueDir + "/etc/services": "old copy of Debian's\n", queueDir + "/usr/lib/sasl2/own": "x"}
	updates := map[string]string{"etc/hosts": "10.0.0.1 other\n", "etc/nsswitch.conf": "hosts: files three\n", "etc/services": ""}
	off := map[string]string{"etc/postfix/master.cf": nothing}
	for name, steps := range map[string][]map[string]string{
		"first run":                {nil},
		"an update":                {nil, updates},
		"all goes":                 {nil, off},
		"an update, then all goes": {nil, updates, off},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := 0; ; n++ {
				root := host(t, theirs)
				for _, files := range steps[:len(steps)-1] {
					for f, content := range files {
						put(t, root, f, content)
					}
					apply(t, root)
				}
				for f, content := range steps[len(steps)-1] {
					put(t, root, f, content)
				}
				if !crashing(t, root, n) {
					if n < 5 {
						t.Errorf("only %d steps were stopped", n)
					}
					return
				}
				checkAfterCrash(t, root, steps, fmt.Sprintf("crash %d", n))
			}
		})
	}
}

// checkAfterCrash compares with a run that was never stopped, then takes everything away.
func checkAfterCrash(t *testing.T, root *sysroot.Root, steps []map[string]string, when string) {
	t.Helper()
	smooth := host(t, map[string]string{queueDir + "/etc/own": "x", queueDir + "/etc/services": "old copy of Debian's\n", queueDir + "/usr/lib/sasl2/own": "x"})
	for _, files := range steps {
		for f, content := range files {
			put(t, smooth, f, content)
		}
		apply(t, smooth)
	}
	apply(t, root)
	got := sysroottest.Dump(t, filepath.Join(root.Dir(), queueDir), false)
	wanted := sysroottest.Dump(t, filepath.Join(smooth.Dir(), queueDir), false)
	if !reflect.DeepEqual(got, wanted) {
		t.Errorf("%s: got\n%v\nwant\n%v", when, got, wanted)
	}
	put(t, root, "etc/postfix/master.cf", nothing)
	apply(t, root)
	left := inQueue(t, root)
	if want := []string{"etc/own", "usr/lib/sasl2/own"}; !slices.Equal(left, want) {
		t.Errorf("%s: in the end there is %q, want %q", when, left, want)
	}
	if ok, err := root.Exists(keptPath(plan(t, root).Instance)); ok || err != nil {
		t.Errorf("%s: the list is still there (%v)", when, err)
	}
}

// TestCrashThenOff takes the chroot away straight after a crash, when only the list can tell what is ours.
func TestCrashThenOff(t *testing.T) {
	t.Parallel()
	for n := 0; ; n++ {
		root := host(t, map[string]string{queueDir + "/etc/own": "x", queueDir + "/etc/services": "theirs\n"})
		crashed := crashing(t, root, n)
		theirs := []string{"etc/own"}
		if get(t, root, queueDir+"/etc/services") == "theirs\n" {
			theirs = append(theirs, "etc/services")
		}
		put(t, root, "etc/postfix/master.cf", nothing)
		apply(t, root)
		want(t, fmt.Sprintf("left after crash %d", n), inQueue(t, root), theirs)
		if ok, _ := root.Exists("/" + queueDir + "/usr"); ok {
			t.Errorf("crash %d: a directory of ours is left", n)
		}
		if !crashed {
			return
		}
	}
}

// A file that was changed a moment ago may be changed again within the same tick of the clock that stamps files.
func TestSignatureOfAFreshFileIsNotTrusted(t *testing.T) {
	t.Parallel()
	a := &applier{now: time.Unix(1000, 0)}
	at := func(d time.Duration) signature { return signature{size: 1, ctime: a.now.Add(d).UnixNano(), mtime: 5} }
	for d, trusted := range map[time.Duration]bool{0: false, -4 * time.Millisecond: false, time.Hour: false, -time.Second: true} {
		if got := a.trusted(at(d)) == at(d); got != trusted {
			t.Errorf("changed %v from now: trusted is %v", d, got)
		}
	}
}

func TestTemporaryFilesOfAKilledRunGo(t *testing.T) {
	t.Parallel()
	for name, master := range map[string]string{"and it is repeated": chrooted, "and nothing is chrooted any more": nothing} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := host(t, map[string]string{queueDir + "/etc/hosts": "old\n"})
			crashing(t, root, 3) // the list is written, some files are not
			temp := []string{
				queueDir + "/etc/.postfix-maint-tmp.hosts.AAAA", queueDir + "/.postfix-maint-tmp.usr.AAAA/", queueDir + "/usr/.postfix-maint-tmp.lib.AAAA/",
				"var/lib/postfix-maint/chroot/.postfix-maint-tmp.-.AAAA", "var/lib/postfix-maint/reload-due/.postfix-maint-tmp.postfix@-.service.AAAA",
				"var/lib/postfix-maint/.postfix-maint-tmp.reload-due.AAAA/", "etc/postfix/.postfix-maint-tmp.master.cf.AAAA",
			}
			for _, name := range temp {
				if put(t, root, path.Clean(name), "half"); strings.HasSuffix(name, "/") {
					put(t, root, path.Clean(name), "")
					put(t, root, path.Join(name, "x"), "half")
					put(t, root, path.Join(name, "x"), "")
				}
			}
			put(t, root, queueDir+"/etc/.mine123", "whole")
			put(t, root, "etc/postfix/master.cf", master)
			warned(t, apply(t, root))
			names := inQueue(t, root)
			if !slices.Contains(names, "etc/.mine123") {
				t.Errorf("in the queue directory: %q", names)
			}
			put(t, root, "var/lib/postfix-maint/reload-due", "") // the kill came before it was there
			s, err := NewSwitch(Deps{Root: root}, plan(t, root).Instance, master == nothing)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Apply(t.Context(), func(context.Context, instance.Instance) error { return nil }); err != nil {
				t.Fatal(err)
			}
			for name := range sysroottest.Dump(t, root.Dir(), false) {
				if strings.Contains(name, "postfix-maint-tmp") {
					t.Errorf("left: %s", name)
				}
			}
		})
	}
}

func TestListThatIsNoUse(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"no JSON":                        "{",
		"a path out of the directory":    `{"queue_directory":"/var/spool/postfix","files":{"../../../etc/hosts":"x 1:1:1:1 1:1:1:1"}}`,
		"an absolute path":               `{"queue_directory":"/var/spool/postfix","files":{},"directories":["/etc"]}`,
		"nothing in the place of a file": `{"queue_directory":"/var/spool/postfix","files":{"etc/hosts":null}}`,
		"a broken entry":                 `{"queue_directory":"/var/spool/postfix","files":{"etc/hosts":"x 1:1:1 1:1:1:1"}}`,
		"of another queue directory":     `{"queue_directory":"/srv/q","files":{"etc/own":"x 1:1:1:1 1:1:1:1"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := host(t, map[string]string{queueDir + "/etc/own": "x"})
			apply(t, root)
			put(t, root, "var/lib/postfix-maint/chroot/-", content)
			r := apply(t, root)
			if len(r.Warnings) != 1 || r.Changed != nil || r.Removed != nil {
				t.Errorf("got %+v", r)
			}
			put(t, root, "etc/postfix/master.cf", nothing)
			want(t, "removed: what is equal became ours again", apply(t, root).Removed, standard)
		})
	}
}

func TestListThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	root := host(t, map[string]string{"var/lib/postfix-maint": "a file in its place"})
	r := apply(t, root)
	want(t, "changed", r.Changed, standard)
	if len(r.Warnings) == 0 || !strings.Contains(r.Warnings[0], "postfix-maint") {
		t.Errorf("warnings %q", r.Warnings)
	}
	put(t, root, "var/lib/postfix-maint", "")
	put(t, root, "etc/postfix/master.cf", chrooted)
	apply(t, root)
	put(t, root, "etc/postfix/master.cf", nothing)
	want(t, "removed", apply(t, root).Removed, standard)
}

// TestWhatDebian12Left is the take-over of a chroot that Debian 12's script made.
func TestWhatDebian12Left(t *testing.T) {
	t.Parallel()
	const certs = "etc/ssl/certs/"
	files := map[string]string{
		"etc/postfix/main.cf":         "compatibility_level=2\nmyhostname=a.example\nsmtp_tls_CApath=/etc/ssl/certs\n",
		certs + "ca.pem":              pemCA,
		certs + "0a775a30.0":          "-> ca.pem",
		certs + "server.pem":          "key of the server",
		certs + "ca-certificates.crt": "bundle",
		// the copies: every *.pem, and what openssl rehash made of them
		queueDir + "/" + certs + "ca.pem":                      pemCA,
		queueDir + "/" + certs + "server.pem":                  "key of the server",
		queueDir + "/" + certs + "0a775a30.0":                  "-> ca.pem",
		queueDir + "/" + certs + "5e7d0000.0":                  "-> server.pem",
		queueDir + "/" + certs + "ca-certificates.crt":         "bundle",
		queueDir + "/" + certs + "own.pem":                     "mine",
		queueDir + "/" + certs + "abcdef00.0":                  "-> own.pem",
		queueDir + "/lib/x86_64-linux-gnu/libnss_one.so.2":     "old",
		queueDir + "/lib/x86_64-linux-gnu/libnss_nothing.so.2": "old",
		queueDir + "/etc/hosts":                                "127.0.0.1 localhost\n",
		queueDir + "/etc/services":                             "old\n",
	}
	root := host(t, files)
	r := apply(t, root)
	warned(t, r, `1 certificates in "etc/ssl/certs"`)
	want(t, "removed", r.Removed, []string{certs + "5e7d0000.0", certs + "ca.pem", certs + "server.pem"})
	if slices.Contains(r.Changed, "etc/hosts") || !slices.Contains(r.Changed, "etc/services") {
		t.Errorf("changed %q", r.Changed)
	}
	if fi, err := root.Lstat("/" + queueDir + "/" + certs + "0a775a30.0"); err != nil || !fi.Mode().IsRegular() {
		t.Errorf("the hashed name is no file of its own: %v", err)
	}
	if got, want := get(t, root, queueDir+"/lib/x86_64-linux-gnu/libnss_one.so.2"), get(t, root, multi+"libnss_one.so.2"); got != want {
		t.Error("ld.so would still find the old library first")
	}
	before := sysroottest.Dump(t, root.Dir(), true)
	warned(t, apply(t, root))
	if after := sysroottest.Dump(t, root.Dir(), true); !reflect.DeepEqual(before, after) {
		t.Error("the second run touched something")
	}
	put(t, root, queueDir+"/"+certs+"0a775a30.0", "-> ca.pem") // Debian's script has been here again
	put(t, root, queueDir+"/"+certs+"ca.pem", pemCA)
	warned(t, apply(t, root), `1 certificates in "etc/ssl/certs"`)
	if ok, _ := root.Exists("/" + queueDir + "/" + certs + "ca.pem"); ok {
		t.Error("what Debian's script made again is still there")
	}
	put(t, root, "etc/postfix/master.cf", nothing)
	apply(t, root)
	want(t, "left", inQueue(t, root), []string{
		certs + "abcdef00.0", certs + "ca-certificates.crt", certs + "own.pem", "lib/x86_64-linux-gnu/libnss_nothing.so.2",
	})
}

func TestInstancesKeepApart(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"etc/postfix-out/main.cf":   "multi_instance_name=postfix-out\nqueue_directory=/var/spool/out\ncompatibility_level=2\n",
		"etc/postfix-out/master.cf": chrooted,
		"var/spool/out/":            "",
		"etc/default/postfix":       "[ \"$config_directory\" = /etc/postfix-out ] && chroot_extra_files=etc/only\n",
		"etc/only":                  "x",
		"etc/postfix/main.cf":       "multi_instance_directories=/etc/postfix-out\ncompatibility_level=2\n",
	}
	root := host(t, maps.Clone(files))
	apply(t, root)
	p := planFor(t, root, "postfix-out")
	r, err := p.Apply()
	if err != nil || !slices.Contains(r.Changed, "etc/only") || len(r.Changed) != len(standard)+1 {
		t.Errorf("got %+v, %v", r, err)
	}
	entries, err := os.ReadDir(filepath.Join(root.Dir(), "var/lib/postfix-maint/chroot"))
	if err != nil || len(entries) != 2 || entries[0].Name() != "-" || entries[1].Name() != "postfix-out" {
		t.Errorf("lists: %v, %v", entries, err)
	}
}
