package chroot

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

// outside drops the queue directory and our own state from a dump.
func outside(t *testing.T, root *sysroot.Root) map[string]string {
	t.Helper()
	tree := sysroottest.Dump(t, root.Dir(), true)
	for name := range tree {
		if strings.HasPrefix(name, queueDir) || strings.HasPrefix(name, "var/lib") || name == "var" {
			delete(tree, name)
		}
	}
	return tree
}

func TestLinksInTheQueueDirectory(t *testing.T) {
	t.Parallel()
	const ca = "etc/ssl/certs/0a775a30.0"
	withCA := map[string]string{
		"etc/postfix/main.cf": "compatibility_level=2\nmyhostname=a.example\nsmtp_tls_CApath=/etc/ssl/certs\n", ca: pemCA, "victim/": "", "victim/hosts": "keep",
	}
	for name, c := range map[string]struct {
		links  map[string]string
		change map[string]string
		skip   string // prefix of what is not copied
		warned []string
	}{
		"a directory that links to the host's":  {map[string]string{queueDir + "/etc": "-> /etc"}, nil, "etc/", []string{`"etc" is a symbolic link`}},
		"a directory that links out, relative":  {map[string]string{queueDir + "/etc": "-> ../../../victim"}, nil, "etc/", []string{`"etc" is a symbolic link`}},
		"a directory that links inside":         {map[string]string{queueDir + "/etc/ssl": "-> ../pid"}, nil, "etc/ssl/", []string{`"etc/ssl" is a symbolic link`}},
		"a link in the place of a file":         {map[string]string{queueDir + "/etc/hosts": "-> ../../../../victim/hosts"}, nil, "none", nil},
		"a dangling link in the place of one":   {map[string]string{queueDir + "/" + ca: "-> gone.pem"}, nil, "none", nil}, // #1089836
		"a file in the place of a directory":    {map[string]string{queueDir + "/etc/ssl": "x"}, nil, "etc/ssl/", []string{`"etc/ssl" is no directory`}},
		"a directory in the place of a file":    {map[string]string{queueDir + "/etc/localtime/x": "x"}, nil, "etc/localtime", []string{`"etc/localtime" in the queue`}},
		"a directory of ours turned to a link":  {nil, map[string]string{queueDir + "/etc": "", queueDir + "/x": "-> /", queueDir + "/etc2": "-> /etc"}, "none", nil},
		"the whole chroot off behind a link":    {nil, map[string]string{queueDir + "/usr": "", "etc/postfix/master.cf": nothing}, "", nil},
		"unwanted behind a link stays unharmed": {nil, map[string]string{queueDir + "/etc/ssl/certs": "-> /etc/ssl/certs", "etc/postfix/main.cf": "compatibility_level=2\n"}, "", []string{`"etc/ssl/certs" is a symbolic link`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := maps.Clone(withCA)
			maps.Copy(files, c.links)
			root := host(t, files)
			if c.change != nil {
				apply(t, root)
				for name, content := range c.change {
					put(t, root, name, "") // a tree of ours gives way
					if content != "" {
						put(t, root, name, content)
					}
				}
			}
			before := outside(t, root)
			r := apply(t, root)
			warned(t, r, c.warned...)
			if after := outside(t, root); !reflect.DeepEqual(before, after) {
				t.Errorf("something outside was touched:\n%v\n%v", before, after)
			}
			if c.skip == "" {
				return
			}
			for _, want := range append(slices.Clone(standard), ca) {
				fi, err := os.Lstat(filepath.Join(root.Dir(), queueDir, want))
				if there := err == nil && fi.Mode().IsRegular(); there == strings.HasPrefix(want, c.skip) && c.skip != "etc/" {
					t.Errorf("%s: there is %v", want, there)
				}
			}
		})
	}
}

