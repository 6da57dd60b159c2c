package sysroot_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

func TestResolveStaysInTheTree(t *testing.T) {
	r := sysroottest.New(t, map[string]string{
		"etc/resolv.conf": "-> ../run/resolv.conf", "run/resolv.conf": "x", "etc/abs": "-> /run/resolv.conf",
		"out": "-> ../../../../etc", "loop": "-> loop", "lib": "-> usr/lib", "usr/lib/a": "a", "etc/missing": "-> /srv/none",
	})
	for name, c := range map[string]struct{ path, want string }{
		"a relative link is followed":                {"/etc/resolv.conf", "/run/resolv.conf"},
		"an absolute link starts at the tree's root": {"/etc/abs", "/run/resolv.conf"},
		"dots can't climb out":                       {"/out/passwd", "/etc/passwd"},
		"a directory link is followed":               {"/lib/a", "/usr/lib/a"},
		"what is not there yet has a place":          {"/new/dir/file", "/new/dir/file"},
		"a dangling link names its target":           {"/etc/missing", "/srv/none"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := r.Resolve(c.path)
			if want := filepath.Join(r.Dir(), c.want); err != nil || got != want {
				t.Errorf("Resolve(%q) = %q, %v; want %q", c.path, got, err, want)
			}
		})
	}
	if _, err := r.Resolve("/loop"); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a loop gives %v, want ELOOP", err)
	}
	if got, _ := r.Path("/etc/abs"); got != filepath.Join(r.Dir(), "etc/abs") {
		t.Errorf("Path follows the last element: %q", got)
	}
	if _, err := r.Resolve("etc"); err == nil {
		t.Error("a relative path is taken")
	}
}

func TestExistsTellsMissingFromUnreadable(t *testing.T) {
	r := sysroottest.New(t, map[string]string{"file": "x", "dangling": "-> nowhere", "loop": "-> loop"})
	for name, c := range map[string]struct {
		path string
		want bool
		err  bool
	}{
		"a file is there":         {"/file", true, false},
		"a dangling link is not":  {"/dangling", false, false},
		"below a file is nothing": {"/file/x", false, false},
		"a loop is an error":      {"/loop", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := r.Exists(c.path)
			if got != c.want || (err != nil) != c.err {
				t.Errorf("Exists(%q) = %v, %v", c.path, got, err)
			}
		})
	}
}

func TestWriteFile(t *testing.T) {
	r := sysroottest.New(t, map[string]string{"etc/main.cf": "old\n", "etc/link.cf": "-> main.cf", "etc/dir/": ""})
	main := filepath.Join(r.Dir(), "etc/main.cf")
	if err := os.Chmod(main, 0o640); err != nil {
		t.Fatal(err)
	}
	changed, err := r.WriteFile("/etc/link.cf", []byte("new\n"), sysroot.Attr{Mode: 0o644})
	if err != nil || !changed {
		t.Fatalf("WriteFile = %v, %v", changed, err)
	}
	tree := sysroottest.Dump(t, r.Dir(), false)
	if tree["etc/link.cf"] != "symlink main.cf" {
		t.Errorf("the link became %q", tree["etc/link.cf"])
	}
	if fi, _ := os.Stat(main); fi.Mode().Perm() != 0o640 {
		t.Errorf("the mode became %v, want the administrator's 0640", fi.Mode())
	}
	if data, _ := os.ReadFile(main); string(data) != "new\n" {
		t.Errorf("content %q", data)
	}
	before := sysroottest.Dump(t, r.Dir(), true)
	if changed, err := r.WriteFile("/etc/main.cf", []byte("new\n"), sysroot.Attr{}); err != nil || changed {
		t.Errorf("the same content: %v, %v", changed, err)
	}
	for p, what := range sysroottest.Dump(t, r.Dir(), true) {
		if before[p] != what {
			t.Errorf("%s was touched: %q, before %q", p, what, before[p])
		}
	}
	if _, err := r.WriteFile("/etc/dir", nil, sysroot.Attr{}); !errors.Is(err, syscall.EISDIR) {
		t.Errorf("a directory in the place: %v", err)
	}
	if changed, err := r.WriteFile("/etc/main.cf", []byte("new\n"), sysroot.Attr{Mode: 0o600, UID: os.Getuid(), GID: os.Getgid(), Force: true}); err != nil || !changed {
		t.Errorf("forced mode: %v, %v", changed, err)
	}
	if len(sysroottest.Dump(t, r.Dir(), false)) != len(before) {
		t.Error("a temporary file was left behind")
	}
}

