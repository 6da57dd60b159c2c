package maincf

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustParse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestGet(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want map[string]string
		line int // of "a"
	}{
		"a plain definition":                                    {"a = b\n", map[string]string{"a": "b"}, 1},
		"no blanks around the equals sign":                      {"a=b\n", map[string]string{"a": "b"}, 1},
		"an empty value":                                        {"a =\nb = \n", map[string]string{"a": "", "b": ""}, 1},
		"an equals sign in the value":                           {"a = b = c\n", map[string]string{"a": "b = c"}, 1},
		"a hash in the value is no comment":                     {"a = b # c\n", map[string]string{"a": "b # c"}, 1},
		"no final newline":                                      {"x = y\na = b", map[string]string{"a": "b", "x": "y"}, 2},
		"the last definition wins":                              {"a = b\na = c\n", map[string]string{"a": "c"}, 2},
		"continuation lines are joined by one blank":            {"a = b,\n  c, \n\td\n", map[string]string{"a": "b, c, d"}, 1},
		"the value starts in the second line":                   {"a =\n  b\n  c\n", map[string]string{"a": "b c"}, 1},
		"comments and empty lines do not end a value":           {"a = b\n# c\n\n  # d\n e\n", map[string]string{"a": "b e"}, 1},
		"the equals sign in a continuation line":                {"a\n = b\n", map[string]string{"a": "b"}, 1},
		"a line of blanks is no continuation":                   {"a = b\n  \nc = d\n", map[string]string{"a": "b", "c": "d"}, 1},
		"text that continues nothing is ignored, as is its own": {" q = r\n s\na = b\n", map[string]string{"a": "b"}, 3},
		"CR LF":                             {"a = b\r\n\r\n# c\r\nd = e\r\n", map[string]string{"a": "b", "d": "e"}, 1},
		"a form feed counts as white space": {"a = b\n\fc\n", map[string]string{"a": "b\fc"}, 1},
		"a form feed around the value is no part of it": {"a =\f b \v\n", map[string]string{"a": "b"}, 1},
		"a name with a transport's dash":                {"a-b_limit = 1\na = 2\n", map[string]string{"a-b_limit": "1", "a": "2"}, 2},
		"an empty file":                                 {"", nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := mustParse(t, c.text)
			if got := string(f.Bytes()); got != c.text {
				t.Errorf("Bytes() = %q", got)
			}
			for n, want := range c.want {
				if got, ok := f.Get(n); !ok || got != want {
					t.Errorf("Get(%q) = %q, %t, want %q", n, got, ok, want)
				}
			}
			if got := f.Names(); len(got) != len(c.want) {
				t.Errorf("Names() = %q", got)
			}
			if got := f.Line("a"); got != c.line {
				t.Errorf("Line = %d, want %d", got, c.line)
			}
			if _, ok := f.Get("absent"); ok || f.Line("absent") != 0 {
				t.Error("a parameter that is not there was found")
			}
		})
	}
}

