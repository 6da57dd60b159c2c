package multi

import (
	"context"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
)

var wish = Request{Name: "in", Set: []string{"inet_interfaces=10.0.0.2", "master_service_disable="}}

func create(req Request) func(*Host) error {
	return func(h *Host) error { return h.Create(context.Background(), req) }
}

func remove(name string) func(*Host) error {
	return func(h *Host) error { return h.Remove(context.Background(), name, false) }
}

func must(t *testing.T, f *fake, do func(*Host) error) {
	t.Helper()
	if _, err := f.survive(do); err != nil {
		t.Fatal(err)
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	must(t, f, create(wish))
	main, _ := f.root.ReadFile("/etc/postfix-in/main.cf")
	got, err := maincf.Parse(main)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"multi_instance_name": "postfix-in", "multi_instance_enable": "yes", "queue_directory": "/var/spool/postfix-in",
		"data_directory": "/var/lib/postfix-in", "inet_interfaces": "10.0.0.2", "master_service_disable": "",
	} {
		if v, _ := got.Get(name); v != want {
			t.Errorf("%s = %q, want %q", name, v, want)
		}
	}
	tree := f.tree()
	for name, want := range map[string]string{
		"var/spool/postfix-in/etc/resolv.conf": "file", "var/spool/postfix-in/dev": "dir", "etc/rsyslog.d/postfix-maint-postfix-in.conf": "file",
		"etc/systemd/system/postfix.service.wants/postfix@postfix-in.service": "symlink",
	} {
		if !strings.HasPrefix(tree[name], want) {
			t.Errorf("%s is %q, want a %s", name, tree[name], want)
		}
	}
	if !f.active["postfix@postfix-in.service"] {
		t.Error("it does not run")
	}
	if master, _ := f.root.ReadFile("/etc/postfix-in/master.cf"); strings.Contains(string(master), "syslog_name=postfix/") {
		t.Errorf("services log as the primary instance:\n%s", master)
	}
	if socket, _ := f.root.ReadFile("/etc/rsyslog.d/postfix-maint-postfix-in.conf"); !strings.Contains(string(socket), "/var/spool/postfix-in/dev/log") {
		t.Errorf("the socket is not made:\n%s", socket)
	}
	if _, err := f.survive(create(wish)); err == nil {
		t.Error("a second create makes it again")
	}
	if diff := cmp.Diff(tree, f.tree()); diff != "" {
		t.Errorf("a second create changes something:\n%s", diff)
	}
}

// Where the primary instance was taken out of its chroot a new one starts outside as well.
func TestANewInstanceFollowsChrootOff(t *testing.T) {
	t.Parallel()
	for master, want := range map[string]string{
		"smtp inet n - n - - smtpd\nrelay unix - - n - - smtp\n": "n",
		"smtp inet n - n - - smtpd\nrelay unix - - y - - smtp\n": "y", // one by one is no choice for others
		"broken\n": "y",
	} {
		f := newFake(t, map[string]string{"etc/postfix/master.cf": master})
		must(t, f, create(wish))
		data, err := f.root.ReadFile("/etc/postfix-in/master.cf")
		if err != nil {
			t.Fatal(err)
		}
		made, err := mastercf.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range made.Services() {
			if s.Chroot != want {
				t.Errorf("%q: a new instance's %s/%s has chroot = %s, want %s", master, s.Name, s.Type, s.Chroot, want)
			}
		}
	}
}

// Debian's prototype of sid has its services outside of the chroot, and so has the new instance only where the primary one has.
func TestANewInstanceIsChrootedAsThePrimaryOne(t *testing.T) {
	t.Parallel()
	for master, want := range map[string]string{
		"smtp inet n - n - - smtpd\n": "n",
		"smtp inet n - y - - smtpd\n": "y",
	} {
		f := newFake(t, map[string]string{"etc/postfix/master.cf": master, "etc/postfix/master.cf.proto": "smtp inet n - n - - smtpd\nlocal unix - n n - - local\n"})
		must(t, f, create(wish))
		data, err := f.root.ReadFile("/etc/postfix-in/master.cf")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), " "+want+" - - smtpd\n") || !strings.Contains(string(data), " n - - local\n") {
			t.Errorf("beside %q the new instance has %q", master, data)
		}
	}
}

func TestDryRunTouchesNothing(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	before := f.tree()
	h := f.host()
	h.DryRun = true
	if err := h.Create(context.Background(), wish); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, f.tree()); diff != "" || len(f.calls) > 0 {
		t.Errorf("it called %q and changed\n%s", f.calls, diff)
	}
	if len(f.shown) < 5 {
		t.Errorf("it shows only %q", f.shown)
	}
}

