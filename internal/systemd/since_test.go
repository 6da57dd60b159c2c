package systemd

import (
	"testing"

	"postfix-maint/internal/systemd/systemdtest"
)

func TestSince(t *testing.T) {
	t.Parallel()
	m, _, ctx := open(t, map[string]systemdtest.Unit{
		"a.service": {Active: "active", Since: 5_000_000}, "b.service": {Active: "failed", Since: 6_000_000}, "c.service": {Active: "activating", Since: 7_000_000},
	})
	for _, tc := range []struct {
		unit, state string
		want        int64 // seconds, 0 for never
	}{
		{"a.service", "active", 5}, {"a.service", "reloading", 5}, {"b.service", "failed", 6}, {"c.service", "activating", 7},
		{"a.service", "inactive", 0}, {"d.service", "inactive", 0}, {"a.service", "a state of another time", 0},
	} {
		got, err := m.Since(ctx, tc.unit, tc.state)
		if err != nil || got.IsZero() != (tc.want == 0) || tc.want > 0 && got.Unix() != tc.want {
			t.Errorf("%s is %s since %v, %v", tc.unit, tc.state, got, err)
		}
	}
}
