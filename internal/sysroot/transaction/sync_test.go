package transaction_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/sysroot/sysroottest"
)

// What gets a name is on the disk before, and the name right after: fsync(2) before rename(2), and of the directory behind it.
func TestNamesComeAfterTheDisk(t *testing.T) {
	killat := buildKillat(t)
	for seed, tree := range map[string]map[string]string{"one": {"dir/file": "old"}, "0": randomTree("0")} {
		root, log := sysroottest.New(t, tree), filepath.Join(t.TempDir(), "log")
		cmd := exec.Command(killat, "-n", "0", "-log", log, "-alone", os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+root.Dir(), childSeed+"="+seed)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		unsynced, named, names := map[string]bool{}, "", 0
		for line := range strings.Lines(string(text)) {
			var count, nr int
			var program, name string
			if _, err := fmt.Sscanf(line, "%d %s call %d %s", &count, &program, &nr, &name); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if !strings.HasPrefix(name, root.Dir()) { // what a binary that counts coverage writes at its end
				continue
			}
			if named != "" && (nr != unix.SYS_FSYNC || name != filepath.Dir(named)) {
				t.Errorf("%s: the name %s is not synced", seed, named)
			}
			named = ""
			switch nr {
			case unix.SYS_WRITE:
				unsynced[name] = true
			case unix.SYS_FSYNC:
				delete(unsynced, name)
			case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
				if named = name; len(unsynced) > 0 {
					t.Errorf("%s: not synced before %s gets its name: %v", seed, name, unsynced)
				}
				names++
			}
		}
		if names == 0 || named != "" {
			t.Errorf("%s: %d files got names; the last one, if it is not synced: %q", seed, names, named)
		}
	}
}
