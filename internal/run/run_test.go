package run_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"postfix-maint/internal/run"
)

func TestOutput(t *testing.T) {
	t.Setenv("DEBIAN_HAS_FRONTEND", "1")
	var r run.Runner
	ctx := context.Background()
	out, err := r.Output(ctx, "sh", "-c", `echo "frontend=$DEBIAN_HAS_FRONTEND"; cat`)
	if err != nil {
		t.Fatal(err)
	}
	if string(out) != "frontend=\n" { // and cat found its input at the end
		t.Errorf("the child saw %q", out)
	}
	_, err = r.Output(ctx, "sh", "-c", "echo gone wrong >&2; exit 30")
	var exit *run.ExitError
	if !errors.As(err, &exit) || exit.Code != 30 || exit.Stderr != "gone wrong" {
		t.Errorf("error %v", err)
	}
	if err := r.Run(ctx, "/no/such/program"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing program gives %v", err)
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := r.Run(short, "sleep", "60"); err == nil {
		t.Error("the deadline is not obeyed")
	}
}