func TestNamesInOrder(t *testing.T) {
	f := mustParse(t, "b = 1\na = 2\nb = 3\n")
	if got := f.Names(); !slices.Equal(got, []string{"b", "a"}) {
		t.Errorf("Names() = %q", got)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"a line without an equals sign":    {"a = b\n\nc d\n e\n", `cannot read line 3: it has no "=" behind a parameter's name`},
		"two words before the equals sign": {"a b = c\n", `cannot read line 1: it has no "=" behind a parameter's name`},
		"a line without a name":            {"# x\n= c\n", `cannot read line 2: no parameter name before "="`},
		"a null byte":                      {"a = b\nc = \x00d\n", "cannot read line 2: it holds a null byte"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(c.text))
			if err == nil || err.Error() != c.want {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

func TestApply(t *testing.T) {
	const sample = "# head\nmyhostname = a.example\nmydestination = a,\n    b,\n# kept\n    c\nrelayhost=\n"
	for name, c := range map[string]struct {
		text  string
		edits []Edit
		want  string
	}{
		"a value replaced in its line":                  {sample, []Edit{Set("myhostname", "b.example")}, strings.Replace(sample, "a.example", "b.example", 1)},
		"the value in force already":                    {sample, []Edit{Set("myhostname", "a.example"), Set("relayhost", " ")}, sample},
		"spacing around the equals sign is kept":        {"a=b\nc  =\td\n", []Edit{Set("a", "x"), Set("c", "y")}, "a=x\nc  =\ty\n"},
		"an empty value filled":                         {"a=\nb =\nc =  \n", []Edit{Set("a", "1"), Set("b", "2"), Set("c", "3")}, "a=1\nb = 2\nc = 3\n"},
		"a value emptied":                               {"a = b\n", []Edit{Set("a", "")}, "a =\n"},
		"continuation lines go, comments stay":          {sample, []Edit{Set("mydestination", "x")}, "# head\nmyhostname = a.example\nmydestination = x\n# kept\nrelayhost=\n"},
		"a value that starts in the second line":        {"a =\n  b\n  c\nd = e\n", []Edit{Set("a", "x")}, "a = x\nd = e\n"},
		"the equals sign in the second line":            {"a\n = b\n", []Edit{Set("a", "x")}, "a = x\n"},
		"a new parameter at the end":                    {"a = b\n", []Edit{Set("z", "1"), Set("c", "")}, "a = b\nz = 1\nc =\n"},
		"a missing final newline mended":                {"a = b", []Edit{Set("c", "d")}, "a = b\nc = d\n"},
		"a missing final newline left alone":            {"a = b", []Edit{Set("a", "d")}, "a = d"},
		"a last line without newline, wrapped":          {"a = b\n c", []Edit{Set("a", "d")}, "a = d\n"},
		"the first line of an empty file":               {"", []Edit{Set("c", "d")}, "c = d\n"},
		"duplicates: one is left, where the last was":   {"a = 1\nb = 2\na = 3\n 4\nc = 5\n", []Edit{Set("a", "x")}, "b = 2\na = x\nc = 5\n"},
		"duplicates: the one in force says it already":  {"a = 1\na = 3\n", []Edit{Set("a", "3")}, "a = 1\na = 3\n"},
		"unset takes all definitions, not the comments": {"a = 1\n# k\n 2\nb = 2\na = 3\n", []Edit{Unset("a")}, "# k\nb = 2\n"},
		"unset of what is not there":                    {sample, []Edit{Unset("x")}, sample},
		"the value does not reach over a removed one":   {"# x\na = 1\n# y\n  2\n", []Edit{Unset("a")}, "# x\n# y\n"},
		"CR LF kept":                             {"a = b\r\nc = d\r\n", []Edit{Set("a", "x"), Set("z", "1")}, "a = x\r\nc = d\r\nz = 1\r\n"},
		"the later edit of one name wins":        {"a = b\n", []Edit{Set("a", "1"), Set("a", "2")}, "a = 2\n"},
		"a wrapped value asked for in one line":  {"a = b,\n    c\n", []Edit{Set("a", "b, c")}, "a = b,\n    c\n"},
		"a wrapped value asked for as it stands": {"a = b,\n    c\n", []Edit{Set("a", "b,    c")}, "a = b,\n    c\n"},
		"more blanks than the file has":          {"a = b c\n", []Edit{Set("a", "b  c")}, "a = b  c\n"},
		"there and back is no change":            {"a = b\n", []Edit{Set("a", "1"), Set("a", "b")}, "a = b\n"},
		"blanks around the value are dropped":    {"a = b\n", []Edit{Set("a", "  x y\t")}, "a = x y\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := mustParse(t, c.text)
			changed, err := f.Apply(c.edits...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(f.Bytes())); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if changed != (c.want != c.text) {
				t.Errorf("changed = %t", changed)
			}
			if again, err := f.Apply(c.edits[len(c.edits)-1]); again || err != nil {
				t.Errorf("the last edit once more: changed %t, error %v", again, err)
			}
		})
	}
}

func TestApplyRefuses(t *testing.T) {
	for name, e := range map[string]Edit{
		"no name":                        Set("", "x"),
		"a comment as name":              Set("#a", "x"),
		"a delete character in the name": Set("a\x7f", "x"),
		"a blank in the name":            Set("a b", "x"),
		"an equals sign in a name":       Set("a=b", "x"),
		"a newline in the name":          Unset("a\nb"),
		"a newline in the value":         Set("a", "x\nb = c"),
		"a newline at the end":           Set("a", "x\n"),
		"a carriage return inside":       Set("a", "x\ry"),
		"a null byte":                    Set("a", "x\x00"),
	} {
		t.Run(name, func(t *testing.T) {
			f := mustParse(t, "a = b\n")
			changed, err := f.Apply(Set("a", "new"), e)
			if err == nil || changed || string(f.Bytes()) != "a = b\n" {
				t.Errorf("changed %t, error %v, file %q", changed, err, f.Bytes())
			}
		})
	}
}

func TestSplitList(t *testing.T) {
	for value, want := range map[string][]string{
		"":                           nil,
		" , ,\t":                     nil,
		"a":                          {"a"},
		"a, b  c,\n\td,":             {"a", "b", "c", "d"},
		"{ a, b } c{d e}f":           {"{ a, b }", "c{d e}f"},
		"{ a { b , } c }, d":         {"{ a { b , } c }", "d"},
		"a} b":                       {"a}", "b"},
		"a { b, c":                   {"a", "{ b, c"},
		"127.0.0.0/8 [::1]/128, !/x": {"127.0.0.0/8", "[::1]/128", "!/x"},
	} {
		if got := SplitList(value); !slices.Equal(got, want) {
			t.Errorf("SplitList(%q) = %q, want %q", value, got, want)
		}
	}
	if !SameList("a, b", "a\n\tb,") || SameList("a b", "b a") || SameList("a", "a, b") {
		t.Error("SameList")
	}
}
