package replica

import (
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/storage"
)

// Appended is what a produce learns of one partition.
type Appended struct {
	storage.AppendInfo
	LeaderEpoch int32 // the epoch the records were appended in
	Replicated  bool  // the high watermark has passed the records already
}

// AppendAsLeader appends a produced run of batches. acks is the producer's: with -1 (all) it fails with
// NOT_ENOUGH_REPLICAS before anything is written while the ISR is below min.insync.replicas.
// NOT_LEADER_OR_FOLLOWER when this broker does not lead, or would acknowledge alone (1) and may lead no more (doubt.go).
// Other errors are those of storage.Log.AppendAsLeader.
func (p *Partition) AppendAsLeader(records []byte, acks int16, o storage.AppendOptions) (Appended, error) {
	r := p.role.Load()
	if !r.leads {
		return Appended{}, kerr.NotLeaderOrFollower
	}
	if acks == 1 && p.inDoubt() {
		return Appended{}, kerr.NotLeaderOrFollower
	}
	if acks == -1 && len(r.isr) < p.minInSync(r) {
		return Appended{}, kerr.New(kerr.NotEnoughReplicas, "The size of the current ISR %d is insufficient to satisfy "+
			"the min.isr requirement of %d for partition %s", len(r.isr), p.minInSync(r), p.tp)
	}
	o.LeaderEpoch = r.leaderEpoch
	info, err := p.log.AppendAsLeader(records, o)
	if err != nil {
		return Appended{}, err
	}
	moved := p.advanceHighWatermark()
	if !info.Duplicate {
		p.followers.wake(info.SizeBytes)
	}
	switch {
	case moved && len(r.followers) > 0: // past records of others too, whose followers have just fetched them
		p.consumers.wake(everything)
	case moved:
		p.consumers.wake(info.SizeBytes)
	}
	return Appended{info, r.leaderEpoch, p.log.View().HighWatermark > info.LastOffset}, nil
}

// EndOffsetForEpoch answers OffsetForLeaderEpoch: the largest epoch at or below the one asked for, and where it
// ends; (-1, -1) when this log knows nothing of it.
func (p *Partition) EndOffsetForEpoch(currentLeaderEpoch, epoch int32) (int32, int64, error) {
	r := p.role.Load()
	if err := r.checkEpoch(currentLeaderEpoch); err != nil {
		return -1, -1, err
	}
	if !r.leads {
		return -1, -1, kerr.NotLeaderOrFollower
	}
	if err := p.log.Err(); err != nil {
		return -1, -1, err
	}
	e, end := p.log.EndOffsetForEpoch(epoch)
	return e, end, nil
}