// What fails is taken back, wherever it fails.
func TestCreateThatFails(t *testing.T) {
	t.Parallel()
	for _, failing := range []string{"getent passwd", "getent group", " -c /etc/postfix-in ", "enable postfix@", "daemon-reload", "start "} {
		t.Run(failing, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, nil)
			before := f.tree()
			f.failing = failing
			_, err := f.survive(create(wish))
			if err == nil || !strings.Contains(err.Error(), "it is said to fail") {
				t.Fatalf("the error is %v", err)
			}
			if failing == "daemon-reload" { // fails while it is taken back, too: the next command goes on
				f.failing = ""
				must(t, f, remove("in"))
			}
			if diff := cmp.Diff(before, f.tree()); diff != "" {
				t.Errorf("left behind:\n%s", diff)
			}
			f.failing = ""
			must(t, f, create(wish))
		})
	}
}

// The power is cut at every step of a create. A second create then ends in the same state as one that was never cut, and a
// remove leaves what was there before, but for the switch of postmulti -e init.
func TestCreateThatIsCut(t *testing.T) {
	t.Parallel()
	for name, req := range map[string]Request{
		"from the prototypes": wish,
		"from an instance":    {Name: "in", From: "-", Set: wish.Set},
		"what is there":       {Name: "in", ConfigDir: "/srv/there", Set: wish.Set},
		"not enabled":         {Name: "in", ConfigDir: "/srv/new/in/etc", QueueDir: "/srv/new/in/queue", Disabled: true, Group: "g"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			there := map[string]string{
				"srv/there/main.cf":   "queue_directory = /srv/q\ndata_directory=/srv/d\nmulti_instance_group = old\n",
				"srv/there/master.cf": smtpLine, "srv/q/": "", "srv/d/": "", "srv/there/table": "mine",
			}
			whole := newFake(t, there)
			must(t, whole, create(req))
			want := whole.tree()
			stride := 2
			if req.From+req.ConfigDir == "" {
				stride = 1
			}
			for cut := 1; ; cut += stride {
				f := newFake(t, there)
				f.dieAt = cut
				dead, err := f.survive(create(req))
				if !dead {
					if cut < 12 || err != nil {
						t.Fatalf("only %d steps, %v", cut, err)
					}
					break
				}
				if cut%3 == 0 { // the second one is cut as well
					f.dieAt = f.steps + cut/2 + 1
					_, err = f.survive(create(req))
				}
				f.dieAt = 0
				if err == nil {
					_, err = f.survive(create(req))
				}
				if err != nil && !strings.Contains(err.Error(), "already") { // the first or second one was complete
					t.Fatalf("cut at step %d (%s): %v", cut, f.shown[len(f.shown)-1], err)
				}
				if diff := cmp.Diff(want, f.tree()); diff != "" {
					t.Fatalf("cut at step %d, the second create leaves another state:\n%s\n%s", cut, diff, strings.Join(f.shown, "\n"))
				}
				if f.active["postfix@postfix-in.service"] == req.Disabled {
					t.Fatalf("cut at step %d: active is %v", cut, !req.Disabled)
				}
			}
		})
	}
}

func TestCutCreateIsRemoved(t *testing.T) {
	t.Parallel()
	before := newFake(t, nil).tree()
	for cut := 1; ; cut++ {
		f := newFake(t, nil)
		f.dieAt = cut
		if dead, err := f.survive(create(wish)); !dead {
			if err != nil || cut < 15 {
				t.Fatalf("only %d steps, %v", cut, err)
			}
			break
		}
		if f.dieAt = 0; cut > 1 { // at the first step there is nothing yet
			f.halfWrites()
			must(t, f, remove("in"))
		}
		after := f.tree()
		if cut > 2 && after["etc/postfix/main.cf"] != before["etc/postfix/main.cf"] {
			// Complete ones have been an instance: what "init" set stays.
			if main, _ := f.root.ReadFile("/etc/postfix/main.cf"); strings.Contains(string(main), "postfix-in") {
				t.Fatalf("cut at step %d: still on the list", cut)
			}
			after["etc/postfix/main.cf"] = before["etc/postfix/main.cf"]
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Fatalf("cut at step %d, a remove leaves\n%s", cut, diff)
		}
	}
}

