// Package txn hands out producer ids; the transaction coordinator will live here too.
package txn

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/kerr"
)

// Block is a run of producer ids nobody else will ever hand out: [First, First+Size).
type Block struct {
	First int64
	Size  int32
}

// BlockSource fetches a fresh block: by AllocateProducerIds from the controller (KIP-730), or from
// /latest_producer_id_block below inter.broker.protocol.version 3.0.
type BlockSource func(ctx context.Context) (Block, error)

// ProducerIDs hands out producer ids one by one from blocks. A block is used up or lost with the process, never
// reused, so that no id is given twice even after kill -9.
type ProducerIDs struct {
	source BlockSource
	logger *zap.Logger
	mu     struct {
		sync.Mutex
		current, next Block         // next is empty until it is fetched
		used          int32         // of current
		fetched       chan struct{} // closed and replaced whenever a block arrives
	}
	wanted chan struct{} // capacity 1: run should fetch a block
	cancel context.CancelFunc
	done   chan struct{}
}

// prefetchAt is the share of a block after which the next one is fetched, in percent.
const prefetchAt = 90

// retryAfter is the first pause after a block could not be had, and retryAtMost the longest: a controller may be away
// for hours.
const (
	retryAfter  = 50 * time.Millisecond
	retryAtMost = time.Second
)

// NewProducerIDs makes a hand with no block yet.
func NewProducerIDs(source BlockSource, logger *zap.Logger) *ProducerIDs {
	p := &ProducerIDs{source: source, logger: logger, wanted: make(chan struct{}, 1), done: make(chan struct{})}
	p.mu.fetched = make(chan struct{})
	return p
}

// Start runs the loop that fetches blocks; the first is fetched by Prepare or when the first id is asked for.
func (p *ProducerIDs) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	go p.run(ctx)
}

// Prepare has a block fetched before anybody needs an id of it.
func (p *ProducerIDs) Prepare() {
	select {
	case p.wanted <- struct{}{}:
	default:
	}
}

// Stop ends the loop. What is left of the block is lost on purpose.
func (p *ProducerIDs) Stop() {
	p.cancel()
	<-p.done
}

// Next returns a new producer id. While no block is there it waits until ctx ends and then answers
// COORDINATOR_LOAD_IN_PROGRESS, which producers retry.
func (p *ProducerIDs) Next(ctx context.Context) (int64, error) {
	for {
		id, fetched, ok := p.take()
		if ok {
			return id, nil
		}
		select {
		case <-fetched:
		case <-ctx.Done():
			return -1, kerr.CoordinatorLoadInProgress
		}
	}
}

func (p *ProducerIDs) take() (id int64, fetched <-chan struct{}, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.used == p.mu.current.Size && p.mu.next.Size > 0 {
		p.mu.current, p.mu.next, p.mu.used = p.mu.next, Block{}, 0
	}
	if ok = p.mu.used < p.mu.current.Size; ok {
		id = p.mu.current.First + int64(p.mu.used)
		p.mu.used++
	}
	if p.mu.next.Size == 0 && int64(p.mu.used)*100 >= int64(p.mu.current.Size)*prefetchAt {
		p.Prepare()
	}
	return id, p.mu.fetched, ok
}

func (p *ProducerIDs) run(ctx context.Context) {
	defer close(p.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wanted:
		}
		for pause := retryAfter; !p.fetch(ctx); pause = min(2*pause, retryAtMost) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
		}
	}
}

// fetch gets one block if one is needed. It reports whether the need is met.
func (p *ProducerIDs) fetch(ctx context.Context) bool {
	p.mu.Lock()
	needed := p.mu.next.Size == 0
	p.mu.Unlock()
	if !needed {
		return true
	}
	b, err := p.source(ctx)
	if err != nil || b.Size <= 0 {
		p.logger.Warn("No block of producer ids, will retry", zap.Error(err))
		return false
	}
	p.mu.Lock()
	p.mu.next = b
	close(p.mu.fetched)
	p.mu.fetched = make(chan struct{})
	p.mu.Unlock()
	return true
}
