// Package internal_test holds the rules that the whole tree keeps: which package may import which, and how large and how
// documented things are.
package internal_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "postfix-maint/"

// rings, as design and package comments name them. A package that stands here not, or twice, fails the test.
var rings = map[string][]string{
	"format": {"aliases", "answers", "dynamicmaps", "inventory", "maincf", "mastercf", "merge", "notes", "oauth", "paths", "pattern", "providers", "queue", "secret", "version"},
	"port":   {"debconf", "dns", "elfdep", "lock", "procs", "run", "sysroot", "systemd", "watch"},
	"flow":   {"adopt", "ask", "chroot", "doctor", "generator", "history", "instance", "login", "multi", "oauthrelay", "setup", "smarthost", "status", "syslogd", "umbrella"},
}

// shared are the flows that other flows may use.
var shared = []string{"instance", "chroot"}

// helpers are for tests only and belong to their parent's ring.
var helpers = regexp.MustCompile(`test$`)

type pkg struct {
	ImportPath string
	Doc        string
	Imports    []string
	Deps       []string
}

func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Doc,Imports,Deps"}, args...)...)
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// ringOf gives the ring of a path below internal/, "" for what is none of ours.
func ringOf(path string) (name, ring string) {
	name, ok := strings.CutPrefix(path, module+"internal/")
	if !ok {
		return "", ""
	}
	name, _, _ = strings.Cut(name, "/")
	for r, names := range rings {
		if slices.Contains(names, name) {
			return name, r
		}
	}
	return name, "none"
}

func TestRings(t *testing.T) {
	for _, p := range list(t, "./internal/...") {
		name, ring := ringOf(p.ImportPath)
		if ring == "" || helpers.MatchString(p.ImportPath) || name == "" {
			continue
		}
		if ring == "none" {
			t.Errorf("%s is in no ring: add it to the table here and to its package comment", p.ImportPath)
			continue
		}
		if !strings.Contains(p.Doc, "(ring: "+ring) {
			t.Errorf("%s: the package comment does not say \"(ring: %s)\"", p.ImportPath, ring)
		}
		for _, imported := range p.Imports {
			other, otherRing := ringOf(imported)
			switch {
			case otherRing == "" || other == name:
			case otherRing == "format" && ring != "port":
			case otherRing == "port" && ring == "flow":
			case otherRing == "flow" && ring == "flow" && slices.Contains(shared, other):
			default:
				t.Errorf("%s (%s) must not import %s (%s)", p.ImportPath, ring, imported, otherRing)
			}
		}
	}
}

// What runs at each start of an instance has D-Bus for postfix.service alone (package umbrella), which costs 0.8 of 5.6 MB and no time that can be
// measured; as a command of postfix-maint it would be twice as long (9 ms). The chroot needs none.
func TestLeanBinaries(t *testing.T) {
	for binary, refused := range map[string]string{
		"cmd/postfix-instance-generator": `^(os/exec|net|.*\..*/.*)$|internal/(systemd|run|debconf|sysroot)$`, // standard library and ours only
		"cmd/configure-instance":         `^(net/http)$|urfave|internal/(run|debconf)$`,
		"internal/chroot":                `godbus|go-systemd|internal/(systemd|run|debconf)$`,
		"internal/instance":              `godbus|go-systemd|internal/(systemd|run|debconf)$`,
	} {
		p := list(t, "./"+binary)[0]
		for _, dep := range p.Deps {
			// The diff of internal/maincf needs the standard library only, and the linker leaves out what nobody calls.
			if regexp.MustCompile(refused).MatchString(dep) && !strings.HasPrefix(dep, "vendor/") && dep != "github.com/rogpeppe/go-internal/diff" {
				t.Errorf("%s reaches %s", binary, dep)
			}
		}
	}
}

func TestSizeAndDocumentation(t *testing.T) {
	each(t, func(path string, set *token.FileSet, f *ast.File) {
		if n := set.File(f.Pos()).LineCount(); n > 400 && !strings.HasSuffix(path, "_test.go") {
			t.Errorf("%s has %d lines, at most 400", path, n)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := set.Position(fn.End()).Line - set.Position(fn.Pos()).Line + 1
			if most := map[bool]int{true: 170, false: 60}[strings.HasSuffix(path, "_test.go")]; n > most {
				t.Errorf("%s: %s has %d lines, at most %d", path, fn.Name.Name, n, most)
			}
			if fn.Name.IsExported() && fn.Doc == nil && !strings.HasSuffix(path, "_test.go") {
				t.Errorf("%s: %s has no comment", path, fn.Name.Name)
			}
			if fn.Name.Name == "init" && fn.Recv == nil {
				t.Errorf("%s has an init function", path)
			}
		}
	})
}

// Each literal path of the system stands in paths, once; only the ports' own lock to systemd and the tests know others.
func TestPathsStandInPaths(t *testing.T) {
	literal := regexp.MustCompile(`^"/(etc|var|usr|run)/`)
	each(t, func(path string, set *token.FileSet, f *ast.File) {
		if strings.HasSuffix(path, "_test.go") || strings.Contains(path, "test/") || strings.HasPrefix(path, "integration/") ||
			strings.HasPrefix(path, "internal/paths/") || strings.HasPrefix(path, "internal/systemd/") {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && literal.MatchString(lit.Value) {
				t.Errorf("%s: %s belongs in internal/paths", set.Position(lit.Pos()), lit.Value)
			}
			return true
		})
	})
}

