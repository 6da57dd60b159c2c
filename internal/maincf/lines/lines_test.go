package lines

import (
	"slices"
	"strings"
	"testing"
)

func TestLogical(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"nothing":                                   {"", nil},
		"comments and blanks":                       {"# a\n\n  \n\t# b\n", nil},
		"plain lines, the last without newline":     {"a\nb", []string{"a", "b"}},
		"a continuation":                            {"a\n b\n\tc\nd\n", []string{"a b\tc", "d"}},
		"comments and blanks inside a logical line": {"a\n# x\n\n \n  # y\n b\n", []string{"a b"}},
		"a comment flush left does not end a line":  {"a\n#x\n b\n", []string{"a b"}},
		"text that continues nothing":               {" a\n b\n# x\n c\nd\n e\n", []string{"d e"}},
		"CR LF":                                     {"a\r\n\r\n b\r\n", []string{"a\r b\r"}},
		"vertical white space":                      {"a\n\fb\n\vc\n", []string{"a\fb\vc"}},
		"a hash inside a line":                      {"a # b\n # c\n", []string{"a # b"}},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := Split([]byte(c.text))
			if err != nil || strings.Join(all, "") != c.text {
				t.Fatalf("Split = %q, %v", all, err)
			}
			var got []string
			for _, rows := range Logical(all) {
				got = append(got, Join(all, rows))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestSplitRefusesNull(t *testing.T) {
	if _, err := Split([]byte("a\nb\nc\x00\n")); err == nil || err.Error() != "cannot read line 3: it holds a null byte" {
		t.Errorf("error %v", err)
	}
}

func TestAppend(t *testing.T) {
	for before, want := range map[string]string{
		"": "new\n", "a\n": "a\nnew\n", "a": "a\nnew\n", "a\r\n": "a\r\nnew\r\n", "a\r\nb": "a\r\nb\r\nnew\r\n",
	} {
		all, err := Split([]byte(before))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(Append(all, "new"), ""); got != want {
			t.Errorf("Append to %q gives %q, want %q", before, got, want)
		}
	}
}
