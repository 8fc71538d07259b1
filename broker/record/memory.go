package record

import (
	"math/bits"
	"runtime"
	"sync"
)

// Decoding in small pieces needs a window of windowBytes and no permission. Large blocks, large zstd windows and large
// records need more for a moment; all of that together stays below one budget, so that a hundred hostile batches at
// once cost as much memory as a few.
const (
	windowBytes = 64 << 10
	// freeBytes may be taken without asking the budget.
	freeBytes = 128 << 10
	// pooledBytes is the largest buffer kept for the next stream: no more than one may have without asking, since as
	// many are kept as there were streams at once.
	pooledBytes = freeBytes
)

// Large buffers are used again and again: made anew for each batch they would pile up behind the collector, to several
// times the budget. They come in powers of two, and who takes one has the budget's permission for all of it, so that
// there are never more of a size than the budget has room for; the collector takes those that lie idle.
const (
	minLargeBits = 18 // above freeBytes
	maxLargeBits = 22 // 4 MiB, the largest block of lz4; what is larger yet is made and dropped
)

var largeBuffers [maxLargeBits - minLargeBits + 1]sync.Pool // of *[]byte

// buffer makes n bytes for the decoder, in place of the last ones. Beyond freeBytes it may wait for permission.
func (s *stream) buffer(n int) []byte {
	s.dropBuffer()
	if n <= freeBytes {
		return make([]byte, n)
	}
	bit := max(bits.Len(uint(n-1)), minLargeBits)
	if bit > maxLargeBits {
		s.reserve(n)
		s.giant = true
		return make([]byte, n)
	}
	s.reserve(1 << bit)
	if s.large, _ = largeBuffers[bit-minLargeBits].Get().(*[]byte); s.large == nil {
		b := make([]byte, 1<<bit)
		s.large = &b
	}
	return (*s.large)[:n]
}

// dropBuffer gives back what buffer made, while the permission for it still lasts.
func (s *stream) dropBuffer() {
	if s.large != nil {
		largeBuffers[bits.Len(uint(len(*s.large)-1))-minLargeBits].Put(s.large)
		s.large = nil
	}
}

// budget bounds the memory of work under way. One that alone is above the bound has it for itself.
type budget struct {
	max   int
	freed sync.Cond // used went down; its L is mu
	mu    struct {
		sync.Mutex
		used int
	}
}

var (
	decodeBudget = newBudget(max(8, 4*runtime.GOMAXPROCS(0)) << 20) // of large decodings
	// convertBudget is of conversions: their encoders and what they write. A conversion waits for it first and for
	// decodeBudget then, never the other way round.
	convertBudget = newBudget(max(8, 4*runtime.GOMAXPROCS(0)) << 20)
)

// surveying holds a token for each batch being unpacked and checked. That takes a processor and nothing else, so more
// at once than there are processors would only cost their windows and decoders: 20 MiB for a hundred clients.
var surveying = make(chan struct{}, 2*runtime.GOMAXPROCS(0))

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
