package replica

import (
	"math"
	"sync"
	"sync/atomic"
)

// everything wakes a waiter whatever it still misses.
const everything = math.MaxInt32

// waiter is a fetch that had too few bytes. One waiter may stand at many partitions; wake never blocks. Its goroutine
// calls look, looks, calls found, and waits for C.
type waiter struct {
	C       chan struct{} // capacity 1: a wake-up is remembered, two are one
	missing atomic.Int64  // bytes until the fetch is worth a second look
}

func newWaiter() *waiter { return &waiter{C: make(chan struct{}, 1)} }

// look begins a look at the partitions: from here on what is appended counts towards minBytes.
func (w *waiter) look(minBytes int) { w.missing.Store(int64(minBytes)) }

// found ends the look, which found total bytes. It tells whether so much came meanwhile that another look is worth
// it. What came during the look may be in total as well and is then counted twice: that wakes too early, never too late.
func (w *waiter) found(total int) (again bool) { return w.missing.Add(-int64(total)) <= 0 }

// stand is a waiter's place at one partition. It is linked into the partition's row, so that a fetch of 1,000
// partitions waits at all of them without memory from any. It must not move while it stands.
type stand struct {
	w          *waiter
	next, prev *stand
}

// waiters are the fetches standing at one partition.
type waiters struct {
	n  atomic.Int32 // stands in the row: an append without an audience takes no lock
	mu struct {
		sync.Mutex
		first *stand
	}
}

func (ws *waiters) add(s *stand) {
	ws.mu.Lock()
	s.next, s.prev = ws.mu.first, nil
	if s.next != nil {
		s.next.prev = s
	}
	ws.mu.first = s
	ws.mu.Unlock()
	ws.n.Add(1)
}

func (ws *waiters) remove(s *stand) {
	ws.mu.Lock()
	if s.prev == nil {
		ws.mu.first = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	ws.mu.Unlock()
	ws.n.Add(-1)
}

// wake tells every waiter of n more bytes; those who then have enough run.
func (ws *waiters) wake(n int) {
	if ws.n.Load() == 0 {
		return
	}
	ws.mu.Lock()
	for s := ws.mu.first; s != nil; s = s.next {
		if s.w.missing.Add(-int64(n)) <= 0 {
			select {
			case s.w.C <- struct{}{}:
			default:
			}
		}
	}
	ws.mu.Unlock()
}
