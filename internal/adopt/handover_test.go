package adopt

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/sysroot/sysroottest"
	"postfix-maint/internal/version"
)

const (
	templateOfDebian12 = "[Service]\nExecStart=/usr/sbin/postmulti -i %i -p start\n"
	templateOfDebian13 = "[Unit]\nAssertPathExists=/etc/postfix-%I/main.cf\n[Service]\nEnvironment=MAIL_CONFIG=/etc/postfix-%I\nExecStart=postfix debian-systemd-start\n"
	templateOfOurs     = "[Service]\nEnvironment=MAIL_CONFIG=/etc/postfix-%I\nExecStartPre=+/usr/libexec/postfix-maint/umbrella takeover\n"
)

func TestWhatBecomesOfAnInstanceUnderDebiansUnits(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		inst      instance.Instance
		s         scheme
		unit, why string
		dropIn    string
	}{
		"Debian 12 has our names": {
			inst: instance.Instance{Name: "postfix-out", ConfigDir: "/etc/postfix-out"}, s: byName, unit: "postfix@postfix-out.service",
		},
		"and any directory": {
			inst: instance.Instance{Name: "postfix-out", ConfigDir: "/srv/mail"}, s: byName, unit: "postfix@postfix-out.service",
		},
		"but not any name": {
			inst: instance.Instance{Name: "postfix-büro", ConfigDir: "/etc/postfix-büro"}, s: byName, unit: `postfix@postfix-b\xc3\xbcro.service`,
			why: "cannot stand in a unit's",
		},
		"Debian 13 goes by the directory": {
			inst: instance.Instance{Name: "postfix-out", ConfigDir: "/etc/postfix-out"}, s: byDirectory, unit: "postfix@out.service",
		},
		"whose hyphens would be slashes": {
			inst: instance.Instance{Name: "postfix-a", ConfigDir: "/etc/postfix-bulk-2"}, s: byDirectory, unit: `postfix@bulk\x2d2.service`,
		},
		"a directory elsewhere is told by a drop-in": {
			inst: instance.Instance{Name: "postfix-out", ConfigDir: `/srv/50% "off"`}, s: byDirectory, unit: "postfix@postfix-out.service",
			dropIn: "\nAssertPathExists=/srv/50%% \"off\"/main.cf\n[Service]\nEnvironment=\"MAIL_CONFIG=/srv/50%% \\\"off\\\"\"\n",
		},
		"so is one below": {
			inst: instance.Instance{Name: "postfix-out", ConfigDir: "/etc/postfix-all/out"}, s: byDirectory, unit: "postfix@postfix-out.service",
			dropIn: "MAIL_CONFIG=/etc/postfix-all/out",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := handOver(tc.inst, tc.s)
			if got.unit != tc.unit || !strings.Contains(got.why, tc.why) || (tc.why == "") != (got.why == "") {
				t.Errorf("unit %q, why %q", got.unit, got.why)
			}
			if !strings.Contains(got.dropIn, tc.dropIn) || (tc.dropIn == "") != (got.dropIn == "") {
				t.Errorf("the drop-in is:\n%s", got.dropIn)
			}
		})
	}
}

// instances is a tree with three further instances, one of them elsewhere, one disabled.
func instances(template string) map[string]string {
	return map[string]string{
		"usr/lib/systemd/system/postfix@.service": template,
		"etc/postfix/main.cf":                     "multi_instance_enable = yes\nmulti_instance_directories = /etc/postfix-out /srv/in /etc/postfix-off /etc/postfix-masked\n",
		"etc/postfix-out/main.cf":                 "multi_instance_name = postfix-out\nmulti_instance_enable = yes\n",
		"srv/in/main.cf":                          "multi_instance_name = postfix-in\nmulti_instance_enable = yes\n",
		"etc/postfix-off/main.cf":                 "multi_instance_name = postfix-off\n",
		"etc/postfix-masked/main.cf":              "multi_instance_name = postfix-masked\nmulti_instance_enable = yes\n",
		"etc/systemd/system/postfix.service.wants/postfix@postfix-out.service": "-> /usr/lib/systemd/system/postfix@.service",
		"etc/systemd/system/postfix@postfix-masked.service":                    "-> /dev/null",
		"etc/postfix-own/main.cf":                                              "queue_directory = /var/spool/postfix-own\n",
		"etc/postfix-started/main.cf":                                          "queue_directory = /var/spool/postfix-started\n",
		"etc/systemd/system/multi-user.target.wants/postfix@own.service":       "-> /usr/lib/systemd/system/postfix@.service",
	}
}

