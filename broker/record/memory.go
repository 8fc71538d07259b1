package record

import (
	"runtime"
	"sync"
)

// Decoding in small pieces needs a window of windowBytes and no permission. Large blocks, large zstd windows and large
// records need more for a moment; all of that together stays below one budget, so that a hundred hostile batches at
// once cost as much memory as a few.
const (
	windowBytes = 64 << 10
	// freeBytes may be taken without asking the budget.
	freeBytes = 256 << 10
	// pooledBytes is the largest buffer kept for the next stream: no more than one may have without asking, since as
	// many are kept as there were streams at once.
	pooledBytes = freeBytes
)

// budget bounds the memory of large decodings. One that alone is above the bound has it for itself.
type budget struct {
	max   int
	freed sync.Cond // used went down; its L is mu
	mu    struct {
		sync.Mutex
		used int
	}
}

var decodeBudget = newBudget(max(16, 4*runtime.GOMAXPROCS(0)) << 20)

func newBudget(maxBytes int) *budget {
	b := &budget{max: maxBytes}
	b.freed.L = &b.mu
	return b
}

// acquire takes n bytes, and waits for others to release theirs while they do not fit. Who holds some only computes,
// and must release them before it asks for more: nobody waits for a waiter.
func (b *budget) acquire(n int) {
	b.mu.Lock()
	for b.mu.used > 0 && b.mu.used+n > b.max {
		b.freed.Wait()
	}
	b.mu.used += n
	b.mu.Unlock()
}

func (b *budget) release(n int) {
	b.mu.Lock()
	b.mu.used -= n
	b.mu.Unlock()
	b.freed.Broadcast()
}
