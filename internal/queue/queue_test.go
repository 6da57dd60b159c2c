package queue

import "testing"

// Each queue has a counter of its own, and all count.
func TestCounts(t *testing.T) {
	var c Counts
	for n, dir := range Dirs {
		*c.Of(dir) += 1 << n
	}
	if want := (Counts{Maildrop: 1, Incoming: 2, Active: 4, Deferred: 8, Hold: 16, Corrupt: 32}); c != want || c.Total() != 63 {
		t.Errorf("%+v, %d in all", c, c.Total())
	}
	if c.Of("defer") != nil {
		t.Error("logs about messages are counted as messages")
	}
}
