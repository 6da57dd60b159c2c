package maincf

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// comments returns the lines of a file that hold no text of a definition.
func comments(text string) []string {
	return slices.DeleteFunc(strings.SplitAfter(text, "\n"), func(line string) bool {
		text := strings.TrimLeft(line, blanks+"\n")
		return text != "" && text[0] != '#'
	})
}

func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := genFile(true).Draw(t, "file")
		f, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if string(f.Bytes()) != text {
			t.Fatal("the file did not come out byte for byte")
		}
		before := map[string]string{}
		for _, n := range f.Names() {
			before[n], _ = f.Get(n)
		}
		e := genEdit().Draw(t, "edit")
		checkEdit(t, f, before, text, e)
	})
}

func checkEdit(t *rapid.T, f *File, before map[string]string, text string, e Edit) {
	changed, err := f.Apply(e)
	if err != nil {
		t.Fatal(err)
	}
	if changed != (string(f.Bytes()) != text) {
		t.Fatalf("changed = %t", changed)
	}
	if old, was := before[e.name]; was == !e.unset && old == e.value && changed {
		t.Fatal("an edit without effect changed the file")
	}
	delete(before, e.name)
	if !e.unset {
		before[e.name] = normal(e.value)
	}
	reread, err := Parse(f.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []*File{f, reread} {
		if names := got.Names(); len(names) != len(before) {
			t.Fatalf("parameters %q, want %q", names, before)
		}
		for n, want := range before {
			if v, ok := got.Get(n); !ok || v != want {
				t.Fatalf("%s = %q, %t, want %q", n, v, ok, want)
			}
		}
	}
	if !slices.Equal(comments(text), comments(string(f.Bytes()))) && strings.HasSuffix(text, "\n") {
		t.Fatalf("comments changed: %q", f.Bytes())
	}
	once := f.Bytes()
	if again, err := f.Apply(e); again || err != nil || !bytes.Equal(once, f.Bytes()) {
		t.Fatalf("the same edit twice: changed %t, error %v", again, err)
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("a = b\n# c\n  d\r\na=\n"))
	f.Add([]byte(" x\na\n=b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			return
		}
		if !bytes.Equal(file.Bytes(), data) {
			t.Fatal("the file did not come out byte for byte")
		}
		for _, name := range file.Names() {
			want, _ := file.Get(name)
			if changed, err := file.Apply(Set(name, want)); changed && err == nil {
				t.Fatalf("setting %q to its own value changed the file", name)
			}
		}
		for _, name := range file.Names() {
			if _, err := file.Apply(Set(name, "new"), Set("other", "x"), Unset("other")); err != nil {
				continue // a name that Set does not take
			}
			if got, _ := file.Get(name); got != "new" {
				t.Fatalf("%q is %q after Set", name, got)
			}
		}
	})
}

func FuzzExpand(f *testing.F) {
	f.Add("$a ${b?{x}:{$c}} ${{$a} <=level {3.6} ? {y} : {n}}", "$b", "$$(c)")
	f.Fuzz(func(t *testing.T, value, a, b string) {
		values := map[string]string{"a": a, "b": b, "c": "$a$b"}
		got, err := Expand(value, func(n string) (string, bool) { v, ok := values[n]; return v, ok })
		if err == nil && !strings.Contains(value, "$") && got != value {
			t.Fatalf("a value without macros became %q", got)
		}
	})
}

func FuzzSplitList(f *testing.F) {
	f.Add("a, { b c } d")
	f.Fuzz(func(t *testing.T, value string) {
		list := SplitList(value)
		if joined := strings.Join(list, " "); !SameList(joined, value) {
			t.Fatalf("%q joined is another list", list)
		}
	})
}
