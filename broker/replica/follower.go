package replica

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
)

// What a follower does to its log. Each of these holds mu, so that none comes through behind a change of role: what an
// old leader sent is never written once a new one is known.

// errSuperseded says that the partition has another role by now.
var errSuperseded = errors.New("the partition has another role now")

// following runs change while the partition is in role r.
func (p *Partition) following(r *role, change func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.role.Load() != r {
		return errSuperseded
	}
	return change()
}

// followLeader carries out the answer to a fetch at offset: records are appended as they are, or, when the logs went
// different ways, this one is cut back to where they may still be the same (KIP-595).
func (p *Partition) followLeader(r *role, offset int64, a *kmsg.FetchResponseTopicPartition) error {
	moved := false
	err := p.following(r, func() error {
		if a.DivergingEpoch.Epoch >= 0 || a.DivergingEpoch.EndOffset >= 0 {
			return p.log.TruncateTo(p.lastAgreement(a.DivergingEpoch.Epoch, a.DivergingEpoch.EndOffset))
		}
		if len(a.RecordBatches) > 0 && p.log.View().LogEndOffset == offset {
			if _, err := p.log.AppendAsFollower(a.RecordBatches); err != nil {
				return err
			}
		}
		moved = p.log.SetHighWatermark(a.HighWatermark) // the log does not let it pass its own end
		if a.LogStartOffset > p.log.View().LogStartOffset {
			return p.log.FollowLogStart(a.LogStartOffset)
		}
		return nil
	})
	if moved {
		p.consumers.wake(everything)
	}
	if err == nil && p.log.TailLost() && p.caughtUp(r, a) {
		p.log.RestoreTail()
	}
	return err
}

// lastAgreement is the offset to cut back to when the leader says that its epoch ends at end, and that this log went
// another way (Kafka: AbstractFetcherThread.getOffsetTruncationState). If this log does not know the epoch either, the
// leader is asked again from the end of the one before it.
func (p *Partition) lastAgreement(epoch int32, end int64) int64 {
	leo := p.log.View().LogEndOffset
	switch own, ownEnd := p.log.EndOffsetForEpoch(epoch); {
	case own == -1 && ownEnd == -1:
		return min(end, leo)
	case own == epoch:
		return min(ownEnd, end, leo)
	default:
		return min(ownEnd, leo)
	}
}

// truncateFollower cuts the log to offset.
func (p *Partition) truncateFollower(r *role, offset int64) error {
	return p.following(r, func() error { return p.log.TruncateTo(offset) })
}

// keepReplicated cuts a log without leader epochs to what is known to be replicated.
func (p *Partition) keepReplicated(r *role) error {
	return p.following(r, func() error {
		if p.log.LatestEpoch() >= 0 {
			return nil
		}
		return p.log.TruncateTo(p.log.View().HighWatermark)
	})
}

// restartFollower empties the log: the leader's begins behind everything it had.
func (p *Partition) restartFollower(r *role, start int64) error {
	p.m.state.Warn("Everything in the log is older than the leader's log start", zap.Stringer("partition", p.tp),
		zap.Int64("leader_log_start", start), zap.Int64("leo", p.log.View().LogEndOffset))
	return p.following(r, func() error { return p.log.TruncateFullyAndStartAt(start) })
}
