package chroot

import (
	"path"
	"strconv"
	"strings"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/procs"
)

// Master is the process number of the master(8) that works in a queue directory, 0 where none does. The file that names it may be whatever
// the owner of the directory likes: a named pipe, a link, the number of somebody else's process. So it is read with a bound, and what
// it names counts only if it is root's, runs a program of that name, and works in this very directory, as master(8) does from its start.
func Master(d Deps, queue string) int {
	text, err := readSmall(d.Root, path.Join(queue, paths.MasterPID))
	if err != nil {
		return 0
	}
	real, err := d.Root.Resolve(queue)
	pid, err2 := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || err2 != nil || pid <= 1 || !procs.IsRoots(pid) || !procs.WorksIn(pid, real) {
		return 0
	}
	if program, err := procs.Program(pid); err != nil || path.Base(program) != "master" {
		return 0
	}
	return pid
}
