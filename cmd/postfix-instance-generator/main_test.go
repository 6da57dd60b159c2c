package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"postfix-maint/internal/generator"
	"postfix-maint/internal/sysroot/sysroottest"
)

// tree is a host with count instances beside the primary one.
func tree(t testing.TB, count int) string {
	t.Helper()
	files := map[string]string{}
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

// wants checks what postfix.service wants of the units in out.
func wants(t *testing.T, out string, units ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(out, "postfix.service.d/50-instances.conf"))
	if err != nil {
		t.Error(err)
	}
	var got []string
	for line := range strings.Lines(string(text)) {
		if unit, ok := strings.CutPrefix(line, "Wants="); ok {
			got = append(got, strings.TrimSpace(unit))
		}
	}
	if !slices.Equal(got, units) {
		t.Errorf("postfix.service wants %q, should want %q", got, units)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	root, out := tree(t, 2), t.TempDir()
	var stdout, stderr bytes.Buffer
	if code := run([]string{"-root", root, out, out, out}, &stdout, &stderr); code != 0 || stderr.Len() > 0 || stdout.Len() > 0 {
		t.Errorf("exit %d: %s%s", code, &stdout, &stderr)
	}
	wants(t, out, "postfix@-.service", "postfix@postfix-000.service", "postfix@postfix-001.service")
}

func TestRunDry(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	if code := run([]string{"-root", tree(t, 1), "-dryrun"}, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
		t.Errorf("exit %d: %s", code, &stderr)
	}
	for _, want := range []string{
		"# postfix.service.d/50-instances.conf\n", "Wants=postfix@postfix-000.service\n", "\nRequires=postfix@postfix-000.service\n",
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
	root, out := tree(t, 8), t.TempDir()
	main := func(n int) string { return filepath.Join(root, fmt.Sprintf("etc/postfix-%03d/main.cf", n)) }
	for n := range 7 {
		if err := os.Remove(main(n)); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		syscall.Mkfifo(main(0), 0o600),
		os.WriteFile(main(1), []byte("multi_instance_name = a/b\n"), 0o600),
		os.RemoveAll(filepath.Dir(main(2))),
		os.Symlink("main.cf", main(3)),
		os.WriteFile(main(4), nil, 0o600), os.Truncate(main(4), 4<<30), // sparse
		os.WriteFile(main(5), []byte("\x7fELF\x02\x01\x00\xff\xfe = $\n\t\x80"), 0o600),
		os.WriteFile(main(6), []byte("multi_instance_name = $a\na = ${b}\nb = $(a)\n"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var stdout, stderr bytes.Buffer
	if code := run([]string{"-root", root, out}, &stdout, &stderr); code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
	said, err := os.ReadFile(filepath.Join(out, generator.Complaints))
	if err != nil {
		t.Error(err)
	}
	for n := range 7 {
		bad := filepath.Base(filepath.Dir(main(n)))
		if !strings.Contains(stderr.String(), bad) {
			t.Errorf("nothing is said of %s:\n%s", bad, &stderr)
		}
		if lines := len(regexp.MustCompile("(?m)^.*"+bad+".*$").FindAllString(string(said), -1)); lines != 1 {
			t.Errorf("postfix.service would name %s %d times:\n%s", bad, lines, said)
		}
	}
	wants(t, out, "postfix@-.service", "postfix@postfix-007.service")
}

// Ten thousand entries, most of them rubbish, are no reason to fill the log or to lose an instance.
func TestRunManyEntries(t *testing.T) {
	t.Parallel()
	root, out := tree(t, 1), t.TempDir()
	list := strings.Repeat("relative /none /etc/postfix /etc/postfix-000 ", 2500)
	if err := os.WriteFile(filepath.Join(root, "etc/postfix/main.cf"), []byte("multi_instance_enable = yes\nmulti_instance_directories = "+list+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := run([]string{"-root", root, out}, &stdout, &stderr); code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
	if n := strings.Count(stderr.String(), "\n"); n != maxReports+1 || !strings.Contains(stderr.String(), fmt.Sprintf("and %d more\n", 9999-maxReports)) {
		t.Errorf("%d lines were logged, want %d:\n%.500s", n, maxReports+1, &stderr)
	}
	wants(t, out, "postfix@-.service", "postfix@postfix-000.service")
}

// measuring in the environment makes this test's binary run a program and print its memory, in KiB. Linux counts what a process
// had before execve(2) as well, and that is the memory of all tests when one of them starts the program.
const measuring = "TEST_MEASURING"

func TestMain(m *testing.M) {
	if os.Getenv(measuring) == "" {
		os.Exit(m.Run())
	}
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	if said, err := cmd.CombinedOutput(); err != nil {
		fmt.Printf("%v: %s", err, said)
		os.Exit(1)
	}
	fmt.Print(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
}

// Many main.cf files as large as one may be do not add up. The program is measured as it is built for a host: the race detector
// would need most of the memory.
func TestMemory(t *testing.T) {
	t.Parallel()
	generator := filepath.Join(t.TempDir(), "generator")
	build := exec.Command("go", "build", "-o", generator, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	const number = 40
	root, out := tree(t, number), t.TempDir()
	large := strings.Repeat("a=b\n", 1<<18)
	first := filepath.Join(root, "etc/postfix-000/main.cf")
	if err := os.WriteFile(first, []byte(large), 0o600); err != nil {
		t.Fatal(err)
	}
	for n := 1; n < number; n++ {
		name := filepath.Join(root, fmt.Sprintf("etc/postfix-%03d/main.cf", n))
		if err := errors.Join(os.Remove(name), os.Link(first, name)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(os.Args[0], generator, "-root", root, out)
	cmd.Env = append(os.Environ(), measuring+"=1")
	said, err := cmd.Output()
	if err != nil {
		t.Errorf("%v: %s", err, said)
	}
	if units, err := filepath.Glob(filepath.Join(out, "postfix@*")); err != nil || len(units) != number+1 {
		t.Errorf("%d units, %v", len(units), err)
	}
	const most = 160 << 10 // KiB; the collector lags behind by what a few files need
	if got, err := strconv.Atoi(string(said)); err != nil || got == 0 || got > most {
		t.Errorf("needed %s KiB of memory, at most %d", said, most)
	}
}

func TestRunWithoutConfiguration(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	var stdout, stderr bytes.Buffer
	if code := run([]string{"-root", t.TempDir(), out}, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
		t.Errorf("exit %d: %s", code, &stderr)
	}
	wants(t, out, "postfix@-.service") // ready for the day it is configured
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
