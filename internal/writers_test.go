package internal_test

import (
	"go/ast"
	"go/token"
	"maps"
	"slices"
	"strings"
	"testing"
)

// writers are the functions that write to the host without a look at what somebody else wrote meanwhile (sysroot.Seen), outside the
// transaction and the chroot's applier, and why nobody's edit is lost by them.
var writers = map[string]string{
	"internal/chroot/switch.go:mark":             "the marker is ours",
	"internal/chroot/apply.go:makeDir":           "a directory, and one that is there stays as it is",
	"internal/chroot/write.go:prepare":           "a copy in the chroot, which is the applier's",
	"internal/chroot/delta.go:beside":            "a list of ours in our state directory",
	"internal/chroot/delta.go:save":              "a list of ours in our state directory",
	"internal/smarthost/commit.go:build":         "a new file beside the table, which the transaction puts in its place",
	"internal/smarthost/commit.go:checkPatterns": "a configuration for one question to Postfix, in a directory of ours",
	"internal/smarthost/state.go:save":           "our memory",
	"internal/smarthost/state.go:setAside":       "our memory, when it is damaged",
	"internal/multi/journal.go:setAside":         "our journal, when it cannot be completed",
	"internal/multi/journal.go:saveJournal":      "our journal",
	"internal/multi/skeleton.go:makeQueue":       "a new queue directory",
	"internal/multi/copy.go:write":               "a file of an instance that is being made",
	"internal/multi/create.go:quick":             "a flag that the start removes",
	"internal/syslogd/syslogd.go:restoreLink":    "a link that there was not",
	"internal/adopt/tree.go:place":               "the tree of a package that is being made",
	"internal/adopt/tree.go:write":               "the tree of a package that is being made",
	"internal/adopt/handover.go:link":            "a drop-in and a link that carry our name",
	"internal/adopt/dropins.go:writeMoved":       "our memory",
	"internal/adopt/adopt.go:take":               "a copy to work on",
	"internal/adopt/adopt.go:deliver":            "the package that was asked for",
	"internal/adopt/archive.go:write":            "our apt source",
	"internal/setup/directories.go:mkdirIn":      "a directory, and one that is there stays as it is",
	"internal/setup/probe.go:with":               "a configuration for one question to Postfix, in a directory of ours",
	"internal/setup/files.go:templates":          "a link that there was not",
	"internal/setup/state.go:begin":              "our memory, when it is damaged",
	"internal/generator/files.go:write":          "a unit in the generator's own directory",
	"internal/setup/state.go:save":               "our memory",
	"internal/setup/sound.go:quick":              "a flag that the start removes",
	"cmd/configure-instance/main.go:unsaid":      "our memory in /run",
	"cmd/postfix-maint/sandbox.go:sandbox":       "a link of our name",
}

// Every function that writes to the host compares with what it planned from, or stands in the list with its reason; and nothing stands there
// that does not write.
func TestEveryWriterLooksAgain(t *testing.T) {
	writes := []string{"WriteFile", "Replace", "Stage", "Swap", "Symlink", "Rename", "Mkdir", "Prepare"}
	unused := maps.Clone(writers)
	each(t, func(path string, set *token.FileSet, f *ast.File) {
		if strings.HasSuffix(path, "_test.go") || strings.Contains(path, "test/") || strings.HasPrefix(path, "integration/") ||
			strings.HasPrefix(path, "internal/sysroot/") {
			return
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			place := path + ":" + fn.Name.Name
			at, looks := token.NoPos, false
			ast.Inspect(fn, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					if s, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains(writes, s.Sel.Name) && len(n.Args) > 1 && !words(s.X) {
						at = n.Pos()
					}
				case *ast.Ident:
					looks = looks || n.Name == "Seen"
				}
				return true
			})
			if _, listed := writers[place]; at != token.NoPos && !looks && !listed {
				t.Errorf("%s (%s): writes without a look at what was written meanwhile; set Attr.Seen, or say in writers why not", set.Position(at), place)
			}
			if at != token.NoPos {
				delete(unused, place)
			}
		}
	})
	for place := range unused {
		t.Errorf("%s stands in writers and writes nothing", place)
	}
}

// words tells whether a call is one of package strings or bytes, or of a regular expression.
func words(x ast.Expr) bool {
	id, ok := x.(*ast.Ident)
	return ok && (id.Name == "strings" || id.Name == "bytes")
}
