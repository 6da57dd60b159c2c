package setup

import (
	"context"
	"testing"
)

// endless is a runner that tells of a program that could run for ever.
type endless struct{ t *testing.T }

func (e endless) Output(ctx context.Context, name string, _ ...string) ([]byte, error) {
	if _, ok := ctx.Deadline(); !ok {
		e.t.Errorf("%s has no limit", name)
	}
	return nil, nil
}

func (e endless) Run(ctx context.Context, name string, args ...string) error {
	_, err := e.Output(ctx, name, args...)
	return err
}

// A program that waits, for a file of the name service that somebody made a pipe, say, ends with its own limit.
func TestEachProgramHasALimit(t *testing.T) {
	p := &Plan{d: Deps{Run: endless{t}}}
	p.exec("wait", false, "newaliases")
	if err := p.Changes[0].do(context.Background()); err != nil {
		t.Fatal(err)
	}
}
