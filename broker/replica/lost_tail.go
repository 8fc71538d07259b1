package replica

import (
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/broker/topic"
)

// A log that may have lost its tail (storage.Log.TailLost) is made whole by following a leader up to what that leader
// began its epoch with. Where it leads instead, what its end lacks is gone for good, and that is said loudly.
// Not done yet: such a replica should not lead while others of its last ISR may have more (failures.md A11).

// leadsWithLostTail says what it may have cost that this replica was made leader with what is left of its log.
func (m *Manager) leadsWithLostTail(tp topic.Partition, log *storage.Log, s *kmsg.LeaderAndISRRequestTopicPartition) {
	if !log.RestoreTail() {
		return
	}
	about := []zap.Field{zap.Stringer("partition", tp), zap.Int64("leo", log.View().LogEndOffset), zap.Int32s("isr", s.ISR),
		zap.Int32s("replicas", s.Replicas)}
	if len(s.Replicas) == 1 {
		m.state.Error("The only replica of a partition may have lost the end of its log with the machine's crash. It leads with what is "+
			"left: records that were acknowledged may be missing", about...)
		return
	}
	m.state.Error("A replica that may have lost the end of its log with the machine's crash was made leader: records that were "+
		"acknowledged may be missing, and others may have had them", about...)
}

// caughtUp tells, behind an answer of the leader in role r that was carried out, whether the log has all that the leader
// began its epoch with: it has records of that epoch, or there was nothing more to get.
func (p *Partition) caughtUp(r *role, a *kmsg.FetchResponseTopicPartition) bool {
	diverged := a.DivergingEpoch.Epoch >= 0 || a.DivergingEpoch.EndOffset >= 0
	return !diverged && (len(a.RecordBatches) == 0 && p.log.View().LogEndOffset >= a.HighWatermark || p.log.LatestEpoch() == r.leaderEpoch)
}
