package chroot

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/elfdep/elfdeptest"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

const (
	queueDir = "var/spool/postfix"
	multi    = "usr/lib/x86_64-linux-gnu/"
	chrooted = "smtp inet n - y - - smtpd\nsmtp unix - - y - - smtp\nlocal unix - n n - - local\n"
	pemCA    = "-----BEGIN CERTIFICATE-----\nMIIB+/=\n-----END CERTIFICATE-----\n"
	nothing  = "smtp inet n - n - - smtpd\n"
)

// host is a host with a chrooted Postfix; over replaces and adds files, an empty content removes one.
func host(t testing.TB, over map[string]string) *sysroot.Root {
	t.Helper()
	lib := func(needed ...string) string { return string(elfdeptest.Object{Needed: needed}.Bytes()) }
	files := map[string]string{
		"lib":                        "-> usr/lib",
		"dev/log":                    "the socket",
		"etc/postfix/main.cf":        "compatibility_level = 3.6\nmyhostname = a.example\n",
		"etc/postfix/master.cf":      chrooted,
		"etc/resolv.conf":            "-> ../run/resolve/stub.conf",
		"run/resolve/stub.conf":      "nameserver 10.0.0.1\n",
		"etc/hosts":                  "127.0.0.1 localhost\n",
		"etc/services":               "smtp 25/tcp\n",
		"etc/localtime":              "-> /usr/share/zoneinfo/UTC",
		"usr/share/zoneinfo/UTC":     "TZif",
		"etc/nsswitch.conf":          "passwd: files one\nhosts: files one [NOTFOUND=return] dns two # three\nnetgroup: nis\n",
		"etc/passwd":                 "root:secret:0:0:root:/root:/bin/sh\nlame\n",
		"usr/lib/postfix/sbin/smtpd": lib("libc.so.6"),
		multi + "libc.so.6":          lib(),
		multi + "libgcc_s.so.1":      lib("libc.so.6"),
		multi + "libnss_one.so.2":    lib("libdep.so.1", "libc.so.6"),
		multi + "libnss_two.so.2":    lib("libdep.so.1"),
		multi + "libnss_three.so.2":  lib(),
		multi + "libdep.so.1":        lib("libc.so.6"),
		queueDir + "/":               "",
		queueDir + "/pid/":           "",
	}
	maps.Copy(files, over)
	for name, content := range files {
		if content == "" && !strings.HasSuffix(name, "/") {
			delete(files, name)
		}
	}
	return sysroottest.New(t, files)
}

// standard is what the chroot of host holds without further settings.
var standard = []string{
	"etc/hosts", "etc/localtime", "etc/nsswitch.conf", "etc/resolv.conf", "etc/services",
	multi + "libdep.so.1", multi + "libgcc_s.so.1", multi + "libnss_one.so.2", multi + "libnss_two.so.2",
}

