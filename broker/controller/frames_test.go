package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// The lives of two recorded clusters of Kafka are led again under our controller: what it sends to each broker is
// compared with the frames, in every field and in their order, and what brokers asked of their controller is asked of
// ours, by the frames themselves. The recorded frames are wire's; testdata/frames.md tells how ours differ on purpose
// and which are no controller's.

func TestFramesAreKafkasAtLevel28(t *testing.T) {
	f := newFramed(t, ibp.V2_8_IV1)
	f.elect(3)
	f.heard(2, "001")
	f.forget()

	f.create("txc3", map[int32][]int32{0: {1, 2, 3}, 1: {2, 3, 1}, 2: {3, 1, 2}})
	f.heard(1, "003", "005")
	f.forget()
	f.leave(2)
	f.heard(1, "007", "009", "010", "UpdateMetadata")
	f.forget()
	f.join(2)
	f.heard(2, "012", "LeaderAndISR", "UpdateMetadata")
	f.forget()
	f.alter("035", "036", 3, 3)
	f.grow("txc3-0", 2)
	f.grow("txc3-2", 2)
	f.forget()

	f.shutDown("013", "014", 1)
	// The second StopReplica is that of the replica going offline, as Kafka's.
	f.heard(1, "015", "UpdateMetadata", "016", "UpdateMetadata", "016")
	f.leave(1)
	f.join(1)
	f.alter("033", "034", 3, 2)
	f.grow("txc3-1", 1)
	f.grow("txc3-2", 1)

	f.create("dxc3", map[int32][]int32{0: {1, 2, 3}})
	f.forget()
	f.must(f.tool.Session().MarkTopicDeleted(context.Background(), "dxc3"))
	f.after("TopicDeletion")
	f.heard(2, "018", "019", "021")
	f.forget()

	f.elect(3)
	f.heard(2, "UpdateMetadata", "023", "UpdateMetadata")
}

func TestFramesAreKafkasAfterTwoElections(t *testing.T) {
	f := newFramed(t, ibp.V2_8_IV1)
	for _, id := range []int32{3, 1, 3} {
		f.elect(id)
	}
	// What the first life left of a partition: leader epoch 2, partition epoch 4.
	f.create("txc3", map[int32][]int32{1: {2, 3, 1}})
	f.place("txc3-1", zkmeta.PartitionState{Leader: 3, LeaderEpoch: 2, ISR: []int32{3, 2, 1}, ControllerEpoch: 1}, 4)
	f.elect(2)
	f.forget()

	f.create("txc2", map[int32][]int32{0: {1, 2, 3}, 1: {2, 3, 1}, 2: {3, 1, 2}})
	f.heard(1, "025", "UpdateMetadata")
	f.leave(1)
	f.join(1)
	f.alter("031", "032", 2, 3)

	f.create("rb", map[int32][]int32{0: {2, 1}})
	f.forget()
	f.reassign("rb-0", 3, 1)
	f.heard(3, "037", "UpdateMetadata", "037", "UpdateMetadata")
	f.forget()
	f.grow("rb-0", 3)
	f.heard(3, "UpdateMetadata", "038", "UpdateMetadata", "LeaderAndISR", "UpdateMetadata", "UpdateMetadata")
	f.heard(2, "UpdateMetadata", "UpdateMetadata", "UpdateMetadata", "039", "040", "UpdateMetadata")
}

func TestFramesAreKafkasAtLevel39(t *testing.T) {
	f := newFramed(t, ibp.V3_9_IV0)
	f.elect(3)
	f.heard(2, "062")
	f.elect(1)
	f.elect(2)
	f.forget()

	f.create("tyc2", map[int32][]int32{0: {1, 2, 3}, 1: {2, 3, 1}, 2: {3, 1, 2}})
	f.heard(1, "064", "066")
	f.forget()
	f.leave(1)
	f.heard(3, "067", "UpdateMetadata", "LeaderAndISR", "UpdateMetadata")
	f.join(1)
	f.alter("074", "075", 2, 2)
	f.forget()

	f.shutDown("068", "069", 3)
	f.heard(3, "LeaderAndISR", "UpdateMetadata", "070", "UpdateMetadata", "070")

	f.leave(3)
	f.join(3)
	f.create("dyc2", map[int32][]int32{0: {1, 2, 3}})
	f.forget()
	f.must(f.tool.Session().MarkTopicDeleted(context.Background(), "dyc2"))
	f.after("TopicDeletion")
	f.heard(1, "UpdateMetadata", "StopReplica", "072")

	f.allocate("082", "083", 2)
	f.retire()
	f.c = New(Options{BrokerID: 3, ZK: f.registered[3], Level: f.level})
	f.c.mailbox.close() // a broker that is not the controller
	f.answered("079", f.c.AlterPartition(context.Background(), f.request("078").Request.(*kmsg.AlterPartitionRequest)))
	f.answered("081", f.c.AllocateProducerIDs(context.Background(), f.request("080").Request.(*kmsg.AllocateProducerIDsRequest)))
	f.c = nil
}

