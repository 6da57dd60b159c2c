package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/sysroot/sysroottest"
)

// TestNotDoneIsNeverNothingToDoNeedsRoot shows what a chroot command says where nothing can be written: it fails, in few lines, and moves no
// service into a chroot that it could not fill.
func TestNotDoneIsNeverNothingToDoNeedsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: a read-only file system is mounted")
	}
	const master = "smtp inet n - n - - smtpd\n"
	files := map[string]string{
		"etc/postfix/main.cf": "compatibility_level=2\nmyhostname=a.example\nsmtpd_tls_CApath=/etc/ssl/certs\n", "etc/postfix/master.cf": strings.Replace(master, "n - n", "n - y", 1),
		"dev/log": "x", "etc/hosts": "127.0.0.1 localhost\n", "var/spool/postfix/": "", "run/": "",
	}
	for n := range 150 {
		files[fmt.Sprintf("etc/ssl/certs/%08x.0", n)] = fmt.Sprintf("-----BEGIN CERTIFICATE-----\nAA%d\n-----END CERTIFICATE-----\n", n)
	}
	root := sysroottest.New(t, files)
	t.Setenv("DPKG_ROOT", root.Dir())
	run := func(call string) (code int, out, errs string) {
		var stdout, stderr strings.Builder
		code = execute(t.Context(), append([]string{"postfix-maint"}, strings.Fields(call)...), &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	if code, out, errs := run("chroot sync"); code != 0 || out != "updated etc/hosts\nupdated 150 files in etc/ssl/certs\n" {
		t.Fatalf("exit status %d, said %q and %q", code, out, errs)
	}
	if code, out, _ := run("chroot sync"); code != 0 || out != "nothing to do\n" {
		t.Fatalf("exit status %d, said %q", code, out)
	}
	main := filepath.Join(root.Dir(), "etc/postfix/main.cf")
	if err := os.WriteFile(main, []byte("compatibility_level=2\nmyhostname=a.example\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := run("chroot check"); code != 1 || out != "stale 150 files in etc/ssl/certs\n" {
		t.Errorf("check: exit status %d, said %q", code, out)
	}
	queue := filepath.Join(root.Dir(), "var/spool/postfix")
	if err := unix.Mount(queue, queue, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(queue, unix.MNT_DETACH) })
	if err := unix.Mount("", queue, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root.Dir(), "etc/hosts"), []byte("new\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(root.Dir(), "etc/postfix/master.cf")
	for _, call := range []string{"chroot sync", "chroot on", "chroot off"} {
		if call == "chroot on" {
			if err := os.WriteFile(outside, []byte(master), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		code, out, errs := run(call)
		if code != 1 || strings.Contains(out, "nothing to do") || !strings.Contains(errs, "could not be") || strings.Count(errs, "\n") > 12 {
			t.Errorf("%s: exit status %d, said %q and %q", call, code, out, errs)
		}
		if text, _ := os.ReadFile(outside); call == "chroot on" && string(text) != master {
			t.Errorf("master.cf became %q", text)
		}
	}
}

// TestEndpointsAreNamed shows what people and machines are told of what services are led to: by status without a try, by check with one.
func TestEndpointsAreNamed(t *testing.T) {
	root := sysroottest.New(t, map[string]string{
		"etc/postfix/main.cf":        "compatibility_level=2\nmyhostname=a.example\nsmtpd_milters=unix:m/a unix:/run/none\nmulti_instance_directories=/etc/postfix-none\n",
		"etc/postfix-none/main.cf":   "compatibility_level=2\nmyhostname=a.example\nmulti_instance_name=postfix-none\nqueue_directory=/var/spool/none\n",
		"etc/postfix-none/master.cf": "smtp inet n - n - - smtpd\n", "var/spool/none/": "",
		"etc/postfix/master.cf": "smtp inet n - y - - smtpd\nsmtps inet n - y - - smtpd\n26 inet n - n - - smtpd\n" +
			"  -o smtpd_milters=inet:127.0.0.1:1\n", "dev/log": "x", "var/spool/postfix/m/": "", "run/": "",
	})
	t.Setenv("DPKG_ROOT", root.Dir())
	socket := filepath.Join(root.Dir(), "var/spool/postfix/m/a")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, mode := range map[string]os.FileMode{socket: 0o666, root.Dir(): 0o755, filepath.Dir(root.Dir()): 0o755} { // Postfix's account tries it
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	run := func(call string) (code int, out string) {
		var stdout, stderr strings.Builder
		code = execute(t.Context(), append([]string{"postfix-maint"}, strings.Fields(call)...), &stdout, &stderr)
		return code, stdout.String()
	}
	code, out := run("chroot status -")
	if code != 0 || !strings.HasSuffix(out, `
reaches   smtp/inet: milter m/a (smtpd_milters, /etc/postfix/main.cf:3)
reaches   smtp/inet: milter /run/none (smtpd_milters, /etc/postfix/main.cf:3)
reaches   smtps/inet: milter m/a (smtpd_milters, /etc/postfix/main.cf:3)
reaches   smtps/inet: milter /run/none (smtpd_milters, /etc/postfix/main.cf:3)
reaches   26/inet: milter 127.0.0.1:1 (smtpd_milters, /etc/postfix/master.cf:3)
`) {
		t.Errorf("status: %d, %s", code, out)
	}
	if code, out = run("chroot sync -"); code != 0 {
		t.Fatalf("sync: %d, %s", code, out)
	}
	code, out = run("chroot check -")
	if code != 1 || !strings.Contains(out, "reachable milter m/a from smtp/inet smtps/inet\n") ||
		!strings.Contains(out, `cannot reach the milter "/run/none" (smtpd_milters, /etc/postfix/main.cf:3)`) {
		t.Errorf("check: %d, %s", code, out)
	}
	code, out = run("chroot check --json -")
	var reports struct {
		Instances []struct {
			Endpoints []struct {
				Service, Use, Socket, Address, Parameter, File, State string
				Line                                                  int
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &reports); err != nil || code != 1 || len(reports.Instances) != 1 {
		t.Fatalf("check --json: %d, %v, %s", code, err, out)
	}
	var got []string
	for _, e := range reports.Instances[0].Endpoints {
		got = append(got, fmt.Sprintf("%s %s%s %s", e.Service, e.Socket, e.Address, e.State))
	}
	if want := "smtp/inet m/a reachable,smtp/inet /run/none no way,smtps/inet m/a reachable,smtps/inet /run/none no way,26/inet 127.0.0.1:1 untried"; strings.Join(got, ",") != want {
		t.Errorf("endpoints %s, want %s", strings.Join(got, ","), want)
	}
	for call, has := range map[string]bool{"chroot status --json": true, "chroot check --json": true, "chroot sync --json": false} { // a list that may be empty, or none
		if _, out := run(call + " postfix-none"); strings.Contains(out, `"endpoints": []`) != has {
			t.Errorf("%s: %s", call, out)
		}
	}
	if code, out = run("chroot status --json -"); code != 0 || strings.Count(out, `"parameter": "smtpd_milters"`) != 5 || strings.Contains(out, `"state"`) {
		t.Errorf("status --json: %d, %s", code, out)
	}
}
