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

// waiters are the fetches standing at one partition.
type waiters struct {
	n  atomic.Int32 // len(mu.set): an append without an audience takes no lock
	mu struct {
		sync.Mutex
		set map[*waiter]struct{}
	}
}

func (ws *waiters) add(w *waiter) {
	ws.mu.Lock()
	if ws.mu.set == nil {
		ws.mu.set = make(map[*waiter]struct{})
	}
	ws.mu.set[w] = struct{}{}
	ws.n.Store(int32(len(ws.mu.set)))
	ws.mu.Unlock()
}

func (ws *waiters) remove(w *waiter) {
	ws.mu.Lock()
	delete(ws.mu.set, w)
	ws.n.Store(int32(len(ws.mu.set)))
	if len(ws.mu.set) == 0 {
		ws.mu.set = nil
	}
	ws.mu.Unlock()
}

// wake tells every waiter of n more bytes; those who then have enough run.
func (ws *waiters) wake(n int) {
	if ws.n.Load() == 0 {
		return
	}
	ws.mu.Lock()
	for w := range ws.mu.set {
		if w.missing.Add(-int64(n)) <= 0 {
			select {
			case w.C <- struct{}{}:
			default:
			}
		}
	}
	ws.mu.Unlock()
}