func TestPipesHoldNobody(t *testing.T) {
	t.Parallel()
	root := host(t, map[string]string{"etc/default/postfix": "chroot_extra_files=/etc/pipe\n", queueDir + "/etc/": ""})
	for _, name := range []string{"etc/pipe", "etc/localtime", queueDir + "/etc/hosts", queueDir + "/etc/services"} {
		put(t, root, name, "")
		if err := syscall.Mkfifo(filepath.Join(root.Dir(), name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := apply(t, root)
	warned(t, r, `"/etc/localtime": not a regular file`, `"/etc/pipe": not a regular file`)
	if got := get(t, root, queueDir+"/etc/hosts"); got != "127.0.0.1 localhost\n" {
		t.Errorf("hosts holds %q", got)
	}
}

// An essential file that cannot be copied stops a start only where the chroot has not even an old copy.
func TestEssentialFiles(t *testing.T) {
	t.Parallel()
	root := host(t, nil)
	put(t, root, "etc/localtime", "")
	if err := os.Mkdir(filepath.Join(root.Dir(), "etc/localtime"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(root.Dir(), "etc/hosts"), maxFile+1); err != nil { // sparse
		t.Fatal(err)
	}
	if _, err := plan(t, root).Apply(); err == nil || !strings.Contains(err.Error(), `"/etc/hosts"`) {
		t.Errorf("got %v", err)
	}
	put(t, root, queueDir+"/etc/hosts", "old\n")
	warned(t, apply(t, root), `"/etc/localtime": not a regular file`, `"etc/hosts" up to date`)
	if got := get(t, root, queueDir+"/etc/hosts"); got != "old\n" {
		t.Errorf("hosts holds %q", got)
	}
}

// What is no file to the host's own programs either does not stop a start: an engine that mounts a missing resolv.conf makes a directory.
func TestUselessEssentialFiles(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]func(name string) error{
		"a directory":  func(name string) error { return os.Mkdir(name, 0o755) },
		"a named pipe": func(name string) error { return unix.Mkfifo(name, 0o644) },
		"a loop":       func(name string) error { return os.Symlink("resolv.conf", name) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := host(t, map[string]string{"etc/resolv.conf": ""})
			if err := broken(filepath.Join(root.Dir(), "etc/resolv.conf")); err != nil {
				t.Fatal(err)
			}
			r := apply(t, root)
			if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], `"/etc/resolv.conf"`) {
				t.Errorf("got %q", r.Warnings)
			}
		})
	}
}

func TestModesOfCopies(t *testing.T) {
	t.Parallel()
	needRoot(t)
	root := host(t, map[string]string{"etc/default/postfix": "chroot_extra_files='etc/key etc/root etc/tool'\n", "etc/key": "secret", "etc/root": "secret", "etc/tool": "x"})
	for name, mode := range map[string]os.FileMode{"etc/key": 0o600, "etc/root": 0, "etc/tool": 0o755 | os.ModeSetuid} {
		if err := os.Chmod(filepath.Join(root.Dir(), name), mode); err != nil {
			t.Fatal(err)
		}
	}
	check := func(name string, want os.FileMode) {
		t.Helper()
		if fi, err := root.Stat("/" + queueDir + "/" + name); err != nil || fi.Mode() != want {
			t.Errorf("%s: %v, want %v", name, fi.Mode(), want)
		}
	}
	apply(t, root)
	check("etc/key", 0o600)
	check("etc/root", 0)     // for root alone; an unset mode is another thing
	check("etc/tool", 0o755) // no copy gets more rights than to be run
	for name, mode := range map[string]os.FileMode{"etc/key": 0o640, queueDir + "/etc/tool": 0o777} {
		if err := os.Chmod(filepath.Join(root.Dir(), name), mode); err != nil {
			t.Fatal(err)
		}
	}
	want(t, "changed", apply(t, root).Changed, []string{"etc/key", "etc/tool"})
	check("etc/key", 0o640)
	check("etc/tool", 0o755)
}

