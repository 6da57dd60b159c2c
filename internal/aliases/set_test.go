package aliases

import "testing"

func TestSet(t *testing.T) {
	for name, c := range map[string]struct {
		before string
		values []string
		want   string
	}{
		"a new alias is added":                        {"# x\n", []string{"joe"}, "# x\nroot: joe\n"},
		"the entry is rewritten in its place":         {"a: b\nroot: old\nc: d\n", []string{"joe", "ann"}, "a: b\nroot: joe, ann\nc: d\n"},
		"continuation lines go, comments stay":        {"ROOT : old,\n# why\n\tother\nc: d", []string{"joe"}, "root: joe\n# why\nc: d"},
		"the first of two counts":                     {"root: one\nroot: two\n", []string{"joe"}, "root: joe\nroot: two\n"},
		"the same recipients change nothing":          {"root :  joe ,ann\n", []string{"joe", "ann"}, "root :  joe ,ann\n"},
		"a missing final newline stays missing":       {"root: x", []string{"joe"}, "root: joe"},
		"the line end of the file's kind is kept too": {"root: x\r\n", []string{"joe"}, "root: joe\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := mustParse(t, c.before)
			changed, err := f.Set("root", c.values...)
			if err != nil || changed != (c.before != c.want) || string(f.Bytes()) != c.want {
				t.Errorf("Set = %t, %v; %q, want %q", changed, err, f.Bytes(), c.want)
			}
		})
	}
	f := mustParse(t, "root: x\n")
	if _, err := f.Set("root", "a b"); err == nil || string(f.Bytes()) != "root: x\n" {
		t.Errorf("two words as one recipient: %v, %q", err, f.Bytes())
	}
}
