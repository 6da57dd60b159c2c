package transaction_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
	"postfix-maint/internal/sysroot/transaction"
)

const childDir, childSeed = "TRANSACTION_TEST_DIR", "TRANSACTION_TEST_SEED"

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir, os.Getenv(childSeed)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// random gives the files that stand there before and after a random transaction; "" is no file.
func random(seed string) (names []string, old, new map[string]string) {
	var key [32]byte
	copy(key[:], seed)
	r := rand.New(rand.NewChaCha8(key))
	old, new = map[string]string{}, map[string]string{}
	for n := range 2 + r.IntN(3) {
		name := fmt.Sprintf("/dir%d/file%d", r.IntN(2), n)
		names = append(names, name)
		old[name], new[name] = []string{"", "old " + name}[min(r.IntN(4), 1)], []string{"", "new " + name}[min(r.IntN(4), 1)]
		if old[name] == new[name] { // neither there
			new[name] = "new " + name
		}
	}
	return names, old, new
}

func child(dir, seed string) error {
	root, err := sysroot.Open(dir)
	if err != nil {
		return err
	}
	if strings.HasPrefix(seed, "one") {
		return one(root)
	}
	if strings.HasPrefix(seed, "due") {
		return followed(root)
	}
	if strings.HasPrefix(seed, "detour") {
		_, err = host(root).Apply(context.Background(), detour(root, seed))
		return err
	}
	names, _, new := random(seed)
	tr := &transaction.Transaction{Title: "random"}
	for _, name := range names {
		f := transaction.File{Path: name, Attr: sysroot.Attr{UID: os.Getuid(), GID: os.Getgid()}}
		if f.Seen, err = root.See(name); err != nil {
			return err
		}
		if new[name] != "" {
			f.New = []byte(new[name])
		}
		tr.Files = append(tr.Files, f)
	}
	_, err = host(root).Apply(context.Background(), tr)
	return err
}

// TestKilledAtEachCall ends random transactions right before each of their calls that change a file. Each file must be wholly old or new
// then, and after Recover all must be old, or all new.
func TestKilledAtEachCall(t *testing.T) {
	killat := buildKillat(t)
	forward, back := 0, 0
	for seed := range 2 {
		seed := fmt.Sprint(seed)
		for n := 1; ; n++ {
			root, killed := runKilled(t, killat, seed, randomTree(seed), n)
			went := checkRecovery(t, root, seed, n)
			if !killed {
				break
			}
			if went {
				forward++
			} else {
				back++
			}
		}
	}
	if forward < 10 || back < 10 {
		t.Errorf("only %d kills were completed and %d taken back: the test no longer reaches what it is about", forward, back)
	}
}

// killStep is how far apart the calls are at which a test kills: KILLSTEP, as make nightly sets it to 1, or 4.
func killStep(t *testing.T) int {
	t.Helper()
	step, err := strconv.Atoi(cmp.Or(os.Getenv("KILLSTEP"), "4"))
	if err != nil || step < 1 {
		t.Fatalf("KILLSTEP is %q", os.Getenv("KILLSTEP"))
	}
	return step
}

func buildKillat(t *testing.T) string {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("the helper that kills knows the system calls of amd64 only")
	}
	killat := filepath.Join(t.TempDir(), "killat")
	if out, err := exec.Command("go", "build", "-o", killat, "postfix-maint/integration/killat").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return killat
}

func randomTree(seed string) map[string]string {
	names, old, _ := random(seed)
	tree := map[string]string{"dir0/": "", "dir1/": ""}
	for _, name := range names {
		if old[name] != "" {
			tree[strings.TrimPrefix(name, "/")] = old[name]
		}
	}
	return tree
}

// runKilled has the child make the transaction of a seed in a tree, and ends it right before its call n.
func runKilled(t *testing.T, killat, seed string, tree map[string]string, n int) (*sysroot.Root, bool) {
	t.Helper()
	root := sysroottest.New(t, tree)
	cmd := exec.Command(killat, "-n", fmt.Sprint(n), "-alone", os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+root.Dir(), childSeed+"="+seed)
	var said bytes.Buffer
	cmd.Stderr = &said
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 137) {
		t.Fatalf("seed %s, call %d: %v: %s", seed, n, err, &said)
	}
	return root, err != nil
}

// checkRecovery recovers, and tells whether that went forward.
func checkRecovery(t *testing.T, root *sysroot.Root, seed string, n int) bool {
	t.Helper()
	names, old, new := random(seed)
	read := func(name string) string {
		data, _ := root.ReadFile(name)
		return string(data)
	}
	for _, name := range names {
		if is := read(name); is != old[name] && is != new[name] {
			t.Errorf("seed %s, call %d: %s says %q", seed, n, name, is)
		}
	}
	if r, err := host(root).Recover(); err != nil || len(r.Warnings) > 0 {
		t.Errorf("seed %s, call %d: Recover = %+v, %v", seed, n, r, err)
	}
	isNew := read(names[len(names)-1]) == new[names[len(names)-1]]
	want := map[bool]map[string]string{false: old, true: new}[isNew]
	files := 0
	for _, name := range names {
		if is := read(name); is != want[name] {
			t.Errorf("seed %s, call %d: after Recover %s says %q, want %q", seed, n, name, is, want[name])
		}
		if want[name] != "" {
			files++
		}
	}
	tree := dump(t, root)
	if len(tree) != files+2 {
		t.Errorf("seed %s, call %d: left behind: %v", seed, n, tree)
	}
	return isNew
}
