package metadata

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/topic"
)

// Cache holds the current Snapshot.
type Cache struct {
	current atomic.Pointer[Snapshot]
	mu      sync.Mutex // taken by Update alone: one writer at a time
}

// New makes a cache that knows no broker and no topic.
func New() *Cache {
	c := new(Cache)
	c.current.Store(&Snapshot{controllerID: NoLeader, superseded: make(chan struct{})})
	return c
}

// Load returns the current picture. Take it once per request.
func (c *Cache) Load() *Snapshot { return c.current.Load() }

// Changed is closed by the next Update. Ask for it before looking at the picture, or use Snapshot.Superseded.
func (c *Cache) Changed() <-chan struct{} { return c.Load().superseded }

// Await blocks until the picture satisfies done, and returns that picture; or ctx's error if it ends first.
func (c *Cache) Await(ctx context.Context, done func(*Snapshot) bool) (*Snapshot, error) {
	for {
		s := c.Load()
		if done(s) {
			return s, nil
		}
		select {
		case <-s.superseded:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Update puts what the controller says into a new snapshot and returns the partitions that vanished with it. The
// caller has checked the controller epoch and the broker epoch. Nothing of req is kept: its strings may point into
// a request buffer.
func (c *Cache) Update(req *kmsg.UpdateMetadataRequest) (removed []topic.Partition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.current.Load()
	next := *old
	next.superseded = make(chan struct{})
	u := update{next: &next}
	u.topics.to, u.byID.to = &next.topics, &next.byID
	u.apply(req)
	c.current.Store(&next)
	close(old.superseded)
	return u.removed
}
