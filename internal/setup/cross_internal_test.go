package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

// recorder is a Runner and a Service that only notes what it is asked for.
type recorder struct {
	SysV
	calls []string
	bad   string // what fails
}

func (r *recorder) Output(ctx context.Context, name string, args ...string) ([]byte, error) {
	return nil, r.Run(ctx, name, args...)
}

func (r *recorder) Run(_ context.Context, name string, args ...string) error {
	call := name + " " + strings.Join(args, " ")
	r.calls = append(r.calls, call)
	if call == r.bad {
		return errors.New("fatal: Queue report unavailable")
	}
	return nil
}

func (r *recorder) ActAll(_ context.Context, action string) error {
	r.calls = append(r.calls, action+" all")
	return nil
}

// master starts what is a master(8) for all that can be seen, in a queue directory.
func master(t *testing.T, root *sysroot.Root, queue string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: a master is root's process")
	}
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root.Dir(), queue)
	program := filepath.Join(t.TempDir(), "master")
	if err := os.WriteFile(program, data, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "600")
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if err := os.WriteFile(filepath.Join(dir, "pid/master.pid"), fmt.Append(nil, cmd.Process.Pid), 0o644); err != nil {
		t.Fatal(err)
	}
}

// An instance whose mail can't be tried keeps no other from it, one without a master is let be.
func TestEachInstanceIsFlushed(t *testing.T) {
	files := map[string]string{"etc/postfix/main.cf": "multi_instance_enable = yes\nmulti_instance_directories = /etc/postfix-a /etc/postfix-b /etc/postfix-c\n"}
	for _, name := range []string{"a", "b", "c"} {
		files["etc/postfix-"+name+"/main.cf"] = "multi_instance_name = postfix-" + name + "\nmulti_instance_enable = yes\nqueue_directory = /srv/" + name +
			"\ndata_directory = /var/lib/" + name + "\n"
		files["srv/"+name+"/pid/"] = ""
	}
	root, r := sysroottest.New(t, files), &recorder{bad: "/usr/sbin/postqueue -c /etc/postfix-a -f"}
	master(t, root, "srv/a")
	master(t, root, "srv/c")
	if err := Flush(context.Background(), root, r); err == nil || !strings.Contains(err.Error(), "/etc/postfix-a") {
		t.Errorf("it says %v", err)
	}
	if d := cmp.Diff([]string{r.bad, "/usr/sbin/postqueue -c /etc/postfix-c -f"}, r.calls); d != "" {
		t.Errorf("calls (-want +got):\n%s", d)
	}
}

// What an upgrade does about the daemons, once the package is configured.
func TestAnUpgradeToAnotherReleaseRestartsAtOnceAndTriesDeferredMail(t *testing.T) {
	const (
		trigger = "dpkg-trigger --no-await postfix-maint-restart"
		flushed = "/usr/sbin/postqueue -c /etc/postfix -f"
		second  = "/usr/sbin/postqueue -c /etc/postfix-out -f"
	)
	now := []string{"restart all", flushed, second}
	for name, c := range map[string]struct {
		old, now string
		module   bool
		want     []string
	}{
		"a security update waits for the map packages": {"3.10.13-0+deb13u1+maint1", "3.10.14-0+deb13u1+maint1", true, []string{trigger}},
		"so does a new layer":                          {"3.7.11-0+deb12u1+maint1", "3.7.11-0+deb12u1+maint1", false, []string{trigger}},
		"another release does not":                     {"3.7.11-0+deb12u1", "3.10.13-0+deb13u1+maint1", false, now},
		"and comes back to the map packages": {"3.7.11-0+deb12u1+maint1", "3.10.13-0+deb13u1+maint1", true,
			append(append([]string{}, now...), "dpkg-trigger --no-await postfix-maint-flush", trigger)},
		"an epoch is none of it":      {"1:3.10.13-1", "3.10.14-1", false, []string{trigger}},
		"a version that is not known": {"3.7.11-1", "", false, []string{trigger}},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{
				"etc/postfix/main.cf":     "multi_instance_enable = yes\nmulti_instance_directories = /etc/postfix-out /etc/postfix-off\n",
				"etc/postfix-out/main.cf": "multi_instance_enable = yes\nmulti_instance_name = postfix-out\nqueue_directory = /var/spool/out\n",
				"etc/postfix-off/main.cf": "multi_instance_name = postfix-off\nqueue_directory = /var/spool/off\n",
				"var/spool/postfix/pid/":  "",
				"var/spool/out/pid/":      "",
				"usr/lib/postfix/":        "",
			}
			if c.module {
				files["usr/lib/postfix/postfix-pcre.so"] = ""
			}
			r, root := &recorder{}, sysroottest.New(t, files)
			master(t, root, "var/spool/postfix")
			master(t, root, "var/spool/out")
			p := &Plan{d: Deps{Root: root, Run: r, Service: r}, req: Request{Old: c.old, Package: c.now}}
			p.planAction(false)
			for _, change := range p.Changes {
				if err := change.do(context.Background()); err != nil || !change.after {
					t.Errorf("%s: %v, a failure ends the run: %v", change.What, err, !change.after)
				}
			}
			if d := cmp.Diff(c.want, r.calls); d != "" {
				t.Errorf("calls (-want +got):\n%s", d)
			}
		})
	}
}
