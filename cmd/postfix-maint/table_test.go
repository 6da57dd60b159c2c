package main

import (
	"context"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"postfix-maint/internal/lock"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

// option is the option that makes another command of the one that a row belongs to, and that one's words.
func (r row) option() (command, name string, ok bool) { return strings.Cut(r.words, " --") }

func (r row) has(name string) bool {
	return slices.ContainsFunc(r.flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
}

func rowOf(t *testing.T, words string) row {
	t.Helper()
	for _, r := range table() {
		if r.words == words {
			return r
		}
	}
	t.Fatalf("there is no row %q", words)
	return row{}
}

func TestEveryRowIsWhole(t *testing.T) {
	seen := map[string]row{}
	for _, r := range table() {
		command, name, isOption := r.option()
		head, _, further := strings.Cut(r.words, " ")
		_, again := seen[r.words]
		switch {
		case r.words == "" || again:
			t.Errorf("%q: no words, or the same once more", r.words)
		case isOption && (!seen[command].has(name) || r.do == nil || r.usage != "" || r.flags != nil || r.operands != "" || r.first != nil):
			t.Errorf("%q must come after its command, which has all but who may, the lock and the flow", r.words)
		case isOption:
		case r.usage == "":
			t.Errorf("%q: help says nothing of it", r.words)
		case further && (seen[head].words != head || seen[head].do != nil && seen[head].flags == nil):
			t.Errorf("%q comes before the row that heads it", r.words)
		case r.do == nil && (further || r.operands != "" || r.flags != nil || r.first != nil || r.who != who{}):
			t.Errorf("%q has no flow", r.words)
		}
		if r.locks && !r.who.tree || r.who.host != "" && !r.who.tree {
			t.Errorf("%q works on no tree, and yet on one: %+v", r.words, r.who)
		}
		if further && head == "smarthost" && !r.who.secrets {
			t.Errorf("%q may leave a password in a core dump", r.words)
		}
		if r.has("dry-run") && !r.locks && r.first == nil {
			t.Errorf("%q has a dry run, and changes nothing under a lock", r.words)
		}
		seen[r.words] = r
	}
	for _, f := range seen["adopt"].flags { // or it would write a package instead
		_, boolean := f.(*cli.BoolFlag)
		if name := f.Names()[0]; boolean && name != "dry-run" && name != "json" && name != detailed && seen["adopt --"+name].do == nil {
			t.Errorf("adopt --%s has no row", name)
		}
	}
	if len(seen) < 30 {
		t.Errorf("only %d rows", len(seen))
	}
}

// Each command is described in the page that its row names, and each option that help shows stands there.
func TestManualPagesNameEveryRow(t *testing.T) {
	for _, r := range table() {
		command, _, isOption := r.option()
		head := rowOf(t, command)
		if r.who.hidden || isOption && !visible(head, r) {
			continue
		}
		page, err := os.ReadFile("../../debian/man/" + head.manual() + ".8")
		if err != nil {
			t.Fatal(err)
		}
		text, _, _ := strings.Cut(strings.ReplaceAll(string(page), `\-`, "-"), ".SH REFERENCE\n")
		lines := strings.Split(text, "\n")
		word := r.words[strings.LastIndex(r.words, " ")+1:]
		if r.do != nil && !isOption && !slices.ContainsFunc(lines, func(l string) bool {
			return l == ".B "+word || strings.HasPrefix(l, ".BR ") && strings.Contains(l, word)
		}) {
			t.Errorf("%q is not described", r.words)
		}
		for _, f := range r.flags {
			if name := f.Names()[0]; !strings.Contains(string(page), "\n.B "+strings.ReplaceAll("--"+name, "-", `\-`)) && f.(cli.VisibleFlag).IsVisible() {
				t.Errorf("%q: --%s stands in no page", r.words, name)
			}
		}
	}
}

// visible tells whether help shows the option of a row.
func visible(command, r row) bool {
	_, name, _ := r.option()
	return slices.ContainsFunc(command.flags, func(f cli.Flag) bool {
		return f.Names()[0] == name && f.(cli.VisibleFlag).IsVisible()
	})
}

// One place prints for machines.
func TestOnlyShowPrintsJSON(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			if i.Path.Value == `"encoding/json"` && file != "show.go" && !strings.HasSuffix(file, "_test.go") {
				t.Errorf("%s prints JSON itself", file)
			}
		}
	}
}

// calls are the rows by a call that carries each of them out.
func calls() map[string]row {
	rows, all := table(), map[string]row{}
	for _, r := range rows {
		command, name, isOption := r.option()
		switch {
		case r.do == nil:
		case isOption && command == "check-config":
			all[command+" --"+name+" x"] = r
		default:
			all[r.words+wellFormed(r)] = r
		}
	}
	return all
}

