// Package runtest (ring: port, for tests) stands in for run.Runner.
package runtest

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

// Recorder notes every call and answers from Replies, keyed by the whole command line; a call without a reply fails.
type Recorder struct {
	Replies map[string]Reply

	mu    sync.Mutex
	calls []string
}

// Reply is what one command line gives.
type Reply struct {
	Stdout string
	Err    error
}

// Output plays the reply back.
func (r *Recorder) Output(_ context.Context, name string, args ...string) ([]byte, error) {
	line := strings.Join(append([]string{name}, args...), " ")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, line)
	reply, ok := r.Replies[line]
	if !ok {
		return nil, fmt.Errorf("unexpected call %q", line)
	}
	return []byte(reply.Stdout), reply.Err
}

// Run is Output without its output.
func (r *Recorder) Run(ctx context.Context, name string, args ...string) error {
	_, err := r.Output(ctx, name, args...)
	return err
}

// Calls lists the command lines so far.
func (r *Recorder) Calls() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.calls...)
}
