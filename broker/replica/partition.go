package replica

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/broker/topic"
)

// Partition is one partition hosted here.
type Partition struct {
	tp   topic.Partition
	log  *storage.Log
	role atomic.Pointer[role] // swapped under mu and deciding; never nil
	// Fetches waiting for bytes or for a new role: followers look for appended records, consumers for replicated ones.
	followers, consumers waiters
	starts               waiters    // deletions of records waiting for the followers' log starts
	delayed              delayedRow // produces waiting for the high watermark
	mu                   sync.Mutex // serialises changes of role; no request takes it

	// deciding is held while the high watermark is decided and while the role is swapped, and for nothing else: the
	// members of an ISR that is no more must not move it past a new member.
	deciding sync.Mutex

	// confirmed is the largest broker epoch of ours in a LeaderAndIsr that named the role (doubt.go).
	confirmed atomic.Int64

	m *Manager // whose partition it is
}

// role is what LeaderAndIsr made of this replica. It is never written after it has been stored.
type role struct {
	leads           bool
	leader          int32   // broker id, -1 for none
	leaderEpoch     int32   // -1 before the first LeaderAndIsr
	ledSince        int32   // the epoch in which this broker took the lead; it has not lost it since
	controllerEpoch int32   // of the controller that chose the leader
	partitionEpoch  int32   // zkVersion of the state znode
	epochStart      int64   // the leader's LEO when its epoch began
	isr             []int32 // as the controller last said; what min.insync.replicas is counted on
	proposed        []int32 // the ISR asked of the controller and not answered yet (isr_keeper.go); nil for none
	replicas        []int32 // assignment order; replicas[0] is preferred
	followers       map[int32]*progress
}

// maximalISR are the replicas the high watermark waits for: until the controller has answered nobody knows which of
// the two sets holds, so a new member counts at once, and one that shall go still counts (KIP-497).
func (r *role) maximalISR() []int32 {
	if len(r.proposed) > len(r.isr) {
		return r.proposed // isr_keeper.go adds members or takes some away, never both
	}
	return r.isr
}

func newPartition(m *Manager, tp topic.Partition, log *storage.Log) *Partition {
	p := &Partition{tp: tp, log: log, m: m}
	p.confirmed.Store(EpochUnknown)
	p.role.Store(&role{leader: -1, leaderEpoch: -1, partitionEpoch: -1})
	return p
}

// Topic is the name of the partition's topic, in memory of its own.
func (p *Partition) Topic() string { return p.tp.Topic }

// Log is the partition's log on this broker.
func (p *Partition) Log() *storage.Log { return p.log }

// Leader returns the leader's broker id and epoch as last told by a controller, -1 for none.
func (p *Partition) Leader() (id, epoch int32) {
	r := p.role.Load()
	return max(r.leader, -1), r.leaderEpoch
}

// checkEpoch compares the leader epoch a client believes in with this replica's (KIP-320). -1 asks for no check.
func (r *role) checkEpoch(asked int32) error {
	switch {
	case asked == -1 || asked == r.leaderEpoch:
		return nil
	case asked < r.leaderEpoch:
		return kerr.FencedLeaderEpoch
	}
	return kerr.UnknownLeaderEpoch
}

// minInSync is the effective min.insync.replicas: never more than there are replicas (since Kafka 3.7).
func (p *Partition) minInSync(r *role) int {
	return min(int(p.log.Config().MinInsyncReplicas), len(r.replicas))
}

// makeLeader starts a new leader epoch, or takes a new ISR within the running one.
func (p *Partition) makeLeader(self int32, next *role) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.role.Load()
	next.leads, next.ledSince = true, next.leaderEpoch
	if old.leads {
		next.ledSince = old.ledSince
	}
	next.followers = make(map[int32]*progress, len(next.replicas))
	next.epochStart = old.epochStart
	if next.leaderEpoch > old.leaderEpoch || !old.leads {
		next.epochStart = p.log.View().LogEndOffset
		if err := p.log.SetLeaderEpochStart(next.leaderEpoch, next.epochStart); err != nil {
			return err
		}
	}
	for _, id := range next.replicas {
		if id == self {
			continue
		}
		if known := old.followers[id]; known != nil && next.leaderEpoch == old.leaderEpoch {
			next.followers[id] = known
			continue
		}
		next.followers[id] = newProgress(slices.Contains(next.isr, id), p.m.now())
	}
	p.swap(next)
	p.advanceHighWatermark()
	p.roleChanged()
	return nil
}

// makeFollower gives the lead up; the log keeps what it has until a leader's epochs say otherwise.
func (p *Partition) makeFollower(next *role) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next.isr = nil
	p.swap(next)
	p.roleChanged()
}

func (p *Partition) swap(next *role) {
	p.deciding.Lock()
	p.role.Store(next)
	p.deciding.Unlock()
	p.m.roleChanges.Add(1)
}

// roleChanged answers everybody who waited for something the old role had promised.
func (p *Partition) roleChanged() {
	p.delayed.complete(p)
	p.followers.wake(everything)
	p.consumers.wake(everything)
	p.starts.wake(everything)
}
