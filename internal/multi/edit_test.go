package multi

import (
	"os"
	"strings"
	"testing"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
)

// What somebody else writes into main.cf between our reading and our writing stays, and so does our edit.
func TestEditKeepsWhatOthersWrite(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	calls := 0
	err := f.host().rework(paths.MainCF, func(*maincf.File) ([]maincf.Edit, error) {
		if calls++; calls == 1 {
			f.set(paths.ConfigDir, maincf.Set("by_hand", "1"))
		}
		return []maincf.Edit{maincf.Set("multi_instance_enable", "yes")}, nil
	})
	data, _ := os.ReadFile(f.path(paths.MainCF))
	if err != nil || calls != 2 || !strings.Contains(string(data), "by_hand = 1\n") || !strings.Contains(string(data), "multi_instance_enable = yes\n") {
		t.Errorf("%d calls, error %v:\n%s", calls, err, data)
	}
}
