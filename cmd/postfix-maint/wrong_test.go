package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/creack/pty"

	"postfix-maint/internal/sysroot/sysroottest"
)

var rewriteGolden = flag.Bool("golden", false, "write the golden files anew")

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	name = "testdata/" + name
	if *rewriteGolden {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil || string(want) != got {
		t.Errorf("%s: %v, it is now (go test -run '%s' -golden writes it):\n%s", name, err, t.Name(), got)
	}
}

// unquote takes a line apart as a shell does that knows single quotes only.
func unquote(line string) (words []string) {
	for _, w := range regexp.MustCompile(`(?:'[^']*'|[^ '])+`).FindAllString(line, -1) {
		words = append(words, strings.ReplaceAll(w, "'", ""))
	}
	return words
}

// Each wrong input of testdata/wrong-use.txt ends with 2 and exactly its message, prints nothing else, and changes nothing; none shows a value
// that may be a password.
func TestWrongInputs(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"etc/postfix/main.cf": "", "run/": ""})
	t.Setenv("DPKG_ROOT", root.Dir())
	before := everything(t, root.Dir())
	data, err := os.ReadFile("testdata/wrong-use.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	calls := 0
	for line := range strings.Lines(string(data)) {
		call, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "$ postfix-maint")
		if !ok {
			continue
		}
		calls++
		rows := table()
		for i := range rows {
			rows[i].who.host, rows[i].who.root = "", "" // what is wrong is wrong for everybody and everywhere
		}
		var out, errs bytes.Buffer
		code := executeRows(t.Context(), rows, append([]string{"postfix-maint"}, unquote(call)...), &out, &errs)
		if code != 2 || (out.Len() > 0) != strings.Contains(call, "--json") && !strings.Contains(call, "--json=") || strings.Contains(errs.String(), "geheim") {
			t.Errorf("%q: exit status %d, printed %q and %q", call, code, out.String(), errs.String())
		}
		said := errs.String()
		if before, last, ok := strings.Cut(said, "\npostfix-maint: "); ok && strings.HasPrefix(before, "Usage: ") {
			said = "(help)\npostfix-maint: " + last
		}
		fmt.Fprintf(&all, "$ postfix-maint%s\n%s", call, said)
	}
	if calls < 75 {
		t.Errorf("only %d calls", calls)
	}
	golden(t, "wrong-use.txt", all.String())
	if after := everything(t, root.Dir()); after != before {
		t.Errorf("something was done: %s instead of %s", after, before)
	}
}

// everything is what a tree has, by names and sizes.
func everything(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	var walk func(string)
	walk = func(dir string) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			fi, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			if e.Name() != "run" && e.Name() != "postfix-maint.lock" {
				fmt.Fprintf(&b, "%s/%s %d %v\n", dir, e.Name(), fi.Size(), fi.ModTime())
			}
			if e.IsDir() {
				walk(dir + "/" + e.Name())
			}
		}
	}
	walk(dir)
	return b.String()
}

// Each command has an example that is understood as that command, and help shows it.
func TestExamplesAreUnderstood(t *testing.T) {
	for _, r := range table() {
		switch {
		case !r.isCommand() || r.who.dpkg:
			continue
		case r.example == "":
			t.Errorf("%q has no example", r.words)
			continue
		}
		args, _, _ := strings.Cut(r.example, " && ")
		var ran string
		rows := emptied(func(_ context.Context, c *call) error { ran = c.words; return nil })
		var errs strings.Builder
		if code := executeRows(t.Context(), rows, append([]string{"postfix-maint"}, unquote(args)...), io.Discard, &errs); code != 0 || ran != r.words && !strings.HasPrefix(ran, r.words+" --") {
			t.Errorf("%q: exit status %d, %q ran: %s", args, code, ran, errs.String())
		}
	}
}

// Help is as wide as the terminal, 80 columns where there is none, and says everything that the table has.
func TestHelpFits(t *testing.T) {
	rows := table()
	for _, width := range []int{40, 60, 80, 100} {
		for _, r := range append(rows, row{}) {
			if r.do == nil && r.words != "" && r.who.dpkg || r.who.hidden || strings.Contains(r.words, " --") {
				continue
			}
			text := overview(rows, width)
			if r.words != "" {
				text = helpOf(rows, r.words, width)
			}
			_, shown, _ := strings.Cut(text, "\nExample:")
			shown, _, _ = strings.Cut(shown, "\nManual")
			for line := range strings.Lines(strings.Replace(text, shown, "", 1)) {
				if len(strings.TrimRight(line, "\n")) > width && len(strings.Fields(line)) > 2 {
					t.Errorf("%q at %d columns: %q", r.words, width, line)
				}
			}
			for line := range strings.Lines(shown) {
				if width == 80 && len(line) > 81 {
					t.Errorf("%q: the example is too wide: %q", r.words, line)
				}
			}
			flat := strings.Join(strings.Fields(text), " ")
			for _, f := range r.flags {
				if name, said := describe(f); f.Names()[0] != "hand-over" && !strings.Contains(flat, name+" "+strings.Join(strings.Fields(said), " ")) {
					t.Errorf("%q at %d columns lacks %s", r.words, width, name)
				}
			}
			if strings.Contains(flat, "default: false") || r.words != "" && !strings.Contains(text, "Manual page: postfix-maint") {
				t.Errorf("%q: %s", r.words, text)
			}
		}
	}
	if text := overview(rows, 80); strings.Contains(text, "shelter") || strings.Contains(text, "hand-over") {
		t.Error("what is hidden is shown")
	}
}

func TestHelpTakesTheTerminalsWidth(t *testing.T) {
	ours, theirs, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer theirs.Close()
	for columns, want := range map[uint16]int{0: 80, 20: 40, 61: 61, 200: 100} {
		if err := pty.Setsize(ours, &pty.Winsize{Rows: 24, Cols: columns}); err != nil {
			t.Fatal(err)
		}
		if got := widthOf(theirs); got != want {
			t.Errorf("a terminal of %d columns: %d, want %d", columns, got, want)
		}
	}
	if got := widthOf(io.Discard); got != 80 {
		t.Errorf("no terminal: %d", got)
	}
}

// Help is the same by every way, on standard output, with 0.
func TestWaysToHelp(t *testing.T) {
	for want, ways := range map[string][]string{
		overview(table(), 80):                  {"help", "--help", "-h", "--help --json", "help help --help"},
		helpOf(table(), "smarthost", 80):       {"help smarthost", "smarthost --help", "smarthost help", "--help smarthost", "help smarthost help"},
		helpOf(table(), "history", 80):         {"help history", "history --help", "history help"},
		helpOf(table(), "instance create", 80): {"help instance create", "instance create --help", "instance --help create", "instance create --set x -h"},
	} {
		for _, way := range ways {
			if way == "help help --help" {
				want = helpOf(table(), "help", 80)
			}
			var out, errs strings.Builder
			code := executeRows(t.Context(), table(), slices.Concat([]string{"postfix-maint"}, strings.Fields(way)), &out, &errs)
			if code != 0 || out.String() != want || errs.Len() > 0 {
				t.Errorf("%q: exit status %d, %q, %q", way, code, out.String(), errs.String())
			}
		}
	}
}
