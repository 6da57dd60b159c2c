package multi

import (
	"context"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/instance"
)

// made is a host with a running instance that an administrator has added a table to.
func made(t *testing.T) (f *fake, before map[string]string) {
	t.Helper()
	f = newFake(t, nil)
	must(t, f, create(Request{Name: "other", Disabled: true}))
	before = f.tree()
	must(t, f, create(wish))
	return f, before
}

func TestRemove(t *testing.T) {
	t.Parallel()
	f, before := made(t)
	f.put(f.path("/var/lib/postfix-in/smtp_scache.db"), nil)
	must(t, f, remove("in"))
	if diff := cmp.Diff(before, f.tree()); diff != "" {
		t.Errorf("left behind:\n%s", diff)
	}
	if len(f.warned) > 0 {
		t.Errorf("it warns: %q", f.warned)
	}
	if _, err := f.survive(remove("in")); err == nil {
		t.Error("a second remove finds it")
	}
}

func TestRemoveLeavesWhatIsNotPostfixs(t *testing.T) {
	t.Parallel()
	f, before := made(t)
	for _, name := range []string{"/etc/postfix-in/transport", "/var/spool/postfix-in/mine"} {
		f.put(f.path(name), []byte("mine"))
	}
	if err := os.Symlink("/etc", f.path("/var/spool/postfix-in/private/link")); err != nil {
		t.Fatal(err)
	}
	must(t, f, remove("postfix-in"))
	after := f.tree()
	for _, name := range []string{"etc/postfix-in/transport", "var/spool/postfix-in/mine"} {
		if after[name] == "" {
			t.Errorf("%s is gone", name)
		}
		for ; name != "etc" && name != "var/spool"; name = name[:strings.LastIndex(name, "/")] {
			delete(after, name)
		}
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("also left:\n%s", diff)
	}
	if text := strings.Join(f.warned, "\n"); !strings.Contains(text, "transport") || !strings.Contains(text, "mine") {
		t.Errorf("it does not say what it left: %q", f.warned)
	}
}

func TestRemoveWithMail(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"maildrop/A1", "incoming/A1", "active/A1", "deferred/A/A1", "hold/A1", "corrupt/A1"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			f, empty := made(t)
			f.put(f.path("/var/spool/postfix-in/"+where), []byte("mail"))
			before := f.tree()
			if _, err := f.survive(remove("in")); err == nil || !strings.Contains(err.Error(), "1 messages") {
				t.Errorf("the error is %v", err)
			}
			if diff := cmp.Diff(before, f.tree()); diff != "" || !f.active["postfix@postfix-in.service"] {
				t.Errorf("a refused remove changes something:\n%s", diff)
			}
			h := f.hostWhere("", func() { t.Error("a refused remove has begun") }) // it must not stop the instance either
			if err := h.Remove(context.Background(), "in", false); err == nil {
				t.Error("no error")
			}
			must(t, f, func(h *Host) error { return h.Remove(context.Background(), "in", true) })
			if diff := cmp.Diff(empty, f.tree()); diff != "" {
				t.Errorf("with --purge-queue there is left:\n%s", diff)
			}
		})
	}
}

// hostWhere is the host on which something happens just before the change whose line begins so.
func (f *fake) hostWhere(what string, happens func()) *Host {
	h := f.host()
	show := h.Show
	h.Show = func(c Change) {
		if strings.HasPrefix(c.What, what) {
			happens()
		}
		show(c)
	}
	return h
}

// Mail that comes in until the instance is stopped calls the remove off, with nothing else changed.
func TestRemoveMeetsMail(t *testing.T) {
	t.Parallel()
	f, _ := made(t)
	before := f.tree()
	h := f.hostWhere("make sure", func() { f.put(f.path("/var/spool/postfix-in/maildrop/A1"), []byte("mail")) })
	if err := h.Remove(context.Background(), "in", false); err == nil || !strings.Contains(err.Error(), "1 messages") {
		t.Errorf("the error is %v", err)
	}
	if !f.active["postfix@postfix-in.service"] {
		t.Error("it was not started again")
	}
	if j, err := f.host().loadJournal(); j != nil || err != nil {
		t.Errorf("journal %v, %v", j, err)
	}
	after := f.tree()
	delete(after, "var/spool/postfix-in/maildrop/A1")
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("it changes\n%s", diff)
	}
}

// A change of /etc/resolv.conf may fill the chroot again while the instance is still listed.
func TestRemoveMeetsTheResolver(t *testing.T) {
	t.Parallel()
	f, before := made(t)
	h := f.hostWhere("take /etc/postfix-in off", func() {
		inst, err := instance.Find(f.root, "postfix-in")
		if err != nil {
			t.Fatal(err)
		}
		p, err := chroot.NewResolverPlan(chroot.Deps{Root: f.root}, inst)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := p.Apply(); err != nil || len(res.Changed) == 0 {
			t.Errorf("changed %q, %v", res.Changed, err)
		}
	})
	if err := h.Remove(context.Background(), "in", false); err != nil || len(f.warned) > 0 {
		t.Errorf("%v, warnings %q", err, f.warned)
	}
	if diff := cmp.Diff(before, f.tree()); diff != "" {
		t.Errorf("left behind:\n%s", diff)
	}
}

