package watch

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ways are how the name etc/f in a tree comes to mean other bytes: the tree before, what is done before the change, the change.
var ways = map[string]struct {
	before func(d dirs) error
	change func(d dirs) error
}{
	"a write in place":              {put("etc/f", "a"), put("etc/f", "b")},
	"a write of the same size":      {put("etc/f", "a"), put("etc/f", "a")},
	"it appears":                    {mkdir("etc"), put("etc/f", "a")},
	"it goes":                       {put("etc/f", "a"), remove("etc/f")},
	"another in its place":          {all(put("etc/f", "a"), put("etc/g", "b")), rename("etc/g", "etc/f")},
	"a write through another name":  {all(put("etc/f", "a"), hardlink("etc/f", "x")), put("x", "b")},
	"another link in its place":     {all(put("a", "a"), put("b", "b"), link("../a", "etc/f"), link("../b", "etc/g")), rename("etc/g", "etc/f")},
	"a link's target":               {all(link("../run/f", "etc/f"), put("run/f", "a")), put("run/f", "b")},
	"a link's target by its rename": {all(link("../run/f", "etc/f"), put("run/f", "a"), put("run/g", "b")), rename("run/g", "run/f")},
	"a target that comes later":     {all(link("../run/f", "etc/f"), mkdir("run")), put("run/f", "b")},
	"the target's directory comes later, and then the target": {
		all(link("../run/net/f", "etc/f"), mkdir("run")), put("run/net/f", "b")},
	"several directories come later":         {link("../run/a/b/c/f", "etc/f"), put("run/a/b/c/f", "b")},
	"the target's directory is made anew":    {all(link("../run/net/f", "etc/f"), put("run/net/f", "a")), all(remove("run/net"), put("run/net/f", "b"))},
	"the target's directory is another":      {all(link("../run/f", "etc/f"), put("run/f", "a"), put("new/f", "b")), all(rename("run", "old"), rename("new", "run"))},
	"the second link of a chain":             {all(link("../one", "etc/f"), link("two", "one"), put("two", "a"), put("b", "b")), all(remove("one"), link("b", "one"))},
	"the last link of three":                 {all(link("../one", "etc/f"), link("two", "one"), link("three", "two"), put("three", "a"), put("b", "b"), link("b", "t")), rename("t", "two")},
	"the target of a chain":                  {all(link("../one", "etc/f"), link("two", "one"), put("two", "a")), put("two", "b")},
	"a link on the way to the directory":     {all(link("../d/f", "etc/f"), link("x", "d"), put("x/f", "a"), put("y/f", "b")), all(remove("d"), link("y", "d"))},
	"a link on the way, by rename":           {all(link("../d/f", "etc/f"), link("x", "d"), put("x/f", "a"), put("y/f", "b"), link("y", "e")), rename("e", "d")},
	"behind a link with ..":                  {all(link("../d/../f", "etc/f"), link("x/y", "d"), put("x/f", "a"), mkdir("x/y")), put("x/f", "b")},
	"its own directory is another":           {all(put("etc/f", "a"), put("new/f", "b")), all(rename("etc", "old"), rename("new", "etc"))},
	"an absolute link":                       {func(d dirs) error { return all(put("run/f", "a"), link(filepath.Join(string(d), "run/f"), "etc/f"))(d) }, put("run/f", "b")},
	"a directory in its place":               {put("etc/f", "a"), all(remove("etc/f"), mkdir("etc/f"))},
	"a file in the place of the directory":   {all(link("../run/f", "etc/f"), put("run", "a")), all(remove("run"), put("run/f", "b"))},
	"a circle of links, and then none":       {all(link("f", "etc/f")), all(remove("etc/f"), put("etc/f", "b"))},
	"a file that stays open while written":   {put("etc/f", "a"), held("etc/f")},
	"many changes before it is looked again": {all(put("etc/f", "a"), put("etc/g", "a")), all(put("etc/f", "b"), remove("etc/f"), rename("etc/g", "etc/f"), put("etc/f", "c"))},
}

type dirs string

type step = func(d dirs) error

func (d dirs) at(name string) string { return filepath.Join(string(d), name) }

