package hosts

import (
	"context"
	"fmt"
	"sync"
)

// slots counts the places for running hosts; the first to come is served first, so that a scenario with many hosts is not
// overtaken for ever by those with one.
type slots struct {
	mu    sync.Mutex
	free  int
	queue []*waiter
}

type waiter struct {
	n     int
	ready chan struct{}
}

func newSlots(n int) *slots { return &slots{free: n} }

func (s *slots) take(ctx context.Context, n int) (func(), error) {
	s.mu.Lock()
	w := &waiter{n: n, ready: make(chan struct{})}
	s.queue = append(s.queue, w)
	s.serve()
	s.mu.Unlock()
	give := sync.OnceFunc(func() { s.give(n) })
	select {
	case <-w.ready:
		return give, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.queue {
		if other == w {
			s.queue = append(s.queue[:i], s.queue[i+1:]...)
			return nil, fmt.Errorf("cannot get a place for %d hosts: %w", n, ctx.Err())
		}
	}
	return give, nil // served in the meantime
}

func (s *slots) give(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free += n
	s.serve()
}

// serve lets in those at the head of the queue that fit; the caller holds the lock.
func (s *slots) serve() {
	for len(s.queue) > 0 && s.queue[0].n <= s.free {
		s.free -= s.queue[0].n
		close(s.queue[0].ready)
		s.queue = s.queue[1:]
	}
}
