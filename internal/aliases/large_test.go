package aliases

import (
	"fmt"
	"strings"
	"testing"
)

// large are texts of some size, each of another kind.
func large(size int) map[string]string {
	var many strings.Builder
	for i := 0; many.Len() < size; i++ {
		fmt.Fprintf(&many, "u%d: x\n", i)
	}
	same := func(part string) string { return strings.Repeat(part, size/len(part)) }
	return map[string]string{
		"entries":            many.String(),
		"recipients":         "u0: " + same("x, "),
		"continuation lines": "u0:\n" + same(" x,\n"),
		"open comments":      "u0: " + same("("),
		"comments":           "u0: " + same("()"),
		"open quotes":        "u0: " + same(`"`) + `"`,
		"backslashes":        "u0: " + same(`\`),
		"separators":         "u0: " + same(";"),
		"no value":           same("u0\n"),
		"one entry again":    same("u0: x\n"),
	}
}

func setInLarge(t *testing.T, text string) {
	t.Helper()
	f, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for range len(text) / 50 {
		f.Lookup("u1")
	}
	if changed, err := f.Set("u0", "new"); !changed || err != nil {
		t.Errorf("changed %v, %v", changed, err)
	}
}

// What goes through the whole text for each byte takes longer than a test may.
func TestLargeFiles(t *testing.T) {
	for name, text := range large(1 << 18) {
		t.Run(name, func(t *testing.T) { setInLarge(t, text) })
	}
}

// Of four times the text it makes at most about four times the steps that allocate.
func TestWorkIsLinear(t *testing.T) {
	part, whole := large(1<<13), large(1<<15)
	for name := range part {
		count := func(text string) float64 { return testing.AllocsPerRun(1, func() { setInLarge(t, text) }) }
		if a, b := count(part[name]), count(whole[name]); b > 4.4*a+100 {
			t.Errorf("%s: %v allocations, of four times the text %v", name, a, b)
		}
	}
}
