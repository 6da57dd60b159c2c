package history

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
	"postfix-maint/internal/sysroot/transaction"
)

const childDir, childDoes = "HISTORY_TEST_DIR", "HISTORY_TEST_DOES"

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		root, err := sysroot.Open(dir)
		if err == nil {
			err = child(root, os.Getenv(childDoes))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const otherFile = "/etc/postfix/relay"

// child changes two files or one, or takes that back.
func child(root *sysroot.Root, does string) error {
	switch does {
	case "change":
		return change(root, map[string]string{paths.MainCF: "a = 1\n", otherFile: "new\n"})
	case "one":
		return transaction.Write(withLog(root), transaction.File{Path: paths.MainCF, Seen: &sysroot.Seen{Data: []byte("a = 0\n")}, New: []byte("a = 1\n")})
	}
	all, _, err := Load(root)
	if err == nil {
		_, err = takeBack(root, all[0])
	}
	return err
}

// A change, one without the lock of a command, and an undo are killed right before each of their calls that change a file. After the next
// command's recovery the files are those of before without an entry, or the new ones with it.
func TestKilledAtEachCall(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the helper that kills knows the system calls of amd64 only")
	}
	killat := filepath.Join(t.TempDir(), "killat")
	if out, err := exec.Command("go", "build", "-o", killat, "postfix-maint/integration/killat").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	step, err := strconv.Atoi(cmp.Or(os.Getenv("KILLSTEP"), "4")) // make nightly sets 1
	if err != nil || step < 1 {
		t.Fatalf("KILLSTEP is %q", os.Getenv("KILLSTEP"))
	}
	for _, does := range []string{"change", "one", "undo"} {
		old, new := []string{"a = 0\n", ""}, []string{"a = 1\n", "new\n"}
		if does == "one" {
			new[1] = ""
		}
		if does == "undo" {
			old, new = new, old
		}
		went := map[bool]int{}
		for n := 1; ; n += step {
			root := sysroottest.New(t, map[string]string{"etc/postfix/main.cf": "a = 0\n"})
			if does == "undo" {
				if err := child(root, "change"); err != nil {
					t.Fatal(err)
				}
				root.Recorder = nil
			}
			entriesBefore := len(entries(t, root))
			killed := runKilled(t, killat, root, does, n)
			if _, err := host(root).Recover(); err != nil {
				t.Errorf("%s, call %d: Recover: %v", does, n, err)
			}
			if err := Recover(root); err != nil {
				t.Errorf("%s, call %d: Recover: %v", does, n, err)
			}
			forward := len(entries(t, root)) > entriesBefore
			want := map[bool][]string{false: old, true: new}[forward]
			if got := []string{read(root, paths.MainCF), read(root, otherFile)}; !slices.Equal(got, want) {
				t.Errorf("%s, call %d: the files say %q, and an entry of it is there: %v", does, n, got, forward)
			}
			for name := range sysroottest.Dump(t, root.Dir(), false) {
				if strings.Contains(name, "staged") || strings.HasSuffix(name, ".json") {
					t.Errorf("%s, call %d: left behind: %s", does, n, name)
				}
			}
			if went[forward]++; !killed {
				break
			}
		}
		if went[false] < 2 || went[true] < 3 {
			t.Errorf("%s: only %d kills were completed and %d taken back: the test no longer reaches what it is about", does, went[true], went[false])
		}
	}
}

// runKilled has the child do something, and ends it right before its call n.
func runKilled(t *testing.T, killat string, root *sysroot.Root, does string, n int) bool {
	t.Helper()
	cmd := exec.Command(killat, "-n", fmt.Sprint(n), "-alone", os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+root.Dir(), childDoes+"="+does)
	var said bytes.Buffer
	cmd.Stderr = &said
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 137) {
		t.Fatalf("%s, call %d: %v: %s", does, n, err, &said)
	}
	return err != nil
}
