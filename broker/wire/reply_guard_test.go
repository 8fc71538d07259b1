package wire

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// barrier is a Guard that lets replies pass that began under the present token.
type barrier struct {
	token atomic.Uint64
	asked atomic.Int64
}

func (b *barrier) Pass(token uint64, _ <-chan struct{}) bool {
	b.asked.Add(1)
	return token == b.token.Load()
}

func TestAGuardedReplyLeavesOnlyPastItsGuard(t *testing.T) {
	var b barrier
	s := startServer(t, func(_ context.Context, r *Request) Reply { return respondTo(r).Guarded(&b, 7) }, nil)
	b.token.Store(7)
	c := dial(t, s)
	c.request(metadataRequest(1), 1)
	if got, _ := c.receive(); got != 1 || b.asked.Load() != 1 {
		t.Fatalf("response %d after %d questions", got, b.asked.Load())
	}
	b.token.Store(8)
	c.request(metadataRequest(1), 2)
	c.expectClosed()
}

// What waits behind a reply of the queue is guarded when it leaves, not when it was made.
func TestAGuardIsAskedWhenTheReplyLeavesTheQueue(t *testing.T) {
	var b barrier
	first := NewPending()
	s := startServer(t, func(_ context.Context, r *Request) Reply {
		var req kmsg.ProduceRequest
		if err := r.Decode(&req); err != nil {
			return Close(err.Error())
		}
		if req.Acks == -1 {
			return Later(first)
		}
		return Respond(req.ResponseKind()).Guarded(&b, 0)
	}, nil)
	c := dial(t, s)
	c.request(produceRequest(-1, 10), 1)
	c.request(produceRequest(1, 10), 2)
	b.token.Store(1)
	first.Complete(Respond(produceRequest(-1, 10).ResponseKind()))
	for { // the first may leave by a write of its own, and is then received
		var head [4]byte
		if _, err := c.Read(head[:]); err != nil {
			break
		}
	}
	if b.asked.Load() == 0 {
		t.Error("the guard was not asked")
	}
}
