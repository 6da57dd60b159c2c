package aliases

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func mustParse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestLookup(t *testing.T) {
	for name, c := range map[string]struct {
		text, key string
		want      []string // nil: not there
	}{
		"a plain entry":                       {"root: joe\n", "root", []string{"joe"}},
		"upper case in the file":              {"ROOT: joe\n", "root", []string{"joe"}},
		"upper case asked for":                {"root: joe\n", "Root", []string{"joe"}},
		"a blank before the colon":            {"root : joe\n", "root", []string{"joe"}},
		"no blank behind the colon":           {"root:joe\n", "root", []string{"joe"}},
		"a quoted name":                       {"\"root\": joe\n", "root", []string{"joe"}},
		"a quoted name with a colon":          {"\"a: b\": joe\n", "a: b", []string{"joe"}},
		"a backslash in a name":               {"a\\:b: joe\n", "a:b", []string{"joe"}},
		"a name with a dot":                   {"joe.user: joe\n", "joe.user", []string{"joe"}},
		"several values in several lines":     {"root: joe,\n\tann@b.example\n# c\n  , bob\n", "root", []string{"joe", "ann@b.example", "bob"}},
		"a value that starts below the name":  {"root:\n  joe\n", "root", []string{"joe"}},
		"a command":                           {"x: \"|/bin/cmd a, b\", joe\n", "x", []string{`"|/bin/cmd a, b"`, "joe"}},
		"a command quoted in part":            {"x: |\"/bin/cmd a\"\n", "x", []string{`|"/bin/cmd a"`}},
		"an include file and a file":          {"x: :include:/a/b , /var/mail/x\n", "x", []string{":include:/a/b", "/var/mail/x"}},
		"a value with quotes in it":           {"x: \"|a \\\"b\\\" \\\\c\"\n", "x", []string{`"|a \"b\" \\c"`}},
		"empty elements":                      {"x: ,joe,,\n", "x", []string{"joe"}},
		"the empty value in quotes":           {"x: \"\"\n", "x", []string{`""`}},
		"a name with blanks is one name":      {"big joe: x\n", "big joe", []string{"x"}},
		"the first of two entries":            {"root: a\nROOT: b\n", "root", []string{"a"}},
		"a phrase and an address":             {"x: \"A B\" <c@[1.2.3.4]>\n", "x", []string{`"A B" <c@[1.2.3.4]>`}},
		"a comment in parentheses":            {"x: joe (the \\) (user))\n", "x", []string{"joe (the \\) (user))"}},
		"a comma in nested parentheses":       {"x: joe (a (b) c, d), ann\n", "x", []string{"joe (a (b) c, d)", "ann"}},
		"a comma behind a backslash":          {"x: a\\,b, c\n", "x", []string{`"a,b"`, "c"}},
		"letters beyond ASCII":                {"Jürgen: x\n", "JÜRGEN", []string{"x"}},
		"CR LF":                               {"root: joe\r\n", "root", []string{"joe"}},
		"no final newline":                    {"root: joe", "root", []string{"joe"}},
		"a comment is no entry":               {"#root: joe\n", "root", nil},
		"text that continues nothing":         {"  root: joe\n", "root", nil},
		"no value":                            {"root:\n", "root", nil},
		"no value, but one in a second entry": {"root:\nroot: x\n", "root", []string{"x"}},
		"no name":                             {": joe\n", "", nil},
		"no colon":                            {"root joe\n", "root", nil},
		"several names":                       {"root, joe: x\n", "root", nil},
		"a domain in the name":                {"root@a.example: x\n", "root@a.example", nil},
		"a percent sign in the name":          {"root%a: x\n", "root%a", nil},
		"a quoted domain in the name":         {"\"root@a\": x\n", "root@a", []string{"x"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := mustParse(t, c.text)
			got, ok := f.Lookup(c.key)
			if !slices.Equal(got, c.want) || ok != (c.want != nil) {
				t.Errorf("Lookup(%q) = %q, %t, want %q", c.key, got, ok, c.want)
			}
			if string(f.Bytes()) != c.text {
				t.Errorf("Bytes() = %q", f.Bytes())
			}
		})
	}
}

