// Package merge (ring: format) decides between the three voices about a setting: what we applied last time (base), what
// the running configuration says (live), and what the debconf database holds (answer). Its one rule: a parameter is
// written only if a person or a preseed file asks for a value that differs from the running configuration
// (Debian policy 10.7.3; bugs #734401, #1035350).
package merge

// Case is one setting. Base and Live are nil where nothing was applied by us yet, and where there is no configuration yet.
type Case struct {
	Base, Live *string
	Answer     string
	Answered   bool // shown to a person or preseeded, at any time
	Changed    bool // asked for since the last application, as config found
	// Same compares two values by their meaning; nil compares them as text.
	Same func(a, b string) bool
}

func (c Case) same(a, b string) bool {
	if c.Same != nil {
		return c.Same(a, b)
	}
	return a == b
}

// Wish tells whether somebody asks for a value that is not in force: the person at this terminal, or a preseed since the
// last application. Without a base an old answer proves nothing, so only Changed counts.
func (c Case) Wish() bool {
	switch {
	case c.Live == nil:
		return c.Answered
	case c.same(c.Answer, *c.Live):
		return false
	case c.Changed:
		return true
	}
	return c.Base != nil && c.Answered && !c.same(c.Answer, *c.Base)
}

// Shown is what config shows and keeps in the database before it asks: a wish, else what is in force, else guess.
func (c Case) Shown(guess string) string {
	switch {
	case c.Wish():
		return c.Answer
	case c.Live != nil:
		return *c.Live
	}
	return guess
}

// Write is what postinst writes: the answer where there is no configuration yet or a wish, else nothing.
func (c Case) Write() (value string, write bool) {
	return c.Answer, c.Live == nil || c.Wish()
}