func TestReplaceNeverLeavesTheDirectory(t *testing.T) {
	sysroottest.NeedsRoot(t)
	r := sysroottest.New(t, map[string]string{"queue/etc/": "", "secret": "host's", "queue/etc/hosts": "-> ../../secret"})
	dir, err := os.OpenRoot(filepath.Join(r.Dir(), "queue/etc"))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if changed, err := sysroot.Replace(dir, "hosts", []byte("ours"), sysroot.Attr{}); err != nil || !changed {
		t.Fatalf("Replace = %v, %v", changed, err)
	}
	if data, _ := r.ReadFile("/secret"); string(data) != "host's" {
		t.Errorf("wrote through the link: %q", data)
	}
	if _, err := sysroot.Replace(dir, "../secret", nil, sysroot.Attr{}); err == nil {
		t.Error("a path is taken for a name")
	}
}

func TestMkdirAllAndRemove(t *testing.T) {
	r := sysroottest.New(t, map[string]string{"var/file": "x"})
	own := sysroot.Attr{Mode: 0o730 | fs.ModeSticky, UID: os.Getuid(), GID: os.Getgid()}
	for i, want := range []bool{true, false} {
		if changed, err := r.MkdirAll("/var/spool/postfix/maildrop", own); changed != want || err != nil {
			t.Errorf("run %d: MkdirAll = %v, %v", i, changed, err)
		}
	}
	fi, err := r.Stat("/var/spool/postfix/maildrop")
	if err != nil || fi.Mode() != fs.ModeDir|fs.ModeSticky|0o730 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	if _, err := r.MkdirAll("/var/file", own); err == nil {
		t.Error("a file in the directory's place is taken")
	}
	for i, want := range []bool{true, false} {
		if changed, err := r.Remove("/var/file"); changed != want || err != nil {
			t.Errorf("run %d: Remove = %v, %v", i, changed, err)
		}
	}
}

func TestSymlink(t *testing.T) {
	r := sysroottest.New(t, map[string]string{"a": "file"})
	for i, want := range []bool{true, false} {
		if changed, err := r.Symlink("/usr/x", "/a"); changed != want || err != nil {
			t.Errorf("run %d: Symlink = %v, %v", i, changed, err)
		}
	}
	if target, err := r.Readlink("/a"); target != "/usr/x" || err != nil {
		t.Errorf("Readlink = %q, %v", target, err)
	}
}

func TestReadFileOfWhatIsNone(t *testing.T) {
	r := sysroottest.New(t, map[string]string{"dir/": "", "file": "text", "large": ""})
	for _, err := range []error{
		syscall.Mkfifo(filepath.Join(r.Dir(), "pipe"), 0o600), os.Symlink("loop", filepath.Join(r.Dir(), "loop")),
		os.Truncate(filepath.Join(r.Dir(), "large"), 4<<30), // sparse
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if data, err := r.ReadFile("/file"); string(data) != "text" || err != nil {
		t.Errorf("a file: %q, %v", data, err)
	}
	for _, name := range []string{"/dir", "/pipe", "/loop", "/large"} {
		if data, err := r.ReadFile(name); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %d bytes, %v", name, len(data), err)
		}
	}
	if _, err := r.ReadFile("/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
}

func TestReadFrom(t *testing.T) {
	r := sysroottest.New(t, map[string]string{"log": "one\n", "dir/": ""})
	file := filepath.Join(r.Dir(), "log")
	read := func(from int64, want string, next int64) {
		t.Helper()
		if data, n, err := r.ReadFrom("/log", from, 6); string(data) != want || n != next || err != nil {
			t.Errorf("ReadFrom(%d) = %q, %d, %v; want %q, %d", from, data, n, err, want, next)
		}
	}
	read(4, "", 4)
	_ = os.WriteFile(file, []byte("one\ntwo\nthree\n"), 0o644)
	read(4, "two\nth", 10)
	read(10, "ree\n", 14)
	_ = os.WriteFile(file, []byte("anew\n"), 0o644) // rotated
	read(14, "anew\n", 5)
	if _, _, err := r.ReadFrom("/dir", 0, 6); err == nil {
		t.Error("a directory is read")
	}
}
