package replica

import (
	"cmp"
	"slices"
	"time"

	"github.com/zurau/zurau/broker/storage"
)

// A consumer near a follower may read there (KIP-392): the leader names one of the consumer's rack, in place of an
// answer. The consumer goes there until the follower refuses it, or until it has asked for metadata anew.

// readReplica is a replica that has what a consumer asks for.
type readReplica struct {
	id           int32
	logEndOffset int64
	lag          time.Duration // since it was last caught up
}

// compare orders replicas by what they have and by how fresh they are; the last is the best to read from.
func (a readReplica) compare(b readReplica) int {
	return cmp.Or(cmp.Compare(a.logEndOffset, b.logEndOffset), cmp.Compare(b.lag, a.lag), cmp.Compare(a.id, b.id))
}

// readElsewhere finds the follower this reader should rather read a partition from. Only a member of the ISR is named:
// one that lags would keep its consumers back, and none whose log does not hold the offset asked for, at which it could
// only refuse. Nobody is sent away from a leader in his own rack.
func (p *Partition) readElsewhere(r *role, rd Reader, offset int64) (follower int32, ok bool) {
	if rd.RackOf == nil || rd.Rack == "" || rd.ReplicaID >= 0 || !r.leads {
		return -1, false
	}
	if rack, alive := rd.RackOf(p.m.BrokerID); alive && rack == rd.Rack {
		return -1, false
	}
	var found []readReplica
	now := p.m.now()
	for id, f := range r.followers {
		rack, alive := rd.RackOf(id)
		if !alive || rack != rd.Rack || !slices.Contains(r.isr, id) {
			continue
		}
		if end, start := f.logEndOffset.Load(), f.logStartOffset.Load(); start != unknownOffset && start <= offset && offset <= end {
			found = append(found, readReplica{id, end, f.lag(now)})
		}
	}
	if len(found) == 0 {
		return -1, false
	}
	return slices.MaxFunc(found, readReplica.compare).id, true
}

// owesHighWatermark tells whether a follower waits with an older high watermark than v's, though readers of its own wait
// for it. It has been told then.
func (f *progress) owesHighWatermark(v storage.View) bool {
	return f.toldHighWatermark.Swap(v.HighWatermark) < v.HighWatermark
}
