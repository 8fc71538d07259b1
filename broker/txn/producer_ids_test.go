package txn

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/kerr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestManyAskersNeverGetTheSameID(t *testing.T) {
	var blocks atomic.Int64
	p := NewProducerIDs(func(context.Context) (Block, error) {
		n := blocks.Add(1)
		if n%3 == 0 {
			return Block{}, errors.New("the controller is moving")
		}
		return Block{First: n * 10, Size: 10}, nil
	}, zap.NewNop())
	p.Start()
	defer p.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var seen sync.Map
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				id, err := p.Next(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				if _, twice := seen.LoadOrStore(id, true); twice {
					t.Errorf("id %d came twice", id)
				}
			}
		})
	}
	wg.Wait()
}

func TestWithoutABlockTheAnswerIsRetriable(t *testing.T) {
	p := NewProducerIDs(func(ctx context.Context) (Block, error) { return Block{}, ctx.Err() }, zap.NewNop())
	p.Start()
	defer p.Stop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Next(ctx); !errors.Is(err, kerr.CoordinatorLoadInProgress) {
		t.Fatalf("got %v, want COORDINATOR_LOAD_IN_PROGRESS", err)
	}
}

func TestAPreparedBlockIsFetchedBeforeAnybodyAsks(t *testing.T) {
	fetched := make(chan struct{})
	p := NewProducerIDs(func(context.Context) (Block, error) {
		close(fetched) // a second block would panic
		return Block{First: 7, Size: 1000}, nil
	}, zap.NewNop())
	p.Prepare()
	p.Start()
	defer p.Stop()
	select {
	case <-fetched:
	case <-time.After(10 * time.Second):
		t.Fatal("no block was fetched")
	}
	if id, err := p.Next(t.Context()); id != 7 || err != nil {
		t.Errorf("the first id is %d, %v", id, err)
	}
}

func TestTheNextBlockIsFetchedWhileTheLastTenthIsInUse(t *testing.T) {
	var blocks atomic.Int64
	p := NewProducerIDs(func(context.Context) (Block, error) {
		return Block{First: blocks.Add(1) * 100, Size: 100}, nil
	}, zap.NewNop())
	p.Start()
	defer p.Stop()
	take := func(n int) {
		for range n {
			if _, err := p.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	take(89)
	if n := blocks.Load(); n != 1 {
		t.Fatalf("%d blocks were fetched for 89 ids of 100", n)
	}
	take(1)
	for end := time.Now().Add(10 * time.Second); blocks.Load() != 2; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the next block is not fetched before the last id is gone")
		}
	}
}
