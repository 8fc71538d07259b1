package zkserver

import (
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// committer makes batches durable, one sync for each, and then lets their frames go. While the disk works the loop
// gathers the next batch, so the more there is to do the more writes share a sync.
type committer struct {
	batches <-chan batch
	store   *store // nil: nothing is durable
	keep    int    // snapshots
	saving  *atomic.Bool
	stats   *stats
	log     *zap.Logger
	failed  func(error)
	dead    atomic.Bool   // Kill: write nothing and tell nobody
	done    chan struct{} // closed when run has ended

	snapshots sync.WaitGroup
}

// run takes batches until there are no more.
func (c *committer) run() {
	defer close(c.done)
	for b := range c.batches {
		if c.dead.Load() {
			continue
		}
		if err := c.persist(b); err != nil {
			c.dead.Store(true)
			c.failed(err)
			continue
		}
		now := time.Now()
		for _, d := range b.deliveries {
			d.conn.push(d.frame, d.done, d.last)
			if !d.received.IsZero() {
				c.stats.answered(now.Sub(d.received))
				d.conn.stats.answered(now.Sub(d.received))
			}
		}
	}
	c.snapshots.Wait()
	if c.store == nil {
		return
	}
	if c.dead.Load() {
		c.store.log.crash()
	}
	if err := c.store.close(); err != nil {
		c.log.Warn("closing the log failed", zap.Error(err))
	}
}

// persist puts the entries of a batch on the disk and starts the snapshot it may carry.
func (c *committer) persist(b batch) error {
	if c.store == nil {
		return nil
	}
	if len(b.entries) > 0 {
		if err := c.store.log.append(b.first, b.entries); err != nil {
			return err
		}
	}
	if b.snapshot == nil {
		return nil
	}
	c.snapshots.Go(func() { c.save(b.snapshot) })
	return c.store.log.roll()
}

// save writes a snapshot and deletes what it makes superfluous. A failure costs nothing but the room of a longer
// log; the next one is tried in its time.
func (c *committer) save(sn *snapshot) {
	defer c.saving.Store(false)
	begin := time.Now()
	err := sn.save(c.store.snapDir)
	if err == nil && c.keep > 0 {
		err = c.store.purge(c.keep)
	}
	if err != nil {
		c.log.Warn("snapshot failed", zap.String("zxid", hex(sn.zxid)), zap.Error(err))
		return
	}
	c.log.Info("snapshot written", zap.String("zxid", hex(sn.zxid)), zap.Int("nodes", len(sn.nodes)),
		zap.Duration("took", time.Since(begin)))
}
