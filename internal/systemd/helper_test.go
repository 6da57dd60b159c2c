package systemd

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/run"
	"postfix-maint/internal/sysroot/sysroottest"
)

const unit = "postfix.service"

// plain is a system tree with the unit, and with a systemctl that makes deb-systemd-helper take the way of a real system.
func plain() map[string]string {
	return map[string]string{
		"usr/bin/systemctl":                  "",
		"lib/systemd/system/postfix.service": "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n",
	}
}

const (
	record = "var/lib/systemd/deb-systemd-helper-enabled/postfix.service.dsh-also"
	mark   = "var/lib/systemd/deb-systemd-helper-enabled/multi-user.target.wants/postfix.service"
	link   = "etc/systemd/system/multi-user.target.wants/postfix.service"
	mask   = "etc/systemd/system/postfix.service"
	masked = "var/lib/systemd/deb-systemd-helper-masked/postfix.service"
)

// TestHelperAgainstTheRealOne compares Due with what deb-systemd-helper does, step for step as debhelper's postinst calls it:
// due means that the tree is another one afterwards, and after Ensure nothing is due any more.
func TestHelperAgainstTheRealOne(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(dshProgram); err != nil {
		t.Skip("needs Debian's package init-system-helpers: ", err)
	}
	enabled := map[string]string{record: "/" + link + "\n", mark: "", link: "-> /lib/systemd/system/postfix.service"}
	disabled := map[string]string{record: "/" + link + "\n", mark: ""}
	merge := func(trees ...map[string]string) map[string]string {
		all := map[string]string{}
		for _, tree := range trees {
			maps.Copy(all, tree)
		}
		return all
	}
	two := map[string]string{"lib/systemd/system/postfix.service": "[Install]\nWantedBy=multi-user.target basic.target\nRequiredBy=x.target\n"}
	for name, c := range map[string]struct {
		tree map[string]string
		want bool
	}{
		"first installation":             {plain(), true},
		"enabled and recorded":           {merge(plain(), enabled), false},
		"disabled by the administrator":  {merge(plain(), disabled), false},
		"masked by the administrator":    {merge(plain(), enabled, map[string]string{mask: "-> /dev/null"}), false},
		"masked at a removal":            {merge(plain(), enabled, map[string]string{mask: "-> /dev/null", masked: ""}), true},
		"the administrator's own unit":   {merge(plain(), enabled, map[string]string{mask: "[Install]\nWantedBy=multi-user.target\n", masked: ""}), false},
		"a new release wants more links": {merge(plain(), enabled, two), true},
		"the same, but disabled":         {merge(plain(), disabled, two), true},
		"a line of the record is gone": {merge(plain(), enabled, two, map[string]string{
			"var/lib/systemd/deb-systemd-helper-enabled/basic.target.wants/postfix.service": "",
			"var/lib/systemd/deb-systemd-helper-enabled/x.target.requires/postfix.service":  "",
		}), true},
		"the mark is gone":                    {merge(plain(), map[string]string{record: "/" + link + "\n", link: "-> /x"}), true},
		"a recorded link that is a file":      {merge(plain(), map[string]string{record: "/" + link + "\n", mark: "", link: "a file"}), false},
		"disabled, the record has old lines":  {merge(plain(), disabled, map[string]string{record: "/" + link + "\n/etc/systemd/system/old.target.wants/postfix.service\n"}), true},
		"the unit is in /usr/lib":             {merge(enabled, map[string]string{"usr/bin/systemctl": "", "usr/lib/systemd/system/postfix.service": plain()["lib/systemd/system/postfix.service"]}), false},
		"an alias is left to the real helper": {merge(plain(), map[string]string{"lib/systemd/system/postfix.service": "[Install]\nAlias=mta.service\n"}), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := tree(t, c.tree)
			if err := os.Chmod(filepath.Join(root, "usr/bin/systemctl"), 0o755); err != nil {
				t.Fatal(err)
			}
			h := Helper{Root: root, Run: run.Runner{Env: []string{"DPKG_ROOT=" + root, "DPKG_MAINTSCRIPT_PACKAGE=postfix"}}}
			due, err := h.Due(unit)
			if err != nil || due != c.want {
				t.Errorf("due is %v, %v; want %v", due, err, c.want)
			}
			other := tree(t, c.tree)
			if _, old := c.tree["lib/systemd/system/postfix.service"]; old {
				out, _ := exec.Command("systemctl", "--root="+other, "list-unit-files", unit).Output()
				if !strings.Contains(string(out), unit) {
					t.Skip("the systemd of this host looks for no units in /lib, and the real helper asks it")
				}
			}
			if err := os.Chmod(filepath.Join(other, "usr/bin/systemctl"), 0o755); err != nil {
				t.Fatal(err)
			}
			before := dump(t, other)
			debhelper(t, other)
			after := dump(t, other)
			if changed := !cmp.Equal(before, after); changed && !due {
				t.Errorf("not due, but deb-systemd-helper changes the tree:\n%s", cmp.Diff(before, after))
			}
			changed, err := h.Ensure(context.Background(), unit)
			if err != nil || changed != c.want {
				t.Errorf("ensure: %v, %v; want %v", changed, err, c.want)
			}
			if diff := cmp.Diff(after, dump(t, root)); diff != "" {
				t.Errorf("not what debhelper's postinst leaves:\n%s", diff)
			}
			if due, err := h.Due(unit); err != nil || due && !strings.Contains(name, "alias") {
				t.Errorf("still due: %v, %v", due, err)
			}
		})
	}
}

