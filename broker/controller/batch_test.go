package controller

import (
	"testing"

	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

func TestAPartitionOnceSaidToBeNewStaysNewInItsBatch(t *testing.T) {
	c := newCluster()
	c.brokers[1], c.brokers[2] = zkmeta.BrokerInfo{}, zkmeta.BrokerInfo{}
	p := c.addTopic("t", zkmeta.TopicAssignment{Partitions: map[int32][]int32{0: {1, 2}}}).partitions[0]
	p.leadership = &zkmeta.PartitionState{Leader: 1, ISR: []int32{1}}
	tp := topic.Partition{Topic: "t"}

	b := newBatch()
	b.leaderAndISR(c, p, []int32{1, 2}, false)
	b.leaderAndISR(c, p, []int32{2}, true)
	b.leaderAndISR(c, p, []int32{1, 2}, false)
	if b.leaders[1][tp].IsNew || !b.leaders[2][tp].IsNew {
		t.Errorf("to 1 new=%v, to 2 new=%v, want it new to 2 alone", b.leaders[1][tp].IsNew, b.leaders[2][tp].IsNew)
	}

	p.leadership = &zkmeta.PartitionState{Leader: 2, LeaderEpoch: 1, ISR: []int32{2}}
	b.leaderAndISR(c, p, []int32{2}, false)
	if said := b.leaders[2][tp]; said.Leader != 2 || said.LeaderEpoch != 1 || b.metadata[tp].Leader != 2 {
		t.Errorf("the batch tells the state of before: %+v, %+v", said, b.metadata[tp])
	}
	if next := newBatch(); len(next.leaders) > 0 {
		t.Error("a batch begins with what another said")
	}
}
