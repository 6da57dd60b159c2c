package setup

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot/sysroottest"
)

// reads is a Service that only knows of unit files.
type reads struct {
	Service
	due   bool // for systemd
	fails error
}

func (r reads) ReloadDue(_ context.Context, unpacked bool) (bool, error) {
	return unpacked || r.due, nil
}
func (r reads) Reload(context.Context) error { return r.fails }

// An upgrade that brings the same units does not have systemd read them. Whatever else there was since the last configuration makes it read again.
func TestPlanReload(t *testing.T) {
	t.Parallel()
	touch := func(name string) func(*Plan, string) error {
		return func(_ *Plan, root string) error { return os.Chtimes(root+name, time.Time{}, time.Unix(9, 0)) }
	}
	put := func(name string) func(*Plan, string) error {
		return func(_ *Plan, root string) error {
			return errors.Join(os.MkdirAll(filepath.Dir(root+name), 0o755), os.WriteFile(root+name, []byte("[Unit]\n"), 0o644))
		}
	}
	const old, now, unit = "3.7.11-0+deb12u1+a0.1.0", "3.7.11-0+deb12u2+a0.1.0", paths.Units + "/postfix@.service"
	for name, c := range map[string]struct {
		change   func(p *Plan, root string) error
		enabling bool
		service  reads
		reload   bool
		forgets  bool // what systemd has read
	}{
		"the same units":                {},
		"systemd says that it is due":   {service: reads{due: true}, reload: true},
		"the unit is to be enabled":     {enabling: true, reload: true},
		"the reading fails":             {enabling: true, service: reads{fails: errors.New("no")}, reload: true, forgets: true},
		"dpkg-reconfigure":              {change: func(p *Plan, _ string) error { p.req.Reconfigure = true; return nil }},
		"dpkg-reconfigure, due":         {change: func(p *Plan, _ string) error { p.req.Reconfigure = true; return nil }, service: reads{due: true}, reload: true},
		"a first installation":          {change: func(p *Plan, _ string) error { p.upgrade, p.h.state = false, nil; return nil }, reload: true},
		"an interrupted run":            {change: func(p *Plan, _ string) error { p.resumed = true; return nil }, reload: true},
		"the run before did not see it": {change: func(p *Plan, _ string) error { p.h.state.Units = ""; return nil }, reload: true},
		"another layer was between":     {change: func(p *Plan, _ string) error { p.req.Old = "3.7.11-0+deb12u1"; return nil }, reload: true},
		"another release":               {change: func(p *Plan, _ string) error { p.req.Package = "3.10.13-0+deb13u1+a0.1.0"; return nil }, reload: true},
		"another unit file":             {change: func(_ *Plan, root string) error { return os.WriteFile(root+unit, []byte("[Unit]\n"), 0o644) }, reload: true},
		"another time stamp of one":     {change: func(_ *Plan, root string) error { return os.Chtimes(root+unit, time.Time{}, time.Unix(9, 0)) }, reload: true},
		"one more unit":                 {change: func(_ *Plan, root string) error { return os.WriteFile(root+paths.Units+"/postfix-x.path", nil, 0o644) }, reload: true},
		"another generator":             {change: func(_ *Plan, root string) error { return os.WriteFile(root+paths.InstanceGenerator, nil, 0o755) }, reload: true},
		"an edited main.cf": {change: func(_ *Plan, root string) error {
			return os.WriteFile(root+paths.MainCF, []byte("mail_name = x\n"), 0o644)
		}, reload: true},
		"an edited instance": {change: func(_ *Plan, root string) error {
			return os.WriteFile(root+"/etc/postfix-out/main.cf", []byte("mail_name = x\n"), 0o644)
		}, reload: true},
		"an edited main.cf that was put back":  {change: touch(paths.MainCF), reload: true},
		"an edited instance that was put back": {change: touch("/etc/postfix-out/main.cf"), reload: true},
		"a generator that was back": {change: func(_ *Plan, root string) error { // another postfix-maint, and then this one again
			name := root + paths.InstanceGenerator
			fi, err := os.Stat(name)
			text, readErr := os.ReadFile(name)
			err = errors.Join(err, readErr, os.WriteFile(name+".new", text, 0o755), os.Rename(name+".new", name))
			for again := fi; err == nil && born(again) == born(fi); { // within one tick of the kernel's clock
				if err = os.Chtimes(name, time.Time{}, fi.ModTime()); err == nil {
					again, err = os.Stat(name)
				}
			}
			return err
		}, reload: true},
		"the administrator's drop-in of an instance": {change: put("/etc/systemd/system/postfix@out.service.d/limit.conf"), reload: true},
		"limits of all instances":                    {change: put("/etc/systemd/system/system-postfix.slice.d/limit.conf"), reload: true},
		"an edited one":                              {change: put("/etc/systemd/system/postfix@in.service.d/limit.conf"), reload: true},
		"the administrator's own unit":               {change: put("/etc/systemd/system/postfix@.service"), reload: true},
		"an instance that was enabled": {change: func(_ *Plan, root string) error {
			return os.Symlink(unit, root+"/etc/systemd/system/multi-user.target.wants/postfix@in.service")
		}, reload: true},
		"the generator made nothing":       {change: func(_ *Plan, root string) error { return os.Remove(root + paths.InstanceTable) }, reload: true},
		"the generator could not read all": {change: put(paths.InstanceComplaints), reload: true},
		"nobody says what was unpacked":    {change: func(_ *Plan, root string) error { return os.Remove(root + paths.Unpacked) }, reload: true},
		"two were unpacked": {change: func(_ *Plan, root string) error {
			return os.WriteFile(root+paths.Unpacked, []byte(old+" x\nx "+now+"\n"), 0o644)
		}, reload: true},
		"another one was unpacked": {change: func(_ *Plan, root string) error {
			return os.WriteFile(root+paths.Unpacked, []byte("x "+now+"\n"), 0o644)
		}, reload: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := sysroottest.New(t, map[string]string{
				unit[1:]: "[Service]\n", paths.InstanceGenerator[1:]: "program", paths.Unpacked[1:]: old + " " + now + "\n",
				paths.InstanceTable[1:]: "postfix@-.service /var/spool/postfix\n", "etc/systemd/system/multi-user.target.wants/": "",
				"etc/systemd/system/postfix@in.service.d/limit.conf": "[Service]\n",
				paths.MainCF[1:]: "multi_instance_directories = /etc/postfix-out\n", "etc/postfix-out/main.cf": "multi_instance_name = postfix-out\n",
			})
			p := &Plan{d: Deps{Root: root, Service: c.service}, req: Request{Old: old, Package: now}, upgrade: true}
			p.h.state = &State{Package: old, Units: unitsSum(root)}
			if c.change != nil {
				if err := c.change(p, filepath.Clean(root.Dir())); err != nil {
					t.Fatal(err)
				}
			}
			p.planReload(context.Background(), c.enabling)
			if got := len(p.Changes) > 0; got != c.reload {
				t.Fatalf("planned: %+v", p.Changes)
			}
			if c.reload {
				if p.units != "" {
					t.Error("it is known what systemd will have read")
				}
				_ = p.Changes[0].do(context.Background())
			}
			want := unitsSum(root)
			if c.forgets {
				want = ""
			}
			if p.units != want {
				t.Errorf("what systemd has read is %q, want %q", p.units, want)
			}
		})
	}
}
