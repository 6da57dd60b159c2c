package oauth

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAStatusComesBack(t *testing.T) {
	s := Status{Time: time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC), Problem: ProblemLoginAgain, Words: "log in again"}
	text, err := s.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseStatus(text)
	if err != nil || !cmp.Equal(s, back) {
		t.Errorf("%v %v", back, err)
	}
	long, err := Status{Problem: ProblemRefused, Words: strings.Repeat("\x00<", 5000)}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseStatus(long); err != nil {
		t.Errorf("long words cannot be read back: %v", err)
	}
}

func TestDamagedStatusesAreRefused(t *testing.T) {
	for _, text := range []string{"", "{", "[]", `{"format":1,"problem":"all is lost"}`, `{"format":2,"problem":""}`, `{"format":1,"words":"` + strings.Repeat("x", MaxStatus) + `"}`} {
		if s, err := ParseStatus([]byte(text)); err == nil {
			t.Errorf("%.40q: %v", text, s)
		}
	}
	s, err := ParseStatus([]byte(`{"format":1,"problem":"refused","words":"a\u001b[2Jb\nc\u00e4"}`))
	if err != nil || s.Words != "a?[2Jb c?" {
		t.Errorf("%q %v", s.Words, err)
	}
}