func plan(t testing.TB, root *sysroot.Root) *Plan {
	t.Helper()
	p, err := planned(root, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func planned(root *sysroot.Root, logf func(string, ...any)) (*Plan, error) {
	inst, err := instance.Find(root, instance.Primary)
	if err != nil {
		return nil, err
	}
	return NewPlan(Deps{Root: root, Logf: logf}, inst)
}

func planFor(t testing.TB, root *sysroot.Root, name string) *Plan {
	t.Helper()
	inst, err := instance.Find(root, name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPlan(Deps{Root: root}, inst)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func apply(t testing.TB, root *sysroot.Root) Result {
	t.Helper()
	r, err := plan(t, root).Apply()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// inQueue lists the regular files and links of the queue directory.
func inQueue(t testing.TB, root *sysroot.Root) []string {
	t.Helper()
	var names []string
	for name, what := range sysroottest.Dump(t, filepath.Join(root.Dir(), queueDir), false) {
		if !strings.HasPrefix(what, "dir") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func want(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\ngot  %q\nwant %q", what, got, want)
	}
}

// put writes a file of the tree; the content "" removes it.
func put(t testing.TB, root *sysroot.Root, name, content string) {
	t.Helper()
	real := filepath.Join(root.Dir(), name)
	err := os.MkdirAll(filepath.Dir(real), 0o755)
	switch target, link := strings.CutPrefix(content, "-> "); {
	case err != nil:
	case content == "":
		err = os.RemoveAll(real)
	case link:
		_ = os.Remove(real)
		err = os.Symlink(target, real)
	default:
		err = os.WriteFile(real, []byte(content), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, root *sysroot.Root, name string) string {
	t.Helper()
	data, err := root.ReadFile("/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func warned(t testing.TB, r Result, pieces ...string) {
	t.Helper()
	if len(r.Warnings) != len(pieces) {
		t.Errorf("got warnings %q, want %q", r.Warnings, pieces)
		return
	}
	for n, p := range pieces {
		if !strings.Contains(r.Warnings[n], p) {
			t.Errorf("warning %d is %q, want %q in it", n, r.Warnings[n], p)
		}
	}
}

func TestFirstAndSecondRun(t *testing.T) {
	t.Parallel()
	root := host(t, nil)
	first := apply(t, root)
	want(t, "changed", first.Changed, standard)
	warned(t, first)
	want(t, "in the queue directory", inQueue(t, root), standard)
	if got := get(t, root, queueDir+"/etc/resolv.conf"); got != "nameserver 10.0.0.1\n" {
		t.Errorf("resolv.conf holds %q", got)
	}
	if fi, err := root.Stat("/" + queueDir + "/usr/lib/sasl2"); err != nil || !fi.IsDir() {
		t.Errorf("usr/lib/sasl2: %v", err)
	}
	before := sysroottest.Dump(t, root.Dir(), true)
	second := apply(t, root)
	if !reflect.DeepEqual(second, Result{}) {
		t.Errorf("the second run says %+v", second)
	}
	if after := sysroottest.Dump(t, root.Dir(), true); !reflect.DeepEqual(before, after) {
		t.Errorf("the second run touched something:\n%v\n%v", before, after)
	}
}

func TestFollowsTheHost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, change   map[string]string
		changed, removed []string
		warned           []string
	}{
		"a new resolver by a re-pointed link, older and of equal size": {
			before:  map[string]string{"run/other.conf": "nameserver 10.0.0.2\n"},
			change:  map[string]string{"etc/resolv.conf": "-> /run/other.conf"},
			changed: []string{"etc/resolv.conf"},
		},
		"a file changed in place within the same moment": {
			change:  map[string]string{"etc/hosts": "127.0.0.2 localhost\n"},
			changed: []string{"etc/hosts"},
		},
		"a file of the host that goes": {
			change:  map[string]string{"etc/services": ""},
			removed: []string{"etc/services"},
		},
		"a module that is named no more goes with what only it needed": {
			change:  map[string]string{"etc/nsswitch.conf": "hosts: files dns\n"},
			changed: []string{"etc/nsswitch.conf"},
			removed: []string{multi + "libdep.so.1", multi + "libnss_one.so.2", multi + "libnss_two.so.2"},
		},
		"a copy that somebody removed comes back": {
			change:  map[string]string{queueDir + "/etc/hosts": ""},
			changed: []string{"etc/hosts"},
		},
		"a copy that somebody changed is mended": {
			change:  map[string]string{queueDir + "/etc/hosts": "127.0.0.1 elsewhere\n"},
			changed: []string{"etc/hosts"},
		},
		"nothing chrooted any more: ours goes, theirs stays": {
			before:  map[string]string{queueDir + "/etc/own": "x", queueDir + "/usr/lib/sasl2/own.conf": "x"},
			change:  map[string]string{"etc/postfix/master.cf": nothing},
			removed: standard,
		},
		"ours that somebody changed is theirs now": {
			change:  map[string]string{"etc/postfix/master.cf": nothing, queueDir + "/etc/hosts": "mine\n"},
			removed: slices.DeleteFunc(slices.Clone(standard), func(s string) bool { return s == "etc/hosts" }),
			warned:  []string{`"etc/hosts" in the queue directory`},
		},
		"synchronisation off: nothing goes and nothing comes": {
			change: map[string]string{"etc/default/postfix": "SYNC_CHROOT=\n", "etc/hosts": "new\n", "etc/services": ""},
		},
		"without a chroot it does not matter that settings are not understood": {
			change:  map[string]string{"etc/default/postfix": "rm x\n", "etc/postfix/master.cf": nothing},
			removed: standard,
			warned:  []string{"/etc/default/postfix:1: "},
		},
		"settings that are not understood remove nothing": {
			before:  map[string]string{"etc/default/postfix": "chroot_extra_files=/etc/extra\n", "etc/extra": "x"},
			change:  map[string]string{"etc/default/postfix": "chroot_extra_files=$(ls /etc/extra)\n", "etc/services": ""},
			removed: nil,
			warned:  []string{"/etc/default/postfix:1: "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := host(t, c.before)
			apply(t, root)
			kept := inQueue(t, root)
			for name, content := range c.change {
				put(t, root, name, content)
			}
			r := apply(t, root)
			want(t, "changed", r.Changed, c.changed)
			want(t, "removed", r.Removed, c.removed)
			warned(t, r, c.warned...)
			kept = slices.DeleteFunc(kept, func(s string) bool { return slices.Contains(c.removed, s) })
			want(t, "left", inQueue(t, root), kept)
			before := sysroottest.Dump(t, root.Dir(), true)
			apply(t, root)
			if after := sysroottest.Dump(t, root.Dir(), true); !reflect.DeepEqual(before, after) {
				t.Errorf("a run with nothing to do touched something:\n%v\n%v", before, after)
			}
		})
	}
}

func TestNothingOfOursIsLeft(t *testing.T) {
	t.Parallel()
	root := host(t, nil)
	before := sysroottest.Dump(t, root.Dir(), false)
	apply(t, root)
	put(t, root, "etc/postfix/master.cf", nothing)
	apply(t, root)
	put(t, root, "etc/postfix/master.cf", chrooted)
	after := sysroottest.Dump(t, root.Dir(), false)
	for _, dir := range []string{"var/lib", "var/lib/postfix-maint", "var/lib/postfix-maint/chroot"} {
		delete(after, dir)
	}
	if !reflect.DeepEqual(before, after) {
		t.Errorf("something is left or lost:\n%v\n%v", before, after)
	}
}

func TestWhatIsPlanned(t *testing.T) {
	t.Parallel()
	ca := map[string]string{
		"etc/ssl/certs/0a775a30.0":          "-> root.pem",
		"etc/ssl/certs/root.pem":            pemCA,
		"etc/ssl/certs/deadbeef.1":          "-> gone.pem",
		"etc/ssl/certs/cafe0000.0/":         "",
		"etc/ssl/certs/sub/11111111.0":      "x",
		"etc/ssl/certs/ca-certificates.crt": "bundle",
		"etc/ssl/certs/0A775A30.0":          "x",
		"srv/ca/22222222.10":                pemCA,
	}
	merge := func(more map[string]string) map[string]string {
		m := maps.Clone(ca)
		maps.Copy(m, more)
		return m
	}
	cf := func(text string) string { return "compatibility_level = 2\nmyhostname = a.example\n" + text }
	for name, c := range map[string]struct {
		files  map[string]string
		more   []string // beside standard
		fewer  []string
		warned []string
	}{
		"no directory of certificates": {files: ca},
		"hashed names of CApath": {
			files: merge(map[string]string{"etc/postfix/main.cf": cf("smtp_tls_CApath = /etc/ssl/certs/\n")}),
			more:  []string{"etc/ssl/certs/0a775a30.0"}, warned: []string{`"/etc/ssl/certs/cafe0000.0": not a regular file`},
		},
		"CApath of a program that is not chrooted": {
			files: merge(map[string]string{"etc/postfix/main.cf": cf("lmtp_tls_CApath = /etc/ssl/certs\n")}),
		},
		"CApath that one service sets": {
			files: merge(map[string]string{
				"etc/postfix/main.cf": cf("top = /srv\n"), "etc/postfix/master.cf": chrooted + "x unix - - y - - smtp\n -o smtp_tls_CApath=$top/ca\n"}),
			more: []string{"srv/ca/22222222.10"},
		},
		"CApath inside the chroot already": {
			files: merge(map[string]string{"etc/postfix/main.cf": cf("smtpd_tls_CApath = $queue_directory/certs\n"), queueDir + "/certs/": ""}),
		},
		"extra directory and files, relative and absolute": {
			files: merge(map[string]string{
				"etc/default/postfix": "chroot_extra_CAdir=srv/ca\nchroot_extra_files='etc/x /etc/y.d/*.pem /none /private/z'\n",
				"etc/x":               "x", "etc/y.d/a.pem": "a", "etc/y.d/b.crt": "b", "private/z": "z"}),
			more:   []string{"etc/x", "etc/y.d/a.pem", "srv/ca/22222222.10"},
			warned: []string{`"/none" of chroot_extra_files`, `"/private/z": its place`},
		},
		"services that find nothing in there": {
			files: map[string]string{"etc/postfix/main.cf": cf(""), "etc/postfix/master.cf": "smtp inet n - y - - smtpd\nlocal unix - n y - - local\n" +
				"lists unix - n y - - pipe\n user=x argv=/x\npolicy unix - n n - - spawn\n"},
			warned: []string{`"postconf -F local/unix/chroot=n"`, `"postconf -F lists/unix/chroot=n"`},
		},
		"accounts for a chrooted smtpd": {
			files: map[string]string{"etc/postfix/main.cf": cf("local_recipient_maps = hash:/x, unix:passwd.byname\n")},
			more:  []string{"etc/passwd"},
		},
		"accounts through proxymap": {
			files: map[string]string{"etc/postfix/main.cf": cf("local_recipient_maps = proxy:unix:passwd.byname $alias_maps\n")},
		},
		"accounts through a chrooted proxymap, by default": {
			files: map[string]string{"etc/postfix/main.cf": "compatibility_level=2\n", "etc/postfix/master.cf": "smtp inet n - y - - smtpd\nproxymap unix - - y - - proxymap\n"},
			more:  []string{"etc/passwd"},
		},
		"a library that is missing": {
			files:  map[string]string{multi + "libdep.so.1": ""},
			fewer:  []string{multi + "libdep.so.1"},
			warned: []string{"library libdep.so.1, which libnss_one.so.2 needs", "library libdep.so.1, which libnss_two.so.2 needs"},
		},
		"programs that cannot be read": {
			files:  map[string]string{"usr/lib/postfix/sbin/smtpd": "#!/bin/sh"},
			fewer:  standard[5:],
			warned: []string{"cannot work out the libraries"},
		},
		"the default of the chroot column by level": {
			files: map[string]string{"etc/postfix/master.cf": "smtp inet n - - - - smtpd\n"},
			fewer: standard,
		},
		"a mail name that is missing is said": {
			files:  map[string]string{"etc/postfix/main.cf": cf("myorigin = /etc/mailname\n")},
			warned: []string{`"/etc/mailname", which myorigin names`},
		},
		"a CApath that cannot be worked out stops nothing": {
			files:  map[string]string{"etc/postfix/main.cf": "compatibility_level=2\nsmtp_tls_CApath = /ca/$myhostname\n"},
			warned: []string{"smtp_tls_CApath: $myhostname is not set"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := host(t, c.files)
			r := apply(t, root)
			names := slices.DeleteFunc(slices.Clone(standard), func(s string) bool { return slices.Contains(c.fewer, s) })
			names = append(names, c.more...)
			slices.Sort(names)
			want(t, "changed", r.Changed, names)
			warned(t, r, c.warned...)
			p, err := plan(t, root).Check()
			if err != nil || p.Changed != nil || p.Removed != nil {
				t.Errorf("then there is still to be done: %+v, %v", p, err)
			}
		})
	}
}

func TestAccountsHaveNoPasswords(t *testing.T) {
	t.Parallel()
	root := host(t, map[string]string{"etc/postfix/main.cf": "compatibility_level=2\nlocal_recipient_maps=unix:passwd.byname\n"})
	apply(t, root)
	if got, want := get(t, root, queueDir+"/etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nlame\n"; got != want {
		t.Errorf("passwd holds %q, want %q", got, want)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no main.cf":                     {map[string]string{"etc/postfix/main.cf": ""}, "main.cf"},
		"no master.cf":                   {map[string]string{"etc/postfix/master.cf": ""}, "master.cf"},
		"no queue directory":             {map[string]string{"etc/postfix/main.cf": "queue_directory=/none\n"}, `"/none"`},
		"a domain of others":             {map[string]string{"etc/postfix/main.cf": "myorigin = Debian.ORG\n"}, `"debian.org"`},
		"a domain of others from a file": {map[string]string{"etc/postfix/main.cf": "myorigin=/etc/mailname\n", "etc/mailname": "ubuntu.com \nx\n"}, `"ubuntu.com"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := planned(host(t, c.files), nil)
			if err == nil {
				_, err = p.Apply()
			}
			if got := fmt.Sprint(err); err == nil || !strings.Contains(got, c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
