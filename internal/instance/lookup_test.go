package instance

import (
	"strings"
	"testing"

	"postfix-maint/internal/maincf"
)

// The macros of many texts are looked up as often as allowed in all, and no more: then each is refused that has one.
func TestExpandWithin(t *testing.T) {
	f, err := maincf.Parse([]byte("a = $b\nb = $c\nc = x\n"))
	if err != nil {
		t.Fatal(err)
	}
	left := 7
	for n, want := range []string{"x", "x", "", "", "plain"} {
		text := "$a"
		if want == "plain" {
			text = want
		}
		got, err := ExpandWithin(f, "/etc/postfix", text, &left)
		if (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%d: %q, %v, want %q", n, got, err, want)
		}
		if err != nil && !strings.Contains(err.Error(), "too many macros") {
			t.Errorf("%d: %v", n, err)
		}
	}
}
