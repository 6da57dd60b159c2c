package providers

import "testing"

func TestFind(t *testing.T) {
	for _, want := range All {
		if got, ok := Find(want.Name); !ok || got.Title != want.Title {
			t.Errorf("%s: %v %v", want.Name, got.Title, ok)
		}
	}
	if _, ok := Find("nobody"); ok {
		t.Error("a name of no row is found")
	}
}
