package multi

import (
	"context"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"postfix-maint/internal/paths"
)

// keptAside checks that a journal was given another name, and that this was said.
func (f *fake) keptAside() {
	f.t.Helper()
	if there, err := f.root.Exists(paths.InstanceWork); there || err != nil {
		f.t.Errorf("the journal is there: %v, %v", there, err)
	}
	entries, err := f.root.ReadDir(paths.InstanceState)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, e := range entries {
		if name := path.Join(paths.InstanceState, e.Name()); strings.Contains(strings.Join(f.warned, "\n"), name) {
			return
		}
	}
	f.t.Errorf("no warning names what is kept: %v, %q", entries, f.warned)
}

// Whatever one command has left, the next one runs.
func TestNoCommandBlocksAnother(t *testing.T) {
	t.Parallel()
	enable := func(name string) func(*Host) error {
		return func(h *Host) error { return h.Enable(context.Background(), name) }
	}
	disable := func(name string) func(*Host) error {
		return func(h *Host) error { return h.Disable(context.Background(), name) }
	}
	for name, before := range map[string]func(f *fake){
		"the primary instance is disabled": func(f *fake) { must(f.t, f, disable("-")) },
		"a journal that nobody understands": func(f *fake) {
			f.put(f.path(paths.InstanceWork), []byte("{"))
		},
		"an empty journal": func(f *fake) { f.put(f.path(paths.InstanceWork), nil) },
		"a journal of a create into a file": func(f *fake) {
			f.put(f.path("/srv"), []byte("mine"))
			must(f.t, f, func(h *Host) error {
				j := &journal{Action: "create", Made: []string{"/srv"}}
				j.Instance.Name, j.Instance.ConfigDir, j.Instance.QueueDir, j.Instance.DataDir = "postfix-x", "/etc/postfix-x", "/srv", "/srv/data"
				return h.saveJournal(j)
			})
		},
		"a journal of a remove whose configuration is broken": func(f *fake) {
			must(f.t, f, func(h *Host) error {
				j := &journal{Action: "remove"}
				j.Instance.Name, j.Instance.ConfigDir, j.Instance.QueueDir, j.Instance.DataDir = "postfix-x", "/etc/postfix/main.cf", "/etc/postfix/main.cf", "/dev/log"
				return h.saveJournal(j)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, _ := made(t)
			before(f)
			for what, do := range map[string]func(*Host) error{"enable": enable("other")} {
				if _, err := f.survive(do); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
			}
			must(t, f, disable("other"))
			must(t, f, create(Request{Name: "third"}))
			must(t, f, remove("third"))
			must(t, f, enable("-"))
			must(t, f, remove("in"))
			if there, err := f.root.Exists(paths.InstanceWork); there || err != nil {
				t.Errorf("the journal is there: %v, %v", there, err)
			}
		})
	}
}

// A directory that cannot be one is refused before anything is done.
func TestCreateIntoAFile(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]string{"srv/file": "mine", "srv/gone": "-> /nowhere"})
	if err := unix.Mkfifo(f.path("/srv/pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := f.tree()
	for _, dir := range []string{"/srv/file", "/srv/file/below", "/srv/pipe", "/srv/gone", "/srv/gone/below"} {
		for _, req := range []Request{{QueueDir: dir}, {DataDir: dir}, {ConfigDir: dir}} {
			req.Name = "in"
			if _, err := f.survive(create(req)); err == nil || !strings.Contains(err.Error(), dir) {
				t.Errorf("%+v: %v", req, err)
			}
		}
	}
	if diff := cmp.Diff(before, f.tree()); diff != "" {
		t.Errorf("it changes\n%s", diff)
	}
	must(t, f, create(wish))
}
