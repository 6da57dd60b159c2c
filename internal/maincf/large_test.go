package maincf_test

import (
	"fmt"
	"strings"
	"testing"

	"postfix-maint/internal/maincf"
)

// large are texts of some size, each of another kind. What looks at all of one once for each part of it takes minutes to hours, longer
// than a test may.
func large(size int) map[string]string {
	fill := func(part func(i int) string) string {
		var out strings.Builder
		for i := 0; out.Len() < size; i++ {
			out.WriteString(part(i))
		}
		return out.String()
	}
	same := func(part string) string { return strings.Repeat(part, size/len(part)) }
	return map[string]string{
		"parameters":             fill(func(i int) string { return fmt.Sprintf("p%d = x\n", i) }),
		"one parameter again":    same("a = b\n"),
		"continuation lines":     "a = b\n" + same(" c\n"),
		"comments in a value":    "a = b\n" + same("# c\n d\n"),
		"one line":               "a = " + same("b  "),
		"open braces":            "a = " + same("{"),
		"open macros":            "a = " + same("${"),
		"macros in macros":       "a = " + same("${b?{") + same("}}"),
		"the same macro":         "b = " + same("c  ") + "\na = " + strings.Repeat("${b?x}", 20000),
		"doubled again":          fill(func(i int) string { return fmt.Sprintf("p%d = $p%d $p%d\n", i, i+1, i+1) }),
		"passwords behind names": fill(func(i int) string { return fmt.Sprintf("p%d = $p%d\n", i, i+1) }) + "x_password_maps = $p1\n",
		"password tables":        "smtp_sasl_password_maps = " + same("$x, ") + " static:u:p\n",
		"a directory of macros":  "smtp_sasl_password_maps = /" + same("$x"),
		"commented passwords":    same("#   smtp_sasl_password_maps = static:u:p\n"),
		"a deeper comment":       "#a\n" + same("#  password is x\n"),
		"services' options":      "a unix - - - - - b\n" + same(" -o c=d\n"),
		"no line ends":           same("\r"),
	}
}

func TestLargeFiles(t *testing.T) {
	for name, text := range large(1 << 20) {
		t.Run(name, func(t *testing.T) {
			f, err := maincf.Parse([]byte(text))
			if err != nil {
				return
			}
			for i, n := range f.Names() {
				if v, ok := f.Get(n); !ok || f.Line(n) < 1 || i%1000 == 0 && !maincf.SameList(v, v) {
					t.Fatalf("%s is not found", n)
				}
			}
			_, _ = maincf.Expand("$a $p1", f.Get) // most are refused
			var edits []maincf.Edit
			for i := range 100 {
				edits = append(edits, maincf.Set(fmt.Sprintf("p%d", 3*i), "new"), maincf.Set(fmt.Sprintf("q%d", i), "new"), maincf.Unset(fmt.Sprintf("p%d", 3*i+1)))
			}
			if changed, err := f.Apply(append(edits, maincf.Set("a", "new"))...); !changed || err != nil {
				t.Errorf("changed %v, %v", changed, err)
			}
		})
	}
}

func TestLargeDiffs(t *testing.T) {
	for name, text := range large(1 << 16) {
		t.Run(name, func(t *testing.T) {
			masked := maincf.Mask([]byte(text))
			if got, want := strings.Count(string(masked), "\n"), strings.Count(text, "\n"); got != want {
				t.Errorf("%d lines after the mask, want %d", got, want)
			}
			if diff := maincf.Diff("f", []byte(text), append([]byte(strings.ReplaceAll(text, "9 =", "9 = y")), "\nz = z\n"...)); diff == "" {
				t.Error("no diff")
			}
		})
	}
}

// Of twice the text the mask makes at most about twice the steps that allocate: each look at a line, a value or a reference is one.
func TestMaskIsLinear(t *testing.T) {
	half, whole := large(1<<15), large(1<<16)
	for name := range half {
		mask := func(text string) float64 { return testing.AllocsPerRun(1, func() { maincf.Mask([]byte(text)) }) }
		if a, b := mask(half[name]), mask(whole[name]); b > 2.2*a+100 {
			t.Errorf("%s: %v allocations, of twice the text %v", name, a, b)
		}
	}
}
