package api

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/replica"
	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/wire"
)

// lead is a LeaderAndIsr for partition 0 of topic "t" with replicas 1 and 2.
func lead(t *testing.T, h *Handler, leader, epoch int32) {
	t.Helper()
	req := kmsg.NewPtrLeaderAndISRRequest()
	req.Version = 7
	req.TopicStates = []kmsg.LeaderAndISRRequestTopicState{{Topic: "t", PartitionStates: []kmsg.LeaderAndISRRequestTopicPartition{
		{Leader: leader, LeaderEpoch: epoch, ISR: []int32{1, 2}, Replicas: []int32{1, 2}}}}}
	if resp := h.Replicas.LeaderAndIsr(req); resp.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatalf("%+v", resp)
	}
}

// A producer that is sent away is told where to go, whether it was waiting or came too late, and though the metadata
// still names the old leader (KIP-951).
func TestTheNewLeaderIsNamed(t *testing.T) {
	h := data(t, 1)
	lead(t, h, 1, 1)
	tp := topic.Partition{Topic: "t"}
	p := h.Replicas.Partition(tp)
	done, err := p.AppendAsLeader(records(t, 10), -1, storage.AppendOptions{Origin: storage.Client, ProduceVersion: 10})
	if err != nil {
		t.Fatal(err)
	}
	answer := newProduceAnswer(0)
	w := producing{h: h, listener: "PLAINTEXT",
		waits:   []replica.Replication{{Partition: p, End: done.LastOffset + 1, LeaderEpoch: done.LeaderEpoch}},
		waiting: [][2]int{{0, 0}}}
	w.resp.Version = 10
	w.resp.Topics = []kmsg.ProduceResponseTopic{{Topic: "t", Partitions: []kmsg.ProduceResponseTopicPartition{answer}}}
	pending := w.await(time.Minute)
	lead(t, h, 2, 2)
	if pending.Complete(wire.NoReply()) {
		t.Fatal("the lead was lost, and a produce waits on")
	}
	check := func(when string, got kmsg.ProduceResponseTopicPartition) {
		t.Helper()
		if got.ErrorCode != kerr.NotLeaderOrFollower.Code || got.CurrentLeader.LeaderID != 2 || got.CurrentLeader.LeaderEpoch != 2 {
			t.Errorf("%s: %+v", when, got)
		}
	}
	check("while it waited", w.resp.Topics[0].Partitions[0])
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks = 10, -1
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: "t", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: records(t, 10)}}}}
	late := producing{h: h, listener: "PLAINTEXT"}
	late.resp.Version = 10
	late.append(req)
	check("too late", late.resp.Topics[0].Partitions[0])
}
