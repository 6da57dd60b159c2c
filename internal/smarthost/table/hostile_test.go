package table_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"postfix-maint/internal/smarthost/table"
)

// large are texts of some size, each of another kind.
func large(size int) map[string]string {
	var many strings.Builder
	for i := 0; many.Len() < size; i++ {
		fmt.Fprintf(&many, "k%d v:x\n", i)
	}
	same := func(part string) string { return strings.Repeat(part, size/len(part)) }
	return map[string]string{
		"entries": many.String(), "one key": same("k v:x\n"), "a long key": same(`\"`), "a long line": "k v\n" + same(" x\n"), "comments": same("# x\n"),
	}
}

// putInLarge puts as many entries into a text as it may have.
func putInLarge(t *testing.T, text string) {
	t.Helper()
	var entries []table.Entry
	for i := range len(text) / 50 {
		entries = append(entries, table.Entry{Key: fmt.Sprintf("k%d", 2*i), Value: "w:y"})
	}
	put, err := table.Put([]byte(text), entries, true)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := table.Strip(put); err != nil || len(back) < len(text) {
		t.Errorf("%d bytes after Strip, %v", len(back), err)
	}
	if !table.Same(put, put, entries) {
		t.Error("a table is not the same as itself")
	}
	_ = table.Check(put)
	table.Mask(put)
}

// What goes through the whole text for each entry or byte takes longer than a test may.
func TestLargeTables(t *testing.T) {
	for name, text := range large(1 << 18) {
		t.Run(name, func(t *testing.T) { putInLarge(t, text) })
	}
}

// Of four times the text it makes at most about four times the steps that allocate.
func TestWorkIsLinear(t *testing.T) {
	part, whole := large(1<<13), large(1<<15)
	for name := range part {
		count := func(text string) float64 { return testing.AllocsPerRun(1, func() { putInLarge(t, text) }) }
		if a, b := count(part[name]), count(whole[name]); b > 4.4*a+100 {
			t.Errorf("%s: %v allocations, of four times the text %v", name, a, b)
		}
	}
}

// Whatever a table holds: Put's entries are found, Strip gives the administrator's lines back, and no mask shows a secret.
func FuzzTable(f *testing.F) {
	f.Add([]byte("a b:c\n# x\n  y\nb d:e"), "a", "u:geheim")
	f.Add([]byte("\"a b\" c"), "[h]:587", "u:p")
	f.Fuzz(func(t *testing.T, text []byte, key, value string) {
		_ = table.Check(text)
		table.Mask(text)
		table.Lookup(text, key)
		if table.CheckKey(key) != nil || strings.TrimSpace(value) != value || value == "" || strings.ContainsAny(value, "\n\r\v\f\x00") {
			return
		}
		before, err := table.Strip(text)
		if err != nil || table.Check(before) != nil {
			return
		}
		entries := []table.Entry{{Key: key, Value: value}}
		put, err := table.Put(before, entries, true)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := table.Lookup(put, key); !ok || got != value {
			t.Errorf("%q is %q, %v after Put of %q into %q", key, got, ok, value, before)
		}
		back, err := table.Strip(put)
		if err != nil {
			t.Fatalf("Strip of %q: %v", put, err)
		}
		if again, err := table.Put(back, entries, true); err != nil || !bytes.Equal(again, put) && !table.Same(again, put, entries) {
			t.Errorf("%q put again is %q, %v; was %q", back, again, err, put)
		}
	})
}
