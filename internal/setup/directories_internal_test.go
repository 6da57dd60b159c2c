package setup

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/sysroot/sysroottest"
)

// chattr(1) gets a name: it must be one that nobody else than root gives a meaning.
func TestSyncUpdatesHandsOutNoLink(t *testing.T) {
	for name, c := range map[string]struct {
		mode   os.FileMode
		out    bool // whether the other directories get the attribute
		warned bool
	}{
		"root's queue":                  {mode: 0o755, out: true},
		"a queue that others can write": {mode: 0o777, warned: true},
	} {
		t.Run(name, func(t *testing.T) {
			root := sysroottest.New(t, map[string]string{"q/active": "-> /etc/victim", "etc/victim/": ""})
			if err := os.Chmod(filepath.Join(root.Dir(), "q"), c.mode); err != nil {
				t.Fatal(err)
			}
			p := &Plan{fresh: true, effected: answers.Answers{answers.Chattr: {Value: "true", Answered: true}}, d: Deps{Root: root}}
			p.h.release.chattr = true
			if err := p.syncUpdates(context.Background(), "/q"); err != nil {
				t.Fatal(err)
			}
			out := false
			for _, change := range p.Changes {
				out = true
				if strings.Contains(change.What, "active") {
					t.Errorf("chattr gets the link: %q", change.What)
				}
			}
			if out != c.out || (len(p.Warnings) > 0) != c.warned {
				t.Errorf("changes %v, warnings %q", p.Changes, p.Warnings)
			}
		})
	}
}
