package wire

import (
	"context"
	"errors"
	"testing"
)

func TestLargeBuffersAreNotKept(t *testing.T) {
	for range 100 {
		large := make([]byte, 8*maxPooled)
		putBuffer(&large)
		if got := cap(*getBuffer(maxPooled)); got >= 2*maxPooled {
			t.Fatalf("a buffer of %d bytes was kept", got)
		}
	}
}

func TestBuffersHoldWhatIsAskedOfThem(t *testing.T) {
	for range 10 { // again with what went back
		for _, n := range []int{0, 1, 4096, 4097, 5000, 8192, maxPooled - 1, maxPooled, maxPooled + 1} {
			b := getBuffer(n)
			if len(*b) != n {
				t.Fatalf("%d bytes, want %d", len(*b), n)
			}
			moved := append(*b, 1, 2, 3)
			*b = moved
			putBuffer(b)
		}
	}
}

// As in Kafka a request may overdraw the budget, but none comes in when nothing is left.
func TestABudgetThatIsUsedUpLetsNobodyIn(t *testing.T) {
	b := budget{limit: 1000}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, step := range []struct {
		take, give int
		in         bool
	}{{999, 0, true}, {1, 0, true}, {1, 0, false}, {5000, 1, true}, {1, 5000, true}, {1, 0, false}} {
		b.release(step.give)
		if err := b.acquire(gone, step.take); (err == nil) != step.in || err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%+v: %v with %d used", step, err, b.mu.used)
		}
	}
	waiting := make(chan error, 1)
	go func() { waiting <- b.acquire(t.Context(), 1) }()
	b.release(500)
	if err := <-waiting; err != nil {
		t.Error(err)
	}
}

// Bytes of a frame that never came whole are given back.
func TestAFrameCutShortGivesItsBytesBack(t *testing.T) {
	s := startServer(t, echo, func(o *ServerOptions) { o.MaxQueuedBytes = 1000 })
	for range 5 {
		c := dial(t, s)
		c.send([]byte{0, 0, 4, 0, 0, 3, 0, 1})
		_ = c.Close()
	}
	eventually(t, "all connections end", func() bool { return s.ConnectionCount() == 0 })
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	if s.memory.mu.used != 0 {
		t.Errorf("%d bytes are still counted", s.memory.mu.used)
	}
}
