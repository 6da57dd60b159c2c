//go:build integration

package maincf

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"postfix-maint/internal/maincf/postfixtest"
)

// showing returns what "postconf -n NAME..." has to print for our reading of a file.
func showing(f *File, names []string) string {
	var s strings.Builder
	for _, n := range names {
		if v, ok := f.Get(n); ok {
			s.WriteString(normal(n+" = "+v) + "\n")
		}
	}
	return s.String()
}

func show(dir string, names []string) []string {
	return slices.Concat([]string{"postconf", "-c", dir, "-n"}, names)
}

// editCase is one file with edits of it, and our result.
type editCase struct {
	text  string
	edits []Edit
	ours  *File
}

// TestPostconfEdit makes the same edits with Apply and with postconf -e and -X, and lets postconf read all three files.
func TestPostconfEdit(t *testing.T) {
	postfixtest.Each(t, func(t *testing.T, tree *postfixtest.Tree) {
		var cases []editCase
		for i := range 100 {
			cases = append(cases, editCase{text: genFile(true).Example(i), edits: genEdits(i)})
		}
		for _, path := range templates(tree) {
			text := string(tree.Read(path))
			cases = append(cases, editCase{text: text, edits: genEdits(len(text))}, editCase{text: text, edits: editsOfAll(t, text)})
		}
		names := paramsOf(t, cases)
		for i := range cases {
			addEditCase(t, tree, fmt.Sprint("case", i), &cases[i])
		}
		tree.Age()
		for i := range cases {
			for _, version := range []string{"before", "theirs", "ours"} {
				dir := fmt.Sprintf("case%d/%s", i, version)
				tree.Spawn(dir+"/n", show(dir, names)...)
			}
		}
		tree.Run()
		for i, c := range cases {
			checkEditCase(t, tree, fmt.Sprint("case", i), c, names)
		}
		t.Logf("%d files edited", len(cases))
	})
}

// templates are the main.cf files that come with Postfix and that this release has.
func templates(tree *postfixtest.Tree) []string {
	var found []string
	for _, p := range []string{"/usr/share/postfix/main.cf.debian", "/usr/share/postfix/main.cf.dist",
		"/usr/share/postfix/main.cf.tls", "/etc/postfix/main.cf.proto"} {
		if tree.Read(p) != nil {
			found = append(found, p)
		}
	}
	return found
}

func genEdits(seed int) []Edit { return rapid.SliceOfN(genEdit(), 1, 4).Example(seed) }

// checked are parameters whose value postconf looks at whatever it is asked for.
var checked = map[string]string{"inet_protocols": "ipv4", "compatibility_level": "3.6"}

// editsOfAll sets or unsets everything in a file, and something new.
func editsOfAll(t *testing.T, text string) []Edit {
	edits := []Edit{Set("relayhost", "[relay.example]:587"), Set("smtp_tls_CApath", "")}
	for i, n := range mustParse(t, text).Names() {
		switch value, special := checked[n]; {
		case special:
			edits = append(edits, Set(n, value))
		case i%3 == 0:
			edits = append(edits, Unset(n))
		default:
			edits = append(edits, Set(n, fmt.Sprint("new ", i)))
		}
	}
	return edits
}

