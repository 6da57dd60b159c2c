package hosts

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// slots counts the places for running hosts. Who needs most of them is served first, of several the first to come: a scenario with
// many hosts is not overtaken for ever by those with one, and at the end of a run short ones fill the places.
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
	at := slices.IndexFunc(s.queue, func(other *waiter) bool { return other.n < n })
	if at < 0 {
		at = len(s.queue)
	}
	s.queue = slices.Insert(s.queue, at, w)
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
			s.queue = slices.Delete(s.queue, i, i+1)
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
