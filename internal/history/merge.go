package history

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"postfix-maint/internal/maincf"
)

// outcome is what taking a file back comes to.
type outcome struct {
	text []byte   // nil: no file
	kept []string // what somebody edited since, and stays
	lost []string // what it was before is a secret, of which nothing was kept
}

// takeBack decides what becomes of a text: now is what it says, nil for no file, and beside are the other texts of the configuration.
func (f File) takeBack(now []byte, beside [][]byte) outcome {
	before, after := text(f.Before, f.Made), text(f.After, f.Gone)
	same := func(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }
	stays := outcome{text: now, kept: []string{""}} // the whole of it
	masked := now
	if now != nil && f.Masked {
		masked = maincf.Mask(now, append(slices.Clone(beside), before, after)...) // as file() has masked them
	}
	switch {
	case same(masked, before) && !same(before, after):
		return outcome{text: now, lost: f.Hidden} // as it was
	case f.Made || f.Gone:
		if !same(masked, after) {
			return stays
		}
		if f.Masked && before != nil {
			return outcome{text: now, lost: []string{""}}
		}
		return outcome{text: before}
	case now == nil:
		return stays
	case same(masked, after) && !f.Masked:
		return outcome{text: before}
	}
	m := newMerge(f, before, after, now, masked)
	whole := m.result()
	if m.astray(f.Path, whole) {
		whole = m.result()
	}
	return outcome{text: whole, kept: m.kept, lost: append(m.lost, f.Hidden...)}
}

// merge puts the records of before in the place of those of after, in a text of now.
type merge struct {
	before, after, now         []record
	inBefore, inAfter, inNow   map[string][]int
	fromBefore, toNow, already []int // see align: before to after, after to now, before to now
	back                       map[string]bool
	shut                       map[int]bool // gaps between what before and after have in common, of which a line was edited since
	kept, lost                 []string
	masked                     bool
	gap                        []int // of each record of after; -1 for one that before has as well
}

func newMerge(f File, before, after, now, masked []byte) *merge {
	m := &merge{
		before: split(f.Path, before, before), after: split(f.Path, after, after), now: split(f.Path, now, masked),
		back: map[string]bool{}, shut: map[int]bool{}, masked: f.Masked,
	}
	m.inBefore, m.inAfter, m.inNow = byKey(m.before), byKey(m.after), byKey(m.now)
	m.fromBefore, m.toNow, m.already = align(m.before, m.after), align(m.after, m.now), align(m.before, m.now)
	m.findGaps()
	m.decide()
	m.shutGaps()
	return m
}

// findGaps numbers the gaps between what before and after have in common.
func (m *merge) findGaps() {
	m.gap = make([]int, len(m.after))
	for _, a := range m.fromBefore {
		if a >= 0 {
			m.gap[a] = -1
		}
	}
	gap := 0
	for a := range m.gap {
		if m.gap[a] < 0 {
			gap++
		} else {
			m.gap[a] = gap
		}
	}
}

// decide finds which named records go back.
func (m *merge) decide() {
	seen := map[string]bool{}
	for _, r := range slices.Concat(m.after, m.before) {
		key := r.key
		if key == "" || seen[key] {
			continue
		}
		seen[key] = true
		b, a, n := m.inBefore[key], m.inAfter[key], m.inNow[key]
		secret := m.masked && (starred(m.before, b) || starred(m.after, a))
		untouched := sameAll(m.after, m.now, a, n)
		switch {
		case sameAll(m.before, m.after, b, a):
			m.back[key] = untouched && !secret && slices.ContainsFunc(b, func(i int) bool { return m.fromBefore[i] < 0 }) // it was moved
		case sameAll(m.before, m.now, b, n):
		case !untouched:
			m.kept = append(m.kept, key)
		case secret:
			m.lost = append(m.lost, key)
		default:
			m.back[key] = true
		}
	}
}

func starred(all []record, of []int) bool {
	return slices.ContainsFunc(of, func(i int) bool { return strings.Contains(all[i].text, maincf.Stars) })
}

// shutGaps leaves lines without a name alone where one that would have to go was edited since.
func (m *merge) shutGaps() {
	for a, r := range m.after {
		if gap := m.gap[a]; gap >= 0 && r.key == "" && m.toNow[a] < 0 && !m.shut[gap] {
			m.shut[gap] = true
			if bare := strings.TrimSpace(r.text); bare != "" && !strings.HasPrefix(bare, "#") {
				m.kept = append(m.kept, bare)
			}
		}
	}
}

// result is the text.
func (m *merge) result() []byte {
	drop := make([]bool, len(m.now))
	for a, r := range m.after {
		if n := m.place(a); n >= 0 && m.gap[a] >= 0 {
			drop[n] = m.back[r.key] || r.key == "" && !m.shut[m.gap[a]]
		}
	}
	put := m.puts()
	texts := put[-1]
	for n, r := range m.now {
		if !drop[n] {
			texts = append(texts, r.real)
		}
		texts = append(texts, put[n]...)
	}
	for i := range texts[:max(len(texts)-1, 0)] {
		if !strings.HasSuffix(texts[i], "\n") {
			texts[i] += "\n"
		}
	}
	return append([]byte{}, strings.Join(texts, "")...)
}

// astray leaves alone the names that a text would not have as before had them: where several definitions of one were moved about, another
// one than before might come last, which is the one that counts.
func (m *merge) astray(name string, text []byte) (found bool) {
	got := split(name, text, text)
	in := byKey(got)
	for _, key := range slices.Sorted(maps.Keys(m.back)) {
		if m.back[key] && !sameAll(m.before, got, m.inBefore[key], in[key]) {
			m.back[key], found = false, true
			m.kept = append(m.kept, key)
		}
	}
	return found
}

// place is where a record of after is now, -1 for nowhere. One with a name is found by that, wherever it was moved to.
func (m *merge) place(a int) int {
	key := m.after[a].key
	if key == "" {
		return m.toNow[a]
	}
	of, in := m.inAfter[key], m.inNow[key]
	if i := slices.Index(of, a); len(of) == len(in) {
		return in[i]
	}
	return m.toNow[a]
}

// puts are the texts of before that come back, each behind a record of now, or before all of them (-1).
func (m *merge) puts() map[int][]string {
	put := map[int][]string{}
	gap, at := 0, -1
	for b, r := range m.before {
		if a := m.fromBefore[b]; a >= 0 {
			gap++
			if n := m.place(a); n >= 0 {
				at = n
			}
			continue
		}
		switch {
		case r.key != "" && m.back[r.key]:
			if n := m.insteadOf(b, gap); n >= 0 {
				at = n
			}
		case r.key != "" || m.shut[gap] || m.already[b] >= 0 || m.masked && starred(m.before, []int{b}):
			continue
		}
		put[at] = append(put[at], r.real)
	}
	return put
}

// insteadOf is where the record of now is that a named one of before takes the place of, -1 for none. The last of several definitions takes
// that of the last one.
func (m *merge) insteadOf(b, gap int) int {
	of, in := m.inBefore[m.before[b].key], m.inAfter[m.before[b].key]
	if i := len(in) - (len(of) - slices.Index(of, b)); i >= 0 && m.gap[in[i]] == gap {
		return m.place(in[i])
	}
	return -1
}
