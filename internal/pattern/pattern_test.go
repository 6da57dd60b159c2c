package pattern

import "testing"

func TestPattern(t *testing.T) {
	t.Parallel()
	word := New(`^[a-z]+$`)
	if !word().MatchString("abc") || word().MatchString("1") {
		t.Error("it is another expression")
	}
	if first, again := word(), word(); first != again {
		t.Error("it is compiled twice")
	}
	defer func() {
		if recover() == nil {
			t.Error("a wrong expression is used")
		}
	}()
	wrong := New(`(`) // not here
	wrong()
}
