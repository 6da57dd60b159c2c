package multi

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/queue"
	"postfix-maint/internal/run"
	"postfix-maint/internal/sysroot"
)

func enable(name string) func(*Host) error {
	return func(h *Host) error { return h.Enable(context.Background(), name) }
}

func disable(name string) func(*Host) error {
	return func(h *Host) error { return h.Disable(context.Background(), name) }
}

func TestDisableAndEnable(t *testing.T) {
	t.Parallel()
	f, _ := made(t)
	running := f.tree()
	must(t, f, disable("in"))
	off := f.tree()
	if f.active["postfix@postfix-in.service"] || off["etc/systemd/system/postfix.service.wants/postfix@postfix-in.service"] != "" {
		t.Error("it runs, or is enabled")
	}
	for _, again := range []struct {
		do   func(*Host) error
		want map[string]string
	}{{disable("postfix-in"), off}, {enable("in"), running}, {enable("/etc/postfix-in"), running}} {
		must(t, f, again.do)
		if diff := cmp.Diff(again.want, f.tree()); diff != "" {
			t.Errorf("it is now\n%s", diff)
		}
	}
	if !f.active["postfix@postfix-in.service"] {
		t.Error("it does not run")
	}
	if diff := cmp.Diff([]string{"postfix@postfix-in.service"}, f.quick); diff != "" { // the create's
		t.Errorf("starts without Postfix's checks:\n%s", diff)
	}
	before := len(f.calls)
	must(t, f, enable("in"))
	if calls := f.calls[before:]; len(calls) > 0 {
		t.Errorf("it runs already, and enable does %q", calls)
	}
}

func TestEnableMeetsAnother(t *testing.T) {
	t.Parallel()
	f, _ := made(t)
	must(t, f, create(Request{Name: "two", Set: wish.Set, Disabled: true}))
	before := f.tree()
	if _, err := f.survive(enable("two")); err == nil || !strings.Contains(err.Error(), "of instance postfix-in") {
		t.Errorf("the error is %v", err)
	}
	if diff := cmp.Diff(before, f.tree()); diff != "" {
		t.Errorf("it changes\n%s", diff)
	}
	must(t, f, disable("in"))
	must(t, f, enable("two"))
}

func TestPrimaryInstance(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	if _, err := f.survive(disable("-")); err == nil {
		t.Error("the only instance is disabled, which means nothing")
	}
	must(t, f, create(wish))
	f.active["postfix@-.service"] = true
	must(t, f, disable("-"))
	must(t, f, create(Request{Name: "two"}))
	main, _ := f.root.ReadFile(paths.MainCF)
	if !strings.Contains(string(main), "multi_instance_enable = no\n") || f.active["postfix@-.service"] {
		t.Errorf("it does not stay disabled:\n%s", main)
	}
	must(t, f, enable("-"))
	if !f.active["postfix@-.service"] {
		t.Error("it does not run")
	}
	if links := f.host().linked(instance.Instance{Name: "-", ConfigDir: paths.ConfigDir}); len(links) > 0 {
		t.Errorf("its unit, which postfix.service starts, was enabled: %q", links)
	}
}

// An instance that only Debian 13's units know.
func TestUnlistedInstance(t *testing.T) {
	t.Parallel()
	unlisted := map[string]string{
		"etc/postfix-out/main.cf":   "inet_interfaces = 10.0.0.9\nqueue_directory = /var/spool/out\ndata_directory = /var/lib/out\n",
		"etc/postfix-out/master.cf": smtpLine, "var/spool/out/": "", "var/lib/out/": "",
		"etc/systemd/system/multi-user.target.wants/postfix@out.service": "-> /x",
	}
	f := newFake(t, unlisted)
	all, errs := f.host().List(context.Background())
	if len(errs) > 0 || len(all) != 2 || all[1].Name != "out" || all[1].Listed || !all[1].Enabled {
		t.Fatalf("List gives %+v, %v", all, errs)
	}
	if _, err := f.survive(create(Request{Name: "x", Set: []string{"master_service_disable=", "inet_interfaces=10.0.0.9"}})); err == nil {
		t.Error("its address is given away")
	}
	h := f.host()
	h.Until = time.Unix(1, 0)
	if all, errs = h.List(context.Background()); len(errs) > 0 || all[0].Chroot.State != "unknown" || all[0].Chroot.Services == 0 {
		t.Errorf("without time List gives %+v, %v", all, errs)
	}
	f.active["postfix@out.service"] = true
	f.active["postfix@-.service"] = true
	if _, err := f.survive(create(Request{Name: "out"})); err == nil || !strings.Contains(err.Error(), "stop it first") {
		t.Errorf("create takes over what runs: %v", err)
	}
	f.active["postfix@out.service"] = false
	must(t, f, create(Request{Name: "out"}))
	if got, err := instance.Find(f.root, "out"); err != nil || got.Name != "postfix-out" || got.QueueDir != "/var/spool/out" {
		t.Errorf("now it is %+v, %v", got, err)
	}
	f = newFake(t, unlisted)
	must(t, f, remove("out"))
	if tree := f.tree(); tree["etc/postfix-out"] != "" || tree["etc/systemd/system/multi-user.target.wants/postfix@out.service"] != "" {
		t.Errorf("left is %v", tree)
	}
}

