package wire

import (
	"context"
	"math/bits"
	"sync"
)

// Buffers come in classes of powers of two from 4 KiB to 2 MiB. Larger ones are made and left to the collector: one
// 60 MB request kept in a pool would be 60 MB for ever.
const (
	minClassBits = 12
	maxClassBits = 21
	maxPooled    = 1 << maxClassBits
)

var pools [maxClassBits - minClassBits + 1]sync.Pool

// getBuffer returns a buffer of n bytes with unknown content, which goes back with putBuffer.
func getBuffer(n int) *[]byte {
	if n > maxPooled {
		b := make([]byte, n)
		return &b
	}
	class := max(bits.Len(uint(max(n, 1)-1)), minClassBits) - minClassBits
	if b, ok := pools[class].Get().(*[]byte); ok {
		*b = (*b)[:n]
		return b
	}
	b := make([]byte, n, 1<<(class+minClassBits))
	return &b
}

// putBuffer takes a buffer back that nobody points into any more. A buffer that append has moved is welcome as
// well.
func putBuffer(b *[]byte) {
	c := cap(*b)
	if c < 1<<minClassBits || c >= 2*maxPooled {
		return
	}
	class := bits.Len(uint(c)) - 1 - minClassBits // the largest class that fits into c
	pools[min(class, len(pools)-1)].Put(b)
}

// budget counts the bytes of requests in memory against queued.max.request.bytes. As in Kafka a request is let in
// as long as the budget is not used up, so one request may overdraw it and none can be too large for it.
type budget struct {
	limit int64 // in bytes; <= 0 for none
	mu    struct {
		sync.Mutex
		used  int64
		freed chan struct{} // closed by the next release; nil while nobody waits
	}
}

// acquire takes n bytes, waiting until the budget has some left. It fails only when ctx ends.
func (b *budget) acquire(ctx context.Context, n int) error {
	if b.limit <= 0 {
		return nil
	}
	for {
		b.mu.Lock()
		if b.mu.used < b.limit {
			b.mu.used += int64(n)
			b.mu.Unlock()
			return nil
		}
		if b.mu.freed == nil {
			b.mu.freed = make(chan struct{})
		}
		freed := b.mu.freed
		b.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// release gives n bytes back.
func (b *budget) release(n int) {
	if b.limit <= 0 {
		return
	}
	b.mu.Lock()
	b.mu.used -= int64(n)
	if b.mu.freed != nil && b.mu.used < b.limit {
		close(b.mu.freed)
		b.mu.freed = nil
	}
	b.mu.Unlock()
}
