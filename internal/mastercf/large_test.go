package mastercf

import (
	"fmt"
	"strings"
	"testing"
)

// large are texts of some size, each of another kind.
func large(size int) map[string]string {
	var many strings.Builder
	for i := 0; many.Len() < size; i++ {
		fmt.Fprintf(&many, "s%d unix - - - - - smtp\n", i)
	}
	const service = "s0 unix - - - - - smtp"
	same := func(part string) string { return strings.Repeat(part, size/len(part)) }
	return map[string]string{
		"services":       many.String(),
		"options":        service + "\n" + same("  -o a=b\n"),
		"flags":          service + " " + same("-v "),
		"open braces":    service + " -o " + same("{"),
		"braces":         service + " " + same("{} "),
		"the same again": same(service + "\n"),
	}
}

func editLarge(t *testing.T, text string) {
	t.Helper()
	f, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	last := Service{}
	for _, s := range f.Services() {
		if _, ok := s.Option("none"); ok {
			t.Fatal("an option that is not there")
		}
		if s.Name == last.Name {
			continue
		}
		if changed, err := f.SetChroot(s.Name, s.Type, true); !changed || err != nil {
			t.Fatalf("changed %v, %v", changed, err)
		}
		last = s
	}
	for i := range len(text) / 500 {
		if err := f.AddService(fmt.Sprintf("new%d unix - - n - - smtp", i)); err != nil {
			t.Error(err)
		}
	}
}

// What goes through the whole text for each byte takes longer than a test may.
func TestLargeFiles(t *testing.T) {
	for name, text := range large(1 << 20) {
		t.Run(name, func(t *testing.T) { editLarge(t, text) })
	}
}

// Of four times the text it makes at most about four times the steps that allocate.
func TestWorkIsLinear(t *testing.T) {
	part, whole := large(1<<13), large(1<<15)
	for name := range part {
		count := func(text string) float64 { return testing.AllocsPerRun(1, func() { editLarge(t, text) }) }
		if a, b := count(part[name]), count(whole[name]); b > 4.4*a+100 {
			t.Errorf("%s: %v allocations, of four times the text %v", name, a, b)
		}
	}
}
