package chroot

import (
	"slices"
	"sync"
	"testing"
)

// TestOneThatHangsHoldsUpItself shows that the work on all other instances is done while one does not come to an end, and that what is to be
// said comes in their order.
func TestOneThatHangsHoldsUpItself(t *testing.T) {
	t.Parallel()
	const n = 3 * together
	hangs, all := make(chan struct{}), make(chan []int)
	var others sync.WaitGroup
	others.Add(n - 1)
	go func() {
		var order []int
		(&Shared{}).Together(n, func(i int) {
			if i == 1 {
				<-hangs
			} else {
				others.Done()
			}
		}, func(i int) { order = append(order, i) })
		all <- order
	}()
	others.Wait()
	close(hangs)
	if order := <-all; len(order) != n || !slices.IsSorted(order) {
		t.Errorf("the order is %v", order)
	}
	(&Shared{}).Together(0, func(int) { t.Error("called for none") }, func(int) { t.Error("called for none") })
}

// TestWhoWaitsLetsOthersWork shows that one that waits for its disk keeps nobody from working, and that there is no end to it for want of a turn.
func TestWhoWaitsLetsOthersWork(t *testing.T) {
	t.Parallel()
	s, second := &Shared{}, make(chan struct{})
	s.Together(2, func(i int) {
		if i == 0 {
			s.wait(func() { <-second })
		} else {
			s.wait(func() {})
			close(second)
		}
	}, func(int) {})
	s = &Shared{}
	s.Together(1, func(int) { s.wait(func() {}) }, func(int) {})
}

func TestAPanicGoesToTheCaller(t *testing.T) {
	t.Parallel()
	last := -1
	defer func() {
		if fault := recover(); fault != "fault" || last != 4 {
			t.Errorf("recovered %v after %d", fault, last)
		}
	}()
	(&Shared{}).Together(2*together, func(i int) {
		if i == 5 {
			panic("fault")
		}
	}, func(i int) { last = i })
}
