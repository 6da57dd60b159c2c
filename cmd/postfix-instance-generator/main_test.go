package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"postfix-maint/internal/sysroot/sysroottest"
)

// tree is a host with count instances beside the primary one.
func tree(t testing.TB, count int) string {
	t.Helper()
	files := map[string]string{"usr/lib/systemd/system/postfix@.service": ""}
	var dirs []string
	for n := range count {
		name := fmt.Sprintf("postfix-%03d", n)
		dirs = append(dirs, "/etc/"+name)
		files["etc/"+name+"/main.cf"] = "# copied\nmulti_instance_name = " + name + "\nmulti_instance_enable = yes\n" +
			"queue_directory = /var/spool/$multi_instance_name\ndata_directory = /var/lib/$multi_instance_name\n"
	}
	files["etc/postfix/main.cf"] = "multi_instance_enable = yes\nmulti_instance_directories = " + strings.Join(dirs, "\n\t") + "\n"
	return sysroottest.New(t, files).Dir()
}

func TestRun(t *testing.T) {
	t.Parallel()
	root, out := tree(t, 2), t.TempDir()
	var stdout, stderr bytes.Buffer
	if code := run([]string{"-root", root, out, out, out}, &stdout, &stderr); code != 0 || stderr.Len() > 0 || stdout.Len() > 0 {
		t.Errorf("exit %d: %s%s", code, &stdout, &stderr)
	}
	for _, unit := range []string{"postfix@-.service", "postfix@postfix-000.service", "postfix@postfix-001.service"} {
		if target, err := os.Readlink(filepath.Join(out, "postfix.service.wants", unit)); target != "/usr/lib/systemd/system/postfix@.service" {
			t.Errorf("%s leads to %q, %v", unit, target, err)
		}
	}
}

func TestRunDry(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	if code := run([]string{"-root", tree(t, 1), "-dryrun"}, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
		t.Errorf("exit %d: %s", code, &stderr)
	}
	for _, want := range []string{
		"# postfix.service.wants/postfix@postfix-000.service -> /usr/lib/systemd/system/postfix@.service\n",
		"# postfix@postfix-000.service.d/50-instance.conf\n", "Environment=\"MAIL_CONFIG=/etc/postfix-000\"\n",
	} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, &stdout)
		}
	}
}

// One bad instance never hides the others, and never keeps the generator waiting.
func TestRunBadInstances(t *testing.T) {
	t.Parallel()
	root, out := tree(t, 4), t.TempDir()
	first := filepath.Join(root, "etc/postfix-000/main.cf")
	for _, err := range []error{
		os.Remove(first), syscall.Mkfifo(first, 0o600),
		os.WriteFile(filepath.Join(root, "etc/postfix-001/main.cf"), []byte("multi_instance_name = a/b\n"), 0o600),
		os.RemoveAll(filepath.Join(root, "etc/postfix-002")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var stdout, stderr bytes.Buffer
	start := time.Now()
	if code := run([]string{"-root", root, out}, &stdout, &stderr); code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
	for _, bad := range []string{"postfix-000", "postfix-001", "postfix-002"} {
		if !strings.Contains(stderr.String(), bad) {
			t.Errorf("nothing is said of %s:\n%s", bad, &stderr)
		}
	}
	for _, good := range []string{"postfix@-.service", "postfix@postfix-003.service"} {
		if _, err := os.Readlink(filepath.Join(out, "postfix.service.wants", good)); err != nil {
			t.Error(err)
		}
	}
}

func TestRunWithoutConfiguration(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	var stdout, stderr bytes.Buffer
	if code := run([]string{"-root", t.TempDir(), out}, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
		t.Errorf("exit %d: %s", code, &stderr)
	}
	if _, err := os.Readlink(filepath.Join(out, "postfix.service.wants/postfix@-.service")); err != nil {
		t.Errorf("the primary instance is not ready for the day it is configured: %v", err)
	}
}

func TestRunArguments(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"none": nil, "two directories": {"/a", "/b"}, "an unknown option": {"-x"}, "a directory and a dry run": {"-dryrun", "/a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			if code := run(args, &stdout, &stderr); code != 2 || !strings.Contains(stderr.String(), "usage:") {
				t.Errorf("exit %d: %s", code, &stderr)
			}
		})
	}
}

// BenchmarkRun is the work of one run, process start left out.
func BenchmarkRun(b *testing.B) {
	for _, count := range []int{20, 200} {
		root := tree(b, count)
		b.Run(fmt.Sprint(count+1, " instances"), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				out := b.TempDir()
				b.StartTimer()
				if code := run([]string{"-root", root, out}, os.Stdout, os.Stderr); code != 0 {
					b.Fatal(code)
				}
			}
		})
	}
}
