package chroot

import (
	"sync"
	"sync/atomic"
)

// together is how many instances are worked on at a time. They wait for the disk, most of the time, and a disk takes what comes at once in
// the time of one; one whose disk is slow or does not answer holds up nobody but itself.
const together = 16

// Together does something for each of n instances, several at a time and in any order, and then something else for one after the other, as
// soon as it is done. A panic goes to the caller, in its turn.
func Together(n int, do, then func(int)) {
	faults, done := make([]any, n), make([]chan struct{}, n)
	for i := range done {
		done[i] = make(chan struct{})
	}
	one := func(i int) {
		defer close(done[i])
		defer func() { faults[i] = recover() }()
		do(i)
	}
	var next atomic.Int64
	var workers sync.WaitGroup
	defer workers.Wait()
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
