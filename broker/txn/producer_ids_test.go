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
