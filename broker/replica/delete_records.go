package replica

import (
	"context"

	"github.com/zurau/zurau/broker/kerr"
)

// DeleteRecords raises the log start to offset (-1: the high watermark) and returns the offset it stands for.
// OFFSET_OUT_OF_RANGE above the high watermark, POLICY_VIOLATION on a topic that is not cleaned by deletion. The
// followers learn of it by their next fetches: see AwaitLowWatermark.
func (p *Partition) DeleteRecords(offset int64) (int64, error) {
	r := p.role.Load()
	if !r.leads {
		return -1, kerr.NotLeaderOrFollower
	}
	if !p.log.Config().CleanupDelete {
		return -1, kerr.PolicyViolation
	}
	v := p.log.View()
	if offset == -1 {
		offset = v.HighWatermark
	}
	if offset < 0 || offset > v.HighWatermark {
		return -1, kerr.OffsetOutOfRange
	}
	if err := p.log.DeleteRecordsTo(offset); err != nil {
		return -1, err
	}
	p.followers.wake(everything)
	p.consumers.wake(everything)
	return offset, nil
}

// AwaitLowWatermark waits until no live replica has a record below offset any more, and returns the low watermark, the
// smallest log start among them (Kafka: DelayedDeleteRecords). NOT_LEADER_OR_FOLLOWER when the lead is lost meanwhile,
// KAFKA_STORAGE_ERROR when the log is, REQUEST_TIMED_OUT at the end of ctx.
func (p *Partition) AwaitLowWatermark(ctx context.Context, offset int64) (int64, error) {
	w := newWaiter()
	here := stand{w: w}
	p.starts.add(&here)
	defer p.starts.remove(&here)
	for {
		w.look(1)
		r := p.role.Load()
		if !r.leads {
			return -1, kerr.NotLeaderOrFollower
		}
		if err := p.log.Err(); err != nil {
			return -1, err
		}
		if low := r.lowWatermark(p); low >= offset {
			return low, nil
		}
		select {
		case <-w.C:
		case <-ctx.Done():
			return -1, kerr.RequestTimedOut
		}
	}
}

// lowWatermark is the smallest log start of the replicas that live; a follower that has not told its own holds it.
func (r *role) lowWatermark(p *Partition) int64 {
	low := p.log.View().LogStartOffset
	for id, f := range r.followers {
		if p.m.Alive(id) {
			low = min(low, f.logStartOffset.Load())
		}
	}
	return low
}
