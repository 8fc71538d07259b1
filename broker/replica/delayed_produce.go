package replica

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zurau/zurau/broker/kerr"
)

// Replication names what an acks=all produce still waits for at one partition: the high watermark at End or above.
type Replication struct {
	Partition   *Partition
	End         int64 // exclusive: last appended offset + 1
	LeaderEpoch int32 // the append was made in this epoch
}

// AwaitReplication calls done exactly once, with one error for each element of waits: nil when the high watermark
// reached its End, NOT_LEADER_OR_FOLLOWER when the lead was lost before, KAFKA_STORAGE_ERROR when the log was,
// NOT_ENOUGH_REPLICAS_AFTER_APPEND when the ISR shrank below min.insync.replicas, REQUEST_TIMED_OUT after timeout. A new
// leader epoch with the same leader goes on waiting: nothing was lost. It does not block; done runs on the goroutine
// that moved the high watermark, changed the role or watched the clock, and must not block either.
func AwaitReplication(timeout time.Duration, waits []Replication, done func([]error)) {
	d := &delayedProduce{waits: waits, done: done}
	d.mu.left, d.mu.errs = len(waits), make([]error, len(waits))
	for i := range d.mu.errs {
		d.mu.errs[i] = kerr.RequestTimedOut
	}
	for i, w := range waits {
		w.Partition.delayed.add(delayedEntry{w.End, w.LeaderEpoch, d, i})
		w.Partition.delayed.complete(w.Partition) // what happened before the entry stood there was not seen
	}
	d.startClock(max(timeout, 0))
}

// delayedProduce is one produce request that waits for its replicas.
type delayedProduce struct {
	waits []Replication
	done  func([]error)
	mu    struct {
		sync.Mutex
		left  int         // entries without a verdict; 0 once done has been called
		errs  []error     // by index of waits, preset to the verdict of the clock
		timer *time.Timer // nil until all entries stand in their rows
	}
}

func (d *delayedProduce) startClock(timeout time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.left > 0 {
		d.mu.timer = time.AfterFunc(timeout, d.expire)
	}
}

func (d *delayedProduce) settle(i int, err error) {
	d.mu.Lock()
	if d.mu.left == 0 {
		d.mu.Unlock()
		return
	}
	d.mu.errs[i] = err
	d.mu.left--
	last := d.mu.left == 0
	if last && d.mu.timer != nil {
		d.mu.timer.Stop()
	}
	errs := d.mu.errs
	d.mu.Unlock()
	if last {
		d.done(errs)
	}
}

func (d *delayedProduce) expire() {
	d.mu.Lock()
	left, errs := d.mu.left, d.mu.errs
	d.mu.left = 0
	d.mu.Unlock()
	if left == 0 {
		return
	}
	for _, w := range d.waits {
		w.Partition.delayed.remove(d)
	}
	d.done(errs)
}

type delayedEntry struct {
	end         int64
	leaderEpoch int32
	produce     *delayedProduce
	index       int
}

// delayedRow is the row of produces waiting at one partition, by the offset they wait for.
type delayedRow struct {
	n  atomic.Int32 // len(mu.row), so that an append with nobody waiting takes no lock
	mu struct {
		sync.Mutex
		row []delayedEntry
	}
}

func (dr *delayedRow) add(e delayedEntry) {
	dr.mu.Lock()
	i := len(dr.mu.row)
	for i > 0 && dr.mu.row[i-1].end > e.end {
		i--
	}
	dr.mu.row = slices.Insert(dr.mu.row, i, e)
	dr.n.Store(int32(len(dr.mu.row)))
	dr.mu.Unlock()
}

// remove takes the entries of a produce out whose time is over.
func (dr *delayedRow) remove(d *delayedProduce) {
	dr.mu.Lock()
	dr.mu.row = slices.DeleteFunc(dr.mu.row, func(e delayedEntry) bool { return e.produce == d })
	dr.n.Store(int32(len(dr.mu.row)))
	dr.mu.Unlock()
}

// complete settles every entry of which the partition's present state says how it ended.
func (dr *delayedRow) complete(p *Partition) {
	if dr.n.Load() == 0 {
		return
	}
	r, hw, offline := p.role.Load(), p.log.View().HighWatermark, p.log.Err() != nil
	dr.mu.Lock()
	n := 0
	for n < len(dr.mu.row) && (offline || dr.mu.row[n].end <= hw || r.lost(dr.mu.row[n].leaderEpoch)) {
		n++
	}
	settled := slices.Clone(dr.mu.row[:n])
	dr.mu.row = slices.Delete(dr.mu.row, 0, n)
	dr.n.Store(int32(len(dr.mu.row)))
	dr.mu.Unlock()
	for _, e := range settled {
		e.produce.settle(e.index, p.verdict(r, hw, e))
	}
}

// lost tells whether the lead has been lost since an epoch in which this broker had it.
func (r *role) lost(epoch int32) bool { return !r.leads || epoch < r.ledSince }

func (p *Partition) verdict(r *role, hw int64, e delayedEntry) error {
	switch {
	case r.lost(e.leaderEpoch):
		return kerr.NotLeaderOrFollower
	case e.end > hw:
		return kerr.KafkaStorageError
	case len(r.isr) < p.minInSync(r):
		return kerr.NotEnoughReplicasAfterAppend
	}
	return nil
}