func put(name, text string) step {
	return func(d dirs) error {
		return errors.Join(os.MkdirAll(filepath.Dir(d.at(name)), 0o755), os.WriteFile(d.at(name), []byte(text), 0o644))
	}
}
func mkdir(name string) step  { return func(d dirs) error { return os.MkdirAll(d.at(name), 0o755) } }
func remove(name string) step { return func(d dirs) error { return os.RemoveAll(d.at(name)) } }
func rename(from, to string) step {
	return func(d dirs) error { return os.Rename(d.at(from), d.at(to)) }
}
func hardlink(from, to string) step {
	return func(d dirs) error { return os.Link(d.at(from), d.at(to)) }
}
func link(target, name string) step {
	return func(d dirs) error {
		return errors.Join(os.MkdirAll(filepath.Dir(d.at(name)), 0o755), os.Symlink(target, d.at(name)))
	}
}
func held(name string) step {
	return func(d dirs) error {
		f, err := os.OpenFile(d.at(name), os.O_WRONLY|os.O_APPEND, 0)
		if err == nil {
			_, err = f.WriteString("b")
		}
		runtime.AddCleanup(&d, func(f *os.File) { f.Close() }, f)
		return err
	}
}
func all(steps ...step) step {
	return func(d dirs) error {
		for _, s := range steps {
			if err := s(d); err != nil {
				return err
			}
		}
		return nil
	}
}

const long = time.Minute // no test waits for it but one that fails

// Every way is noticed, the second time as well, by events alone; and what happens beside the name is not.
func TestWays(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := dirs(t.TempDir())
			if err := way.before(d); err != nil {
				t.Fatal(err)
			}
			w := New(d.at("etc/f"))
			defer w.Close()
			if err := way.change(d); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if !w.Wait(long) || w.dark || time.Since(start) >= long {
				t.Fatal("it is not noticed")
			}
			if err := all(remove("etc/f"), put("etc/f", "last"))(d); err != nil {
				t.Fatal(err)
			}
			if !w.Wait(long) {
				t.Error("what comes after it is not noticed")
			}
			for w.Wait(0) { // what is left of it
			}
			if err := all(put("etc/other", "x"), put("other", "x"), remove("etc/other"))(d); err != nil {
				t.Fatal(err)
			}
			if w.Wait(0) {
				t.Error("another file's change is taken for it")
			}
		})
	}
}

// Where the kernel has no watches left, or tells nothing, a look now and then has to do.
func TestBlind(t *testing.T) {
	for name, spoil := range map[string]func(w *Watch){
		"no inotify": func(w *Watch) {
			unix.Close(w.events)
			w.events = -1
		},
		"no watches": func(w *Watch) { w.dark = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := dirs(t.TempDir())
			if err := put("etc/f", "a")(d); err != nil {
				t.Fatal(err)
			}
			w := New(d.at("etc/f"))
			defer w.Close()
			spoil(w)
			if w.Wait(0) {
				t.Error("nothing has happened")
			}
			spoil(w)
			if err := put("etc/f", "bb")(d); err != nil {
				t.Fatal(err)
			}
			if !w.Wait(long) {
				t.Error("it is not noticed")
			}
		})
	}
}

// Something that is mounted over a name, or over a directory on the way, or is taken away, changes what it means without an event.
func TestMountsNeedRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: file systems are mounted")
	}
	done := make(chan string)
	go func() { // a thread with a view of its own, which ends with it
		runtime.LockOSThread()
		done <- mounts(t.TempDir())
	}()
	if trouble := <-done; trouble != "" {
		t.Error(trouble)
	}
}

func mounts(dir string) (trouble string) {
	d := dirs(dir)
	err := errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		all(put("run/f", "a"), link("../run/f", "etc/f"), put("b", "b"), put("new/f", "b"))(d))
	if err != nil {
		return err.Error()
	}
	w := New(d.at("etc/f"))
	defer w.Close()
	unix.Close(w.mounts)
	w.mountsOf("/proc/thread-self/mountinfo") // the process has another view
	for _, s := range []struct {
		what string
		do   func() error
	}{
		{"a mount over the file", func() error { return unix.Mount(d.at("b"), d.at("run/f"), "", unix.MS_BIND, "") }},
		{"its end", func() error { return unix.Unmount(d.at("run/f"), 0) }},
		{"a mount over the directory", func() error { return unix.Mount(d.at("new"), d.at("run"), "", unix.MS_BIND, "") }},
		{"its end", func() error { return unix.Unmount(d.at("run"), 0) }},
	} {
		if err := s.do(); err != nil {
			return s.what + ": " + err.Error()
		}
		if start := time.Now(); !w.Wait(long) || time.Since(start) >= long {
			return s.what + " is not noticed"
		}
	}
	return ""
}