// atWork takes the lock as another command does.
func atWork(t *testing.T, root *sysroot.Root) *lock.Lock {
	t.Helper()
	path, err := root.Path(paths.LockFile)
	if err != nil {
		t.Fatal(err)
	}
	held, err := lock.Take(path, "somebody else")
	if err != nil {
		t.Fatal(err)
	}
	return held
}

// What a row says of who may run it, where and when is what happens, for every row.
func TestWhoMayAndTheLock(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"run/": ""})
	t.Setenv("DPKG_ROOT", root.Dir())
	t.Setenv("DPKG_MAINTSCRIPT_PACKAGE", "")
	defer atWork(t, root).Release()
	run := func(args string) (code int, ran, said string) {
		rows := table()
		for i := range rows {
			rows[i].first = nil
			if rows[i].do != nil {
				rows[i].do = func(_ context.Context, c *call) error { ran = c.words; return nil }
			}
		}
		var stderr strings.Builder
		code = executeRows(t.Context(), rows, append([]string{"postfix-maint"}, strings.Fields(args)...), io.Discard, &stderr)
		return code, ran, stderr.String()
	}
	for args, r := range calls() {
		code, ran, said := run(args)
		switch {
		case r.who.host != "":
			if code != 1 || ran != "" || !strings.HasPrefix(said, "postfix-maint: "+r.who.host[:20]) {
				t.Errorf("%s: it is only for the running system: %d, ran %q, %q", args, code, ran, said)
			}
		case r.locks:
			if code != 1 || ran != "" || !strings.Contains(said, "somebody else") {
				t.Errorf("%s: somebody else is at work: %d, ran %q, %q", args, code, ran, said)
			}
			if r.who.inScripts {
				t.Setenv("DPKG_MAINTSCRIPT_PACKAGE", "postfix-pcre")
			} else {
				args += " --dry-run"
			}
			if code, ran, said := run(args); code != 0 || ran != r.words {
				t.Errorf("%s waits for nobody: %d, ran %q, %q", args, code, ran, said)
			}
			t.Setenv("DPKG_MAINTSCRIPT_PACKAGE", "")
		default:
			if code != 0 || ran != r.words {
				t.Errorf("%s: %d, ran %q, %q", args, code, ran, said)
			}
		}
	}
	t.Setenv("DPKG_ROOT", filepath.Join(root.Dir(), "none"))
	for args, r := range calls() {
		if code, ran, said := run(args); (code == 0) == r.who.tree || (ran == "") != r.who.tree {
			t.Errorf("%s: where there is no tree: %d, ran %q, %q", args, code, ran, said)
		}
	}
}

// What a flow gives is printed, also where it fails besides; for machines alone with --json.
func TestWhatAFlowGivesIsShown(t *testing.T) {
	type found struct {
		Name string `json:"name"`
	}
	failure := errors.New("half of it failed")
	const failed = "\t\"error\": {\n\t\t\"kind\": \"failed\",\n\t\t\"message\": \"half of it failed\",\n\t\t\"exit_status\": 1\n\t}\n}\n"
	for name, c := range map[string]struct {
		found     *found
		err       error
		args, out string
		code      int
	}{
		"for people":                 {&found{"a"}, nil, "", "did it\n-a\n+b\nit is a\n", 0},
		"for machines":               {&found{"a"}, nil, " --json", "{\n\t\"format\": 1,\n\t\"name\": \"a\"\n}\n", 0},
		"for people, and a failure":  {&found{"a"}, failure, "", "did it\n-a\n+b\nit is a\n", 1},
		"for machines, and the same": {&found{"a"}, failure, " --json", "{\n\t\"format\": 1,\n\t\"name\": \"a\",\n" + failed, 1},
		"a failure alone":            {nil, failure, " --json", "{\n\t\"format\": 1,\n" + failed, 1},
		"nothing":                    {nil, nil, " --json", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			rows := []row{{words: "x", flags: flags{jsonFlag()}, do: shown(
				func(_ context.Context, call *call) (*found, error) {
					call.did("did it", "-a\n+b\n")
					return c.found, c.err
				},
				func(call *call, f *found) error {
					_, err := io.WriteString(call.stdout, "it is "+f.Name+"\n")
					return err
				})}}
			var out, errs strings.Builder
			code := executeRows(t.Context(), rows, strings.Fields("postfix-maint x"+c.args), &out, &errs)
			if code != c.code || out.String() != c.out || (errs.Len() > 0) != (c.code > 0) {
				t.Errorf("exit status %d, printed %q and %q", code, out.String(), errs.String())
			}
		})
	}
}
