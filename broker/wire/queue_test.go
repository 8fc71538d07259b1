package wire

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

func TestServerKeepsTheOrderOfDelayedProduces(t *testing.T) {
	promises := make(chan *Pending, queueBound+8)
	c := dial(t, startServer(t, func(_ context.Context, r *Request) Reply {
		if r.Key != keyProduce {
			return respondTo(r)
		}
		p := NewPending()
		promises <- p
		return Later(p)
	}, nil))
	const n = 10
	for i := range int32(n) {
		c.request(produceRequest(-1, 100), i)
	}
	c.request(metadataRequest(1), n)
	var all []*Pending
	for range n {
		all = append(all, <-promises) // all are read although none is answered
	}
	for i := n - 1; i >= 0; i-- { // the last is kept first
		all[i].Complete(respondTo(&Request{Key: keyProduce, Version: 9}))
	}
	for i := range int32(n + 1) { // and the metadata after them
		if got, _ := c.receive(); got != i {
			t.Fatalf("response %d, want %d", got, i)
		}
	}
}

func TestOtherRequestsWaitUntilAllProducesAreAnswered(t *testing.T) {
	p := NewPending()
	var handled atomic.Bool
	c := dial(t, startServer(t, func(_ context.Context, r *Request) Reply {
		if r.Key == keyProduce {
			return Later(p)
		}
		handled.Store(true)
		return respondTo(r)
	}, nil))
	c.request(produceRequest(-1, 1), 1)
	c.request(metadataRequest(1), 2)
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, _ := c.Read(make([]byte, 1)); n != 0 || handled.Load() {
		t.Fatalf("%d bytes came, metadata handled: %v, while the produce is pending", n, handled.Load())
	}
	_ = c.SetReadDeadline(time.Now().Add(within))
	p.Complete(respondTo(&Request{Key: keyProduce, Version: 9}))
	for want := int32(1); want <= 2; want++ {
		if got, _ := c.receive(); got != want {
			t.Fatalf("response %d, want %d", got, want)
		}
	}
}

func TestConnectionStopsReadingAtSixtyFourDelayedReplies(t *testing.T) {
	promises := make(chan *Pending, 2*queueBound)
	c := dial(t, startServer(t, func(_ context.Context, r *Request) Reply {
		p := NewPending()
		promises <- p
		return Later(p)
	}, nil))
	for i := range int32(queueBound + 20) {
		c.request(produceRequest(-1, 1), i)
	}
	// One more than the bound is handled: it waits with its reply in hand.
	eventually(t, "the queue is full", func() bool { return len(promises) == queueBound+1 })
	first := <-promises
	first.Complete(respondTo(&Request{Key: keyProduce, Version: 9}))
	c.receive()
	eventually(t, "the next request is read", func() bool { return len(promises) == queueBound+1 })
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range queueBound + 19 {
			(<-promises).Complete(respondTo(&Request{Key: keyProduce, Version: 9}))
		}
	}()
	for range queueBound + 19 {
		c.receive()
	}
	<-done
}

func TestAClientThatIsGoneIsNotOwedRepliesForEver(t *testing.T) {
	pending := make(chan struct{}, 1)
	s := startServer(t, func(context.Context, *Request) Reply {
		pending <- struct{}{}
		return Later(NewPending()) // a promise nobody keeps
	}, func(o *ServerOptions) { o.IdleTimeout = 50 * time.Millisecond })
	c := dial(t, s)
	c.request(produceRequest(-1, 1), 1)
	<-pending
	_ = c.Close()
	eventually(t, "the connection is given up", func() bool { return s.ConnectionCount() == 0 })
}

func TestCloseReplyHangsUpBehindTheRepliesOwed(t *testing.T) {
	p := NewPending()
	var n atomic.Int32
	c := dial(t, startServer(t, func(_ context.Context, r *Request) Reply {
		if n.Add(1) == 1 {
			return Later(p)
		}
		return Close("acks=0 failed")
	}, nil))
	c.request(produceRequest(-1, 1), 1)
	c.request(produceRequest(0, 1), 2)
	eventually(t, "both are handled", func() bool { return n.Load() == 2 })
	p.Complete(respondTo(&Request{Key: keyProduce, Version: 9}))
	if got, _ := c.receive(); got != 1 {
		t.Errorf("response %d, want 1", got)
	}
	c.expectClosed()
}