func TestHelperRunsNothingWhenNothingIsDue(t *testing.T) {
	t.Parallel()
	files := plain()
	files[record], files[mark], files[link] = "/"+link+"\n", "", "-> /lib/systemd/system/postfix.service"
	// No runner: a call would be a panic.
	if changed, err := (Helper{Root: tree(t, files)}).Ensure(context.Background(), unit); changed || err != nil {
		t.Errorf("got %v, %v", changed, err)
	}
}

// actions notes what deb-systemd-helper is asked for.
type actions []string

func (a *actions) Output(_ context.Context, _ string, args ...string) ([]byte, error) {
	*a = append(*a, args[0])
	return nil, nil
}

func TestHelperUnmasksWhatIsMasked(t *testing.T) {
	t.Parallel()
	for want, files := range map[string]map[string]string{"enable": {}, "unmask enable": {mask: "-> /dev/null", masked: ""}} {
		var got actions
		maps.Copy(files, plain())
		if _, err := (Helper{Run: &got, Root: tree(t, files)}).Ensure(context.Background(), unit); err != nil {
			t.Fatal(err)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("it is asked for %q, want %q", got, want)
		}
	}
}

func TestHelperWithoutUnit(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{record: "/" + link + "\n"})
	if due, err := (Helper{Root: root}).Due(unit); err == nil {
		t.Errorf("a unit that is not there is due: %v", due)
	}
}

// debhelper is the part of a postinst that dh_installsystemd(1) writes.
func debhelper(t *testing.T, root string) {
	t.Helper()
	const script = `
deb-systemd-helper unmask postfix.service >/dev/null || true
if deb-systemd-helper --quiet was-enabled postfix.service; then
	deb-systemd-helper enable postfix.service >/dev/null || true
else
	deb-systemd-helper update-state postfix.service >/dev/null || true
fi`
	cmd := exec.Command("/bin/sh", "-ec", script)
	cmd.Env = append(os.Environ(), "DPKG_ROOT="+root, "DPKG_MAINTSCRIPT_PACKAGE=postfix")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	return sysroottest.New(t, files).Dir()
}

func dump(t *testing.T, dir string) map[string]string {
	t.Helper()
	return sysroottest.Dump(t, dir, false)
}

// A named pipe in the place of the record, or of the unit, would be waited for.
func TestHelperWaitsForNoPipe(t *testing.T) {
	t.Parallel()
	for _, name := range []string{record, "lib/systemd/system/postfix.service"} {
		files := plain()
		files[record] = "/" + link + "\n"
		delete(files, name)
		dir := tree(t, files)
		at := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), syscall.Mkfifo(at, 0o600)); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			defer func() { _ = recover() }()
			_, err := Helper{Root: dir}.Due(unit)
			done <- err
		}()
		select {
		case err := <-done:
			if err == nil {
				t.Errorf("%s: a named pipe is read", name)
			}
		case <-time.After(time.Minute):
			t.Errorf("%s is waited for", name)
		}
	}
}