// paramsOf returns the parameters of all cases that postconf knows by itself.
func paramsOf(t *testing.T, cases []editCase) []string {
	names := slices.Clone(params)
	for _, c := range cases {
		names = append(names, mustParse(t, c.text).Names()...)
		for _, e := range c.edits {
			names = append(names, e.name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return slices.DeleteFunc(names, func(n string) bool { return n == "x" }) // text of the generator, not a parameter
}

func addEditCase(t *testing.T, tree *postfixtest.Tree, dir string, c *editCase) {
	c.ours = mustParse(t, c.text)
	if _, err := c.ours.Apply(c.edits...); err != nil {
		t.Fatal(err)
	}
	whole := c.text // postconf -e of 3.7 glues its new lines to a last line without newline
	if whole != "" && !strings.HasSuffix(whole, "\n") {
		whole += "\n"
	}
	for version, text := range map[string]string{"before": c.text, "theirs": whole, "ours": string(c.ours.Bytes())} {
		tree.Write(filepath.Join(dir, version, "main.cf"), []byte(text))
		tree.Write(filepath.Join(dir, version, "master.cf"), nil)
	}
	for i, e := range c.edits {
		args := []string{"postconf", "-c", dir + "/theirs", "-X", e.name}
		if !e.unset {
			args = []string{"postconf", "-c", dir + "/theirs", "-e", e.name + "=" + e.value}
		}
		tree.Add(fmt.Sprintf("%s/edit%d", dir, i), args...)
	}
}

func checkEditCase(t *testing.T, tree *postfixtest.Tree, dir string, c editCase, names []string) {
	for i := range c.edits {
		if _, stderr, ok := tree.Result(fmt.Sprintf("%s/edit%d", dir, i)); !ok {
			t.Errorf("postconf refused edit %+v: %s", c.edits[i], stderr)
		}
	}
	theirs := mustParse(t, string(tree.File(dir+"/theirs/main.cf")))
	for version, f := range map[string]*File{"before": mustParse(t, c.text), "theirs": theirs, "ours": c.ours} {
		out, stderr, ok := tree.Result(dir + "/" + version + "/n")
		if diff := cmp.Diff(out, showing(f, names)); !ok || diff != "" {
			t.Errorf("%s, %s file: postconf %t %s\n-postconf +ours:\n%s\nfile: %q", dir, version, ok, stderr, diff, f.Bytes())
		}
	}
	if diff := cmp.Diff(showing(theirs, names), showing(c.ours, names)); diff != "" {
		t.Errorf("%s: %+v means something else:\n-postconf +ours:\n%s\nfile: %q", dir, c.edits, diff, c.text)
	}
}

// TestPostconfRefuses holds Parse's verdict on broken files against postconf's.
func TestPostconfRefuses(t *testing.T) {
	postfixtest.Each(t, func(t *testing.T, tree *postfixtest.Tree) {
		const n = 80
		texts := make([]string, n)
		for i := range texts {
			texts[i] = genFile(false).Example(1000 + i)
			dir := fmt.Sprint("case", i)
			tree.Write(dir+"/main.cf", []byte(texts[i]))
			tree.Write(dir+"/master.cf", nil)
			tree.Spawn(dir+"/n", show(dir, params)...)
		}
		tree.Run()
		broken := 0
		for i, text := range texts {
			out, stderr, ok := tree.Result(fmt.Sprintf("case%d/n", i))
			f, err := Parse([]byte(text))
			switch {
			case (err == nil) != ok:
				t.Errorf("postconf says %q, Parse says %v for %q", stderr, err, text)
			case err != nil:
				line, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "cannot read "), ":")
				if broken++; !strings.Contains(stderr, ", "+line+": ") {
					t.Errorf("%v, but postconf: %s", err, stderr)
				}
			case out != showing(f, params):
				t.Errorf("postconf reads %q from %q", out, text)
			}
		}
		if t.Logf("%d of %d files refused", broken, n); broken < 10 || broken > n-10 {
			t.Error("the generator is lopsided")
		}
	})
}

// TestPostconfExpand holds Expand against postconf -hx.
func TestPostconfExpand(t *testing.T) {
	postfixtest.Each(t, func(t *testing.T, tree *postfixtest.Tree) {
		values := generatedMacros(150)
		for v := range macros {
			values = append(values, v)
		}
		for v := range refused {
			values = append(values, v)
		}
		for i, v := range values {
			text := "mydestination = " + v + "\n"
			for name, value := range vars {
				text += name + " = " + value + "\n"
			}
			dir := fmt.Sprint("case", i)
			tree.Write(dir+"/main.cf", []byte(text))
			tree.Write(dir+"/master.cf", nil)
			tree.Spawn(dir+"/x", "postconf", "-c", dir, "-hx", "mydestination")
		}
		tree.Run()
		failed := 0
		for i, v := range values {
			got, err := Expand(v, lookupVars)
			out, stderr, ok := tree.Result(fmt.Sprintf("case%d/x", i))
			if err != nil {
				failed++
			}
			if ok != (err == nil) || ok && out != normal(got)+"\n" {
				t.Errorf("Expand(%q) = %q, %v; postconf: %q, %s", v, got, err, out, stderr)
			}
		}
		t.Logf("%d values, %d of them refused", len(values), failed)
	})
}

// generatedMacros puts pieces of macros together, mostly into something else.
func generatedMacros(n int) []string {
	piece := rapid.SampledFrom([]string{"$", "${", "$(", "{", "}", "}", "}", ")", "?", ":", "one", "text", "empty", "ten", "$one",
		"${text?", "${empty:", "}:{", "${{", "} == {", "} < {", " <=level {", "}?{", " ", "$$", "3.6", "$ref", "x"})
	whole := rapid.SampledFrom([]string{"$ref", "${one?{a}:{b}}", "${empty?{a}:{b}}", "${{$ten} > {9}?{y}:{$text}}",
		"${text:{x}}", "$(chain)", "${{$level} <level {3.6}?{a}}", "$$", "w"})
	values := make([]string, n)
	for i := range values {
		list := rapid.SliceOfN(rapid.OneOf(piece, whole, whole), 1, 9).Example(i)
		values[i] = strings.TrimSpace(strings.Join(list, ""))
	}
	return values
}
