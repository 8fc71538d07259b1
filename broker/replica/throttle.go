package replica

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/quota"
)

// Throttles bound what replication takes of the network while an operator moves replicas (KIP-73): a replica that is
// named and out of sync waits while its rate is exceeded, at its leader and by itself. One in sync never waits, for acks
// of all wait for it. nil is no bound.
type Throttles struct {
	Leader   *quota.Replication // of what leaders here send
	Follower *quota.Replication // of what followers here fetch
}

// withholds tells whether a follower gets nothing of a partition led here now.
func (p *Partition) withholds(r *role, rd Reader) bool {
	q := p.m.Throttles.Leader
	return rd.ReplicaID >= 0 && q.Throttles(p.tp) && !slices.Contains(r.isr, rd.ReplicaID) && q.Exceeded()
}

// chargeLeader counts what a follower gets in one answer.
func (m *Manager) chargeLeader(rd Reader, want []Position, out []Fetched) {
	q := m.Throttles.Leader
	if rd.ReplicaID < 0 || !q.Active() {
		return
	}
	for i := range want {
		if n := out[i].Region.N; n > 0 && q.Throttles(want[i].Partition.tp) {
			q.Record(n)
		}
	}
}

// throttlePause is how long a follower leaves a throttled partition out before it looks at the rate again.
const throttlePause = 100 * time.Millisecond

// holdBack leaves the throttled partitions that are out of sync out of the next requests, when more was fetched than
// their rate allows.
func (f *fetcher) holdBack() {
	q := f.m.Throttles.Follower
	if !q.Active() || !q.Exceeded() {
		return
	}
	for tp, g := range f.parts {
		if !g.inSync && f.resting[tp] == nil && q.Throttles(tp) {
			f.rest(g, throttlePause)
		}
	}
}

// fetchedSome counts what an answer brought, and notes whether it brought all that is replicated.
func (f *fetcher) fetchedSome(g *following, a *kmsg.FetchResponseTopicPartition) {
	g.inSync = g.p.log.View().LogEndOffset >= a.HighWatermark
	if q := f.m.Throttles.Follower; len(a.RecordBatches) > 0 && q.Throttles(g.p.tp) {
		q.Record(len(a.RecordBatches))
	}
}