// An interrupted create that somebody went on with by hand is not taken back; no later command waits for that.
func TestCutCreateThatWasTakenUp(t *testing.T) {
	t.Parallel()
	for name, up := range map[string]func(*fake){
		"edited": func(f *fake) {
			name := f.path("/etc/postfix-in/main.cf")
			fi, err := os.Stat(name)
			if err == nil {
				err = os.Chtimes(name, fi.ModTime(), fi.ModTime().Add(48*3600e9))
			}
			if err != nil {
				f.t.Fatal(err)
			}
		},
		"main.cf got another line at once":   func(f *fake) { f.append("/etc/postfix-in/main.cf") },
		"master.cf got another line at once": func(f *fake) { f.append("/etc/postfix-in/master.cf") },
		"runs":                               func(f *fake) { f.active["postfix@postfix-in.service"] = true },
		"has mail": func(f *fake) {
			f.put(f.path("/var/spool/postfix-in/maildrop/A1"), []byte("mail"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, nil)
			h := f.host()
			shown := h.Show
			h.Show = func(c Change) {
				if strings.HasPrefix(c.What, "check") {
					panic(died{})
				}
				shown(c)
			}
			if dead, err := f.survive(func(*Host) error { return h.Create(context.Background(), wish) }); !dead {
				t.Fatal(err)
			}
			up(f)
			before := f.tree()
			must(t, f, create(Request{Name: "other"}))
			f.keptAside()
			for _, kept := range []string{"etc/postfix-in/main.cf", "etc/postfix-in/master.cf", "var/spool/postfix-in/maildrop"} {
				if after := f.tree(); after[kept] != before[kept] {
					t.Errorf("%s was %q, is %q", kept, before[kept], after[kept])
				}
			}
		})
	}
}

// The mode of a main.cf that postmulti(1) has edited stays, as does all that was there before a create which fails.
func TestCreateKeepsWhatWasThere(t *testing.T) {
	t.Parallel()
	const link = "etc/systemd/system/multi-user.target.wants/postfix@there.service"
	f := newFake(t, map[string]string{
		"etc/postfix-there/main.cf":   "queue_directory = /srv/q\ndata_directory=/srv/d\nrelayhost = kept\n",
		"etc/postfix-there/master.cf": "", "srv/q/": "", "srv/d/": "", link: "-> /x",
	})
	for _, name := range []string{"/etc/postfix/main.cf", "/etc/postfix-there/main.cf"} {
		if err := os.Chmod(f.path(name), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	before := f.tree()
	f.failing = "start "
	req := Request{Name: "there", Set: []string{"relayhost=x"}}
	if _, err := f.survive(create(req)); err == nil {
		t.Fatal("the start does not fail")
	}
	if diff := cmp.Diff(before, f.tree()); diff != "" {
		t.Errorf("left behind:\n%s", diff)
	}
	f.failing = ""
	must(t, f, create(req))
	for name, what := range f.tree() {
		if path.Base(name) == "main.cf" && !strings.HasPrefix(what, "file 0640") {
			t.Errorf("%s is now %s", name, what)
		}
	}
}

// A queue that was there before may hold anything, so its first start looks at it.
func TestAFoundQueueIsChecked(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]string{"var/spool/postfix-in/": ""})
	must(t, f, create(wish))
	if len(f.quick) > 0 || !f.active["postfix@postfix-in.service"] {
		t.Errorf("starts without Postfix's checks: %q; running: %v", f.quick, f.active)
	}
}

// "postmulti -e init" of a create that is taken back stays in force if another instance was made since.
func TestTakeBackKeepsOthers(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	f.dieAt = 12
	if dead, err := f.survive(create(wish)); !dead {
		t.Fatal(err)
	}
	f.dieAt = 0
	other := newFake(t, nil) // made by hand meanwhile
	must(t, other, create(Request{Name: "other", Disabled: true}))
	for _, dir := range []string{"/etc/postfix-other", "/var/spool/postfix-other", "/var/lib/postfix-other"} {
		if err := os.CopyFS(f.path(dir), os.DirFS(other.path(dir))); err != nil {
			t.Fatal(err)
		}
	}
	f.set("/etc/postfix", maincf.Set("multi_instance_directories", "/etc/postfix-other"))
	must(t, f, remove("in"))
	s, err := f.host().readSite()
	if err != nil || len(s.dirs) != 1 || !s.initialised() {
		t.Errorf("the list is %q, initialised: %v, %v", s.dirs, s.initialised(), err)
	}
}

func TestCommentOut(t *testing.T) {
	t.Parallel()
	const text = "# a = 1\na = 1\n  2\n\n# c\n\t3\nb=1\n 2\na\t=\nab = 1\n"
	const want = "# a = 1\n#a = 1\n#  2\n\n# c\n#\t3\nb=1\n 2\n#a\t=\nab = 1\n"
	if got := string(commentOut([]byte(text), []string{"a", "c"})); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A remove of an interrupted create that was edited by hand treats it as any instance: nothing waits for the journal.
func TestRemoveOfEditedCutCreate(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	before := f.tree()
	h := f.host()
	shown := h.Show
	h.Show = func(c Change) {
		if strings.HasPrefix(c.What, "check") {
			panic(died{})
		}
		shown(c)
	}
	if dead, err := f.survive(func(*Host) error { return h.Create(context.Background(), wish) }); !dead {
		t.Fatal(err)
	}
	f.append("/etc/postfix-in/master.cf")
	must(t, f, remove("in"))
	f.keptAside()
	after := f.tree()
	for name := range after {
		if _, there := before[name]; !there && strings.Contains(name, "postfix-in") {
			t.Errorf("%s is left", name)
		}
	}
}
