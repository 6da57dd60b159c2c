package merge_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postfix-maint/internal/merge"
)

func p(s string) *string { return &s }

func TestTable(t *testing.T) {
	for name, c := range map[string]struct {
		merge.Case
		guess, shown string
		writes       bool
	}{
		"no configuration, preseeded":                         {merge.Case{Answer: "a", Answered: true}, "g", "a", true},
		"no configuration, nobody answered":                   {merge.Case{Answer: "old default"}, "g", "g", true},
		"hand edit, answer as applied":                        {merge.Case{Base: p("a"), Live: p("hand"), Answer: "a", Answered: true}, "g", "hand", false},
		"adoption: an old answer proves nothing":              {merge.Case{Live: p("hand"), Answer: "old", Answered: true}, "g", "hand", false},
		"adoption: the person changed it just now":            {merge.Case{Live: p("hand"), Answer: "new", Answered: true, Changed: true}, "g", "new", true},
		"preseeded since the last application":                {merge.Case{Base: p("a"), Live: p("a"), Answer: "wish", Answered: true}, "g", "wish", true},
		"preseeded since, over a hand edit":                   {merge.Case{Base: p("a"), Live: p("hand"), Answer: "wish", Answered: true}, "g", "wish", true},
		"preseeded what the hand edit says already":           {merge.Case{Base: p("a"), Live: p("hand"), Answer: "hand", Answered: true}, "g", "hand", false},
		"a default that changed in the database is no wish":   {merge.Case{Base: p("a"), Live: p("a"), Answer: "new default"}, "g", "a", false},
		"typed back to what was applied before the hand edit": {merge.Case{Base: p("a"), Live: p("hand"), Answer: "a", Answered: true, Changed: true}, "g", "a", true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.Shown(c.guess); got != c.shown {
				t.Errorf("Shown = %q, want %q", got, c.shown)
			}
			if value, write := c.Write(); write != c.writes || value != c.Answer {
				t.Errorf("Write = %q, %v, want %v", value, write, c.writes)
			}
		})
	}
}

func TestSameIsByMeaning(t *testing.T) {
	c := merge.Case{Base: p("a"), Live: p("a,b"), Answer: "a, b", Answered: true, Changed: true,
		Same: func(x, y string) bool { return strings.ReplaceAll(x, " ", "") == strings.ReplaceAll(y, " ", "") }}
	if c.Wish() {
		t.Error("other spacing counts as a wish")
	}
}

// Confirming what is shown never writes; applying a wish leaves nothing to wish for; nothing that nobody asked for is written.
func TestProperties(t *testing.T) {
	value := rapid.SampledFrom([]string{"", "a", "b", "c"})
	rapid.Check(t, func(t *rapid.T) {
		live := value.Draw(t, "live")
		c := merge.Case{Live: &live, Answer: value.Draw(t, "answer"), Answered: rapid.Bool().Draw(t, "answered"), Changed: rapid.Bool().Draw(t, "changed")}
		if rapid.Bool().Draw(t, "has base") {
			base := value.Draw(t, "base")
			c.Base = &base
		}
		if !c.Changed && !(c.Answered && c.Base != nil && *c.Base != c.Answer) && c.Wish() {
			t.Fatal("writes what nobody asked for")
		}
		confirmed := c
		confirmed.Answer, confirmed.Answered, confirmed.Changed = c.Shown("guess"), true, c.Wish()
		if confirmed.Answer == live && confirmed.Wish() {
			t.Fatal("confirming the running value writes")
		}
		if v, write := confirmed.Write(); write {
			applied := merge.Case{Base: &v, Live: &v, Answer: v, Answered: true, Changed: true}
			if applied.Wish() {
				t.Fatal("a second run writes again")
			}
		}
	})
}