func TestInstancesAreHandedOver(t *testing.T) {
	t.Parallel()
	const wants = "etc/systemd/system/postfix.service.wants"
	link := "symlink /usr/lib/systemd/system/postfix@.service"
	for name, tc := range map[string]struct {
		template string
		want     map[string]string
		said     int
	}{
		"ours keep them":        {templateOfOurs, map[string]string{wants + "/postfix@postfix-out.service": link}, 0},
		"Debian 12's find them": {templateOfDebian12, map[string]string{wants + "/postfix@postfix-out.service": link}, 3},
		"Debian 13's are told":  {templateOfDebian13, map[string]string{wants + "/postfix@out.service": link, wants + "/postfix@postfix-out.service": link, wants + "/postfix@postfix-in.service": link}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var said []string
			h := Host{Root: sysroottest.New(t, instances(tc.template)), Say: func(line string) { said = append(said, line) }}
			done, err := h.HandOver()
			must(t, err)
			if done != (tc.template != templateOfOurs) {
				t.Errorf("handed over: %v", done)
			}
			after := sysroottest.Dump(t, h.Root.Dir(), false)
			got := map[string]string{}
			for p, what := range after {
				if strings.HasPrefix(p, wants+"/") {
					got[p] = what
				}
			}
			if d := cmp.Diff(tc.want, got); d != "" || len(said) != tc.said {
				t.Errorf("said %q, links (-want +got):\n%s", said, d)
			}
			if _, now := after["run/systemd/system/postfix.service.wants/postfix@own.service"]; now != strings.Contains(name, "13") {
				t.Errorf("what multi-user.target alone wants is started: %v", now)
			}
			_, dropIn := after["etc/systemd/system/postfix@postfix-in.service.d/60-postfix-maint-directory.conf"]
			if dropIn != strings.Contains(name, "13") {
				t.Errorf("there is a drop-in: %v", dropIn)
			}
			for unit, stays := range map[string]bool{"postfix@started.service": true, "postfix@own.service": false, "postfix@postfix-out.service": false} {
				if Stays(h.Root, unit) != stays {
					t.Errorf("%s stays: %v, want %v", unit, !stays, stays)
				}
			}
			_, err = h.HandOver()
			must(t, err)
			if d := cmp.Diff(after, sysroottest.Dump(t, h.Root.Dir(), false)); d != "" {
				t.Errorf("a second call changes:\n%s", d)
			}
			must(t, h.TakeOver(trixieVersion)) // and back
			if there, err := h.Root.Exists("/" + wants + "/postfix@out.service"); err != nil || there {
				t.Errorf("a second link stays under our units: %v, %v", there, err)
			}
			if there, err := h.Root.Exists("/etc/systemd/system/postfix@postfix-in.service.d"); err != nil || there {
				t.Errorf("the drop-in stays under our units: %v, %v", there, err)
			}
		})
	}
}

func TestAReturnThatWouldCostAnInstanceIsRefused(t *testing.T) {
	t.Parallel()
	ctx, f := context.Background(), newHostFake(t, bookwormVersion)
	_, err := f.host.Install(ctx)
	must(t, err)
	for p, text := range map[string]string{
		"/etc/postfix/main.cf":     "multi_instance_enable = yes\nmulti_instance_directories = /etc/postfix-out\n",
		"/etc/postfix-out/main.cf": "multi_instance_name = postfix-büro\nmulti_instance_enable = yes\n",
	} {
		_, err := f.host.Root.MkdirAll(p[:strings.LastIndex(p, "/")], own(0o755))
		must(t, err)
		_, err = f.host.Root.WriteFile(p, []byte(text), own(0o644))
		must(t, err)
	}
	before := sysroottest.Dump(t, f.host.Root.Dir(), false)
	if _, err := f.host.Revert(ctx); err == nil || !strings.Contains(err.Error(), "postfix-maint instance disable postfix-büro") {
		t.Errorf("it goes back: %v", err)
	}
	if d := cmp.Diff(before, sysroottest.Dump(t, f.host.Root.Dir(), false)); d != "" || f.installed != adoptedVersion(bookwormVersion) {
		t.Errorf("%s is installed, and this is changed:\n%s", f.installed, d)
	}
}

func TestPostrmHandsOverToDebiansLayerAlone(t *testing.T) {
	t.Parallel()
	for call, want := range map[string]string{
		"upgrade 3.10.13-1":           "adopt --hand-over\n",
		"upgrade 3.10.13-1+b1":        "adopt --hand-over\n",
		"upgrade 3.10.13-1+maint1":    "",
		"upgrade 3.10.13-1+a0.2.0":    "",
		"upgrade 3.10.13-1+b1+a0.2.0": "",
		"remove":                      "",
	} {
		h := newHost(t, nil)
		h.program(t, filepath.Join(h.root, "usr/sbin"), "postfix-maint", `echo "$@"`)
		if v := strings.TrimPrefix(call, "upgrade "); v != call {
			if _, adopted := version.Stock(v); adopted != (want == "") {
				t.Errorf("%s: package version takes it for an adopted one: %v", v, adopted)
			}
		}
		if out := h.script(t, "postfix.postrm", strings.Fields(call)...); out != want {
			t.Errorf("%s: %q, want %q", call, out, want)
		}
	}
}
