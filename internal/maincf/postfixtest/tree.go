//go:build integration

package postfixtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Env names the variable that lists the trees, divided by colons: directories that hold a system with Postfix installed,
// writable, to be entered with chroot(8).
const Env = "POSTFIX_ROOTS"

// Each runs f once for each tree. A tree without a working postconf, or none at all, fails the test.
func Each(t *testing.T, f func(t *testing.T, tree *Tree)) {
	t.Helper()
	trees := filepath.SplitList(os.Getenv(Env))
	if len(trees) == 0 {
		t.Fatalf("%s names no system tree", Env)
	}
	for _, dir := range trees {
		version, err := exec.Command("chroot", dir, "postconf", "-dh", "mail_version").Output()
		if err != nil {
			t.Fatalf("cannot run postconf in %q: %v", dir, err)
		}
		t.Run(strings.TrimSpace(string(version)), func(t *testing.T) {
			t.Parallel() // their time goes by in sleeps of programs that fail
			work, err := os.MkdirTemp(filepath.Join(dir, "tmp"), "postfixtest")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(work) })
			if err := os.Chmod(work, 0o755); err != nil {
				t.Fatal(err)
			}
			f(t, &Tree{t: t, dir: dir, work: work})
		})
	}
}

// Tree is a system with Postfix, and a directory in it for one test. One Script runs many cases in one chroot.
type Tree struct {
	t         *testing.T
	dir, work string
	script    strings.Builder
	spawned   int
}

// Read returns a file of the system, nil if it is not there.
func (tr *Tree) Read(path string) []byte {
	data, err := os.ReadFile(filepath.Join(tr.dir, path))
	if err != nil && !os.IsNotExist(err) {
		tr.t.Fatal(err)
	}
	return data
}

// Write makes a file below the test's directory, old enough that Postfix does not wait for it to cool down.
func (tr *Tree) Write(name string, data []byte) {
	tr.t.Helper()
	path := filepath.Join(tr.work, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tr.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		tr.t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		tr.t.Fatal(err)
	}
}

// Add appends a command to the script that Run runs in the test's directory; its output is Result(key)'s.
func (tr *Tree) Add(key string, args ...string) { tr.add(key, args, "") }

// Spawn is Add for a command that may run beside others: a Postfix program that fails sleeps for a second.
func (tr *Tree) Spawn(key string, args ...string) {
	tr.add(key, args, " &")
	if tr.spawned++; tr.spawned%100 == 0 {
		tr.script.WriteString("wait\n")
	}
}

func (tr *Tree) add(key string, args []string, end string) {
	for i, a := range args {
		args[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
	}
	fmt.Fprintf(&tr.script, "{ %s >%s.out 2>%s.err </dev/null; echo $? >%s.rc; }%s\n", strings.Join(args, " "), key, key, key, end)
}

// Age waits for all commands and makes what they have written old.
func (tr *Tree) Age() { tr.script.WriteString("wait\nfind . -exec touch -d '1 hour ago' {} +\n") }

// Run runs the commands added since the last Run.
func (tr *Tree) Run() {
	tr.t.Helper()
	text := "cd /tmp/" + filepath.Base(tr.work) + " || exit\n" + tr.script.String() + "wait\n"
	tr.script.Reset()
	cmd := exec.Command("chroot", tr.dir, "sh")
	cmd.Stdin = strings.NewReader(text)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		tr.t.Fatalf("the script ended with %v: %s", err, out)
	}
}

// Result returns what the command of that key wrote, and whether it exited 0.
func (tr *Tree) Result(key string) (out, stderr string, ok bool) {
	tr.t.Helper()
	var text [3]string
	for i, end := range []string{".out", ".err", ".rc"} {
		data, err := os.ReadFile(filepath.Join(tr.work, key+end))
		if err != nil {
			tr.t.Fatal(err)
		}
		text[i] = string(data)
	}
	return text[0], text[1], text[2] == "0\n"
}

// File returns a file below the test's directory.
func (tr *Tree) File(name string) []byte {
	tr.t.Helper()
	data, err := os.ReadFile(filepath.Join(tr.work, name))
	if err != nil {
		tr.t.Fatal(err)
	}
	return data
}