// No program is waited for without an end: whoever starts one does so with a context, and does not wait for what it left behind holding its
// output (os/exec, Cmd.WaitDelay).
func TestEveryProgramEnds(t *testing.T) {
	each(t, func(path string, set *token.FileSet, f *ast.File) {
		if strings.HasSuffix(path, "_test.go") || strings.Contains(path, "test/") || strings.HasPrefix(path, "integration/") {
			return
		}
		for _, d := range f.Decls {
			started, bounded := token.NoPos, false
			ast.Inspect(d, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					switch x, _ := s.X.(*ast.Ident); {
					case x != nil && x.Name == "exec" && s.Sel.Name == "Command":
						t.Errorf("%s: a program without a context", set.Position(n.Pos()))
					case x != nil && x.Name == "exec" && s.Sel.Name == "CommandContext":
						started = n.Pos()
					case s.Sel.Name == "WaitDelay":
						bounded = true
					}
				}
				return true
			})
			if started != token.NoPos && !bounded && path != "internal/run/run.go" { // there its callers set it
				t.Errorf("%s: a program without WaitDelay", set.Position(started))
			}
		}
	})
}

// A panic in a goroutine ends the process, whatever its caller recovers: each begins with a defer that recovers.
func TestEveryGoroutineRecovers(t *testing.T) {
	each(t, func(path string, set *token.FileSet, f *ast.File) {
		if strings.HasSuffix(path, "_test.go") || strings.Contains(path, "test/") || strings.HasPrefix(path, "integration/") {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			g, ok := n.(*ast.GoStmt)
			if !ok {
				return true
			}
			recovers := false
			if fn, ok := g.Call.Fun.(*ast.FuncLit); ok {
				for _, s := range fn.Body.List[:min(2, len(fn.Body.List))] { // the first may declare what is sent
					if d, ok := s.(*ast.DeferStmt); ok {
						ast.Inspect(d, func(n ast.Node) bool {
							id, ok := n.(*ast.Ident)
							recovers = recovers || ok && id.Name == "recover"
							return true
						})
					}
				}
			}
			if !recovers {
				t.Errorf("%s: a goroutine without a defer that recovers", set.Position(n.Pos()))
			}
			return true
		})
	})
}

// What shows a line of a configuration file masks it (maincf.Diff): no other code writes a diff, runs a program for one or imports a
// library that makes them, and whatever is called a diff comes from there.
func TestEveryDiffIsMasked(t *testing.T) {
	isDiff := func(name string) bool { return name == "Diff" || name == "diff" }
	named := func(e ast.Expr) (name string) {
		switch e := e.(type) {
		case *ast.Ident:
			name = e.Name
		case *ast.SelectorExpr:
			name = e.Sel.Name
		}
		return name
	}
	masked := func(value ast.Expr) bool {
		switch v := value.(type) {
		case *ast.CallExpr:
			return isDiff(named(v.Fun))
		case *ast.FuncLit: // what it assigns is looked at by itself
			return true
		case *ast.BasicLit:
			return v.Value == `""`
		}
		return isDiff(named(value))
	}
	each(t, func(path string, set *token.FileSet, f *ast.File) {
		if strings.HasSuffix(path, "_test.go") || strings.Contains(path, "test/") || strings.HasPrefix(path, "integration/") ||
			path == "internal/maincf/diff.go" {
			return
		}
		bad := func(n ast.Node) { t.Errorf("%s: a diff that goes around maincf.Diff's mask", set.Position(n.Pos())) }
		for _, i := range f.Imports {
			if strings.Contains(strings.ToLower(i.Path.Value), "diff") {
				bad(i)
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				if n.Value == `"diff"` && path != "cmd/postfix-maint/fold.go" || strings.Contains(n.Value, "+++ ") || strings.Contains(n.Value, "@@ -") {
					bad(n)
				}
			case *ast.KeyValueExpr:
				if isDiff(named(n.Key)) && !masked(n.Value) {
					bad(n)
				}
			case *ast.AssignStmt:
				for i, to := range n.Lhs {
					from := n.Rhs[min(i, len(n.Rhs)-1)]
					if isDiff(named(to)) && !masked(from) {
						bad(n)
					}
				}
			}
			return true
		})
	})
}

// One function writes files, and only commands decide about the process.
func TestCallsInTheirRooms(t *testing.T) {
	for call, room := range map[string]string{
		"os.WriteFile": "internal/sysroot/", "os.Rename": "internal/sysroot/", "os.Create": "internal/sysroot/",
		"os.OpenRoot": "internal/sysroot/opendir.go", // a named pipe in its place would be waited for
		"os.Exit":     "cmd/", "os.Args": "cmd/", "os.Getenv": "cmd/ internal/debconf/open.go", "os.Stdout": "cmd/",
		"log.Fatal": "nowhere",
		// Programs run in the locale that internal/run gives them. The others read no words: a lean helper, a talk in debconf's protocol, a message
		// that is handed in.
		"exec.Command": "nowhere", "exec.CommandContext": "internal/run/ cmd/configure-instance/ cmd/postfix-maint/database.go cmd/postfix-maint/smarthost.go cmd/postfix-maint/login.go",
	} {
		pkgName, fn, _ := strings.Cut(call, ".")
		each(t, func(path string, set *token.FileSet, f *ast.File) {
			if strings.HasSuffix(path, "_test.go") || strings.Contains(path, "test/") || strings.HasPrefix(path, "integration/") {
				return
			}
			for _, r := range strings.Fields(room) {
				if strings.HasPrefix(path, r) {
					return
				}
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == fn {
					if x, ok := sel.X.(*ast.Ident); ok && x.Name == pkgName {
						t.Errorf("%s: %s belongs in %s", set.Position(sel.Pos()), call, room)
					}
				}
				return true
			})
		})
	}
}

// each parses every Go file of the project.
func each(t *testing.T, visit func(path string, set *token.FileSet, f *ast.File)) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && (name == "build" || name == "vendor" || name == "testdata" || strings.HasPrefix(name, ".") && name != "..") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel("..", path)
		visit(rel, set, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
