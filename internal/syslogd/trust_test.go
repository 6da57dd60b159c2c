package syslogd

import (
	"context"
	"errors"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

// Where another account decides what a name in the queue directory means, no daemon is told to make a socket of that name, nothing is made or
// removed there, and whoever asks hears which directory it is and what to do.
func TestForeignQueueNeedsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: directories of other owners are made")
	}
	for name, files := range map[string]map[string]string{
		"rsyslog": withRsyslog, "syslog-ng": withSyslogNG, "inetutils-syslogd": withInetutils, "busybox-syslogd": withBusybox,
	} {
		for _, foreign := range []string{queue, queue + "/dev"} {
			t.Run(name+" "+foreign, func(t *testing.T) {
				root := lay(t, files)
				if err := os.MkdirAll(filepath.Join(root.Dir(), queue, "dev"), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Chown(filepath.Join(root.Dir(), foreign), 101, 103); err != nil {
					t.Fatal(err)
				}
				restarted, warnings := sync(t, root, queue)
				if restarted != nil || len(warnings) != 1 || !strings.Contains(warnings[0], `"`+foreign+`", which belongs to the account 101, not to root (chown root)`) {
					t.Errorf("restarted %q, warnings %q", restarted, warnings)
				}
			})
		}
	}
}

// A directory that changes hands takes its socket out of what the daemon is told, once, and puts it back when it is root's again. The other
// instances' sockets stay.
func TestQueueChangesHandsNeedsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: directories of other owners are made")
	}
	for name, c := range map[string]struct {
		files map[string]string
		path  string
	}{
		"rsyslog":           {withRsyslog, ours},
		"syslog-ng":         {withSyslogNG, "etc/syslog-ng/conf.d/postfix-maint.conf"},
		"inetutils-syslogd": {withInetutils, inet},
	} {
		t.Run(name, func(t *testing.T) {
			root := lay(t, c.files)
			chown := func(uid int) {
				t.Helper()
				if err := os.Chown(filepath.Join(root.Dir(), queue), uid, 0); err != nil {
					t.Fatal(err)
				}
			}
			step := func(what string, restarts, warned int, named bool) {
				t.Helper()
				restarted, warnings := sync(t, root, queue, other)
				text, err := root.ReadFile("/" + c.path)
				if len(restarted) != restarts || len(warnings) != warned || err != nil || mentions(string(text), queue+"/dev/log") != named ||
					!mentions(string(text), other+"/dev/log") {
					t.Errorf("%s: restarted %q, warnings %q, %v, the file says:\n%s", what, restarted, warnings, err, text)
				}
			}
			step("at first", 1, 0, true)
			chown(101)
			step("postfix's", 1, 1, false)
			step("postfix's still", 0, 1, false)
			chown(0)
			step("root's again", 1, 0, true)
		})
	}
}

// A start takes such a socket out as well, makes and restarts nothing, and says so once; what is right stays as it is.
func TestWithdrawNeedsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: directories of other owners are made")
	}
	root := lay(t, withRsyslog)
	h := Host{Root: root, Restart: func(context.Context, string) error { return errors.New("must not be restarted") }}
	step := func(what string, warned int, want ...string) {
		t.Helper()
		warnings, err := h.Withdraw(t.Context())
		if got := h.Named(); err != nil || len(warnings) != warned || !cmp.Equal(got, want) {
			t.Errorf("%s: %v, warnings %q, named %q, want %q", what, err, warnings, got, want)
		}
	}
	step("nothing there", 0)
	sync(t, root, queue, other)
	if err := os.RemoveAll(filepath.Join(root.Dir(), queue)); err != nil { // an instance that is being removed
		t.Fatal(err)
	}
	before := sysroottest.Dump(t, root.Dir(), true)
	step("all is right", 0, other, queue)
	if diff := cmp.Diff(before, sysroottest.Dump(t, root.Dir(), true)); diff != "" {
		t.Errorf("changed (-before +after):\n%s", diff)
	}
	if err := os.Chown(filepath.Join(root.Dir(), other), 101, 103); err != nil {
		t.Fatal(err)
	}
	step("one changed hands", 1, queue)
	step("and is still so", 0, queue)
	if ok, err := root.Exists(queue); ok || err != nil {
		t.Errorf("the queue directory that was removed is made again: %v", err)
	}
}

// A line of somebody else's that names such a socket is theirs, so it is said where it stands.
func TestForeignQueueNamedByHandNeedsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: directories of other owners are made")
	}
	rsyslog, inetutils := maps.Clone(withRsyslog), maps.Clone(withInetutils)
	rsyslog["etc/rsyslog.d/postfix.conf"] = "$AddUnixListenSocket " + queue + "/dev/log\n"
	inetutils[inet] = "SYSLOGD_OPTS=\"-a " + queue + "/dev/log\"\n"
	for want, files := range map[string]map[string]string{
		"/etc/rsyslog.d/postfix.conf names it to rsyslog all the same: take it out there, then restart rsyslog":       rsyslog,
		"/" + inet + " names it to inetutils-syslogd all the same: take it out there, then restart inetutils-syslogd": inetutils,
	} {
		root := lay(t, files)
		if err := os.Chown(filepath.Join(root.Dir(), queue), 101, 103); err != nil {
			t.Fatal(err)
		}
		before := sysroottest.Dump(t, root.Dir(), true)
		if restarted, warnings := sync(t, root, queue); restarted != nil || len(warnings) != 1 || !strings.Contains(warnings[0], want) {
			t.Errorf("restarted %q, warnings %q, want %q", restarted, warnings, want)
		}
		if diff := cmp.Diff(before, sysroottest.Dump(t, root.Dir(), true)); diff != "" {
			t.Errorf("changed (-before +after):\n%s", diff)
		}
	}
}

// The socket of a chroot that goes is removed by its name, so only where that name is root's.
func TestLeaveForeignQueueNeedsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: directories of other owners are made")
	}
	root := lay(t, map[string]string{"dev/": ""})
	t.Chdir(root.Dir()) // a socket's path has 108 bytes at most
	l, err := net.Listen("unix", "dev/log")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := errors.Join(os.Symlink("../../../dev", filepath.Join(root.Dir(), queue, "dev")), os.Lchown(filepath.Join(root.Dir(), queue, "dev"), 101, 103)); err != nil {
		t.Fatal(err)
	}
	if err := (Host{Root: root}).Leave(queue); !errors.As(err, new(*sysroot.UntrustedError)) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat("dev/log"); err != nil {
		t.Errorf("the host's own socket: %v", err)
	}
}
