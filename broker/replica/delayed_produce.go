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
// reached its End, NOT_LEADER_OR_FOLLOWER when the lead was lost before, KAFKA_STORAGE_ERROR when the log was, NOT_ENOUGH_REPLICAS_AFTER_APPEND when the ISR
// shrank below min.insync.replicas, REQUEST_TIMED_OUT after timeout. It does not block; done runs on the goroutine
// that moved the high watermark, changed the role or watched the clock, and must not block either.
func AwaitReplication(timeout time.Duration, waits []Replication, done func([]error)) {
	d := &delayedProduce{done: done}
	d.mu.left, d.mu.errs = len(waits), make([]error, len(waits))
	for i := range d.mu.errs {
		d.mu.errs[i] = kerr.RequestTimedOut
	}
	d.mu.timer = time.AfterFunc(max(timeout, 0), d.expire)
	for i, w := range waits {
		w.Partition.delayed.add(delayedEntry{w.End, w.LeaderEpoch, d, i})
		w.Partition.delayed.complete(w.Partition) // what happened before the entry stood there was not seen
	}
}

// delayedProduce is one produce request that waits for its replicas.
type delayedProduce struct {
	done func([]error)
	mu   struct {
		sync.Mutex
		left  int     // entries without a verdict; 0 once done has been called
		errs  []error // by index of waits, preset to the verdict of the clock
		timer *time.Timer
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
	if last {
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
	if left > 0 {
		d.done(errs)
	}
}

func (d *delayedProduce) expired() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.left == 0
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
	row := slices.DeleteFunc(dr.mu.row, func(e delayedEntry) bool { return e.produce.expired() })
	i := len(row)
	for i > 0 && row[i-1].end > e.end {
		i--
	}
	dr.mu.row = slices.Insert(row, i, e)
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
	var settled []delayedEntry
	keep := dr.mu.row[:0]
	for _, e := range dr.mu.row {
		if e.end <= hw || offline || !r.leads || r.leaderEpoch != e.leaderEpoch {
			settled = append(settled, e)
		} else {
			keep = append(keep, e)
		}
	}
	clear(dr.mu.row[len(keep):])
	dr.mu.row = keep
	dr.n.Store(int32(len(keep)))
	dr.mu.Unlock()
	for _, e := range settled {
		e.produce.settle(e.index, p.verdict(r, hw, e))
	}
}

func (p *Partition) verdict(r *role, hw int64, e delayedEntry) error {
	switch {
	case !r.leads || r.leaderEpoch != e.leaderEpoch:
		return kerr.NotLeaderOrFollower
	case e.end > hw:
		return kerr.KafkaStorageError
	case len(r.isr) < p.minInSync(r):
		return kerr.NotEnoughReplicasAfterAppend
	}
	return nil
}
