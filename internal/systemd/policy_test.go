package systemd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/run"
)

// TestAllowed runs real policy programs. Each gets name and action as $1 and $2, as invoke-rc.d(8) gives them.
func TestAllowed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy string // what the shell script does
		want   bool
		err    string
	}{
		"0 allows":                            {"exit 0", true, ""},
		"104 allows":                          {"exit 104", true, ""},
		"1 is undefined and allows":           {"exit 1", true, ""},
		"105 is undefined and allows":         {"exit 105", true, ""},
		"100 knows no such service":           {"exit 100", true, ""},
		"101 forbids":                         {"exit 101", false, ""},
		"106 offers another action: not it":   {"echo reload; exit 106", false, ""},
		"102 is trouble":                      {"exit 102", false, "status 102"},
		"103 is trouble":                      {"exit 103", false, "status 103"},
		"a status without a meaning":          {"exit 42", false, "status 42"},
		"what it says is not its status":      {"echo 101; exit 0", true, ""},
		"an unfinished line is no status":     {"printf 101; exit 104", true, ""},
		"forbidden by the init script's name": {`test "$1 $2" != "postfix restart" || exit 101`, false, ""},
		"forbidden by the unit's name":        {`test "$1 $2" != "postfix.service restart" || exit 101`, false, ""},
		"forbidden for another action":        {`test "$2" != start || exit 101`, true, ""},
		"no option stands before the name":    {`case $1 in -*) exit 103;; esac`, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			helper := filepath.Join(t.TempDir(), "policy-rc.d")
			if err := os.WriteFile(helper, fmt.Appendf(nil, "#!/bin/sh\n%s\n", c.policy), 0o755); err != nil {
				t.Fatal(err)
			}
			got, err := allowed(context.Background(), run.Runner{}, helper, "postfix", "restart")
			if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got %v, %v; want %v, %q", got, err, c.want, c.err)
			}
		})
	}
}

func TestNothingIsAllowedInAnotherTree(t *testing.T) {
	t.Parallel()
	// No runner: asking would be a panic.
	if ok, err := Allowed(context.Background(), nil, t.TempDir(), "postfix", "start"); ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
}

func TestAllowedAsksForBothNames(t *testing.T) {
	t.Parallel()
	var asked []string
	r := runnerFunc(func(_ string, args ...string) ([]byte, error) {
		asked = append(asked, strings.Join(args[2:], " "))
		return []byte("0\n"), nil
	})
	if _, err := allowed(context.Background(), r, "/p", "postfix.service", "stop"); err != nil {
		t.Error(err)
	}
	if want := []string{"/p postfix.service stop", "/p postfix stop"}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}

type runnerFunc func(name string, args ...string) ([]byte, error)

func (f runnerFunc) Output(_ context.Context, name string, args ...string) ([]byte, error) {
	return f(name, args...)
}