func TestUnitOfEachLayer(t *testing.T) {
	t.Parallel()
	ours, debian12, debian13 := "ExecStartPre="+paths.ConfigureInstance, "ExecStart=/usr/sbin/postmulti -i %i -p start", "Environment=MAIL_CONFIG=/etc/postfix-%I"
	out := instance.Instance{Name: "postfix-a-b", ConfigDir: "/etc/postfix-a-b"}
	away := instance.Instance{Name: "postfix-a", ConfigDir: "/srv/a"}
	for name, c := range map[string]struct {
		template string
		inst     instance.Instance
		want     string
	}{
		"ours":                               {ours + debian13, out, "postfix@postfix-a-b.service"},
		"none":                               {"", out, "postfix@postfix-a-b.service"},
		"Debian 12's":                        {debian12, away, "postfix@postfix-a.service"},
		"Debian 13's go by directory":        {debian13, out, `postfix@a\x2db.service`},
		"Debian 13's know no other place":    {debian13, away, ""},
		"Debian 13's for the primary one":    {debian13, instance.Instance{Name: "-", ConfigDir: "/etc/postfix"}, "postfix.service"},
		"ours for the primary one":           {ours, instance.Instance{Name: "-", ConfigDir: "/etc/postfix"}, "postfix@-.service"},
		"Debian 13's and one without a name": {debian13, instance.Instance{Name: "x", ConfigDir: "/etc/postfix-x"}, "postfix@x.service"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, nil)
			if c.template != "" {
				if _, err := f.root.MkdirAll(paths.Units, sysroot.Attr{}); err != nil {
					t.Fatal(err)
				}
				f.put(f.path(paths.Units+"/"+paths.Template), []byte(c.template))
			}
			got, err := f.host().unit(c.inst)
			if got != c.want || (err == nil) != (c.want != "") {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestPolicyAndNoSystemd(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	h := f.host()
	h.Allowed = func(_ context.Context, service, action string) (bool, error) { return service != "postfix", nil }
	if err := h.Create(context.Background(), wish); err != nil {
		t.Fatal(err)
	}
	if f.active["postfix@postfix-in.service"] || !strings.Contains(strings.Join(f.warned, "\n"), "policy") {
		t.Errorf("the policy is not obeyed, or not said: %q", f.warned)
	}
	f = newFake(t, nil)
	h = f.host()
	h.Systemd = nil
	if err := h.Create(context.Background(), wish); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(f.warned, "\n"), "systemd does not run") {
		t.Errorf("it does not say so: %q", f.warned)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	f, _ := made(t)
	f.put(f.path("/var/spool/postfix-in/deferred/A/A1"), nil)
	f.put(f.path("/etc/resolv.conf"), []byte("nameserver 10.0.0.54\n"))
	all, errs := f.host().List(context.Background())
	if len(errs) > 0 || len(all) != 3 {
		t.Fatalf("%+v, %v", all, errs)
	}
	want := Status{
		Name: "postfix-in", Unit: "postfix@postfix-in.service", ConfigDir: "/etc/postfix-in", QueueDir: "/var/spool/postfix-in",
		DataDir: "/var/lib/postfix-in", Listed: true, Enabled: true, Active: "active", Listen: []string{"10.0.0.2:25"},
		Queue: queue.Counts{Deferred: 1}, Chroot: Chroot{Services: 2, Of: 2, State: "stale", Stale: 1}, Problems: []string{},
	}
	if diff := cmp.Diff(want, all[2]); diff != "" {
		t.Error(diff)
	}
	f.put(f.path("/etc/postfix-in/main.cf"), []byte("\x00"))
	if all, errs = f.host().List(context.Background()); len(all) != 2 || len(errs) != 1 {
		t.Errorf("with a broken one: %+v, %v", all, errs)
	}
}

// mute is a host whose Postfix tells only a terminal why it refuses.
type mute struct {
	*fake
	reads bool // the configuration; only the start refuses
}

func (m mute) Output(ctx context.Context, name string, args ...string) ([]byte, error) {
	if name == paths.Postmap && !m.reads {
		return nil, &run.ExitError{Args: []string{name}, Code: 1}
	}
	return m.fake.Output(ctx, name, args...)
}

func (m mute) OnTerminal(_ context.Context, name string, args ...string) error {
	return &run.ExitError{Args: append([]string{name}, args...), Code: 1, Stderr: "postfix: warning: odd\npostfix: fatal: bad value"}
}

func TestRefusalSaysWhy(t *testing.T) {
	t.Parallel()
	for _, reads := range []bool{false, true} {
		f := newFake(t, nil)
		if reads {
			f.failing = "start "
		}
		h := f.host()
		h.Run = mute{f, reads}
		if err := h.Create(context.Background(), wish); err == nil || !strings.Contains(err.Error(), "exit status 1: postfix: fatal: bad value;") {
			t.Errorf("the error is %v", err)
		}
	}
}

func TestMaskedUnit(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	before := f.tree()
	f.masked = "postfix@postfix-in.service"
	if _, err := f.survive(create(wish)); err == nil || !strings.Contains(err.Error(), "masked") {
		t.Errorf("the error is %v", err)
	}
	if diff := cmp.Diff(before, f.tree()); diff != "" {
		t.Errorf("it changes\n%s", diff)
	}
}
