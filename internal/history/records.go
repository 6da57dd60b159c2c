package history

import (
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/maincf/lines"
)

// record is what is taken back as one: a parameter, a service, an alias, or any other line.
type record struct {
	key  string // "" for a line that has no name
	text string // without secrets
	real string
}

// split cuts a text into records. masked is the same text without its secrets, with as many lines.
func split(name string, real, masked []byte) (all []record) {
	physical := slices.DeleteFunc(strings.SplitAfter(string(masked), "\n"), func(s string) bool { return s == "" })
	actual := slices.DeleteFunc(strings.SplitAfter(string(real), "\n"), func(s string) bool { return s == "" })
	if len(actual) != len(physical) {
		actual = physical
	}
	add := func(key string, from, to int) {
		all = append(all, record{key, strings.Join(physical[from:to], ""), strings.Join(actual[from:to], "")})
	}
	keyOf, done := keys(name), 0
	for _, rows := range lines.Logical(physical) {
		for ; done < rows[0]; done++ {
			add("", done, done+1)
		}
		end := rows[len(rows)-1] + 1 // a table's line goes on as well: what is put between would become part of it
		add(keyOf(lines.Join(physical, rows)), done, end)
		done = end
	}
	for ; done < len(physical); done++ {
		add("", done, done+1)
	}
	return all
}

// keys tells how the records of a file are called, "" where they have no names.
func keys(name string) func(logical string) string {
	before := func(sep string) func(string) string {
		return func(logical string) string {
			key, _, _ := strings.Cut(logical, sep)
			return strings.TrimSpace(key)
		}
	}
	switch base := path.Base(name); {
	case base == "main.cf":
		return before("=")
	case base == "aliases":
		return before(":")
	case base == "master.cf":
		return func(logical string) string { return strings.Join(first(strings.Fields(logical), 2), "/") }
	case base == "dynamicmaps.cf", path.Base(path.Dir(name)) == "dynamicmaps.cf.d":
		return func(logical string) string { return strings.Join(first(strings.Fields(logical), 1), "") }
	}
	return func(string) string { return "" }
}

func first(words []string, n int) []string { return words[:min(n, len(words))] }

// same compares two records but for white space.
func (r record) same(o record) bool {
	return r.key == o.key && (r.text == o.text || words(r.text) == words(o.text))
}

// words is a text without what white space makes no difference.
func words(text string) string {
	if name, value, found := strings.Cut(text, "="); found && !strings.ContainsAny(strings.TrimSpace(name), " \t\n") {
		text = name + " = " + value
	}
	return strings.Join(strings.Fields(text), " ")
}

func sameAll(a, b []record, of, in []int) bool {
	return slices.EqualFunc(of, in, func(x, y int) bool { return a[x].same(b[y]) })
}

// byKey has the places of the records of each name.
func byKey(all []record) map[string][]int {
	places := map[string][]int{}
	for i, r := range all {
		if r.key != "" {
			places[r.key] = append(places[r.key], i)
		}
	}
	return places
}

// align gives for each record of a the one of b that stands for it, -1 for none. Both go up. What stands once in both is the skeleton, the
// rest joins it from both sides: that takes no quadratic time.
func align(a, b []record) []int {
	to := make([]int, len(a))
	for i := range to {
		to[i] = -1
	}
	same := func(i, j int) bool {
		return strings.TrimRight(a[i].text, "\r\n") == strings.TrimRight(b[j].text, "\r\n")
	}
	i, j := 0, 0
	for _, m := range append(skeleton(a, b), [2]int{len(a), len(b)}) {
		for i < m[0] && j < m[1] && same(i, j) {
			to[i] = j
			i, j = i+1, j+1
		}
		x, y := m[0], m[1]
		for x > i && y > j && same(x-1, y-1) {
			x, y = x-1, y-1
			to[x] = y
		}
		if i, j = m[0], m[1]; i < len(a) {
			to[i] = j
			i, j = i+1, j+1
		}
	}
	return to
}

// skeleton is the longest row of records that both have once, in the same order.
func skeleton(a, b []record) (pairs [][2]int) {
	inA, inB := once(a), once(b)
	var at []int // of b, in the order of a
	var from []int
	for i, r := range a {
		text := strings.TrimRight(r.text, "\r\n")
		if j, found := inB[text]; found && j >= 0 && inA[text] >= 0 {
			from, at = append(from, i), append(at, j)
		}
	}
	var tails []int // the ends of the best rows by their lengths: places in at
	before := make([]int, len(at))
	for k, j := range at {
		n, _ := slices.BinarySearchFunc(tails, j, func(tail, j int) int { return at[tail] - j })
		before[k] = -1
		if n > 0 {
			before[k] = tails[n-1]
		}
		if n == len(tails) {
			tails = append(tails, n)
		}
		tails[n] = k
	}
	if len(tails) == 0 {
		return nil
	}
	for k := tails[len(tails)-1]; k >= 0; k = before[k] {
		pairs = append(pairs, [2]int{from[k], at[k]})
	}
	slices.Reverse(pairs)
	return pairs
}

// once has the place of each text that stands there once, -1 for the others.
func once(all []record) map[string]int {
	places := map[string]int{}
	for i, r := range all {
		text := strings.TrimRight(r.text, "\r\n")
		if _, again := places[text]; again {
			i = -1
		}
		places[text] = i
	}
	return places
}

// hiddenChanges names the records that changed in nothing but a secret.
func hiddenChanges(name string, f File, before, after []byte) (hidden []string) {
	if !f.Masked || f.Made || f.Gone {
		return nil
	}
	old, new := split(name, before, f.Before), split(name, after, f.After)
	at := byKey(new)
	for key, of := range byKey(old) {
		in := at[key]
		if sameAll(old, new, of, in) && !slices.EqualFunc(of, in, func(x, y int) bool { return old[x].real == new[y].real || old[x].text != new[y].text }) {
			hidden = append(hidden, key)
		}
	}
	slices.Sort(hidden)
	return hidden
}
