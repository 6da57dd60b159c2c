package pattern

import "testing"

func TestPattern(t *testing.T) {
	t.Parallel()
	word := New(`^[a-z]+$`)
	if !word.Regexp().MatchString("abc") || word.Regexp().MatchString("1") {
		t.Error("it is another expression")
	}
	if first, again := word.Regexp(), word.Regexp(); first != again {
		t.Error("it is compiled twice")
	}
	defer func() {
		if recover() == nil {
			t.Error("a wrong expression is used")
		}
	}()
	wrong := New(`(`) // not here
	wrong.Regexp()
}
