package generator

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"postfix-maint/internal/sysroot/sysroottest"
)

func TestReadFile(t *testing.T) {
	t.Parallel()
	dir := sysroottest.New(t, map[string]string{
		"etc/main.cf": "a = b\n", "etc/link": "-> main.cf", "etc/dir/": "", "etc/null": "-> /dev/null", "etc/zero": "-> /dev/zero",
		"etc/full": strings.Repeat("x", maxFile), "etc/huge": strings.Repeat("x", maxFile+1),
	}).Dir()
	if err := syscall.Mkfifo(filepath.Join(dir, "etc/pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file string
		size int // -1: an error
	}{
		"a file":                  {"/etc/main.cf", 6},
		"a link to a file":        {"/etc/link", 6},
		"the largest file":        {"/etc/full", maxFile},
		"too large":               {"/etc/huge", -1},
		"a directory":             {"/etc/dir", -1},
		"a pipe nobody writes to": {"/etc/pipe", -1},
		"an empty device":         {"/etc/null", -1},
		"a device without an end": {"/etc/zero", -1},
		"nothing":                 {"/etc/none", -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			data, err := (&Files{Root: dir}).ReadFile(c.file)
			if (err == nil) != (c.size >= 0) || err == nil && len(data) != c.size {
				t.Errorf("got %d bytes, %v; want %d", len(data), err, c.size)
			}
			if d := time.Since(start); d > 10*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
	if _, err := (&Files{Root: dir}).ReadFile("/etc/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
}

// A file that never answers is left out; the others are there, and the first one is not asked for twice.
func TestInstancesGivesUp(t *testing.T) {
	t.Parallel()
	never := make(chan struct{})
	var asked atomic.Int32
	f := &Files{open: func(name string) ([]byte, error) {
		switch name {
		case "/etc/postfix/main.cf":
			return []byte("multi_instance_directories = /a /hung /b\n"), nil
		case "/hung/main.cf":
			asked.Add(1)
			<-never
		}
		return []byte("multi_instance_name = of" + strings.ReplaceAll(filepath.Dir(name), "/", "-") + "\n"), nil
	}}
	start := time.Now()
	insts, errs := f.Instances()
	if d := time.Since(start); d > 10*patience {
		t.Errorf("took %v", d)
	}
	var names []string
	for _, i := range insts {
		names = append(names, i.Name)
	}
	if want := []string{"-", "of-a", "of-b"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), "/hung") || !errors.Is(errs[0], os.ErrDeadlineExceeded) {
		t.Errorf("got %v", errs)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times for the file that hangs", n)
	}
}

// If even the first one hangs the generator still ends.
func TestInstancesWithoutAnyAnswer(t *testing.T) {
	t.Parallel()
	f := &Files{open: func(string) ([]byte, error) { select {} }}
	if insts, errs := f.Instances(); len(insts) != 0 || len(errs) != 1 {
		t.Errorf("got %v, %v", insts, errs)
	}
}

// A fault of ours at one instance, or at the first, is said; the others are there.
func TestInstancesAfterAPanic(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]int{"/b/main.cf": 2, "/etc/postfix/main.cf": 0} {
		f := &Files{open: func(name string) ([]byte, error) {
			if name == at {
				panic("index out of range")
			}
			return []byte("multi_instance_directories = /b /c\nmulti_instance_name = c\n"), nil
		}}
		if insts, errs := f.Instances(); len(insts) != want || len(errs) != 1 || !strings.Contains(errs[0].Error(), "index out of range") {
			t.Errorf("a fault at %s gives %v, %v", at, insts, errs)
		}
	}
}

func TestEnabled(t *testing.T) {
	t.Parallel()
	const wants = "etc/systemd/system/multi-user.target.wants/"
	f := &Files{Root: sysroottest.New(t, map[string]string{
		wants + "postfix@b.service": "-> /x", wants + "postfix@a.service": "-> /x", wants + "postfix.service": "-> /x",
		wants + "postfix@.service": "-> /x", wants + "postfix@c.timer": "-> /x", wants + "xpostfix@d.service": "-> /x",
		"etc/systemd/system/postfix.service.wants/postfix@a.service": "-> /x",
		"etc/systemd/system/postfix.service.wants/postfix@e.service": "-> /x",
		"etc/systemd/system/other.target.wants/postfix@f.service":    "-> /x",
	}).Dir()}
	if got, want := f.Enabled(), []string{"postfix@a.service", "postfix@b.service", "postfix@e.service"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (&Files{Root: t.TempDir()}).Enabled(); len(got) != 0 {
		t.Errorf("nothing is enabled, got %q", got)
	}
}

func TestWriteGoesOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "taken"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	errs := Write(dir, []File{
		{Path: "taken/x", Text: "1"}, {Path: "d/new", Text: "text\n"}, {Path: "../out", Text: "2"}, {Path: "taken", Text: "3"},
		{Path: "d/second", Text: "4"},
	})
	if len(errs) != 3 {
		t.Errorf("got %v, want three errors", errs)
	}
	for n, path := range []string{"taken/x", "../out", "taken"} {
		if n < len(errs) && !strings.Contains(errs[n].Error(), `"`+path+`"`) {
			t.Errorf("error %d is %v, want %q in it", n, errs[n], path)
		}
	}
	got := sysroottest.Dump(t, dir, false)
	for path, want := range map[string]string{"d/new": "file 0644", "d/second": "file 0644", "d": "dir 0755"} {
		if !strings.HasPrefix(got[path], want) {
			t.Errorf("%s is %q, want %q", path, got[path], want)
		}
	}
	if errs := Write(filepath.Join(dir, "none"), []File{{Path: "a/b", Text: "x"}}); len(errs) != 1 {
		t.Errorf("a missing directory: got %v", errs)
	}
}
