package maincf

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestDiff(t *testing.T) {
	old := "1\n2\n3\n4\na = b\n6\n7\n8\n9\n"
	for name, c := range map[string]struct{ old, new, want string }{
		"no change":   {old, old, ""},
		"two empties": {"", "", ""},
		"a line changed": {old, strings.Replace(old, "b", "c", 1),
			"--- x\n+++ x\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-a = b\n+a = c\n 6\n 7\n 8\n"},
		"a new file":     {"", "a\n", "--- x\n+++ x\n@@ -0,0 +1,1 @@\n+a\n"},
		"a file emptied": {"a\nb\n", "", "--- x\n+++ x\n@@ -1,2 +0,0 @@\n-a\n-b\n"},
		"a missing newline mended": {"a", "a\nb\n",
			"--- x\n+++ x\n@@ -1,1 +1,2 @@\n-a\n\\ No newline at end of file\n+a\n+b\n"},
		"a line put in": {old, strings.Replace(old, "9\n", "new\n9\n", 1),
			"--- x\n+++ x\n@@ -6,4 +6,5 @@\n 6\n 7\n 8\n+new\n 9\n"},
		"two changes far apart": {"a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n",
			"--- x\n+++ x\n@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n"},
		"two changes whose context touches": {"a\n1\n2\n3\n4\n5\nb\n", "A\n1\n2\n3\n4\n5\nB\n",
			"--- x\n+++ x\n@@ -1,7 +1,7 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n-b\n+B\n"},
		"lines that moved": {"a\nb\nc\nd\n", "b\nx\nd\na\n",
			"--- x\n+++ x\n@@ -1,4 +1,4 @@\n-a\n b\n-c\n+x\n d\n+a\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Diff("x", []byte(c.old), []byte(c.new)); got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}

// patch applies a unified diff as patch(1) does, without any fuzz.
func patch(old, diff string) (string, error) {
	rest := splitNonEmpty(old)
	var out []string
	read := 0
	lines := splitNonEmpty(diff)
	for i, line := range lines {
		text, last := line[1:], ""
		if i+1 < len(lines) && lines[i+1][0] == '\\' {
			text = strings.TrimSuffix(text, "\n")
		}
		if read < len(rest) {
			last = rest[read]
		}
		switch {
		case i < 2, line[0] == '\\':
		case line[0] == '@':
			var a, an, b, bn int
			if _, err := fmt.Sscanf(line, "@@ -%d,%d +%d,%d @@", &a, &an, &b, &bn); err != nil {
				return "", err
			}
			if an == 0 {
				a++
			}
			if bn == 0 {
				b++
			}
			out = append(out, rest[read:a-1]...)
			if read = a - 1; len(out) != b-1 {
				return "", fmt.Errorf("%s starts at %d", line, len(out)+1)
			}
		case line[0] == '+':
			out = append(out, text)
		case text != last:
			return "", fmt.Errorf("%q stands for %q", text, last)
		default:
			if line[0] == ' ' {
				out = append(out, text)
			}
			read++
		}
	}
	return strings.Join(append(out, rest[read:]...), ""), nil
}

func splitNonEmpty(s string) []string {
	return slices.DeleteFunc(strings.SplitAfter(s, "\n"), func(l string) bool { return l == "" })
}

func TestDiffPatches(t *testing.T) {
	text := rapid.Custom(func(t *rapid.T) string {
		lines := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d", "", "-", "@@"}), 0, 25).Draw(t, "lines")
		return strings.Join(lines, "\n")
	})
	rapid.Check(t, func(t *rapid.T) {
		old, new := text.Draw(t, "old"), text.Draw(t, "new")
		diff := Diff("x", []byte(old), []byte(new))
		if got, err := patch(old, diff); err != nil || got != new || (diff == "") != (old == new) {
			t.Fatalf("%q and\n%s\ngive %q, %v", old, diff, got, err)
		}
	})
}

func TestDiffOfLargeFiles(t *testing.T) {
	old, new := strings.Repeat("old\n", 3000), strings.Repeat("new\n", 3000)
	diff := Diff("x", []byte("head\n"+old+"tail\n"), []byte("head\n"+new+"tail\n"))
	if got, err := patch("head\n"+old+"tail\n", diff); err != nil || got != "head\n"+new+"tail\n" {
		t.Errorf("the diff does not apply: %v", err)
	}
}

// What is too large for a diff is said to change, and nothing of it is shown.
func TestDiffOfWhatIsTooLarge(t *testing.T) {
	text := []byte(strings.Repeat("a_password = geheim\n", maxShown/20+1))
	diff := Diff("x", text, append(text, 'x'))
	if want := fmt.Sprintf("--- x\n+++ x\n@@ changes from %d to %d bytes: too large to be shown @@\n", len(text), len(text)+1); diff != want {
		t.Errorf("got %.200q, want %q", diff, want)
	}
	if diff := Diff("x", text, text); diff != "" {
		t.Errorf("no change: %.200q", diff)
	}
	if got, want := Show("x", string(text)), fmt.Sprintf("x = (%d bytes, too large to be shown)", len(text)); got != want {
		t.Errorf("got %.200q, want %q", got, want)
	}
}
