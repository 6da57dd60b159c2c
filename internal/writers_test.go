package internal_test

import (
	"go/ast"
	"go/token"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What the reasons have in common.
const (
	// A single file that people edit too: what was seen is looked for right before the rename, and Attr.Seen stands in the function.
	seen = "seen: "
	ours = "our memory, a journal, a mark or a lock, in a directory of ours"
	dirs = "a directory, which is no file of a transaction's; one that is there stays as it is"
	made = "part of a package that is being made, outside the host's tree"
	gone = "forward only: mail and data that are deleted cannot be put back, so multi's journal says how far it got"
)

// applier is the chroot's: what it writes are copies, and its list says which are ours.
var applier = strings.Fields("apply.go write.go delta.go kept.go relay.go")

// writers are all functions that change a file of the host outside the transaction and the chroot's applier, and why they may.
// Programs that write (newaliases, postmulti, deb-systemd-helper and so on) are not among them.
var writers = map[string]string{
	"cmd/configure-instance/main.go:unsaid":      ours,
	"cmd/postfix-instance-generator/main.go:run": "a message for the kernel's log",
	"cmd/postfix-maint/dynamicmap.go:removeMap":  "none: the flow of that name",
	"cmd/postfix-maint/sandbox.go:sandbox":       "a link of our name, in one rename",
	"internal/adopt/adopt.go:Run":                made,
	"internal/adopt/adopt.go:take":               made,
	"internal/adopt/adopt.go:deliver":            "the package that was asked for",
	"internal/adopt/archive.go:write":            "our apt source: a new directory, then one link to it",
	"internal/adopt/archive.go:removeAll":        "a former apt source of ours",
	"internal/adopt/dropins.go:dropDirectories":  "drop-ins of ours, known by their first line",
	"internal/adopt/dropins.go:moveFile":         seen + "a move: whatever stops it leaves the file in one place or in both, and the next run goes on",
	"internal/adopt/dropins.go:writeMoved":       ours,
	"internal/adopt/handover.go:link":            "a drop-in and a link that carry our name",
	"internal/adopt/handover.go:unlink":          "a drop-in and a link that carry our name",
	"internal/adopt/host.go:adopt":               dirs,
	"internal/adopt/host.go:file":                seen + "apt's files are in force one by one",
	"internal/adopt/install.go:removeFiles":      "apt's files, of our name",
	"internal/adopt/install.go:removeArchive":    "our apt source",
	"internal/adopt/tree.go:place":               made,
	"internal/adopt/tree.go:write":               made,
	"internal/adopt/tree.go:parents":             made,
	"internal/adopt/tree.go:controlModes":        made,
	"internal/debconf/forget.go:forgetIn":        "a password in debconf's files, overwritten in its place: a new file would leave the old one's blocks",
	"internal/doctor/mend.go:draft":              "drafts, which the transaction puts in their places",
	"internal/doctor/mend.go:group":              "a group and a mode, by descriptor: no text changes",
	"internal/doctor/mend.go:mode":               "a mode, by descriptor: no text changes",
	"internal/doctor/mend.go:owner":              "the owner of a directory of the queue, by descriptor",
	"internal/generator/files.go:write":          "units in the generator's own directory, which systemd empties",
	"internal/history/back.go:Close":             ours,
	"internal/history/index.go:make":             "drafts, which the transaction puts in their places",
	"internal/history/record.go:makeDir":         dirs,
	"internal/lock/lock.go:Take":                 ours,
	"internal/lock/lock.go:Brief":                ours,
	"internal/lock/lock.go:Release":              ours,
	"internal/multi/copy.go:write":               "a file of an instance that is being made, which multi's journal takes back with directories, units and sockets",
	"internal/multi/create.go:makeFiles":         dirs,
	"internal/multi/create.go:quick":             "a flag that the start removes",
	"internal/multi/host.go:lock":                ours,
	"internal/multi/journal.go:setAside":         ours,
	"internal/multi/journal.go:saveJournal":      ours,
	"internal/multi/journal.go:dropJournal":      ours,
	"internal/multi/mend.go:finishCreate":        "the flag of a start that was killed",
	"internal/multi/mend.go:takeBack":            "what multi's journal says that a create made",
	"internal/multi/queue.go:emptyQueue":         gone,
	"internal/multi/queue.go:emptyData":          gone,
	"internal/multi/remove.go:finish":            gone,
	"internal/multi/remove.go:removeEmpty":       gone,
	"internal/multi/skeleton.go:makeQueue":       dirs,
	"internal/oauthrelay/kept.go:write":          ours + ", of a user that exists while the relay runs",
	"internal/setup/aliases.go:dropLeftover":     "what a newaliases that failed left",
	"internal/setup/directories.go:directories":  dirs,
	"internal/setup/directories.go:mkdirIn":      dirs,
	"internal/setup/directories.go:ownData":      dirs,
	"internal/setup/files.go:templates":          "a link that there was not",
	"internal/setup/files.go:dropMakedefs":       "a link of Debian 12's scripts, known by its target",
	"internal/setup/owners.go:give":              "the owner of what is in the queue, by descriptor",
	"internal/setup/probe.go:with":               "a configuration for one question to Postfix, in a directory of ours",
	"internal/setup/probe.go:clear":              "a configuration for one question to Postfix, in a directory of ours",
	"internal/setup/sound.go:quick":              "a flag that the start removes",
	"internal/setup/state.go:Fill":               ours,
	"internal/setup/state.go:save":               ours,
	"internal/setup/state.go:begin":              ours,
	"internal/setup/state.go:end":                ours,
	"internal/smarthost/commit.go:addState":      dirs,
	"internal/smarthost/commit.go:build":         "drafts, which the transaction puts in their places",
	"internal/smarthost/commit.go:checkPatterns": "a configuration for one question to Postfix, in a directory of ours",
	"internal/smarthost/commit.go:draft":         "the same",
	"internal/smarthost/login.go:addAccounts":    dirs,
	"internal/smarthost/login.go:forgetLogin":    "what the OAuth relay kept of a login that is gone",
	"internal/smarthost/recover.go:resume":       seen + "a main.cf of a detour that somebody wrote back",
	"internal/smarthost/recover.go:sweep":        "drafts",
	"internal/smarthost/state.go:setAside":       ours,
	"internal/syslogd/syslogd.go:Apply":          dirs,
	"internal/syslogd/syslogd.go:apply":          "a note that a daemon has to be restarted, until it was",
	"internal/syslogd/syslogd.go:restoreLink":    "the link of systemd-journald's socket",
	"internal/syslogd/syslogd.go:Leave":          "a socket of the syslog daemon's, in a chroot that is about to go",
}

// changing are the calls that change what is on the disk.
var changing = strings.Fields(`WriteFile Replace CreateTemp Symlink Link Rename Mkdir MkdirAll MkdirTemp Remove RemoveAll RemoveTree RemoveEach Stage Swap Back Save SetAside
	Chmod Chown Lchown Chtimes Truncate WriteAt Mkdirat Unlink Unlinkat Renameat Renameat2 Symlinkat Linkat Mknod Mknodat Mount Unmount MoveMount Fchown
	Fchownat Fchmod Fchmodat Ftruncate Pwrite Setxattr Lsetxattr Fsetxattr Removexattr IoctlSetInt IoctlSetPointerInt`)

// opening are the calls that do where one of these flags is given.
var opening, writing = strings.Fields("Open Openat Openat2 OpenFile"), strings.Fields("O_WRONLY O_RDWR O_CREATE O_CREAT O_APPEND O_TRUNC")

// changes tells whether a call changes what is on the disk. Of packages only those of the system's files can do that, and any method of such a
// name.
func changes(call *ast.CallExpr, imported []string) bool {
	s, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	if id, ok := s.X.(*ast.Ident); ok && id.Obj == nil && slices.Contains(imported, id.Name) && !slices.Contains([]string{"os", "unix", "syscall", "sysroot", "note"}, id.Name) {
		return false
	}
	if slices.Contains(changing, s.Sel.Name) {
		// strings.Replacer's and those of flows, which take a context or more than a name, change no file.
		return !(s.Sel.Name == "Replace" && len(call.Args) == 1 || s.Sel.Name == "Remove" && len(call.Args) != 1)
	}
	found := false
	if slices.Contains(opening, s.Sel.Name) {
		for _, arg := range call.Args {
			ast.Inspect(arg, func(n ast.Node) bool {
				id, ok := n.(*ast.Ident)
				found = found || ok && slices.Contains(writing, id.Name)
				return true
			})
		}
	}
	return found
}

// Every function that changes a file outside the transaction and the chroot's applier stands in the list with its reason; and nothing stands
// there that does not.
func TestEveryWriterHasAReason(t *testing.T) {
	unused := maps.Clone(writers)
	each(t, func(file string, set *token.FileSet, f *ast.File) {
		if strings.HasSuffix(file, "_test.go") || strings.Contains(file, "test/") || strings.HasPrefix(file, "integration/") ||
			strings.HasPrefix(file, "internal/sysroot/") || strings.HasPrefix(file, "internal/chroot/") && slices.Contains(applier, path.Base(file)) {
			return
		}
		var imported []string
		for _, i := range f.Imports {
			name, _ := strconv.Unquote(i.Path.Value)
			imported = append(imported, path.Base(name))
		}
		for _, d := range f.Decls {
			place, at, looks := file+":var", token.NoPos, false
			if fn, ok := d.(*ast.FuncDecl); ok {
				place = file + ":" + fn.Name.Name
			}
			ast.Inspect(d, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok && changes(call, imported) {
					at = n.Pos()
				}
				id, ok := n.(*ast.Ident)
				looks = looks || ok && id.Name == "Seen"
				return true
			})
			if at == token.NoPos {
				continue
			}
			delete(unused, place)
			switch why, listed := writers[place]; {
			case !listed:
				t.Errorf("%s (%s): changes a file; give it to a transaction, or say in writers why not", set.Position(at), place)
			case strings.HasPrefix(why, seen) && !looks:
				t.Errorf("%s (%s): writers says that it looks at what was written meanwhile, and it sets no Attr.Seen", set.Position(at), place)
			}
		}
	})
	for place := range unused {
		t.Errorf("%s stands in writers and writes nothing", place)
	}
}