func TestAdd(t *testing.T) {
	for name, c := range map[string]struct {
		text, key string
		values    []string
		want      string
	}{
		"to an empty file":                     {"", "root", []string{"joe"}, "root: joe\n"},
		"at the end":                           {"# c\na: b\n", "root", []string{"joe", "ann@x.example"}, "# c\na: b\nroot: joe, ann@x.example\n"},
		"a missing final newline mended":       {"a: b", "root", []string{"joe"}, "a: b\nroot: joe\n"},
		"there already":                        {"root: ann\n", "root", []string{"joe"}, "root: ann\n"},
		"there already in upper case, quoted":  {"\"ROOT\" : ann", "root", []string{"joe"}, "\"ROOT\" : ann"},
		"there without a value":                {"root:\n", "root", []string{"joe"}, "root:\nroot: joe\n"},
		"a name that needs quotes":             {"", "Big \"J\" \\", []string{"joe"}, "\"Big \\\"J\\\" \\\\\": joe\n"},
		"a name like a comment":                {"", "#x", []string{"joe"}, "\"#x\": joe\n"},
		"a name with a domain":                 {"", "a@b", []string{"joe"}, "\"a@b\": joe\n"},
		"a name with dots":                     {"", "a.b", []string{"joe"}, "a.b: joe\n"},
		"a command, a file, an include file":   {"", "x", []string{`"|/bin/cmd a"`, "/dev/null", ":include:/a/b"}, "x: \"|/bin/cmd a\", /dev/null, :include:/a/b\n"},
		"CR LF":                                {"a: b\r\n", "x", []string{"y"}, "a: b\r\nx: y\r\n"},
		"behind a last line that is a comment": {"# c", "x", []string{"y"}, "# c\nx: y\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := mustParse(t, c.text)
			for _, wantChange := range []bool{c.want != c.text, false} {
				changed, err := f.Add(c.key, c.values...)
				if err != nil || changed != wantChange || string(f.Bytes()) != c.want {
					t.Fatalf("changed %t, error %v, file %q, want %q", changed, err, f.Bytes(), c.want)
				}
			}
			ours, _ := f.Lookup(c.key)
			reread, ok := mustParse(t, c.want).Lookup(c.key)
			if !ok || !slices.Equal(ours, reread) {
				t.Errorf("%q before, %q after rereading", ours, reread)
			}
		})
	}
}

func TestAddRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		key    string
		values []string
		want   string
	}{
		"no name":                      {"", []string{"joe"}, ""},
		"no value":                     {"root", nil, `cannot add alias "root": an alias needs a name and a value`},
		"an empty value":               {"root", []string{""}, `cannot add alias "root": "" is not one recipient`},
		"a newline in a value":         {"root", []string{"joe\nann: x"}, `cannot add alias "root": it holds a newline or another control character`},
		"a newline in a name":          {"ro\not", []string{"joe"}, `cannot add alias "ro\not": it holds a newline or another control character`},
		"two recipients as one":        {"root", []string{"joe, ann"}, `cannot add alias "root": "joe, ann" is not one recipient`},
		"two words":                    {"root", []string{"joe ann"}, `cannot add alias "root": "joe ann" is not one recipient`},
		"a command without its quotes": {"root", []string{"|cmd a"}, `cannot add alias "root": "|cmd a" is not one recipient`},
		"a comment":                    {"root", []string{"joe (c)"}, `cannot add alias "root": "joe (c)" is not one recipient`},
		"nothing but a comment":        {"root", []string{"(c)"}, `cannot add alias "root": "(c)" is not one recipient`},
		"an open quote":                {"root", []string{`"joe`}, `cannot add alias "root": "\"joe" is not one recipient`},
		"an open quote before another": {"root", []string{`"joe`, `x"`}, `cannot add alias "root": "\"joe" is not one recipient`},
		"a backslash at the end":       {"root", []string{`joe\`}, `cannot add alias "root": "joe\\" is not one recipient`},
		"blanks around":                {"root", []string{" joe"}, `cannot add alias "root": " joe" is not one recipient`},
	} {
		t.Run(name, func(t *testing.T) {
			f := mustParse(t, "a: b\n")
			changed, err := f.Add(c.key, c.values...)
			if c.key == "" {
				c.want = `cannot add alias "": an alias needs a name and a value`
			}
			if changed || err == nil || err.Error() != c.want || string(f.Bytes()) != "a: b\n" {
				t.Errorf("changed %t, error %v, want %s", changed, err, c.want)
			}
		})
	}
}

// genFile makes aliases files of good and bad entries.
func genFile() *rapid.Generator[string] {
	from := func(list ...string) *rapid.Generator[string] { return rapid.SampledFrom(list) }
	key := from("root", "ROOT", "\"root\"", "joe.user", "\"Big Joe\"", "big joe", "a\\:b", "x(c)", "x", "\"a@b\"", "a@b", "a%b", "a,b", "", "!x", "|y", "[z]", "é", "a\\ b")
	colon := from(":", ": ", " :", "\t:  ", ":\n  ", ":\n# c\n\t", "")
	word := from("joe", "ann@b.example", "\"|cmd a, b\"", ":include:/x/y", "/dev/null", "|cmd", "\"A B\" <c@d>", "(c)", "\"\"", "\"q", "a\\,b", "a:b",
		"[1.2.3.4]", "x (y \\( ) z", "a.b.c", "\\", "[q\\]r", "\"a\\\\b\"", "é", ";", "\"\\\"\"", "<a>", "'s'")
	gap := from(", ", ",", " , ", ",\n ", " ", "\n  ", ",,", "\t,\n# c\n\n  ")
	end := from("\n", "\n", " \n", ",\n", "\r\n", "\n\n# c\n", "\n  # c\n")
	return rapid.Custom(func(t *rapid.T) string {
		var s strings.Builder
		s.WriteString(from("", "# head\n", "  orphan: x\n").Draw(t, "head"))
		for range rapid.IntRange(0, 6).Draw(t, "entries") {
			s.WriteString(key.Draw(t, "key") + colon.Draw(t, "colon"))
			for i, n := 0, rapid.IntRange(0, 4).Draw(t, "values"); i < n; i++ {
				if i > 0 {
					s.WriteString(gap.Draw(t, "gap"))
				}
				s.WriteString(word.Draw(t, "value"))
			}
			s.WriteString(end.Draw(t, "end"))
		}
		if rapid.IntRange(0, 4).Draw(t, "final newline") == 0 {
			return strings.TrimSuffix(s.String(), "\n")
		}
		return s.String()
	})
}

func TestProperties(t *testing.T) {
	keys := []string{"root", "big joe", "new", "a:b", "A@b", "#"}
	rapid.Check(t, func(t *rapid.T) {
		text := genFile().Draw(t, "file")
		f, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if string(f.Bytes()) != text {
			t.Fatal("the file did not come out byte for byte")
		}
		checkAdd(t, f, rapid.SampledFrom(keys).Draw(t, "key"))
	})
}

func checkAdd(t interface{ Fatalf(string, ...any) }, f *File, key string) {
	old, had := f.Lookup(key)
	before := string(f.Bytes())
	changed, err := f.Add(key, "someone@b.example", "other")
	if err != nil || changed == had || had && string(f.Bytes()) != before || !strings.HasPrefix(string(f.Bytes()), before) {
		t.Fatalf("changed %t, was there %t, error %v, file %q", changed, had, err, f.Bytes())
	}
	want := []string{"someone@b.example", "other"}
	if had {
		want = old
	}
	reread, err := Parse(f.Bytes())
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, got := range []*File{f, reread} {
		if values, ok := got.Lookup(key); !ok || !slices.Equal(values, want) {
			t.Fatalf("Lookup(%q) = %q, %t, want %q in %q", key, values, ok, want, got.Bytes())
		}
		if len(got.entries) != len(f.entries) {
			t.Fatalf("%d entries, %d after rereading", len(f.entries), len(got.entries))
		}
	}
}

func FuzzAdd(f *testing.F) {
	f.Add([]byte("root: joe\n"), "root", "x@y")
	f.Add([]byte("\"a b\" : \"|c d\""), "a\\b", "\"|e f\"")
	f.Fuzz(func(t *testing.T, data []byte, key, value string) {
		file, err := Parse(data)
		if err != nil || !utf8.Valid(data) {
			return
		}
		if string(file.Bytes()) != string(data) {
			t.Fatal("the file did not come out byte for byte")
		}
		checkAdd(t, file, "root")
		if changed, err := file.Add(key, value); err == nil && changed {
			reread := mustParse(t, string(file.Bytes()))
			if got, ok := reread.Lookup(key); !ok || !slices.Equal(got, []string{value}) {
				t.Fatalf("Lookup(%q) = %q, %t, want %q in %q", key, got, ok, value, file.Bytes())
			}
		}
		if _, err := file.Set(key, value, "x"); err == nil {
			got, ok := mustParse(t, string(file.Bytes())).Lookup(key)
			if ours, _ := file.Lookup(key); !ok || !slices.Equal(got, []string{value, "x"}) || !slices.Equal(got, ours) {
				t.Fatalf("Lookup(%q) = %q, %t after Set to %q in %q", key, got, ok, value, file.Bytes())
			}
		}
	})
}