// TestOwnersNeedsRoot shows that only a file that not everybody may read keeps its owner.
func TestOwnersNeedsRoot(t *testing.T) {
	t.Parallel()
	needRoot(t)
	root := host(t, map[string]string{"etc/default/postfix": "chroot_extra_files=etc/key\n", "etc/key": "secret"})
	for name, mode := range map[string]os.FileMode{"etc/key": 0o640, "run/resolve/stub.conf": 0o644} {
		real := filepath.Join(root.Dir(), name)
		if err := os.Chown(real, 101, 102); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(real, mode); err != nil {
			t.Fatal(err)
		}
	}
	apply(t, root)
	for name, want := range map[string][2]int{"etc/key": {101, 102}, "etc/resolv.conf": {0, 0}} {
		fi, err := root.Stat("/" + queueDir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if uid, gid := sysroot.Owner(fi); [2]int{uid, gid} != want {
			t.Errorf("%s belongs to %d:%d, want %v", name, uid, gid, want)
		}
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount and to change owners")
	}
}

// bind mounts one path of the tree on another for the time of the test.
func bind(t *testing.T, root *sysroot.Root, from, to string) {
	t.Helper()
	to = filepath.Join(root.Dir(), to)
	if err := unix.Mount(filepath.Join(root.Dir(), from), to, "", unix.MS_BIND, ""); err != nil {
		t.Fatalf("cannot mount on %s: %v", to, err)
	}
	t.Cleanup(func() { _ = unix.Unmount(to, unix.MNT_DETACH) })
}

// TestMountsNeedsRoot is failures C01 and C02: what is mounted into the chroot is the host's.
func TestMountsNeedsRoot(t *testing.T) {
	t.Parallel()
	needRoot(t)
	const cert = "etc/ssl/certs/0a775a30.0"
	setup := func(t *testing.T) *sysroot.Root {
		return host(t, map[string]string{
			"etc/postfix/main.cf": "compatibility_level=2\nmyhostname=a.example\nsmtp_tls_CApath=/etc/ssl/certs\n", cert: pemCA,
			"etc/ssl/certs/server.pem": "x", queueDir + "/etc/ssl/certs/": "", queueDir + "/etc/hosts": "x", "elsewhere": "x",
		})
	}
	t.Run("a directory mounted before the first run", func(t *testing.T) {
		root := setup(t)
		before := outside(t, root)
		bind(t, root, "etc/ssl/certs", queueDir+"/etc/ssl/certs")
		warned(t, apply(t, root), `"etc/ssl/certs" is a mount point`)
		put(t, root, "etc/postfix/master.cf", nothing)
		warned(t, apply(t, root))
		put(t, root, "etc/postfix/master.cf", chrooted)
		if after := outside(t, root); len(after) != len(before) || after[cert] != before[cert] {
			t.Errorf("the host's files changed:\n%v\n%v", before, after)
		}
	})
	t.Run("a directory mounted over copies of ours", func(t *testing.T) {
		root := setup(t)
		apply(t, root)
		bind(t, root, "etc/ssl/certs", queueDir+"/etc/ssl/certs")
		put(t, root, "etc/postfix/main.cf", "compatibility_level=2\n")
		warned(t, apply(t, root), `"etc/ssl/certs" is a mount point in the queue directory "/var/spool/postfix": what we have put there stays`)
		if got := get(t, root, cert); got != pemCA {
			t.Errorf("the host's certificate holds %q", got)
		}
		if err := unix.Unmount(filepath.Join(root.Dir(), queueDir, "etc/ssl/certs"), unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
		want(t, "removed once the mount is gone", apply(t, root).Removed, []string{cert})
	})
	t.Run("a file", func(t *testing.T) {
		root := setup(t)
		bind(t, root, "etc/hosts", queueDir+"/etc/hosts")
		r := apply(t, root)
		warned(t, r) // it is the host's own
		if slices.Contains(r.Changed, "etc/hosts") {
			t.Error("a mounted file was written")
		}
	})
	t.Run("a foreign file", func(t *testing.T) {
		root := setup(t)
		bind(t, root, "elsewhere", queueDir+"/etc/hosts")
		warned(t, apply(t, root), `"etc/hosts" is a mount point`)
		if got := get(t, root, "elsewhere"); got != "x" {
			t.Errorf("the file behind holds %q", got)
		}
	})
	t.Run("another file system over everything", func(t *testing.T) {
		root := setup(t)
		to := filepath.Join(root.Dir(), queueDir)
		if err := unix.Mount("tmpfs", to, "tmpfs", 0, "size=4m"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(to, unix.MNT_DETACH) })
		r := apply(t, root)
		warned(t, r)
		if len(r.Changed) != len(standard)+1 {
			t.Errorf("a queue directory of its own file system is not filled: %q", r.Changed)
		}
		if fi, err := os.Stat(filepath.Join(to, "dev")); err != nil || !fi.IsDir() {
			t.Errorf("a syslog daemon could not listen in there: %v", err)
		}
	})
	t.Run("a full file system is an error for what is essential only", func(t *testing.T) {
		root := setup(t)
		to := filepath.Join(root.Dir(), queueDir)
		if err := unix.Mount("tmpfs", to, "tmpfs", 0, "size=4k,nr_inodes=8"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(to, unix.MNT_DETACH) })
		r, err := plan(t, root).Apply()
		if err == nil || !strings.Contains(err.Error(), "/etc/resolv.conf") && !strings.Contains(err.Error(), "/etc/hosts") {
			t.Errorf("got %v", err)
		}
		if said := strings.Count(strings.Join(r.Warnings, "\n"), "cannot copy"); said != 1 {
			t.Errorf("said %d times: %q", said, r.Warnings)
		}
	})
}

// TestHugeThingsInTheQueueDirectory shows that what somebody else puts there, who owns a directory on the way, is neither read nor walked
// without a bound.
func TestHugeThingsInTheQueueDirectory(t *testing.T) {
	t.Parallel()
	root := host(t, nil)
	apply(t, root)
	put(t, root, "etc/postfix/master.cf", nothing)
	real := filepath.Join(root.Dir(), queueDir)
	if err := os.Truncate(filepath.Join(real, "etc/hosts"), 1<<42); err != nil { // sparse: more than any memory
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(real, strings.Repeat("d/", 1000)), 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := plan(t, root).Inspect()
	if err != nil {
		t.Fatal(err)
	}
	warned(t, r, "one in the other", `"etc/hosts" in the queue directory "/var/spool/postfix" is not needed any more and was changed`)
	warned(t, apply(t, root), `"etc/hosts"`)
}
