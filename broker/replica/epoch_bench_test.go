package replica

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/topic"
)

// A new leader epoch for 1,000 partitions in one request, as when a broker leaves or the controller moves.
func BenchmarkLeaderAndIsr(b *testing.B) {
	m := newManager(b, nil)
	req := kmsg.NewPtrLeaderAndISRRequest()
	req.Version, req.ControllerEpoch = 7, 1
	s := kmsg.LeaderAndISRRequestTopicState{Topic: "t", TopicID: topic.NewID()}
	for id := range int32(1000) {
		p := kmsg.NewLeaderAndISRRequestTopicPartition()
		p.Partition, p.Leader, p.ISR, p.Replicas, p.IsNew = id, self, []int32{self, 2}, []int32{self, 2}, true
		s.PartitionStates = append(s.PartitionStates, p)
	}
	req.TopicStates = []kmsg.LeaderAndISRRequestTopicState{s}
	m.LeaderAndIsr(req)
	for b.Loop() {
		for i := range s.PartitionStates {
			s.PartitionStates[i].LeaderEpoch++
		}
		m.LeaderAndIsr(req)
	}
}
