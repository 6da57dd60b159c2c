package hosts

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Each container needs a cgroup of its own: with --keep-unit, systemd-nspawn puts its payload below the caller's group, and two
// containers with the same caller would manage, and kill, each other's groups.

// groupRoots are the mounted trees in which systemd-nspawn works: the unified one, and the named one of a hybrid machine.
func groupRoots() []string {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	var roots []string
	for line := range strings.Lines(string(table)) {
		before, after, ok := strings.Cut(line, " - ")
		f, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 5 || len(kind) < 3 {
			continue
		}
		if kind[0] == "cgroup2" || kind[0] == "cgroup" && strings.Contains(kind[2], "name=systemd") {
			roots = append(roots, f[4])
		}
	}
	return roots
}

// groups makes the group called name in every tree and returns their directories.
func groups(name string) ([]string, error) {
	var dirs []string
	for _, root := range groupRoots() {
		dir := filepath.Join(root, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

// ownGroups lists the groups whose name matches, in every tree. The groups of a session are called PREFIX-NAME.
func ownGroups(pattern string) []string {
	var dirs []string
	for _, root := range groupRoots() {
		found, _ := filepath.Glob(filepath.Join(root, pattern))
		dirs = append(dirs, found...)
	}
	return dirs
}

// killGroups ends every process in the groups, and waits until they are gone (or only zombies are left).
func killGroups(pattern string) {
	for range 100 {
		pids := members(ownGroups(pattern))
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// members lists the living processes in the groups and the groups below them.
func members(dirs []string) []int {
	var pids []int
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.Name() != "cgroup.procs" {
				return nil
			}
			list, _ := os.ReadFile(p)
			for word := range strings.FieldsSeq(string(list)) {
				if pid, err := strconv.Atoi(word); err == nil && alive(pid) {
					pids = append(pids, pid)
				}
			}
			return nil
		})
	}
	return pids
}

// removeGroups removes the empty groups, the inner ones first, and the directory in which systemd-nspawn hands mounts to the
// container of that name.
func removeGroups(pattern string) {
	handed, _ := filepath.Glob("/run/systemd/nspawn/propagate/" + pattern)
	for _, dir := range handed {
		_ = unix.Rmdir(dir)
	}
	var dirs []string
	for _, top := range ownGroups(pattern) {
		_ = filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, p)
			}
			return nil
		})
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		_ = unix.Rmdir(dirs[i]) // a group that is still in use stays; the next session tries again
	}
}

// alive tells whether a process runs. A zombie does not: the first process of some machines collects orphans only every two
// seconds.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, ok := strings.Cut(string(stat), ") ")
	return ok && !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}
