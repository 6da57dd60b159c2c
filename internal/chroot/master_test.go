package chroot

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"postfix-maint/internal/procs"
)

// process starts a program that waits, under another name, in a directory, and gives its number once it runs.
func process(t *testing.T, name, dir string, uid uint32) int {
	t.Helper()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	bin, err := os.MkdirTemp("", "bin") // where every account may start it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(bin) })
	program := filepath.Join(bin, name)
	if err := errors.Join(os.Chmod(bin, 0o755), os.WriteFile(program, data, 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "600")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for got := ""; got != program; time.Sleep(time.Millisecond) {
		if got, err = procs.Program(cmd.Process.Pid); err != nil {
			t.Fatal(err)
		}
	}
	return cmd.Process.Pid
}

// The PID file of a queue directory is believed only where it names a master of root's that works there. It may be anything, and then no
// other process is taken for the master, and nothing is waited for.
func TestMasterNeedsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: processes of other accounts are started")
	}
	root := host(t, map[string]string{"srv/": "", queueDir + "/pid/": ""})
	queue := filepath.Join(root.Dir(), queueDir)
	file := filepath.Join(queue, "pid/master.pid")
	write := func(text string) func() error {
		return func() error { return os.WriteFile(file, []byte(text), 0o644) }
	}
	// everybody may enter, for the process of another account
	for dir := queue; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	master := process(t, "master", queue, 0)
	for name, c := range map[string]struct {
		lay  func() error
		want int
	}{
		"the master": {write(fmt.Sprintf("%16d\n", master)), master},
		"by a link": {func() error {
			return errors.Join(os.WriteFile(file+"2", fmt.Append(nil, master), 0o644), os.Symlink("master.pid2", file))
		}, master},
		"another queue's master":         {write(fmt.Sprint(process(t, "master", filepath.Join(root.Dir(), "srv"), 0))), 0},
		"another program":                {write(fmt.Sprint(process(t, "qmgr", queue, 0))), 0},
		"another account's":              {write(fmt.Sprint(process(t, "master", queue, 65534))), 0},
		"the first process":              {write("1\n"), 0},
		"a group of processes":           {write(fmt.Sprint(-master)), 0},
		"two numbers":                    {write(fmt.Sprintf("%d %d", master, master)), 0},
		"none":                           {func() error { return nil }, 0},
		"a named pipe":                   {func() error { return syscall.Mkfifo(file, 0o644) }, 0},
		"a file of another kind of data": {func() error { return os.Symlink("/etc/passwd", file) }, 0},
	} {
		_ = os.Remove(file)
		if err := c.lay(); err != nil {
			t.Fatal(err)
		}
		if got := Master(Deps{Root: root}, "/"+queueDir); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
