package chroot

import (
	"sync"
	"sync/atomic"
	"time"
)

// together is how many instances are worked on at a time. They wait for the disk, most of the time, and a disk takes what comes at once in
// the time of one. What does not wait is done by one of them at a time: side by side it takes half as much of the processors again.
const together = 16

// stall is how long nobody else gets on while one does not wait for what is known to take long. A disk that does not answer, a lock and a
// program may take any time, and hold up only their own instance.
const stall = 50 * time.Millisecond

// turns are the right to work.
type turns struct {
	free  chan struct{}
	given atomic.Int64
}

func (t *turns) take() { <-t.free }

func (t *turns) give() {
	t.given.Add(1)
	t.free <- struct{}{}
}

// watch adds a turn whenever none was given back for too long.
func (t *turns) watch(done <-chan struct{}) {
	ticks := time.NewTicker(stall)
	defer ticks.Stop()
	for more, last := 1, t.given.Load(); more < together; {
		select {
		case <-done:
			return
		case <-ticks.C:
			if now := t.given.Load(); now != last {
				last = now
			} else {
				t.free <- struct{}{}
				more++
			}
		}
	}
}

// Together does something for each of n instances, several at a time and in any order, and then something else for one after the other, as
// soon as it is done. A panic goes to the caller, in its turn.
func (s *Shared) Together(n int, do, then func(int)) {
	if n == 1 {
		do(0)
		then(0)
		return
	}
	t := &turns{free: make(chan struct{}, together+1)}
	t.give()
	s.turns = t
	faults, done := make([]any, n), make([]chan struct{}, n)
	for i := range done {
		done[i] = make(chan struct{})
	}
	one := func(i int) {
		defer close(done[i])
		defer func() { faults[i] = recover() }()
		t.take()
		defer t.give()
		do(i)
	}
	var next atomic.Int64
	var workers sync.WaitGroup
	all := make(chan struct{})
	defer workers.Wait()
	defer close(all)
	workers.Go(func() { t.watch(all) })
	for range min(n, together) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				one(i)
			}
		})
	}
	for i := range n {
		if <-done[i]; faults[i] != nil {
			panic(faults[i])
		}
		then(i)
	}
}

// wait does what takes long, and lets another instance be worked on meanwhile.
func (s *Shared) wait(do func()) {
	if s.turns == nil {
		do()
		return
	}
	s.turns.give()
	defer s.turns.take()
	do()
}
