package smarthost_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/smarthost"
)

// bounded is tools that wants to know for how long it may run.
type bounded struct {
	*tools
	t *testing.T
}

func (b bounded) Output(ctx context.Context, name string, args ...string) ([]byte, error) {
	if end, set := ctx.Deadline(); !set || time.Until(end) > 5*time.Minute {
		b.t.Errorf("%s %s may run for ever", name, args)
	}
	return b.tools.Output(ctx, name, args...)
}

func (b bounded) Run(ctx context.Context, name string, args ...string) error {
	_, err := b.Output(ctx, name, args...)
	return err
}

func TestNoProgramOfPostfixsRunsForEver(t *testing.T) {
	d, f := lay(t, nil)
	d.Run = bounded{f, t}
	set(t, d, options())
	unset(t, d)
	if _, err := smarthost.Show(t.Context(), d, primary); err != nil || len(f.calls) == 0 {
		t.Errorf("%v, calls %q", err, f.calls)
	}
}

// postconf(1) would open it and wait for whoever writes into it.
func TestANamedPipeThatPostconfWouldRead(t *testing.T) {
	for _, name := range []string{"master.cf", "dynamicmaps.cf"} {
		d, f := lay(t, nil)
		file := filepath.Join(d.Root.Dir(), "etc/postfix", name)
		_ = os.Remove(file)
		if err := unix.Mkfifo(file, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := smarthost.Show(t.Context(), d, primary); err == nil || !strings.Contains(err.Error(), name) || len(f.calls) > 0 {
			t.Errorf("%s: %v, calls %q", name, err, f.calls)
		}
	}
}
