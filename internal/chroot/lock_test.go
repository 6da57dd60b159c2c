package chroot

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAQueueDirectoryThatSomebodyLocks shows that a lock that anybody may take, on the queue directory or what lies in it, holds nobody up:
// the run ends, without an error or a warning.
func TestAQueueDirectoryThatSomebodyLocks(t *testing.T) {
	t.Parallel()
	root := host(t, nil)
	apply(t, root)
	for _, name := range []string{".", "etc", "etc/hosts"} {
		f, err := os.Open(filepath.Join(root.Dir(), queueDir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			t.Fatal(err)
		}
	}
	put(t, root, "etc/hosts", "127.0.0.1 localhost b.example\n")
	r := apply(t, root)
	warned(t, r)
	want(t, "changed", r.Changed, []string{"etc/hosts"})
}
