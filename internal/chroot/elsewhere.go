package chroot

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/paths"
)

// maxTypos is how many letters a name may differ by from the one that is meant.
const maxTypos = 2

// elsewhere says at which other socket the daemon may listen that somebody looks for: one whose path differs by a slip of the pen, or with
// the same name in another directory. "" if there is none, or several alike.
func (a *applier) elsewhere(socket string) string {
	if !a.deps.Root.IsHost() {
		return ""
	}
	table, err := a.deps.Root.ReadAtMost(paths.UnixSockets, maxSockets)
	if err != nil {
		return ""
	}
	if found := nearest(socket, listening(string(table))); found != "" {
		return fmt.Sprintf(" (somebody listens at %q)", found)
	}
	return ""
}

const maxSockets = 16 << 20

// listening gives the paths of the sockets that somebody listens at, of the kernel's table (proc_pid_net(5)), without those of relays in chroots.
func listening(table string) (names []string) {
	const accepts = "00010000" // __SO_ACCEPTCON
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) == 8 && f[3] == accepts && path.IsAbs(f[7]) {
			names = append(names, f[7])
		}
	}
	all := map[string]bool{} // anybody may listen at tens of thousands
	for _, name := range names {
		all[name] = true
	}
	return slices.DeleteFunc(names, func(name string) bool {
		for at := range len(name) {
			if at > 0 && name[at] == '/' && all[name[at:]] {
				return true
			}
		}
		return false
	})
}

func nearest(socket string, names []string) string {
	for _, alike := range []func(name string) bool{
		func(name string) bool {
			return max(len(socket)-len(name), len(name)-len(socket)) <= maxTypos && typos(socket, name) <= maxTypos
		},
		func(name string) bool { return path.Base(name) == path.Base(socket) },
	} {
		var found []string
		for _, name := range names {
			if !strings.HasSuffix(name, socket) && alike(name) { // else it is the relay to it
				found = append(found, name)
			}
		}
		if len(found) == 1 {
			return found[0]
		}
	}
	return ""
}

// typos is the number of letters to add, drop or change that makes one word of another (Levenshtein's distance).
func typos(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