func TestRemoveThatIsCut(t *testing.T) {
	t.Parallel()
	for cut := 1; ; cut++ {
		f, before := made(t)
		f.steps, f.dieAt = 0, cut
		dead, err := f.survive(remove("in"))
		if !dead {
			if err != nil || cut < 12 {
				t.Fatalf("only %d steps, %v", cut, err)
			}
			break
		}
		if f.dieAt = 0; cut > 1 {
			f.halfWrites()
		}
		again := remove("in")
		if cut%2 == 0 { // any other command finishes it as well
			again = func(h *Host) error { return h.Disable(context.Background(), "other") }
		}
		must(t, f, again)
		if cut == 1 && cut%2 == 0 { // nothing was written down yet
			continue
		}
		delete(before, "etc/postfix-other/main.cf")
		after := f.tree()
		delete(after, "etc/postfix-other/main.cf")
		if diff := cmp.Diff(before, after); diff != "" {
			t.Fatalf("cut at step %d, finished by another command there is left:\n%s", cut, diff)
		}
	}
}

func TestRemoveRefuses(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]string{
		"etc/postfix/main.cf":   "multi_instance_directories = /srv/twin /srv/gone /srv/broken /srv/run\nmulti_instance_enable = yes\n",
		"srv/twin/main.cf":      "multi_instance_name = twin\nqueue_directory = /var/spool/postfix\ndata_directory = /srv/d\n",
		"srv/twin/master.cf":    "",
		"srv/broken/main.cf":    "a \x00",
		"srv/run/main.cf":       "multi_instance_name = run\nqueue_directory = /srv/q\ndata_directory = /srv/d2\n",
		"srv/run/master.cf":     "",
		"var/spool/postfix/pid": "",
	})
	before := f.tree()
	for name, want := range map[string]string{
		"-": "primary", "twin": `belongs to instance "-"`, "nobody": fs.ErrNotExist.Error(), "/srv/broken": "broken",
	} {
		if _, err := f.survive(remove(name)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("remove %s: %v, want %q", name, err, want)
		}
	}
	if diff := cmp.Diff(before, f.tree()); diff != "" {
		t.Errorf("it changes\n%s", diff)
	}
	// A directory without a configuration stops postmulti(1) for all the others.
	must(t, f, remove("/srv/gone"))
	if main, _ := f.root.ReadFile("/etc/postfix/main.cf"); !strings.HasPrefix(string(main), "multi_instance_directories = /srv/twin /srv/broken /srv/run\n") {
		t.Errorf("the list is now\n%s", main)
	}
}

// "postfix@out" is another name of postfix-out, but not where an instance is called "out".
func TestAnothersUnitIsNotTouched(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]string{
		"etc/postfix/main.cf":       "inet_interfaces=10.0.0.1\nmulti_instance_enable=yes\nmulti_instance_directories=/etc/postfix-out /srv/out\nmulti_instance_wrapper=x\n",
		"etc/postfix-out/main.cf":   "multi_instance_name=postfix-out\nmulti_instance_enable=yes\nmaster_service_disable=inet\nqueue_directory=/q/1\ndata_directory=/d/1\n",
		"etc/postfix-out/master.cf": smtpLine,
		"srv/out/main.cf":           "multi_instance_name=out\nmulti_instance_enable=yes\nmaster_service_disable=inet\nqueue_directory=/q/2\ndata_directory=/d/2\n",
		"srv/out/master.cf":         smtpLine,
	})
	must(t, f, enable("postfix-out"))
	must(t, f, enable("out"))
	must(t, f, remove("postfix-out"))
	if !f.active["postfix@out.service"] || f.active["postfix@postfix-out.service"] {
		t.Errorf("active are %v", f.active)
	}
	if tree := f.tree(); tree["etc/systemd/system/postfix.service.wants/postfix@out.service"] == "" {
		t.Error("the other one's unit was disabled")
	}
}

// --purge-queue is for the instance that is named, not for one whose remove was interrupted.
func TestPurgeIsForOne(t *testing.T) {
	t.Parallel()
	f, _ := made(t)
	h := f.host()
	h.Show = func(c Change) {
		if strings.HasPrefix(c.What, "stop") {
			panic(died{})
		}
	}
	if dead, err := f.survive(func(*Host) error { return h.Remove(context.Background(), "in", false) }); !dead {
		t.Fatal(err)
	}
	mail := "/var/spool/postfix-in/hold/A1"
	f.put(f.path(mail), []byte("mail"))
	_, err := f.survive(func(h *Host) error { return h.Remove(context.Background(), "other", true) })
	if _, e := f.root.Stat(mail); e != nil {
		t.Errorf("mail of another instance is gone: %v, %v", e, err)
	}
}

func TestRemoveTakesTheSocketAndLeavesRootsData(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make files of another owner")
	}
	f, _ := made(t)
	data := f.path("/var/lib/postfix-in")
	f.put(data+"/mine", nil)
	f.put(data+"/postfixs", nil)
	for name, uid := range map[string]int{data: 101, data + "/postfixs": 101, data + "/master.lock": 101} {
		if err := os.Chown(name, uid, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mknod(f.path("/var/spool/postfix-in/dev/log"), unix.S_IFSOCK|0o666, 0); err != nil {
		t.Fatal(err)
	}
	must(t, f, remove("in"))
	tree := f.tree()
	if tree["var/lib/postfix-in/mine"] == "" || tree["var/lib/postfix-in/postfixs"] != "" || tree["var/spool/postfix-in"] != "" {
		t.Errorf("left is %v", tree)
	}
}