// The frame tells of every partition of the cluster after its broker 2 died; what was true before follows from it.
func TestFrameOfAPartitionWithoutALivingReplicaIsKafkas(t *testing.T) {
	f := newFramed(t, ibp.V3_9_IV0)
	for _, id := range []int32{3, 1, 2} {
		f.elect(id)
	}
	after := f.request("100").Request.(*kmsg.UpdateMetadataRequest)
	for _, rt := range after.TopicStates {
		assigned := make(map[int32][]int32)
		for _, p := range rt.PartitionStates {
			assigned[p.Partition] = p.Replicas
		}
		f.create(rt.Topic, assigned)
		for _, p := range rt.PartitionStates {
			before := zkmeta.PartitionState{Leader: p.Leader, LeaderEpoch: p.LeaderEpoch - 1, ISR: append(p.ISR, 2), ControllerEpoch: 3}
			if p.Leader == noLeader {
				before.Leader, before.ISR = 2, []int32{2}
			}
			f.place(fmt.Sprintf("%s-%d", rt.Topic, p.Partition), before, p.ZKVersion-1)
		}
	}
	f.elect(3)
	f.forget()
	f.leave(2)
	f.heard(3, "LeaderAndISR", "100")
}

// place makes a partition what the test's recorded cluster had made of it before.
func (f *framed) place(name string, st zkmeta.PartitionState, version int32) {
	f.t.Helper()
	tp, err := topic.ParseDir(name)
	f.must(err)
	path := zkmeta.StatePath(tp)
	data, err := json.Marshal(map[string]any{"version": 1, "leader": st.Leader, "leader_epoch": st.LeaderEpoch, "isr": st.ISR,
		"controller_epoch": st.ControllerEpoch})
	f.must(err)
	for {
		_, stat, err := f.tool.Session().Get(context.Background(), path)
		f.must(err)
		if stat.Version == version {
			return
		}
		_, err = f.tool.Session().Set(context.Background(), path, data, stat.Version)
		f.must(err)
	}
}

// asked runs a blocking call of the API beside the loop.
func asked[T any](f *framed, event string, call func() T) T {
	f.t.Helper()
	answer := make(chan T, 1)
	go func() { answer <- call() }()
	f.after(event)
	return <-answer
}

// alter asks our controller what a recorded AlterPartition asked, and compares the answers.
func (f *framed) alter(request, response string, controller, sender int32) {
	f.t.Helper()
	h := f.request(request)
	req := h.Request.(*kmsg.AlterPartitionRequest)
	if req.BrokerID != sender || f.c.opt.BrokerID != controller {
		f.t.Fatalf("frame %s is of broker %d", request, req.BrokerID)
	}
	req.BrokerEpoch = f.epochOf(sender)
	for i := range req.Topics {
		if name := f.ids[req.Topics[i].TopicID]; name != "" {
			req.Topics[i].TopicID = f.c.term.topicID(name)
		}
	}
	f.answered(response, asked(f, "AlterPartitionReceived", func() *kmsg.AlterPartitionResponse {
		return f.c.AlterPartition(context.Background(), req)
	}))
}

// grow has the leader of a partition take a broker into the ISR.
func (f *framed) grow(name string, broker int32) {
	f.t.Helper()
	tp, err := topic.ParseDir(name)
	f.must(err)
	st := f.c.term.cluster.find(tp).leadership
	req := &kmsg.AlterPartitionRequest{Version: 0, BrokerID: st.Leader, BrokerEpoch: f.epochOf(st.Leader),
		Topics: []kmsg.AlterPartitionRequestTopic{{Topic: tp.Topic, Partitions: []kmsg.AlterPartitionRequestTopicPartition{
			{Partition: tp.ID, LeaderEpoch: st.LeaderEpoch, PartitionEpoch: st.ZkVersion, NewISR: append(st.ISR[:len(st.ISR):len(st.ISR)], broker)}}}}}
	resp := asked(f, "AlterPartitionReceived", func() *kmsg.AlterPartitionResponse {
		return f.c.AlterPartition(context.Background(), req)
	})
	if resp.ErrorCode != 0 || resp.Topics[0].Partitions[0].ErrorCode != 0 {
		f.t.Fatalf("%s does not grow: %+v", name, resp)
	}
}

// shutDown asks for the controlled shutdown that a recorded frame asks for.
func (f *framed) shutDown(request, response string, broker int32) {
	f.t.Helper()
	req := f.request(request).Request.(*kmsg.ControlledShutdownRequest)
	if req.BrokerID != broker {
		f.t.Fatalf("frame %s is of broker %d", request, req.BrokerID)
	}
	req.BrokerEpoch = f.epochOf(broker)
	f.answered(response, asked(f, "ControlledShutdown", func() *kmsg.ControlledShutdownResponse {
		return f.c.ControlledShutdown(context.Background(), req)
	}))
}

func (f *framed) allocate(request, response string, broker int32) {
	f.t.Helper()
	req := f.request(request).Request.(*kmsg.AllocateProducerIDsRequest)
	req.BrokerEpoch = f.epochOf(broker)
	f.answered(response, asked(f, "AllocateProducerIds", func() *kmsg.AllocateProducerIDsResponse {
		return f.c.AllocateProducerIDs(context.Background(), req)
	}))
}

func (f *framed) reassign(name string, target ...int32) {
	f.t.Helper()
	tp, err := topic.ParseDir(name)
	f.must(err)
	req := &kmsg.AlterPartitionAssignmentsRequest{Topics: []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: tp.Topic,
		Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Partition: tp.ID, Replicas: target}}}}}
	resp := asked(f, "ApiPartitionReassignment", func() *kmsg.AlterPartitionAssignmentsResponse {
		return f.c.AlterPartitionReassignments(context.Background(), req)
	})
	if resp.ErrorCode != 0 || resp.Topics[0].Partitions[0].ErrorCode != 0 {
		f.t.Fatalf("no reassignment: %+v", resp)
	}
}
